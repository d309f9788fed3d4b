//! The calls, one function each.
//!
//! A call that may cost money puts one request on the wire, and one more only if the first was
//! clearly turned away for its token. Nothing here waits, retries or remembers.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::json;
use tokio_util::bytes::Bytes;
use url::Url;

use crate::aistudios::classify::Classification;
use crate::aistudios::envelope::{ParsedEnvelope, SuccessClaim};
use crate::aistudios::error::ApiError;
use crate::aistudios::error_text::ErrorText;
use crate::aistudios::exchange::{ApiCall, ApiTransport, BodyHandling, CallCost, V3Endpoint};
use crate::aistudios::listing::ProjectListing;
use crate::aistudios::project::{
    ApiProject, ExportRequest, ProgressReport, ProjectId, RenderState,
};
use crate::aistudios::settings::{ClientSettings, ClientSetupError};
use crate::aistudios::submit_outcome::{
    AccountRefusalKind, NotSentKind, NotSentReason, PaidCallOutcome, UnknownReason,
};
use crate::aistudios::token::{AccessToken, TokenCache};
use crate::aistudios::verdict::ClassifiedExchange;
use crate::aistudios::{classify, envelope, verdict};
use crate::clock::Clock;
use crate::http::download::{DownloadResume, HttpDownload, HttpDownloadError};
use crate::http::{download, retry_after};

/// Speaks to one AI Studios account. Share it behind an [`Arc`](std::sync::Arc): its token and its
/// connections are for everyone.
pub struct ApiClient {
    transport: ApiTransport,
    token_cache: TokenCache,
    settings: ClientSettings,
}

impl std::fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The credentials are good.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialCheck {
    /// The server's own reading of the time, to the second, if it gave one.
    pub server_time: Option<Timestamp>,
    /// How far this machine's clock is ahead of the server's; negative when it is behind. No
    /// better than a second or two, for the server rounds and the answer travels.
    pub clock_ahead: Option<SignedDuration>,
}

impl ApiClient {
    /// Makes a client. Nothing is sent yet.
    ///
    /// # Errors
    /// A setting would put the credentials at risk or can never work, or this machine can make no
    /// TLS client.
    pub fn new(settings: ClientSettings, clock: Clock) -> Result<Self, ClientSetupError> {
        let settings = settings.validate()?;
        let wire = ApiTransport::new(&settings, clock)?;
        Ok(Self {
            transport: wire,
            token_cache: TokenCache::new(settings.credentials.clone()),
            settings,
        })
    }

    /// Creates a project from `body`, which decides by its `isExport` whether a render starts
    /// (vendor reference, `create-project` page). May cost money.
    pub async fn create_project(&self, body: Vec<u8>) -> PaidCallOutcome<ProjectId> {
        self.post_new_project(V3Endpoint::Projects, body).await
    }

    /// Makes a project at another end point: `path` below the API's root, and `template` the same
    /// as the reference prints it. Whether it costs anything is in the body.
    pub async fn create_project_at(
        &self,
        template: &str,
        path: &str,
        body: Vec<u8>,
    ) -> PaidCallOutcome<ProjectId> {
        self.post_new_project(V3Endpoint::CreateProject(template, path), body).await
    }

    async fn post_new_project(
        &self,
        endpoint: V3Endpoint<'_>,
        body: Vec<u8>,
    ) -> PaidCallOutcome<ProjectId> {
        let call = paid_call(endpoint, body.into());
        match self.send_with_token(&call).await {
            Ok(verdict) => {
                verdict.and_then(classify::parse_created).into_paid_outcome(&self.transport)
            }
            Err(trouble) => outcome_without_token(trouble),
        }
    }

    /// Asks for a project to be rendered. May cost money.
    ///
    /// The id in the answer may differ from the one that was asked (`AISTUDIOS_V3 §3.5`), and may
    /// be missing.
    pub async fn export_project(
        &self,
        request: &ExportRequest,
    ) -> PaidCallOutcome<Option<ProjectId>> {
        let call = paid_call(V3Endpoint::Export, request.to_json().into());
        match self.send_with_token(&call).await {
            Ok(verdict) => {
                verdict.and_then(classify::parse_exported).into_paid_outcome(&self.transport)
            }
            Err(trouble) => outcome_without_token(trouble),
        }
    }

    /// Returns how far a render is. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`]. An answer that says the render itself failed is no error but a
    /// [`RenderState::Failed`] with the vendor's words.
    pub async fn render_progress(&self, id: &ProjectId) -> Result<ProgressReport, ApiError> {
        self.fetch_progress(V3Endpoint::Progress(id)).await
    }

    /// Returns how far AI Studios is with a project that it makes by itself (`AISTUDIOS_V3 §6.2`).
    /// Costs nothing.
    ///
    /// # Errors
    /// See [`Self::progress`].
    pub async fn generation_progress(&self, id: &ProjectId) -> Result<ProgressReport, ApiError> {
        self.fetch_progress(V3Endpoint::GenerationProgress(id)).await
    }

    async fn fetch_progress(&self, endpoint: V3Endpoint<'_>) -> Result<ProgressReport, ApiError> {
        let verdict = self.send_with_token(&free_call(Method::GET, endpoint)).await?;
        if let Some(words) = render_failure_text(&verdict) {
            let state = RenderState::parse("failed");
            let words = Some(self.transport.redact_line(&words.text));
            return Ok(ProgressReport { percent: None, state, download_url: None, message: words });
        }
        let read = verdict.and_then(|said| {
            let mut progress =
                ProgressReport::parse(said.data()).ok_or(UnknownReason::Incomplete)?;
            if matches!(progress.state, Some(RenderState::Failed(_))) {
                let words = self.transport.redact_line(&parse_failure_text(&said).text);
                progress.message = (!words.is_empty()).then_some(words);
            }
            Ok(progress)
        });
        read.into_project_result(&self.transport)
    }

    /// Returns one project. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn fetch_project(&self, id: &ProjectId) -> Result<ApiProject, ApiError> {
        let verdict =
            self.send_with_token(&free_call(Method::GET, V3Endpoint::Project(id))).await?;
        let read = verdict
            .and_then(|said| ApiProject::parse(said.data(), id).ok_or(UnknownReason::Incomplete));
        read.into_project_result(&self.transport)
    }

    /// Returns the account's projects, all that the list shows or nothing. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`]. A list that is cut, larger than 64 MB, or not understood is
    /// [`Trouble::Broken`], so that nobody takes it for an empty one.
    pub async fn list_projects(&self) -> Result<ProjectListing, ApiError> {
        let call = ApiCall {
            body_handling: BodyHandling::List,
            ..free_call(Method::GET, V3Endpoint::Projects)
        };
        let mut verdict = self.send_with_token(&call).await?;
        match verdict.exchange.listing.take() {
            Some(listing) => Ok(listing),
            None => verdict
                .and_then(|_no_list| Err(UnknownReason::Incomplete))
                .into_result(&self.transport),
        }
    }

    /// Deletes projects and returns how many the service says it deleted. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`]. Without `ids` nothing is asked and 0 returned, because nobody knows what
    /// the service would make of an empty list.
    pub async fn delete_projects(&self, ids: &[ProjectId]) -> Result<u64, ApiError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let body = json!({ "ids": ids }).to_string();
        let call =
            ApiCall { body: Some(body.into()), ..free_call(Method::DELETE, V3Endpoint::Projects) };
        let verdict = self.send_with_token(&call).await?;
        let read = verdict.and_then(|said| {
            let count = envelope::first_number(said.data(), &["deletedCount", "deleted_count"]);
            count
                .filter(|count| *count >= 0.0)
                .map(|count| count as u64)
                .ok_or(UnknownReason::Incomplete)
        });
        read.into_result(&self.transport)
    }

    /// Asks whether the credentials are good. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`]. Anything but a plain yes is [`Trouble::Account`].
    pub async fn check_credentials(&self) -> Result<CredentialCheck, ApiError> {
        let verdict = self.send_with_token(&free_call(Method::GET, V3Endpoint::Auth)).await?;
        let ClassifiedExchange { classification: meaning, exchange } = verdict;
        let meaning = match meaning {
            Classification::Succeeded(said) if is_unauthenticated(&said) => {
                Classification::Account(
                    AccountRefusalKind::CredentialsRefused,
                    ErrorText::from_json(said.root()),
                )
            }
            Classification::Succeeded(_)
            | Classification::NotSent(_)
            | Classification::Refused(..)
            | Classification::TokenRefused(_)
            | Classification::Account(..)
            | Classification::RateLimited
            | Classification::Moved
            | Classification::Unknown(..) => meaning,
        };
        let date = exchange.response().and_then(|reply| reply.date_header.clone());
        let server_time = date.as_deref().and_then(retry_after::parse_http_date);
        let now = self.transport.clock.now();
        let confirmed = CredentialCheck {
            server_time,
            clock_ahead: server_time.map(|theirs| now.duration_since(theirs)),
        };
        ClassifiedExchange { classification: meaning, exchange }
            .and_then(|_yes| Ok(confirmed))
            .into_result(&self.transport)
    }

    /// Begins a download. The token does not go along; at most three redirects are followed, and
    /// each address is checked (public, http or https) unless the API itself is on loopback.
    ///
    /// # Errors
    /// See [`DownloadTrouble`].
    pub async fn start_download(
        &self,
        url: &Url,
        resume: Option<&DownloadResume>,
    ) -> Result<HttpDownload, HttpDownloadError> {
        download::start_download(&self.transport, &self.settings, url, resume).await
    }

    /// Sends `call` with a token; once more with a new one if that token was clearly refused.
    pub(super) async fn send_with_token(
        &self,
        call: &ApiCall<'_>,
    ) -> Result<ClassifiedExchange<ParsedEnvelope>, ApiError> {
        let token = self.token_cache.current(&self.transport).await?;
        let verdict = self.send_once(&token, call).await;
        if !matches!(verdict.classification, Classification::TokenRefused(_)) {
            return Ok(verdict);
        }
        tracing::debug!("the access token was refused; asking for a new one");
        let token = self.token_cache.replace_refused(&token, &self.transport).await?;
        let ClassifiedExchange { classification: meaning, exchange } =
            self.send_once(&token, call).await;
        if let Classification::TokenRefused(words) = meaning {
            let kind = AccountRefusalKind::CredentialsRefused;
            let trouble = verdict::build_account_refusal(kind, words, &exchange, &self.transport);
            return Err(ApiError::Account(trouble));
        }
        Ok(ClassifiedExchange { classification: meaning, exchange })
    }

    /// Returns for how long the token that is held is good, after asking for one if none is.
    pub(super) async fn token_lifetime(&self) -> Result<Duration, ApiError> {
        self.token_cache.current(&self.transport).await?;
        Ok(self.token_cache.current_lifetime().await.unwrap_or_default())
    }

    /// Returns the wire, to put what came over it into words.
    pub(super) fn transport(&self) -> &ApiTransport {
        &self.transport
    }

    async fn send_once(
        &self,
        token: &AccessToken,
        call: &ApiCall<'_>,
    ) -> ClassifiedExchange<ParsedEnvelope> {
        let exchange = self.transport.exchange(call, Some(&token.header)).await;
        let meaning = classify::classify(&exchange.outcome);
        ClassifiedExchange { classification: meaning, exchange }
    }
}

fn paid_call(endpoint: V3Endpoint<'_>, body: Bytes) -> ApiCall<'_> {
    ApiCall {
        cost: CallCost::Paid,
        method: Method::POST,
        endpoint,
        body: Some(body),
        body_handling: BodyHandling::Json,
    }
}

pub(super) fn free_call(method: Method, endpoint: V3Endpoint<'_>) -> ApiCall<'_> {
    ApiCall {
        cost: CallCost::Free,
        method,
        endpoint,
        body: None,
        body_handling: BodyHandling::Json,
    }
}

/// Turns the failure to get a token into the answer of a paid call: nothing paid was taken, since
/// it was either never sent or clearly turned away before.
fn outcome_without_token<T>(trouble: ApiError) -> PaidCallOutcome<T> {
    let no_token = |why: String| {
        let words = format!("no access token was to be had: {why}");
        PaidCallOutcome::NotSent(NotSentReason { kind: NotSentKind::NoToken, message: words })
    };
    match trouble {
        ApiError::NotSent(reason) => PaidCallOutcome::NotSent(reason),
        ApiError::RateLimited { retry_after, response: heard } => {
            PaidCallOutcome::RateLimited { retry_after, response: heard }
        }
        ApiError::Account(trouble) => PaidCallOutcome::Account(trouble),
        ApiError::Moved { to } => PaidCallOutcome::Moved { to },
        ApiError::Refused(refusal) => no_token(refusal.to_string()),
        ApiError::UnusableResponse(evidence) => no_token(evidence.to_string()),
        ApiError::NotFound => no_token("the token end point is not there".to_owned()),
    }
}

/// Returns the words of a progress answer that says `success: false` because the *render* failed.
fn render_failure_text(verdict: &ClassifiedExchange<ParsedEnvelope>) -> Option<&ErrorText> {
    let in_a_2xx = verdict.exchange.status().is_some_and(|status| (200..300).contains(&status));
    match &verdict.classification {
        Classification::Refused(_, words)
        | Classification::Unknown(
            UnknownReason::ServiceFailure | UnknownReason::UnclearMessage,
            words,
        ) if in_a_2xx && words.is_render_failure() => Some(words),
        Classification::Succeeded(_)
        | Classification::NotSent(_)
        | Classification::Refused(..)
        | Classification::TokenRefused(_)
        | Classification::Account(..)
        | Classification::RateLimited
        | Classification::Moved
        | Classification::Unknown(..) => None,
    }
}

/// Returns what is said about a failed render, inside the envelope or around it.
fn parse_failure_text(said: &ParsedEnvelope) -> ErrorText {
    let inside = ErrorText::from_json(said.data());
    if inside.text.is_empty() { ErrorText::from_json(said.root()) } else { inside }
}

pub(super) fn is_unauthenticated(said: &ParsedEnvelope) -> bool {
    let data = said.data();
    let yes = envelope::parse_flag(data, "isAuthenticated") == Some(true)
        || (said.success == SuccessClaim::Yes && data.as_bool() == Some(true));
    !yes
}

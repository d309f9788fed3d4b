//! The V3 client: one function per API call.
//!
//! A call that may cost money sends one request, and a second one only if the first was clearly
//! refused because of its token. Nothing here waits, retries or keeps state beyond the token.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use url::Url;

use super::call_error::{CallError, TransientCause};
use super::classify::{self, Classification, ClassifiedExchange};
use super::envelope::{self, ParsedEnvelope, SuccessClaim};
use super::error_text::ErrorText;
use super::exchange::{ApiCall, ApiTransport, BodyHandling, CallCost, V3Endpoint};
use super::project::{
    ExportRequest, ProgressReport, ProjectDetails, ProjectId, ProjectList, RenderState,
};
use super::settings::{ClientSettings, ClientSetupError};
use super::studio_api::CreateRequest;
use super::submit_outcome::{AccountRefusalKind, SubmitOutcome, UnknownReason};
use super::token::{AccessToken, TokenCache};
use crate::clock::Clock;
use crate::http::{
    DownloadError, DownloadResume, Downloader, HttpDownload, NotSentKind, retry_after,
};

/// A client of one AI Studios account. Share it behind an [`Arc`](std::sync::Arc), so that all its
/// users share the token and the connections.
pub struct ApiClient {
    transport: ApiTransport,
    token_cache: TokenCache,
    downloader: Downloader,
    settings: ClientSettings,
}

impl std::fmt::Debug for ApiClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiClient").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The result of a successful check of the credentials.
#[derive(Clone, Debug, PartialEq)]
pub struct CredentialCheck {
    /// The server's time, to the second, if it sent one.
    pub server_time: Option<Timestamp>,
    /// How far this machine's clock is ahead of the server's; negative when it is behind. Accurate
    /// to a second or two, since the server rounds and the response takes time.
    pub clock_ahead: Option<SignedDuration>,
}

impl ApiClient {
    /// Creates a client. Nothing is sent yet.
    ///
    /// # Errors
    /// A setting would put the credentials at risk or can never work, or this machine cannot create
    /// a TLS client.
    pub fn new(settings: ClientSettings, clock: Clock) -> Result<Self, ClientSetupError> {
        let settings = settings.validate()?;
        let transport = ApiTransport::new(&settings, clock.clone())?;
        let downloader =
            Downloader::new(settings.download_options(), transport.redactor.clone(), clock)?;
        let token_cache = TokenCache::new(settings.credentials.clone());
        Ok(Self { transport, token_cache, downloader, settings })
    }

    /// Creates or changes a project; the body decides by its `isExport` whether a render starts.
    /// May cost money.
    pub async fn create_project(&self, request: CreateRequest) -> SubmitOutcome<ProjectId> {
        let body = request.body.clone().into();
        let call = ApiCall::paid(V3Endpoint::CreateProject(&request), body);
        self.submit(&call, classify::parse_created).await
    }

    /// Starts the render of a project. May cost money.
    ///
    /// The id in the response may differ from the requested one, or be missing
    /// (docs/internals/vendor-api.md, "Export").
    pub async fn export_project(
        &self,
        request: &ExportRequest,
    ) -> SubmitOutcome<Option<ProjectId>> {
        let call = ApiCall::paid(V3Endpoint::Export, request.to_json().into());
        self.submit(&call, classify::parse_exported).await
    }

    async fn submit<T>(
        &self,
        call: &ApiCall<'_>,
        parse: fn(ParsedEnvelope) -> Result<T, UnknownReason>,
    ) -> SubmitOutcome<T> {
        match self.send_with_token(call).await {
            Ok(exchange) => exchange.and_then(parse).into_submit_outcome(&self.transport),
            Err(error) => outcome_without_token(error),
        }
    }

    /// Returns the progress of a render. Costs nothing.
    ///
    /// # Errors
    /// See [`CallError`]. A response that reports the render itself as failed is not an error but
    /// [`RenderState::Failed`] with the vendor's message.
    pub async fn render_progress(&self, id: &ProjectId) -> Result<ProgressReport, CallError> {
        self.fetch_progress(V3Endpoint::Progress(id)).await
    }

    /// Returns the progress of a project that AI Studios generates by itself. Costs nothing.
    ///
    /// # Errors
    /// See [`Self::render_progress`].
    pub async fn generation_progress(&self, id: &ProjectId) -> Result<ProgressReport, CallError> {
        self.fetch_progress(V3Endpoint::GenerationProgress(id)).await
    }

    async fn fetch_progress(&self, endpoint: V3Endpoint<'_>) -> Result<ProgressReport, CallError> {
        let exchange = self.send_with_token(&ApiCall::free(Method::GET, endpoint)).await?;
        if let Some(text) = render_failure_text(&exchange) {
            let state = RenderState::parse("failed");
            let message = Some(self.transport.redact_line(&text.text));
            return Ok(ProgressReport { percent: None, state, download_url: None, message });
        }
        let report = exchange.and_then(|body| {
            let mut progress =
                ProgressReport::parse(body.data()).ok_or(UnknownReason::Incomplete)?;
            if matches!(progress.state, Some(RenderState::Failed(_))) {
                let message = self.transport.redact_line(&parse_failure_text(&body).text);
                progress.message = (!message.is_empty()).then_some(message);
            }
            Ok(progress)
        });
        report.into_project_result(&self.transport)
    }

    /// Returns one project. Costs nothing.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn fetch_project(&self, id: &ProjectId) -> Result<ProjectDetails, CallError> {
        let call = ApiCall::free(Method::GET, V3Endpoint::Project(id));
        let exchange = self.send_with_token(&call).await?;
        let project = exchange.and_then(|body| {
            ProjectDetails::parse(body.data(), id).ok_or(UnknownReason::Incomplete)
        });
        project.into_project_result(&self.transport)
    }

    /// Returns one project as AI Studios shows it, for a template. Costs nothing.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn fetch_project_document(&self, id: &ProjectId) -> Result<Value, CallError> {
        let call = ApiCall::free(Method::GET, V3Endpoint::Project(id));
        let exchange = self.send_with_token(&call).await?;
        let document = exchange.and_then(|body| match body.data() {
            data @ Value::Object(_) => Ok(data.clone()),
            _ => Err(UnknownReason::Incomplete),
        });
        document.into_project_result(&self.transport)
    }

    /// Returns the account's projects, as far as AI Studios lists them. Costs nothing.
    ///
    /// # Errors
    /// See [`CallError`]. A list that is cut, larger than 64 MB, or not understood is
    /// [`CallError::Transient`], so that it cannot be mistaken for an empty one.
    pub async fn list_projects(&self) -> Result<ProjectList, CallError> {
        let call = ApiCall {
            body_handling: BodyHandling::List,
            ..ApiCall::free(Method::GET, V3Endpoint::Projects)
        };
        let mut exchange = self.send_with_token(&call).await?;
        match exchange.exchange.listing.take() {
            Some(listing) => Ok(listing),
            None => exchange
                .and_then(|_no_list| Err(UnknownReason::Incomplete))
                .into_result(&self.transport),
        }
    }

    /// Deletes projects and returns how many AI Studios reports as deleted. Costs nothing.
    ///
    /// # Errors
    /// See [`CallError`]. Without `ids` nothing is sent and 0 is returned, because the effect of an
    /// empty list is not documented.
    pub async fn delete_projects(&self, ids: &[ProjectId]) -> Result<u64, CallError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let body = json!({ "ids": ids }).to_string();
        let call = ApiCall {
            body: Some(body.into()),
            ..ApiCall::free(Method::DELETE, V3Endpoint::Projects)
        };
        let exchange = self.send_with_token(&call).await?;
        let count = exchange.and_then(|body| {
            envelope::first_number(body.data(), &["deletedCount", "deleted_count"])
                .filter(|count| *count >= 0.0)
                .map(|count| count as u64)
                .ok_or(UnknownReason::Incomplete)
        });
        count.into_result(&self.transport)
    }

    /// Checks the credentials. Costs nothing.
    ///
    /// # Errors
    /// See [`CallError`]. A response without a clear confirmation is [`CallError::Account`].
    pub async fn check_credentials(&self) -> Result<CredentialCheck, CallError> {
        let call = ApiCall::free(Method::GET, V3Endpoint::Auth);
        let mut exchange = self.send_with_token(&call).await?;
        if let Classification::Succeeded(body) = &exchange.classification
            && is_unauthenticated(body)
        {
            exchange.classification = Classification::Account(
                AccountRefusalKind::CredentialsRefused,
                ErrorText::from_json(body.root()),
            );
        }
        let response = exchange.exchange.response();
        let date = response.and_then(|response| response.date_header.as_deref());
        let server_time = date.and_then(retry_after::parse_http_date);
        let now = self.transport.clock.now();
        let clock_ahead = server_time.map(|server_time| now.duration_since(server_time));
        exchange
            .and_then(|_confirmed| Ok(CredentialCheck { server_time, clock_ahead }))
            .into_result(&self.transport)
    }

    /// Starts a download. The token is not sent; at most three redirects are followed, and each
    /// address is checked (public, http or https) unless the API itself is on loopback.
    ///
    /// # Errors
    /// See [`DownloadError`].
    pub async fn start_download(
        &self,
        url: &Url,
        resume: Option<&DownloadResume>,
    ) -> Result<HttpDownload, DownloadError> {
        self.downloader.start(url, resume).await
    }

    /// Sends `call` with a token; a free one a second time with a new token if that one was refused.
    ///
    /// A call that may cost money is sent once: a service may refuse what it has begun, so the caller
    /// checks first. Whether the credentials are to blame is found out with a free call.
    pub(super) async fn send_with_token(
        &self,
        call: &ApiCall<'_>,
    ) -> Result<ClassifiedExchange<ParsedEnvelope>, CallError> {
        let token = self.token_cache.current(&self.transport).await?;
        let exchange = self.send_once(&token, call).await;
        if !matches!(exchange.classification, Classification::TokenRefused(_)) {
            self.token_cache.note_accepted(&token);
            return Ok(exchange);
        }
        tracing::debug!("the access token was refused; requesting a new one");
        let replaced = self.token_cache.replace_refused(&token, &self.transport).await;
        match (call.cost, replaced) {
            (CallCost::Free, replaced) => self.send_with_fresh_token(replaced?, call).await,
            (CallCost::Paid, Ok(replaced)) if !self.token_cache.was_accepted(&token) => {
                let check = ApiCall::free(Method::GET, V3Endpoint::Auth);
                self.send_with_fresh_token(replaced, &check).await?;
                Ok(exchange)
            }
            (CallCost::Paid, Ok(_) | Err(CallError::Transient { .. })) => Ok(exchange),
            (CallCost::Paid, Err(error)) => Err(error),
        }
    }

    /// Sends a free `call` with a token that was just requested. Another command of the account may end it
    /// before it is used, so it is tried a few times before the credentials are to blame.
    async fn send_with_fresh_token(
        &self,
        mut token: AccessToken,
        call: &ApiCall<'_>,
    ) -> Result<ClassifiedExchange<ParsedEnvelope>, CallError> {
        loop {
            let exchange = self.send_once(&token, call).await;
            let Classification::TokenRefused(text) = &exchange.classification else {
                self.token_cache.note_accepted(&token);
                return Ok(exchange);
            };
            if self.token_cache.note_fresh_refusal(&token) {
                let kind = AccountRefusalKind::CredentialsRefused;
                let message = classify::account_message(kind, text, &self.transport);
                return Err(CallError::Account { kind, message });
            }
            self.transport.clock.sleep(token.retry_pause()).await;
            token = self.token_cache.replace_refused(&token, &self.transport).await?;
        }
    }

    /// Returns the lifetime of the current token, after requesting one if there is none.
    pub(super) async fn token_lifetime(&self) -> Result<Duration, CallError> {
        self.token_cache.current(&self.transport).await?;
        Ok(self.token_cache.current_lifetime().await.unwrap_or_default())
    }

    pub(super) fn transport(&self) -> &ApiTransport {
        &self.transport
    }

    async fn send_once(
        &self,
        token: &AccessToken,
        call: &ApiCall<'_>,
    ) -> ClassifiedExchange<ParsedEnvelope> {
        let exchange = self.transport.exchange(call, Some(&token.header)).await;
        ClassifiedExchange::new(exchange)
    }
}

/// Converts the failure to obtain a token into the outcome of a paid call: certainly not accepted,
/// since the paid request was either never sent or clearly refused before.
fn outcome_without_token<T>(error: CallError) -> SubmitOutcome<T> {
    let no_token = |message: String| SubmitOutcome::NotSent {
        kind: NotSentKind::NoToken,
        message: format!("no access token: {message}"),
    };
    match error {
        CallError::Transient { cause: TransientCause::NotSent(kind), message, .. } => {
            SubmitOutcome::NotSent { kind, message }
        }
        CallError::Transient { cause: TransientCause::Unusable(_), message, .. }
        | CallError::Refused { message, .. } => no_token(message),
        CallError::RateLimited { retry_after } => SubmitOutcome::RateLimited { retry_after },
        CallError::Account { kind, message } => SubmitOutcome::Account { kind, message },
        CallError::Moved { message } => SubmitOutcome::Moved { message },
        CallError::NotFound => no_token("the token endpoint does not exist".to_owned()),
    }
}

/// Returns the message of a progress response with `success: false` because the *render* failed.
fn render_failure_text(exchange: &ClassifiedExchange<ParsedEnvelope>) -> Option<&ErrorText> {
    let is_2xx = exchange.exchange.status().is_some_and(|status| (200..300).contains(&status));
    match &exchange.classification {
        Classification::Refused(_, text)
        | Classification::Unknown(
            UnknownReason::ServiceFailure | UnknownReason::UnclearMessage,
            text,
        ) if is_2xx && text.is_render_failure() => Some(text),
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

/// Returns the message about a failed render, inside the envelope or around it.
fn parse_failure_text(body: &ParsedEnvelope) -> ErrorText {
    let inside = ErrorText::from_json(body.data());
    if inside.text.is_empty() { ErrorText::from_json(body.root()) } else { inside }
}

pub(super) fn is_unauthenticated(body: &ParsedEnvelope) -> bool {
    let data = body.data();
    let is_confirmed = envelope::parse_flag(data, "isAuthenticated") == Some(true)
        || (body.success == SuccessClaim::Yes && data.as_bool() == Some(true));
    !is_confirmed
}

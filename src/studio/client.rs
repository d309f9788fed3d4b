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

use super::{
    answer::{AccountKind, Answer, Doubt, Reason, ReasonKind},
    download::{self, Download, DownloadTrouble, Resume},
    envelope::{self, Claim, Said},
    listing::Listing,
    meaning::{self, Meaning},
    project::{ExportRequest, Progress, Project, ProjectId, RenderState},
    retry_after,
    settings::{Settings, SetupError},
    token::{Token, Tokens},
    trouble::Trouble,
    vendor_words::Words,
    verdict::{self, Verdict},
    wire::{Call, Endpoint, Lane, Sink, Wire},
};
use crate::clock::Clock;

/// Speaks to one AI Studios account. Share it behind an [`Arc`](std::sync::Arc): its token and its
/// connections are for everyone.
pub struct Client {
    wire: Wire,
    tokens: Tokens,
    settings: Settings,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The credentials are good.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirmed {
    /// The server's own reading of the time, to the second, if it gave one.
    pub server_time: Option<Timestamp>,
    /// How far this machine's clock is ahead of the server's; negative when it is behind. No
    /// better than a second or two, for the server rounds and the answer travels.
    pub clock_ahead: Option<SignedDuration>,
}

impl Client {
    /// Makes a client. Nothing is sent yet.
    ///
    /// # Errors
    /// A setting would put the credentials at risk or can never work, or this machine can make no
    /// TLS client.
    pub fn new(settings: Settings, clock: Clock) -> Result<Self, SetupError> {
        let settings = settings.checked()?;
        let wire = Wire::new(&settings, clock)?;
        Ok(Self { wire, tokens: Tokens::new(settings.credentials.clone()), settings })
    }

    /// Creates a project from `body`, which decides by its `isExport` whether a render starts
    /// (vendor reference, `create-project` page). May cost money.
    pub async fn create(&self, body: Vec<u8>) -> Answer<ProjectId> {
        self.make_at(Endpoint::Projects, body).await
    }

    /// Makes a project at another end point: `path` below the API's root, and `template` the same
    /// as the reference prints it. Whether it costs anything is in the body.
    pub async fn make(&self, template: &str, path: &str, body: Vec<u8>) -> Answer<ProjectId> {
        self.make_at(Endpoint::Make(template, path), body).await
    }

    async fn make_at(&self, endpoint: Endpoint<'_>, body: Vec<u8>) -> Answer<ProjectId> {
        let call = paid(endpoint, body.into());
        match self.ask(&call).await {
            Ok(verdict) => verdict.read(meaning::created).into_answer(&self.wire),
            Err(trouble) => without_token(trouble),
        }
    }

    /// Asks for a project to be rendered. May cost money.
    ///
    /// The id in the answer may differ from the one that was asked (`AISTUDIOS_V3 §3.5`), and may
    /// be missing.
    pub async fn export(&self, request: &ExportRequest) -> Answer<Option<ProjectId>> {
        let call = paid(Endpoint::Export, request.body().into());
        match self.ask(&call).await {
            Ok(verdict) => verdict.read(meaning::exported).into_answer(&self.wire),
            Err(trouble) => without_token(trouble),
        }
    }

    /// Returns how far a render is. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`]. An answer that says the render itself failed is no error but a
    /// [`RenderState::Failed`] with the vendor's words.
    pub async fn progress(&self, id: &ProjectId) -> Result<Progress, Trouble> {
        self.progress_at(Endpoint::Progress(id)).await
    }

    /// Returns how far AI Studios is with a project that it makes by itself (`AISTUDIOS_V3 §6.2`).
    /// Costs nothing.
    ///
    /// # Errors
    /// See [`Self::progress`].
    pub async fn generation(&self, id: &ProjectId) -> Result<Progress, Trouble> {
        self.progress_at(Endpoint::Generation(id)).await
    }

    async fn progress_at(&self, endpoint: Endpoint<'_>) -> Result<Progress, Trouble> {
        let verdict = self.ask(&free(Method::GET, endpoint)).await?;
        if let Some(words) = failed_render(&verdict) {
            let state = RenderState::parse("failed");
            let words = Some(self.wire.shown(&words.text));
            return Ok(Progress { percent: None, state, download_url: None, words });
        }
        let read = verdict.read(|said| {
            let mut progress = Progress::read(said.data()).ok_or(Doubt::Incomplete)?;
            if matches!(progress.state, Some(RenderState::Failed(_))) {
                let words = self.wire.shown(&failure_words(&said).text);
                progress.words = (!words.is_empty()).then_some(words);
            }
            Ok(progress)
        });
        read.into_result_about_one(&self.wire)
    }

    /// Returns one project. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn project(&self, id: &ProjectId) -> Result<Project, Trouble> {
        let verdict = self.ask(&free(Method::GET, Endpoint::Project(id))).await?;
        let read = verdict.read(|said| Project::read(said.data(), id).ok_or(Doubt::Incomplete));
        read.into_result_about_one(&self.wire)
    }

    /// Returns the account's projects, all that the list shows or nothing. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`]. A list that is cut, larger than 64 MB, or not understood is
    /// [`Trouble::Broken`], so that nobody takes it for an empty one.
    pub async fn list(&self) -> Result<Listing, Trouble> {
        let call = Call { sink: Sink::List, ..free(Method::GET, Endpoint::Projects) };
        let mut verdict = self.ask(&call).await?;
        match verdict.exchange.listing.take() {
            Some(listing) => Ok(listing),
            None => verdict.read(|_no_list| Err(Doubt::Incomplete)).into_result(&self.wire),
        }
    }

    /// Deletes projects and returns how many the service says it deleted. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`]. Without `ids` nothing is asked and 0 returned, because nobody knows what
    /// the service would make of an empty list.
    pub async fn delete(&self, ids: &[ProjectId]) -> Result<u64, Trouble> {
        if ids.is_empty() {
            return Ok(0);
        }
        let body = json!({ "ids": ids }).to_string();
        let call = Call { body: Some(body.into()), ..free(Method::DELETE, Endpoint::Projects) };
        let verdict = self.ask(&call).await?;
        let read = verdict.read(|said| {
            let count = envelope::number(said.data(), &["deletedCount", "deleted_count"]);
            count.filter(|count| *count >= 0.0).map(|count| count as u64).ok_or(Doubt::Incomplete)
        });
        read.into_result(&self.wire)
    }

    /// Asks whether the credentials are good. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`]. Anything but a plain yes is [`Trouble::Account`].
    pub async fn confirm(&self) -> Result<Confirmed, Trouble> {
        let verdict = self.ask(&free(Method::GET, Endpoint::Confirm)).await?;
        let Verdict { meaning, exchange } = verdict;
        let meaning = match meaning {
            Meaning::Succeeded(said) if says_no(&said) => {
                Meaning::Account(AccountKind::CredentialsRefused, Words::of_json(said.root()))
            }
            Meaning::Succeeded(_)
            | Meaning::NotSent(_)
            | Meaning::Refused(..)
            | Meaning::Token(_)
            | Meaning::Account(..)
            | Meaning::SlowDown
            | Meaning::Moved
            | Meaning::Unknown(..) => meaning,
        };
        let date = exchange.reply().and_then(|reply| reply.date.clone());
        let server_time = date.as_deref().and_then(retry_after::http_date);
        let now = self.wire.clock.now();
        let confirmed = Confirmed {
            server_time,
            clock_ahead: server_time.map(|theirs| now.duration_since(theirs)),
        };
        Verdict { meaning, exchange }.read(|_yes| Ok(confirmed)).into_result(&self.wire)
    }

    /// Begins a download. The token does not go along; at most three redirects are followed, and
    /// each address is checked (public, http or https) unless the API itself is on loopback.
    ///
    /// # Errors
    /// See [`DownloadTrouble`].
    pub async fn download(
        &self,
        url: &Url,
        resume: Option<&Resume>,
    ) -> Result<Download, DownloadTrouble> {
        download::begin(&self.wire, &self.settings, url, resume).await
    }

    /// Sends `call` with a token; once more with a new one if that token was clearly refused.
    pub(super) async fn ask(&self, call: &Call<'_>) -> Result<Verdict<Said>, Trouble> {
        let token = self.tokens.current(&self.wire).await?;
        let verdict = self.ask_with(&token, call).await;
        if !matches!(verdict.meaning, Meaning::Token(_)) {
            return Ok(verdict);
        }
        tracing::debug!("the access token was refused; asking for a new one");
        let token = self.tokens.after_refusal_of(&token, &self.wire).await?;
        let Verdict { meaning, exchange } = self.ask_with(&token, call).await;
        if let Meaning::Token(words) = meaning {
            let kind = AccountKind::CredentialsRefused;
            let trouble = verdict::account(kind, words, &exchange, &self.wire);
            return Err(Trouble::Account(trouble));
        }
        Ok(Verdict { meaning, exchange })
    }

    /// Returns for how long the token that is held is good, after asking for one if none is.
    pub(super) async fn life_of_token(&self) -> Result<Duration, Trouble> {
        self.tokens.current(&self.wire).await?;
        Ok(self.tokens.life().await.unwrap_or_default())
    }

    /// Returns the wire, to put what came over it into words.
    pub(super) fn wire(&self) -> &Wire {
        &self.wire
    }

    async fn ask_with(&self, token: &Token, call: &Call<'_>) -> Verdict<Said> {
        let exchange = self.wire.exchange(call, Some(&token.header)).await;
        let meaning = meaning::of(&exchange.outcome);
        Verdict { meaning, exchange }
    }
}

fn paid(endpoint: Endpoint<'_>, body: Bytes) -> Call<'_> {
    Call { lane: Lane::Paid, method: Method::POST, endpoint, body: Some(body), sink: Sink::Json }
}

pub(super) fn free(method: Method, endpoint: Endpoint<'_>) -> Call<'_> {
    Call { lane: Lane::Free, method, endpoint, body: None, sink: Sink::Json }
}

/// Turns the failure to get a token into the answer of a paid call: nothing paid was taken, since
/// it was either never sent or clearly turned away before.
fn without_token<T>(trouble: Trouble) -> Answer<T> {
    let no_token = |why: String| {
        let words = format!("no access token was to be had: {why}");
        Answer::NotSent(Reason { kind: ReasonKind::NoToken, words })
    };
    match trouble {
        Trouble::Unreachable(reason) => Answer::NotSent(reason),
        Trouble::SlowDown { retry_after, heard } => Answer::SlowDown { retry_after, heard },
        Trouble::Account(trouble) => Answer::Account(trouble),
        Trouble::Moved { to } => Answer::Moved { to },
        Trouble::Refused(refusal) => no_token(refusal.to_string()),
        Trouble::Broken(evidence) => no_token(evidence.to_string()),
        Trouble::NotFound => no_token("the token end point is not there".to_owned()),
    }
}

/// Returns the words of a progress answer that says `success: false` because the *render* failed.
fn failed_render(verdict: &Verdict<Said>) -> Option<&Words> {
    let in_a_2xx = verdict.exchange.status().is_some_and(|status| (200..300).contains(&status));
    match &verdict.meaning {
        Meaning::Refused(_, words)
        | Meaning::Unknown(Doubt::OwnTrouble | Doubt::Unclear, words)
            if in_a_2xx && words.tell_of_a_failed_render() =>
        {
            Some(words)
        }
        Meaning::Succeeded(_)
        | Meaning::NotSent(_)
        | Meaning::Refused(..)
        | Meaning::Token(_)
        | Meaning::Account(..)
        | Meaning::SlowDown
        | Meaning::Moved
        | Meaning::Unknown(..) => None,
    }
}

/// Returns what is said about a failed render, inside the envelope or around it.
fn failure_words(said: &Said) -> Words {
    let inside = Words::of_json(said.data());
    if inside.text.is_empty() { Words::of_json(said.root()) } else { inside }
}

pub(super) fn says_no(said: &Said) -> bool {
    let data = said.data();
    let yes = envelope::flag(data, "isAuthenticated") == Some(true)
        || (said.success == Claim::Yes && data.as_bool() == Some(true));
    !yes
}

//! What came of a request that may cost money, in the words the rest of the program acts on.
//!
//! Plain data and how it reads; nothing here decides anything. Every text in these types has been
//! redacted and stripped of control characters before it got here, so they may be stored and shown.

use std::{fmt, time::Duration};

/// What AI Studios made of a request that may cost money.
#[derive(Clone, Debug, PartialEq)]
pub enum PaidCallOutcome<T> {
    /// Taken: a success status, `success: true`, and what was asked for.
    Accepted(T),
    /// Certainly not taken, because not a byte of the request left this machine.
    NotSent(NotSentReason),
    /// Certainly not taken: the request itself was turned down. The same bytes will be again.
    Refused(RequestRefusal),
    /// Certainly not taken, and no other request of this account will be until a person acts.
    Account(AccountRefusal),
    /// Certainly not taken, for now.
    RateLimited {
        /// How long the service asked to be left alone, at most 24 h. `None`: it did not say.
        retry_after: Option<Duration>,
        /// The answer itself.
        response: ResponseRecord,
    },
    /// The host answered 307 or 308: the API lives elsewhere. Nothing was followed.
    Moved {
        /// Where to, without query.
        to: Option<String>,
    },
    /// It may or may not have been taken. Sending it again could cost money twice.
    Unknown(UnknownResponse),
}

/// An answer that was read to its end, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResponseRecord {
    /// HTTP status.
    pub status: u16,
    /// The beginning of the body: at most 2 KB of text, secrets out.
    pub body: String,
    /// From the first attempt to connect until the last byte.
    pub elapsed: Duration,
}

/// What is known about a request whose fate is not.
#[derive(Clone, Debug, PartialEq)]
pub struct UnknownResponse {
    /// Why it cannot be told.
    pub reason: UnknownReason,
    /// HTTP status, if an answer began.
    pub status: Option<u16>,
    /// As much of the body as came: at most 2 KB of text, secrets out.
    pub body: String,
    /// From the first attempt to connect until we gave up.
    pub elapsed: Duration,
    /// How long the service asked to be left alone, as a 503 may. At most 24 h.
    pub retry_after: Option<Duration>,
}

/// Why an answer does not say what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownReason {
    /// No whole answer within the time-out.
    TimedOut,
    /// The connection broke before an answer began.
    ConnectionLost,
    /// The answer ends before its announced end.
    Truncated,
    /// The body is larger than any answer of this call may be.
    TooLarge,
    /// A 5xx: gateways send these after the work was taken as well.
    ServerError,
    /// A status that does not say whether the request was taken (408, 409, 425 and rarer ones).
    UnclassifiedStatus,
    /// 301, 302 or 303, which may be the redirect *after* a request was taken.
    Redirected,
    /// An HTML page where JSON was due: a portal, a firewall, or a wrong host.
    Html,
    /// Neither JSON nor HTML.
    NotJson,
    /// It says success, but what was asked for is not in it, or not plausible.
    Incomplete,
    /// Status and body contradict each other.
    Contradiction,
    /// `success: false`, in words that may follow acceptance (an internal error, a time-out).
    ServiceFailure,
    /// `success: false`, in words that are no clear refusal.
    UnclearMessage,
}

/// Why not a byte was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct NotSentReason {
    /// Which step failed.
    pub kind: NotSentKind,
    /// What is wrong and what to do, for a person.
    pub message: String,
}

/// The step before the first byte that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSentKind {
    /// The host's name has no address.
    NameNotFound,
    /// The host could not be reached.
    Unreachable,
    /// The connect time-out passed, name look-up and TLS included.
    ConnectTimedOut,
    /// No trusted TLS connection came about.
    TlsFailed,
    /// No access token could be had, so the request was not begun.
    NoToken,
    /// The request could not even be put together.
    InvalidRequest,
}

/// A request turned down for what it asks.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestRefusal {
    /// What kind of fault the service found.
    pub kind: RefusalKind,
    /// The vendor's own words, at most 300 characters; ours if it had none.
    pub message: String,
    /// The vendor's error code, if it gave one. No V3 code is documented (`AISTUDIOS_V3 §1.4`).
    pub code: Option<String>,
    /// The answer itself.
    pub response: ResponseRecord,
}

/// The kinds of fault that a refusal names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// Something in the payload.
    Validation,
    /// What it points to does not exist.
    NotFound,
    /// The payload is too large.
    TooLarge,
}

/// Trouble that every request of the account would meet.
#[derive(Clone, Debug, PartialEq)]
pub struct AccountRefusal {
    /// Which trouble.
    pub kind: AccountRefusalKind,
    /// The vendor's own words, at most 300 characters; may be empty.
    pub message: String,
    /// The answer itself.
    pub response: ResponseRecord,
}

/// The kinds of account trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountRefusalKind {
    /// The token end point refuses the credentials, or a fresh token is refused.
    CredentialsRefused,
    /// 402, or words that say the credits are gone.
    NoCredits,
    /// 403: the account may not do this at all.
    Forbidden,
}

impl fmt::Display for NotSentReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for RequestRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AI Studios refused it: {}", self.message)?;
        match &self.code {
            Some(code) => write!(f, " (code {code})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for AccountRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            AccountRefusalKind::CredentialsRefused => {
                "AI Studios refused the credentials: check the app id and user key, and that they \
                 belong to this region"
            }
            AccountRefusalKind::NoCredits => {
                "the account's credits are gone: top them up, then run the same command again"
            }
            AccountRefusalKind::Forbidden => {
                "AI Studios does not let this account do that: ask whether its plan and workspace \
                 include the API"
            }
        })?;
        if self.message.is_empty() { Ok(()) } else { write!(f, " (it said: {})", self.message) }
    }
}

impl fmt::Display for UnknownResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(f, "HTTP {status}, ")?;
        }
        write!(f, "{} (after {:.1} s)", self.reason, self.elapsed.as_secs_f64())
    }
}

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "no whole answer came in time",
            Self::ConnectionLost => "the connection broke before an answer came",
            Self::Truncated => "the answer was cut short",
            Self::TooLarge => "the answer is larger than it can rightly be",
            Self::ServerError => "trouble on the server's side",
            Self::UnclassifiedStatus => "a status that does not tell what happened",
            Self::Redirected => "a redirect, which was not followed",
            Self::Html => "a web page instead of an API answer: check `base_url` and any proxy",
            Self::NotJson => "an answer that is not JSON",
            Self::Incomplete => "an answer without what was asked for",
            Self::Contradiction => "an answer that contradicts itself",
            Self::ServiceFailure => "the service reports trouble of its own",
            Self::UnclearMessage => "the service reports failure in words we do not know",
        })
    }
}

impl<T> PaidCallOutcome<T> {
    /// Returns the same answer about something else.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> PaidCallOutcome<U> {
        match self {
            Self::Accepted(value) => PaidCallOutcome::Accepted(change(value)),
            Self::NotSent(reason) => PaidCallOutcome::NotSent(reason),
            Self::Refused(refusal) => PaidCallOutcome::Refused(refusal),
            Self::Account(trouble) => PaidCallOutcome::Account(trouble),
            Self::RateLimited { retry_after, response: heard } => {
                PaidCallOutcome::RateLimited { retry_after, response: heard }
            }
            Self::Moved { to } => PaidCallOutcome::Moved { to },
            Self::Unknown(evidence) => PaidCallOutcome::Unknown(evidence),
        }
    }
}

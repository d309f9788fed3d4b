//! What came of a request that may cost money, in the words the rest of the program acts on.
//!
//! Plain data and how it reads; nothing here decides anything. Every text in these types has been
//! redacted and stripped of control characters before it got here, so they may be stored and shown.

use std::{fmt, time::Duration};

/// What AI Studios made of a request that may cost money.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<T> {
    /// Taken: a success status, `success: true`, and what was asked for.
    Accepted(T),
    /// Certainly not taken, because not a byte of the request left this machine.
    NotSent(Reason),
    /// Certainly not taken: the request itself was turned down. The same bytes will be again.
    Refused(Refusal),
    /// Certainly not taken, and no other request of this account will be until a person acts.
    Account(AccountTrouble),
    /// Certainly not taken, for now.
    SlowDown {
        /// How long the service asked to be left alone, at most 24 h. `None`: it did not say.
        retry_after: Option<Duration>,
        /// The answer itself.
        heard: Heard,
    },
    /// The host answered 307 or 308: the API lives elsewhere. Nothing was followed.
    Moved {
        /// Where to, without query.
        to: Option<String>,
    },
    /// It may or may not have been taken. Sending it again could cost money twice.
    Unknown(Evidence),
}

/// An answer that was read to its end, as the ledger keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// HTTP status.
    pub status: u16,
    /// The beginning of the body: at most 2 KB of text, secrets out.
    pub body: String,
    /// From the first attempt to connect until the last byte.
    pub elapsed: Duration,
}

/// What is known about a request whose fate is not.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Why it cannot be told.
    pub doubt: Doubt,
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
pub enum Doubt {
    /// No whole answer within the time-out.
    TimedOut,
    /// The connection broke before an answer began.
    ConnectionLost,
    /// The answer ends before its announced end.
    Cut,
    /// The body is larger than any answer of this call may be.
    TooLarge,
    /// A 5xx: gateways send these after the work was taken as well.
    ServerError,
    /// A status that does not say whether the request was taken (408, 409, 425 and rarer ones).
    OddStatus,
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
    OwnTrouble,
    /// `success: false`, in words that are no clear refusal.
    Unclear,
}

/// Why not a byte was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// Which step failed.
    pub kind: ReasonKind,
    /// What is wrong and what to do, for a person.
    pub words: String,
}

/// The step before the first byte that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonKind {
    /// The host's name has no address.
    NameNotFound,
    /// The host could not be reached.
    NotConnected,
    /// The connect time-out passed, name look-up and TLS included.
    ConnectTimedOut,
    /// No trusted TLS connection came about.
    TlsFailed,
    /// No access token could be had, so the request was not begun.
    NoToken,
    /// The request could not even be put together.
    NotBuilt,
}

/// A request turned down for what it asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// What kind of fault the service found.
    pub kind: RefusalKind,
    /// The vendor's own words, at most 300 characters; ours if it had none.
    pub words: String,
    /// The vendor's error code, if it gave one. No V3 code is documented (`AISTUDIOS_V3 §1.4`).
    pub code: Option<String>,
    /// The answer itself.
    pub heard: Heard,
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
pub struct AccountTrouble {
    /// Which trouble.
    pub kind: AccountKind,
    /// The vendor's own words, at most 300 characters; may be empty.
    pub words: String,
    /// The answer itself.
    pub heard: Heard,
}

/// The kinds of account trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountKind {
    /// The token end point refuses the credentials, or a fresh token is refused.
    CredentialsRefused,
    /// 402, or words that say the credits are gone.
    NoCredits,
    /// 403: the account may not do this at all.
    Forbidden,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AI Studios refused it: {}", self.words)?;
        match &self.code {
            Some(code) => write!(f, " (code {code})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for AccountTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            AccountKind::CredentialsRefused => {
                "AI Studios refused the credentials: check the app id and user key, and that they \
                 belong to this region"
            }
            AccountKind::NoCredits => {
                "the account's credits are gone: top them up, then run the same command again"
            }
            AccountKind::Forbidden => {
                "AI Studios does not let this account do that: ask whether its plan and workspace \
                 include the API"
            }
        })?;
        if self.words.is_empty() { Ok(()) } else { write!(f, " (it said: {})", self.words) }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(status) = self.status {
            write!(f, "HTTP {status}, ")?;
        }
        write!(f, "{} (after {:.1} s)", self.doubt, self.elapsed.as_secs_f64())
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "no whole answer came in time",
            Self::ConnectionLost => "the connection broke before an answer came",
            Self::Cut => "the answer was cut short",
            Self::TooLarge => "the answer is larger than it can rightly be",
            Self::ServerError => "trouble on the server's side",
            Self::OddStatus => "a status that does not tell what happened",
            Self::Redirected => "a redirect, which was not followed",
            Self::Html => "a web page instead of an API answer: check `base_url` and any proxy",
            Self::NotJson => "an answer that is not JSON",
            Self::Incomplete => "an answer without what was asked for",
            Self::Contradiction => "an answer that contradicts itself",
            Self::OwnTrouble => "the service reports trouble of its own",
            Self::Unclear => "the service reports failure in words we do not know",
        })
    }
}

impl<T> Answer<T> {
    /// Returns the same answer about something else.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Accepted(value) => Answer::Accepted(change(value)),
            Self::NotSent(reason) => Answer::NotSent(reason),
            Self::Refused(refusal) => Answer::Refused(refusal),
            Self::Account(trouble) => Answer::Account(trouble),
            Self::SlowDown { retry_after, heard } => Answer::SlowDown { retry_after, heard },
            Self::Moved { to } => Answer::Moved { to },
            Self::Unknown(evidence) => Answer::Unknown(evidence),
        }
    }
}

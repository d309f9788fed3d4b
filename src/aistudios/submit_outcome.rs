//! The outcome of a request that may cost money.
//!
//! Plain data and its texts; `classify` decides. Every message has been redacted and stripped of
//! control characters before it gets here, so it may be stored and shown.

use std::{fmt, time::Duration};

use crate::http::NotSentKind;

/// The outcome of a request that may cost money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmitOutcome<T> {
    /// AI Studios accepted it: a success status, `success: true`, and the requested data.
    Accepted(T),
    /// Certainly not accepted: not a byte of the request left this machine.
    NotSent {
        /// The step that failed.
        kind: NotSentKind,
        /// The cause and what to do about it.
        message: String,
    },
    /// Certainly not accepted: AI Studios declined the request itself, and would do so again.
    Refused {
        /// The kind of mistake that AI Studios reports.
        kind: RefusalKind,
        /// The vendor's message and error code, at most 300 characters each.
        message: String,
    },
    /// Certainly not accepted, and no other request of this account will be until the user acts.
    Account {
        /// The kind of account problem.
        kind: AccountRefusalKind,
        /// What to do about it, and the vendor's message.
        message: String,
    },
    /// Declined because of its token, which had worked before: another command of the account may
    /// have ended it. It was not sent again.
    TokenRefused {
        /// The vendor's message.
        message: String,
    },
    /// Certainly not accepted, because of a rate limit.
    RateLimited {
        /// The wait that AI Studios asks for, at most 24 h. `None`: it named none.
        retry_after: Option<Duration>,
    },
    /// The host responded with 307 or 308: the API has moved. No redirect was followed.
    Moved {
        /// The new address without its query, and what to do.
        message: String,
    },
    /// It may or may not have been accepted. Sending it again could cost money twice.
    Unknown {
        /// Why the response leaves this open.
        reason: UnknownReason,
        /// The reason in a sentence, with status and duration.
        message: String,
        /// The wait that AI Studios asks for, as a 503 may. At most 24 h.
        retry_after: Option<Duration>,
    },
}

/// The reason why a response does not show whether a request was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownReason {
    /// No complete response within the time-out.
    TimedOut,
    /// The connection broke before a response began.
    ConnectionLost,
    /// The response ends before its announced end.
    Truncated,
    /// The body is larger than any response to this call may be.
    TooLarge,
    /// A 5xx: gateways also send these after the work was accepted.
    ServerError,
    /// A status that does not show whether the request was accepted (408, 409, 425 and rarer ones).
    UnclassifiedStatus,
    /// 301, 302 or 303, which may be the redirect *after* a request was accepted.
    Redirected,
    /// An HTML page instead of JSON: a captive portal, a firewall, or a wrong host.
    Html,
    /// Neither JSON nor HTML.
    NotJson,
    /// It claims success, but the requested data is missing or implausible.
    Incomplete,
    /// Status and body contradict each other.
    Contradiction,
    /// `success: false`, with a message that may follow acceptance (internal error, time-out).
    ServiceFailure,
    /// `success: false`, with a message that is not clearly a refusal.
    UnclearMessage,
    /// A refusal that may be due to an earlier, identical request.
    RepeatedRequest,
}

/// The kinds of mistake that a refusal names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// Something in the payload.
    Validation,
    /// The payload or the path refers to something that does not exist.
    NotFound,
    /// The payload is too large.
    TooLarge,
}

/// The kinds of account problem, which every request of the account would meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountRefusalKind {
    /// The token endpoint refuses the credentials, or a fresh token is refused.
    CredentialsRefused,
    /// 402, or a message that the credits are used up.
    NoCredits,
    /// 403: the account may not do this at all.
    Forbidden,
}

impl<T> SubmitOutcome<T> {
    /// Converts the value of an accepted request.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> SubmitOutcome<U> {
        match self {
            Self::Accepted(value) => SubmitOutcome::Accepted(convert(value)),
            Self::NotSent { kind, message } => SubmitOutcome::NotSent { kind, message },
            Self::Refused { kind, message } => SubmitOutcome::Refused { kind, message },
            Self::Account { kind, message } => SubmitOutcome::Account { kind, message },
            Self::TokenRefused { message } => SubmitOutcome::TokenRefused { message },
            Self::RateLimited { retry_after } => SubmitOutcome::RateLimited { retry_after },
            Self::Moved { message } => SubmitOutcome::Moved { message },
            Self::Unknown { reason, message, retry_after } => {
                SubmitOutcome::Unknown { reason, message, retry_after }
            }
        }
    }

    /// Replaces the message, where there is one.
    #[must_use]
    pub fn map_message(mut self, convert: impl FnOnce(String) -> String) -> Self {
        match &mut self {
            Self::NotSent { message, .. }
            | Self::Refused { message, .. }
            | Self::Account { message, .. }
            | Self::TokenRefused { message }
            | Self::Moved { message }
            | Self::Unknown { message, .. } => *message = convert(std::mem::take(message)),
            Self::Accepted(_) | Self::RateLimited { .. } => {}
        }
        self
    }
}

impl AccountRefusalKind {
    /// Returns whether free calls are refused as well. Without credits, or without permission to
    /// render, renders in progress can still be followed.
    pub fn blocks_polls(self) -> bool {
        match self {
            Self::CredentialsRefused => true,
            Self::NoCredits | Self::Forbidden => false,
        }
    }

    /// Returns what to do about it.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::CredentialsRefused => {
                "AI Studios refused the credentials: check the app id and user key, and that they \
                 belong to this region"
            }
            Self::NoCredits => "out of credits: top up, then run again",
            Self::Forbidden => {
                "AI Studios does not let this account do that: ask whether its plan and workspace \
                 include the API"
            }
        }
    }
}

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "no complete response in time",
            Self::ConnectionLost => "connection lost before a response arrived",
            Self::Truncated => "the response was cut short",
            Self::TooLarge => "the response is too large",
            Self::ServerError => "server error",
            Self::UnclassifiedStatus => "the status does not show whether it was accepted",
            Self::Redirected => "a redirect, which was not followed",
            Self::Html => "a web page instead of an API response: check `base_url` and any proxy",
            Self::NotJson => "the response is not JSON",
            Self::Incomplete => "the response lacks the requested data",
            Self::Contradiction => "the response contradicts itself",
            Self::ServiceFailure => "AI Studios reports an internal failure",
            Self::UnclearMessage => "AI Studios reports a failure that is not clearly a refusal",
            Self::RepeatedRequest => "refused, perhaps because an earlier request was accepted",
        })
    }
}

//! The failure of a call that costs nothing.
//!
//! Such a call may simply be repeated, so the variants separate only what callers do differently.
//! Messages are redacted before they get here.

use std::time::Duration;

use super::submit_outcome::{AccountRefusalKind, RefusalKind, UnknownReason};
use crate::http::NotSentKind;

/// The failure of a free call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No usable response; worth trying again later.
    #[error("{message}")]
    Transient {
        /// Where the call failed.
        cause: TransientCause,
        /// The cause in a sentence.
        message: String,
        /// The wait that AI Studios asks for, as a 503 may. At most 24 h.
        retry_after: Option<Duration>,
    },
    /// AI Studios limits the rate of requests.
    #[error("rate limited by AI Studios")]
    RateLimited {
        /// The wait that AI Studios asks for, at most 24 h. `None`: it named none.
        retry_after: Option<Duration>,
    },
    /// No call of this account will succeed until the user acts.
    #[error("{message}")]
    Account {
        /// The kind of account problem.
        kind: AccountRefusalKind,
        /// What to do about it, and the vendor's message.
        message: String,
    },
    /// AI Studios declined the request itself.
    #[error("{message}")]
    Refused {
        /// The kind of mistake that AI Studios reports.
        kind: RefusalKind,
        /// The vendor's message and error code.
        message: String,
    },
    /// The host responded with 307 or 308: the API has moved.
    #[error("{message}")]
    Moved {
        /// The new address without its query, and what to do.
        message: String,
    },
    /// AI Studios does not know the project, or not yet; or it does not have the endpoint.
    #[error("AI Studios does not know this project")]
    NotFound,
}

impl CallError {
    /// Returns whether the response is about the project itself, which is not known or not shown. Other
    /// errors say nothing about it.
    pub fn is_about_project(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::NotFound => true,
            Self::Transient { .. }
            | Self::RateLimited { .. }
            | Self::Account { .. }
            | Self::Moved { .. } => false,
        }
    }
}

/// The point at which a free call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransientCause {
    /// The request did not leave this machine.
    NotSent(NotSentKind),
    /// The response was lost, cut, a server error, HTML, or lacked the requested data.
    Unusable(UnknownReason),
}

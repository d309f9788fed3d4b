//! What can go wrong with a call that costs nothing.
//!
//! Such a call may simply be made again, so nothing here is about doubt: the variants say what the
//! caller does differently. Texts are redacted before they get here.

use std::time::Duration;

use super::submit_outcome::{
    AccountRefusal, NotSentReason, RequestRefusal, ResponseRecord, UnknownResponse,
};

/// Why a free call gave nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ApiError {
    /// The request did not leave this machine.
    #[error("{0}")]
    NotSent(NotSentReason),
    /// The service asks for patience.
    #[error("AI Studios asks us to slow down")]
    RateLimited {
        /// How long it asked to be left alone, at most 24 h. `None`: it did not say.
        retry_after: Option<Duration>,
        /// The answer itself.
        response: ResponseRecord,
    },
    /// No call of this account will work until a person acts.
    #[error("{0}")]
    Account(AccountRefusal),
    /// The project asked for is not there, or not there yet.
    #[error("AI Studios does not know this project")]
    NotFound,
    /// The request was turned down for what it asks.
    #[error("{0}")]
    Refused(RequestRefusal),
    /// The host answered 307 or 308: the API lives elsewhere.
    #[error("the API has moved to `{}`: check `base_url`", to.as_deref().unwrap_or("(not said)"))]
    Moved {
        /// Where to, without query.
        to: Option<String>,
    },
    /// There was no usable answer: lost, cut, 5xx, HTML, or not what the call promises.
    #[error("no usable answer: {0}")]
    UnusableResponse(UnknownResponse),
}

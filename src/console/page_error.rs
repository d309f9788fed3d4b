//! Why a request is not answered with a page: the status, and what the user reads.
//!
//! Invariant: a message is ours; no library's text and no path of this machine is shown.

use std::time::Duration;

use axum::http::StatusCode;

use crate::ledger::{ConsoleRole, LedgerError};

/// Why a request fails.
#[derive(Debug)]
pub(crate) enum PageError {
    /// The address was mistyped, or what it showed is gone.
    NotFound(String),
    /// A share link that is unknown, has expired or was revoked.
    LinkEnded,
    /// The method is not one of the address.
    WrongMethod,
    /// What was sent is incomplete or wrong.
    Invalid(String),
    /// What was sent is larger than the limit.
    TooLarge,
    /// What was shown has changed in the meantime, so nothing was done.
    Changed(String),
    /// No session, or one that has ended.
    SignedOut,
    /// The user's role is too small.
    RoleRequired(ConsoleRole),
    /// Too many wrong passwords.
    Throttled(Duration),
    /// The `Host` is none of this console.
    WrongHost,
    /// Another site sent the request.
    CrossSite,
    /// The ledger or the disk failed.
    Unavailable(String),
}

/// The result of a page.
pub(crate) type PageResult = Result<axum::response::Response, PageError>;

impl PageError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) | Self::LinkEnded => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Changed(_) => StatusCode::CONFLICT,
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::RoleRequired(_) | Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Throttled(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::WrongHost => StatusCode::MISDIRECTED_REQUEST,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the heading of its page.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "Not found",
            Self::LinkEnded => "This link has ended",
            Self::WrongMethod | Self::Invalid(_) => "This request cannot be answered",
            Self::TooLarge => "Too large",
            Self::Changed(_) => "Nothing was done",
            Self::SignedOut => "Sign in",
            Self::RoleRequired(_) => "Not allowed",
            Self::Throttled(_) => "Please wait",
            Self::WrongHost | Self::CrossSite => "Rejected",
            Self::Unavailable(_) => "Not available",
        }
    }

    /// Returns what happened, and what to do.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::NotFound(message)
            | Self::Invalid(message)
            | Self::Changed(message)
            | Self::Unavailable(message) => message.clone(),
            Self::LinkEnded => "it expired or was revoked: ask for another one".to_owned(),
            Self::WrongMethod => "this address does not accept that method".to_owned(),
            Self::TooLarge => "what was sent is larger than this address accepts".to_owned(),
            Self::SignedOut => "your session has ended: sign in again".to_owned(),
            Self::RoleRequired(role) => {
                format!("this needs the role `{}`: ask an operator", role.as_str())
            }
            Self::Throttled(left) => {
                let seconds = left.as_secs().max(1);
                format!("too many wrong passwords: try again in {seconds} s")
            }
            Self::WrongHost => "the console does not answer under this name: use the address that \
                 `callsheet serve` printed, or start it with --host NAME"
                .to_owned(),
            Self::CrossSite => "the request came from another site; nothing was changed".to_owned(),
        }
    }
}

impl From<LedgerError> for PageError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::BatchNotFound { name, .. } => {
                Self::NotFound(format!("there is no batch `{name}` in this ledger"))
            }
            error => {
                tracing::warn!("the console cannot read the ledger: {error}");
                Self::Unavailable(
                    "the ledger cannot be read at this moment; the log of `callsheet serve` has \
                     the reason. Reload the page"
                        .to_owned(),
                )
            }
        }
    }
}

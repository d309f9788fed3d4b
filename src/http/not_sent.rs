//! The reason why a request never left this machine.
//!
//! Plain data. Invariant: a [`NotSentReason`] exists only where not a single byte of the request
//! was sent, so the request may safely be sent later.

use std::fmt;

/// The reason why not a single byte of a request was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotSentReason {
    /// The step that failed.
    pub kind: NotSentKind,
    /// The cause and what to do about it, for the user.
    pub message: String,
}

/// The step before the first byte that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSentKind {
    /// The host name has no address.
    NameNotFound,
    /// The host cannot be reached.
    Unreachable,
    /// The connect time-out passed; name resolution and TLS count.
    ConnectTimedOut,
    /// No trusted TLS connection could be established.
    TlsFailed,
    /// The caller could not obtain the token that the request needs.
    NoToken,
    /// The request could not be built.
    InvalidRequest,
}

impl fmt::Display for NotSentReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

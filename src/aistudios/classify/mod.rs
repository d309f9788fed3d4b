//! What an answer means: the one place where it is decided.
//!
//! A pure function from what the wire gave to what it says about the request. Everything hangs on
//! one question, *could the service have taken this request?*, and it is answered with "perhaps"
//! unless the answer itself rules it out. It does no I/O, reads no clock, keeps nothing.
//!
//! Invariants: only a whole 2xx that says `success: true` ever succeeds with a paid call; nothing
//! that the service may have taken is ever called not sent, refused, or to be repeated.

use std::time::Duration;

use crate::aistudios::envelope::{ParsedEnvelope, ProjectIdLookup, SuccessClaim};
use crate::aistudios::error_text::{ErrorSubject, ErrorText};
use crate::aistudios::project::ProjectId;
use crate::aistudios::submit_outcome::{AccountRefusalKind, RefusalKind, UnknownReason};
use crate::http::{NotSentReason, retry_after};

mod into_outcome;
#[cfg(test)]
mod tests;

pub(super) use into_outcome::{ClassifiedExchange, account_message};

/// What the wire gave.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ExchangeOutcome {
    /// Not a byte of the request left.
    NotSent(NotSentReason),
    /// The request left, at least in part, and no answer began.
    NoResponse(NoResponseCause),
    /// An answer began.
    Responded(HttpResponse),
}

/// How an answer failed to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoResponseCause {
    /// The total time passed.
    TimedOut,
    /// The connection broke, or what came was not HTTP.
    ConnectionLost,
}

/// An answer, as far as it came.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HttpResponse {
    pub(super) status: u16,
    pub(super) content_type: Option<String>,
    pub(super) location: Option<String>,
    pub(super) retry_after_headers: Vec<String>,
    pub(super) date_header: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) body_end: BodyEnd,
}

/// How the body of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// Where it should.
    Complete,
    /// The connection broke.
    Truncated,
    /// The total time passed.
    TimedOut,
    /// At our own limit.
    TooLarge,
}

/// What an answer means for the request it answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Classification<T> {
    /// It did what was asked.
    Succeeded(T),
    /// It never left.
    NotSent(NotSentReason),
    /// It was turned down for what it asks.
    Refused(RefusalKind, ErrorText),
    /// It was turned down for the token it carried.
    TokenRefused(ErrorText),
    /// It was turned down for who asks.
    Account(AccountRefusalKind, ErrorText),
    /// It was turned down for coming too soon.
    RateLimited,
    /// It was sent to the wrong host.
    Moved,
    /// It may have been taken.
    Unknown(UnknownReason, ErrorText),
}

impl HttpResponse {
    /// Returns how long the server asked to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        retry_after::parse_retry_after(
            self.retry_after_headers.iter().map(String::as_str),
            self.date_header.as_deref(),
        )
    }

    fn is_html(&self) -> bool {
        let typed = self.content_type.as_deref().unwrap_or("").to_ascii_lowercase();
        let start = self.body.trim_ascii_start();
        let tagged = start.get(..5).is_some_and(|start| {
            start.eq_ignore_ascii_case(b"<!doc") || start.eq_ignore_ascii_case(b"<html")
        });
        typed.contains("text/html") || tagged
    }

    fn error_text(&self) -> ErrorText {
        if let Some(said) = ParsedEnvelope::parse(&self.body) {
            return ErrorText::from_json(said.root());
        }
        if self.is_html() || self.body_end != BodyEnd::Complete {
            return ErrorText::default();
        }
        ErrorText::from_text(&String::from_utf8_lossy(&self.body))
    }

    /// Says whether the words `"success": true` stand in the body, even if it is cut or garbled.
    fn has_success_claim(&self) -> bool {
        const CLAIM: &[u8] = b"\"success\":true";
        let dense: Vec<u8> = self
            .body
            .iter()
            .filter(|byte| !byte.is_ascii_whitespace() && **byte != 0)
            .map(u8::to_ascii_lowercase)
            .collect();
        dense.windows(CLAIM.len()).any(|window| window == CLAIM)
    }
}

/// Says what `outcome` means for the request.
pub(super) fn classify(outcome: &ExchangeOutcome) -> Classification<ParsedEnvelope> {
    match outcome {
        ExchangeOutcome::NotSent(reason) => Classification::NotSent(reason.clone()),
        ExchangeOutcome::NoResponse(NoResponseCause::TimedOut) => {
            unknown_without_text(UnknownReason::TimedOut)
        }
        ExchangeOutcome::NoResponse(NoResponseCause::ConnectionLost) => {
            unknown_without_text(UnknownReason::ConnectionLost)
        }
        ExchangeOutcome::Responded(reply) => classify_status(reply),
    }
}

fn classify_status(reply: &HttpResponse) -> Classification<ParsedEnvelope> {
    match reply.status {
        200..=299 => classify_success_status(reply),
        // Checked before any work is done, so the status alone decides, unless the body objects.
        401 => classify_gate_refusal(reply, RequestGate::Token),
        402 => classify_gate_refusal(reply, RequestGate::Payment),
        403 => classify_gate_refusal(reply, RequestGate::Permission),
        429 => classify_gate_refusal(reply, RequestGate::RateLimit),
        400 | 404 | 405 | 411 | 413..=415 | 422 | 431 => classify_rejection(reply),
        301..=303 => unknown_without_text(UnknownReason::Redirected),
        307 | 308 => Classification::Moved,
        500..=599 => Classification::Unknown(UnknownReason::ServerError, reply.error_text()),
        // 408, 409 and 425 by name, since gateways misuse them; the rest because nobody documents
        // them.
        0..=199
        | 300
        | 304..=306
        | 309..=399
        | 406..=410
        | 412
        | 416..=421
        | 423..=428
        | 430
        | 432..=499
        | 600..=u16::MAX => {
            Classification::Unknown(UnknownReason::UnclassifiedStatus, reply.error_text())
        }
    }
}

/// What a request is held up to before it is looked at.
enum RequestGate {
    Token,
    Payment,
    Permission,
    RateLimit,
}

fn classify_gate_refusal(
    reply: &HttpResponse,
    gate: RequestGate,
) -> Classification<ParsedEnvelope> {
    if reply.has_success_claim() {
        return unknown_without_text(UnknownReason::Contradiction);
    }
    let words = reply.error_text();
    let (credits, token) = (words.is_about_credits(), words.is_about_token());
    match gate {
        RequestGate::Token => Classification::TokenRefused(words),
        RequestGate::Payment => Classification::Account(AccountRefusalKind::NoCredits, words),
        RequestGate::Permission | RequestGate::RateLimit if credits => {
            Classification::Account(AccountRefusalKind::NoCredits, words)
        }
        RequestGate::Permission if words.can_follow_acceptance() => {
            Classification::Unknown(UnknownReason::ServiceFailure, words)
        }
        // Some gateways say 403 of a token that has run out.
        RequestGate::Permission if token => Classification::TokenRefused(words),
        RequestGate::Permission => Classification::Account(AccountRefusalKind::Forbidden, words),
        RequestGate::RateLimit => Classification::RateLimited,
    }
}

/// A 4xx that turns a request down on inspection, which only a complete answer proves.
fn classify_rejection(reply: &HttpResponse) -> Classification<ParsedEnvelope> {
    if reply.has_success_claim() {
        return unknown_without_text(UnknownReason::Contradiction);
    }
    if let Some(doubt) = incomplete_body_reason(reply.body_end) {
        return unknown_without_text(doubt);
    }
    let words = reply.error_text();
    // "Already being exported": it may have been this request that was taken, or the one before.
    if words.can_follow_acceptance() {
        return Classification::Unknown(UnknownReason::ServiceFailure, words);
    }
    if words.is_about_credits() {
        return Classification::Account(AccountRefusalKind::NoCredits, words);
    }
    if words.is_about_token() {
        return Classification::TokenRefused(words);
    }
    let kind = match (reply.status, words.subject()) {
        (_, ErrorSubject::RateLimit) => return Classification::RateLimited,
        (404, _) | (_, ErrorSubject::NotFound) => RefusalKind::NotFound,
        (413 | 414 | 431, _) => RefusalKind::TooLarge,
        (
            _,
            ErrorSubject::ServiceFailure
            | ErrorSubject::Token
            | ErrorSubject::Credits
            | ErrorSubject::Plan
            | ErrorSubject::Validation
            | ErrorSubject::Unclear,
        ) => RefusalKind::Validation,
    };
    Classification::Refused(kind, words)
}

fn classify_success_status(reply: &HttpResponse) -> Classification<ParsedEnvelope> {
    if let Some(doubt) = incomplete_body_reason(reply.body_end) {
        return unknown_without_text(doubt);
    }
    let Some(said) = ParsedEnvelope::parse(&reply.body) else {
        return unknown_without_text(if reply.is_html() {
            UnknownReason::Html
        } else {
            UnknownReason::NotJson
        });
    };
    match said.success {
        SuccessClaim::Yes | SuccessClaim::Absent => Classification::Succeeded(said),
        SuccessClaim::No => classify_reported_failure(&said),
    }
}

/// `success: false` under a 2xx: only its words can say that nothing was taken.
fn classify_reported_failure(said: &ParsedEnvelope) -> Classification<ParsedEnvelope> {
    let words = ErrorText::from_json(said.root());
    match said.find_project_id() {
        ProjectIdLookup::Missing => {}
        ProjectIdLookup::Found(_) | ProjectIdLookup::Implausible => {
            return Classification::Unknown(UnknownReason::Contradiction, words);
        }
    }
    match words.subject() {
        ErrorSubject::ServiceFailure => {
            Classification::Unknown(UnknownReason::ServiceFailure, words)
        }
        ErrorSubject::Token => Classification::TokenRefused(words),
        ErrorSubject::Credits => Classification::Account(AccountRefusalKind::NoCredits, words),
        ErrorSubject::RateLimit => Classification::RateLimited,
        ErrorSubject::Plan => Classification::Account(AccountRefusalKind::Forbidden, words),
        ErrorSubject::NotFound => Classification::Refused(RefusalKind::NotFound, words),
        ErrorSubject::Validation => Classification::Refused(RefusalKind::Validation, words),
        ErrorSubject::Unclear => Classification::Unknown(UnknownReason::UnclearMessage, words),
    }
}

fn incomplete_body_reason(ending: BodyEnd) -> Option<UnknownReason> {
    match ending {
        BodyEnd::Complete => None,
        BodyEnd::Truncated => Some(UnknownReason::Truncated),
        BodyEnd::TimedOut => Some(UnknownReason::TimedOut),
        BodyEnd::TooLarge => Some(UnknownReason::TooLarge),
    }
}

fn unknown_without_text<T>(doubt: UnknownReason) -> Classification<T> {
    Classification::Unknown(doubt, ErrorText::default())
}

impl<T> Classification<T> {
    /// Reads on in a success; what cannot be read makes it unknown.
    pub(super) fn and_then<U>(
        self,
        read: impl FnOnce(T) -> Result<U, UnknownReason>,
    ) -> Classification<U> {
        match self {
            Self::Succeeded(said) => match read(said) {
                Ok(value) => Classification::Succeeded(value),
                Err(doubt) => unknown_without_text(doubt),
            },
            Self::NotSent(reason) => Classification::NotSent(reason),
            Self::Refused(kind, words) => Classification::Refused(kind, words),
            Self::TokenRefused(words) => Classification::TokenRefused(words),
            Self::Account(kind, words) => Classification::Account(kind, words),
            Self::RateLimited => Classification::RateLimited,
            Self::Moved => Classification::Moved,
            Self::Unknown(doubt, words) => Classification::Unknown(doubt, words),
        }
    }
}

/// Reads the answer to a create: it must say `success: true` and name the new project.
pub(super) fn parse_created(said: ParsedEnvelope) -> Result<ProjectId, UnknownReason> {
    match (said.success, said.find_project_id()) {
        (SuccessClaim::Yes, ProjectIdLookup::Found(id)) => Ok(id),
        (SuccessClaim::Yes | SuccessClaim::No | SuccessClaim::Absent, _) => {
            Err(UnknownReason::Incomplete)
        }
    }
}

/// Reads the answer to an export: it must say `success: true`. The id may be missing, since it
/// adds nothing to the one that was asked for, but an error or nonsense in its place may not.
pub(super) fn parse_exported(said: ParsedEnvelope) -> Result<Option<ProjectId>, UnknownReason> {
    match (said.success, said.find_project_id()) {
        (SuccessClaim::Yes, ProjectIdLookup::Found(id)) => Ok(Some(id)),
        (SuccessClaim::Yes, ProjectIdLookup::Missing)
            if !said.has_error() && said.data().is_object() =>
        {
            Ok(None)
        }
        (SuccessClaim::Yes | SuccessClaim::No | SuccessClaim::Absent, _) => {
            Err(UnknownReason::Incomplete)
        }
    }
}

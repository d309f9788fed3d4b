//! Classification of responses: the one place that decides whether a request was accepted.
//!
//! A pure function from an exchange to its meaning for the request. One question decides: *could the
//! service have accepted this request?* The answer is "possibly" unless the response itself rules
//! it out. No I/O, no clock, no state.
//!
//! Invariants: only a complete 2xx with `success: true` makes a paid call succeed; a request that
//! may have been accepted is never classified as not sent, refused, or safe to repeat.

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

/// The outcome of an exchange.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum ExchangeOutcome {
    /// Not a byte of the request was sent.
    NotSent(NotSentReason),
    /// The request was sent, at least in part, and no response began.
    NoResponse(NoResponseCause),
    /// A response began.
    Responded(HttpResponse),
}

/// The reason why no response began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoResponseCause {
    /// The time-out passed.
    TimedOut,
    /// The connection broke, or the response was not HTTP.
    ConnectionLost,
}

/// A response, as far as it was received.
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

/// How the body of a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// At its announced end.
    Complete,
    /// The connection broke.
    Truncated,
    /// The total time passed.
    TimedOut,
    /// Cut at our own limit.
    TooLarge,
}

/// The meaning of a response for its request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Classification<T> {
    /// It succeeded.
    Succeeded(T),
    /// It was never sent.
    NotSent(NotSentReason),
    /// It was declined because of its content.
    Refused(RefusalKind, ErrorText),
    /// It was declined because of its token.
    TokenRefused(ErrorText),
    /// It was declined because of the account.
    Account(AccountRefusalKind, ErrorText),
    /// It was declined because of a rate limit.
    RateLimited,
    /// It was sent to the wrong host.
    Moved,
    /// It may have been accepted.
    Unknown(UnknownReason, ErrorText),
}

impl HttpResponse {
    /// Returns the wait that the server asks for.
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
        if let Some(body) = ParsedEnvelope::parse(&self.body) {
            return ErrorText::from_json(body.root());
        }
        if self.is_html() || self.body_end != BodyEnd::Complete {
            return ErrorText::default();
        }
        ErrorText::from_text(&String::from_utf8_lossy(&self.body))
    }

    /// Returns whether the body contains `"success": true`, even if it is cut or garbled.
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

/// Returns the meaning of `outcome` for the request.
pub(super) fn classify(outcome: &ExchangeOutcome) -> Classification<ParsedEnvelope> {
    match outcome {
        ExchangeOutcome::NotSent(reason) => Classification::NotSent(reason.clone()),
        ExchangeOutcome::NoResponse(NoResponseCause::TimedOut) => {
            unknown_without_text(UnknownReason::TimedOut)
        }
        ExchangeOutcome::NoResponse(NoResponseCause::ConnectionLost) => {
            unknown_without_text(UnknownReason::ConnectionLost)
        }
        ExchangeOutcome::Responded(response) => classify_status(response),
    }
}

fn classify_status(response: &HttpResponse) -> Classification<ParsedEnvelope> {
    match response.status {
        200..=299 => classify_success_status(response),
        // Checked before any work is done, so the status alone decides, unless the body
        // contradicts it.
        401 => classify_gate_refusal(response, RequestGate::Token),
        402 => classify_gate_refusal(response, RequestGate::Payment),
        403 => classify_gate_refusal(response, RequestGate::Permission),
        429 => classify_gate_refusal(response, RequestGate::RateLimit),
        400 | 404 | 405 | 411 | 413..=415 | 422 | 431 => classify_rejection(response),
        301..=303 => unknown_without_text(UnknownReason::Redirected),
        307 | 308 => Classification::Moved,
        500..=599 => Classification::Unknown(UnknownReason::ServerError, response.error_text()),
        // 408, 409 and 425, since gateways misuse them; the rest because they are undocumented.
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
            Classification::Unknown(UnknownReason::UnclassifiedStatus, response.error_text())
        }
    }
}

/// A check that a request has to pass before its content is processed.
enum RequestGate {
    Token,
    Payment,
    Permission,
    RateLimit,
}

fn classify_gate_refusal(
    response: &HttpResponse,
    gate: RequestGate,
) -> Classification<ParsedEnvelope> {
    if response.has_success_claim() {
        return unknown_without_text(UnknownReason::Contradiction);
    }
    let text = response.error_text();
    let (is_about_credits, is_about_token) = (text.is_about_credits(), text.is_about_token());
    match gate {
        RequestGate::Token => Classification::TokenRefused(text),
        RequestGate::Payment => Classification::Account(AccountRefusalKind::NoCredits, text),
        RequestGate::Permission | RequestGate::RateLimit if is_about_credits => {
            Classification::Account(AccountRefusalKind::NoCredits, text)
        }
        RequestGate::Permission if text.can_follow_acceptance() => {
            Classification::Unknown(UnknownReason::ServiceFailure, text)
        }
        // Some gateways respond with 403 to an expired token.
        RequestGate::Permission if is_about_token => Classification::TokenRefused(text),
        RequestGate::Permission => Classification::Account(AccountRefusalKind::Forbidden, text),
        RequestGate::RateLimit => Classification::RateLimited,
    }
}

/// A 4xx that declines a request because of its content, which only a complete response proves.
fn classify_rejection(response: &HttpResponse) -> Classification<ParsedEnvelope> {
    if response.has_success_claim() {
        return unknown_without_text(UnknownReason::Contradiction);
    }
    if let Some(reason) = incomplete_body_reason(response.body_end) {
        return unknown_without_text(reason);
    }
    let text = response.error_text();
    // "Already being exported": this request may have been accepted, or an earlier one.
    if text.can_follow_acceptance() {
        return Classification::Unknown(UnknownReason::ServiceFailure, text);
    }
    if text.is_about_credits() {
        return Classification::Account(AccountRefusalKind::NoCredits, text);
    }
    if text.is_about_token() {
        return Classification::TokenRefused(text);
    }
    let kind = match (response.status, text.subject()) {
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
    Classification::Refused(kind, text)
}

fn classify_success_status(response: &HttpResponse) -> Classification<ParsedEnvelope> {
    if let Some(reason) = incomplete_body_reason(response.body_end) {
        return unknown_without_text(reason);
    }
    let Some(body) = ParsedEnvelope::parse(&response.body) else {
        return unknown_without_text(if response.is_html() {
            UnknownReason::Html
        } else {
            UnknownReason::NotJson
        });
    };
    match body.success {
        SuccessClaim::Yes | SuccessClaim::Absent => Classification::Succeeded(body),
        SuccessClaim::No => classify_reported_failure(&body),
    }
}

/// `success: false` in a 2xx: only its message can show that nothing was accepted.
fn classify_reported_failure(body: &ParsedEnvelope) -> Classification<ParsedEnvelope> {
    let text = ErrorText::from_json(body.root());
    match body.find_project_id() {
        ProjectIdLookup::Missing => {}
        ProjectIdLookup::Found(_) | ProjectIdLookup::Implausible => {
            return Classification::Unknown(UnknownReason::Contradiction, text);
        }
    }
    match text.subject() {
        ErrorSubject::ServiceFailure => {
            Classification::Unknown(UnknownReason::ServiceFailure, text)
        }
        ErrorSubject::Token => Classification::TokenRefused(text),
        ErrorSubject::Credits => Classification::Account(AccountRefusalKind::NoCredits, text),
        ErrorSubject::RateLimit => Classification::RateLimited,
        ErrorSubject::Plan => Classification::Account(AccountRefusalKind::Forbidden, text),
        ErrorSubject::NotFound => Classification::Refused(RefusalKind::NotFound, text),
        ErrorSubject::Validation => Classification::Refused(RefusalKind::Validation, text),
        ErrorSubject::Unclear => Classification::Unknown(UnknownReason::UnclearMessage, text),
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

fn unknown_without_text<T>(reason: UnknownReason) -> Classification<T> {
    Classification::Unknown(reason, ErrorText::default())
}

impl<T> Classification<T> {
    /// Parses the body of a success; a failure to parse it makes the request unknown.
    pub(super) fn and_then<U>(
        self,
        parse: impl FnOnce(T) -> Result<U, UnknownReason>,
    ) -> Classification<U> {
        match self {
            Self::Succeeded(body) => match parse(body) {
                Ok(value) => Classification::Succeeded(value),
                Err(reason) => unknown_without_text(reason),
            },
            Self::NotSent(reason) => Classification::NotSent(reason),
            Self::Refused(kind, text) => Classification::Refused(kind, text),
            Self::TokenRefused(text) => Classification::TokenRefused(text),
            Self::Account(kind, text) => Classification::Account(kind, text),
            Self::RateLimited => Classification::RateLimited,
            Self::Moved => Classification::Moved,
            Self::Unknown(reason, text) => Classification::Unknown(reason, text),
        }
    }
}

/// Parses the response to a create: it must contain `success: true` and the new project's id.
pub(super) fn parse_created(body: ParsedEnvelope) -> Result<ProjectId, UnknownReason> {
    match (body.success, body.find_project_id()) {
        (SuccessClaim::Yes, ProjectIdLookup::Found(id)) => Ok(id),
        (SuccessClaim::Yes | SuccessClaim::No | SuccessClaim::Absent, _) => {
            Err(UnknownReason::Incomplete)
        }
    }
}

/// Parses the response to an export: it must contain `success: true`. The id may be missing, since
/// the requested one is known, but an error or an invalid value in its place is not accepted.
pub(super) fn parse_exported(body: ParsedEnvelope) -> Result<Option<ProjectId>, UnknownReason> {
    match (body.success, body.find_project_id()) {
        (SuccessClaim::Yes, ProjectIdLookup::Found(id)) => Ok(Some(id)),
        (SuccessClaim::Yes, ProjectIdLookup::Missing)
            if !body.has_error() && body.data().is_object() =>
        {
            Ok(None)
        }
        (SuccessClaim::Yes | SuccessClaim::No | SuccessClaim::Absent, _) => {
            Err(UnknownReason::Incomplete)
        }
    }
}

//! A classification with the exchange it was made from, turned into the types that callers get.
//!
//! There are two exits: [`SubmitOutcome`] for calls that may cost money, where an unknown outcome
//! stays unknown, and [`CallError`] for free ones, where it is a failure like others. Messages are
//! redacted on the way.

use std::time::Duration;

use super::{Classification, HttpResponse};
use crate::aistudios::call_error::{CallError, TransientCause};
use crate::aistudios::envelope::ParsedEnvelope;
use crate::aistudios::error_text::ErrorText;
use crate::aistudios::exchange::{ApiTransport, HttpExchange};
use crate::aistudios::submit_outcome::{
    AccountRefusalKind, RefusalKind, SubmitOutcome, UnknownReason,
};

/// An exchange and its classification.
pub(in crate::aistudios) struct ClassifiedExchange<T> {
    pub(in crate::aistudios) classification: Classification<T>,
    pub(in crate::aistudios) exchange: HttpExchange,
}

impl ClassifiedExchange<ParsedEnvelope> {
    /// Classifies an exchange.
    pub(in crate::aistudios) fn new(exchange: HttpExchange) -> Self {
        Self { classification: super::classify(&exchange.outcome), exchange }
    }
}

impl<T> ClassifiedExchange<T> {
    /// Parses the body of a success; a failure to parse it makes the outcome unknown.
    pub(in crate::aistudios) fn and_then<U>(
        self,
        parse: impl FnOnce(T) -> Result<U, UnknownReason>,
    ) -> ClassifiedExchange<U> {
        ClassifiedExchange {
            classification: self.classification.and_then(parse),
            exchange: self.exchange,
        }
    }

    /// Returns the outcome of a call that may cost money.
    pub(in crate::aistudios) fn into_submit_outcome(
        self,
        transport: &ApiTransport,
    ) -> SubmitOutcome<T> {
        let exchange = &self.exchange;
        match self.classification {
            Classification::Succeeded(value) => SubmitOutcome::Accepted(value),
            Classification::NotSent(reason) => {
                SubmitOutcome::NotSent { kind: reason.kind, message: reason.message }
            }
            Classification::Refused(kind, text) => SubmitOutcome::Refused {
                kind,
                message: refusal_message(&text, exchange.status(), transport),
            },
            Classification::TokenRefused(text) => SubmitOutcome::TokenRefused {
                message: refusal_message(&text, exchange.status(), transport),
            },
            Classification::Account(kind, text) => {
                SubmitOutcome::Account { kind, message: account_message(kind, &text, transport) }
            }
            Classification::RateLimited => {
                SubmitOutcome::RateLimited { retry_after: retry_after(exchange) }
            }
            Classification::Moved => {
                SubmitOutcome::Moved { message: moved_message(exchange, transport) }
            }
            Classification::Unknown(reason, _) => SubmitOutcome::Unknown {
                reason,
                message: unknown_message(reason, exchange),
                retry_after: retry_after(exchange),
            },
        }
    }

    /// Returns the result of a free call.
    pub(in crate::aistudios) fn into_result(
        self,
        transport: &ApiTransport,
    ) -> Result<T, CallError> {
        match self.into_submit_outcome(transport) {
            SubmitOutcome::Accepted(value) => Ok(value),
            SubmitOutcome::NotSent { kind, message } => Err(CallError::Transient {
                cause: TransientCause::NotSent(kind),
                message,
                retry_after: None,
            }),
            SubmitOutcome::Refused { kind, message } => Err(CallError::Refused { kind, message }),
            SubmitOutcome::Account { kind, message } => Err(CallError::Account { kind, message }),
            SubmitOutcome::TokenRefused { message } => Err(CallError::Transient {
                cause: TransientCause::Unusable(UnknownReason::UnclassifiedStatus),
                message,
                retry_after: None,
            }),
            SubmitOutcome::RateLimited { retry_after } => {
                Err(CallError::RateLimited { retry_after })
            }
            SubmitOutcome::Moved { message } => Err(CallError::Moved { message }),
            SubmitOutcome::Unknown { reason, message, retry_after } => Err(CallError::Transient {
                cause: TransientCause::Unusable(reason),
                message,
                retry_after,
            }),
        }
    }

    /// Returns the result of a free call about one project, which may not exist.
    pub(in crate::aistudios) fn into_project_result(
        self,
        transport: &ApiTransport,
    ) -> Result<T, CallError> {
        let is_gone = self.exchange.status() == Some(410);
        self.into_result(transport).map_err(|error| match error {
            CallError::Refused { kind: RefusalKind::NotFound, .. } => CallError::NotFound,
            CallError::Transient { cause: TransientCause::Unusable(_), .. } if is_gone => {
                CallError::NotFound
            }
            CallError::Transient { .. }
            | CallError::RateLimited { .. }
            | CallError::Account { .. }
            | CallError::NotFound
            | CallError::Refused { .. }
            | CallError::Moved { .. } => error,
        })
    }
}

fn retry_after(exchange: &HttpExchange) -> Option<Duration> {
    exchange.response().and_then(HttpResponse::retry_after)
}

fn refusal_message(text: &ErrorText, status: Option<u16>, transport: &ApiTransport) -> String {
    let mut message = transport.redact_line(&text.text);
    if message.is_empty() {
        message = format!("HTTP {} without a message", status.unwrap_or(0));
    }
    let code = text.code.as_deref().map(|code| transport.redact_line(code));
    let code = code.map(|code| format!(" (code {code})")).unwrap_or_default();
    format!("AI Studios refused it: {message}{code}")
}

pub(in crate::aistudios) fn account_message(
    kind: AccountRefusalKind,
    text: &ErrorText,
    transport: &ApiTransport,
) -> String {
    let quoted = transport.redact_line(&text.text);
    let quoted = if quoted.is_empty() { quoted } else { format!(" (AI Studios: {quoted})") };
    format!("{}{quoted}", kind.advice())
}

fn moved_message(exchange: &HttpExchange, transport: &ApiTransport) -> String {
    let location = exchange.response().and_then(|response| response.location.as_deref());
    let location = location.map(|url| format!(" to `{}`", transport.redactor.redact_url(url)));
    format!(
        "the API has moved{}: check `region` or `base_url` in the batch file",
        location.unwrap_or_default()
    )
}

fn unknown_message(reason: UnknownReason, exchange: &HttpExchange) -> String {
    let status = exchange.status().map(|status| format!("HTTP {status}, ")).unwrap_or_default();
    format!("{status}{reason} (after {:.1} s)", exchange.elapsed.as_secs_f64())
}

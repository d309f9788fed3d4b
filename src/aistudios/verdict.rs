//! A meaning together with the exchange it was read from, turned into what callers get.
//!
//! Two ways out: an [`Answer`] for calls that may cost money, where doubt is kept, and a `Result`
//! for free ones, where doubt is just another failure. Redaction happens on the way.

use super::{
    classify::{Classification, HttpResponse},
    error::ApiError,
    error_text::ErrorText,
    exchange::{ApiTransport, HttpExchange},
    submit_outcome::{
        AccountRefusal, AccountRefusalKind, PaidCallOutcome, RefusalKind, RequestRefusal,
        UnknownReason,
    },
};

/// What an exchange means.
pub(super) struct ClassifiedExchange<T> {
    pub(super) classification: Classification<T>,
    pub(super) exchange: HttpExchange,
}

impl<T> ClassifiedExchange<T> {
    /// Reads on in a success; what cannot be read is a doubt.
    pub(super) fn and_then<U>(
        self,
        read: impl FnOnce(T) -> Result<U, UnknownReason>,
    ) -> ClassifiedExchange<U> {
        ClassifiedExchange {
            classification: self.classification.and_then(read),
            exchange: self.exchange,
        }
    }

    /// Returns the answer to a call that may cost money.
    pub(super) fn into_paid_outcome(self, wire: &ApiTransport) -> PaidCallOutcome<T> {
        let exchange = &self.exchange;
        match self.classification {
            Classification::Succeeded(value) => PaidCallOutcome::Accepted(value),
            Classification::NotSent(reason) => PaidCallOutcome::NotSent(reason),
            Classification::Refused(kind, words) => {
                PaidCallOutcome::Refused(build_request_refusal(kind, words, exchange, wire))
            }
            Classification::TokenRefused(words) => PaidCallOutcome::Account(build_account_refusal(
                AccountRefusalKind::CredentialsRefused,
                words,
                exchange,
                wire,
            )),
            Classification::Account(kind, words) => {
                PaidCallOutcome::Account(build_account_refusal(kind, words, exchange, wire))
            }
            Classification::RateLimited => PaidCallOutcome::RateLimited {
                retry_after: exchange.response().and_then(HttpResponse::retry_after),
                response: exchange.response_record(wire),
            },
            Classification::Moved => PaidCallOutcome::Moved { to: moved_location(exchange, wire) },
            Classification::Unknown(doubt, _words_are_in_the_body) => {
                PaidCallOutcome::Unknown(exchange.unknown_response(doubt, wire))
            }
        }
    }

    /// Returns the result of a free call.
    pub(super) fn into_result(self, wire: &ApiTransport) -> Result<T, ApiError> {
        match self.into_paid_outcome(wire) {
            PaidCallOutcome::Accepted(value) => Ok(value),
            PaidCallOutcome::NotSent(reason) => Err(ApiError::NotSent(reason)),
            PaidCallOutcome::Refused(refusal) => Err(ApiError::Refused(refusal)),
            PaidCallOutcome::Account(trouble) => Err(ApiError::Account(trouble)),
            PaidCallOutcome::RateLimited { retry_after, response: heard } => {
                Err(ApiError::RateLimited { retry_after, response: heard })
            }
            PaidCallOutcome::Moved { to } => Err(ApiError::Moved { to }),
            PaidCallOutcome::Unknown(evidence) => Err(ApiError::UnusableResponse(evidence)),
        }
    }

    /// Returns the result of a free call about one project, which may not be there.
    pub(super) fn into_project_result(self, wire: &ApiTransport) -> Result<T, ApiError> {
        let gone = self.exchange.status() == Some(410);
        self.into_result(wire).map_err(|trouble| match trouble {
            ApiError::Refused(refusal) if refusal.kind == RefusalKind::NotFound => {
                ApiError::NotFound
            }
            ApiError::UnusableResponse(_) if gone => ApiError::NotFound,
            ApiError::NotSent(_)
            | ApiError::RateLimited { .. }
            | ApiError::Account(_)
            | ApiError::NotFound
            | ApiError::Refused(_)
            | ApiError::Moved { .. }
            | ApiError::UnusableResponse(_) => trouble,
        })
    }
}

fn build_request_refusal(
    kind: RefusalKind,
    words: ErrorText,
    exchange: &HttpExchange,
    wire: &ApiTransport,
) -> RequestRefusal {
    let heard = exchange.response_record(wire);
    let shown = wire.redact_line(&words.text);
    RequestRefusal {
        kind,
        message: if shown.is_empty() {
            format!("HTTP {} without words", heard.status)
        } else {
            shown
        },
        code: words.code.map(|code| wire.redact_line(&code)),
        response: heard,
    }
}

pub(super) fn build_account_refusal(
    kind: AccountRefusalKind,
    words: ErrorText,
    exchange: &HttpExchange,
    wire: &ApiTransport,
) -> AccountRefusal {
    AccountRefusal {
        kind,
        message: wire.redact_line(&words.text),
        response: exchange.response_record(wire),
    }
}

fn moved_location(exchange: &HttpExchange, wire: &ApiTransport) -> Option<String> {
    exchange.response()?.location.as_deref().map(|to| wire.redact_url(to))
}

//! Calls that only `check --probe` makes: requesting a token by itself, and a call with an invalid
//! one.
//!
//! Both are free. The invalid token is sent on purpose, to learn whether such a refusal is
//! recognised before a run depends on it.

use std::time::Duration;

use reqwest::{Method, header::HeaderValue};

use super::call_error::CallError;
use super::classify::{Classification, ClassifiedExchange};
use super::client::{ApiClient, is_unauthenticated};
use super::exchange::{ApiCall, V3Endpoint};

/// A token that AI Studios never issued.
const INVALID_TOKEN: &str = "callsheet-asks-with-a-token-that-is-none";

/// The response to an invalid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRejection {
    /// The HTTP status, if a response began.
    pub status: Option<u16>,
    /// Whether it is recognised as a token refusal, so that an expired token would be renewed.
    pub is_recognized: bool,
}

impl ApiClient {
    /// Requests a token and returns its lifetime. Costs nothing.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn fetch_token_lifetime(&self) -> Result<Duration, CallError> {
        self.token_lifetime().await
    }

    /// Sends `GET auth` with an invalid token. Costs nothing.
    pub async fn probe_invalid_token(&self) -> TokenRejection {
        let call = ApiCall::free(Method::GET, V3Endpoint::Auth);
        let header = HeaderValue::from_static(INVALID_TOKEN);
        let exchange = self.transport().exchange(&call, Some(&header)).await;
        let ClassifiedExchange { classification, exchange } = ClassifiedExchange::new(exchange);
        let is_recognized = match &classification {
            Classification::TokenRefused(_) => true,
            Classification::Succeeded(body) => is_unauthenticated(body),
            Classification::NotSent(_)
            | Classification::Refused(..)
            | Classification::Account(..)
            | Classification::RateLimited
            | Classification::Moved
            | Classification::Unknown(..) => false,
        };
        TokenRejection { status: exchange.status(), is_recognized }
    }
}

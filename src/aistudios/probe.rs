//! The calls that only a first contact makes: for a token by itself, and with one that is none.
//!
//! Both are free. The second one is made on purpose with a token that nobody gave out, to see
//! whether such a refusal is recognised before a night depends on it.

use std::time::Duration;

use reqwest::{Method, header::HeaderValue};

use super::{
    classify::{self, Classification},
    client::{ApiClient, free_call, is_unauthenticated},
    error::ApiError,
    exchange::V3Endpoint,
    verdict::ClassifiedExchange,
};

/// What nobody was ever given.
const INVALID_TOKEN: &str = "callsheet-asks-with-a-token-that-is-none";

/// How a token that is none was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRejection {
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// Whether that is known for what it is, so that a token that ran out is renewed.
    pub is_recognized: bool,
}

impl ApiClient {
    /// Asks for a token, and returns for how long it is good. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn fetch_token_lifetime(&self) -> Result<Duration, ApiError> {
        self.token_lifetime().await
    }

    /// Asks `GET auth` with a token that is none. Costs nothing.
    pub async fn probe_invalid_token(&self) -> TokenRejection {
        let call = free_call(Method::GET, V3Endpoint::Auth);
        let header = HeaderValue::from_static(INVALID_TOKEN);
        let exchange = self.transport().exchange(&call, Some(&header)).await;
        let meaning = classify::classify(&exchange.outcome);
        let ClassifiedExchange { classification: meaning, exchange } =
            ClassifiedExchange { classification: meaning, exchange };
        let recognised = match &meaning {
            Classification::TokenRefused(_) => true,
            Classification::Succeeded(said) => is_unauthenticated(said),
            Classification::NotSent(_)
            | Classification::Refused(..)
            | Classification::Account(..)
            | Classification::RateLimited
            | Classification::Moved
            | Classification::Unknown(..) => false,
        };
        TokenRejection { status: exchange.status(), is_recognized: recognised }
    }
}

//! The calls that only a first contact makes: for a token by itself, and with one that is none.
//!
//! Both are free. The second one is made on purpose with a token that nobody gave out, to see
//! whether such a refusal is recognised before a night depends on it.

use std::time::Duration;

use reqwest::{Method, header::HeaderValue};

use super::{
    client::{Client, free, says_no},
    meaning::{self, Meaning},
    trouble::Trouble,
    verdict::Verdict,
    wire::Endpoint,
};

/// What nobody was ever given.
const NO_TOKEN: &str = "callsheet-asks-with-a-token-that-is-none";

/// How a token that is none was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnedAway {
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// Whether that is known for what it is, so that a token that ran out is renewed.
    pub recognised: bool,
}

impl Client {
    /// Asks for a token, and returns for how long it is good. Costs nothing.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn sign_in(&self) -> Result<Duration, Trouble> {
        self.life_of_token().await
    }

    /// Asks `GET auth` with a token that is none. Costs nothing.
    pub async fn turned_away(&self) -> TurnedAway {
        let call = free(Method::GET, Endpoint::Confirm);
        let header = HeaderValue::from_static(NO_TOKEN);
        let exchange = self.wire().exchange(&call, Some(&header)).await;
        let meaning = meaning::of(&exchange.outcome);
        let Verdict { meaning, exchange } = Verdict { meaning, exchange };
        let recognised = match &meaning {
            Meaning::Token(_) => true,
            Meaning::Succeeded(said) => says_no(said),
            Meaning::NotSent(_)
            | Meaning::Refused(..)
            | Meaning::Account(..)
            | Meaning::SlowDown
            | Meaning::Moved
            | Meaning::Unknown(..) => false,
        };
        TurnedAway { status: exchange.status(), recognised }
    }
}

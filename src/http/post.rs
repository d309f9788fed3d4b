//! A message to somebody who is not AI Studios: a webhook, a chat, a heartbeat.
//!
//! It stands here because this room makes the HTTP clients. No token goes with it and nothing of it
//! is known to AI Studios' own client. Bounded in time and in what is read; no redirect is followed.
//! Invariant: what it says of a failure names the host at most, for the rest of an address may be
//! a secret.

use std::time::Duration;

use url::Url;

use crate::aistudios::settings::ClientSetupError;
use crate::http::transport;

/// Name look-up, TCP and TLS together.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// Carries messages.
#[derive(Clone, Debug)]
pub struct HttpPoster {
    client: reqwest::Client,
}

/// One message.
#[derive(Debug)]
pub struct PostRequest {
    /// Where to.
    pub url: Url,
    /// Headers, by name.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpPoster {
    /// Makes a courier who gives up after `patience`.
    ///
    /// # Errors
    /// There is no TLS on this machine.
    pub fn new(patience: Duration) -> Result<Self, ClientSetupError> {
        let client =
            transport::build_third_party_client(CONNECT_TIMEOUT_MAX.min(patience), patience)?;
        Ok(Self { client })
    }

    /// Brings a parcel; it is taken when the answer is 2xx.
    ///
    /// # Errors
    /// Why it was not, for a person.
    pub async fn post(&self, parcel: PostRequest) -> Result<(), String> {
        let host = parcel.url.host_str().unwrap_or("the host").to_owned();
        let mut request = self.client.post(parcel.url);
        for (name, value) in parcel.headers {
            request = request.header(name, value);
        }
        match request.body(parcel.body).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("`{host}` answered {}", answer.status().as_u16())),
            Err(error) if error.is_builder() => Err("no request can be made of it".to_owned()),
            Err(error) if error.is_connect() => Err(format!("`{host}` cannot be reached")),
            Err(error) if error.is_timeout() => Err(format!("`{host}` did not answer in time")),
            Err(_) => Err(format!("`{host}` broke the connection")),
        }
    }
}

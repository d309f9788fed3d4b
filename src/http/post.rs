//! A POST to a third party: a notification webhook, a chat, a heartbeat monitor.
//!
//! Bounded in time and in what is read; redirects are not followed. Invariant: a failure message
//! names at most the host, because the rest of the URL may be a secret.

use std::time::Duration;

use url::Url;

use super::transport::{self, ConnectOptions, ProxyMode, TlsSetupError, is_loopback};

/// Name resolution, TCP and TLS together.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(10);

/// Sends POST requests.
#[derive(Clone, Debug)]
pub struct HttpPoster {
    /// For hosts on this machine.
    local: reqwest::Client,
    /// For all others.
    remote: Result<reqwest::Client, TlsSetupError>,
    proxy: ProxyMode,
}

/// One POST request.
#[derive(Debug)]
pub struct PostRequest {
    /// The URL.
    pub url: Url,
    /// The headers, by name.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl HttpPoster {
    /// Creates a poster whose requests time out after `timeout`. Hosts on this machine are reached
    /// without the proxy.
    ///
    /// # Errors
    /// This machine cannot create a TLS client.
    pub fn new(timeout: Duration, proxy: ProxyMode) -> Result<Self, TlsSetupError> {
        let client = |proxy: ProxyMode| {
            let connect_timeout = CONNECT_TIMEOUT_MAX.min(timeout);
            let options = ConnectOptions { connect_timeout, proxy };
            transport::build_client(&options, |builder| {
                builder.timeout(timeout).pool_max_idle_per_host(0)
            })
        };
        Ok(Self { local: client(ProxyMode::Bypassed)?, remote: client(proxy.clone()), proxy })
    }

    /// Sends a request; any 2xx is success.
    ///
    /// # Errors
    /// The reason in a sentence, for the user.
    pub async fn post(&self, request: PostRequest) -> Result<(), String> {
        let host = request.url.host_str().unwrap_or("the host").to_owned();
        let is_local = is_loopback(&request.url);
        let client = match (&self.remote, is_local) {
            (_, true) => &self.local,
            (Ok(remote), false) => remote,
            (Err(error), false) => return Err(error.to_string()),
        };
        let hint = || if is_local { String::new() } else { self.proxy.unused_proxy_hint() };
        let mut post = client.post(request.url);
        for (name, value) in request.headers {
            post = post.header(name, value);
        }
        match post.body(request.body).send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => {
                Err(format!("`{host}` responded with HTTP {}", response.status().as_u16()))
            }
            Err(error) if error.is_builder() => Err("the request cannot be built".to_owned()),
            Err(error) if error.is_connect() => {
                Err(format!("`{host}` cannot be reached{}", hint()))
            }
            Err(error) if error.is_timeout() => Err(format!("`{host}` did not respond in time")),
            Err(_) => Err(format!("`{host}` closed the connection")),
        }
    }
}

//! The settings of a client: address, credentials and timeouts, validated once.
//!
//! It reads no file and no environment. Invariant: a [`Credentials`] value fits into JSON and a
//! header without escapes, and no formatting shows any character of it.

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::http::address_policy::AddressPolicy;
use crate::http::download::{DOWNLOAD_PACE, DownloadOptions, DownloadPace};
use crate::http::transport::{ConnectOptions, host_and_port, is_loopback};
use crate::http::{ProxyMode, TlsSetupError};

/// The settings of a client.
#[derive(Clone)]
pub struct ClientSettings {
    /// `https://app.aistudios.com`, `https://app.aistudios.cn`, or a rehearsal's loopback address.
    pub base_url: Url,
    /// The account's API key.
    pub credentials: Credentials,
    /// Name resolution, TCP and TLS together. Kept below half of the total times, because only a
    /// connect time-out that fires first proves that nothing was sent.
    pub connect_timeout: Duration,
    /// A free call from connect to last byte.
    pub request_timeout: Duration,
    /// A paid call from connect to last byte. Long, since giving up early only leaves more
    /// requests with an unknown outcome.
    pub paid_timeout: Duration,
    /// The time between two chunks of a download.
    pub idle_timeout: Duration,
    /// The time of waiting within which 64 KB of a download must arrive.
    pub slow_timeout: Duration,
    /// Whether an API over https may name downloads over plain http.
    pub plain_links: bool,
    /// The proxy, which sees no token: https goes through it encrypted, and this machine is reached
    /// without it.
    pub proxy: ProxyMode,
}

impl ClientSettings {
    /// Returns settings with the default times: connect 10 s, free 30 s, paid 120 s, idle 30 s.
    pub fn new(base_url: Url, credentials: Credentials) -> Self {
        Self {
            base_url,
            credentials,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            paid_timeout: Duration::from_secs(120),
            idle_timeout: DOWNLOAD_PACE.idle_timeout,
            slow_timeout: DOWNLOAD_PACE.period,
            plain_links: false,
            proxy: ProxyMode::default(),
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The base URL is not a plain https address (http is for loopback alone), or a time is zero.
    pub(super) fn validate(self) -> Result<Self, ClientSetupError> {
        let url = &self.base_url;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ClientSetupError::SecretInBaseUrl);
        }
        let shown = format!("{}://{}", url.scheme(), host_and_port(url));
        if url.query().is_some() || url.fragment().is_some() || !url.has_host() {
            return Err(ClientSetupError::InvalidBaseUrl(shown));
        }
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(url) => {}
            "http" => return Err(ClientSetupError::UnencryptedBaseUrl(shown)),
            _other => return Err(ClientSetupError::InvalidBaseUrl(shown)),
        }
        for (name, time) in [
            ("connect_timeout", self.connect_timeout),
            ("request_timeout", self.request_timeout),
            ("paid_timeout", self.paid_timeout),
            ("idle_timeout", self.idle_timeout),
            ("slow_timeout", self.slow_timeout),
        ] {
            if time.is_zero() {
                return Err(ClientSetupError::ZeroTimeout(name));
            }
        }
        let connect_max = self.request_timeout.min(self.paid_timeout) / 2;
        Ok(Self { connect_timeout: self.connect_timeout.min(connect_max), ..self })
    }

    pub(super) fn connect_options(&self) -> ConnectOptions {
        let proxy = self.proxy.for_url(&self.base_url);
        ConnectOptions { connect_timeout: self.connect_timeout, proxy }
    }

    pub(super) fn download_options(&self) -> DownloadOptions {
        let policy = AddressPolicy::for_origin(&self.base_url);
        DownloadOptions {
            address_policy: if self.plain_links { policy } else { policy.with_https_only() },
            connect: self.connect_options(),
            pace: DownloadPace { idle_timeout: self.idle_timeout, period: self.slow_timeout },
        }
    }
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSettings")
            .field("base_url", &host_and_port(&self.base_url))
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("paid_timeout", &self.paid_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("slow_timeout", &self.slow_timeout)
            .field("plain_links", &self.plain_links)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}

/// The two halves of an AI Studios API key. No formatting shows them.
#[derive(Clone)]
pub struct Credentials {
    app_id: SecretString,
    user_key: SecretString,
}

impl Credentials {
    /// Wraps the app id and the user key as AI Studios shows them when a key is created.
    ///
    /// # Errors
    /// One of them is empty, longer than 8 KB, or contains anything but printable ASCII, such as a
    /// copied line break. The error names the half and never its value.
    pub fn new(app_id: &str, user_key: &str) -> Result<Self, ClientSetupError> {
        for (half, value) in [("app id", app_id), ("user key", user_key)] {
            if value.is_empty() {
                return Err(ClientSetupError::EmptyCredential(half));
            }
            if !is_valid_header_value(value) {
                return Err(ClientSetupError::InvalidCredential(half));
            }
        }
        Ok(Self { app_id: app_id.into(), user_key: user_key.into() })
    }

    /// Returns the fingerprint of the account at this address: 32 hexadecimal digits, from which neither
    /// half can be found.
    pub fn account_fingerprint(&self, base_url: &Url) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("callsheet 2026 account fingerprint");
        for part in [base_url.as_str(), self.app_id(), self.user_key()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.finalize().to_hex()[..32].to_owned()
    }

    pub(super) fn app_id(&self) -> &str {
        self.app_id.expose_secret()
    }

    pub(super) fn user_key(&self) -> &str {
        self.user_key.expose_secret()
    }
}

impl PartialEq for Credentials {
    /// Not constant-time: only the batches of one user are compared.
    fn eq(&self, other: &Self) -> bool {
        (self.app_id(), self.user_key()) == (other.app_id(), other.user_key())
    }
}

impl Eq for Credentials {}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials([redacted])")
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The reason why a client cannot be created.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ClientSetupError {
    /// A credential is empty.
    #[error("the {0} is empty: set `AISTUDIOS_APP_ID` and `AISTUDIOS_USER_KEY`")]
    EmptyCredential(&'static str),
    /// A credential cannot have been issued by AI Studios.
    #[error(
        "the {0} contains a space, a line break or a character outside ASCII: copy it again from \
         the API key page"
    )]
    InvalidCredential(&'static str),
    /// The credentials would cross the network unencrypted.
    #[error("`{0}` would send the credentials unencrypted: use https (http is for loopback only)")]
    UnencryptedBaseUrl(String),
    /// Not the address of an API.
    #[error(
        "`{0}` cannot be the base URL: it must be http(s), with a host and without `?` or `#`, as \
         in `https://app.aistudios.com`"
    )]
    InvalidBaseUrl(String),
    /// The address contains a user name or password.
    #[error("`base_url` contains a user name or password: remove it")]
    SecretInBaseUrl,
    /// A time-out of zero.
    #[error("`{0}` is zero, so every request would fail: set at least one second")]
    ZeroTimeout(&'static str),
    /// This machine cannot create a TLS client.
    #[error(transparent)]
    NoTlsClient(#[from] TlsSetupError),
}

/// Returns whether `value` can be sent in a header without escapes. 8 KB is the common limit.
pub(super) fn is_valid_header_value(value: &str) -> bool {
    value.len() <= 8 << 10 && value.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(base_url: &str) -> ClientSettings {
        let url = Url::parse(base_url).unwrap();
        ClientSettings::new(url, Credentials::new("app-canary", "key-canary").unwrap())
    }

    #[test]
    fn only_base_urls_that_protect_the_token_are_accepted() {
        for valid in [
            "https://app.aistudios.com",
            "https://app.aistudios.cn/",
            "http://127.0.0.1:8080",
            "http://[::1]:1/prefix",
            "http://localhost:9",
            "https://10.1.2.3",
        ] {
            assert!(settings(valid).validate().is_ok(), "{valid}");
        }
        let messages = [
            "http://app.aistudios.com",
            "ftp://app.aistudios.com",
            "data:,x",
            "https://ann:secret-canary@app.aistudios.com",
            "https://app.aistudios.com/?a=1",
        ]
        .map(|url| settings(url).validate().unwrap_err().to_string());
        insta::assert_snapshot!(messages.join("\n").replace(": ", ":\n  "), @"
        `http://app.aistudios.com` would send the credentials unencrypted:
          use https (http is for loopback only)
        `ftp://app.aistudios.com` cannot be the base URL:
          it must be http(s), with a host and without `?` or `#`, as in `https://app.aistudios.com`
        `data://` cannot be the base URL:
          it must be http(s), with a host and without `?` or `#`, as in `https://app.aistudios.com`
        `base_url` contains a user name or password:
          remove it
        `https://app.aistudios.com` cannot be the base URL:
          it must be http(s), with a host and without `?` or `#`, as in `https://app.aistudios.com`
        ");
    }

    #[test]
    fn an_invalid_credential_is_named_but_not_shown() {
        let messages = [("", "k"), ("a", "key-canary\n"), ("app canary", "k"), ("a", "schlüssel")]
            .map(|(app_id, user_key)| Credentials::new(app_id, user_key).unwrap_err().to_string());
        insta::assert_snapshot!(messages.join("\n").replace(": ", ":\n  "), @"
        the app id is empty:
          set `AISTUDIOS_APP_ID` and `AISTUDIOS_USER_KEY`
        the user key contains a space, a line break or a character outside ASCII:
          copy it again from the API key page
        the app id contains a space, a line break or a character outside ASCII:
          copy it again from the API key page
        the user key contains a space, a line break or a character outside ASCII:
          copy it again from the API key page
        ");
    }

    #[test]
    fn the_connect_timeout_always_fires_before_the_total() {
        let mut changed = settings("https://app.aistudios.com");
        changed.request_timeout = Duration::from_secs(4);
        assert_eq!(changed.validate().unwrap().connect_timeout, Duration::from_secs(2));
        let mut changed = settings("https://app.aistudios.com");
        changed.idle_timeout = Duration::ZERO;
        assert_eq!(changed.validate().unwrap_err(), ClientSetupError::ZeroTimeout("idle_timeout"));
    }

    #[test]
    fn no_formatting_shows_a_secret() {
        let settings = settings("https://ann:secret-canary@app.aistudios.com");
        let text = format!(
            "{settings:?} {:#?} {:?} {}",
            settings, settings.credentials, settings.credentials
        );
        assert!(!text.contains("canary"), "{text}");
    }
}

//! Where AI Studios is and who is asking: the settings of a client, checked once.
//!
//! It reads no file and no environment. Invariant: a [`Credentials`] value fits into JSON and a
//! header as it stands, and no formatting of it shows a character of it.

use std::{fmt, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

/// Everything a client must be told.
#[derive(Clone)]
pub struct ClientSettings {
    /// `https://app.aistudios.com`, `https://app.aistudios.cn`, or a rehearsal's loopback address.
    pub base_url: Url,
    /// Who is asking.
    pub credentials: Credentials,
    /// Name look-up, TCP and TLS together. Kept below half of the total times, because only a
    /// connect time-out that fires first proves that nothing was sent.
    pub connect_timeout: Duration,
    /// A free call from connect to last byte.
    pub request_timeout: Duration,
    /// A paid call from connect to last byte. Long, since giving up early only leaves more
    /// requests whose fate is unknown.
    pub paid_timeout: Duration,
    /// Between two pieces of a download.
    pub idle_timeout: Duration,
    /// Whether the system's proxy variables are obeyed. Otherwise nobody in between sees the token.
    pub system_proxy: bool,
}

impl ClientSettings {
    /// Returns settings with the usual times: connect 10 s, free 30 s, paid 120 s, idle 30 s.
    pub fn new(base_url: Url, credentials: Credentials) -> Self {
        Self {
            base_url,
            credentials,
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            paid_timeout: Duration::from_secs(120),
            idle_timeout: Duration::from_secs(30),
            system_proxy: false,
        }
    }

    /// Checks what a client relies on.
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
        ] {
            if time.is_zero() {
                return Err(ClientSetupError::ZeroTimeout(name));
            }
        }
        let connect_max = self.request_timeout.min(self.paid_timeout) / 2;
        Ok(Self { connect_timeout: self.connect_timeout.min(connect_max), ..self })
    }
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("base_url", &host_and_port(&self.base_url))
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("paid_timeout", &self.paid_timeout)
            .field("idle_timeout", &self.idle_timeout)
            .field("system_proxy", &self.system_proxy)
            .finish_non_exhaustive()
    }
}

/// The two halves of an AI Studios API key. Formatting shows nothing of them.
#[derive(Clone)]
pub struct Credentials {
    app_id: SecretString,
    user_key: SecretString,
}

impl Credentials {
    /// Takes the app id and the user key as AI Studios shows them when a key is made.
    ///
    /// # Errors
    /// One of them is empty, too long, or holds something other than printable ASCII, as when a
    /// line break was copied along. The error names the half and never its value.
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

    pub(super) fn app_id(&self) -> &str {
        self.app_id.expose_secret()
    }

    pub(super) fn user_key(&self) -> &str {
        self.user_key.expose_secret()
    }
}

impl PartialEq for Credentials {
    /// Tells whether both are one account's; never shown to anybody, so time gives nothing away.
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

/// Why no client can be made.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum ClientSetupError {
    /// Nothing was given.
    #[error("the {0} is empty: set `AISTUDIOS_APP_ID` and `AISTUDIOS_USER_KEY`")]
    EmptyCredential(&'static str),
    /// It cannot be what AI Studios gave out.
    #[error(
        "the {0} holds a space, a line break or a character outside ASCII: copy it again from the \
         API key page"
    )]
    InvalidCredential(&'static str),
    /// Credentials would cross the network in the clear.
    #[error("`{0}` would send the credentials unencrypted: use https (http is for loopback only)")]
    UnencryptedBaseUrl(String),
    /// Not an address of an API.
    #[error(
        "`{0}` cannot be the base URL as given: it must be http(s), with a host and without `?` \
         or `#`, as in `https://app.aistudios.com`"
    )]
    InvalidBaseUrl(String),
    /// A user name or password is in the address.
    #[error("`base_url` holds a user name or password: take it out")]
    SecretInBaseUrl,
    /// A time-out of nothing.
    #[error("`{0}` is zero: every request would fail; give it at least a second")]
    ZeroTimeout(&'static str),
    /// The machine can make no TLS client.
    #[error("no TLS client can be made on this machine: reinstall its CA certificates")]
    NoTlsClient,
}

/// Says whether `value` can stand in a header as it is. 8 KB is what common servers accept.
pub(super) fn is_valid_header_value(value: &str) -> bool {
    value.len() <= 8 << 10 && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Says whether `url` points at this very machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns host and port as a person would write them.
pub(crate) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or("");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(base_url: &str) -> ClientSettings {
        let url = Url::parse(base_url).unwrap();
        ClientSettings::new(url, Credentials::new("app-canary", "key-canary").unwrap())
    }

    #[test]
    fn only_an_address_that_keeps_the_token_safe_will_do() {
        for fine in [
            "https://app.aistudios.com",
            "https://app.aistudios.cn/",
            "http://127.0.0.1:8080",
            "http://[::1]:1/prefix",
            "http://localhost:9",
            "https://10.1.2.3",
        ] {
            assert!(settings(fine).validate().is_ok(), "{fine}");
        }
        let said = [
            "http://app.aistudios.com",
            "ftp://app.aistudios.com",
            "data:,x",
            "https://ann:secret-canary@app.aistudios.com",
            "https://app.aistudios.com/?a=1",
        ]
        .map(|url| settings(url).validate().unwrap_err().to_string());
        insta::assert_snapshot!(said.join("\n").replace(": ", ":\n  "), @"
        `http://app.aistudios.com` would send the credentials unencrypted:
          use https (http is for loopback only)
        `ftp://app.aistudios.com` cannot be the base URL as given:
          it must be http(s), with a host and without `?` or `#`, as in `https://app.aistudios.com`
        `data://` cannot be the base URL as given:
          it must be http(s), with a host and without `?` or `#`, as in `https://app.aistudios.com`
        `base_url` holds a user name or password:
          take it out
        `https://app.aistudios.com` cannot be the base URL as given:
          it must be http(s), with a host and without `?` or `#`, as in `https://app.aistudios.com`
        ");
    }

    #[test]
    fn a_credential_that_was_copied_badly_is_named_but_not_shown() {
        let said = [("", "k"), ("a", "key-canary\n"), ("app canary", "k"), ("a", "schlüssel")]
            .map(|(app_id, user_key)| Credentials::new(app_id, user_key).unwrap_err().to_string());
        insta::assert_snapshot!(said.join("\n").replace(": ", ":\n  "), @"
        the app id is empty:
          set `AISTUDIOS_APP_ID` and `AISTUDIOS_USER_KEY`
        the user key holds a space, a line break or a character outside ASCII:
          copy it again from the API key page
        the app id holds a space, a line break or a character outside ASCII:
          copy it again from the API key page
        the user key holds a space, a line break or a character outside ASCII:
          copy it again from the API key page
        ");
    }

    #[test]
    fn a_connect_time_out_always_fires_before_the_total() {
        let mut given = settings("https://app.aistudios.com");
        given.request_timeout = Duration::from_secs(4);
        assert_eq!(given.validate().unwrap().connect_timeout, Duration::from_secs(2));
        let mut given = settings("https://app.aistudios.com");
        given.idle_timeout = Duration::ZERO;
        assert_eq!(given.validate().unwrap_err(), ClientSetupError::ZeroTimeout("idle_timeout"));
    }

    #[test]
    fn formatting_shows_no_secret() {
        let given = settings("https://ann:secret-canary@app.aistudios.com");
        let text = format!("{given:?} {:#?} {:?} {}", given, given.credentials, given.credentials);
        assert!(!text.contains("canary"), "{text}");
    }
}

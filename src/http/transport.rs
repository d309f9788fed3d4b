//! HTTP clients, and the proof that a failed request was never sent.
//!
//! No client here follows a redirect, retries, decompresses, or uses a proxy unless told to. Timeouts and pooling of a particular client are its caller's.

use std::path::Path;
use std::{error::Error, io, time::Duration};

use reqwest::{Certificate, ClientBuilder, Proxy, redirect, retry};
use url::{Host, Url};

use super::address_policy::PrivateAddressError;
use super::not_sent::{NotSentKind, NotSentReason};

/// Sent data that is not acknowledged for this long means the connection is gone. Otherwise, data
/// in the kernel of a killed process could still be sent minutes later.
#[cfg(any(target_os = "linux", target_os = "android"))]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(20);

/// How a client connects.
#[derive(Clone, Debug)]
pub(crate) struct ConnectOptions {
    /// Name resolution, TCP and TLS together.
    pub(crate) connect_timeout: Duration,
    /// The proxy to use.
    pub(crate) proxy: ProxyMode,
}

/// The proxy of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyMode {
    /// None, although there may be variables that name one.
    #[default]
    Unused,
    /// None, because the host is on this machine.
    Bypassed,
    /// The proxy variables of the environment, or the settings of the operating system.
    System,
    /// This proxy.
    Url(Url),
}

impl ProxyMode {
    /// Returns the mode for `url`: this machine is reached without a proxy.
    pub(crate) fn for_url(&self, url: &Url) -> Self {
        if is_loopback(url) { Self::Bypassed } else { self.clone() }
    }

    pub(crate) fn is_proxied(&self) -> bool {
        match self {
            Self::Unused | Self::Bypassed => false,
            Self::System | Self::Url(_) => true,
        }
    }

    /// Returns a hint for a failed connection if a variable names a proxy that is not used.
    pub(crate) fn unused_proxy_hint(&self) -> String {
        match (self, unused_proxy_variable()) {
            (Self::Unused, Some(name)) => {
                format!("; `{name}` is not used: set `proxy = \"system\"` under [studio]")
            }
            (Self::Unused | Self::Bypassed | Self::System | Self::Url(_), _) => String::new(),
        }
    }
}

/// Returns an environment variable that names a proxy for https.
pub fn unused_proxy_variable() -> Option<&'static str> {
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    names.into_iter().find(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// No TLS client can be created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsSetupError {
    /// There are no CA certificates.
    #[error("this machine cannot create a TLS client: reinstall its CA certificates")]
    NoClient,
    /// The file that should replace them cannot be used.
    #[error("`SSL_CERT_FILE` names `{path}`, which {problem}: name a PEM file, or unset it")]
    CertificateFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The proxy's address is not usable.
    #[error("the proxy cannot be used: check `proxy` and the proxy variables")]
    Proxy,
}

/// Checks the file with the machine's CA certificates, if the environment names one. The TLS library
/// would fall back to other certificates without a message.
///
/// # Errors
/// It cannot be read, or contains no certificate.
pub fn check_certificate_file() -> Result<(), TlsSetupError> {
    let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) else {
        return Ok(());
    };
    let wrong = |problem| {
        let path = Path::new(&path).display().to_string();
        Err(TlsSetupError::CertificateFile { path, problem })
    };
    match std::fs::read(&path) {
        Err(_) => wrong("cannot be read"),
        Ok(text) if !text.windows(CERTIFICATE_MARK.len()).any(|part| part == CERTIFICATE_MARK) => {
            wrong("contains no certificate")
        }
        Ok(_) => Ok(()),
    }
}

/// Ends the first line of every certificate in a PEM file.
const CERTIFICATE_MARK: &[u8] = b"CERTIFICATE-----";

/// Builds a client; `configure` adds what is particular to it. The first call installs the TLS
/// provider of the process.
///
/// # Errors
/// Neither the machine's CA certificates nor the built-in ones give a TLS client.
pub(crate) fn build_client(
    options: &ConnectOptions,
    configure: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<reqwest::Client, TlsSetupError> {
    // An error means that it is installed already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    if options.proxy != ProxyMode::Bypassed {
        check_certificate_file()?;
    }
    let proxy = match &options.proxy {
        ProxyMode::Unused | ProxyMode::Bypassed | ProxyMode::System => None,
        ProxyMode::Url(url) => {
            Some(Proxy::all(url.clone()).map_err(|_invalid| TlsSetupError::Proxy)?)
        }
    };
    let base = || {
        let builder = reqwest::Client::builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let builder = builder.tcp_user_timeout(TCP_USER_TIMEOUT);
        let is_system = options.proxy == ProxyMode::System;
        let builder = if is_system { builder } else { builder.no_proxy() };
        configure(match &proxy {
            Some(proxy) => builder.proxy(proxy.clone()),
            None => builder,
        })
    };
    // This reads the machine's CA certificates; a slim container has none.
    base().build().or_else(|_no_roots| {
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .map(|der| Certificate::from_der(der))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_invalid_root| TlsSetupError::NoClient)?;
        tracing::debug!("this machine has no CA certificates; using the built-in ones");
        base().tls_certs_only(roots).build().map_err(|_no_client| TlsSetupError::NoClient)
    })
}

/// Returns why nothing was sent, if `error` proves that nothing was. `options` are those of the
/// client that failed.
pub(crate) fn not_sent_reason(
    error: &reqwest::Error,
    host: &str,
    options: &ConnectOptions,
) -> Option<NotSentReason> {
    if !error.is_connect() && !error.is_builder() {
        return None;
    }
    let (kind, message) = if error.is_dns() {
        (
            NotSentKind::NameNotFound,
            format!("`{host}` has no address: check the network and the spelling of `base_url`"),
        )
    } else if error.is_timeout() {
        (
            NotSentKind::ConnectTimedOut,
            format!(
                "no connection to `{host}` within {} s: check the network, or `base_url`",
                options.connect_timeout.as_secs_f64()
            ),
        )
    } else if has_cause(error, <dyn Error>::is::<rustls::Error>) {
        (
            NotSentKind::TlsFailed,
            format!(
                "no trusted TLS connection to `{host}`: check this machine's clock and CA \
                 certificates, and any proxy in between"
            ),
        )
    } else if error.is_connect() {
        (
            NotSentKind::Unreachable,
            format!("`{host}` cannot be reached: check the network, or `base_url`"),
        )
    } else {
        (
            NotSentKind::InvalidRequest,
            format!("the request to `{host}` cannot be built: check `base_url`"),
        )
    };
    Some(NotSentReason { kind, message: message + &options.proxy.unused_proxy_hint() })
}

/// Returns whether `error` is due to a name that resolves to private addresses only.
pub(crate) fn is_private_address_error(error: &reqwest::Error) -> bool {
    has_cause(error, <dyn Error>::is::<PrivateAddressError>)
}

/// Searches the causes of `error`, including I/O errors that wrap others without naming them as
/// their source.
fn has_cause(error: &(dyn Error + 'static), matches: fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if matches(cause) {
            return true;
        }
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    false
}

/// Returns whether `url` points at this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Returns host and port as users write them.
pub(crate) fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or("");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

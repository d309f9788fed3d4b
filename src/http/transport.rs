//! HTTP clients, and the proof that a failed request was never sent.
//!
//! No client here follows a redirect, retries, decompresses, or uses the system's proxies unless
//! told to. Timeouts and pooling of a particular client are its caller's.

use std::{error::Error, io, time::Duration};

use reqwest::{Certificate, ClientBuilder, redirect, retry};
use url::{Host, Url};

use super::address_policy::PrivateAddressError;
use super::not_sent::{NotSentKind, NotSentReason};

/// Sent data that is not acknowledged for this long means the connection is gone. Otherwise, data
/// in the kernel of a killed process could still be sent minutes later.
#[cfg(any(target_os = "linux", target_os = "android"))]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(20);

/// How a client connects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectOptions {
    /// Name resolution, TCP and TLS together.
    pub(crate) connect_timeout: Duration,
    /// Whether the system's proxy variables are used.
    pub(crate) system_proxy: bool,
}

/// No TLS client can be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this machine cannot create a TLS client: reinstall its CA certificates")]
pub struct TlsSetupError;

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
    let base = || {
        let builder = reqwest::Client::builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.connect_timeout)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let builder = builder.tcp_user_timeout(TCP_USER_TIMEOUT);
        configure(if options.system_proxy { builder } else { builder.no_proxy() })
    };
    // This reads the machine's CA certificates; a slim container has none.
    base().build().or_else(|_no_roots| {
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .map(|der| Certificate::from_der(der))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_invalid_root| TlsSetupError)?;
        tracing::debug!("this machine has no CA certificates; using the built-in ones");
        base().tls_certs_only(roots).build().map_err(|_no_client| TlsSetupError)
    })
}

/// Returns why nothing was sent, if `error` proves that nothing was. `connect_timeout` is the one
/// of the client that failed.
pub(crate) fn not_sent_reason(
    error: &reqwest::Error,
    host: &str,
    connect_timeout: Duration,
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
                connect_timeout.as_secs_f64()
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
    Some(NotSentReason { kind, message })
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

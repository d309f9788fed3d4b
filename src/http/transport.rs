//! The three HTTP clients, and what it means that one could not connect.
//!
//! They differ in what a mistake would cost. *Paid*: nothing is ever sent twice, so no redirect, no
//! retry, HTTP/1.1, connections reused for a second at most. *Free*: pooled. *Download*: carries no
//! credentials and reaches only public addresses. None follows a redirect by itself, decompresses,
//! or sees the system's proxies unless asked to.

use std::{error::Error, io, time::Duration};

use reqwest::{Certificate, ClientBuilder, redirect, retry};
use url::Url;

use crate::aistudios::settings::{ClientSettings, ClientSetupError, is_loopback};
use crate::aistudios::submit_outcome::{NotSentKind, NotSentReason};
use crate::http::address_policy::{AddressPolicy, GuardedResolver, PrivateAddressError};

/// Written data that nobody confirms for this long means the connection is gone. A killed process
/// leaves bytes in the kernel that would be sent for minutes otherwise.
#[cfg(any(target_os = "linux", target_os = "android"))]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection idle for longer may be closing under us, and the loss of an answer would then be
/// our own doing. Within it, reuse keeps high rates cheap.
const PAID_POOL_IDLE_MAX: Duration = Duration::from_secs(1);

/// How long a server of somebody's media may take to connect.
const MEDIA_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The three clients.
pub(crate) struct HttpClients {
    pub(crate) paid: reqwest::Client,
    pub(crate) free: reqwest::Client,
    pub(crate) download: reqwest::Client,
    pub(crate) address_policy: AddressPolicy,
}

impl HttpClients {
    /// Builds the clients. The first one installs the process's TLS provider.
    pub(crate) fn new(settings: &ClientSettings) -> Result<Self, ClientSetupError> {
        // An error means that it is installed already, which is what we want.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let reach = if is_loopback(&settings.base_url) {
            AddressPolicy::Unrestricted
        } else {
            AddressPolicy::PublicOnly
        };
        // A rehearsal's API is plain http, so its clients are spared the reading of the machine's
        // CA roots, which takes longer than all the rest.
        let plain = settings.base_url.scheme() == "http" && !settings.system_proxy;
        let api = |builder: ClientBuilder| {
            if plain { builder.tls_certs_only([]) } else { builder }
        };
        let ways = (settings.connect_timeout, settings.system_proxy);
        let paid = build_client(ways, |builder| {
            api(builder)
                .timeout(settings.paid_timeout)
                .http1_only()
                .pool_idle_timeout(PAID_POOL_IDLE_MAX.min(settings.paid_timeout))
        })?;
        let free = build_client(ways, |builder| api(builder).timeout(settings.request_timeout))?;
        let download = build_client(ways, |builder| {
            // A proxy looks the name up itself; here only the proxy's own name would be judged.
            if settings.system_proxy {
                builder
            } else {
                builder.dns_resolver(GuardedResolver(reach))
            }
        })?;
        Ok(Self { paid, free, download, address_policy: reach })
    }
}

/// Builds a client that carries no credentials, for addresses that a payload names.
pub(crate) fn build_media_client(
    base_url: &Url,
) -> Result<(reqwest::Client, AddressPolicy), ClientSetupError> {
    // An error means that it is installed already, which is what we want.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let reach =
        if is_loopback(base_url) { AddressPolicy::Unrestricted } else { AddressPolicy::PublicOnly };
    let guarded = |builder: ClientBuilder| builder.dns_resolver(GuardedResolver(reach));
    let client = build_client((MEDIA_CONNECT_TIMEOUT, false), guarded)?;
    Ok((client, reach))
}

/// Builds a client for whoever is not AI Studios; `patience` is for one request, whole.
pub(crate) fn build_third_party_client(
    connect_timeout: Duration,
    patience: Duration,
) -> Result<reqwest::Client, ClientSetupError> {
    // An error means that it is installed already, which is what we want.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let plain = |builder: ClientBuilder| builder.timeout(patience).pool_max_idle_per_host(0);
    build_client((connect_timeout, false), plain)
}

fn build_client(
    (connect_timeout, system_proxy): (Duration, bool),
    shape: impl Fn(ClientBuilder) -> ClientBuilder,
) -> Result<reqwest::Client, ClientSetupError> {
    let base = || {
        let builder = reqwest::Client::builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect_timeout)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let builder = builder.tcp_user_timeout(TCP_USER_TIMEOUT);
        shape(if system_proxy { builder } else { builder.no_proxy() })
    };
    // The machine's own CA roots are read here and now, and a slim container has none.
    base().build().or_else(|_no_roots| {
        let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
            .iter()
            .map(|der| Certificate::from_der(der))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_odd_root| ClientSetupError::NoTlsClient)?;
        tracing::debug!("this machine has no CA certificates; the built-in ones are used");
        base().tls_certs_only(roots).build().map_err(|_no_client| ClientSetupError::NoTlsClient)
    })
}

/// Returns why nothing was sent, if `error` proves that nothing was.
pub(crate) fn not_sent_reason(
    error: &reqwest::Error,
    host: &str,
    patience: Duration,
) -> Option<NotSentReason> {
    if !error.is_connect() && !error.is_builder() {
        return None;
    }
    let (kind, words) = if error.is_dns() {
        (
            NotSentKind::NameNotFound,
            format!("`{host}` has no address: check the network and the spelling of `base_url`"),
        )
    } else if error.is_timeout() {
        (
            NotSentKind::ConnectTimedOut,
            format!(
                "`{host}` did not answer within {} s: check the network, or `base_url`",
                patience.as_secs_f64()
            ),
        )
    } else if has_cause(error, <dyn Error>::is::<rustls::Error>) {
        (
            NotSentKind::TlsFailed,
            format!(
                "`{host}` offers no trusted TLS connection: check this machine's clock and CA \
                 certificates, and whether a proxy sits in between"
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
            format!("no request to `{host}` can be made: check `base_url`"),
        )
    };
    Some(NotSentReason { kind, message: words })
}

/// Says whether `error` stands for a name that leads to a private address.
pub(crate) fn is_private_address_error(error: &reqwest::Error) -> bool {
    has_cause(error, <dyn Error>::is::<PrivateAddressError>)
}

/// Walks down the causes of `error`, into the I/O errors that wrap others without naming them as
/// their source.
fn has_cause(error: &(dyn Error + 'static), is_it: fn(&(dyn Error + 'static)) -> bool) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if is_it(cause) {
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

//! Rejects requests that a web page on this machine could send: under another host name (DNS
//! rebinding), or without a type that browsers send across sites only after asking.
//!
//! Invariant: the check comes before faults, work and counters.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, Method, header};
use url::{Host, Url};

use super::api::RequestRejection;

/// Checks the host and, for requests that change something, the type of the body.
pub(super) fn check_request(
    method: &Method,
    headers: &HeaderMap,
    listen: SocketAddr,
) -> Result<(), RequestRejection> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(|host| is_own_host(host, listen)) {
        let message = "the sandbox is reached by the address on which it listens";
        return Err(RequestRejection::new(421, 4210, message));
    }
    let has_body = headers.get(header::CONTENT_LENGTH).is_none_or(|length| length != "0")
        && (headers.contains_key(header::CONTENT_LENGTH)
            || headers.contains_key(header::TRANSFER_ENCODING));
    // A web page can send neither a body of this type nor a token to another site without asking.
    let has_token = headers.contains_key(header::AUTHORIZATION);
    let needs_type = has_body || (*method == Method::POST && !has_token);
    let is_read = *method == Method::GET || *method == Method::HEAD;
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_json = kind.is_some_and(|kind| {
        kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
    });
    if !is_read && needs_type && !is_json {
        let message = "the body must have the type application/json";
        return Err(RequestRejection::new(415, 4150, message));
    }
    Ok(())
}

/// Returns whether a `Host` header names this server. On a network it is reached by other addresses,
/// and perhaps through another port; a name of another machine is no address.
fn is_own_host(host: &str, listen: SocketAddr) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
    // Anything but a host and a port would be parsed as another part of the URL.
    if host.contains(['/', '@', '?', '#', '\\']) {
        return false;
    }
    let port = url.port_or_known_default();
    let (is_loopback, is_address) = match url.host() {
        Some(Host::Domain(name)) => (name == "localhost", name == "localhost"),
        Some(Host::Ipv4(ip)) => (ip.is_loopback(), true),
        Some(Host::Ipv6(ip)) => (ip.is_loopback(), true),
        None => (false, false),
    };
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => is_loopback && port == Some(listen.port()),
        IpAddr::V6(ip) if ip.is_loopback() => is_loopback && port == Some(listen.port()),
        IpAddr::V4(_) | IpAddr::V6(_) => is_address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_its_own_host() {
        let local = SocketAddr::from(([127, 0, 0, 1], 8787));
        let network = SocketAddr::from(([0, 0, 0, 0], 8787));
        for (host, is_local, is_network) in [
            ("127.0.0.1:8787", true, true),
            ("localhost:8787", true, true),
            ("LOCALHOST:8787", true, true),
            ("[::1]:8787", true, true),
            ("127.0.0.1", false, true),
            ("127.0.0.1:8788", false, true),
            ("10.1.2.3:8787", false, true),
            ("evil.example:8787", false, false),
            ("localhost.evil.example:8787", false, false),
            ("127.0.0.1.evil.example:8787", false, false),
            ("x@127.0.0.1:8787", false, false),
            ("127.0.0.1:8787/x", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_own_host(host, local), is_local, "{host}");
            assert_eq!(is_own_host(host, network), is_network, "{host} on a network");
        }
    }
}

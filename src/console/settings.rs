//! The settings of the console, and which addresses it may listen on.
//!
//! Invariant: an address that other machines reach needs users, and either TLS in front of it or an
//! explicit consent to plain HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use axum::http::HeaderName;

use crate::session::ledger_location::LedgerOptions;

/// Where the console listens by default.
pub(crate) const CONSOLE_ADDRESS: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8780);

/// The settings of a console.
#[derive(Clone, Debug)]
pub(crate) struct ConsoleSettings {
    pub(crate) listen: SocketAddr,
    pub(crate) base_path: BasePath,
    /// Names under which a proxy or the network knows the console.
    pub(crate) hosts: Vec<String>,
    /// Whether browsers reach it through TLS only.
    pub(crate) is_behind_tls: bool,
    pub(crate) trusted_header: Option<TrustedHeader>,
    /// The options that select the ledger, for suggested commands.
    pub(crate) ledger_options: LedgerOptions,
}

impl ConsoleSettings {
    /// Returns whether it listens where it does by default.
    pub(crate) fn is_default_listen(&self) -> bool {
        self.listen == CONSOLE_ADDRESS
    }
}

/// A header in which a proxy names the user that it signed in.
#[derive(Clone, Debug)]
pub(crate) struct TrustedHeader {
    pub(crate) name: HeaderName,
    /// The proxies that are believed.
    pub(crate) proxies: Vec<IpAddr>,
}

/// The path under which a proxy serves the console: empty, or `/callsheet`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BasePath(String);

impl BasePath {
    /// Returns it, to be followed by a path that begins with a slash.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path of the session's cookie.
    pub(crate) fn cookie_path(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }
}

impl FromStr for BasePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.trim_end_matches('/');
        let is_segment = |segment: &str| {
            let is_plain =
                |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
            !segment.is_empty() && !segment.starts_with('.') && segment.chars().all(is_plain)
        };
        match path.strip_prefix('/') {
            None if path.is_empty() => Ok(Self::default()),
            Some(rest) if rest.split('/').all(is_segment) => Ok(Self(path.to_owned())),
            Some(_) | None => Err("must be a path such as /callsheet"),
        }
    }
}

/// What decides whether an address may be listened on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConsoleAddressRule {
    pub(crate) listen: SocketAddr,
    pub(crate) has_users: bool,
    pub(crate) is_behind_tls: bool,
    pub(crate) allows_plain_http: bool,
}

impl ConsoleAddressRule {
    /// Checks the rule.
    ///
    /// # Errors
    /// What is missing, and how to add it.
    pub(crate) fn check(self) -> Result<(), String> {
        let listen = self.listen;
        if listen.ip().is_loopback() {
            return Ok(());
        }
        if !self.has_users {
            return Err(format!(
                "other machines can reach {listen}, and the console has no users: add one first\n\n    \
                 callsheet serve user add NAME --role operator"
            ));
        }
        if !self.is_behind_tls && !self.allows_plain_http {
            return Err(format!(
                "other machines can reach {listen}, and passwords would cross the network in plain \
                 text: put a proxy with TLS in front and add --behind-tls, or accept it with \
                 --plain-http"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_others_reach_needs_users_and_tls_or_consent() {
        let rule = |listen: &str, has_users, is_behind_tls, allows_plain_http| {
            let listen = listen.parse().unwrap();
            let rule = ConsoleAddressRule { listen, has_users, is_behind_tls, allows_plain_http };
            rule.check().is_ok()
        };
        assert!(rule("127.0.0.1:8780", false, false, false));
        assert!(rule("[::1]:8780", false, false, false));
        for listen in ["0.0.0.0:8780", "192.168.1.5:80", "[::]:8780"] {
            assert!(!rule(listen, false, true, true), "without users");
            assert!(!rule(listen, true, false, false), "without TLS or consent");
            assert!(rule(listen, true, true, false));
            assert!(rule(listen, true, false, true));
        }
    }

    #[test]
    fn a_base_path_is_a_plain_path() {
        for (text, path) in [("", ""), ("/", ""), ("/a", "/a"), ("/a/b-c/", "/a/b-c")] {
            assert_eq!(text.parse::<BasePath>().unwrap().as_str(), path);
        }
        for wrong in ["a", "//a", "/a//b", "/../a", "/a b", "/a?b", "/{a}", "/a\"b"] {
            assert!(wrong.parse::<BasePath>().is_err(), "{wrong}");
        }
    }
}

//! The `Host` names under which the console answers.
//!
//! A page of another site can make its own name point to this machine and then read our answers, as
//! if they were its own (DNS rebinding); only the name in `Host` shows it. An IP address cannot be
//! pointed elsewhere. Pure.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};

/// The names of this console.
#[derive(Clone, Debug)]
pub(crate) struct AllowedHosts {
    bound: IpAddr,
    names: Vec<String>,
}

impl AllowedHosts {
    /// Returns the names of a console that listens on `bound`, and has other `names` by settings.
    pub(crate) fn new(bound: IpAddr, names: &[String]) -> Self {
        Self { bound, names: names.iter().map(|name| canonical_name(name)).collect() }
    }

    /// Returns whether the only `Host` of a request is one of them.
    pub(crate) fn includes_host_of(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        match (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) {
            (Some(host), None) => self.includes(host),
            (_, _) => false,
        }
    }

    fn includes(&self, host: &str) -> bool {
        let name = canonical_name(without_port(host));
        if self.names.contains(&name) {
            return true;
        }
        let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match address {
            Ok(address) if self.bound.is_unspecified() => !address.is_unspecified(),
            Ok(address) => address == self.bound || (self.is_loopback() && address.is_loopback()),
            Err(_) => name == "localhost" && (self.is_loopback() || self.bound.is_unspecified()),
        }
    }

    fn is_loopback(&self) -> bool {
        self.bound.is_loopback()
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !is_bare_v6(host) =>
        {
            name
        }
        Some(_) | None => host,
    }
}

fn is_bare_v6(host: &str) -> bool {
    host.matches(':').count() > 1 && !host.starts_with('[')
}

fn canonical_name(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_cannot_be_pointed_here_by_others_are_answered() {
        let cases: [(&str, &[&str], &[&str]); 4] = [
            (
                "127.0.0.1",
                &["localhost", "LOCALHOST:8780", "127.0.0.1:8780", "127.0.0.2", "[::1]:8780"],
                &["evil.example", "evil.example:8780", "192.168.1.5", "", "localhost.evil.example"],
            ),
            ("192.168.1.5", &["192.168.1.5:80"], &["192.168.1.6", "localhost", "127.0.0.1"]),
            ("0.0.0.0", &["192.168.1.5:80", "localhost"], &["evil.example", "0.0.0.0"]),
            ("::1", &["[::1]", "localhost:1"], &["[::2]", "::1.evil.example"]),
        ];
        for (bound, right, wrong) in cases {
            let hosts = AllowedHosts::new(bound.parse().unwrap(), &["Videos.Example.".to_owned()]);
            for host in right.iter().chain(&["videos.example", "videos.example:443"]) {
                assert!(hosts.includes(host), "{bound}: {host}");
            }
            for host in wrong.iter().chain(&["x.videos.example", "videos.example@evil.example"]) {
                assert!(!hosts.includes(host), "{bound}: {host}");
            }
        }
    }

    #[test]
    fn a_request_with_two_hosts_or_none_is_answered_by_none() {
        let hosts = AllowedHosts::new(IpAddr::from([127, 0, 0, 1]), &[]);
        let mut headers = HeaderMap::new();
        assert!(!hosts.includes_host_of(&headers));
        headers.append(header::HOST, "localhost".parse().unwrap());
        assert!(hosts.includes_host_of(&headers));
        headers.append(header::HOST, "localhost".parse().unwrap());
        assert!(!hosts.includes_host_of(&headers));
    }
}

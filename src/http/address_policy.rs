//! The addresses that may be requested: public ones only, unless the API itself is on this machine.
//!
//! A download link comes from a response, which may be wrong or hostile. The scheme and a literal
//! address are checked before the request; a host name is checked by its *addresses*, in the
//! resolver that the connection itself uses, so that a second lookup cannot return another one.

use std::{
    error::Error,
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::transport::is_loopback;

/// The addresses that may be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressPolicy {
    /// Public addresses only.
    PublicOnly,
    /// All addresses, because the API itself is on loopback, and its downloads are too.
    Unrestricted,
}

/// The reason why an address may not be requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressError {
    /// Neither http nor https, or it contains a user name.
    UnsupportedUrl,
    /// An address of this machine or of a private network.
    PrivateAddress,
}

impl AddressPolicy {
    /// Returns the policy for links that `origin` gave us.
    pub(crate) fn for_origin(origin: &Url) -> Self {
        if is_loopback(origin) { Self::Unrestricted } else { Self::PublicOnly }
    }

    /// Checks everything that the URL itself shows.
    pub(crate) fn check_url(self, url: &Url) -> Result<(), AddressError> {
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !matches!(url.scheme(), "http" | "https") || has_user {
            return Err(AddressError::UnsupportedUrl);
        }
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(AddressError::UnsupportedUrl),
        };
        match literal {
            Some(address) if !self.is_allowed(address) => Err(AddressError::PrivateAddress),
            Some(_) | None => Ok(()),
        }
    }

    fn is_allowed(self, address: IpAddr) -> bool {
        match self {
            Self::PublicOnly => is_public(address),
            Self::Unrestricted => true,
        }
    }
}

/// Resolves names with the system's resolver and returns only the addresses that the policy allows.
pub(crate) struct GuardedResolver(pub(crate) AddressPolicy);

/// A name with disallowed addresses only. Found again among the causes of a failed request.
#[derive(Debug)]
pub(crate) struct PrivateAddressError;

impl fmt::Display for PrivateAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name resolves to a private address")
    }
}

impl Error for PrivateAddressError {}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.is_empty() {
                return Err(io::Error::from(io::ErrorKind::NotFound).into());
            }
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|address| policy.is_allowed(address.ip())).collect();
            if allowed.is_empty() {
                return Err(PrivateAddressError.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Returns whether `address` belongs to the public internet.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || (a == 100 && (64..128).contains(&b)) // carrier-grade NAT
        || (a == 192 && b == 0 && c == 0) // protocol assignments
        || (a == 198 && (b == 18 || b == 19)) // benchmarking
        || a >= 224) // multicast, reserved, broadcast
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // An embedded IPv4 address: mapped, NAT64, 6to4.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            embedded(high, low)
        }
        [0x2002, high, low, ..] => embedded(high, low),
        [0x2001, 0 | 0xdb8, ..] => false, // Teredo, documentation
        // All assigned public addresses are in 2000::/3; loopback, unique-local, link-local,
        // site-local and multicast addresses are not.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(url: &str) -> Result<(), AddressError> {
        AddressPolicy::PublicOnly.check_url(&Url::parse(url).unwrap())
    }

    #[test]
    fn private_addresses_are_rejected_in_every_notation() {
        for url in [
            "http://127.0.0.1/x.mp4",
            "http://127.1/x",
            "http://2130706433/x",
            "http://0x7f.0.0.1/x",
            "http://0177.0.0.1/x",
            "http://0.0.0.0/x",
            "http://10.0.0.8/x",
            "http://172.31.255.1/x",
            "http://192.168.1.1/x",
            "http://169.254.169.254/latest/meta-data",
            "http://100.64.0.1/x",
            "http://198.18.0.1/x",
            "http://224.0.0.1/x",
            "http://255.255.255.255/x",
            "http://[::1]/x",
            "http://[::]/x",
            "http://[::ffff:127.0.0.1]/x",
            "http://[::ffff:10.0.0.1]/x",
            "http://[64:ff9b::7f00:1]/x",
            "http://[2002:7f00:1::]/x",
            "http://[2001:0:1::]/x",
            "http://[fe80::1]/x",
            "http://[fd00::1]/x",
            "http://[ff02::1]/x",
            "http://[::127.0.0.1]/x",
        ] {
            assert_eq!(check(url), Err(AddressError::PrivateAddress), "{url}");
            assert_eq!(
                AddressPolicy::Unrestricted.check_url(&Url::parse(url).unwrap()),
                Ok(()),
                "{url}"
            );
        }
    }

    #[test]
    fn only_http_and_https_urls_without_user_are_allowed() {
        for url in
            ["file:///etc/passwd", "gopher://example.com/", "data:,x", "https://a:b@example.com/"]
        {
            assert_eq!(check(url), Err(AddressError::UnsupportedUrl), "{url}");
        }
        for url in [
            "https://media.aistudios.com/a.mp4?sig=1",
            "http://8.8.8.8/x",
            "http://[2606:4700::1]/x",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_is_checked_by_its_addresses() {
        let name = || "localhost".parse::<Name>().unwrap();
        let rejected =
            GuardedResolver(AddressPolicy::PublicOnly).resolve(name()).await.err().unwrap();
        assert!(rejected.is::<PrivateAddressError>());
        assert!(GuardedResolver(AddressPolicy::Unrestricted).resolve(name()).await.is_ok());
    }

    proptest! {
        #[test]
        fn a_mapped_ipv4_address_is_checked_like_the_ipv4_address(bits in any::<u32>()) {
            let v4 = Ipv4Addr::from(bits);
            prop_assert_eq!(is_public_v4(v4), is_public_v6(v4.to_ipv6_mapped()));
        }
    }
}

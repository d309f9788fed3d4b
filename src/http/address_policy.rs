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
    /// Public addresses over https only, because the API itself is reached over https.
    PublicHttpsOnly,
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
    /// Neither encrypted nor allowed to be plain.
    PlainHttp,
}

impl AddressPolicy {
    /// Returns the policy for links that `origin` gave us.
    pub(crate) fn for_origin(origin: &Url) -> Self {
        if is_loopback(origin) { Self::Unrestricted } else { Self::PublicOnly }
    }

    /// Returns the policy that also requires https, unless the links lead to this machine.
    pub(crate) fn with_https_only(self) -> Self {
        match self {
            Self::PublicOnly | Self::PublicHttpsOnly => Self::PublicHttpsOnly,
            Self::Unrestricted => Self::Unrestricted,
        }
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
            Some(Host::Domain(_)) if self != Self::Unrestricted && is_loopback(url) => {
                return Err(AddressError::PrivateAddress);
            }
            Some(Host::Domain(_)) => None,
            None => return Err(AddressError::UnsupportedUrl),
        };
        match literal {
            Some(address) if !self.is_allowed(address) => Err(AddressError::PrivateAddress),
            Some(_) | None if self == Self::PublicHttpsOnly && url.scheme() != "https" => {
                Err(AddressError::PlainHttp)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn is_allowed(self, address: IpAddr) -> bool {
        match self {
            Self::PublicOnly | Self::PublicHttpsOnly => is_public(address),
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

/// The IPv4 ranges that are not public, or belong to no host of files: the special-purpose registry of
/// IANA, multicast, reserved addresses, and one address through which a cloud shows its own services.
const SPECIAL_V4: [(Ipv4Addr, u32); 20] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10), // carrier-grade NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32), // the platform of Azure
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
    (Ipv4Addr::new(192, 31, 196, 0), 24), // AS112
    (Ipv4Addr::new(192, 52, 193, 0), 24), // AMT
    (Ipv4Addr::new(192, 88, 99, 0), 24),  // relays of 6to4
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(192, 175, 48, 0), 24), // AS112
    (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, broadcast
    (Ipv4Addr::new(255, 255, 255, 255), 32),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let is_in = |(network, length): &(Ipv4Addr, u32)| {
        (address.to_bits() ^ network.to_bits()) >> (32 - length) == 0
    };
    !SPECIAL_V4.iter().any(is_in)
}

/// All assigned public addresses are in `2000::/3`; loopback, unique-local, link-local, site-local,
/// multicast, discard-only and segment-routing addresses are not.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // An embedded IPv4 address: mapped, NAT64, 6to4, ISATAP.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            embedded(high, low)
        }
        [0x2002, high, low, ..] => embedded(high, low),
        [first, _, _, _, 0 | 0x200, 0x5efe, high, low] => {
            first & 0xe000 == 0x2000 && embedded(high, low)
        }
        // Protocol assignments, among them Teredo, benchmarking, AMT and ORCHID.
        [0x2001, 0..=0x1ff, ..] => false,
        [0x2001, 0xdb8, ..] => false,        // documentation
        [0x2620, 0x4f, 0x8000, ..] => false, // AS112
        [0x3fff, 0..=0xfff, ..] => false,    // documentation
        [0x3ffe, ..] => false,               // 6bone, returned
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
            "http://localhost/x",
            "http://a.localhost/x",
            "http://168.63.129.16/x",
            "http://192.0.0.170/x",
            "http://192.0.2.1/x",
            "http://192.88.99.1/x",
            "http://198.51.100.1/x",
            "http://203.0.113.1/x",
            "http://240.0.0.1/x",
            "http://[::ffff:168.63.129.16]/x",
            "http://[64:ff9b::a83f:8110]/x",
            "http://[64:ff9b:1::1]/x",
            "http://[100::1]/x",
            "http://[100:0:0:1::1]/x",
            "http://[2001:1::1]/x",
            "http://[2001:2::1]/x",
            "http://[2001:10::1]/x",
            "http://[2001:2f::1]/x",
            "http://[2001:30::1]/x",
            "http://[2001:1ff::1]/x",
            "http://[2001:db8::1]/x",
            "http://[2002:c058:6301::]/x",
            "http://[2606:4700::5efe:a00:1]/x",
            "http://[2606:4700::200:5efe:c0a8:1]/x",
            "http://[2620:4f:8000::1]/x",
            "http://[3ffe::1]/x",
            "http://[3fff::1]/x",
            "http://[3fff:fff::1]/x",
            "http://[5f00::1]/x",
            "http://[fec0::1]/x",
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
            "http://168.63.129.17/x",
            "http://192.88.98.1/x",
            "http://100.63.255.255/x",
            "http://172.32.0.1/x",
            "http://[2001:200::1]/x",
            "http://[2001:4860:4860::8888]/x",
            "http://[2002:808:808::1]/x",
            "http://[3fff:1000::1]/x",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn links_of_an_encrypted_api_are_encrypted() {
        let api = |url: &str| AddressPolicy::for_origin(&Url::parse(url).unwrap());
        let policy = api("https://app.aistudios.com").with_https_only();
        let check = |url: &str| policy.check_url(&Url::parse(url).unwrap());
        assert_eq!(check("https://media.aistudios.com/a.mp4"), Ok(()));
        assert_eq!(check("http://media.aistudios.com/a.mp4"), Err(AddressError::PlainHttp));
        assert_eq!(check("http://8.8.8.8/a.mp4"), Err(AddressError::PlainHttp));
        assert_eq!(check("http://10.0.0.1/a.mp4"), Err(AddressError::PrivateAddress));
        assert_eq!(check("https://10.0.0.1/a.mp4"), Err(AddressError::PrivateAddress));
        let sandbox = api("http://127.0.0.1:4000").with_https_only();
        assert_eq!(sandbox, AddressPolicy::Unrestricted);
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

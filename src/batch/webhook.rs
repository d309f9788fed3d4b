//! `[webhook]`: where AI Studios may call when a render goes on, and where such calls are taken.
//!
//! Only addresses: the secret that makes each of them known to AI Studios alone is drawn for every
//! paid request, and never stands in a batch file.

use std::net::{Ipv4Addr, SocketAddr};

use toml::de::DeValue;
use url::Url;

use super::reader::{Complaint, Reader};
use super::studio::{Host, InvalidHost};
use super::value;

const SECTION: &str = "webhook";

/// Where AI Studios may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// `public_url`: what AI Studios is given, up to the secret.
    pub public_url: Url,
    /// `listen`: where calls arrive on this machine.
    pub listen: SocketAddr,
}

impl Webhook {
    /// Where calls arrive when nothing is said: on this machine alone, beside the port of
    /// `callsheet sandbox`.
    pub const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8788);

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        if !reader.has_table(SECTION) {
            return None;
        }
        let example = "https://hooks.example.com/callsheet";
        let public_url = reader.required_in((SECTION, "public_url"), example, public_url);
        let listen = reader.get(SECTION, "listen", listen).unwrap_or(Self::LISTEN);
        Some(Self { public_url: public_url?, listen })
    }
}

fn public_url(given: &DeValue<'_>) -> Result<Url, Complaint> {
    let host = Host::at(&value::text(given)?).map_err(|error| {
        let words = match error {
            InvalidHost::Form => "must be an address like `https://hooks.example.com`".to_owned(),
            InvalidHost::Insecure | InvalidHost::Credentials | InvalidHost::Tail => {
                error.to_string()
            }
        };
        Complaint::new(words).confidential()
    })?;
    Ok(host.base_url())
}

fn listen(given: &DeValue<'_>) -> Result<SocketAddr, Complaint> {
    value::text(given)?.trim().parse().map_err(|_| {
        Complaint::new("must be an address with a port")
            .help("write it like `listen = \"127.0.0.1:8788\"`")
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Batch, parse};
    use super::*;

    fn read(lines: &str) -> Result<Batch, String> {
        let source = format!("sheet = 's.csv'\ntemplate = 't.hbs'\n[webhook]\n{lines}");
        parse(Path::new("b.toml"), source).map_err(|problems| problems.to_string())
    }

    #[test]
    fn an_address_is_https_or_on_this_machine_and_has_room_for_a_secret_at_its_end() {
        for good in ["https://hooks.example/callsheet", "http://127.0.0.1:9/", "https://h.example"]
        {
            let webhook = read(&format!("public_url = '{good}'")).unwrap().webhook.unwrap();
            assert_eq!(webhook.listen, Webhook::LISTEN);
        }
        for (bad, why) in [
            ("http://hooks.example", "must begin with `https://`"),
            ("https://hooks.example/?to=us", "without `?` and `#`"),
            ("https://ann:pw@hooks.example", "must not contain a user or a password"),
            ("hooks.example", "must be an address like"),
        ] {
            let told = read(&format!("public_url = '{bad}'")).unwrap_err();
            assert!(told.contains(why) && !told.contains("pw@"), "{told}");
        }
        assert!(read("listen = '127.0.0.1:1'").unwrap_err().contains("has no `public_url`"));
        let listen = "public_url = 'https://h.example'\nlisten = '8788'";
        assert!(read(listen).unwrap_err().contains("must be an address with a port"));
    }
}

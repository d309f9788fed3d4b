//! `[webhook]`: where AI Studios may call when a render goes on, and where such calls are taken.
//!
//! Only addresses: the secret that makes each of them known to AI Studios alone is drawn for every
//! paid request, and never stands in a batch file.

use std::net::{Ipv4Addr, SocketAddr};

use toml::de::DeValue;
use url::Url;

use super::reader::{SettingProblem, SettingsReader};
use super::studio::{InvalidStudioHost, StudioHost};
use super::value;

const SECTION: &str = "webhook";

/// Where AI Studios may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// `public_url`: what AI Studios is given, up to the secret.
    pub public_url: Url,
    /// `listen`: where calls arrive on this machine.
    pub listen: SocketAddr,
}

impl WebhookSettings {
    /// Where calls arrive when nothing is said: on this machine alone, beside the port of
    /// `callsheet sandbox`.
    pub const DEFAULT_LISTEN: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8788);

    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        if !reader.has_table(SECTION) {
            return None;
        }
        let example = "https://hooks.example.com/callsheet";
        let public_url = reader.get_required_in((SECTION, "public_url"), example, parse_public_url);
        let listen =
            reader.get(SECTION, "listen", parse_listen_address).unwrap_or(Self::DEFAULT_LISTEN);
        Some(Self { public_url: public_url?, listen })
    }
}

fn parse_public_url(given: &DeValue<'_>) -> Result<Url, SettingProblem> {
    let host = StudioHost::parse(&value::parse_text(given)?).map_err(|error| {
        let words = match error {
            InvalidStudioHost::Malformed => {
                "must be an address like `https://hooks.example.com`".to_owned()
            }
            InvalidStudioHost::Insecure
            | InvalidStudioHost::Credentials
            | InvalidStudioHost::QueryOrFragment => error.to_string(),
        };
        SettingProblem::new(words).as_confidential()
    })?;
    Ok(host.base_url())
}

fn parse_listen_address(given: &DeValue<'_>) -> Result<SocketAddr, SettingProblem> {
    value::parse_text(given)?.trim().parse().map_err(|_| {
        SettingProblem::new("must be an address with a port")
            .with_help("write it like `listen = \"127.0.0.1:8788\"`")
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Batch, parse};
    use super::*;

    fn parse_webhook(lines: &str) -> Result<Batch, String> {
        let source = format!("sheet = 's.csv'\ntemplate = 't.hbs'\n[webhook]\n{lines}");
        parse(Path::new("b.toml"), source).map_err(|problems| problems.to_string())
    }

    #[test]
    fn an_address_is_https_or_on_this_machine_and_has_room_for_a_secret_at_its_end() {
        for good in ["https://hooks.example/callsheet", "http://127.0.0.1:9/", "https://h.example"]
        {
            let webhook =
                parse_webhook(&format!("public_url = '{good}'")).unwrap().webhook.unwrap();
            assert_eq!(webhook.listen, WebhookSettings::DEFAULT_LISTEN);
        }
        for (bad, why) in [
            ("http://hooks.example", "must begin with `https://`"),
            ("https://hooks.example/?to=us", "without `?` and `#`"),
            ("https://ann:pw@hooks.example", "must not contain a user or a password"),
            ("hooks.example", "must be an address like"),
        ] {
            let told = parse_webhook(&format!("public_url = '{bad}'")).unwrap_err();
            assert!(told.contains(why) && !told.contains("pw@"), "{told}");
        }
        assert!(
            parse_webhook("listen = '127.0.0.1:1'").unwrap_err().contains("has no `public_url`")
        );
        let listen = "public_url = 'https://h.example'\nlisten = '8788'";
        assert!(parse_webhook(listen).unwrap_err().contains("must be an address with a port"));
    }
}

//! `[webhook]`: the public URL for callbacks from AI Studios, and the address that receives them.
//!
//! It contains no secret: the secret part of each callback URL is generated for every paid request.

use std::net::{Ipv4Addr, SocketAddr};

use toml::de::DeValue;
use url::Url;

use super::reader::{SettingProblem, SettingsReader};
use super::studio_section::{InvalidStudioHost, StudioHost};
use super::value;

const SECTION: &str = "webhook";

/// The URL and the address for callbacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookSettings {
    /// `public_url`: the callback URL without its secret.
    pub public_url: Url,
    /// `listen`: the address on this machine that receives callbacks.
    pub listen: SocketAddr,
}

impl WebhookSettings {
    /// The default of `listen`: reachable from this machine only, on the port next to that of
    /// `callsheet sandbox`.
    pub const DEFAULT_LISTEN: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8788);

    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Option<Self> {
        if !reader.has_table(SECTION) {
            return None;
        }
        let example = "https://hooks.example.com/callsheet";
        let public_url = reader.get_required_in(SECTION, "public_url", example, parse_public_url);
        let listen =
            reader.get(SECTION, "listen", parse_listen_address).unwrap_or(Self::DEFAULT_LISTEN);
        Some(Self { public_url: public_url?, listen })
    }
}

fn parse_public_url(value: &DeValue<'_>) -> Result<Url, SettingProblem> {
    let host = StudioHost::parse(&value::parse_text(value)?).map_err(|error| {
        let predicate = match error {
            InvalidStudioHost::Malformed => {
                "must be an address like `https://hooks.example.com`".to_owned()
            }
            InvalidStudioHost::Insecure
            | InvalidStudioHost::Credentials
            | InvalidStudioHost::QueryOrFragment => error.to_string(),
        };
        SettingProblem::new(predicate).into_confidential()
    })?;
    Ok(host.base_url())
}

fn parse_listen_address(value: &DeValue<'_>) -> Result<SocketAddr, SettingProblem> {
    value::parse_text(value)?.trim().parse().map_err(|_| {
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
    fn public_url_is_https_or_this_machine_and_can_be_extended() {
        for good in ["https://hooks.example/callsheet", "http://127.0.0.1:9/", "https://h.example"]
        {
            let webhook =
                parse_webhook(&format!("public_url = '{good}'")).unwrap().webhook.unwrap();
            assert_eq!(webhook.listen, WebhookSettings::DEFAULT_LISTEN);
        }
        for (bad, why) in [
            ("http://hooks.example", "must begin with `https://`"),
            ("https://hooks.example/?to=us", "must not contain `?` or `#`"),
            ("https://ann:pw@hooks.example", "must not contain a user name or a password"),
            ("hooks.example", "must be an address like"),
        ] {
            let message = parse_webhook(&format!("public_url = '{bad}'")).unwrap_err();
            assert!(message.contains(why) && !message.contains("pw@"), "{message}");
        }
        assert!(
            parse_webhook("listen = '127.0.0.1:1'").unwrap_err().contains("has no `public_url`")
        );
        let listen = "public_url = 'https://h.example'\nlisten = '8788'";
        assert!(parse_webhook(listen).unwrap_err().contains("must be an address with a port"));
    }
}

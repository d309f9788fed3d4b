//! Addresses of notifications without encryption, for a warning.

use url::Url;

use crate::batch::{NotifySettings, NotifyUrl, SecretRef};
use crate::http::is_loopback_url;

impl NotifySettings {
    /// Returns every setting whose address is plain http outside this machine, with its host. An
    /// address that a command prints is not known here.
    pub async fn plaintext_targets(&self) -> Vec<(&'static str, String)> {
        let secret = |secret: &Option<SecretRef>| secret.clone().map(NotifyUrl::Secret);
        let mut found = Vec::new();
        for (setting, address) in [
            ("notify.webhook", self.webhook.clone()),
            ("notify.slack", secret(&self.slack)),
            ("notify.heartbeat_url", self.heartbeat_url.clone()),
        ] {
            let url = match address {
                None | Some(NotifyUrl::Secret(SecretRef::Command(_))) => None,
                Some(address) => self.resolve_address(&address).await.ok(),
            };
            let host = |url: Url| url.host_str().unwrap_or_default().to_owned();
            found.extend(url.filter(is_plaintext).map(|url| (setting, host(url))));
        }
        found
    }
}

fn is_plaintext(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback_url(url)
}

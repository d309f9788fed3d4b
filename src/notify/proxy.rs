//! The proxy of a batch, as the HTTP clients take it.

use crate::batch::ProxySetting;
use crate::http::ProxyMode;

impl From<&ProxySetting> for ProxyMode {
    fn from(setting: &ProxySetting) -> Self {
        match setting {
            ProxySetting::Unused => Self::Unused,
            ProxySetting::System => Self::System,
            ProxySetting::Url(url) => Self::Url(url.clone()),
        }
    }
}

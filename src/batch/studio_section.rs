//! `[studio]`: the host, the request kind and the submission mode.
//!
//! It contains no credentials, at most the command that prints the user key.

use std::fmt;
use std::net::IpAddr;

use toml::de::DeValue;
use url::{Host, Url};

use super::reader::{SettingProblem, SettingsReader};
use super::value;
use crate::request::{PROJECT, REQUEST_KINDS, RequestKind, SubmissionMode};

const SECTION: &str = "studio";

/// Defines an enum whose variants have texts in the batch file.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All variants with their texts.
            pub const CHOICES: &'static [(&'static str, Self)] = &[$(($text, Self::$variant),)+];

            /// Returns the text of this variant in a batch file.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

text_enum! {
    /// The action for an uncertain submission without evidence.
    OnUncertain {
        /// Two-step exports again after the quiet wait; one-step waits for the user.
        Settle = "settle",
        /// One-step also resubmits after the quiet wait.
        Resubmit = "resubmit",
        /// Always wait for the user.
        Hold = "hold",
    }
}

text_enum! {
    /// The height of the video (AI Studios V3 reference, `create project` page).
    VideoResolution {
        /// 2160 lines.
        FourK = "4k",
        /// 1080 lines, the vendor's default.
        P1080 = "1080",
        /// 720 lines.
        P720 = "720",
        /// 480 lines.
        P480 = "480",
    }
}

/// The host of AI Studios.
///
/// The two regions have separate accounts, ids and tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StudioHost {
    /// `app.aistudios.com`.
    Global,
    /// `app.aistudios.cn`.
    China,
    /// Any other host: a rehearsal, a proxy, a new region.
    Custom(Url),
}

/// A base URL to which no token may be sent; the message states the reason without the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStudioHost {
    /// Not an http or https URL.
    #[error("must be an address like `https://app.aistudios.com`")]
    Malformed,
    /// The token would be sent unencrypted.
    #[error("must begin with `https://` (`http://` is allowed for this machine only)")]
    Insecure,
    /// The URL contains a user name or a password.
    #[error("must not contain a user name or a password")]
    Credentials,
    /// Something follows the path, to which the endpoints are appended.
    #[error("must not contain `?` or `#`")]
    QueryOrFragment,
}

impl StudioHost {
    const REGIONS: [(&'static str, Self); 2] = [("global", Self::Global), ("china", Self::China)];

    /// Parses a base URL from a batch file, an option or the environment.
    ///
    /// # Errors
    ///
    /// The text is not a URL, is not https unless it names this machine, or has more parts than
    /// host, port and path.
    pub fn parse(address: &str) -> Result<Self, InvalidStudioHost> {
        let url = Url::parse(address.trim()).map_err(|_| InvalidStudioHost::Malformed)?;
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            return Err(InvalidStudioHost::Malformed);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidStudioHost::Credentials);
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(InvalidStudioHost::Insecure);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidStudioHost::QueryOrFragment);
        }
        Ok(Self::Custom(url))
    }

    /// Returns the URL to which endpoints are appended.
    pub fn base_url(&self) -> Url {
        let known = match self {
            Self::Global => "https://app.aistudios.com/",
            Self::China => "https://app.aistudios.cn/",
            Self::Custom(url) => return url.clone(),
        };
        Url::parse(known).expect("a test parses both constants")
    }
}

/// The source of a host, which decides whose credentials may be sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostOrigin {
    /// The batch file, which another user may have written, or the default.
    BatchFile,
    /// The ledger, which stores the host of a batch.
    Ledger,
    /// `--base-url` or `AISTUDIOS_BASE_URL`.
    Operator,
}

impl HostOrigin {
    /// Returns its name in a message.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BatchFile => "batch file",
            Self::Ledger => "ledger",
            Self::Operator => "command line",
        }
    }
}

/// The domains of AI Studios' global region, and of its Chinese one.
const GLOBAL_DOMAINS: &[&str] = &["aistudios.com", "deepbrain.io"];
const CHINA_DOMAINS: &[&str] = &["aistudios.cn"];

impl StudioHost {
    /// Returns whether AI Studios itself serves this host: https, the usual port, and one of its
    /// domains.
    pub fn is_official(&self) -> bool {
        let url = self.base_url();
        let is_usual = url.scheme() == "https" && url.port().is_none();
        is_usual && (is_in_domain(&url, GLOBAL_DOMAINS) || is_in_domain(&url, CHINA_DOMAINS))
    }

    /// Returns whether this machine serves it.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.base_url())
    }

    /// Returns whether it belongs to the Chinese region, in any spelling.
    pub fn is_china(&self) -> bool {
        is_in_domain(&self.base_url(), CHINA_DOMAINS)
    }
}

/// Returns whether the host of `url` is one of `domains` or a subdomain. The parser of URLs has
/// already turned it into lower case and Punycode; a trailing dot names the same host.
fn is_in_domain(url: &Url, domains: &[&str]) -> bool {
    let Some(Host::Domain(name)) = url.host() else { return false };
    let name = name.strip_suffix('.').unwrap_or(name);
    domains.iter().any(|domain| {
        name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

impl fmt::Display for StudioHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::China => f.write_str("china"),
            Self::Custom(url) => url.fmt(f),
        }
    }
}

/// Returns whether the host of `url` is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The proxy to the internet. This machine is always reached without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxySetting {
    /// No proxy, whatever the environment says.
    Unused,
    /// The proxy variables of the environment, or the settings of the operating system.
    System,
    /// This proxy.
    Url(Url),
}

impl fmt::Display for ProxySetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unused => f.write_str("none"),
            Self::System => f.write_str("system"),
            Self::Url(url) => url.fmt(f),
        }
    }
}

/// Host, request kind and submission mode of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudioSettings {
    /// `region` or `base_url`; default global.
    pub host: StudioHost,
    /// The source of `host`.
    pub host_origin: HostOrigin,
    /// `request`; default `project`.
    pub request: &'static RequestKind,
    /// `submission`; default [`SubmissionMode::TwoStep`].
    pub submission: SubmissionMode,
    /// `on_uncertain`; default [`OnUncertain::Settle`].
    pub on_uncertain: OnUncertain,
    /// `resolution`; default: the payload's, or else the vendor's.
    pub resolution: Option<VideoResolution>,
    /// `workspace_id`: the workspace that is billed; default: the account's.
    pub workspace_id: Option<String>,
    /// `proxy`; default none.
    pub proxy: ProxySetting,
    /// `profile`: the profile in the credentials file.
    pub profile: Option<String>,
    /// `user_key_command`: prints the user key, for users who keep it in a password manager.
    pub user_key_command: Option<String>,
}

impl Default for StudioSettings {
    fn default() -> Self {
        Self {
            host: StudioHost::Global,
            host_origin: HostOrigin::BatchFile,
            request: &PROJECT,
            submission: SubmissionMode::TwoStep,
            on_uncertain: OnUncertain::Settle,
            resolution: None,
            workspace_id: None,
            proxy: ProxySetting::Unused,
            profile: None,
            user_key_command: None,
        }
    }
}

impl StudioSettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Self {
        let defaults = Self::default();
        let kinds: Vec<_> = REQUEST_KINDS.iter().map(|kind| (kind.name, *kind)).collect();
        let request = reader.get(SECTION, "request", value::parse_choice(&kinds));
        let submission =
            reader.get(SECTION, "submission", value::parse_choice(SubmissionMode::CHOICES));
        let kind = request.unwrap_or(defaults.request);
        if submission == Some(SubmissionMode::OneStep) && !kind.can_submit_in_one_step() {
            let problem = SettingProblem::new(format!("cannot be \"one-step\" for \"{kind}\""));
            let help = "this request always takes two steps; remove the line";
            reader.reject_value(SECTION, "submission", problem.with_help(help));
        }
        let on_uncertain =
            reader.get(SECTION, "on_uncertain", value::parse_choice(OnUncertain::CHOICES));
        Self {
            host: read_host(reader).unwrap_or(defaults.host),
            host_origin: defaults.host_origin,
            request: kind,
            submission: submission.unwrap_or(defaults.submission),
            on_uncertain: on_uncertain.unwrap_or(defaults.on_uncertain),
            resolution: reader.get(
                SECTION,
                "resolution",
                value::parse_choice(VideoResolution::CHOICES),
            ),
            workspace_id: reader.get(SECTION, "workspace_id", value::parse_text),
            proxy: reader.get(SECTION, "proxy", parse_proxy).unwrap_or(defaults.proxy),
            profile: reader.get(SECTION, "profile", value::parse_text),
            user_key_command: reader.get(SECTION, "user_key_command", value::parse_text),
        }
    }
}

fn parse_proxy(value: &DeValue<'_>) -> Result<ProxySetting, SettingProblem> {
    let text = value::parse_text(value)?;
    if text.trim() == "system" {
        return Ok(ProxySetting::System);
    }
    let malformed = || {
        let problem = SettingProblem::new("must be an address like `http://proxy.example:3128`");
        problem.with_help("or \"system\", for the proxy variables of the environment")
    };
    let url = Url::parse(text.trim()).map_err(|_| malformed().into_confidential())?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(malformed().into_confidential());
    }
    if !url.username().is_empty() || url.password().is_some() {
        let problem = SettingProblem::new("must not contain a user name or a password");
        let help = "write \"system\", and put the address into the variable `HTTPS_PROXY`";
        return Err(problem.with_help(help).into_confidential());
    }
    Ok(ProxySetting::Url(url))
}

fn read_host(reader: &mut SettingsReader<'_>) -> Option<StudioHost> {
    let region = reader.get(SECTION, "region", value::parse_choice(&StudioHost::REGIONS));
    let base_url = reader.get(SECTION, "base_url", |value| {
        StudioHost::parse(&value::parse_text(value)?).map_err(|err| {
            let problem = SettingProblem::new(err.to_string());
            match err {
                InvalidStudioHost::Credentials => problem.into_confidential(),
                // Text that is not a URL may still contain a password.
                InvalidStudioHost::Malformed => problem.into_confidential(),
                InvalidStudioHost::Insecure | InvalidStudioHost::QueryOrFragment => problem,
            }
        })
    });
    if reader.has_key(SECTION, "region") && reader.has_key(SECTION, "base_url") {
        let problem = SettingProblem::new("cannot be combined with `region`");
        reader.reject_value(SECTION, "base_url", problem.with_help("remove one of the two"));
    }
    base_url.or(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_url_must_be_https_or_this_machine() {
        let cases = [
            ("https://app.aistudios.com", Ok("https://app.aistudios.com/")),
            ("https://proxy.example/studio", Ok("https://proxy.example/studio")),
            ("http://127.0.0.1:8080", Ok("http://127.0.0.1:8080/")),
            ("http://[::1]:8080/", Ok("http://[::1]:8080/")),
            (" http://localhost:1 ", Ok("http://localhost:1/")),
            ("http://app.aistudios.com", Err(InvalidStudioHost::Insecure)),
            ("http://localhost.example", Err(InvalidStudioHost::Insecure)),
            ("https://ann:pw@app.aistudios.com", Err(InvalidStudioHost::Credentials)),
            ("https://app.aistudios.com/?a", Err(InvalidStudioHost::QueryOrFragment)),
            ("file:///etc/passwd", Err(InvalidStudioHost::Malformed)),
            ("app.aistudios.com", Err(InvalidStudioHost::Malformed)),
        ];
        for (text, want) in cases {
            let got = StudioHost::parse(text).map(|host| host.base_url().to_string());
            assert_eq!(got.as_deref(), want.as_ref().map(|url| *url), "{text}");
        }
    }

    #[test]
    fn look_alikes_of_the_official_hosts_are_foreign() {
        for (address, is_official) in [
            ("https://app.aistudios.com", true),
            ("https://aistudios.com/v3", true),
            ("https://APP.AIStudios.COM:443", true),
            ("https://app.aistudios.com.", true),
            ("https://app.aistudios.cn", true),
            ("https://api.deepbrain.io", true),
            ("https://\u{ff41}istudios.com", true),
            ("https://app.aistudios.com:8443", false),
            ("https://aistudios.com.evil.example", false),
            ("https://app.aistudios.com-evil.example", false),
            ("https://evilaistudios.com", false),
            ("https://aistudios.com.cn", false),
            ("https://app.aistudios.com..", false),
            ("https://aistud\u{456}os.com", false),
            ("https://evil.example/aistudios.com", false),
            ("https://1.2.3.4", false),
            ("http://127.0.0.1:1", false),
            ("http://localhost:1", false),
        ] {
            // What the parser already rejects reaches no host at all.
            let is_found = StudioHost::parse(address).is_ok_and(|host| host.is_official());
            assert_eq!(is_found, is_official, "{address}");
        }
        let with_user = StudioHost::parse("https://app.aistudios.com@evil.example");
        assert_eq!(with_user, Err(InvalidStudioHost::Credentials));
    }

    #[test]
    fn every_region_has_a_base_url() {
        assert_eq!(StudioHost::Global.base_url().as_str(), "https://app.aistudios.com/");
        assert_eq!(StudioHost::China.base_url().as_str(), "https://app.aistudios.cn/");
    }
}

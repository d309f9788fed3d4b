//! `[studio]`: how AI Studios is asked.
//!
//! Which host, which kind of request, which way to submit. It holds no credentials; at most the
//! command that prints one.

use std::fmt;
use std::net::IpAddr;

use url::Url;

use super::reader::{SettingProblem, SettingsReader};
use super::value;
use crate::request::{PROJECT, REQUEST_KINDS, RequestKind, SubmissionMode};

const SECTION: &str = "studio";

/// Makes an enum whose variants are the words of the batch file.
macro_rules! text_enum {
    ($(#[$about:meta])* $name:ident { $($(#[$what:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$what])* $variant,)+ }

        impl $name {
            /// Every variant with the word for it.
            pub const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)+];

            /// Returns the word for this variant in a batch file.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

text_enum! {
    /// What may be done about a submission whose answer was lost and of which no trace is found.
    OnUncertain {
        /// Two-step exports again after the quiet wait; one-step waits for a person.
        Settle = "settle",
        /// One-step, too, sends again after the quiet wait.
        Resubmit = "resubmit",
        /// Always wait for a person.
        Hold = "hold",
    }
}

text_enum! {
    /// The height of the picture (AI Studios V3 reference, `create project` page).
    VideoResolution {
        /// 2160 lines.
        FourK = "4k",
        /// 1080 lines, the vendor's own choice when none is asked for.
        P1080 = "1080",
        /// 720 lines.
        P720 = "720",
        /// 480 lines.
        P480 = "480",
    }
}

/// Where AI Studios is.
///
/// The two regions do not know each other's accounts, ids and tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StudioHost {
    /// `app.aistudios.com`.
    Global,
    /// `app.aistudios.cn`.
    China,
    /// Somewhere else: a rehearsal, a proxy, a host the vendor has yet to announce.
    Custom(Url),
}

/// An address that no token may be sent to; the message says why, and does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStudioHost {
    /// Not an address.
    #[error("must be an address like `https://app.aistudios.com`")]
    Malformed,
    /// The token would travel in the open.
    #[error("must begin with `https://` (plain `http://` is for this machine alone)")]
    Insecure,
    /// A user or a password is part of the address.
    #[error("must not contain a user or a password")]
    Credentials,
    /// Something follows the path, which the endpoints are added to.
    #[error("must end with the host or a path, without `?` and `#`")]
    QueryOrFragment,
}

impl StudioHost {
    const REGIONS: [(&'static str, Self); 2] = [("global", Self::Global), ("china", Self::China)];

    /// Takes a base address from a person: a batch file, a flag, the environment.
    ///
    /// # Errors
    ///
    /// What is not an address, or not https unless it names this machine, or has more to it than
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

    /// Returns the address that endpoints are added to.
    pub fn base_url(&self) -> Url {
        let known = match self {
            Self::Global => "https://app.aistudios.com/",
            Self::China => "https://app.aistudios.cn/",
            Self::Custom(url) => return url.clone(),
        };
        Url::parse(known).expect("the two addresses are constants, and a test parses them")
    }
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

fn is_loopback(url: &Url) -> bool {
    let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// How AI Studios is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudioSettings {
    /// `region` or `base_url`; default global.
    pub host: StudioHost,
    /// `request`; default `project`.
    pub request: &'static RequestKind,
    /// `submission`; default [`Submission::TwoStep`].
    pub submission: SubmissionMode,
    /// `on_uncertain`; default [`OnUncertain::Settle`].
    pub on_uncertain: OnUncertain,
    /// `resolution`; without it, the payload's own or the vendor's choice.
    pub resolution: Option<VideoResolution>,
    /// `workspace_id`: the workspace that is billed; without it, the account's own.
    pub workspace_id: Option<String>,
    /// `profile`: whose credentials, of those in the credentials file.
    pub profile: Option<String>,
    /// `user_key_command`: prints the user key, for those who keep it in a password manager.
    pub user_key_command: Option<String>,
}

impl Default for StudioSettings {
    fn default() -> Self {
        Self {
            host: StudioHost::Global,
            request: &PROJECT,
            submission: SubmissionMode::TwoStep,
            on_uncertain: OnUncertain::Settle,
            resolution: None,
            workspace_id: None,
            profile: None,
            user_key_command: None,
        }
    }
}

impl StudioSettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>) -> Self {
        let usual = Self::default();
        let kinds: Vec<_> = REQUEST_KINDS.iter().map(|kind| (kind.name, *kind)).collect();
        let request = reader.get(SECTION, "request", value::parse_choice(&kinds));
        let submission =
            reader.get(SECTION, "submission", value::parse_choice(SubmissionMode::WORDS));
        let kind = request.unwrap_or(usual.request);
        if submission == Some(SubmissionMode::OneStep) && !kind.can_submit_in_one_step() {
            let complaint = SettingProblem::new(format!("cannot be \"one-step\" for \"{kind}\""));
            let help = "its project is made first and exported then; leave the line out";
            reader.reject_value(SECTION, "submission", complaint.with_help(help));
        }
        let on_uncertain =
            reader.get(SECTION, "on_uncertain", value::parse_choice(OnUncertain::WORDS));
        Self {
            host: read_host(reader).unwrap_or(usual.host),
            request: kind,
            submission: submission.unwrap_or(usual.submission),
            on_uncertain: on_uncertain.unwrap_or(usual.on_uncertain),
            resolution: reader.get(
                SECTION,
                "resolution",
                value::parse_choice(VideoResolution::WORDS),
            ),
            workspace_id: reader.get(SECTION, "workspace_id", value::parse_text),
            profile: reader.get(SECTION, "profile", value::parse_text),
            user_key_command: reader.get(SECTION, "user_key_command", value::parse_text),
        }
    }
}

fn read_host(reader: &mut SettingsReader<'_>) -> Option<StudioHost> {
    let region = reader.get(SECTION, "region", value::parse_choice(&StudioHost::REGIONS));
    let address = reader.get(SECTION, "base_url", |given| {
        StudioHost::parse(&value::parse_text(given)?).map_err(|err| {
            let complaint = SettingProblem::new(err.to_string());
            match err {
                InvalidStudioHost::Credentials => complaint.as_confidential(),
                // An address that does not parse may still hold a password.
                InvalidStudioHost::Malformed => complaint.as_confidential(),
                InvalidStudioHost::Insecure | InvalidStudioHost::QueryOrFragment => complaint,
            }
        })
    });
    if reader.has_key(SECTION, "region") && reader.has_key(SECTION, "base_url") {
        let complaint = SettingProblem::new("and `region` are given together");
        reader.reject_value(SECTION, "base_url", complaint.with_help("keep the one that is meant"));
    }
    address.or(region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_over_https_or_to_this_machine() {
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
        for (address, want) in cases {
            let got = StudioHost::parse(address).map(|host| host.base_url().to_string());
            assert_eq!(got.as_deref(), want.as_ref().map(|url| *url), "{address}");
        }
    }

    #[test]
    fn every_host_has_an_address() {
        assert_eq!(StudioHost::Global.base_url().as_str(), "https://app.aistudios.com/");
        assert_eq!(StudioHost::China.base_url().as_str(), "https://app.aistudios.cn/");
    }
}

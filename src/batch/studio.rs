//! `[studio]`: how AI Studios is asked.
//!
//! Which host, which kind of request, which way to submit. It holds no credentials; at most the
//! command that prints one.

use std::fmt;
use std::net::IpAddr;

use url::Url;

use super::reader::{Complaint, Reader};
use super::value;
use crate::request::{KINDS, Kind, PROJECT};

const SECTION: &str = "studio";

/// Makes an enum whose variants are the words of the batch file.
macro_rules! words {
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

words! {
    /// How a video is submitted.
    Submission {
        /// A draft first, which costs nothing, and then its export.
        TwoStep = "two-step",
        /// One request that starts the render.
        OneStep = "one-step",
    }
}

words! {
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

words! {
    /// The height of the picture (AI Studios V3 reference, `create project` page).
    Resolution {
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
pub enum Host {
    /// `app.aistudios.com`.
    Global,
    /// `app.aistudios.cn`.
    China,
    /// Somewhere else: a rehearsal, a proxy, a host the vendor has yet to announce.
    At(Url),
}

/// An address that no token may be sent to; the message says why, and does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidHost {
    /// Not an address.
    #[error("must be an address like `https://app.aistudios.com`")]
    Form,
    /// The token would travel in the open.
    #[error("must begin with `https://` (plain `http://` is for this machine alone)")]
    Insecure,
    /// A user or a password is part of the address.
    #[error("must not contain a user or a password")]
    Credentials,
    /// Something follows the path, which the endpoints are added to.
    #[error("must end with the host or a path, without `?` and `#`")]
    Tail,
}

impl Host {
    const REGIONS: [(&'static str, Self); 2] = [("global", Self::Global), ("china", Self::China)];

    /// Takes a base address from a person: a batch file, a flag, the environment.
    ///
    /// # Errors
    ///
    /// What is not an address, or not https unless it names this machine, or has more to it than
    /// host, port and path.
    pub fn at(address: &str) -> Result<Self, InvalidHost> {
        let url = Url::parse(address.trim()).map_err(|_| InvalidHost::Form)?;
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            return Err(InvalidHost::Form);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidHost::Credentials);
        }
        if url.scheme() == "http" && !is_this_machine(&url) {
            return Err(InvalidHost::Insecure);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidHost::Tail);
        }
        Ok(Self::At(url))
    }

    /// Returns the address that endpoints are added to.
    pub fn base_url(&self) -> Url {
        let known = match self {
            Self::Global => "https://app.aistudios.com/",
            Self::China => "https://app.aistudios.cn/",
            Self::At(url) => return url.clone(),
        };
        Url::parse(known).expect("the two addresses are constants, and a test parses them")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::China => f.write_str("china"),
            Self::At(url) => url.fmt(f),
        }
    }
}

fn is_this_machine(url: &Url) -> bool {
    let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// How AI Studios is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Studio {
    /// `region` or `base_url`; default global.
    pub host: Host,
    /// `request`; default `project`.
    pub request: &'static Kind,
    /// `submission`; default [`Submission::TwoStep`].
    pub submission: Submission,
    /// `on_uncertain`; default [`OnUncertain::Settle`].
    pub on_uncertain: OnUncertain,
    /// `resolution`; without it, the payload's own or the vendor's choice.
    pub resolution: Option<Resolution>,
    /// `workspace_id`: the workspace that is billed; without it, the account's own.
    pub workspace_id: Option<String>,
    /// `profile`: whose credentials, of those in the credentials file.
    pub profile: Option<String>,
    /// `user_key_command`: prints the user key, for those who keep it in a password manager.
    pub user_key_command: Option<String>,
}

impl Default for Studio {
    fn default() -> Self {
        Self {
            host: Host::Global,
            request: &PROJECT,
            submission: Submission::TwoStep,
            on_uncertain: OnUncertain::Settle,
            resolution: None,
            workspace_id: None,
            profile: None,
            user_key_command: None,
        }
    }
}

impl Studio {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let usual = Self::default();
        let kinds: Vec<_> = KINDS.iter().map(|kind| (kind.word, *kind)).collect();
        let request = reader.get(SECTION, "request", value::choice(&kinds));
        let submission = reader.get(SECTION, "submission", value::choice(Submission::WORDS));
        let kind = request.unwrap_or(usual.request);
        if submission == Some(Submission::OneStep) && !kind.renders_at_once() {
            let complaint = Complaint::new(format!("cannot be \"one-step\" for \"{kind}\""));
            let help = "its project is made first and exported then; leave the line out";
            reader.object(SECTION, "submission", complaint.help(help));
        }
        let on_uncertain = reader.get(SECTION, "on_uncertain", value::choice(OnUncertain::WORDS));
        Self {
            host: read_host(reader).unwrap_or(usual.host),
            request: kind,
            submission: submission.unwrap_or(usual.submission),
            on_uncertain: on_uncertain.unwrap_or(usual.on_uncertain),
            resolution: reader.get(SECTION, "resolution", value::choice(Resolution::WORDS)),
            workspace_id: reader.get(SECTION, "workspace_id", value::text),
            profile: reader.get(SECTION, "profile", value::text),
            user_key_command: reader.get(SECTION, "user_key_command", value::text),
        }
    }
}

fn read_host(reader: &mut Reader<'_>) -> Option<Host> {
    let region = reader.get(SECTION, "region", value::choice(&Host::REGIONS));
    let address = reader.get(SECTION, "base_url", |given| {
        Host::at(&value::text(given)?).map_err(|err| {
            let complaint = Complaint::new(err.to_string());
            match err {
                InvalidHost::Credentials => complaint.confidential(),
                // An address that does not parse may still hold a password.
                InvalidHost::Form => complaint.confidential(),
                InvalidHost::Insecure | InvalidHost::Tail => complaint,
            }
        })
    });
    if reader.has(SECTION, "region") && reader.has(SECTION, "base_url") {
        let complaint = Complaint::new("and `region` are given together");
        reader.object(SECTION, "base_url", complaint.help("keep the one that is meant"));
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
            ("http://app.aistudios.com", Err(InvalidHost::Insecure)),
            ("http://localhost.example", Err(InvalidHost::Insecure)),
            ("https://ann:pw@app.aistudios.com", Err(InvalidHost::Credentials)),
            ("https://app.aistudios.com/?a", Err(InvalidHost::Tail)),
            ("file:///etc/passwd", Err(InvalidHost::Form)),
            ("app.aistudios.com", Err(InvalidHost::Form)),
        ];
        for (address, want) in cases {
            let got = Host::at(address).map(|host| host.base_url().to_string());
            assert_eq!(got.as_deref(), want.as_ref().map(|url| *url), "{address}");
        }
    }

    #[test]
    fn every_host_has_an_address() {
        assert_eq!(Host::Global.base_url().as_str(), "https://app.aistudios.com/");
        assert_eq!(Host::China.base_url().as_str(), "https://app.aistudios.cn/");
    }
}

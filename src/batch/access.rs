//! The commands that a batch file runs, the foreign hosts that it sends to, and the secrets that it
//! reads: what a user looks at before trusting it. Resolves nothing.
//!
//! Invariant: a setting that runs, sends or reads something is listed here, so that neither `check`
//! nor the confirmation of a stored text misses it.

use std::path::Path;

use url::Url;

use super::notify::{NotifySettings, NotifyUrl, SecretRef};
use super::sheet::SheetSource;
use super::studio_section::is_loopback;
use super::{Batch, ProxySetting, StudioHost};

/// The environment variables with AI Studios' credentials, which no other host and no command gets.
pub const CREDENTIAL_VARS: [&str; 4] =
    ["AISTUDIOS_APP_ID", "AISTUDIOS_USER_KEY", "AISTUDIOS_CN_APP_ID", "AISTUDIOS_CN_USER_KEY"];

/// One of the things that a batch file may do beyond rendering at AI Studios.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchAccess {
    /// The setting, such as `notify.webhook`.
    pub setting: &'static str,
    /// What it reaches.
    pub target: AccessTarget,
}

/// What a batch file reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessTarget {
    /// A command that it runs.
    Command(String),
    /// A host that is neither AI Studios nor this machine, with its port.
    Host(String),
    /// A file or variable that it reads as a secret.
    Secret(String),
}

impl BatchAccess {
    /// Returns the access in a sentence.
    pub fn message(&self) -> String {
        let setting = self.setting;
        match &self.target {
            AccessTarget::Command(command) => format!("runs `{command}` (`{setting}`)"),
            AccessTarget::Host(host) => format!("uses the host `{host}` (`{setting}`)"),
            AccessTarget::Secret(source) => format!("reads {source} (`{setting}`)"),
        }
    }
}

impl Batch {
    /// Returns the folder of the batch file, in which its relative paths and its commands begin.
    pub fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// Returns the commands, foreign hosts and secrets of the batch file.
    pub fn accesses(&self) -> Vec<BatchAccess> {
        let mut all = Vec::new();
        let mut add = |setting, target| all.push(BatchAccess { setting, target });
        if let Some(host) = foreign_host(&self.studio.host) {
            add("studio.base_url", AccessTarget::Host(host));
        }
        if let ProxySetting::Url(url) = &self.studio.proxy {
            all.extend(host_access("studio.proxy", url));
        }
        let mut add = |setting, target| all.push(BatchAccess { setting, target });
        if let Some(command) = &self.studio.user_key_command {
            add("studio.user_key_command", AccessTarget::Command(command.clone()));
        }
        if let SheetSource::Link(url) = &self.sheet_source {
            all.extend(host_access("sheet", url));
        }
        if let Some(webhook) = &self.webhook {
            all.extend(host_access("webhook.public_url", &webhook.public_url));
        }
        all.extend(self.notify.accesses());
        all.extend(self.on_done.iter().map(|on_done| BatchAccess {
            setting: "on_done.command",
            target: AccessTarget::Command(on_done.command.join(" ")),
        }));
        all
    }

    /// Returns the environment variables that hold a secret: AI Studios' credentials, and every
    /// variable to which the batch file refers.
    pub fn secret_vars(&self) -> Vec<String> {
        self.notify.secret_vars()
    }
}

impl NotifySettings {
    fn accesses(&self) -> Vec<BatchAccess> {
        let mut all = Vec::new();
        let command = AccessTarget::Command(self.command.join(" "));
        if !self.command.is_empty() {
            all.push(BatchAccess { setting: "notify.command", target: command });
        }
        for (setting, address) in
            [("notify.webhook", &self.webhook), ("notify.heartbeat_url", &self.heartbeat_url)]
        {
            match address {
                Some(NotifyUrl::Plain(url)) => all.extend(host_access(setting, url)),
                Some(NotifyUrl::Secret(_)) | None => {}
            }
        }
        if let Some(email) = &self.email
            && !email.has_local_server()
        {
            let host = match email.port {
                Some(port) => format!("{}:{port}", email.host),
                None => email.host.clone(),
            };
            all.push(BatchAccess { setting: "notify.smtp", target: AccessTarget::Host(host) });
        }
        all.extend(self.secret_refs().map(|(setting, secret)| {
            let target = match secret {
                SecretRef::Env(name) => AccessTarget::Secret(format!("the variable `{name}`")),
                SecretRef::Command(command) => AccessTarget::Command(command.clone()),
                SecretRef::File(path) => {
                    AccessTarget::Secret(format!("the file `{}`", path.display()))
                }
            };
            BatchAccess { setting, target }
        }));
        all
    }

    /// Returns every reference to a secret with its setting.
    fn secret_refs(&self) -> impl Iterator<Item = (&'static str, &SecretRef)> {
        [
            ("notify.webhook", secret_of(self.webhook.as_ref())),
            ("notify.webhook_secret", self.webhook_secret.as_ref()),
            ("notify.slack", self.slack.as_ref()),
            ("notify.smtp_password", self.email.as_ref().and_then(|one| one.password.as_ref())),
            ("notify.heartbeat_url", secret_of(self.heartbeat_url.as_ref())),
        ]
        .into_iter()
        .filter_map(|(setting, secret)| Some((setting, secret?)))
    }

    /// Returns the environment variables that hold a secret, as [`Batch::secret_vars`].
    pub fn secret_vars(&self) -> Vec<String> {
        let named = self.secret_refs().filter_map(|(_, secret)| match secret {
            SecretRef::Env(name) => Some(name.clone()),
            SecretRef::Command(_) | SecretRef::File(_) => None,
        });
        CREDENTIAL_VARS.into_iter().map(str::to_owned).chain(named).collect()
    }
}

fn secret_of(address: Option<&NotifyUrl>) -> Option<&SecretRef> {
    match address? {
        NotifyUrl::Secret(secret) => Some(secret),
        NotifyUrl::Plain(_) => None,
    }
}

fn foreign_host(host: &StudioHost) -> Option<String> {
    if host.is_official() || host.is_loopback() {
        return None;
    }
    Some(authority(&host.base_url()))
}

fn host_access(setting: &'static str, url: &Url) -> Option<BatchAccess> {
    let target = AccessTarget::Host(authority(url));
    (!is_loopback(url)).then_some(BatchAccess { setting, target })
}

/// Returns host and port, without a user name.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_command_host_and_secret_of_a_batch_file_is_listed() {
        let text = "sheet = 'https://docs.example/s.csv'\ntemplate = 't.json'\n[studio]\n\
            base_url = 'https://evil.example:8443/x'\nuser_key_command = 'pass show key'\n\
            [webhook]\npublic_url = 'https://back.example'\n[notify]\n\
            command = ['./tell', '--brief']\nwebhook = 'https://hook.example/secret'\n\
            webhook_secret = { file = 'key.txt' }\nslack = { env = 'SLACK' }\n\
            heartbeat_url = { command = 'cat beat' }\nemail_to = 'a@example.org'\n\
            email_from = 'b@example.org'\nsmtp = 'mail.example:587'\nsmtp_user = 'b'\n\
            smtp_password = { env = 'MAIL' }";
        let batch = crate::batch::parse(Path::new("b.toml"), text.to_owned()).unwrap();
        let all: Vec<String> = batch.accesses().iter().map(super::BatchAccess::message).collect();
        insta::assert_snapshot!(all.join("\n"), @"
        uses the host `evil.example:8443` (`studio.base_url`)
        runs `pass show key` (`studio.user_key_command`)
        uses the host `docs.example` (`sheet`)
        uses the host `back.example` (`webhook.public_url`)
        runs `./tell --brief` (`notify.command`)
        uses the host `hook.example` (`notify.webhook`)
        uses the host `mail.example:587` (`notify.smtp`)
        reads the file `key.txt` (`notify.webhook_secret`)
        reads the variable `SLACK` (`notify.slack`)
        reads the variable `MAIL` (`notify.smtp_password`)
        runs `cat beat` (`notify.heartbeat_url`)
        ");
        let variables = batch.secret_vars();
        for name in super::CREDENTIAL_VARS.into_iter().chain(["SLACK", "MAIL"]) {
            assert!(variables.iter().any(|found| found == name), "{name}");
        }
    }
}

//! `[notify]`: notifications about the outcome of a run.
//!
//! A batch file is shared, so it contains references instead of secrets: `{ env = "…" }`,
//! `{ command = "…" }` or `{ file = "…" }`. They are not resolved here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;
use url::Url;

use super::access::CREDENTIAL_VARS;
use super::paths::resolve_path;
use super::reader::{SettingProblem, SettingsReader};
use super::studio_section::ProxySetting;
use super::value;

const SECTION: &str = "notify";

/// Notifications about the outcome of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifySettings {
    /// `when`; default always.
    pub when: NotifyCondition,
    /// `command`: a program and its arguments; receives `run.json` on standard input.
    pub command: Vec<String>,
    /// `webhook`: receives `run.json` by POST.
    pub webhook: Option<NotifyUrl>,
    /// `webhook_secret`: the key that signs the webhook.
    pub webhook_secret: Option<SecretRef>,
    /// `slack`: the URL of an incoming webhook of Slack, which is a secret.
    pub slack: Option<SecretRef>,
    /// `email_to` and the other email settings.
    pub email: Option<EmailSettings>,
    /// `heartbeat_url`: pinged at the start, at success and at failure, whatever `when` says.
    pub heartbeat_url: Option<NotifyUrl>,
    /// `proxy` of `[studio]`, for the channels that use HTTP.
    pub proxy: ProxySetting,
    /// `timeout`: the limit for all notifications together; default 20 s.
    pub timeout: Duration,
    /// The folder of the batch file, in which the commands begin.
    pub folder: PathBuf,
}

/// The runs with notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyCondition {
    /// All runs.
    Always,
    /// Runs that need attention.
    OnFailure,
    /// No runs.
    Never,
}

impl NotifyCondition {
    /// All variants with their texts.
    pub const CHOICES: &'static [(&'static str, Self)] =
        &[("always", Self::Always), ("on_failure", Self::OnFailure), ("never", Self::Never)];
}

/// A reference to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// The name of an environment variable.
    Env(String),
    /// A command that prints the secret.
    Command(String),
    /// A file that contains the secret.
    File(PathBuf),
}

/// A URL, or a reference to a secret URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyUrl {
    /// The URL.
    Plain(Url),
    /// The URL is a secret.
    Secret(SecretRef),
}

/// Notification by email.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailSettings {
    /// `email_to`.
    pub to: Vec<String>,
    /// `email_from`.
    pub from: String,
    /// The host of `smtp`.
    pub host: String,
    /// The port of `smtp`; default: the port of `smtp_tls`.
    pub port: Option<u16>,
    /// `smtp_tls`; default [`SmtpTls::Starttls`].
    pub tls: SmtpTls,
    /// `smtp_user`.
    pub user: Option<String>,
    /// `smtp_password`.
    pub password: Option<SecretRef>,
}

impl EmailSettings {
    /// Returns whether the mail server is on this machine.
    pub fn has_local_server(&self) -> bool {
        is_local_server(&self.host)
    }
}

fn is_local_server(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}

/// The encryption of the connection to the mail server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Upgraded from plain text, and aborted if that fails; port 587.
    Starttls,
    /// Encrypted from the first byte; port 465.
    Tls,
    /// Unencrypted, for a server on this machine only; port 25.
    None,
}

impl SmtpTls {
    /// All variants with their texts.
    pub const CHOICES: &'static [(&'static str, Self)] =
        &[("starttls", Self::Starttls), ("tls", Self::Tls), ("none", Self::None)];
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self {
            when: NotifyCondition::Always,
            command: Vec::new(),
            webhook: None,
            webhook_secret: None,
            slack: None,
            email: None,
            heartbeat_url: None,
            proxy: ProxySetting::Unused,
            timeout: Duration::from_secs(20),
            folder: PathBuf::new(),
        }
    }
}

impl NotifySettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>, file: &Path) -> Self {
        let defaults = Self::default();
        let secret_ref = |example: &'static str| {
            move |value: &DeValue<'_>| parse_secret_ref(value, file, example)
        };
        let webhook_secret = reader.get(
            SECTION,
            "webhook_secret",
            secret_ref("{ env = \"CALLSHEET_WEBHOOK_SECRET\" }"),
        );
        let webhook = reader.get(SECTION, "webhook", |value| parse_notify_url(value, file));
        if webhook_secret.is_some() && !reader.has_key(SECTION, "webhook") {
            let problem = SettingProblem::new("signs the `webhook`, which is missing");
            reader.reject_value(SECTION, "webhook_secret", problem);
        }
        Self {
            when: reader
                .get(SECTION, "when", value::parse_choice(NotifyCondition::CHOICES))
                .unwrap_or(defaults.when),
            command: reader.get(SECTION, "command", parse_command).unwrap_or_default(),
            webhook,
            webhook_secret,
            slack: reader.get(SECTION, "slack", secret_ref("{ env = \"SLACK_WEBHOOK_URL\" }")),
            email: read_email(reader, secret_ref("{ env = \"SMTP_PASSWORD\" }")),
            heartbeat_url: reader
                .get(SECTION, "heartbeat_url", |value| parse_notify_url(value, file)),
            proxy: defaults.proxy,
            timeout: reader
                .get(SECTION, "timeout", value::parse_duration)
                .unwrap_or(defaults.timeout),
            folder: file.parent().map(Path::to_owned).unwrap_or_default(),
        }
    }
}

fn read_email(
    reader: &mut SettingsReader<'_>,
    parse_password: impl FnOnce(&DeValue<'_>) -> Result<SecretRef, SettingProblem>,
) -> Option<EmailSettings> {
    let to = reader.get(SECTION, "email_to", parse_mailboxes);
    let from = reader.get(SECTION, "email_from", parse_mailbox);
    let server = reader.get(SECTION, "smtp", parse_smtp_server);
    let tls = reader.get(SECTION, "smtp_tls", value::parse_choice(SmtpTls::CHOICES));
    let user = reader.get(SECTION, "smtp_user", value::parse_text);
    let password = reader.get(SECTION, "smtp_password", parse_password);
    let first_key = ["email_to", "email_from", "smtp", "smtp_tls", "smtp_user", "smtp_password"]
        .into_iter()
        .find(|key| reader.has_key(SECTION, key))?;
    let parsed = [
        ("email_to", to.is_some()),
        ("email_from", from.is_some()),
        ("smtp", server.is_some()),
        ("smtp_tls", tls.is_some()),
        ("smtp_user", user.is_some()),
        ("smtp_password", password.is_some()),
    ];
    if parsed.into_iter().any(|(key, is_valid)| reader.has_key(SECTION, key) && !is_valid) {
        // That problem is recorded; missing settings are reported once it is fixed.
        return None;
    }
    let tls = tls.unwrap_or(SmtpTls::Starttls);
    for required in ["email_to", "email_from", "smtp"] {
        if !reader.has_key(SECTION, required) {
            let problem = SettingProblem::new(format!("is set, but `{required}` is missing"));
            reader.reject_value(SECTION, first_key, problem);
        }
    }
    if reader.has_key(SECTION, "smtp_user") != reader.has_key(SECTION, "smtp_password") {
        let key = if reader.has_key(SECTION, "smtp_user") { "smtp_user" } else { "smtp_password" };
        let problem =
            SettingProblem::new("is set alone: `smtp_user` and `smtp_password` belong together");
        reader.reject_value(SECTION, key, problem);
    }
    let (host, port) = server?;
    if tls == SmtpTls::None && !is_local_server(&host) {
        let problem = SettingProblem::new("would send the mail and the password unencrypted");
        let help = "\"none\" is only for a server on this machine; use \"starttls\" or \"tls\"";
        reader.reject_value(SECTION, "smtp_tls", problem.with_help(help));
    }
    Some(EmailSettings { to: to?, from: from?, host, port, tls, user, password })
}

/// Parses a program and its arguments. Arguments may repeat.
pub(super) fn parse_command(value: &DeValue<'_>) -> Result<Vec<String>, SettingProblem> {
    let example = "write it like `command = [\"/usr/local/bin/notify\", \"--brief\"]`";
    let DeValue::Array(items) = value else {
        return Err(
            SettingProblem::new("must be a list: a program and its arguments").with_help(example)
        );
    };
    let command: Result<Vec<String>, SettingProblem> =
        items.iter().map(Spanned::get_ref).map(value::parse_text_or_empty).collect();
    let command = command?;
    if command.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(SettingProblem::new("contains no program").with_help(example));
    }
    Ok(command)
}

/// Parses a reference to a secret. The secret itself is rejected and not shown.
fn parse_secret_ref(
    value: &DeValue<'_>,
    file: &Path,
    example: &str,
) -> Result<SecretRef, SettingProblem> {
    let help = format!(
        "refer to it: `{example}`, or `{{ command = \"…\" }}` that prints it, or \
         `{{ file = \"…\" }}` that contains it"
    );
    let table = match value {
        DeValue::Table(table) => table,
        DeValue::String(_) => {
            let problem = SettingProblem::new("is a secret, and a batch file is shared");
            return Err(problem.with_help(help).into_confidential());
        }
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => {
            let problem = SettingProblem::new("must be a reference to a secret");
            return Err(problem.with_help(help).into_confidential());
        }
    };
    let mut entries = table.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        return Err(SettingProblem::new("must have exactly one entry").with_help(help));
    };
    let text = value::parse_text(value.get_ref()).map_err(|_| {
        SettingProblem::new("must refer to the secret by a text").with_help(help.clone())
    })?;
    match key.get_ref().as_ref() {
        // It would be sent to a mail server, a chat or a webhook.
        "env" if CREDENTIAL_VARS.iter().any(|name| name.eq_ignore_ascii_case(text.trim())) => {
            let problem = SettingProblem::new("refers to the credentials of AI Studios");
            Err(problem.with_help("they are sent to AI Studios only; name another variable"))
        }
        "env" => Ok(SecretRef::Env(text)),
        "command" => Ok(SecretRef::Command(text)),
        "file" => Ok(SecretRef::File(resolve_path(file, &text))),
        _ => Err(SettingProblem::new("has an unknown entry").with_help(help).into_confidential()),
    }
}

/// Parses a URL, or a reference to a secret URL.
fn parse_notify_url(value: &DeValue<'_>, file: &Path) -> Result<NotifyUrl, SettingProblem> {
    if let DeValue::Table(_) = value {
        return parse_secret_ref(value, file, "{ env = \"NAME\" }").map(NotifyUrl::Secret);
    }
    let text = value::parse_text(value)?;
    let malformed = || SettingProblem::new("must be an address like `https://example.org/hook`");
    let url = Url::parse(text.trim()).map_err(|_| malformed().into_confidential())?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(malformed().into_confidential());
    }
    if !url.username().is_empty() || url.password().is_some() {
        let problem = SettingProblem::new("must not contain a user name or a password");
        return Err(problem
            .with_help("refer to the URL instead: `{ env = \"NAME\" }`")
            .into_confidential());
    }
    Ok(NotifyUrl::Plain(url))
}

fn parse_mailboxes(value: &DeValue<'_>) -> Result<Vec<String>, SettingProblem> {
    let mailboxes = value::parse_text_list(value)?;
    match mailboxes.iter().find(|text| !is_mailbox(text)) {
        Some(text) => {
            Err(SettingProblem::new(format!("contains `{text}`, which is not a mail address")))
        }
        None => Ok(mailboxes),
    }
}

fn parse_mailbox(value: &DeValue<'_>) -> Result<String, SettingProblem> {
    let text = value::parse_text(value)?;
    if is_mailbox(&text) {
        Ok(text)
    } else {
        Err(SettingProblem::new("must be a mail address, such as \"Callsheet <jobs@example.org>\""))
    }
}

/// Returns whether this looks like a mail address, with or without a name. The mail library decides
/// when it sends.
fn is_mailbox(text: &str) -> bool {
    let inner = text.rsplit_once('<').map_or(text, |(_, inner)| inner.trim_end_matches('>'));
    let is_valid = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    inner.rsplit_once('@').is_some_and(|(user, host)| is_valid(user) && is_valid(host))
        && !text.contains(['\r', '\n'])
}

/// Parses `smtp.example.org` or `smtp.example.org:587`.
fn parse_smtp_server(value: &DeValue<'_>) -> Result<(String, Option<u16>), SettingProblem> {
    let text = value::parse_text(value)?;
    let text = text.trim();
    let malformed = || SettingProblem::new("must be a host, such as \"smtp.example.org:587\"");
    if text.contains(['/', '@']) || text.contains(char::is_whitespace) {
        return Err(malformed().into_confidential());
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() => {
            let port = port.parse().map_err(|_| malformed())?;
            Ok((host.trim_matches(['[', ']']).to_owned(), Some(port)))
        }
        Some(_) => Err(malformed()),
        None => Ok((text.to_owned(), None)),
    }
}

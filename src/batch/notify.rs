//! `[notify]`: who is told how a run ended.
//!
//! A batch file is shared, so it holds no secret, only the place where one is: `{ env = "…" }`,
//! `{ command = "…" }` or `{ file = "…" }`. Nothing is looked up here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;
use url::Url;

use super::paths::resolve_path;
use super::reader::{SettingProblem, SettingsReader};
use super::value;

const SECTION: &str = "notify";

/// Who is told how a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotifySettings {
    /// `when`; default always.
    pub when: NotifyCondition,
    /// `command`: a program and its arguments, which gets `run.json` on its standard input.
    pub command: Vec<String>,
    /// `webhook`: gets `run.json` as a POST.
    pub webhook: Option<NotifyUrl>,
    /// `webhook_secret`: what the webhook is signed with.
    pub webhook_secret: Option<SecretRef>,
    /// `slack`: an incoming webhook of Slack; whoever knows its address can write there.
    pub slack: Option<SecretRef>,
    /// `email_to` and what belongs to it.
    pub email: Option<EmailSettings>,
    /// `heartbeat_url`: pinged at the start, at success and at failure, whatever `when` says.
    pub heartbeat_url: Option<NotifyUrl>,
    /// `timeout`: how long all of that may take; default 20 s.
    pub timeout: Duration,
}

/// Which runs are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotifyCondition {
    /// Every one.
    Always,
    /// Those after which somebody should look.
    OnFailure,
    /// None.
    Never,
}

impl NotifyCondition {
    /// Every variant with the word for it.
    pub const CHOICES: &'static [(&'static str, Self)] =
        &[("always", Self::Always), ("on_failure", Self::OnFailure), ("never", Self::Never)];
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// In this variable of the environment.
    Env(String),
    /// In what this command prints.
    Command(String),
    /// In this file.
    File(PathBuf),
}

/// An address, or where it is hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotifyUrl {
    /// In the open.
    Plain(Url),
    /// It is a secret itself.
    Secret(SecretRef),
}

/// A message by mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailSettings {
    /// `email_to`.
    pub to: Vec<String>,
    /// `email_from`.
    pub from: String,
    /// The host of `smtp`.
    pub host: String,
    /// The port of `smtp`; without it, that of `smtp_tls`.
    pub port: Option<u16>,
    /// `smtp_tls`; default [`Tls::Starttls`].
    pub tls: SmtpTls,
    /// `smtp_user`.
    pub user: Option<String>,
    /// `smtp_password`.
    pub password: Option<SecretRef>,
}

/// How the way to the mail server is kept private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// Begun in the open and refused unless it becomes private; port 587.
    Starttls,
    /// From the first byte; port 465.
    Tls,
    /// Not at all; for a server on this machine alone; port 25.
    None,
}

impl SmtpTls {
    /// Every variant with the word for it.
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
            timeout: Duration::from_secs(20),
        }
    }
}

impl NotifySettings {
    pub(super) fn read(reader: &mut SettingsReader<'_>, file: &Path) -> Self {
        let usual = Self::default();
        let hidden = |example: &'static str| {
            move |given: &DeValue<'_>| parse_secret_ref(given, file, example)
        };
        let webhook_secret =
            reader.get(SECTION, "webhook_secret", hidden("{ env = \"CALLSHEET_WEBHOOK_SECRET\" }"));
        let webhook = reader.get(SECTION, "webhook", |given| parse_notify_url(given, file));
        if webhook_secret.is_some() && !reader.has_key(SECTION, "webhook") {
            let complaint = SettingProblem::new("signs a `webhook`, and there is none");
            reader.reject_value(SECTION, "webhook_secret", complaint);
        }
        Self {
            when: reader
                .get(SECTION, "when", value::parse_choice(NotifyCondition::CHOICES))
                .unwrap_or(usual.when),
            command: reader.get(SECTION, "command", parse_command).unwrap_or_default(),
            webhook,
            webhook_secret,
            slack: reader.get(SECTION, "slack", hidden("{ env = \"SLACK_WEBHOOK_URL\" }")),
            email: read_email(reader, hidden("{ env = \"SMTP_PASSWORD\" }")),
            heartbeat_url: reader
                .get(SECTION, "heartbeat_url", |given| parse_notify_url(given, file)),
            timeout: reader.get(SECTION, "timeout", value::parse_duration).unwrap_or(usual.timeout),
        }
    }
}

fn read_email(
    reader: &mut SettingsReader<'_>,
    hidden: impl FnOnce(&DeValue<'_>) -> Result<SecretRef, SettingProblem>,
) -> Option<EmailSettings> {
    let to = reader.get(SECTION, "email_to", parse_mailboxes);
    let from = reader.get(SECTION, "email_from", parse_mailbox);
    let server = reader.get(SECTION, "smtp", parse_smtp_server);
    let tls = reader.get(SECTION, "smtp_tls", value::parse_choice(SmtpTls::CHOICES));
    let user = reader.get(SECTION, "smtp_user", value::parse_text);
    let password = reader.get(SECTION, "smtp_password", hidden);
    let given = ["email_to", "email_from", "smtp", "smtp_tls", "smtp_user", "smtp_password"]
        .into_iter()
        .find(|key| reader.has_key(SECTION, key))?;
    let wrong = [
        ("email_to", to.is_some()),
        ("email_from", from.is_some()),
        ("smtp", server.is_some()),
        ("smtp_tls", tls.is_some()),
        ("smtp_user", user.is_some()),
        ("smtp_password", password.is_some()),
    ];
    if wrong.into_iter().any(|(key, is_read)| reader.has_key(SECTION, key) && !is_read) {
        // It was complained of; what is missing beside it comes next.
        return None;
    }
    let tls = tls.unwrap_or(SmtpTls::Starttls);
    for needed in ["email_to", "email_from", "smtp"] {
        if !reader.has_key(SECTION, needed) {
            let complaint = SettingProblem::new(format!("is given, but `{needed}` is missing"));
            reader.reject_value(SECTION, given, complaint);
        }
    }
    if reader.has_key(SECTION, "smtp_user") != reader.has_key(SECTION, "smtp_password") {
        let which =
            if reader.has_key(SECTION, "smtp_user") { "smtp_user" } else { "smtp_password" };
        let complaint = SettingProblem::new("needs the other of `smtp_user` and `smtp_password`");
        reader.reject_value(SECTION, which, complaint);
    }
    let (host, port) = server?;
    let here = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
    if tls == SmtpTls::None && !here {
        let complaint = SettingProblem::new("would send the mail, and a password, in the open");
        let help = "\"none\" is for a server on this machine alone; use \"starttls\" or \"tls\"";
        reader.reject_value(SECTION, "smtp_tls", complaint.with_help(help));
    }
    Some(EmailSettings { to: to?, from: from?, host, port, tls, user, password })
}

/// Reads a program and its arguments. The same argument may come twice.
fn parse_command(given: &DeValue<'_>) -> Result<Vec<String>, SettingProblem> {
    let example = "write it like `command = [\"/usr/local/bin/tell\", \"--night\"]`";
    let DeValue::Array(items) = given else {
        return Err(
            SettingProblem::new("must be a list: a program and its arguments").with_help(example)
        );
    };
    let words: Result<Vec<String>, SettingProblem> =
        items.iter().map(Spanned::get_ref).map(value::parse_text_or_empty).collect();
    let words = words?;
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(SettingProblem::new("names no program").with_help(example));
    }
    Ok(words)
}

/// Reads where a secret is; the secret itself is refused, and not shown.
fn parse_secret_ref(
    given: &DeValue<'_>,
    file: &Path,
    example: &str,
) -> Result<SecretRef, SettingProblem> {
    let help = format!(
        "say where it is: `{example}`, or {{ command = \"…\" }} that prints it, or \
         {{ file = \"…\" }} that holds it"
    );
    let table = match given {
        DeValue::Table(table) => table,
        DeValue::String(_) => {
            let complaint = SettingProblem::new("is a secret, and a batch file is shared");
            return Err(complaint.with_help(help).as_confidential());
        }
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => {
            let complaint = SettingProblem::new("must be the place where the secret is");
            return Err(complaint.with_help(help).as_confidential());
        }
    };
    let mut entries = table.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        return Err(SettingProblem::new("must say one place").with_help(help));
    };
    let text = value::parse_text(value.get_ref())
        .map_err(|_| SettingProblem::new("must say its place as a text").with_help(help.clone()))?;
    match key.get_ref().as_ref() {
        "env" => Ok(SecretRef::Env(text)),
        "command" => Ok(SecretRef::Command(text)),
        "file" => Ok(SecretRef::File(resolve_path(file, &text))),
        _ => Err(SettingProblem::new("names a place that is not known")
            .with_help(help)
            .as_confidential()),
    }
}

/// Reads an address, or where it is hidden.
fn parse_notify_url(given: &DeValue<'_>, file: &Path) -> Result<NotifyUrl, SettingProblem> {
    if let DeValue::Table(_) = given {
        return parse_secret_ref(given, file, "{ env = \"NAME\" }").map(NotifyUrl::Secret);
    }
    let text = value::parse_text(given)?;
    let form = || SettingProblem::new("must be an address like `https://example.org/hook`");
    let url = Url::parse(text.trim()).map_err(|_| form().as_confidential())?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(form().as_confidential());
    }
    if !url.username().is_empty() || url.password().is_some() {
        let complaint = SettingProblem::new("must not contain a user or a password");
        return Err(complaint.with_help("hide it: `{ env = \"NAME\" }`").as_confidential());
    }
    Ok(NotifyUrl::Plain(url))
}

fn parse_mailboxes(given: &DeValue<'_>) -> Result<Vec<String>, SettingProblem> {
    let all = value::parse_text_list(given)?;
    match all.iter().find(|text| !is_mailbox(text)) {
        Some(odd) => Err(SettingProblem::new(format!("holds `{odd}`, which is no mail address"))),
        None => Ok(all),
    }
}

fn parse_mailbox(given: &DeValue<'_>) -> Result<String, SettingProblem> {
    let text = value::parse_text(given)?;
    if is_mailbox(&text) {
        Ok(text)
    } else {
        Err(SettingProblem::new("must be a mail address, such as \"Callsheet <jobs@example.org>\""))
    }
}

/// Tells whether this could be a mail address, with or without a name. The mailer knows better.
fn is_mailbox(text: &str) -> bool {
    let inner = text.rsplit_once('<').map_or(text, |(_, inner)| inner.trim_end_matches('>'));
    let plain = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    inner.rsplit_once('@').is_some_and(|(who, host)| plain(who) && plain(host))
        && !text.contains(['\r', '\n'])
}

/// Reads `smtp.example.org` or `smtp.example.org:587`.
fn parse_smtp_server(given: &DeValue<'_>) -> Result<(String, Option<u16>), SettingProblem> {
    let text = value::parse_text(given)?;
    let text = text.trim();
    let wrong = || SettingProblem::new("must be a host, such as \"smtp.example.org:587\"");
    if text.contains(['/', '@']) || text.contains(char::is_whitespace) {
        return Err(wrong().as_confidential());
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() => {
            let port = port.parse().map_err(|_| wrong())?;
            Ok((host.trim_matches(['[', ']']).to_owned(), Some(port)))
        }
        Some(_) => Err(wrong()),
        None => Ok((text.to_owned(), None)),
    }
}

//! `[notify]`: who is told how a run ended.
//!
//! A batch file is shared, so it holds no secret, only the place where one is: `{ env = "…" }`,
//! `{ command = "…" }` or `{ file = "…" }`. Nothing is looked up here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;
use url::Url;

use super::place::beside;
use super::reader::{Complaint, Reader};
use super::value;

const SECTION: &str = "notify";

/// Who is told how a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// `when`; default always.
    pub when: When,
    /// `command`: a program and its arguments, which gets `run.json` on its standard input.
    pub command: Vec<String>,
    /// `webhook`: gets `run.json` as a POST.
    pub webhook: Option<Address>,
    /// `webhook_secret`: what the webhook is signed with.
    pub webhook_secret: Option<Hidden>,
    /// `slack`: an incoming webhook of Slack; whoever knows its address can write there.
    pub slack: Option<Hidden>,
    /// `email_to` and what belongs to it.
    pub email: Option<Email>,
    /// `heartbeat_url`: pinged at the start, at success and at failure, whatever `when` says.
    pub heartbeat_url: Option<Address>,
    /// `timeout`: how long all of that may take; default 20 s.
    pub timeout: Duration,
}

/// Which runs are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Every one.
    Always,
    /// Those after which somebody should look.
    OnFailure,
    /// None.
    Never,
}

impl When {
    /// Every variant with the word for it.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("always", Self::Always), ("on_failure", Self::OnFailure), ("never", Self::Never)];
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// In this variable of the environment.
    Env(String),
    /// In what this command prints.
    Command(String),
    /// In this file.
    File(PathBuf),
}

/// An address, or where it is hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// In the open.
    Plain(Url),
    /// It is a secret itself.
    Hidden(Hidden),
}

/// A message by mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// `email_to`.
    pub to: Vec<String>,
    /// `email_from`.
    pub from: String,
    /// The host of `smtp`.
    pub host: String,
    /// The port of `smtp`; without it, that of `smtp_tls`.
    pub port: Option<u16>,
    /// `smtp_tls`; default [`Tls::Starttls`].
    pub tls: Tls,
    /// `smtp_user`.
    pub user: Option<String>,
    /// `smtp_password`.
    pub password: Option<Hidden>,
}

/// How the way to the mail server is kept private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Begun in the open and refused unless it becomes private; port 587.
    Starttls,
    /// From the first byte; port 465.
    Tls,
    /// Not at all; for a server on this machine alone; port 25.
    None,
}

impl Tls {
    /// Every variant with the word for it.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("starttls", Self::Starttls), ("tls", Self::Tls), ("none", Self::None)];
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            when: When::Always,
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

impl Notify {
    pub(super) fn read(reader: &mut Reader<'_>, file: &Path) -> Self {
        let usual = Self::default();
        let hidden =
            |example: &'static str| move |given: &DeValue<'_>| hidden(given, file, example);
        let webhook_secret =
            reader.get(SECTION, "webhook_secret", hidden("{ env = \"CALLSHEET_WEBHOOK_SECRET\" }"));
        let webhook = reader.get(SECTION, "webhook", |given| address(given, file));
        if webhook_secret.is_some() && !reader.has(SECTION, "webhook") {
            let complaint = Complaint::new("signs a `webhook`, and there is none");
            reader.object(SECTION, "webhook_secret", complaint);
        }
        Self {
            when: reader.get(SECTION, "when", value::choice(When::WORDS)).unwrap_or(usual.when),
            command: reader.get(SECTION, "command", command).unwrap_or_default(),
            webhook,
            webhook_secret,
            slack: reader.get(SECTION, "slack", hidden("{ env = \"SLACK_WEBHOOK_URL\" }")),
            email: read_email(reader, hidden("{ env = \"SMTP_PASSWORD\" }")),
            heartbeat_url: reader.get(SECTION, "heartbeat_url", |given| address(given, file)),
            timeout: reader.get(SECTION, "timeout", value::duration).unwrap_or(usual.timeout),
        }
    }
}

fn read_email(
    reader: &mut Reader<'_>,
    hidden: impl FnOnce(&DeValue<'_>) -> Result<Hidden, Complaint>,
) -> Option<Email> {
    let to = reader.get(SECTION, "email_to", mailboxes);
    let from = reader.get(SECTION, "email_from", mailbox);
    let server = reader.get(SECTION, "smtp", server);
    let tls = reader.get(SECTION, "smtp_tls", value::choice(Tls::WORDS));
    let user = reader.get(SECTION, "smtp_user", value::text);
    let password = reader.get(SECTION, "smtp_password", hidden);
    let given = ["email_to", "email_from", "smtp", "smtp_tls", "smtp_user", "smtp_password"]
        .into_iter()
        .find(|key| reader.has(SECTION, key))?;
    let wrong = [
        ("email_to", to.is_some()),
        ("email_from", from.is_some()),
        ("smtp", server.is_some()),
        ("smtp_tls", tls.is_some()),
        ("smtp_user", user.is_some()),
        ("smtp_password", password.is_some()),
    ];
    if wrong.into_iter().any(|(key, is_read)| reader.has(SECTION, key) && !is_read) {
        // It was complained of; what is missing beside it comes next.
        return None;
    }
    let tls = tls.unwrap_or(Tls::Starttls);
    for needed in ["email_to", "email_from", "smtp"] {
        if !reader.has(SECTION, needed) {
            let complaint = Complaint::new(format!("is given, but `{needed}` is missing"));
            reader.object(SECTION, given, complaint);
        }
    }
    if reader.has(SECTION, "smtp_user") != reader.has(SECTION, "smtp_password") {
        let which = if reader.has(SECTION, "smtp_user") { "smtp_user" } else { "smtp_password" };
        let complaint = Complaint::new("needs the other of `smtp_user` and `smtp_password`");
        reader.object(SECTION, which, complaint);
    }
    let (host, port) = server?;
    let here = matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1");
    if tls == Tls::None && !here {
        let complaint = Complaint::new("would send the mail, and a password, in the open");
        let help = "\"none\" is for a server on this machine alone; use \"starttls\" or \"tls\"";
        reader.object(SECTION, "smtp_tls", complaint.help(help));
    }
    Some(Email { to: to?, from: from?, host, port, tls, user, password })
}

/// Reads a program and its arguments. The same argument may come twice.
fn command(given: &DeValue<'_>) -> Result<Vec<String>, Complaint> {
    let example = "write it like `command = [\"/usr/local/bin/tell\", \"--night\"]`";
    let DeValue::Array(items) = given else {
        return Err(Complaint::new("must be a list: a program and its arguments").help(example));
    };
    let words: Result<Vec<String>, Complaint> =
        items.iter().map(Spanned::get_ref).map(value::text_or_nothing).collect();
    let words = words?;
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(Complaint::new("names no program").help(example));
    }
    Ok(words)
}

/// Reads where a secret is; the secret itself is refused, and not shown.
fn hidden(given: &DeValue<'_>, file: &Path, example: &str) -> Result<Hidden, Complaint> {
    let help = format!(
        "say where it is: `{example}`, or {{ command = \"…\" }} that prints it, or \
         {{ file = \"…\" }} that holds it"
    );
    let table = match given {
        DeValue::Table(table) => table,
        DeValue::String(_) => {
            let complaint = Complaint::new("is a secret, and a batch file is shared");
            return Err(complaint.help(help).confidential());
        }
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_) => {
            let complaint = Complaint::new("must be the place where the secret is");
            return Err(complaint.help(help).confidential());
        }
    };
    let mut entries = table.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        return Err(Complaint::new("must say one place").help(help));
    };
    let text = value::text(value.get_ref())
        .map_err(|_| Complaint::new("must say its place as a text").help(help.clone()))?;
    match key.get_ref().as_ref() {
        "env" => Ok(Hidden::Env(text)),
        "command" => Ok(Hidden::Command(text)),
        "file" => Ok(Hidden::File(beside(file, &text))),
        _ => Err(Complaint::new("names a place that is not known").help(help).confidential()),
    }
}

/// Reads an address, or where it is hidden.
fn address(given: &DeValue<'_>, file: &Path) -> Result<Address, Complaint> {
    if let DeValue::Table(_) = given {
        return hidden(given, file, "{ env = \"NAME\" }").map(Address::Hidden);
    }
    let text = value::text(given)?;
    let form = || Complaint::new("must be an address like `https://example.org/hook`");
    let url = Url::parse(text.trim()).map_err(|_| form().confidential())?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(form().confidential());
    }
    if !url.username().is_empty() || url.password().is_some() {
        let complaint = Complaint::new("must not contain a user or a password");
        return Err(complaint.help("hide it: `{ env = \"NAME\" }`").confidential());
    }
    Ok(Address::Plain(url))
}

fn mailboxes(given: &DeValue<'_>) -> Result<Vec<String>, Complaint> {
    let all = value::texts(given)?;
    match all.iter().find(|text| !is_mailbox(text)) {
        Some(odd) => Err(Complaint::new(format!("holds `{odd}`, which is no mail address"))),
        None => Ok(all),
    }
}

fn mailbox(given: &DeValue<'_>) -> Result<String, Complaint> {
    let text = value::text(given)?;
    if is_mailbox(&text) {
        Ok(text)
    } else {
        Err(Complaint::new("must be a mail address, such as \"Callsheet <jobs@example.org>\""))
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
fn server(given: &DeValue<'_>) -> Result<(String, Option<u16>), Complaint> {
    let text = value::text(given)?;
    let text = text.trim();
    let wrong = || Complaint::new("must be a host, such as \"smtp.example.org:587\"");
    if text.contains(['/', '@']) || text.contains(char::is_whitespace) {
        return Err(wrong().confidential());
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

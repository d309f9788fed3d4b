//! The settings that hold, and where each came from: a flag, the environment, the batch file, or
//! the default.
//!
//! It shows and decides nothing, with one exception: which host a command without `--base-url`
//! talks to. Of a secret it says only where it is looked for.

use std::time::Duration;

use serde_json::{Value, json};

use super::account::Whose;
use super::{Color, Global, account};
use crate::batch::{
    Address, Batch, Hidden, Host, InvalidHost, Limits, Notify, Studio, Webhook, When,
};

const LEDGER: &str = "CALLSHEET_LEDGER";
const BASE_URL: &str = "AISTUDIOS_BASE_URL";
const BATCH_FILE: &str = "batch file";
const DEFAULT: &str = "default";
const VENDOR: &str = "[vendor]";
const FLAG: &str = "command line";

/// One setting.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) from: &'static str,
}

impl Setting {
    /// Returns it as programs see it.
    pub(super) fn document(&self) -> Value {
        json!({ "name": self.name, "value": self.value, "from": self.from })
    }
}

/// Returns the host that the environment or the batch file says, and which of them.
pub(super) fn host(batch: Option<&Batch>) -> (Result<Host, InvalidHost>, &'static str) {
    let said = std::env::var(BASE_URL).ok().filter(|value| !value.trim().is_empty());
    match (said, batch) {
        (Some(said), _) => (Host::at(&said), BASE_URL),
        (None, Some(batch)) => {
            let given = given(batch, "studio");
            let from = given("region") || given("base_url");
            (Ok(batch.studio.host.clone()), if from { BATCH_FILE } else { DEFAULT })
        }
        (None, None) => (Ok(Host::Global), DEFAULT),
    }
}

/// Returns whether a key of a section stands in the batch file.
fn given(batch: &Batch, section: &str) -> impl Fn(&str) -> bool {
    let table = batch.source.parse::<toml::Table>().unwrap_or_default();
    let section = table.get(section).and_then(|section| section.as_table().cloned());
    move |key| section.as_ref().is_some_and(|section| section.contains_key(key))
}

/// Returns every setting that holds for a run of `batch`, or for any run.
pub(super) fn effective(global: &Global, sandbox: bool, batch: Option<&Batch>) -> Vec<Setting> {
    let mut all = vec![
        Setting {
            name: "ledger",
            value: global.ledger(sandbox).display().to_string(),
            from: ledger_from(global),
        },
        Setting { name: "color", value: color(global), from: color_from(global) },
    ];
    if !sandbox {
        let (host, from) = host(batch);
        let known = host.as_ref().cloned().unwrap_or(Host::Global);
        let value = host.map_or_else(|error| error.to_string(), |host| host.base_url().into());
        all.push(Setting { name: "base_url", value, from });
        let value = account::source(Whose::of(&known, batch.map(|batch| &batch.studio)));
        all.push(Setting { name: "credentials", value, from: "looked for there" });
    }
    if let Some(batch) = batch {
        let output = batch.source.parse::<toml::Table>().unwrap_or_default().contains_key("output");
        all.push(Setting {
            name: "output",
            value: batch.output.display().to_string(),
            from: if output { BATCH_FILE } else { DEFAULT },
        });
        all.extend(from_section(batch, "studio", studio(&batch.studio)));
        all.extend(from_section(batch, "limits", limits(&batch.limits)).into_iter().map(|limit| {
            let bound = batch.vendor.bounds(&batch.limits, limit.name);
            Setting { from: if bound { VENDOR } else { limit.from }, ..limit }
        }));
        all.push(Setting {
            name: "window",
            value: batch.window.as_ref().map_or("any time".to_owned(), ToString::to_string),
            from: if batch.window.is_some() { BATCH_FILE } else { DEFAULT },
        });
        all.extend(batch.webhook.iter().flat_map(calls));
        all.extend(notices(&batch.notify));
    }
    all
}

fn from_section(batch: &Batch, section: &str, values: Vec<(&'static str, String)>) -> Vec<Setting> {
    let given = given(batch, section);
    let from = |name| if given(name) { BATCH_FILE } else { DEFAULT };
    values.into_iter().map(|(name, value)| Setting { name, value, from: from(name) }).collect()
}

fn ledger_from(global: &Global) -> &'static str {
    let said = std::env::var_os(LEDGER).map(std::path::PathBuf::from);
    match &global.ledger {
        None => DEFAULT,
        Some(ledger) if said.as_ref() == Some(ledger) => LEDGER,
        Some(_) => FLAG,
    }
}

fn color(global: &Global) -> String {
    match global.color {
        Color::Auto if global.colored() => "auto: on",
        Color::Auto => "auto: off",
        Color::Always => "always",
        Color::Never => "never",
    }
    .to_owned()
}

fn color_from(global: &Global) -> &'static str {
    match global.color {
        Color::Always | Color::Never => FLAG,
        Color::Auto if std::env::var_os("NO_COLOR").is_some_and(|said| !said.is_empty()) => {
            "NO_COLOR"
        }
        Color::Auto => DEFAULT,
    }
}

fn studio(studio: &Studio) -> Vec<(&'static str, String)> {
    // Without a pattern for the rest: a setting that is added must be shown.
    let Studio {
        host: _,
        request,
        submission,
        on_uncertain,
        resolution,
        workspace_id,
        profile: _,
        user_key_command: _,
    } = studio;
    vec![
        ("request", request.to_string()),
        ("submission", submission.to_string()),
        ("on_uncertain", on_uncertain.to_string()),
        ("resolution", or(resolution, "the template's")),
        ("workspace_id", or(workspace_id, "the account's own")),
    ]
}

fn limits(limits: &Limits) -> Vec<(&'static str, String)> {
    let Limits {
        requests,
        submits,
        in_flight,
        canary,
        downloads,
        request_timeout,
        poll_min,
        poll_max,
        settle_after,
        stall_after,
        render_timeout,
        backoff_min,
        backoff_max,
        submit_retries,
        rerenders,
        fetch_retries,
        halt_after,
        max_videos,
        max_credits,
        max_credits_per_day,
    } = limits;
    vec![
        ("requests", requests.to_string()),
        ("submits", submits.to_string()),
        ("in_flight", in_flight.to_string()),
        ("canary", canary.to_string()),
        ("downloads", downloads.to_string()),
        ("request_timeout", words(*request_timeout)),
        ("poll_min", words(*poll_min)),
        ("poll_max", words(*poll_max)),
        ("settle_after", words(*settle_after)),
        ("stall_after", words(*stall_after)),
        ("render_timeout", words(*render_timeout)),
        ("backoff_min", words(*backoff_min)),
        ("backoff_max", words(*backoff_max)),
        ("submit_retries", submit_retries.to_string()),
        ("rerenders", rerenders.to_string()),
        ("fetch_retries", fetch_retries.to_string()),
        ("halt_after", halt_after.to_string()),
        ("max_videos", or(max_videos, "no cap")),
        ("max_credits", or(max_credits, "no cap")),
        ("max_credits_per_day", or(max_credits_per_day, "no cap")),
    ]
}

/// Returns where AI Studios may call.
fn calls(Webhook { public_url, listen }: &Webhook) -> Vec<Setting> {
    let from = BATCH_FILE;
    vec![
        Setting { name: "webhook.public_url", value: public_url.to_string(), from },
        Setting { name: "webhook.listen", value: listen.to_string(), from },
    ]
}

/// Returns who is told; of a secret only where it is.
fn notices(notify: &Notify) -> Vec<Setting> {
    let Notify { when, command, webhook, webhook_secret, slack, email, heartbeat_url, timeout } =
        notify;
    let place = |hidden: &Hidden| match hidden {
        Hidden::Env(name) => format!("hidden in {name}"),
        Hidden::Command(_) => "hidden behind a command".to_owned(),
        Hidden::File(path) => format!("hidden in {}", path.display()),
    };
    let address = |address: &Address| match address {
        Address::Plain(url) => url.host_str().unwrap_or_default().to_owned(),
        Address::Hidden(hidden) => place(hidden),
    };
    let word = When::WORDS.iter().find(|(_, one)| one == when).map_or("", |(word, _)| *word);
    let ways = [
        ("notify.command", command.first().cloned()),
        ("notify.webhook", webhook.as_ref().map(address)),
        ("notify.webhook_secret", webhook_secret.as_ref().map(place)),
        ("notify.slack", slack.as_ref().map(place)),
        ("notify.email_to", email.as_ref().map(|email| email.to.join(", "))),
        ("notify.smtp", email.as_ref().map(|email| email.host.clone())),
        ("notify.heartbeat_url", heartbeat_url.as_ref().map(address)),
    ];
    let setting = |(name, value): (_, Option<String>)| {
        Some(Setting { name, value: value?, from: BATCH_FILE })
    };
    let mut all: Vec<Setting> = ways.into_iter().filter_map(setting).collect();
    if !all.is_empty() {
        let how = [("notify.when", word.to_owned()), ("notify.timeout", words(*timeout))];
        all.extend(how.into_iter().filter_map(|(name, value)| setting((name, Some(value)))));
    }
    all
}

fn or(value: &Option<impl ToString>, otherwise: &str) -> String {
    value.as_ref().map_or_else(|| otherwise.to_owned(), ToString::to_string)
}

/// Writes a duration as a batch file does: `90s`, `20min`.
fn words(length: Duration) -> String {
    let ms = length.as_millis();
    match ms {
        ms if ms % 3_600_000 == 0 && ms > 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 && ms > 0 => format!("{}min", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

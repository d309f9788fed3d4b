//! The effective settings of a batch, each with its source: the batch file, with its line, or the
//! default.
//!
//! Decides nothing. Of a secret it contains only the source.

use std::time::Duration;

use serde_json::{Value, json};

use crate::batch::{
    Batch, BatchLimits, NotifyCondition, NotifySettings, NotifyUrl, OnDoneSettings, ReviewSettings,
    SecretRef, StudioSettings, WebhookSettings,
};

pub(crate) const BATCH_FILE: &str = "batch file";
pub(crate) const DEFAULT: &str = "default";
const VENDOR_SECTION: &str = "[vendor]";

/// One setting with its source.
#[derive(Clone, Debug)]
pub(crate) struct EffectiveSetting {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) source: &'static str,
}

impl EffectiveSetting {
    /// Returns the setting as JSON.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "name": self.name, "value": self.value, "from": self.source })
    }
}

/// Returns every setting that applies to a run of `batch`.
pub(crate) fn batch_settings(batch: &Batch) -> Vec<EffectiveSetting> {
    let mut all = Vec::new();
    let has_output = batch.source.parse::<toml::Table>().unwrap_or_default().contains_key("output");
    all.push(EffectiveSetting {
        name: "output",
        value: batch.output.display().to_string(),
        source: if has_output { BATCH_FILE } else { DEFAULT },
    });
    all.extend(section_settings(batch, "studio", studio_values(&batch.studio)));
    all.extend(section_settings(batch, "limits", limit_values(&batch.limits)).into_iter().map(
        |limit| {
            let is_bound = batch.vendor.is_binding_for(&batch.limits, limit.name);
            EffectiveSetting {
                source: if is_bound { VENDOR_SECTION } else { limit.source },
                ..limit
            }
        },
    ));
    all.push(EffectiveSetting {
        name: "window",
        value: batch.window.as_ref().map_or("any time".to_owned(), ToString::to_string),
        source: if batch.window.is_some() { BATCH_FILE } else { DEFAULT },
    });
    all.extend(batch.webhook.iter().flat_map(webhook_settings));
    all.extend(notify_settings(&batch.notify));
    let ReviewSettings { required, sample } = batch.review;
    let review = vec![("required", required.to_string()), ("sample", sample.to_string())];
    all.extend(section_settings(batch, "review", review));
    all.extend(batch.on_done.iter().flat_map(on_done_settings));
    all.extend(batch.metrics.textfile.iter().map(|textfile| EffectiveSetting {
        name: "metrics.textfile",
        value: textfile.display().to_string(),
        source: BATCH_FILE,
    }));
    all
}

/// The sections whose settings are named without them.
const PLAIN_SECTIONS: [&str; 4] = ["", "studio", "limits", "review"];

/// Returns the line of the batch file in which a setting is, counted from 1; `None` if it is written
/// in another form than a line of its section.
pub(crate) fn setting_line(source: &str, setting: &str) -> Option<usize> {
    let (section, key) = match setting.split_once('.') {
        Some((section, key)) => (Some(section), key),
        None => (None, setting),
    };
    let mut current = "";
    for (index, line) in source.lines().enumerate() {
        let line = line.trim();
        if let Some(heading) = line.strip_prefix('[') {
            current = heading.trim_start_matches('[').split(']').next().unwrap_or_default().trim();
        }
        let is_section = match section {
            Some(section) => current == section,
            None => PLAIN_SECTIONS.contains(&current),
        };
        let name = line.split_once('=').map(|(name, _)| name.trim().trim_matches(['"', '\'']));
        if is_section && name == Some(key) {
            return Some(index + 1);
        }
    }
    None
}

/// Returns whether a key is set in a section of the batch file.
pub(crate) fn is_key_set(batch: &Batch, section: &str, key: &str) -> bool {
    let table = batch.source.parse::<toml::Table>().unwrap_or_default();
    let section = table.get(section).and_then(|section| section.as_table());
    section.is_some_and(|section| section.contains_key(key))
}

fn section_settings(
    batch: &Batch,
    section: &str,
    values: Vec<(&'static str, String)>,
) -> Vec<EffectiveSetting> {
    let from = |name| if is_key_set(batch, section, name) { BATCH_FILE } else { DEFAULT };
    values
        .into_iter()
        .map(|(name, value)| EffectiveSetting { name, value, source: from(name) })
        .collect()
}

fn studio_values(studio: &StudioSettings) -> Vec<(&'static str, String)> {
    // Without `..`, so that a new setting must be added here.
    let StudioSettings {
        host: _,
        host_origin: _,
        request,
        submission,
        on_uncertain,
        resolution,
        workspace_id,
        proxy,
        profile: _,
        user_key_command: _,
    } = studio;
    vec![
        ("request", request.to_string()),
        ("submission", submission.to_string()),
        ("on_uncertain", on_uncertain.to_string()),
        ("resolution", value_or(resolution, "the template's")),
        ("workspace_id", value_or(workspace_id, "the account's own")),
        ("proxy", proxy.to_string()),
    ]
}

fn limit_values(limits: &BatchLimits) -> Vec<(&'static str, String)> {
    let BatchLimits {
        requests,
        submits,
        in_flight,
        canary,
        downloads,
        request_timeout,
        poll_min,
        poll_max,
        settle_after,
        confirm_after,
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
        rerender_share,
    } = limits;
    vec![
        ("requests", requests.to_string()),
        ("submits", submits.to_string()),
        ("in_flight", in_flight.to_string()),
        ("canary", canary.to_string()),
        ("downloads", downloads.to_string()),
        ("request_timeout", format_toml_duration(*request_timeout)),
        ("poll_min", format_toml_duration(*poll_min)),
        ("poll_max", format_toml_duration(*poll_max)),
        ("settle_after", format_toml_duration(*settle_after)),
        ("confirm_after", format_toml_duration(*confirm_after)),
        ("stall_after", format_toml_duration(*stall_after)),
        ("render_timeout", format_toml_duration(*render_timeout)),
        ("backoff_min", format_toml_duration(*backoff_min)),
        ("backoff_max", format_toml_duration(*backoff_max)),
        ("submit_retries", submit_retries.to_string()),
        ("rerenders", rerenders.to_string()),
        ("fetch_retries", fetch_retries.to_string()),
        ("halt_after", halt_after.to_string()),
        ("max_videos", value_or(max_videos, "no cap")),
        ("max_credits", value_or(max_credits, "no cap")),
        ("max_credits_per_day", value_or(max_credits_per_day, "no cap")),
        ("rerender_share", rerender_share.to_string()),
    ]
}

/// Returns the webhook settings.
fn webhook_settings(
    WebhookSettings { public_url, listen }: &WebhookSettings,
) -> Vec<EffectiveSetting> {
    let source = BATCH_FILE;
    vec![
        EffectiveSetting { name: "webhook.public_url", value: public_url.to_string(), source },
        EffectiveSetting { name: "webhook.listen", value: listen.to_string(), source },
    ]
}

/// Returns the settings of the command that each video is handed to.
fn on_done_settings(OnDoneSettings { command, timeout }: &OnDoneSettings) -> Vec<EffectiveSetting> {
    let source = BATCH_FILE;
    let timeout = format_toml_duration(*timeout);
    vec![
        EffectiveSetting { name: "on_done.command", value: command.join(" "), source },
        EffectiveSetting { name: "on_done.timeout", value: timeout, source },
    ]
}

/// Returns the notification settings; of a secret only its source.
fn notify_settings(notify: &NotifySettings) -> Vec<EffectiveSetting> {
    let NotifySettings {
        when,
        command,
        webhook,
        webhook_secret,
        slack,
        email,
        heartbeat_url,
        proxy: _,
        timeout,
        folder: _,
    } = notify;
    let secret_source = |secret: &SecretRef| match secret {
        SecretRef::Env(name) => format!("from {name}"),
        SecretRef::Command(_) => "from a command".to_owned(),
        SecretRef::File(path) => format!("from {}", path.display()),
    };
    let address = |address: &NotifyUrl| match address {
        NotifyUrl::Plain(url) => url.host_str().unwrap_or_default().to_owned(),
        NotifyUrl::Secret(secret) => secret_source(secret),
    };
    let condition =
        NotifyCondition::CHOICES.iter().find(|(_, one)| one == when).map_or("", |(name, _)| *name);
    let channels = [
        ("notify.command", command.first().cloned()),
        ("notify.webhook", webhook.as_ref().map(address)),
        ("notify.webhook_secret", webhook_secret.as_ref().map(secret_source)),
        ("notify.slack", slack.as_ref().map(secret_source)),
        ("notify.email_to", email.as_ref().map(|email| email.to.join(", "))),
        ("notify.smtp", email.as_ref().map(|email| email.host.clone())),
        ("notify.heartbeat_url", heartbeat_url.as_ref().map(address)),
    ];
    let setting = |(name, value): (_, Option<String>)| {
        Some(EffectiveSetting { name, value: value?, source: BATCH_FILE })
    };
    let mut all: Vec<EffectiveSetting> = channels.into_iter().filter_map(setting).collect();
    if !all.is_empty() {
        let common = [
            ("notify.when", condition.to_owned()),
            ("notify.timeout", format_toml_duration(*timeout)),
        ];
        all.extend(common.into_iter().filter_map(|(name, value)| setting((name, Some(value)))));
    }
    all
}

fn value_or(value: &Option<impl ToString>, default: &str) -> String {
    value.as_ref().map_or_else(|| default.to_owned(), ToString::to_string)
}

/// Returns a duration as in a batch file: `90s`, `20min`.
fn format_toml_duration(length: Duration) -> String {
    let ms = length.as_millis();
    match ms {
        ms if ms % 3_600_000 == 0 && ms > 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 && ms > 0 => format!("{}min", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_found_in_the_line_of_its_own_section() {
        let source = "output = 'o'\n[notify]\nwhen = 'always'\n[limits]\n# canary = 1\n canary= 2\n[[variants]]\ncanary = 3\n";
        for (setting, line) in [
            ("output", Some(1)),
            ("notify.when", Some(3)),
            ("canary", Some(6)),
            ("when", None),
            ("requests", None),
        ] {
            assert_eq!(setting_line(source, setting), line, "{setting}");
        }
    }
}

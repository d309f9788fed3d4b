//! The effective settings and the source of each: a flag, the environment, the batch file or the
//! default.
//!
//! Decides nothing. Of a secret it contains only the source.

use std::path::PathBuf;

use crate::batch::Batch;
use crate::cli::args::{ColorMode, GlobalArgs};
use crate::session::account::credentials;
use crate::session::account::credentials::CredentialQuery;
use crate::session::account::target;
use crate::session::account::target::BASE_URL_VAR;
use crate::session::ledger_location::{LEDGER_FILE_VAR, LEDGER_VAR};
use crate::session::reports::batch_settings::{
    BATCH_FILE, DEFAULT, EffectiveSetting, batch_settings, is_key_set,
};

const COMMAND_LINE: &str = "command line";

/// Returns the source of the host.
fn host_source(batch: Option<&Batch>) -> &'static str {
    if std::env::var(BASE_URL_VAR).is_ok_and(|value| !value.trim().is_empty()) {
        return BASE_URL_VAR;
    }
    let is_set = |key| batch.is_some_and(|batch| is_key_set(batch, "studio", key));
    match is_set("region") || is_set("base_url") {
        true => BATCH_FILE,
        false => DEFAULT,
    }
}

fn ledger_value(global: &GlobalArgs, sandbox: bool, batch: Option<&Batch>) -> String {
    let files: Vec<PathBuf> = batch.iter().map(|batch| batch.file.clone()).collect();
    match global.find_ledger(sandbox, &files) {
        Ok(location) => location.address.to_string(),
        Err(error) => error.message().unwrap_or_default().to_owned(),
    }
}

/// Returns every setting that applies to a run of `batch`, or to any run.
pub(crate) fn effective_settings(
    global: &GlobalArgs,
    sandbox: bool,
    batch: Option<&Batch>,
) -> Vec<EffectiveSetting> {
    let mut all = vec![
        EffectiveSetting {
            name: "ledger",
            value: ledger_value(global, sandbox, batch),
            source: ledger_source(global),
        },
        EffectiveSetting {
            name: "color",
            value: color_value(global),
            source: color_source(global),
        },
    ];
    if !sandbox {
        let host = target::choose_host(batch);
        let source = host_source(batch);
        let value = match &host {
            Ok(chosen) => chosen.host.base_url().into(),
            Err(error) => error.message().unwrap_or_default().to_owned(),
        };
        all.push(EffectiveSetting { name: "base_url", value, source });
        if let Ok(chosen) = &host {
            let value = credentials::describe_source(CredentialQuery::new(chosen, batch));
            let source = "checked in this order";
            all.push(EffectiveSetting { name: "credentials", value, source });
        }
    }
    all.extend(batch.iter().flat_map(|batch| batch_settings(batch)));
    all
}

fn ledger_source(global: &GlobalArgs) -> &'static str {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match &global.ledger {
        Some(_) => COMMAND_LINE,
        None if is_set(LEDGER_VAR) => LEDGER_VAR,
        None if is_set(LEDGER_FILE_VAR) => LEDGER_FILE_VAR,
        None => DEFAULT,
    }
}

fn color_value(global: &GlobalArgs) -> String {
    match global.color {
        ColorMode::Auto if global.is_colored() => "auto: on",
        ColorMode::Auto => "auto: off",
        ColorMode::Always => "always",
        ColorMode::Never => "never",
    }
    .to_owned()
}

fn color_source(global: &GlobalArgs) -> &'static str {
    match global.color {
        ColorMode::Always | ColorMode::Never => COMMAND_LINE,
        ColorMode::Auto
            if std::env::var_os("NO_COLOR").is_some_and(|value_set| !value_set.is_empty()) =>
        {
            "NO_COLOR"
        }
        ColorMode::Auto => DEFAULT,
    }
}

//! The file that `[vendor] file` names: what was once measured of AI Studios.
//!
//! It becomes a part of the batch's own text when the batch is read, so that whoever has the text
//! has all of it: a batch goes on from the ledger alone, by the answers that it was begun with.

use std::fs;
use std::path::Path;

use toml::de::DeTable;

use super::paths::resolve_path;
use super::problem::{BatchFileProblem, BatchFileProblems};
use super::reader::{SettingProblem, SettingsReader};
use super::vendor::{
    DraftBilling, ExportIdBehavior, ListContents, MEASURED_SECTION, MeasurementInfo,
    ProjectNameHandling, SECTION, SecondExportEffect, VendorProfile,
};
use super::{Batch, parse, redact, toml_error};
use crate::text::format_exact_duration;

/// Returns `batch` with what its measured file says.
///
/// # Errors
/// The file cannot be read, or is wrong.
pub(super) fn merge_measured_file(path: &Path, batch: Batch) -> Result<Batch, BatchFileProblems> {
    let Some(file) = batch.vendor.file.clone() else { return Ok(batch) };
    let wrong = |predicate: String, help: &str| BatchFileProblems {
        file: path.to_owned(),
        source: batch.source.clone(),
        problems: vec![problem_at_file_key(
            &batch.source,
            SettingProblem::new(predicate).with_help(help),
        )],
    };
    if batch.vendor.measured.is_some() {
        let help = "keep one of them: both say what was measured";
        return Err(wrong("is given together with a `[measured]` table".to_owned(), help));
    }
    let place = resolve_path(path, &file);
    let text = fs::read_to_string(&place).map_err(|error| {
        let help = "its path is relative to the batch file; `callsheet check BATCH --probe` writes \
                    one";
        wrong(format!("names `{file}`, which cannot be read ({})", error.kind()), help)
    })?;
    check_measured_file(&place, &text)?;
    let source = format!("{}\n\n# `{file}`, as it was when this was read:\n{text}", batch.source);
    match parse(path, source) {
        Ok(whole) if whole.vendor.measured.is_some() => Ok(whole),
        Ok(_) | Err(_) => {
            let help = "it begins with the line `[measured]`, as `check --probe` writes it";
            Err(wrong(format!("names `{file}`, which is not a file of this kind"), help))
        }
    }
}

/// Finds everything that is wrong in a measured file, in its own lines.
fn check_measured_file(path: &Path, text: &str) -> Result<(), BatchFileProblems> {
    let mut list = Vec::new();
    let mut confidential = Vec::new();
    match DeTable::parse(text) {
        Ok(root) => {
            let mut reader = SettingsReader::new(root.get_ref());
            reader.check_keys();
            for (key, _) in root.get_ref() {
                if key.get_ref().as_ref() != MEASURED_SECTION {
                    reader.add_problem(BatchFileProblem {
                        message: format!("`{}` has no place in such a file", key.get_ref()),
                        help: Some("it holds the table `[measured]` and nothing else".to_owned()),
                        span: Some(key.span()),
                    });
                }
            }
            VendorProfile::read(&mut reader);
            (list, confidential) = reader.finish();
        }
        Err(error) => list.push(toml_error::explain_syntax_error(&error, text)),
    }
    if list.is_empty() {
        return Ok(());
    }
    let source = redact::redact(text.to_owned(), &confidential);
    Err(BatchFileProblems { file: path.to_owned(), source, problems: list })
}

/// Returns the problem at the line that names the file.
fn problem_at_file_key(source: &str, complaint: SettingProblem) -> BatchFileProblem {
    let Ok(root) = DeTable::parse(source) else {
        return BatchFileProblem { message: complaint.predicate, help: complaint.help, span: None };
    };
    let mut reader = SettingsReader::new(root.get_ref());
    reader.reject_value(SECTION, "file", complaint);
    let (mut problems, _) = reader.finish();
    problems.swap_remove(0)
}

/// Returns the text of a measured file: what was learnt, where that is not what is assumed anyway,
/// and what else was seen.
pub fn render_measured_file(learnt: &VendorProfile, measured: &MeasurementInfo) -> String {
    let MeasurementInfo { date: on, host, facts } = measured;
    let mut table = toml::Table::new();
    let mut put = |key: &str, value: toml::Value| table.insert(key.to_owned(), value);
    let usual = VendorProfile::default();
    for (key, words) in [
        ("done_words", &learnt.done_words),
        ("failed_words", &learnt.failed_words),
        ("draft_words", &learnt.draft_words),
    ] {
        if !words.is_empty() {
            put(key, words.clone().into());
        }
    }
    let words = [
        ("list", learnt.list.map(ListContents::word)),
        ("export_id", learnt.export_id.map(ExportIdBehavior::word)),
        (
            "second_export",
            if_not_default(learnt.second_export, usual.second_export).map(SecondExportEffect::word),
        ),
        ("drafts", if_not_default(learnt.drafts, usual.drafts).map(DraftBilling::word)),
        ("names", if_not_default(learnt.names, usual.names).map(ProjectNameHandling::word)),
    ];
    for (key, word) in words {
        if let Some(word) = word {
            put(key, word.into());
        }
    }
    if let Some(lag) = learnt.list_lag {
        put("list_lag", format_exact_duration(lag).into());
    }
    for (key, rate) in [("requests", learnt.requests), ("submits", learnt.submits)] {
        if let Some(rate) = rate {
            put(key, rate.to_string().into());
        }
    }
    if let Some(in_flight) = learnt.in_flight {
        put("in_flight", i64::from(in_flight.get()).into());
    }
    put("on", on.clone().into());
    put("host", host.clone().into());
    if !facts.is_empty() {
        put("facts", facts.clone().into());
    }
    let mut whole = toml::Table::new();
    whole.insert(MEASURED_SECTION.to_owned(), table.into());
    format!(
        "# What AI Studios did at {host} on {on}, seen by `callsheet check BATCH --probe`.\n\
         # A batch file names this file: [vendor] file = \"…\". What it does not say keeps its\n\
         # default; `facts` decide nothing.\n{whole}"
    )
}

/// Returns what was learnt, where it differs from what is assumed.
fn if_not_default<T: PartialEq>(learnt: T, usual: T) -> Option<T> {
    (learnt != usual).then_some(learnt)
}

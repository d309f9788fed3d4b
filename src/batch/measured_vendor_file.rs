//! The measured file that `[vendor] file` names, written by `callsheet check --probe`.
//!
//! It is appended to the source of the batch when that is read. Invariant: the source in the ledger
//! is complete, so a batch can be resumed from the ledger with the values it was started with.

use std::fs;
use std::path::Path;

use toml::de::DeTable;

use super::paths::resolve_path;
use super::problem::{BatchFileProblem, BatchFileProblems};
use super::reader::{SettingProblem, SettingsReader};
use super::vendor_profile::{
    DraftBilling, ExportIdBehavior, ListContents, MEASURED_SECTION, MeasurementInfo,
    ProjectNameHandling, SECTION, SecondExportEffect, VendorProfile,
};
use super::{Batch, parse, redact, toml_error};
use crate::text::{describe_io_error, format_exact_duration};

/// Returns `batch` with the values of its measured file.
///
/// # Errors
/// The file cannot be read, or has problems.
pub(super) fn merge_measured_file(path: &Path, batch: Batch) -> Result<Batch, BatchFileProblems> {
    let Some(file) = batch.vendor.file.clone() else { return Ok(batch) };
    let problems = |predicate: String, help: &str| BatchFileProblems {
        file: path.to_owned(),
        source: batch.source.clone(),
        problems: vec![problem_at_file_key(
            &batch.source,
            SettingProblem::new(predicate).with_help(help),
        )],
    };
    if batch.vendor.measured.is_some() {
        let help = "keep one of the two: both contain measured values";
        return Err(problems("cannot be combined with a `[measured]` table".to_owned(), help));
    }
    let measured_path = resolve_path(path, &file);
    let text = fs::read_to_string(&measured_path).map_err(|error| {
        let help = "its path is relative to the batch file; `callsheet check BATCH --probe` writes \
                    one";
        problems(
            format!("names `{file}`, which cannot be read ({})", describe_io_error(error.kind())),
            help,
        )
    })?;
    check_measured_file(&measured_path, &text)?;
    let source = format!("{}\n\n# `{file}`, as it was when this was read:\n{text}", batch.source);
    match parse(path, source) {
        Ok(merged) if merged.vendor.measured.is_some() => Ok(merged),
        Ok(_) | Err(_) => {
            let help = "a measured file begins with the line `[measured]`; `callsheet check BATCH --probe` writes one";
            Err(problems(format!("names `{file}`, which is not a measured file"), help))
        }
    }
}

/// Checks a measured file by itself, so that problems have positions in it.
fn check_measured_file(path: &Path, text: &str) -> Result<(), BatchFileProblems> {
    let mut problems = Vec::new();
    let mut confidential = Vec::new();
    match DeTable::parse(text) {
        Ok(root) => {
            let mut reader = SettingsReader::new(root.get_ref());
            reader.check_keys();
            for (key, _) in root.get_ref() {
                if key.get_ref().as_ref() != MEASURED_SECTION {
                    reader.add_problem(BatchFileProblem {
                        message: format!("`{}` is not allowed in a measured file", key.get_ref()),
                        help: Some("keep only the table `[measured]`".to_owned()),
                        span: Some(key.span()),
                    });
                }
            }
            VendorProfile::read(&mut reader);
            (problems, confidential) = reader.finish();
        }
        Err(error) => problems.push(toml_error::explain_syntax_error(&error, text)),
    }
    if problems.is_empty() {
        return Ok(());
    }
    let source = redact::redact(text.to_owned(), &confidential);
    Err(BatchFileProblems { file: path.to_owned(), source, problems })
}

/// Returns the problem at the line of `file`.
fn problem_at_file_key(source: &str, problem: SettingProblem) -> BatchFileProblem {
    let Ok(root) = DeTable::parse(source) else {
        return BatchFileProblem { message: problem.predicate, help: problem.help, span: None };
    };
    let mut reader = SettingsReader::new(root.get_ref());
    reader.reject_value(SECTION, "file", problem);
    let (mut problems, _) = reader.finish();
    problems.swap_remove(0)
}

/// Returns the text of a measured file: the values that differ from the defaults, and the facts.
pub fn render_measured_file(profile: &VendorProfile, info: &MeasurementInfo) -> String {
    let MeasurementInfo { date: on, host, facts } = info;
    let mut table = toml::Table::new();
    let mut put = |key: &str, value: toml::Value| table.insert(key.to_owned(), value);
    let defaults = VendorProfile::default();
    for (key, words) in [
        ("done_words", &profile.done_words),
        ("failed_words", &profile.failed_words),
        ("draft_words", &profile.draft_words),
    ] {
        if !words.is_empty() {
            put(key, words.clone().into());
        }
    }
    let choices = [
        ("list", profile.list.map(ListContents::as_str)),
        ("export_id", profile.export_id.map(ExportIdBehavior::as_str)),
        (
            "second_export",
            if_not_default(profile.second_export, defaults.second_export)
                .map(SecondExportEffect::as_str),
        ),
        ("drafts", if_not_default(profile.drafts, defaults.drafts).map(DraftBilling::as_str)),
        ("names", if_not_default(profile.names, defaults.names).map(ProjectNameHandling::as_str)),
    ];
    for (key, text) in choices {
        if let Some(text) = text {
            put(key, text.into());
        }
    }
    if let Some(lag) = profile.list_lag {
        put("list_lag", format_exact_duration(lag).into());
    }
    for (key, rate) in [("requests", profile.requests), ("submits", profile.submits)] {
        if let Some(rate) = rate {
            put(key, rate.to_string().into());
        }
    }
    if let Some(in_flight) = profile.in_flight {
        put("in_flight", i64::from(in_flight.get()).into());
    }
    put("on", on.clone().into());
    put("host", host.clone().into());
    if !facts.is_empty() {
        put("facts", facts.clone().into());
    }
    let mut root = toml::Table::new();
    root.insert(MEASURED_SECTION.to_owned(), table.into());
    format!(
        "# Behaviour of {host}, measured on {on} by `callsheet check BATCH --probe`.\n\
         # A batch file uses this file with: [vendor] file = \"…\". All other settings keep\n\
         # their defaults; `facts` have no effect.\n{root}"
    )
}

/// Returns the measured value if it differs from the default.
fn if_not_default<T: PartialEq>(measured: T, default: T) -> Option<T> {
    (measured != default).then_some(measured)
}

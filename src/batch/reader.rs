//! Reads settings from the TOML tree and collects problems.
//!
//! Each value is read by section and key. An invalid value is recorded with its position and
//! treated as missing, so that one pass finds all problems. Callers interpret the values.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;
use super::problem::BatchFileProblem;
use super::redact;
use crate::text::nearest_name;

/// A problem with a value, worded to follow the name of the key.
#[derive(Debug)]
pub(super) struct SettingProblem {
    pub(super) predicate: String,
    pub(super) help: Option<String>,
    /// Whether the value must not be shown.
    pub(super) is_confidential: bool,
}

impl SettingProblem {
    pub(super) fn new(predicate: impl Into<String>) -> Self {
        Self { predicate: predicate.into(), help: None, is_confidential: false }
    }

    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(super) fn into_confidential(self) -> Self {
        Self { is_confidential: true, ..self }
    }
}

/// The TOML tree, and the problems found so far.
pub(super) struct SettingsReader<'t> {
    root: &'t DeTable<'t>,
    problems: Vec<BatchFileProblem>,
    secret_spans: Vec<Range<usize>>,
}

impl<'t> SettingsReader<'t> {
    pub(super) fn new(root: &'t DeTable<'t>) -> Self {
        Self { root, problems: Vec::new(), secret_spans: Vec::new() }
    }

    /// Returns the problems, and the spans of secrets in the source.
    pub(super) fn finish(self) -> (Vec<BatchFileProblem>, Vec<Range<usize>>) {
        (self.problems, self.secret_spans)
    }

    pub(super) fn add_problem(&mut self, problem: BatchFileProblem) {
        self.problems.push(problem);
    }

    /// Returns whether `key` is set, whatever its value.
    pub(super) fn has_key(&self, section: &str, key: &str) -> bool {
        self.find_value(section, key).is_some()
    }

    /// Reads one value; `None` if it is missing, or if it is invalid, which is then recorded.
    pub(super) fn get<T>(
        &mut self,
        section: &str,
        key: &str,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, SettingProblem>,
    ) -> Option<T> {
        let value = self.find_value(section, key)?;
        self.read_or_record(key, value, read)
    }

    /// Reads a required value from the top of the file.
    pub(super) fn get_required<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, SettingProblem>,
    ) -> Option<T> {
        if !self.has_key("", key) {
            self.add_problem(BatchFileProblem {
                message: format!("`{key}` is missing"),
                help: Some(format!("add the path of the {key}: `{key} = \"…\"`")),
                span: None,
            });
        }
        self.get("", key, read)
    }

    /// Returns whether `section` is a table.
    pub(super) fn has_table(&self, section: &str) -> bool {
        let value = self.root.get(section).map(Spanned::get_ref);
        matches!(value, Some(DeValue::Table(_)))
    }

    /// Reads a required value from `section`, which exists.
    pub(super) fn get_required_in<T>(
        &mut self,
        section: &str,
        key: &str,
        example: &str,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, SettingProblem>,
    ) -> Option<T> {
        if !self.has_key(section, key) {
            self.add_problem(BatchFileProblem {
                message: format!("`{section}` has no `{key}`"),
                help: Some(format!("write it like `{key} = \"{example}\"`")),
                span: self.section_span(section),
            });
        }
        self.get(section, key, read)
    }

    /// Returns where `section` begins; `None` without it.
    pub(super) fn section_span(&self, section: &str) -> Option<Range<usize>> {
        self.root.get(section).map(Spanned::span)
    }

    /// Reads a table of texts from the top of the file.
    pub(super) fn get_string_map(
        &mut self,
        key: &str,
        read: fn(&DeValue<'_>) -> Result<String, SettingProblem>,
    ) -> BTreeMap<String, String> {
        let table = self.find_value("", key);
        let Some(DeValue::Table(table)) = table.map(Spanned::get_ref) else {
            self.get("", key, |_| -> Result<(), _> {
                Err(SettingProblem::new("must be a table of names and texts")
                    .with_help(format!("write it like `{key} = {{ script = \"…\" }}`")))
            });
            return BTreeMap::new();
        };
        table
            .iter()
            .filter_map(|(name, value)| {
                let text =
                    self.read_or_record(&format!("{key}.{}", name.get_ref()), value, read)?;
                Some((name.get_ref().as_ref().to_owned(), text))
            })
            .collect()
    }

    /// Records a problem with the value of `key`.
    pub(super) fn reject_value(&mut self, section: &str, key: &str, problem: SettingProblem) {
        let span = self.find_value(section, key).map(Spanned::span);
        self.record_problem(key, span, problem);
    }

    /// Records all unknown keys and all secrets.
    pub(super) fn check_keys(&mut self) {
        self.check_table_keys("", self.root);
        let sections = keys::SECTIONS.iter().map(|(section, _)| *section);
        for section in sections.filter(|section| !section.is_empty()) {
            let Some(value) = self.root.get(section) else { continue };
            match value.get_ref() {
                DeValue::Table(table) => self.check_table_keys(section, table),
                _ => self.record_problem(
                    section,
                    Some(value.span()),
                    SettingProblem::new("must be a table").with_help(format!(
                        "write `[{section}]` on a line of its own, and its settings below it"
                    )),
                ),
            }
        }
    }

    fn check_table_keys(&mut self, section: &str, table: &'t DeTable<'t>) {
        for (key, value) in table {
            let (name, span) = (key.get_ref().as_ref(), key.span());
            if let Some(variable) = redact::env_var_for_key(name) {
                self.secret_spans.push(value.span());
                self.add_problem(BatchFileProblem {
                    message: format!("`{name}` does not belong in a batch file, which is shared"),
                    help: Some(format!(
                        "delete it, and set the environment variable `{variable}` or use a \
                         credentials file"
                    )),
                    span: Some(span),
                });
            } else if !keys::section_keys(section).contains(&name) {
                let help = unknown_key_help(section, name);
                let message = format!("unknown setting `{name}`{}", in_section(section));
                self.add_problem(BatchFileProblem { message, help, span: Some(span) });
            }
        }
    }

    fn find_value(&self, section: &str, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        debug_assert!(
            keys::section_keys(section).contains(&key),
            "`{key}` is not listed in `keys`"
        );
        if section.is_empty() {
            return self.root.get(key);
        }
        match self.root.get(section)?.get_ref() {
            DeValue::Table(table) => table.get(key),
            // Recorded by `check_keys`.
            _ => None,
        }
    }

    fn read_or_record<T>(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'t>>,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, SettingProblem>,
    ) -> Option<T> {
        match read(value.get_ref()) {
            Ok(setting) => Some(setting),
            Err(problem) => {
                self.record_problem(name, Some(value.span()), problem);
                None
            }
        }
    }

    fn record_problem(&mut self, name: &str, span: Option<Range<usize>>, problem: SettingProblem) {
        if problem.is_confidential {
            self.secret_spans.extend(span.clone());
        }
        let message = format!("`{name}` {}", problem.predicate);
        self.add_problem(BatchFileProblem { message, help: problem.help, span });
    }
}

fn in_section(section: &str) -> String {
    if section.is_empty() { String::new() } else { format!(" in `[{section}]`") }
}

fn unknown_key_help(section: &str, name: &str) -> Option<String> {
    match keys::other_section_with(section, name) {
        // A common mistake in TOML: all lines after a `[table]` line belong to that table.
        Some("") => Some(format!("`{name}` belongs at the top of the file, above the first `[…]`")),
        Some(other) => Some(format!("`{name}` belongs under `[{other}]`")),
        None => nearest_name(name, keys::section_keys(section).iter().copied())
            .map(|near| format!("did you mean `{near}`?")),
    }
}

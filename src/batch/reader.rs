//! Walks the TOML tree and collects complaints.
//!
//! Every value is asked for by section and key; a wrong one is noted with its bytes and read as if
//! it were not there, so that one look finds every problem. What a value means is for its caller.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;
use super::problem::BatchFileProblem;
use super::redact;
use crate::text::nearest_name;

/// What is wrong with a value; reads on after the key's name.
#[derive(Debug)]
pub(super) struct SettingProblem {
    pub(super) predicate: String,
    pub(super) help: Option<String>,
    /// The value itself must not be shown.
    pub(super) is_confidential: bool,
}

impl SettingProblem {
    pub(super) fn new(predicate: impl Into<String>) -> Self {
        Self { predicate: predicate.into(), help: None, is_confidential: false }
    }

    pub(super) fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(super) fn as_confidential(self) -> Self {
        Self { is_confidential: true, ..self }
    }
}

/// The tree, and what has been found wrong with it so far.
pub(super) struct SettingsReader<'t> {
    root: &'t DeTable<'t>,
    problems: Vec<BatchFileProblem>,
    secret_spans: Vec<Range<usize>>,
}

impl<'t> SettingsReader<'t> {
    pub(super) fn new(root: &'t DeTable<'t>) -> Self {
        Self { root, problems: Vec::new(), secret_spans: Vec::new() }
    }

    /// Returns the problems, and the bytes of the source that nobody may see.
    pub(super) fn finish(self) -> (Vec<BatchFileProblem>, Vec<Range<usize>>) {
        (self.problems, self.secret_spans)
    }

    pub(super) fn add_problem(&mut self, problem: BatchFileProblem) {
        self.problems.push(problem);
    }

    /// Tells whether `key` is given, whatever its value.
    pub(super) fn has_key(&self, section: &str, key: &str) -> bool {
        self.find_value(section, key).is_some()
    }

    /// Reads one value. `None` if it is not there, or if it is wrong, which is then noted.
    pub(super) fn get<T>(
        &mut self,
        section: &str,
        key: &str,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, SettingProblem>,
    ) -> Option<T> {
        let value = self.find_value(section, key)?;
        self.read_or_note(key, value, read)
    }

    /// Reads a value of the top table that a batch cannot do without.
    pub(super) fn get_required<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, SettingProblem>,
    ) -> Option<T> {
        if !self.has_key("", key) {
            self.add_problem(BatchFileProblem {
                message: format!("`{key}` is missing"),
                help: Some(format!("say which {key} this batch is made from: `{key} = \"…\"`")),
                span: None,
            });
        }
        self.get("", key, read)
    }

    /// Tells whether `section` is there, and a table.
    pub(super) fn has_table(&self, section: &str) -> bool {
        let found = self.root.get(section).map(Spanned::get_ref);
        matches!(found, Some(DeValue::Table(_)))
    }

    /// Reads a value that its section cannot do without.
    pub(super) fn get_required_in<T>(
        &mut self,
        (section, key): (&str, &str),
        example: &str,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, SettingProblem>,
    ) -> Option<T> {
        if !self.has_key(section, key) {
            self.add_problem(BatchFileProblem {
                message: format!("`{section}` has no `{key}`"),
                help: Some(format!("write it like `{key} = \"{example}\"`")),
                span: self.root.get(section).map(Spanned::span),
            });
        }
        self.get(section, key, read)
    }

    /// Reads a table of names and texts from the top table.
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
                let text = self.read_or_note(&format!("{key}.{}", name.get_ref()), value, read)?;
                Some((name.get_ref().as_ref().to_owned(), text))
            })
            .collect()
    }

    /// Notes a complaint about the value of `key`.
    pub(super) fn reject_value(&mut self, section: &str, key: &str, complaint: SettingProblem) {
        let span = self.find_value(section, key).map(Spanned::span);
        self.note_problem(key, span, complaint);
    }

    /// Notes every key that nobody will ask for, and every secret.
    pub(super) fn check_keys(&mut self) {
        self.check_table_keys("", self.root);
        for section in ["studio", "limits", "notify", "window", "vendor", "measured", "webhook"] {
            let Some(value) = self.root.get(section) else { continue };
            match value.get_ref() {
                DeValue::Table(table) => self.check_table_keys(section, table),
                _ => self.note_problem(
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
                let message = format!("there is no setting `{name}`{}", in_section(section));
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
            // Complained of by `check_keys`.
            _ => None,
        }
    }

    fn read_or_note<T>(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'t>>,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, SettingProblem>,
    ) -> Option<T> {
        match read(value.get_ref()) {
            Ok(meaning) => Some(meaning),
            Err(complaint) => {
                self.note_problem(name, Some(value.span()), complaint);
                None
            }
        }
    }

    fn note_problem(&mut self, name: &str, span: Option<Range<usize>>, complaint: SettingProblem) {
        if complaint.is_confidential {
            self.secret_spans.extend(span.clone());
        }
        let message = format!("`{name}` {}", complaint.predicate);
        self.add_problem(BatchFileProblem { message, help: complaint.help, span });
    }
}

fn in_section(section: &str) -> String {
    if section.is_empty() { String::new() } else { format!(" in `[{section}]`") }
}

fn unknown_key_help(section: &str, name: &str) -> Option<String> {
    match keys::other_section_with(section, name) {
        // TOML's best known trap: what follows a `[table]` line belongs to that table.
        Some("") => Some(format!("`{name}` belongs at the top of the file, above the first `[…]`")),
        Some(other) => Some(format!("`{name}` belongs under `[{other}]`")),
        None => nearest_name(name, keys::section_keys(section).iter().copied())
            .map(|near| format!("did you mean `{near}`?")),
    }
}

//! Walks the TOML tree and collects complaints.
//!
//! Every value is asked for by section and key; a wrong one is noted with its bytes and read as if
//! it were not there, so that one look finds every problem. What a value means is for its caller.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;
use super::problem::Problem;
use super::secrets;

/// What is wrong with a value; reads on after the key's name.
#[derive(Debug)]
pub(super) struct Complaint {
    pub(super) predicate: String,
    pub(super) help: Option<String>,
    /// The value itself must not be shown.
    pub(super) confidential: bool,
}

impl Complaint {
    pub(super) fn new(predicate: impl Into<String>) -> Self {
        Self { predicate: predicate.into(), help: None, confidential: false }
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(super) fn confidential(self) -> Self {
        Self { confidential: true, ..self }
    }
}

/// The tree, and what has been found wrong with it so far.
pub(super) struct Reader<'t> {
    root: &'t DeTable<'t>,
    problems: Vec<Problem>,
    confidential: Vec<Range<usize>>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(root: &'t DeTable<'t>) -> Self {
        Self { root, problems: Vec::new(), confidential: Vec::new() }
    }

    /// Returns the problems, and the bytes of the source that nobody may see.
    pub(super) fn finish(self) -> (Vec<Problem>, Vec<Range<usize>>) {
        (self.problems, self.confidential)
    }

    pub(super) fn complain(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Tells whether `key` is given, whatever its value.
    pub(super) fn has(&self, section: &str, key: &str) -> bool {
        self.find(section, key).is_some()
    }

    /// Reads one value. `None` if it is not there, or if it is wrong, which is then noted.
    pub(super) fn get<T>(
        &mut self,
        section: &str,
        key: &str,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let value = self.find(section, key)?;
        self.noted(key, value, read)
    }

    /// Reads a value of the top table that a batch cannot do without.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, Complaint>,
    ) -> Option<T> {
        if !self.has("", key) {
            self.complain(Problem {
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
    pub(super) fn required_in<T>(
        &mut self,
        (section, key): (&str, &str),
        example: &str,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, Complaint>,
    ) -> Option<T> {
        if !self.has(section, key) {
            self.complain(Problem {
                message: format!("`{section}` has no `{key}`"),
                help: Some(format!("write it like `{key} = \"{example}\"`")),
                span: self.root.get(section).map(Spanned::span),
            });
        }
        self.get(section, key, read)
    }

    /// Reads a table of names and texts from the top table.
    pub(super) fn pairs(
        &mut self,
        key: &str,
        read: fn(&DeValue<'_>) -> Result<String, Complaint>,
    ) -> BTreeMap<String, String> {
        let table = self.find("", key);
        let Some(DeValue::Table(table)) = table.map(Spanned::get_ref) else {
            self.get("", key, |_| -> Result<(), _> {
                Err(Complaint::new("must be a table of names and texts")
                    .help(format!("write it like `{key} = {{ script = \"…\" }}`")))
            });
            return BTreeMap::new();
        };
        table
            .iter()
            .filter_map(|(name, value)| {
                let text = self.noted(&format!("{key}.{}", name.get_ref()), value, read)?;
                Some((name.get_ref().as_ref().to_owned(), text))
            })
            .collect()
    }

    /// Notes a complaint about the value of `key`.
    pub(super) fn object(&mut self, section: &str, key: &str, complaint: Complaint) {
        let span = self.find(section, key).map(Spanned::span);
        self.note(key, span, complaint);
    }

    /// Notes every key that nobody will ask for, and every secret.
    pub(super) fn check_keys(&mut self) {
        self.check_keys_of("", self.root);
        for section in ["studio", "limits", "notify", "window", "vendor", "measured", "webhook"] {
            let Some(value) = self.root.get(section) else { continue };
            match value.get_ref() {
                DeValue::Table(table) => self.check_keys_of(section, table),
                _ => self.note(
                    section,
                    Some(value.span()),
                    Complaint::new("must be a table").help(format!(
                        "write `[{section}]` on a line of its own, and its settings below it"
                    )),
                ),
            }
        }
    }

    fn check_keys_of(&mut self, section: &str, table: &'t DeTable<'t>) {
        for (key, value) in table {
            let (name, span) = (key.get_ref().as_ref(), key.span());
            if let Some(variable) = secrets::variable_for(name) {
                self.confidential.push(value.span());
                self.complain(Problem {
                    message: format!("`{name}` does not belong in a batch file, which is shared"),
                    help: Some(format!(
                        "delete it, and set the environment variable `{variable}` or use a \
                         credentials file"
                    )),
                    span: Some(span),
                });
            } else if !keys::of(section).contains(&name) {
                let help = help_for_unknown(section, name);
                let message = format!("there is no setting `{name}`{}", within(section));
                self.complain(Problem { message, help, span: Some(span) });
            }
        }
    }

    fn find(&self, section: &str, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        debug_assert!(keys::of(section).contains(&key), "`{key}` is not listed in `keys`");
        if section.is_empty() {
            return self.root.get(key);
        }
        match self.root.get(section)?.get_ref() {
            DeValue::Table(table) => table.get(key),
            // Complained of by `check_keys`.
            _ => None,
        }
    }

    fn noted<T>(
        &mut self,
        name: &str,
        value: &Spanned<DeValue<'t>>,
        read: impl FnOnce(&DeValue<'t>) -> Result<T, Complaint>,
    ) -> Option<T> {
        match read(value.get_ref()) {
            Ok(meaning) => Some(meaning),
            Err(complaint) => {
                self.note(name, Some(value.span()), complaint);
                None
            }
        }
    }

    fn note(&mut self, name: &str, span: Option<Range<usize>>, complaint: Complaint) {
        if complaint.confidential {
            self.confidential.extend(span.clone());
        }
        let message = format!("`{name}` {}", complaint.predicate);
        self.complain(Problem { message, help: complaint.help, span });
    }
}

fn within(section: &str) -> String {
    if section.is_empty() { String::new() } else { format!(" in `[{section}]`") }
}

fn help_for_unknown(section: &str, name: &str) -> Option<String> {
    match keys::elsewhere(section, name) {
        // TOML's best known trap: what follows a `[table]` line belongs to that table.
        Some("") => Some(format!("`{name}` belongs at the top of the file, above the first `[…]`")),
        Some(other) => Some(format!("`{name}` belongs under `[{other}]`")),
        None => keys::nearest(name, keys::of(section).iter().copied())
            .map(|near| format!("did you mean `{near}`?")),
    }
}

//! The settings of a new batch, and the text of its batch file, with a comment for each guess.
//!
//! Invariant: the text parses, whatever the headings are.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::batch::{BatchName, SkipSetting, Variant};

/// The settings that a sheet and a template determine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchDraft {
    /// The worksheet, if it is not the only one.
    pub worksheet: Option<String>,
    /// The row of the headings, if it is not the first one.
    pub header_row: Option<u64>,
    /// The columns that identify a row.
    pub key: Vec<String>,
    /// Headings by template name, where they differ.
    pub columns: BTreeMap<String, String>,
    /// Headings by template name, where they match and need no setting.
    pub matching_columns: BTreeMap<String, String>,
    /// Texts that are the same in all rows.
    pub defaults: BTreeMap<String, String>,
    /// The rows to skip.
    pub skip: Option<SkipSetting>,
    /// One variant per language.
    pub variants: Vec<Variant>,
    /// The pattern of the videos' names.
    pub video_file: String,
    /// Columns that nothing uses.
    pub unused_columns: Vec<String>,
}

/// Where the batch and its files are.
#[derive(Clone, Copy, Debug)]
pub struct DraftPlaces<'a> {
    /// The name of the batch.
    pub name: &'a BatchName,
    /// The batch file, for the commands in its comments.
    pub batch_file: &'a str,
    /// The sheet, relative to the batch file.
    pub sheet: &'a str,
    /// The template, relative to the batch file.
    pub template: &'a str,
}

impl BatchDraft {
    /// Returns the text of the batch file.
    pub fn to_text(&self, places: &DraftPlaces<'_>) -> String {
        let DraftPlaces { name, batch_file, sheet, template } = places;
        let mut text = format!(
            "# callsheet plan {batch_file}     checks the rows; spends nothing\n\
             # callsheet run {batch_file} --sandbox     rehearses; spends nothing\n\
             # callsheet run {batch_file} --limit 3     renders three videos\n\n\
             name = {}\n\
             # paths are relative to this file\n\
             sheet = {}\n",
            toml_string(name.as_str()),
            toml_string(sheet),
        );
        self.write_rows(&mut text);
        let _ = writeln!(text, "template = {}", toml_string(template));
        self.write_columns(&mut text);
        self.write_variants(&mut text);
        text.push_str("\n[studio]\n# or \"china\"\nregion = \"global\"\nresolution = \"1080\"\n");
        text
    }

    /// Writes which rows are read.
    fn write_rows(&self, text: &mut String) {
        if let Some(worksheet) = &self.worksheet {
            let _ = writeln!(text, "worksheet = {}", toml_string(worksheet));
        }
        if let Some(row) = self.header_row {
            let _ = writeln!(
                text,
                "# the row of the headings; rows above it are ignored\nheader_row = {row}"
            );
        }
        let Some(skip) = &self.skip else { return };
        text.push_str("# rows to skip\n");
        let column = toml_string(&skip.column);
        let _ = match &skip.values[..] {
            [] => writeln!(text, "skip = {column}"),
            values => {
                writeln!(text, "skip = {{ column = {column}, values = {} }}", toml_list(values))
            }
        };
    }

    /// Writes what identifies a row, and where its texts are.
    fn write_columns(&self, text: &mut String) {
        if !self.key.is_empty() {
            let key = match &self.key[..] {
                [one] => toml_string(one),
                several => toml_list(several),
            };
            let _ = writeln!(text, "# identifies a row; must be unique\nkey = {key}");
        }
        if !self.columns.is_empty() {
            let columns = toml_table(&self.columns);
            let _ = writeln!(
                text,
                "# name in the template = heading of the column in the sheet\ncolumns = {columns}"
            );
        }
        if !self.matching_columns.is_empty() {
            let matching = self.matching_columns.iter();
            let matching: Vec<String> = matching
                .map(|(name, heading)| comment_text(&format!("{name} = {heading}")))
                .collect();
            let _ = writeln!(text, "# used as well, without a setting: {}", matching.join(", "));
        }
        if !self.defaults.is_empty() {
            let defaults = toml_table(&self.defaults);
            let _ = writeln!(
                text,
                "# the same in all rows, unless the sheet has a column\ndefaults = {defaults}"
            );
        }
        if !self.video_file.is_empty() {
            let file = toml_string(&self.video_file);
            let _ = writeln!(text, "# the name of each video\nfile = {file}");
        }
        if !self.unused_columns.is_empty() {
            let unused: Vec<String> =
                self.unused_columns.iter().map(|heading| comment_text(heading)).collect();
            let _ = writeln!(text, "# not used: {}", unused.join(", "));
        }
    }

    fn write_variants(&self, text: &mut String) {
        for (number, variant) in self.variants.iter().enumerate() {
            text.push_str(if number == 0 {
                "\n# one video per row and language; `values` may also choose its avatar:\n\
                 # values = { language = \"…\", model = \"…\", cloth = \"…\" }\n[[variants]]\n"
            } else {
                "\n[[variants]]\n"
            });
            let _ = writeln!(text, "name = {}", toml_string(&variant.name));
            let _ = writeln!(text, "columns = {}", toml_table(&variant.columns));
            if !variant.values.is_empty() {
                let _ = writeln!(text, "values = {}", toml_table(&variant.values));
            }
            if let Some(needed) = variant.needs.first() {
                if number == 0 {
                    text.push_str("# a row without this text has no video in this language\n");
                }
                let _ = writeln!(text, "needs = {}", toml_string(needed));
            }
        }
    }
}

/// Returns a text as a comment can contain it.
fn comment_text(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

fn toml_list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| toml_string(text)).collect();
    format!("[{}]", texts.join(", "))
}

fn toml_table(pairs: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, text)| format!("{} = {}", toml_key(key), toml_string(text)))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

fn toml_key(key: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if !key.is_empty() && key.bytes().all(is_bare) { key.to_owned() } else { toml_string(key) }
}

/// Returns `text` as a TOML string.
pub(crate) fn toml_string(text: &str) -> String {
    // JSON escapes all that TOML requires, except the delete character.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

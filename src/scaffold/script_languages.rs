//! The languages of a sheet with a column for each: one variant per language.
//!
//! Columns belong together if their headings differ in nothing but the language.

use std::collections::BTreeMap;

use super::column_role::{ColumnRole, role_of_words};
use super::default_language::LANGUAGE_NAME;
use super::heading_words::HeadingWords;
use super::sheet_columns::{ColumnProfile, SheetColumns};
use crate::batch::Variant;

/// Columns of one text in several languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ScriptLanguages {
    /// Language and heading, in the order of the sheet.
    columns: Vec<(String, String)>,
}

/// Finds the columns of the script in several languages; `name` is its name in the template.
pub(super) fn find_script_languages(sheet: &SheetColumns, name: &str) -> Option<ScriptLanguages> {
    let groups = language_groups(sheet);
    let is_script = |rest: &HeadingWords, columns: &[&ColumnProfile]| {
        let is_named = rest.joined() == HeadingWords::parse(name).joined();
        let role = role_of_words(rest).map(|found| found.role);
        // A heading that is only a language has the script if its texts are long.
        let is_bare = rest.0.is_empty() && columns.iter().all(|column| column.can_be_script());
        is_named || role == Some(ColumnRole::Script) || is_bare
    };
    let mut found: Vec<_> =
        groups.into_iter().filter(|(rest, columns)| is_script(rest, columns)).collect();
    // The longest texts are spoken.
    found.sort_by_key(|(_, columns)| columns.iter().map(|column| column.chars).sum::<usize>());
    found.pop().map(|(_, columns)| ScriptLanguages { columns: languages(&columns) })
}

/// Returns the columns that differ in nothing but their language, at least two each.
fn language_groups(sheet: &SheetColumns) -> Vec<(HeadingWords, Vec<&ColumnProfile>)> {
    let mut groups: Vec<(HeadingWords, Vec<&ColumnProfile>)> = Vec::new();
    for column in &sheet.columns {
        let Some(language) = &column.language else { continue };
        // `ID` and `No` alone are languages only above texts.
        if language.rest.0.is_empty() && !column.can_be_script() {
            continue;
        }
        match groups.iter_mut().find(|(rest, _)| rest.joined() == language.rest.joined()) {
            Some((_, columns)) => columns.push(column),
            None => groups.push((language.rest.clone(), vec![column])),
        }
    }
    groups.retain(|(_, columns)| {
        let mut codes: Vec<String> = languages(columns).into_iter().map(|(code, _)| code).collect();
        codes.sort_unstable();
        codes.dedup();
        codes.len() >= 2 && codes.len() == columns.len()
    });
    groups
}

fn languages(columns: &[&ColumnProfile]) -> Vec<(String, String)> {
    let language = |column: &&ColumnProfile| {
        let language = column.language.as_ref()?;
        Some((language.language.clone(), column.heading.clone()))
    };
    columns.iter().filter_map(language).collect()
}

impl ScriptLanguages {
    /// Returns a variant per language, with the columns of all names that have one in it.
    pub(super) fn variants(
        &self,
        sheet: &SheetColumns,
        names: &[String],
        script: &str,
    ) -> Vec<Variant> {
        let groups = language_groups(sheet);
        let variant = |(code, heading): &(String, String)| {
            let mut columns = BTreeMap::from([(script.to_owned(), heading.clone())]);
            for name in names.iter().filter(|name| *name != script) {
                if let Some(heading) = translated_column(sheet, &groups, name, code) {
                    columns.insert(name.clone(), heading);
                }
            }
            let has_language = names.iter().any(|name| name == LANGUAGE_NAME);
            let language = has_language.then(|| (LANGUAGE_NAME.to_owned(), code.clone()));
            Variant {
                name: code.clone(),
                columns,
                values: language.into_iter().collect(),
                needs: vec![script.to_owned()],
            }
        };
        self.columns.iter().map(variant).collect()
    }
}

/// Returns the column for a name of the template in one language.
fn translated_column(
    sheet: &SheetColumns,
    groups: &[(HeadingWords, Vec<&ColumnProfile>)],
    name: &str,
    code: &str,
) -> Option<String> {
    if sheet.find(name).is_some() {
        return None;
    }
    let words = HeadingWords::parse(name);
    let role = role_of_words(&words).map(|found| found.role);
    let is_meant = |rest: &HeadingWords| {
        let same_role = role_of_words(rest).is_some_and(|found| Some(found.role) == role);
        rest.joined() == words.joined() || same_role
    };
    let (_, columns) =
        groups.iter().filter(|(rest, _)| !rest.0.is_empty()).find(|(rest, _)| is_meant(rest))?;
    languages(columns).into_iter().find(|(one, _)| one == code).map(|(_, heading)| heading)
}

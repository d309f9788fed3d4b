//! The heading row: the names of the columns, and the columns that the batch needs.
//!
//! Headings are trimmed. An exact heading wins over the only equivalent one. All problems are
//! reported at once.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use super::SheetSpec;
use super::cells::{RowCells, RowShape};
use super::csv_conversion::RowOrigin;
use super::find::{
    ColumnMatch, ambiguous_column_message, match_column, missing_column_help, numbered_columns,
};
use super::heading_match;
use super::key::KeySource;
use super::problem::{SheetColumn, SheetProblem, shorten_for_message};
use super::records::CsvRecord;
use super::results_columns;
use super::skip::SkipRule;
use crate::text::{nearest_name, trim_invisible, unescape_formula};

/// The heading row, resolved for a batch.
pub(super) struct HeadingRow {
    /// Its number.
    pub(super) row: u64,
    pub(super) headings: Vec<String>,
    pub(super) template_names: Vec<String>,
    /// Further names that `columns` gives to a column.
    pub(super) shared_names: BTreeMap<String, usize>,
    /// The wanted lists that the sheet has, with their columns.
    pub(super) lists: BTreeMap<String, Vec<usize>>,
    /// `None` if one of its columns is missing, which is then among the problems.
    pub(super) key_source: Option<KeySource>,
    pub(super) group_by: Option<usize>,
    pub(super) skip_rule: Option<SkipRule>,
    /// The number of report columns after those of the sheet.
    pub(super) report_columns: usize,
}

impl HeadingRow {
    /// Decodes the heading row and resolves the columns of the batch. Problems of readable headings
    /// are returned beside them.
    ///
    /// # Errors
    /// The heading row cannot be read.
    pub(super) fn read(
        record: &CsvRecord,
        origin: RowOrigin,
        want: &SheetSpec<'_>,
    ) -> Result<(Self, Vec<SheetProblem>), Vec<SheetProblem>> {
        let mut headings = decode_headings(record, origin).map_err(|problem| vec![problem])?;
        let report = results_columns::count_report_columns(&headings);
        headings.truncate(headings.len() - report);
        let mut check = HeadingCheck {
            row: record.position.row,
            headings: &headings,
            is_text: origin != RowOrigin::Workbook,
            shared_names: BTreeMap::new(),
            problems: Vec::new(),
        };
        check.note_missing_headings();
        check.note_duplicate_headings();
        let mut names = check.template_names(want);
        check.apply_template_names(&mut names, want);
        let lists = numbered_lists(&names, &headings, want);
        for name in want.required.iter().filter(|name| !lists.contains_key(*name)) {
            check.find_or_note(&names, want, name, RequiredBy::Template);
        }
        // All key columns are resolved, so that every missing one is reported.
        let key: Vec<Option<usize>> = want
            .key
            .iter()
            .map(|name| check.find_or_note(&names, want, name, RequiredBy::Setting("key")))
            .collect();
        let key: Option<Vec<usize>> = key.into_iter().collect();
        let group_by = want.group_by.and_then(|name| {
            check.find_or_note(&names, want, name, RequiredBy::Setting("group_by"))
        });
        let skip = want.skip.and_then(|skip| {
            let column =
                check.find_or_note(&names, want, skip.column, RequiredBy::Setting("skip"))?;
            let default = skip.defaults.get(&names[column]).map_or("", String::as_str);
            Some(SkipRule::new(column, skip.values).with_default(default))
        });
        let (shared_names, problems) = (check.shared_names, check.problems);
        let key_source = key.map(|key| match group_by {
            _ if !key.is_empty() => KeySource::Columns(key),
            Some(column) => KeySource::Columns(vec![column]),
            None => KeySource::Content,
        });
        Ok((
            Self {
                row: record.position.row,
                headings,
                template_names: names,
                shared_names,
                lists,
                key_source,
                group_by,
                skip_rule: skip,
                report_columns: report,
            },
            problems,
        ))
    }
}

/// Returns the wanted lists that have numbered columns but no column with their own name.
fn numbered_lists(
    names: &[String],
    headings: &[String],
    want: &SheetSpec<'_>,
) -> BTreeMap<String, Vec<usize>> {
    let missing = want.lists.iter().filter(|name| !names.contains(name));
    let found = missing.map(|name| (name.clone(), numbered_columns(name, headings)));
    found.filter(|(_, columns)| !columns.is_empty()).collect()
}

fn decode_headings(record: &CsvRecord, origin: RowOrigin) -> Result<Vec<String>, SheetProblem> {
    let row = record.position.row;
    if let Some(damage) = record.damage {
        return Err(RowShape::without_headings(origin).damage_problem(row, damage));
    }
    let cells = RowCells::decode(record).map_err(|column| {
        origin.undecodable_cell_problem(record, column).with_column(column, &[])
    })?;
    // UTF-16 without a byte order mark: every other byte of ASCII text is zero.
    if let Some(column) = cells.iter().position(|cell| cell.contains('\0')) {
        return Err(origin.undecodable_cell_problem(record, column).with_column(column, &[]));
    }
    // A starter sheet and a report guard headings that would be formulas.
    let text = |cell: Cow<'_, str>| trim_invisible(&unescape_formula(&cell)).to_owned();
    Ok(cells.iter().map(text).collect())
}

/// The reason why a column is required.
#[derive(Clone, Copy)]
enum RequiredBy {
    Template,
    Setting(&'static str),
}

/// Checks the headings and collects their problems.
struct HeadingCheck<'h> {
    row: u64,
    headings: &'h [String],
    is_text: bool,
    shared_names: BTreeMap<String, usize>,
    problems: Vec<SheetProblem>,
}

impl HeadingCheck<'_> {
    /// Notes columns without a heading; adjacent ones together, since there may be hundreds.
    fn note_missing_headings(&mut self) {
        let mut column = 0;
        for run in self.headings.chunk_by(|a, b| a.is_empty() == b.is_empty()) {
            if run[0].is_empty() {
                let message = match run.len() {
                    1 => "this column has no heading".to_owned(),
                    many => format!("from here on, {many} columns have no heading"),
                };
                let help = "give each a heading, or delete the column in the spreadsheet";
                self.note(column, message, help);
            }
            column += run.len();
        }
    }

    fn note_duplicate_headings(&mut self) {
        let mut first = HashMap::new();
        for (column, heading) in self.headings.iter().enumerate() {
            if heading.is_empty() {
                continue;
            }
            if let Some(before) = first.insert(heading, column) {
                first.insert(heading, before);
                let letter = SheetColumn { index: before, heading: None }.letter();
                let message = format!("column {letter} has this heading too");
                self.note(column, message, "rename one of the two, or delete it");
            }
        }
    }

    /// Returns the template name of each column.
    fn template_names(&mut self, want: &SheetSpec<'_>) -> Vec<String> {
        let mut names = self.headings.to_vec();
        let mut given: HashMap<usize, &str> = HashMap::new();
        for (name, heading) in want.columns {
            let exact = self.headings.iter().position(|known| known == trim_invisible(heading));
            let like = heading_match::matching_headings(heading, self.headings);
            let Some(column) = exact.or_else(|| single_column(&like)) else {
                if like.len() > 1 {
                    self.note_ambiguous_column(
                        heading,
                        &like,
                        "write it in `columns` as it is here",
                    );
                    continue;
                }
                let message = format!(
                    "there is no column `{}`, which the batch file names for `{name}`",
                    shorten_for_message(heading)
                );
                let help = missing_column_help(self.headings, self.is_text, heading, None);
                self.problems.push(SheetProblem::for_row(self.row, message, help));
                continue;
            };
            match given.entry(column) {
                Entry::Occupied(_) => drop(self.shared_names.insert(name.clone(), column)),
                Entry::Vacant(entry) => {
                    entry.insert(name);
                    names[column].clone_from(name);
                }
            }
        }
        for name in want.columns.keys() {
            let shared = self.shared_names.get(name).copied();
            let called: Vec<usize> =
                (0..names.len()).filter(|i| names[*i] == *name).chain(shared).collect();
            if let [first, second, ..] = called[..] {
                let is_given = given.contains_key(&first) && shared.is_none();
                let plain = if is_given { second } else { first };
                let message =
                    format!("`columns` gives the name `{name}` to another column as well");
                self.note(plain, message, "rename this column, or change `columns`");
            }
        }
        names
    }

    /// Gives unassigned columns with an equivalent spelling the names that the template uses.
    fn apply_template_names(&mut self, names: &mut [String], want: &SheetSpec<'_>) {
        let wanted = || want.required.iter().chain(want.optional);
        for name in wanted() {
            if want.columns.contains_key(name) || names.contains(name) {
                continue;
            }
            // A column is free if it has no other name and is not required by its own.
            let is_free = |column: &usize| {
                names[*column] == self.headings[*column]
                    && !wanted().any(|other| *other == names[*column])
            };
            let mut like = heading_match::matching_headings(name, self.headings);
            like.retain(is_free);
            match like[..] {
                [] => {}
                [column] => names[column].clone_from(name),
                _ => self.note_ambiguous_column(name, &like, "rename all but one of them"),
            }
        }
    }

    /// Notes that several columns match.
    fn note_ambiguous_column(&mut self, wanted: &str, like: &[usize], way_out: &str) {
        let message = ambiguous_column_message(wanted, like, self.headings);
        if self.problems.iter().all(|problem| problem.message != message) {
            self.problems.push(SheetProblem::for_row(self.row, message, way_out));
        }
    }

    /// Finds a column by its template name or its heading, or notes that it is missing.
    fn find_or_note(
        &mut self,
        names: &[String],
        want: &SheetSpec<'_>,
        name: &str,
        required_by: RequiredBy,
    ) -> Option<usize> {
        if let Some(column) = self.shared_names.get(name) {
            return Some(*column);
        }
        let like = match match_column(name, names, self.headings) {
            ColumnMatch::Exact(column) => return Some(column),
            ColumnMatch::Similar(columns) => columns,
        };
        match (required_by, &like[..]) {
            (RequiredBy::Setting(_), [column]) => return Some(*column),
            (RequiredBy::Setting(_), [_, _, ..]) => {
                self.note_ambiguous_column(name, &like, "write it in the batch file as it is here");
                return None;
            }
            // Template names were already assigned, or reported as ambiguous.
            (RequiredBy::Template, [_, _, ..]) => return None,
            (RequiredBy::Setting(_), []) | (RequiredBy::Template, [] | [_]) => {}
        }
        let message = format!("there is no column `{}`", shorten_for_message(name));
        let is_reported = self.problems.iter().any(|problem| problem.message.starts_with(&message));
        // A missing heading from `columns` has already been reported.
        if !is_reported && !want.columns.contains_key(name) {
            let (why, way_out) = match required_by {
                RequiredBy::Template => (
                    format!("which the template needs: `{{{{{}}}}}`", shorten_for_message(name)),
                    if want.lists.iter().any(|list| list == name) {
                        format!("call them `{name}_1`, `{name}_2` …")
                    } else {
                        format!("rename it, or set `columns = {{ {name} = \"…\" }}`")
                    },
                ),
                RequiredBy::Setting(setting) => {
                    (format!("which `{setting}` names"), format!("change `{setting}`"))
                }
            };
            // A name that `columns` gives is no heading.
            let given = want.columns.keys().map(String::as_str);
            let help = match (required_by, nearest_name(name, given)) {
                (RequiredBy::Template, Some(near)) => {
                    format!("did you mean `{{{{{near}}}}}`? Correct it in the template")
                }
                (RequiredBy::Template | RequiredBy::Setting(_), _) => {
                    missing_column_help(self.headings, self.is_text, name, Some(&way_out))
                }
            };
            self.problems.push(SheetProblem::for_row(self.row, format!("{message}, {why}"), help));
        }
        None
    }

    fn note(&mut self, column: usize, message: impl Into<String>, help: &str) {
        let problem = SheetProblem::for_row(self.row, message, help);
        self.problems.push(problem.with_column(column, self.headings));
    }
}

fn single_column(columns: &[usize]) -> Option<usize> {
    match columns {
        [column] => Some(*column),
        _ => None,
    }
}

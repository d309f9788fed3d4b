//! Rows of another file that replace rows of the sheet in one plan: a fixed `failures.csv`.
//!
//! The other rows of the sheet stay as they are. Invariant: a row is replaced only if exactly one row
//! of the sheet has its key, so that a typing error in a key neither adds a video nor changes
//! another one. A row that is hidden in the sheet stays left out: a CSV file cannot say that it is. The
//! `skip` column is part of both files, and that of the replacing row decides.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::PlanError;
use super::row_merger::row_key;
use super::skip_reason::SkipReasons;
use crate::sheet::{
    ReportColumns, Sheet, SheetEntry, SheetProblem, SheetProblems, SheetRow, SkipMark,
};

/// Skipped rows of the file that are named in a message.
const SKIPPED_NAMED_MAX: usize = 3;

/// The replacing rows.
#[derive(Debug)]
pub(super) struct RowReplacements {
    /// By the key in the sheet.
    entries: HashMap<String, SheetEntry>,
    /// The keys of the file; a line of a report names one variant.
    pub(super) keys: Vec<String>,
}

impl RowReplacements {
    /// Reads the rows of `with`, the file at `path`, which replace rows of `sheet`.
    ///
    /// # Errors
    /// All problems of the file.
    pub(super) fn read(path: &Path, with: &Sheet, sheet: &Sheet) -> Result<Self, PlanError> {
        let mut reader = ReplacementReader::default();
        if with.report_columns() == ReportColumns::Some {
            let help = "keep all columns of `failures.csv` in their order, or only the sheet's own";
            reader.add_problem(None, "some columns of the report are missing".to_owned(), help);
        }
        if sheet.has_content_keys() {
            let help = "set `key` in the batch file to the column that identifies a row";
            let message = "without `key`, a changed row cannot be found in the sheet".to_owned();
            reader.add_problem(None, message, help);
        }
        let columns = reader.find_columns(with, sheet);
        if reader.problems.is_empty() {
            reader.read_entries(with, &columns);
            reader.check_keys(sheet);
            reader.check_skipped_rows();
        }
        match reader.problems.is_empty() {
            true => Ok(Self { entries: reader.entries, keys: reader.keys }),
            false => {
                let problems = reader.problems;
                Err(PlanError::Sheet(SheetProblems { file: path.to_owned(), problems }))
            }
        }
    }

    /// Returns the entry that takes the place of `entry` of the sheet.
    pub(super) fn replace(
        &self,
        sheet: &Sheet,
        entry: Result<SheetEntry, SheetProblem>,
    ) -> Result<SheetEntry, SheetProblem> {
        let key = entry_keys(sheet, &entry).into_iter().next();
        let Some(other) = key.and_then(|key| self.entries.get(&key)) else { return entry };
        if entry.as_ref().is_ok_and(|entry| entry.skip_mark == Some(SkipMark::HiddenRow)) {
            return entry;
        }
        let numbers: Vec<u64> = match &entry {
            Ok(entry) => entry.rows.iter().map(|row| row.number).collect(),
            Err(problem) => problem.lost_rows.iter().map(|row| row.number).collect(),
        };
        let mut replaced = other.clone();
        for (index, row) in replaced.rows.iter_mut().enumerate() {
            // Rows are counted as in the sheet, where the user finds them.
            row.number = numbers.get(index).or(numbers.first()).copied().unwrap_or(row.number);
        }
        Ok(replaced)
    }
}

/// Returns the keys of the rows of an entry, or of those that have none because of a problem.
fn entry_keys(sheet: &Sheet, entry: &Result<SheetEntry, SheetProblem>) -> BTreeSet<String> {
    match entry {
        Ok(entry) => [entry.key.clone()].into(),
        Err(problem) if problem.can_hide_rows => BTreeSet::new(),
        Err(problem) => {
            problem.lost_rows.iter().filter_map(|row| sheet.lost_row_key(row)).collect()
        }
    }
}

/// Returns a hidden row of a group that is rendered without it, with the key of the group.
fn hidden_group_row(
    sheet: &Sheet,
    entry: &Result<SheetEntry, SheetProblem>,
) -> Option<(String, Vec<String>)> {
    let entry = entry.as_ref().ok()?;
    let is_left_out = entry.key.is_empty() && entry.skip_mark == Some(SkipMark::HiddenRow);
    let row = entry.rows.first().filter(|_| is_left_out)?;
    Some((sheet.lost_row_key(row)?, row.cells.clone()))
}

/// Collects the rows of the file, and its problems.
#[derive(Default)]
struct ReplacementReader {
    entries: HashMap<String, SheetEntry>,
    keys: Vec<String>,
    /// The row of the file in which a key was first found.
    rows: BTreeMap<String, u64>,
    /// Its rows that are skipped, each with the reason.
    skipped: Vec<String>,
    problems: Vec<SheetProblem>,
}

impl ReplacementReader {
    fn add_problem(&mut self, row: Option<u64>, message: String, help: &str) {
        let (help, lost_rows) = (Some(help.to_owned()), Box::default());
        let can_hide_rows = false;
        let problem = SheetProblem { row, column: None, message, help, can_hide_rows, lost_rows };
        self.problems.push(problem);
    }

    /// Returns for each column of the sheet its column in the file.
    fn find_columns(&mut self, with: &Sheet, sheet: &Sheet) -> Vec<usize> {
        let mut columns = Vec::new();
        for heading in sheet.headings() {
            match with.headings().iter().position(|other| other == heading) {
                Some(column) => columns.push(column),
                None => {
                    let help = "keep every column of the sheet; its cells would be lost";
                    self.add_problem(None, format!("the column `{heading}` is missing"), help);
                }
            }
        }
        columns
    }

    fn read_entries(&mut self, with: &Sheet, columns: &[usize]) {
        let reasons = SkipReasons::of_sheet(with);
        for entry in with.entries() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(problem) => {
                    self.problems.push(problem);
                    continue;
                }
            };
            if let Some(mark) = entry.skip_mark {
                self.skipped.extend(entry.rows.iter().map(|row| {
                    let reason = reasons.mark_reason(&row.cells, mark);
                    format!("row {}: {reason}", row.number)
                }));
                continue;
            }
            let key = row_key(&entry.key, entry.variant.as_deref()).to_owned();
            let number = entry.rows.first().map_or(0, |row| row.number);
            self.keys.push(entry.key);
            let in_sheet = |row: SheetRow| {
                let cells = columns.iter().map(|column| row.cells[*column].clone()).collect();
                SheetRow { number: row.number, cells }
            };
            let rows: Vec<SheetRow> = entry.rows.into_iter().map(in_sheet).collect();
            let cells = |rows: &[SheetRow]| -> Vec<Vec<String>> {
                rows.iter().map(|row| row.cells.clone()).collect()
            };
            match self.entries.get(&key) {
                Some(known) if cells(&known.rows) != cells(&rows) => {
                    let first = self.rows.get(&key).copied().unwrap_or_default();
                    let message = format!("the cells differ from those of `{key}` in row {first}");
                    let help = "the lines of one row are for its variants, and need the same cells";
                    self.add_problem(Some(number), message, help);
                }
                Some(_) => {}
                None => {
                    self.rows.insert(key.clone(), number);
                    let entry = SheetEntry {
                        key: key.clone(),
                        variant: None,
                        rows,
                        skip_mark: None,
                        warnings: entry.warnings,
                    };
                    self.entries.insert(key, entry);
                }
            }
        }
    }

    /// Reports a file that leaves nothing to run: it must not look like no file at all.
    fn check_skipped_rows(&mut self) {
        if !self.keys.is_empty() || !self.problems.is_empty() {
            return;
        }
        let named = self.skipped.iter().take(SKIPPED_NAMED_MAX).cloned().collect::<Vec<_>>();
        let others = match self.skipped.len().saturating_sub(SKIPPED_NAMED_MAX) {
            0 => String::new(),
            others => format!("; and {others} more"),
        };
        let message = format!("all rows of this file are skipped ({}{others})", named.join("; "));
        let help = "to run a row, remove what skips it in this file";
        self.add_problem(None, message, help);
    }

    /// Removes the rows that the sheet hides from the groups in which a file without hidden rows has
    /// them.
    fn remove_hidden_rows(&mut self, hidden: &HashMap<String, Vec<Vec<String>>>) {
        for (key, hidden) in hidden {
            let Some(entry) = self.entries.get_mut(key) else { continue };
            entry.rows.retain(|row| !hidden.contains(&row.cells));
            if entry.rows.is_empty() {
                let row = self.rows.get(key).copied();
                let message = format!("all rows of `{key}` in this file are hidden in the sheet");
                self.add_problem(row, message, "show them in the sheet, or remove them here");
            }
        }
    }

    /// Checks that exactly one row of the sheet has each key.
    fn check_keys(&mut self, sheet: &Sheet) {
        let mut counts: HashMap<&String, u32> = self.rows.keys().map(|key| (key, 0)).collect();
        let mut hidden: HashMap<String, Vec<Vec<String>>> = HashMap::new();
        for entry in sheet.entries() {
            if let Some((key, cells)) = hidden_group_row(sheet, &entry) {
                hidden.entry(key).or_default().push(cells);
            }
            for key in entry_keys(sheet, &entry) {
                if let Some(count) = counts.get_mut(&key) {
                    *count += 1;
                }
            }
        }
        let found: Vec<(u64, String, u32)> = self
            .rows
            .iter()
            .map(|(key, row)| (*row, key.clone(), counts.get(key).copied().unwrap_or_default()))
            .filter(|(.., count)| *count != 1)
            .collect();
        self.remove_hidden_rows(&hidden);
        for (row, key, count) in found {
            match count {
                0 => {
                    let help = "keep the key as it is in the sheet; add new rows to the sheet";
                    self.add_problem(Some(row), format!("the sheet has no row `{key}`"), help);
                }
                _ => {
                    let help = "give each row of the sheet a key of its own";
                    let message = format!("{count} rows of the sheet have the key `{key}`");
                    self.add_problem(Some(row), message, help);
                }
            }
        }
    }
}

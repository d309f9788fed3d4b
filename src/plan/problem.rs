//! The findings of a plan, grouped for the user.
//!
//! A mistake in the template affects every row; it is reported once, with the number of rows.
//! Invariant: every problem is counted, even if it is not kept.

use std::fmt;

use crate::ledger::SharedFileName;
use crate::sheet::{SheetColumn, SheetProblem};
use crate::template;

/// A finding, and the rows that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanProblem {
    /// The file to fix.
    pub source: PlanProblemSource,
    /// The first row that has it, as the spreadsheet counts.
    pub row: Option<u64>,
    /// The last row that has it.
    pub last_row: Option<u64>,
    /// The first rows that have it, for a problem of a cell or of a merge.
    pub row_numbers: Vec<u64>,
    /// The number of rows that have it.
    pub rows: u64,
    /// The variants of its rows that have it, if the batch has variants and not all have it.
    pub variants: Vec<String>,
    /// The message, with the position in the file.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
    /// The column of the cell that causes it, if one does.
    pub column: Option<SheetColumn>,
    /// The problem of the merge, which knows its position in the template.
    pub template_problem: Option<Box<template::TemplateProblem>>,
    /// Whether later rows may be missing because of it, so that it cannot be skipped like a row.
    pub can_hide_rows: bool,
}

/// The file in which a problem must be fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanProblemSource {
    /// The sheet: this row.
    Sheet,
    /// The template, or the row merged with it.
    Template,
    /// The sheet: one cell. Rows with the same problem in one column are reported together.
    Cell,
}

impl PlanProblem {
    /// A problem of a merge; `column` is the column of the cell that causes it. `headings` are
    /// those of the sheet.
    pub(super) fn from_template(
        problem: template::TemplateProblem,
        column: Option<usize>,
        headings: &[String],
    ) -> Self {
        let column =
            column.map(|index| SheetColumn { index, heading: headings.get(index).cloned() });
        let message = match &column {
            None => problem.headline(),
            Some(_) => {
                let origin = problem.location.origin().map(|origin| format!(" ({origin})"));
                format!("{}{}", problem.message, origin.unwrap_or_default())
            }
        };
        Self {
            source: PlanProblemSource::Template,
            row: None,
            last_row: None,
            row_numbers: Vec::new(),
            rows: 1,
            variants: Vec::new(),
            help: problem.help.clone(),
            message,
            column,
            template_problem: Some(Box::new(problem)),
            can_hide_rows: false,
        }
    }

    /// A warning about the sheet.
    pub(super) fn from_sheet_warning(warning: SheetProblem) -> Self {
        Self {
            source: PlanProblemSource::Sheet,
            row: warning.row,
            last_row: warning.row,
            row_numbers: warning.row.into_iter().collect(),
            rows: 1,
            variants: Vec::new(),
            message: warning.message,
            help: warning.help,
            column: warning.column,
            template_problem: None,
            can_hide_rows: false,
        }
    }

    /// A problem of one cell, which must be fixed in the sheet.
    pub(super) fn for_cell(row: u64, column: Option<SheetColumn>, finding: CellFinding) -> Self {
        Self {
            source: PlanProblemSource::Cell,
            row: Some(row),
            last_row: Some(row),
            row_numbers: vec![row],
            rows: 1,
            variants: Vec::new(),
            message: finding.message,
            help: Some(finding.help),
            column,
            template_problem: None,
            can_hide_rows: false,
        }
    }

    /// Adds the variant of the row.
    pub(super) fn with_variant(self, variant: &str) -> Self {
        Self { variants: vec![variant.to_owned()], ..self }
    }

    /// Returns " (variant `en`)", or nothing if all variants of its rows have it.
    pub fn describe_variants(&self) -> String {
        match &self.variants[..] {
            [] => String::new(),
            [only] => format!(" (variant `{only}`)"),
            several => format!(" (variants `{}`)", several.join("`, `")),
        }
    }

    /// Returns its rows as text: "row 3 and 2 more", or "rows 3, 4 and 9" for a cell.
    pub fn describe_rows(&self) -> String {
        match (self.source, self.row, self.rows) {
            (PlanProblemSource::Cell, Some(_), 2..) => {
                format!("rows {}", list_rows(&self.row_numbers, self.rows))
            }
            (_, Some(row), 2..) => format!("row {row} and {} more", self.rows - 1),
            (_, Some(row), 0 | 1) => format!("row {row}"),
            (_, None, _) => "the sheet".to_owned(),
        }
    }

    /// Returns the message with the column of a cell, for a report that has the row already.
    pub fn message_in_row(&self) -> String {
        match (self.source, &self.column) {
            (PlanProblemSource::Cell | PlanProblemSource::Template, Some(column)) => {
                format!("{column}: {}", self.message)
            }
            (PlanProblemSource::Sheet, Some(_)) | (_, None) => self.message.clone(),
        }
    }

    /// Adds another row, or another variant of a row, with the same problem.
    fn merge(&mut self, other: Self, variant_count: usize) {
        let is_same_row = other.row.is_some() && self.last_row == other.row;
        if !is_same_row {
            self.rows += other.rows;
            self.last_row = other.last_row.or(other.row);
            let free = ROWS_NAMED_MAX.saturating_sub(self.row_numbers.len());
            self.row_numbers.extend(other.row_numbers.into_iter().take(free));
        }
        if self.variants.is_empty() {
            return;
        }
        self.variants.extend(other.variants);
        self.variants.sort();
        self.variants.dedup();
        if self.variants.len() >= variant_count {
            self.variants.clear();
        }
    }

    /// Rows, or variants of one row, with one file name.
    fn shared_file(file: &SharedFileName) -> Self {
        let mut rows: Vec<u64> = file.row_numbers.iter().map(|row| row.unsigned_abs()).collect();
        rows.dedup();
        let name = &file.file_name;
        let (message, help) = match &rows[..] {
            [only] => (
                format!("several variants of row {only} would be written to `{name}`"),
                "add `{{variant}}` to `file` in the batch file",
            ),
            [first, second] => (
                format!("rows {first} and {second} would both be written to `{name}`"),
                "use columns in `file` in the batch file that differ between these rows",
            ),
            several => (
                format!(
                    "rows {} would all be written to `{name}`",
                    list_rows(several, several.len() as u64)
                ),
                "use columns in `file` in the batch file that differ between these rows",
            ),
        };
        Self {
            source: PlanProblemSource::Sheet,
            row: rows.first().copied(),
            last_row: rows.last().copied(),
            row_numbers: Vec::new(),
            rows: rows.len() as u64,
            variants: Vec::new(),
            message,
            help: Some(help.to_owned()),
            column: None,
            template_problem: None,
            can_hide_rows: false,
        }
    }
}

/// A finding about a cell: what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CellFinding {
    pub(super) message: String,
    pub(super) help: String,
}

/// Row numbers in one message.
const ROWS_NAMED_MAX: usize = 20;

/// Returns "3, 4 and 9", or "3, 4, 9 and 5 more" of `all` rows.
fn list_rows(rows: &[u64], all: u64) -> String {
    let named: Vec<String> = rows.iter().take(ROWS_NAMED_MAX).map(u64::to_string).collect();
    match (all.saturating_sub(named.len() as u64), named.split_last()) {
        (0, Some((last, [_, ..]))) => {
            format!("{} and {last}", named[..named.len() - 1].join(", "))
        }
        (0, _) => named.join(", "),
        (omitted, _) => format!("{} and {omitted} more", named.join(", ")),
    }
}

impl fmt::Display for PlanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.source, self.row) {
            (PlanProblemSource::Template, Some(_)) | (PlanProblemSource::Cell, _) => {
                let column = self.column.as_ref().map(|column| format!(", {column}"));
                let column = column.unwrap_or_default();
                write!(f, "{}{column}: {}", self.describe_rows(), self.message)?;
            }
            (PlanProblemSource::Template | PlanProblemSource::Sheet, _) => {
                f.write_str(&self.message)?;
            }
        }
        f.write_str(&self.describe_variants())
    }
}

/// The problems of a whole sheet: all counted, the first `PROBLEMS_KEPT_MAX` kept.
#[derive(Clone, Debug, Default)]
pub struct PlanProblems {
    kept: Vec<PlanProblem>,
    total: u64,
    has_hidden_rows: bool,
    has_shared_files: bool,
    /// The number of variants of the batch.
    variant_count: usize,
}

/// Different problems reported one by one; the next ones follow after these are fixed.
const PROBLEMS_KEPT_MAX: usize = 100;

impl PlanProblems {
    /// Collects the problems of a batch with this many variants.
    pub(super) fn for_variants(variant_count: usize) -> Self {
        Self { variant_count, ..Self::default() }
    }

    /// Adds a problem, or counts it if another row or another variant of its row has it already.
    pub(super) fn add(&mut self, mut problem: PlanProblem) {
        if problem.variants.len() >= self.variant_count {
            problem.variants.clear();
        }
        let same = |kept: &&mut PlanProblem| {
            kept.source == problem.source
                && kept.message == problem.message
                && kept.column == problem.column
                && (kept.source != PlanProblemSource::Sheet || kept.row == problem.row)
        };
        // The first problem that hides rows is always kept.
        let hides_more = problem.can_hide_rows && !self.has_hidden_rows;
        self.has_hidden_rows |= hides_more;
        let mut is_counted = false;
        if let Some(kept) = self.kept.iter_mut().find(same) {
            is_counted = problem.row.is_some() && kept.last_row == problem.row;
            kept.merge(problem, self.variant_count);
        } else if self.kept.len() < PROBLEMS_KEPT_MAX || hides_more {
            self.kept.push(problem);
        }
        self.total += u64::from(!is_counted);
    }

    /// Returns these findings behind others.
    pub(super) fn after(self, first: impl Iterator<Item = PlanProblem>) -> Self {
        let mut all = Self { variant_count: self.variant_count, ..Self::default() };
        first.for_each(|problem| all.add(problem));
        all.kept.extend(self.kept);
        all.total += self.total;
        all.has_hidden_rows |= self.has_hidden_rows;
        all.has_shared_files |= self.has_shared_files;
        all
    }

    /// Adds that rows would be written to one file. All of them are valid rows.
    pub(super) fn add_shared_file(&mut self, file: &SharedFileName) {
        self.has_shared_files = true;
        self.add(PlanProblem::shared_file(file));
    }

    /// Returns whether rows share a file.
    pub fn has_shared_files(&self) -> bool {
        self.has_shared_files
    }

    /// Returns whether rows may be missing without a problem of their own; they would be treated
    /// as removed from the sheet.
    pub fn has_hidden_rows(&self) -> bool {
        self.has_hidden_rows
    }

    /// Returns whether a problem remains if invalid rows are skipped: rows may be missing, or two
    /// valid rows have one file.
    pub fn has_unskippable(&self) -> bool {
        self.has_hidden_rows || self.has_shared_files
    }

    /// Returns the problems to report one by one.
    pub fn kept(&self) -> &[PlanProblem] {
        &self.kept
    }

    /// Returns the number of all problems; the same one in two rows counts twice.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// Returns whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}

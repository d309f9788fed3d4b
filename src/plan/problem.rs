//! The findings of a plan, grouped for the user.
//!
//! A mistake in the template affects every row; it is reported once, with the number of rows.
//! Invariant: every problem is counted, even if it is not kept.

use std::fmt;

use crate::sheet::SheetColumn;
use crate::template;

/// A finding, and the rows that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanProblem {
    /// The file to fix.
    pub source: PlanProblemSource,
    /// The first row that has it, as the spreadsheet counts.
    pub row: Option<u64>,
    /// The number of rows that have it.
    pub rows: u64,
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
            Some(column) => {
                let origin = problem.location.origin().map(|origin| format!(" ({origin})"));
                format!("{column}: {}{}", problem.message, origin.unwrap_or_default())
            }
        };
        Self {
            source: PlanProblemSource::Template,
            row: None,
            rows: 1,
            help: problem.help.clone(),
            message,
            column,
            template_problem: Some(Box::new(problem)),
            can_hide_rows: false,
        }
    }

    /// Adds the variant of the row.
    pub(super) fn with_variant(self, variant: &str) -> Self {
        Self { message: format!("{} (variant `{variant}`)", self.message), ..self }
    }

    /// Returns its rows as text: "row 3 and 2 more".
    pub fn describe_rows(&self) -> String {
        match (self.row, self.rows) {
            (Some(row), 2..) => format!("row {row} and {} more", self.rows - 1),
            (Some(row), 0 | 1) => format!("row {row}"),
            (None, _) => "the sheet".to_owned(),
        }
    }

    /// Two rows, or two variants of one row, with one file name.
    fn shared_file(file: &str, first: i64, last: i64) -> Self {
        Self {
            source: PlanProblemSource::Sheet,
            row: Some(first.unsigned_abs()),
            rows: 2,
            message: if first == last {
                format!("several variants of row {first} would be written to `{file}`")
            } else {
                format!("rows {first} and {last} would both be written to `{file}`")
            },
            help: Some(
                if first == last {
                    "add `{{variant}}` to `file` in the batch file"
                } else {
                    "use columns in `file` in the batch file that differ between these rows"
                }
                .to_owned(),
            ),
            column: None,
            template_problem: None,
            can_hide_rows: false,
        }
    }
}

impl fmt::Display for PlanProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.source, self.row) {
            (PlanProblemSource::Template, Some(_)) => {
                write!(f, "{}: {}", self.describe_rows(), self.message)
            }
            (PlanProblemSource::Template | PlanProblemSource::Sheet, _) => {
                f.write_str(&self.message)
            }
        }
    }
}

/// The problems of a whole sheet: all counted, the first `PROBLEMS_KEPT_MAX` kept.
#[derive(Clone, Debug, Default)]
pub struct PlanProblems {
    kept: Vec<PlanProblem>,
    total: u64,
    has_hidden_rows: bool,
    has_shared_files: bool,
}

/// Different problems reported one by one; the next ones follow after these are fixed.
const PROBLEMS_KEPT_MAX: usize = 100;

impl PlanProblems {
    /// Adds a problem, or counts it if another row already has the same one.
    pub(super) fn add(&mut self, problem: PlanProblem) {
        let same = |kept: &&mut PlanProblem| {
            kept.source == PlanProblemSource::Template
                && problem.source == PlanProblemSource::Template
                && kept.message == problem.message
        };
        // The first problem that hides rows is always kept.
        let hides_more = problem.can_hide_rows && !self.has_hidden_rows;
        self.has_hidden_rows |= hides_more;
        if let Some(kept) = self.kept.iter_mut().find(same) {
            kept.rows += problem.rows;
        } else if self.kept.len() < PROBLEMS_KEPT_MAX || hides_more {
            self.kept.push(problem);
        }
        self.total += 1;
    }

    /// Adds that the rows `first` and `last` would be written to one file. Both are valid rows.
    pub(super) fn add_shared_file(&mut self, file: &str, first: i64, last: i64) {
        self.has_shared_files = true;
        self.add(PlanProblem::shared_file(file, first, last));
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

//! What is wrong with a sheet's rows, gathered so that a person can read it.
//!
//! A mistake in the template shows in every row; told once, with the rows it concerns, it is one
//! mistake and not five thousand.

use std::fmt;

use crate::sheet::SheetColumn;
use crate::template;

/// One thing that is wrong, and where it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanProblem {
    /// Which file it is in.
    pub source: PlanProblemSource,
    /// The first row that shows it, as the spreadsheet counts.
    pub row: Option<u64>,
    /// How many rows show it.
    pub rows: u64,
    /// What is wrong, with its place within the file.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
    /// The column whose cell is at fault, when one is.
    pub column: Option<SheetColumn>,
    /// The problem itself, of what was merged: it knows its place in the template.
    pub template_problem: Option<Box<template::TemplateProblem>>,
    /// Whether rows behind it may be lost, so that it cannot be passed over like a row.
    pub can_hide_rows: bool,
}

/// The file in which a problem has to be mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanProblemSource {
    /// The sheet: this row.
    Sheet,
    /// The template, or the row that met it.
    Template,
}

impl PlanProblem {
    /// Something wrong with what the template made of a row, in the cell of this column when one is
    /// at fault. `headings` are the sheet's own.
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
                let place = problem.location.origin().map(|origin| format!(" ({origin})"));
                format!("{column}: {}{}", problem.message, place.unwrap_or_default())
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

    /// The same, of one variant of the row.
    pub(super) fn with_variant(self, variant: &str) -> Self {
        Self { message: format!("{} (variant `{variant}`)", self.message), ..self }
    }

    /// Returns the rows that show it, in words.
    pub fn describe_rows(&self) -> String {
        match (self.row, self.rows) {
            (Some(row), 2..) => format!("row {row} and {} more", self.rows - 1),
            (Some(row), 0 | 1) => format!("row {row}"),
            (None, _) => "the sheet".to_owned(),
        }
    }

    /// Two rows would be written to one file.
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
                    "put `{{variant}}` into `file` in the batch file"
                } else {
                    "make `file` in the batch file name columns that tell the rows apart"
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

/// Problems of a whole sheet, counted without end and kept within reason.
#[derive(Clone, Debug, Default)]
pub struct PlanProblems {
    kept: Vec<PlanProblem>,
    total: u64,
    has_hidden_rows: bool,
    has_shared_files: bool,
}

/// Different problems that are told one by one. Whoever has mended these reads the next ones.
const PROBLEMS_KEPT_MAX: usize = 100;

impl PlanProblems {
    /// Adds a problem, or counts it where the same one is known from another row.
    pub(super) fn add(&mut self, problem: PlanProblem) {
        let same = |kept: &&mut PlanProblem| {
            kept.source == PlanProblemSource::Template
                && problem.source == PlanProblemSource::Template
                && kept.message == problem.message
        };
        // The first that hides rows is told, however many problems there are before it.
        let hides_more = problem.can_hide_rows && !self.has_hidden_rows;
        self.has_hidden_rows |= hides_more;
        if let Some(kept) = self.kept.iter_mut().find(same) {
            kept.rows += problem.rows;
        } else if self.kept.len() < PROBLEMS_KEPT_MAX || hides_more {
            self.kept.push(problem);
        }
        self.total += 1;
    }

    /// Adds that rows would be written to one file: each is right, so none of them is left out.
    pub(super) fn add_shared_file(&mut self, (file, first, last): (&str, i64, i64)) {
        self.has_shared_files = true;
        self.add(PlanProblem::shared_file(file, first, last));
    }

    /// Tells whether rows share a file.
    pub fn has_shared_files(&self) -> bool {
        self.has_shared_files
    }

    /// Tells whether rows may be lost that no problem names: without them the sheet is not what
    /// its owner wrote, and they would be taken for removed.
    pub fn has_hidden_rows(&self) -> bool {
        self.has_hidden_rows
    }

    /// Returns the problems that are told one by one.
    pub fn kept(&self) -> &[PlanProblem] {
        &self.kept
    }

    /// Returns how many there were in all, the same one in two rows counting twice.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// Tells whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}

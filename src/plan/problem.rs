//! What is wrong with a sheet's rows, gathered so that a person can read it.
//!
//! A mistake in the template shows in every row; told once, with the rows it concerns, it is one
//! mistake and not five thousand.

use std::fmt;

use crate::scene;
use crate::sheet::Column;

/// One thing that is wrong, and where it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which file it is in.
    pub source: Source,
    /// The first row that shows it, as the spreadsheet counts.
    pub row: Option<u64>,
    /// How many rows show it.
    pub rows: u64,
    /// What is wrong, with its place within the file.
    pub words: String,
    /// What to do.
    pub help: Option<String>,
    /// The column whose cell is at fault, when one is.
    pub column: Option<Column>,
    /// The problem itself, of what was merged: it knows its place in the template.
    pub scene: Option<Box<scene::Problem>>,
    /// Whether rows behind it may be lost, so that it cannot be passed over like a row.
    pub hides_rows: bool,
}

/// The file in which a problem has to be mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The sheet: this row.
    Sheet,
    /// The template, or the row that met it.
    Scene,
}

impl Problem {
    /// Something wrong with what the template made of a row, in the cell of this column when one is
    /// at fault. `headings` are the sheet's own.
    pub(super) fn of_scene(
        problem: scene::Problem,
        column: Option<usize>,
        headings: &[String],
    ) -> Self {
        let column = column.map(|index| Column { index, heading: headings.get(index).cloned() });
        let words = match &column {
            None => problem.headline(),
            Some(column) => {
                let place = problem.place.origin().map(|origin| format!(" ({origin})"));
                format!("{column}: {}{}", problem.message, place.unwrap_or_default())
            }
        };
        Self {
            source: Source::Scene,
            row: None,
            rows: 1,
            help: problem.help.clone(),
            words,
            column,
            scene: Some(Box::new(problem)),
            hides_rows: false,
        }
    }

    /// The same, of one variant of the row.
    pub(super) fn of_variant(self, variant: &str) -> Self {
        Self { words: format!("{} (variant `{variant}`)", self.words), ..self }
    }

    /// Returns the rows that show it, in words.
    pub fn rows_in_words(&self) -> String {
        match (self.row, self.rows) {
            (Some(row), 2..) => format!("row {row} and {} more", self.rows - 1),
            (Some(row), 0 | 1) => format!("row {row}"),
            (None, _) => "the sheet".to_owned(),
        }
    }

    /// Two rows would be written to one file.
    fn same_file(file: &str, first: i64, last: i64) -> Self {
        Self {
            source: Source::Sheet,
            row: Some(first.unsigned_abs()),
            rows: 2,
            words: if first == last {
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
            scene: None,
            hides_rows: false,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.source, self.row) {
            (Source::Scene, Some(_)) => write!(f, "{}: {}", self.rows_in_words(), self.words),
            (Source::Scene | Source::Sheet, _) => f.write_str(&self.words),
        }
    }
}

/// Problems of a whole sheet, counted without end and kept within reason.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    kept: Vec<Problem>,
    rows: u64,
    hide_rows: bool,
    share_files: bool,
}

/// Different problems that are told one by one. Whoever has mended these reads the next ones.
const KEPT_MAX: usize = 100;

impl Problems {
    /// Adds a problem, or counts it where the same one is known from another row.
    pub(super) fn add(&mut self, problem: Problem) {
        let same = |kept: &&mut Problem| {
            kept.source == Source::Scene
                && problem.source == Source::Scene
                && kept.words == problem.words
        };
        // The first that hides rows is told, however many problems there are before it.
        let hides_more = problem.hides_rows && !self.hide_rows;
        self.hide_rows |= hides_more;
        if let Some(kept) = self.kept.iter_mut().find(same) {
            kept.rows += problem.rows;
        } else if self.kept.len() < KEPT_MAX || hides_more {
            self.kept.push(problem);
        }
        self.rows += 1;
    }

    /// Adds that rows would be written to one file: each is right, so none of them is left out.
    pub(super) fn add_shared(&mut self, (file, first, last): (&str, i64, i64)) {
        self.share_files = true;
        self.add(Problem::same_file(file, first, last));
    }

    /// Tells whether rows share a file.
    pub fn share_files(&self) -> bool {
        self.share_files
    }

    /// Tells whether rows may be lost that no problem names: without them the sheet is not what
    /// its owner wrote, and they would be taken for removed.
    pub fn hide_rows(&self) -> bool {
        self.hide_rows
    }

    /// Returns the problems that are told one by one.
    pub fn kept(&self) -> &[Problem] {
        &self.kept
    }

    /// Returns how many there were in all, the same one in two rows counting twice.
    pub fn count(&self) -> u64 {
        self.rows
    }

    /// Tells whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
}

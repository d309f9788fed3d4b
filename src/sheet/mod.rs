//! The sheet: from a file of scripts to rows, one at a time.
//!
//! Reads CSV, XLSX and ODS as spreadsheets write them and gives entries (one row, or the rows of one group) or
//! problems, each with the row and column that the spreadsheet shows. It does not fill empty
//! cells, check texts or know what a video is; a cell comes out exactly as it is in the file.
//!
//! What holds: every row of the file that is not empty ends in exactly one entry, which may say that
//! it is left out, or is named by a problem; no two entries to be made have one key; rows come in the
//! order of the sheet. Memory does not grow
//! with the sheet but for 10 to 21 bytes per row that notice doubled keys, or, with `group_by`, an
//! index of 24 bytes per row and the names of the groups.

mod alike;
mod cells;
mod delimiter;
mod doubles;
mod encoding;
mod entries;
mod find;
mod groups;
mod headings;
mod input;
mod invisible;
mod key;
mod problem;
mod quotes;
mod reading;
mod records;
mod report;
mod signature;
mod skip;
mod source;
#[cfg(test)]
mod tests;
mod transcode;
mod workbook;

use std::collections::BTreeMap;
use std::path::Path;

pub use self::entries::Entries;
pub use self::find::{NoColumn, column};
pub use self::key::name;
pub use self::problem::{Column, Problem, Problems};
pub use self::reading::Reading;
pub use self::skip::Skip;
pub use self::workbook::Worksheet;

use self::cells::Shape;
use self::headings::Headings;
use self::input::Input;
use self::key::Naming;
use self::reading::Prepared;
use self::records::{Position, Record, Records};
use self::skip::Skipping;
use self::source::Source;

/// What a batch expects of its sheet.
#[derive(Clone, Copy, Debug)]
pub struct Want<'a> {
    /// The columns that name a row, by template name or heading. Empty: its content does.
    pub key: &'a [String],
    /// The column whose equal values make one entry of several rows, by template name or heading.
    pub group_by: Option<&'a str>,
    /// Template name to heading, where the two differ.
    pub columns: &'a BTreeMap<String, String>,
    /// Template names that must be columns; those with a default are left out by the caller.
    pub required: &'a [String],
    /// Template names that may be columns: those with a default.
    pub optional: &'a [String],
    /// Those of `required` and `optional` that may be several numbered columns: `script_1`,
    /// `script_2` make the list `script`.
    pub lists: &'a [String],
    /// The rows to leave out.
    pub skip: Option<Skip<'a>>,
    /// The encoding of a text, by any name people have for it. Nothing: it is found by looking.
    /// A mark at the start of the file outweighs it.
    pub encoding: Option<&'a str>,
    /// The worksheet of a workbook. Nothing: the first that can be seen.
    pub worksheet: Option<&'a str>,
}

/// A sheet whose headings are right and which has at least one row.
#[derive(Debug)]
pub struct Sheet {
    source: Source,
    reading: Reading,
    shape: Shape,
    names: Vec<String>,
    lists: BTreeMap<String, Vec<usize>>,
    naming: Naming,
    group_by: Option<usize>,
    skip: Option<Skipping>,
    /// Where the rows begin.
    body: Position,
}

/// One video to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is known by; no other entry of the sheet has it that is not skipped.
    pub key: String,
    /// In a report that is fed back: the variant of the row that it is about. It is the last part
    /// of the key then.
    pub variant: Option<String>,
    /// One row, or all rows of a group in the order of the sheet.
    pub rows: Vec<Row>,
    /// Whether the row says itself that it is to be left out. Its key may be another's then, or
    /// empty where it has none.
    pub skipped: bool,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// As the spreadsheet shows it: the first line is 1, empty lines count, line breaks within a
    /// cell do not.
    pub number: u64,
    /// Parallel to [`Sheet::headings`], exactly as in the file.
    pub cells: Vec<String>,
}

impl Sheet {
    /// Opens a sheet and checks its headings.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the headings, or that there is nothing to read at all.
    pub fn open(path: &Path, want: &Want<'_>) -> Result<Self, Problems> {
        Self::examine(path, want).map_err(|list| Problems { file: path.to_owned(), list })
    }

    /// Returns the headings, trimmed, from left to right.
    pub fn headings(&self) -> &[String] {
        &self.shape.headings
    }

    /// Returns the template names, parallel to [`Sheet::headings`].
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the wanted lists that the sheet has, each with its columns in their order.
    pub fn lists(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.lists
    }

    /// Returns the columns that name, group or leave out rows.
    pub fn asked_for(&self) -> Vec<usize> {
        let key: &[usize] = match &self.naming {
            Naming::Content => &[],
            Naming::Columns(columns) => columns,
        };
        let skip = self.skip.as_ref().map(Skipping::column);
        key.iter().copied().chain(self.group_by).chain(skip).collect()
    }

    /// Returns how the file was read, which people should hear of where it was guessed.
    pub fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Reads the sheet from its first row to its last, whole each time it is called.
    pub fn entries(&self) -> Entries<'_> {
        Entries::new(self)
    }

    fn examine(path: &Path, want: &Want<'_>) -> Result<Self, Vec<Problem>> {
        let one = |problem| vec![problem];
        let source = Source::find(path).map_err(one)?;
        let Prepared { source, origin, reading, start } =
            Prepared::new(source, want).map_err(one)?;
        let file = source.open().map_err(one)?;
        let records = Records::new(file, origin.delimiter(), start);
        let mut records = records.map_err(|err| one(source.broken(&err)))?;
        let mut record = Record::new();
        let next = |records: &mut Records<_>, record: &mut Record| {
            records.read_filled(record).map_err(|err| one(source.broken(&err)))
        };
        if !next(&mut records, &mut record)? {
            return Err(one(Problem::of_sheet(
                "the sheet is empty",
                "it needs a row of headings and, below it, one row for each video",
            )));
        }
        let (headings, mut problems) = Headings::read(&record, origin, want)?;
        let body = records.position();
        if !next(&mut records, &mut record)? {
            problems.push(Problem::of_sheet(
                "the sheet has headings but no rows",
                "fill in one row for each video",
            ));
        }
        // The headings tell about every column that could not be found.
        let (Some(naming), true) = (headings.naming, problems.is_empty()) else {
            return Err(problems);
        };
        let report = headings.report;
        let shape = Shape { headings: headings.headings, origin, report };
        let (names, group_by, skip) = (headings.names, headings.group_by, headings.skip);
        let lists = headings.lists;
        Ok(Self { source, reading, shape, names, lists, naming, group_by, skip, body })
    }

    /// Opens the file again, at its first row.
    fn records(&self) -> Result<Records<Input>, Problem> {
        let file = self.source.open()?;
        let broken = |err| self.source.broken(&err);
        let mut records = Records::new(file, self.shape.origin.delimiter(), 0).map_err(broken)?;
        records.go_to(self.body).map_err(broken)?;
        Ok(records)
    }
}

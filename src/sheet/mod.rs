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

mod cells;
mod delimiter;
mod encoding;
mod entries;
mod find;
mod groups;
mod heading_match;
mod headings;
mod input;
mod key;
mod normalize;
mod problem;
mod quotes;
mod records;
mod report_input;
mod signature;
mod skip;
mod source;
#[cfg(test)]
mod tests;
mod transcode;
mod workbook;

use std::collections::BTreeMap;
use std::path::Path;

pub use self::entries::SheetEntries;
pub use self::find::{ColumnLookupError, find_column};
pub use self::key::normalize_name;
pub use self::normalize::SheetFormat;
pub use self::problem::{SheetColumn, SheetProblem, SheetProblems};
pub use self::skip::SkipSpec;
pub use self::workbook::Worksheet;

use self::cells::RowShape;
use self::headings::HeadingRow;
use self::input::CsvInput;
use self::key::KeySource;
use self::normalize::NormalizedSheet;
use self::records::{CsvRecord, RecordPosition, RecordReader};
use self::skip::SkipRule;
use self::source::SheetFile;

/// What a batch expects of its sheet.
#[derive(Clone, Copy, Debug)]
pub struct SheetSpec<'a> {
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
    pub skip: Option<SkipSpec<'a>>,
    /// The encoding of a text, by any name people have for it. Nothing: it is found by looking.
    /// A mark at the start of the file outweighs it.
    pub encoding: Option<&'a str>,
    /// The worksheet of a workbook. Nothing: the first that can be seen.
    pub worksheet: Option<&'a str>,
}

/// A sheet whose headings are right and which has at least one row.
#[derive(Debug)]
pub struct Sheet {
    source: SheetFile,
    format: SheetFormat,
    shape: RowShape,
    template_names: Vec<String>,
    lists: BTreeMap<String, Vec<usize>>,
    key_source: KeySource,
    group_by: Option<usize>,
    skip_rule: Option<SkipRule>,
    /// Where the rows begin.
    first_row: RecordPosition,
}

/// One video to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetEntry {
    /// What it is known by; no other entry of the sheet has it that is not skipped.
    pub key: String,
    /// In a report that is fed back: the variant of the row that it is about. It is the last part
    /// of the key then.
    pub variant: Option<String>,
    /// One row, or all rows of a group in the order of the sheet.
    pub rows: Vec<SheetRow>,
    /// Whether the row says itself that it is to be left out. Its key may be another's then, or
    /// empty where it has none.
    pub is_skipped: bool,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetRow {
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
    pub fn open(path: &Path, want: &SheetSpec<'_>) -> Result<Self, SheetProblems> {
        Self::try_open(path, want)
            .map_err(|list| SheetProblems { file: path.to_owned(), problems: list })
    }

    /// Returns the headings, trimmed, from left to right.
    pub fn headings(&self) -> &[String] {
        &self.shape.headings
    }

    /// Returns the template names, parallel to [`Sheet::headings`].
    pub fn template_names(&self) -> &[String] {
        &self.template_names
    }

    /// Returns the wanted lists that the sheet has, each with its columns in their order.
    pub fn lists(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.lists
    }

    /// Returns the columns that name, group or leave out rows.
    pub fn setting_columns(&self) -> Vec<usize> {
        let key: &[usize] = match &self.key_source {
            KeySource::Content => &[],
            KeySource::Columns(columns) => columns,
        };
        let skip = self.skip_rule.as_ref().map(SkipRule::column);
        key.iter().copied().chain(self.group_by).chain(skip).collect()
    }

    /// Returns how the file was read, which people should hear of where it was guessed.
    pub fn format(&self) -> &SheetFormat {
        &self.format
    }

    /// Reads the sheet from its first row to its last, whole each time it is called.
    pub fn entries(&self) -> SheetEntries<'_> {
        SheetEntries::new(self)
    }

    fn try_open(path: &Path, want: &SheetSpec<'_>) -> Result<Self, Vec<SheetProblem>> {
        let one = |problem| vec![problem];
        let source = SheetFile::inspect(path).map_err(one)?;
        let NormalizedSheet { source, origin, format: reading, start_offset: start } =
            NormalizedSheet::new(source, want).map_err(one)?;
        let file = source.open().map_err(one)?;
        let records = RecordReader::new(file, origin.delimiter(), start);
        let mut records = records.map_err(|err| one(source.read_problem(&err)))?;
        let mut record = CsvRecord::new();
        let next = |records: &mut RecordReader<_>, record: &mut CsvRecord| {
            records.read_non_blank(record).map_err(|err| one(source.read_problem(&err)))
        };
        if !next(&mut records, &mut record)? {
            return Err(one(SheetProblem::for_sheet(
                "the sheet is empty",
                "it needs a row of headings and, below it, one row for each video",
            )));
        }
        let (headings, mut problems) = HeadingRow::read(&record, origin, want)?;
        let body = records.position();
        if !next(&mut records, &mut record)? {
            problems.push(SheetProblem::for_sheet(
                "the sheet has headings but no rows",
                "fill in one row for each video",
            ));
        }
        // The headings tell about every column that could not be found.
        let (Some(naming), true) = (headings.key_source, problems.is_empty()) else {
            return Err(problems);
        };
        let report = headings.report_columns;
        let shape = RowShape { headings: headings.headings, origin, report_columns: report };
        let (names, group_by, skip) =
            (headings.template_names, headings.group_by, headings.skip_rule);
        let lists = headings.lists;
        Ok(Self {
            source,
            format: reading,
            shape,
            template_names: names,
            lists,
            key_source: naming,
            group_by,
            skip_rule: skip,
            first_row: body,
        })
    }

    /// Opens the file again, at its first row.
    fn open_records(&self) -> Result<RecordReader<CsvInput>, SheetProblem> {
        let file = self.source.open()?;
        let broken = |err| self.source.read_problem(&err);
        let mut records =
            RecordReader::new(file, self.shape.origin.delimiter(), 0).map_err(broken)?;
        records.seek_to(self.first_row).map_err(broken)?;
        Ok(records)
    }
}

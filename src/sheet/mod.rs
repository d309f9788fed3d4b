//! The sheet: reads CSV, XLSX and ODS files into rows, one at a time.
//!
//! Yields entries (one row, or the rows of one group) or problems, each with the row and column that
//! the spreadsheet shows. It fills no empty cells, checks no texts and knows no videos; a cell is
//! returned in the one form that all spellings of its text have (`text`).
//!
//! Invariants: every row that is not blank belongs to exactly one entry, possibly a skipped one, or
//! to a problem; no two entries to render have the same key; entries keep the order of the sheet.
//! Memory grows only by about 100 bytes per row for the keys, or, with `group_by`, by an index of 24
//! bytes per row and the names of the groups.

mod cells;
mod csv_conversion;
mod delimiter;
mod encoding;
mod entries;
mod find;
mod garbled_text;
mod groups;
mod heading_match;
mod heading_search;
mod headings;
mod input;
mod key;
mod preview;
mod problem;
mod records;
mod results_columns;
mod signature;
mod skip;
mod source;
mod splitter;
#[cfg(test)]
mod tests;
mod warnings;
mod workbook;

use std::collections::BTreeMap;
use std::path::Path;

pub use self::csv_conversion::SheetFormat;
pub use self::entries::SheetEntries;
pub use self::find::{ColumnLookupError, find_column, numbered_columns};
pub use self::garbled_text::find_garbled_text;
pub use self::key::{content_key, normalize_cell, normalize_name};
pub use self::preview::{PreviewSpec, SheetPreview};
pub use self::problem::{SheetColumn, SheetProblem, SheetProblems};
pub use self::skip::{SkipDecision, SkipMark, SkipRule, SkipSpec, normalize_mark, opposite_of_no};
pub use self::workbook::Worksheet;

use self::cells::RowShape;
use self::csv_conversion::NormalizedSheet;
use self::headings::HeadingRow;
use self::input::CsvInput;
use self::key::KeySource;
use self::records::{CsvRecord, RecordPosition, RecordReader};
use self::source::SheetFile;
use self::workbook::RowRanges;

/// The requirements of a batch for its sheet.
#[derive(Clone, Copy, Debug)]
pub struct SheetSpec<'a> {
    /// The columns of the key, by template name or heading. Empty: the key is a hash of the row.
    pub key: &'a [String],
    /// The column whose equal values make one entry of several rows, by template name or heading.
    pub group_by: Option<&'a str>,
    /// Template name to heading, where the two differ.
    pub columns: &'a BTreeMap<String, String>,
    /// Template names that must be columns; the caller omits those with a default.
    pub required: &'a [String],
    /// Template names that may be columns: those with a default.
    pub optional: &'a [String],
    /// Those of `required` and `optional` that may be several numbered columns: `script_1`,
    /// `script_2` make the list `script`.
    pub lists: &'a [String],
    /// The rows to leave out.
    pub skip: Option<SkipSpec<'a>>,
    /// The name of the encoding of a text; `None` to detect it. A byte order mark takes precedence.
    pub encoding: Option<&'a str>,
    /// The worksheet of a workbook; `None` for the first visible one.
    pub worksheet: Option<&'a str>,
    /// The row of the headings, as the spreadsheet counts; `None` for the first that is not blank.
    pub header_row: Option<u64>,
    /// Whether rows that the spreadsheet hides are skipped.
    pub skip_hidden: bool,
    /// Whether the file was downloaded from a link, so that advice concerns what is published there.
    pub is_link: bool,
}

/// A sheet with valid headings and at least one row.
#[derive(Debug)]
pub struct Sheet {
    source: SheetFile,
    format: SheetFormat,
    shape: RowShape,
    template_names: Vec<String>,
    shared_names: BTreeMap<String, usize>,
    lists: BTreeMap<String, Vec<usize>>,
    key_source: KeySource,
    group_by: Option<usize>,
    skip_rule: Option<SkipRule>,
    /// Hidden rows, if they are to be skipped.
    hidden_rows: RowRanges,
    warnings: Vec<SheetProblem>,
    /// The position of the first row after the headings.
    first_row: RecordPosition,
}

/// The columns of `results.csv` in a sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportColumns {
    /// It is a sheet.
    None,
    /// It was a report, and some of its columns were deleted or moved.
    Some,
    /// It is a report.
    All,
}

/// One video to render.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetEntry {
    /// Its key, unique among the entries that are not skipped.
    pub key: String,
    /// In a report used as a sheet: the variant of the line, which is also the last part of the key.
    pub variant: Option<String>,
    /// One row, or all rows of a group in the order of the sheet.
    pub rows: Vec<SheetRow>,
    /// What marks the row to be skipped, if anything does. Its key may then be empty or a duplicate.
    pub skip_mark: Option<SkipMark>,
    /// Probable mistakes in its key.
    pub warnings: Vec<SheetProblem>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetRow {
    /// As the spreadsheet counts: the first line is 1, blank lines count, line breaks within a cell
    /// do not.
    pub number: u64,
    /// Parallel to [`Sheet::headings`], as they are in the file.
    pub cells: Vec<String>,
}

impl Sheet {
    /// Opens a sheet and checks its headings.
    ///
    /// # Errors
    /// All problems of the headings, or the reason why the file cannot be read.
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

    /// Returns the names that `columns` gives to a column with another name, each with that column.
    pub fn shared_names(&self) -> &BTreeMap<String, usize> {
        &self.shared_names
    }

    /// Returns the wanted lists that the sheet has, each with its columns in order.
    pub fn lists(&self) -> &BTreeMap<String, Vec<usize>> {
        &self.lists
    }

    /// Returns how much of a report this is: a report may lack rows of the sheet it was made from.
    pub fn report_columns(&self) -> ReportColumns {
        match self.shape.report_columns {
            1.. => ReportColumns::All,
            0 if results_columns::is_partial_report(self.headings()) => ReportColumns::Some,
            0 => ReportColumns::None,
        }
    }

    /// Returns whether keys are hashes of the rows, so that a changed row is another one.
    pub fn has_content_keys(&self) -> bool {
        self.key_source == KeySource::Content
    }

    /// Returns the columns that make the key; none if it is a hash of the row.
    pub fn key_columns(&self) -> &[usize] {
        match &self.key_source {
            KeySource::Content => &[],
            KeySource::Columns(columns) => columns,
        }
    }

    /// Returns the columns used by `key`, `group_by` and `skip`.
    pub fn setting_columns(&self) -> Vec<usize> {
        let skip = self.skip_rule.as_ref().map(SkipRule::column);
        self.key_columns().iter().copied().chain(self.group_by).chain(skip).collect()
    }

    /// Returns the rule for rows to skip, if the batch has one.
    pub fn skip_rule(&self) -> Option<&SkipRule> {
        self.skip_rule.as_ref()
    }

    /// Returns how the file was read; guesses should be reported.
    pub fn format(&self) -> &SheetFormat {
        &self.format
    }

    /// Returns what does not prevent the sheet from being read, but is probably a mistake.
    pub fn warnings(&self) -> &[SheetProblem] {
        &self.warnings
    }

    /// Reads the sheet from its first row to its last; each call starts again.
    pub fn entries(&self) -> SheetEntries<'_> {
        SheetEntries::new(self)
    }

    fn try_open(path: &Path, want: &SheetSpec<'_>) -> Result<Self, Vec<SheetProblem>> {
        let one = |problem| vec![problem];
        let source = SheetFile::inspect(path).map_err(one)?;
        let normalized = NormalizedSheet::new(source, want).map_err(one)?;
        let mut records = normalized.open_records().map_err(one)?;
        let mut record = CsvRecord::new();
        normalized.read_heading_record(&mut records, &mut record, want).map_err(one)?;
        let (mut headings, mut problems) = HeadingRow::read(&record, normalized.origin, want)?;
        let first_row = records.position();
        let broken = |err| one(normalized.source.read_problem(&err));
        if !records.read_non_blank(&mut record).map_err(broken)? {
            problems.push(SheetProblem::for_sheet(
                "the sheet has headings but no rows",
                "add one row per video",
            ));
        }
        // A missing key column is already among the problems.
        let key_source = headings.key_source.take().filter(|_| problems.is_empty());
        let Some(key_source) = key_source else {
            return Err(normalized.explain_headings(problems, &headings, want));
        };
        let NormalizedSheet { source, origin, format, notes, guess_warning, .. } = normalized;
        let shape = RowShape::new(headings.headings, origin, headings.report_columns);
        let skips_hidden = want.skip_hidden;
        let mut warnings: Vec<SheetProblem> = guess_warning.into_iter().collect();
        warnings.extend(warnings::worksheet_warnings(&notes, &shape, headings.row, skips_hidden));
        let hidden_rows = if skips_hidden { notes.hidden_rows } else { RowRanges::default() };
        Ok(Self {
            source,
            format,
            shape,
            template_names: headings.template_names,
            shared_names: headings.shared_names,
            lists: headings.lists,
            key_source,
            group_by: headings.group_by,
            skip_rule: headings.skip_rule,
            hidden_rows,
            warnings,
            first_row,
        })
    }

    /// Opens the file again at the first row after the headings.
    fn open_records(&self) -> Result<RecordReader<CsvInput>, SheetProblem> {
        let file = self.source.open()?;
        let broken = |err| self.source.read_problem(&err);
        let mut records =
            RecordReader::new(file, self.shape.origin.delimiter(), 0).map_err(broken)?;
        records.seek_to(self.first_row).map_err(broken)?;
        Ok(records)
    }
}

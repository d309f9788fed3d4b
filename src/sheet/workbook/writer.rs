//! Writes the rows of a worksheet as CSV, and notes what CSV cannot hold.
//!
//! Every row becomes one record, including empty ones, so that rows keep their numbers. Invariant: at
//! most [`CELLS_WRITTEN_MAX`] cells and [`TEXT_BYTES_MAX`] bytes are written, and a cell beyond the last allowed column or row is
//! refused before it is written.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;

use super::row_ranges::RowRanges;
use super::{CellPosition, MergedRange, cell_name};
use crate::sheet::problem::SheetProblem;
use crate::sheet::records::{CELLS_MAX, RECORD_BYTES_MAX};
use crate::sheet::source::copy_problem;

/// Cells with a value, and separators between cells.
const CELLS_WRITTEN_MAX: u64 = 10_000_000;
const SEPARATORS_MAX: u64 = 100_000_000;
/// All texts together. One text of the workbook may be the text of millions of cells.
const TEXT_BYTES_MAX: u64 = 256 << 20;
/// The last row of a spreadsheet.
pub(super) const ROWS_MAX: usize = 1_048_576;
/// Merged ranges that are noted.
const MERGES_MAX: usize = 10_000;

/// What CSV cannot hold of a worksheet.
#[derive(Debug, Default)]
pub(in crate::sheet) struct WorksheetNotes {
    /// Rows with a value, from 1.
    pub(in crate::sheet) filled_rows: RowRanges,
    /// Those of them that the spreadsheet does not show.
    pub(in crate::sheet) hidden_rows: RowRanges,
    /// Merged cells with a value.
    pub(in crate::sheet) merges: Vec<MergedRange>,
    /// Columns with a number format that is not followed, with the first row of each, from 1.
    pub(in crate::sheet) unfollowed_columns: BTreeMap<usize, u64>,
}

pub(super) struct WorksheetWriter {
    writer: csv::Writer<File>,
    /// The current row, from 0.
    row: usize,
    is_row_hidden: bool,
    cells: Vec<Vec<u8>>,
    /// The bytes in `cells`.
    row_bytes: usize,
    /// The bytes put so far, also those that were not kept.
    text_bytes: u64,
    /// The number of cells in the heading row.
    width: usize,
    /// The heading row from 0, if it is not the first row that is not empty.
    heading_row: Option<usize>,
    /// The first row that is not wanted, and whether it was reached.
    end: usize,
    has_stopped: bool,
    cells_written: u64,
    separators_written: u64,
    /// Merged ranges by their first cell.
    merges: HashMap<CellPosition, MergedRange>,
    notes: WorksheetNotes,
}

/// The reason why a cell could not be written.
#[derive(Debug)]
pub(super) enum CellWriteError {
    Io(io::Error),
    OutOfOrder,
    TooManyCells,
    /// In this row.
    TooMuchText(usize),
    /// The cell is beyond the last allowed column or row.
    TooFar(CellPosition),
}

impl CellWriteError {
    pub(super) fn to_problem(&self) -> SheetProblem {
        match self {
            Self::Io(err) => copy_problem(err),
            Self::OutOfOrder => super::damaged_workbook_problem(),
            Self::TooManyCells => SheetProblem::for_sheet(
                "the worksheet has more than 10,000,000 cells",
                "delete the rows and columns that are not needed, or save it as \"CSV UTF-8\"",
            ),
            Self::TooMuchText(row) => SheetProblem::for_sheet(
                format!(
                    "the worksheet has more than {} MB of text, in row {}",
                    TEXT_BYTES_MAX >> 20,
                    row + 1
                ),
                "delete the rows and columns that are not needed, or save it as \"CSV UTF-8\"",
            ),
            Self::TooFar(position) => SheetProblem::for_sheet(
                format!(
                    "the worksheet has a value in cell {}; columns up to {CELLS_MAX} and rows up to \
                     {ROWS_MAX} are read",
                    cell_name(*position)
                ),
                "delete the cells to the right and below the table",
            ),
        }
    }
}

impl WorksheetWriter {
    pub(super) fn new(to: File, header_row: Option<u64>) -> Self {
        let heading_row = header_row.and_then(|row| usize::try_from(row.checked_sub(1)?).ok());
        Self {
            writer: csv::WriterBuilder::new().flexible(true).from_writer(to),
            row: 0,
            is_row_hidden: false,
            cells: Vec::new(),
            row_bytes: 0,
            text_bytes: 0,
            width: 0,
            heading_row,
            end: ROWS_MAX,
            has_stopped: false,
            cells_written: 0,
            separators_written: 0,
            merges: HashMap::new(),
            notes: WorksheetNotes::default(),
        }
    }

    /// Refuses the rows behind this one, from 1.
    pub(super) fn stop_behind(&mut self, row: u64) {
        self.end = usize::try_from(row).unwrap_or(ROWS_MAX);
    }

    /// Returns whether a row was refused by [`Self::stop_behind`].
    pub(super) fn has_stopped(&self) -> bool {
        self.has_stopped
    }

    /// Notes merged cells, before their first one is put.
    pub(super) fn add_merge(&mut self, range: MergedRange) {
        if self.merges.len() < MERGES_MAX {
            self.merges.insert((range.top, range.left), range);
        }
    }

    /// Notes that a format was not followed.
    pub(super) fn note_unfollowed(&mut self, position: CellPosition) {
        self.notes.unfollowed_columns.entry(position.1).or_insert(position.0 as u64 + 1);
    }

    /// Ends the rows before this one.
    pub(super) fn begin_row(&mut self, row: usize, is_hidden: bool) -> Result<(), CellWriteError> {
        if row < self.row {
            return Err(CellWriteError::OutOfOrder);
        }
        if row >= self.end {
            self.has_stopped = self.end < ROWS_MAX;
            return Err(CellWriteError::TooFar((row, 0)));
        }
        while self.row < row {
            self.end_row()?;
            self.row += 1;
        }
        self.is_row_hidden = is_hidden;
        Ok(())
    }

    /// Puts a cell into the current row.
    pub(super) fn put_cell(&mut self, column: usize, text: Vec<u8>) -> Result<(), CellWriteError> {
        if text.is_empty() {
            return Ok(());
        }
        let position = (self.row, column);
        if column >= CELLS_MAX {
            return Err(CellWriteError::TooFar(position));
        }
        self.cells_written += 1;
        if self.cells_written > CELLS_WRITTEN_MAX {
            return Err(CellWriteError::TooManyCells);
        }
        self.text_bytes += text.len() as u64;
        if self.text_bytes > TEXT_BYTES_MAX {
            return Err(CellWriteError::TooMuchText(self.row));
        }
        // The reader of the copy reports this row. More of it would only take memory.
        if self.row_bytes > RECORD_BYTES_MAX {
            return Ok(());
        }
        self.row_bytes += text.len();
        if let Some(range) = self.merges.remove(&position) {
            self.notes.merges.push(range);
        }
        self.cells.resize(self.cells.len().max(column + 1), Vec::new());
        self.cells[column] = text;
        Ok(())
    }

    /// Ends the last row.
    pub(super) fn finish(mut self) -> Result<(File, WorksheetNotes), CellWriteError> {
        self.end_row()?;
        let file = self.writer.into_inner();
        let file = file.map_err(|err| CellWriteError::Io(err.into_error()))?;
        Ok((file, self.notes))
    }

    /// Writes the current row, at least as wide as the headings.
    fn end_row(&mut self) -> Result<(), CellWriteError> {
        if self.cells.is_empty() {
            // A record with one empty cell counts as a blank row.
            return self.write_record(vec![Vec::new()]);
        }
        if self.width == 0 && self.heading_row.is_none_or(|row| row <= self.row) {
            self.width = self.cells.len();
        }
        let number = self.row as u64 + 1;
        self.notes.filled_rows.push(number);
        if self.is_row_hidden {
            self.notes.hidden_rows.push(number);
        }
        let mut cells = std::mem::take(&mut self.cells);
        self.row_bytes = 0;
        cells.resize(cells.len().max(self.width), Vec::new());
        self.separators_written += cells.len() as u64;
        if self.separators_written > SEPARATORS_MAX {
            return Err(CellWriteError::TooManyCells);
        }
        self.write_record(cells)
    }

    fn write_record(&mut self, cells: Vec<Vec<u8>>) -> Result<(), CellWriteError> {
        self.writer.write_record(cells).map_err(|err| CellWriteError::Io(err.into()))
    }
}

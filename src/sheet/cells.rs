//! Decodes a record into the cells of a row, or into the problem that prevents it.
//!
//! Invariant: a row has exactly one UTF-8 cell per heading. Cells are never added or cut off: a
//! guess could put a text into the wrong field of a paid video.

use std::borrow::Cow;

use super::csv_conversion::RowOrigin;
use super::heading_match::{HeadingRepeat, HeadingSet};
use super::problem::SheetProblem;
use super::records::{CELL_BYTES_MAX, CELLS_MAX, CsvRecord, RECORD_BYTES_MAX, RecordDamage};
use super::results_columns::VARIANT_COLUMN;
use crate::text::unescape_formula;

/// The shape that a record must have to be a row.
#[derive(Debug)]
pub(super) struct RowShape {
    pub(super) headings: Vec<String>,
    pub(super) heading_set: HeadingSet,
    pub(super) origin: RowOrigin,
    /// The number of report columns after those of the sheet.
    pub(super) report_columns: usize,
}

/// The cells of one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowCells<'r> {
    pub(super) row: u64,
    text: &'r str,
    ends: &'r [usize],
    is_report: bool,
    /// In a report: the variant of this line.
    pub(super) variant: Option<&'r str>,
}

impl<'r> RowCells<'r> {
    /// Decodes an undamaged record with any number of cells.
    ///
    /// # Errors
    ///
    /// The index of the first cell that is not UTF-8.
    pub(super) fn decode(record: &'r CsvRecord) -> Result<Self, usize> {
        let (bytes, ends) = record.parts();
        match str::from_utf8(bytes) {
            // Two halves of a character in neighbouring cells are valid UTF-8 together.
            Ok(text) if ends.iter().all(|end| text.is_char_boundary(*end)) => {
                Ok(Self { row: record.position.row, text, ends, is_report: false, variant: None })
            }
            Ok(_) | Err(_) => {
                let starts = [0].into_iter().chain(ends.iter().copied());
                let mut cells = starts.zip(ends).map(|(start, end)| &bytes[start..*end]);
                Err(cells.position(|cell| str::from_utf8(cell).is_err()).unwrap_or(0))
            }
        }
    }

    /// Returns the cell in this column.
    pub(super) fn get(&self, column: usize) -> Cow<'r, str> {
        let cell = self.raw_text(column);
        if self.is_report { unescape_formula(cell) } else { Cow::Borrowed(cell) }
    }

    fn raw_text(&self, column: usize) -> &'r str {
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[column]]
    }

    /// Returns the cells without those of the report columns.
    fn without_report_columns(self, columns: usize) -> Self {
        let is_report = columns > 0;
        let own = self.ends.len() - columns;
        let variant = is_report.then(|| self.raw_text(own + VARIANT_COLUMN));
        let variant = variant.filter(|name| !name.is_empty());
        Self { ends: &self.ends[..own], is_report, variant, ..self }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Cow<'r, str>> {
        (0..self.ends.len()).map(|column| self.get(column))
    }
}

impl RowShape {
    pub(super) fn new(headings: Vec<String>, origin: RowOrigin, report_columns: usize) -> Self {
        let heading_set = HeadingSet::new(&headings);
        Self { headings, heading_set, origin, report_columns }
    }

    /// The shape of the heading row itself.
    pub(super) fn without_headings(origin: RowOrigin) -> Self {
        Self::new(Vec::new(), origin, 0)
    }

    /// Decodes a record as a row.
    pub(super) fn decode_row<'r>(
        &self,
        record: &'r CsvRecord,
    ) -> Result<RowCells<'r>, SheetProblem> {
        if let Some(damage) = record.damage {
            let problem = self.damage_problem(record.position.row, damage);
            let hides_rows = damage.can_hide_rows(record);
            return Err(if hides_rows { problem.with_hidden_rows() } else { problem });
        }
        let cells = RowCells::decode(record).map_err(|column| {
            self.origin.undecodable_cell_problem(record, column).with_column(column, &self.headings)
        })?;
        if cells.len() != self.headings.len() + self.report_columns {
            return Err(self.cell_count_problem(&cells));
        }
        let cells = cells.without_report_columns(self.report_columns);
        match self.heading_set.find_repeat(cells.iter()) {
            None => Ok(cells),
            Some(repeat) => Err(repeated_headings_problem(cells.row, repeat)),
        }
    }

    /// Returns the readable cells of an invalid record, so that the user can fix it: parallel to the
    /// headings, with surplus cells appended to the last one. Damaged cells stay empty: they may
    /// contain the text of other rows.
    pub(super) fn readable_cells(&self, record: &CsvRecord) -> Vec<String> {
        let columns = self.headings.len();
        let is_whole = match record.damage {
            None => true,
            Some(damage) => {
                matches!(damage, RecordDamage::StrayText { .. }) && !damage.can_hide_rows(record)
            }
        };
        if !is_whole {
            return vec![String::new(); columns];
        }
        let text = |column| str::from_utf8(record.cell(column)).unwrap_or_default();
        let own = |column| {
            if self.report_columns > 0 {
                unescape_formula(text(column))
            } else {
                Cow::Borrowed(text(column))
            }
        };
        let count = record.parts().1.len();
        let mut cells: Vec<String> =
            (0..count.min(columns)).map(|at| own(at).into_owned()).collect();
        cells.resize(columns, String::new());
        // In a report, the surplus cells are those of the report columns.
        if let (Some(last), 0) = (cells.last_mut(), self.report_columns) {
            for column in columns..count {
                last.push(char::from(self.origin.delimiter().byte));
                last.push_str(text(column));
            }
        }
        cells
    }

    fn cell_count_problem(&self, cells: &RowCells<'_>) -> SheetProblem {
        let (has, should) = (cells.len(), self.headings.len() + self.report_columns);
        if self.origin == RowOrigin::Workbook {
            return SheetProblem::for_row(
                cells.row,
                "the row has cells to the right of the last heading",
                "add a heading to this column, or clear these cells",
            )
            .with_column(should, &[]);
        }
        let noun = if has == 1 { "cell" } else { "cells" };
        let message = format!("{has} {noun} where the heading row has {should}");
        let delimiter = self.origin.delimiter().name;
        let help = if cells.text.contains(['\n', '\r']) {
            "a quote that opens in this row is probably closed too late; write a quote within a text \
             twice"
                .to_owned()
        } else if has > should {
            format!("put text that contains a {delimiter} in quotes")
        } else {
            format!("a {delimiter} is missing, or a text with a line break is not in quotes")
        };
        SheetProblem::for_row(cells.row, message, help)
    }

    /// Returns the problem of a damaged record.
    pub(super) fn damage_problem(&self, row: u64, damage: RecordDamage) -> SheetProblem {
        match damage {
            RecordDamage::OpenQuote { column } => SheetProblem::for_row(
                row,
                "a quote opens here and is never closed, so the rest of the sheet is lost",
                "close it, or delete it; write a quote within a text twice",
            )
            .with_column(column, &self.headings),
            RecordDamage::StrayText { column } => SheetProblem::for_row(
                row,
                "text follows the quote that closes this cell",
                "if the cell contains the rows below, close its quote where the text ends; write a \
                 quote within a text twice",
            )
            .with_column(column, &self.headings),
            RecordDamage::LongCell { column } => SheetProblem::for_row(
                row,
                format!("this cell contains more than {} MB", CELL_BYTES_MAX >> 20),
                "shorten it; if it should be short, a quote before it may not be closed",
            )
            .with_column(column, &self.headings),
            RecordDamage::LongRecord => SheetProblem::for_row(
                row,
                format!("this row contains more than {} MB", RECORD_BYTES_MAX >> 20),
                "shorten it; if it should be short, a quote in it may not be closed",
            ),
            RecordDamage::ManyCells => SheetProblem::for_row(
                row,
                format!("this row has more than {CELLS_MAX} cells"),
                "delete the columns that are not needed",
            ),
        }
    }
}

fn repeated_headings_problem(row: u64, repeat: HeadingRepeat) -> SheetProblem {
    match repeat {
        HeadingRepeat::SameOrder => SheetProblem::for_row(
            row,
            "this row repeats the headings",
            "delete it; it is left over where two sheets were joined",
        ),
        HeadingRepeat::OtherOrder => SheetProblem::for_row(
            row,
            "this row repeats the headings in another order, so the cells below are in other columns",
            "sort the columns of the rows below as in the heading row, and delete this row",
        )
        .with_hidden_rows(),
    }
}

//! Scans the XML of an XLSX worksheet for what calamine does not report.

use std::io::BufRead;

use quick_xml::events::{BytesStart, Event};

use super::row_ranges::RowRanges;
use super::writer::{CellWriteError, ROWS_MAX};
use super::{
    CellPosition, MergedRange, attribute, damaged_workbook_problem, limit_problem, xml_problem,
};
use crate::sheet::problem::SheetProblem;
use crate::sheet::records::CELLS_MAX;
use crate::sheet::workbook::xml_guard::WorkbookLimit;

/// More formulas without a value mean that the workbook was never calculated.
const FORMULAS_MAX: usize = 1_000_000;
/// The last column of a spreadsheet.
const COLUMNS_MAX: usize = 16_384;

/// What a worksheet contains beside its cells.
#[derive(Debug, Default)]
pub(super) struct WorksheetScan {
    /// From 1.
    pub(super) hidden_rows: RowRanges,
    pub(super) merges: Vec<MergedRange>,
    /// In the order of the cells.
    pub(super) formulas_without_value: Vec<CellPosition>,
    /// Whether calamine would fail on the `<dimension>`.
    pub(super) is_dimension_odd: bool,
}

/// The cell that is being read.
#[derive(Debug, Default)]
struct ScannedCell {
    position: CellPosition,
    is_text: bool,
    has_formula: bool,
    has_value: bool,
    is_in_value: bool,
}

#[derive(Debug, Default)]
struct ScanCursor {
    row: usize,
    column: usize,
    cell: ScannedCell,
}

/// Reads the whole part.
pub(super) fn scan_worksheet(
    part: &mut impl BufRead,
    name: &str,
) -> Result<WorksheetScan, SheetProblem> {
    let mut xml = quick_xml::Reader::from_reader(part);
    let config = xml.config_mut();
    (config.expand_empty_elements, config.check_end_names) = (true, false);
    let (mut scan, mut cursor) = (WorksheetScan::default(), ScanCursor::default());
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer).map_err(|err| xml_problem(&err, name))? {
            Event::Start(tag) => scan.start_tag(&tag, &mut cursor)?,
            Event::End(tag) => match tag.local_name().as_ref() {
                "row" => (cursor.row, cursor.column) = (cursor.row + 1, 0),
                "v" => cursor.cell.is_in_value = false,
                "c" => scan.end_cell(&mut cursor)?,
                _ => {}
            },
            Event::Text(_) | Event::GeneralRef(_) | Event::CData(_) if cursor.cell.is_in_value => {
                cursor.cell.has_value = true;
            }
            Event::Eof => return Ok(scan),
            _ => {}
        }
    }
}

impl WorksheetScan {
    fn start_tag(
        &mut self,
        tag: &BytesStart<'_>,
        cursor: &mut ScanCursor,
    ) -> Result<(), SheetProblem> {
        match tag.local_name().as_ref() {
            "dimension" => {
                let range = attribute(tag, "ref").and_then(|text| MergedRange::parse(&text));
                self.is_dimension_odd = range.is_none();
            }
            "row" => {
                if let Some(number) = attribute(tag, "r") {
                    cursor.row = parse_row(&number).ok_or_else(damaged_workbook_problem)?;
                }
                let is_hidden = attribute(tag, "hidden").is_some_and(|hidden| is_true(&hidden));
                if is_hidden {
                    self.hidden_rows.push(cursor.row as u64 + 1);
                }
            }
            "c" => {
                if let Some(reference) = attribute(tag, "r") {
                    let position = parse_reference(&reference);
                    (cursor.row, cursor.column) = position.ok_or_else(damaged_workbook_problem)?;
                }
                cursor.cell = ScannedCell {
                    position: (cursor.row, cursor.column),
                    is_text: attribute(tag, "t").as_deref() == Some("str"),
                    ..ScannedCell::default()
                };
            }
            "f" => cursor.cell.has_formula = true,
            "is" => cursor.cell.has_value = true,
            "v" => {
                cursor.cell.is_in_value = true;
                // The empty text is a value of a formula, an empty number is not.
                cursor.cell.has_value |= cursor.cell.is_text;
            }
            "mergeCell" => {
                self.merges
                    .extend(attribute(tag, "ref").and_then(|text| MergedRange::parse(&text)));
            }
            _ => {}
        }
        Ok(())
    }

    fn end_cell(&mut self, cursor: &mut ScanCursor) -> Result<(), SheetProblem> {
        cursor.column += 1;
        let cell = &cursor.cell;
        let (row, column) = cell.position;
        if cell.has_value && (column >= CELLS_MAX || row >= ROWS_MAX) {
            return Err(CellWriteError::TooFar(cell.position).to_problem());
        }
        if cell.has_formula && !cell.has_value {
            if self.formulas_without_value.len() >= FORMULAS_MAX {
                return Err(limit_problem(WorkbookLimit::Formulas, None));
            }
            self.formulas_without_value.push(cell.position);
        }
        Ok(())
    }
}

fn is_true(text: &str) -> bool {
    matches!(text, "1" | "true")
}

fn parse_row(number: &str) -> Option<usize> {
    number.parse::<usize>().ok()?.checked_sub(1).filter(|row| *row < 4 * ROWS_MAX)
}

/// Parses a reference such as `C7`, with or without dollar signs.
pub(super) fn parse_reference(text: &str) -> Option<CellPosition> {
    let text = text.replace('$', "");
    let digits = text.find(|letter: char| letter.is_ascii_digit())?;
    let (letters, number) = text.split_at(digits);
    if letters.is_empty() || letters.len() > 3 {
        return None;
    }
    let mut column = 0;
    for letter in letters.bytes() {
        let letter = letter.to_ascii_uppercase();
        if !letter.is_ascii_uppercase() {
            return None;
        }
        column = column * 26 + usize::from(letter - b'A') + 1;
    }
    let column = column.checked_sub(1).filter(|column| *column < COLUMNS_MAX)?;
    Some((parse_row(number)?, column))
}

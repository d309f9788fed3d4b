//! Copies a worksheet of an XLSX file.
//!
//! calamine reads the cells; a scan before it finds what calamine does not report: hidden rows, merged
//! cells, formulas that were never calculated, and a `<dimension>` on which it fails although nothing
//! needs it. Invariant: a formula without a value is neither spoken nor read as an empty cell.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};

use calamine::{Data, Reader as _, SheetType, SheetVisible, Xlsx};
use zip::write::SimpleFileOptions;

use super::archive::{self, open_archive, open_part};
use super::number_format::DateEpoch;
use super::value::{self, CellFormatRule};
use super::worksheet_scan::{WorksheetScan, scan_worksheet};
use super::writer::WorksheetWriter;
use super::{WorksheetName, damaged_workbook_problem, xlsx_parts};
use crate::sheet::problem::SheetProblem;
use crate::sheet::source::copy_problem;

type XlsxBook<'f> = Xlsx<BufReader<&'f File>>;

/// The beginning of a worksheet, up to its cells.
const HEAD_BYTES_MAX: usize = 1 << 20;

/// Returns the worksheets, in the order of their tabs.
pub(super) fn list_worksheets(file: &File) -> Result<Vec<WorksheetName>, SheetProblem> {
    let book = open_book(file)?;
    let worksheets = book.sheets_metadata().iter().filter(|one| one.typ == SheetType::WorkSheet);
    let name = |one: &calamine::Sheet| WorksheetName {
        name: one.name.clone(),
        is_visible: one.visible == SheetVisible::Visible,
    };
    Ok(worksheets.map(name).collect())
}

/// Copies the worksheet of this name.
pub(super) fn copy_cells(
    file: &File,
    name: &str,
    rows: &mut WorksheetWriter,
) -> Result<(), SheetProblem> {
    let part = xlsx_parts::worksheet_part(file, name)?;
    let scan = match &part {
        Some(part) => scan_worksheet(&mut open_part(&mut open_archive(file)?, part)?, part)?,
        None => WorksheetScan::default(),
    };
    match part.filter(|_| scan.is_dimension_odd) {
        Some(part) => {
            let repaired = without_dimension(file, &part)?;
            copy_book(&mut open_book(&repaired)?, name, &scan, rows)
        }
        None => copy_book(&mut open_book(file)?, name, &scan, rows),
    }
}

fn open_book(mut file: &File) -> Result<XlsxBook<'_>, SheetProblem> {
    io::Seek::rewind(&mut file).map_err(|_| damaged_workbook_problem())?;
    Xlsx::new(BufReader::new(file)).map_err(|_| damaged_workbook_problem())
}

fn copy_book(
    book: &mut XlsxBook<'_>,
    name: &str,
    scan: &WorksheetScan,
    rows: &mut WorksheetWriter,
) -> Result<(), SheetProblem> {
    let epoch = if book.has_1904_epoch() { DateEpoch::Year1904 } else { DateEpoch::Year1900 };
    let mut cells = book.worksheet_cells_reader(name).map_err(|_| damaged_workbook_problem())?;
    let mut formats: HashMap<usize, CellFormatRule> = HashMap::new();
    let mut without_value = scan.formulas_without_value.iter().peekable();
    scan.merges.iter().for_each(|range| rows.add_merge(range.clone()));
    while let Some((cell, style)) =
        cells.next_cell_with_style_id().map_err(|_| damaged_workbook_problem())?
    {
        let (row, column) = cell.get_position();
        let position = (row as usize, column as usize);
        let is_hidden = scan.hidden_rows.contains(u64::from(row) + 1);
        rows.begin_row(position.0, is_hidden).map_err(|err| err.to_problem())?;
        if without_value.next_if(|next| **next == position).is_some() {
            rows.put_cell(position.1, value::error_cell("")).map_err(|err| err.to_problem())?;
            continue;
        }
        let format = formats.entry(style).or_insert_with(|| {
            let style = cells.styles().get(style).and_then(|style| style.number_format.as_ref());
            CellFormatRule::new(style.map(|format| format.format_code.as_str()))
        });
        let text = value::cell_text(&Data::from(cell.get_value().clone()), format, epoch);
        if !text.is_followed {
            rows.note_unfollowed(position);
        }
        rows.put_cell(position.1, text.bytes).map_err(|err| err.to_problem())?;
    }
    Ok(())
}

/// Copies a workbook with a harmless `<dimension>` in one part.
fn without_dimension(file: &File, part: &str) -> Result<File, SheetProblem> {
    let mut from = open_archive(file)?;
    let to = tempfile::tempfile().map_err(|err| copy_problem(&err))?;
    let mut to = zip::ZipWriter::new(to);
    for index in 0..from.len() {
        let entry = from.by_index_raw(index).map_err(|_| damaged_workbook_problem())?;
        if entry.name().is_ok_and(|name| name != part) {
            to.raw_copy_file(entry).map_err(|_| damaged_workbook_problem())?;
        }
    }
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    to.start_file(part, stored).map_err(|_| damaged_workbook_problem())?;
    let mut content = open_part(&mut from, part)?;
    copy_without_dimension(&mut content, &mut to)
        .map_err(|err| archive::read_problem(&err, part))?;
    to.finish().map_err(|_| damaged_workbook_problem())
}

fn copy_without_dimension(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut head = Vec::new();
    let find = |text: &[u8], word: &[u8]| text.windows(word.len()).position(|at| at == word);
    while head.len() < HEAD_BYTES_MAX && find(&head, b"sheetData").is_none() {
        if from.by_ref().take(4096).read_to_end(&mut head)? == 0 {
            break;
        }
    }
    if let Some(at) = find(&head, b"dimension")
        && let Some(length) = head[at..].iter().position(|byte| *byte == b'>')
    {
        let is_empty = head[at..at + length].ends_with(b"/");
        let attributes = at + b"dimension".len()..at + length - usize::from(is_empty);
        head.splice(attributes, b" ref=\"A1\"".iter().copied());
    }
    to.write_all(&head)?;
    io::copy(from, to).map(|_| ())
}

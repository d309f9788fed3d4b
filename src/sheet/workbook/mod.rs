//! Copies one worksheet of an XLSX or ODS file to CSV, as it is displayed.
//!
//! Every row becomes one record, including empty ones, so that rows keep their numbers. Invariants: a
//! cell with an error, or with a formula without a value, becomes bytes that never occur in UTF-8, so
//! that it is reported with its position and never spoken; no workbook, however it was made, takes more
//! memory than its limits allow.

mod archive;
mod number_format;
mod ods;
mod row_ranges;
#[cfg(test)]
mod tests;
mod value;
mod worksheet_scan;
mod writer;
mod xlsx;
mod xlsx_parts;
mod xml_guard;

use std::borrow::Cow;
use std::fs::File;

use quick_xml::escape::unescape;
use quick_xml::events::BytesStart;

use self::archive::WorkbookKind;
use self::writer::WorksheetWriter;
use self::xml_guard::WorkbookLimit;
use super::SheetSpec;
use super::heading_match;
use super::heading_search::ROWS_SEARCHED;
use super::problem::{SheetColumn, SheetProblem, shorten_for_message};

pub(super) use self::row_ranges::RowRanges;
pub(super) use self::writer::WorksheetNotes;

/// Precedes the name of a cell's error; alone, it marks a formula without a value. Never occurs in
/// UTF-8.
pub(super) const ERROR_MARKER: u8 = 0xfe;
/// Worksheets listed if the wanted one does not exist.
const LISTED_WORKSHEETS_MAX: usize = 8;

/// The row and the column of a cell, from 0.
type CellPosition = (usize, usize);

/// The worksheet that rows are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worksheet {
    /// Its name, as on its tab.
    pub name: String,
    /// Whether it was chosen as the first visible one, without a name in the batch file.
    pub is_guess: bool,
    /// The other visible worksheets, which are not read.
    pub others: Vec<String>,
}

/// A worksheet as CSV.
pub(super) struct WorksheetCopy {
    pub(super) file: File,
    pub(super) worksheet: Worksheet,
    pub(super) notes: WorksheetNotes,
}

/// Merged cells, from 0. Only the first one has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MergedRange {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) bottom: usize,
    pub(super) right: usize,
}

/// A worksheet of a workbook.
struct WorksheetName {
    name: String,
    is_visible: bool,
}

impl MergedRange {
    /// Parses a range such as `C2:C4`, or one cell.
    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let (top, left) = worksheet_scan::parse_reference(first)?;
        let (bottom, right) = worksheet_scan::parse_reference(last)?;
        (top <= bottom && left <= right).then_some(Self { top, left, bottom, right })
    }

    /// Returns the range as the spreadsheet writes it.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", cell_name((self.top, self.left)), cell_name((self.bottom, self.right)))
    }
}

/// Copies the worksheet of this name, or the first.
pub(super) fn copy_worksheet(
    file: &File,
    want: &SheetSpec<'_>,
    to: File,
) -> Result<WorksheetCopy, SheetProblem> {
    let kind = archive::check_archive(file)?;
    let worksheet = choose_worksheet(&list_worksheets(file, kind)?, want.worksheet)?;
    let mut rows = WorksheetWriter::new(to, want.header_row);
    match kind {
        WorkbookKind::Xlsx => xlsx::copy_cells(file, &worksheet.name, &mut rows)?,
        WorkbookKind::Ods => ods::copy_cells(file, &worksheet.name, &mut rows)?,
    }
    let (file, notes) = rows.finish().map_err(|err| err.to_problem())?;
    Ok(WorksheetCopy { file, worksheet, notes })
}

/// Copies the first rows of another worksheet of a workbook that was copied before.
pub(super) fn copy_first_rows(file: &File, name: &str, to: File) -> Result<File, SheetProblem> {
    let mut rows = WorksheetWriter::new(to, None);
    rows.stop_behind(ROWS_SEARCHED);
    let copied = match archive::check_archive(file)? {
        WorkbookKind::Xlsx => xlsx::copy_cells(file, name, &mut rows),
        WorkbookKind::Ods => ods::copy_cells(file, name, &mut rows),
    };
    if !rows.has_stopped() {
        copied?;
    }
    let (file, _) = rows.finish().map_err(|err| err.to_problem())?;
    Ok(file)
}

fn list_worksheets(file: &File, kind: WorkbookKind) -> Result<Vec<WorksheetName>, SheetProblem> {
    match kind {
        WorkbookKind::Xlsx => xlsx::list_worksheets(file),
        WorkbookKind::Ods => ods::list_worksheets(file),
    }
}

fn choose_worksheet(
    all: &[WorksheetName],
    wanted: Option<&str>,
) -> Result<Worksheet, SheetProblem> {
    let names: Vec<String> = all.iter().map(|one| one.name.clone()).collect();
    let visible = all.iter().filter(|one| one.is_visible).map(|one| &one.name);
    let name = match wanted {
        Some(wanted) => {
            let exact = names.iter().find(|name| *name == wanted);
            let like = heading_match::matching_headings(wanted, &names);
            let like = if let [only] = like[..] { names.get(only) } else { None };
            exact.or(like).ok_or_else(|| unknown_worksheet_problem(wanted, &names))?
        }
        None => visible.clone().next().or(names.first()).ok_or_else(|| {
            SheetProblem::for_sheet(
                "the workbook has no worksheet",
                "save the table as \"CSV UTF-8\"",
            )
        })?,
    };
    let others = visible.filter(|other| *other != name).cloned().collect();
    Ok(Worksheet { name: name.clone(), is_guess: wanted.is_none(), others })
}

fn unknown_worksheet_problem(wanted: &str, names: &[String]) -> SheetProblem {
    let listed = names
        .iter()
        .take(LISTED_WORKSHEETS_MAX)
        .map(|name| format!("`{}`", shorten_for_message(name)));
    let listed = listed.collect::<Vec<_>>().join(", ");
    let more = if names.len() > LISTED_WORKSHEETS_MAX { " …" } else { "" };
    SheetProblem::for_sheet(
        format!(
            "the workbook has no worksheet `{}`, which `worksheet` names",
            shorten_for_message(wanted)
        ),
        format!("its worksheets are: {listed}{more}"),
    )
}

/// Returns the name of a cell, such as `C7`.
fn cell_name(position: CellPosition) -> String {
    let (row, column) = position;
    format!("{}{}", SheetColumn { index: column, heading: None }.letter(), row + 1)
}

/// Returns an attribute; `None` if it is missing or damaged.
fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let value = tag.try_get_attribute(name).ok()??.value;
    unescape(&value).ok().map(Cow::into_owned)
}

/// Returns the problem of a part that is invalid, or above a limit.
fn xml_problem(err: &quick_xml::Error, part: &str) -> SheetProblem {
    match err {
        quick_xml::Error::Io(err) => archive::read_problem(err, part),
        _ => damaged_workbook_problem(),
    }
}

fn limit_problem(limit: WorkbookLimit, part: Option<&str>) -> SheetProblem {
    let place = part.map(|part| format!(" (in `{}`)", shorten_for_message(part)));
    SheetProblem::for_sheet(
        format!("{limit}{}", place.unwrap_or_default()),
        "delete what is not needed and save it again, or save the table as \"CSV UTF-8\"",
    )
}

fn damaged_workbook_problem() -> SheetProblem {
    SheetProblem::for_sheet(
        "the sheet looks like a workbook, but is damaged, or neither XLSX nor ODS",
        "open it in the spreadsheet and save it again, as XLSX or as \"CSV UTF-8\"",
    )
}

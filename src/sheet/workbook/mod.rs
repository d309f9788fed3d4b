//! Copies one worksheet of an XLSX or ODS file to CSV.
//!
//! Every row becomes one record, including empty ones, so that rows keep their numbers. XLSX is
//! streamed, except for the table of shared strings; ODS is held in memory while it is copied.
//! Invariant: a cell with an error, or with a formula without a value, becomes bytes that never occur
//! in UTF-8, so that it is reported with its position and never spoken.

mod formula_errors;
mod value;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};

use calamine::{Data, Ods, OdsError, Reader, SheetType, SheetVisible, Xlsx};

use super::heading_match;
use super::problem::{SheetProblem, shorten_for_message};
use super::source::copy_problem;
use formula_errors::CellPosition;

/// Precedes the name of a cell's error; alone, it marks a formula without a value. Never occurs in
/// UTF-8.
pub(super) const ERROR_MARKER: u8 = 0xfe;
/// Worksheets listed if the wanted one does not exist.
const LISTED_WORKSHEETS_MAX: usize = 8;

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

/// Copies the worksheet of this name, or the first.
pub(super) fn copy_worksheet(
    file: &File,
    wanted: Option<&str>,
    to: File,
) -> Result<(File, Worksheet), SheetProblem> {
    let mut rows = WorksheetWriter::new(to);
    let worksheet = match Xlsx::new(BufReader::new(file)) {
        Ok(mut book) => {
            let worksheet = choose_worksheet(book.sheets_metadata(), wanted)?;
            let has_blanks = copy_xlsx(&mut book, &worksheet.name, &HashSet::new(), &mut rows)?;
            if has_blanks {
                let blank = formula_errors::formulas_without_value(&mut book, &worksheet.name);
                let blank = blank.map_err(|_| damaged_workbook_problem())?;
                if !blank.is_empty() {
                    rows = rows.restart().map_err(|err| copy_problem(&err))?;
                    copy_xlsx(&mut book, &worksheet.name, &blank, &mut rows)?;
                }
            }
            worksheet
        }
        Err(_) => {
            let mut file = file;
            file.seek(SeekFrom::Start(0)).map_err(|_| damaged_workbook_problem())?;
            let mut book = Ods::new(BufReader::new(file)).map_err(|err| workbook_problem(&err))?;
            let worksheet = choose_worksheet(book.sheets_metadata(), wanted)?;
            copy_ods(&mut book, file, &worksheet.name, &mut rows)?;
            worksheet
        }
    };
    rows.end_row().map_err(|err| copy_problem(&err))?;
    let file = rows.writer.into_inner().map_err(|err| copy_problem(err.error()))?;
    Ok((file, worksheet))
}

/// Copies all cells; those in `blank` have a formula without a value. Returns whether any cell is
/// empty, so that it may have such a formula.
fn copy_xlsx(
    book: &mut Xlsx<BufReader<&File>>,
    name: &str,
    blank: &HashSet<CellPosition>,
    rows: &mut WorksheetWriter,
) -> Result<bool, SheetProblem> {
    let mut has_blanks = false;
    let mut cells = book.worksheet_cells_reader(name).map_err(|_| damaged_workbook_problem())?;
    while let Some((cell, style)) =
        cells.next_cell_with_style_id().map_err(|_| damaged_workbook_problem())?
    {
        let (row, column) = cell.get_position();
        let style = cells.styles().get(style).and_then(|style| style.number_format.as_ref());
        let format = style.map(|format| format.format_code.as_str());
        let position = (row as usize, column as usize);
        let value = Data::from(cell.get_value().clone());
        has_blanks |= value == Data::Empty;
        let text = match blank.contains(&position) {
            true => value::error_cell(""),
            false => value::cell_text(&value, format),
        };
        rows.put_cell(position, text).map_err(|err| err.to_problem())?;
    }
    Ok(has_blanks)
}

fn copy_ods(
    book: &mut Ods<BufReader<&File>>,
    file: &File,
    name: &str,
    rows: &mut WorksheetWriter,
) -> Result<(), SheetProblem> {
    let range = book.worksheet_range(name).map_err(|err| workbook_problem(&err))?;
    let formulas = book.worksheet_formula(name).map_err(|err| workbook_problem(&err))?;
    let errors = match formulas.is_empty() {
        true => HashMap::new(),
        false => formula_errors::error_cells(file, name).ok_or_else(damaged_workbook_problem)?,
    };
    let (top, left) = range.start().unwrap_or_default();
    let formula = |(row, column): CellPosition| {
        let position = (u32::try_from(row).ok()?, u32::try_from(column).ok()?);
        formulas.get_value(position).filter(|formula| !formula.is_empty())
    };
    for (row, column, value) in range.cells() {
        let position = (top as usize + row, left as usize + column);
        let text = match (errors.get(&position), value) {
            (Some(error), _) => value::error_cell(error),
            (None, Data::Empty) if formula(position).is_none() => continue,
            (None, Data::Empty) => value::error_cell(""),
            (None, value) => value::cell_text(value, None),
        };
        rows.put_cell(position, text).map_err(|err| err.to_problem())?;
    }
    Ok(())
}

fn choose_worksheet(
    all: &[calamine::Sheet],
    wanted: Option<&str>,
) -> Result<Worksheet, SheetProblem> {
    let worksheets = all.iter().filter(|one| one.typ == SheetType::WorkSheet);
    let names: Vec<String> = worksheets.clone().map(|one| one.name.clone()).collect();
    let visible =
        worksheets.filter(|one| one.visible == SheetVisible::Visible).map(|one| &one.name);
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

fn csv_writer(to: File) -> csv::Writer<File> {
    csv::WriterBuilder::new().flexible(true).from_writer(to)
}

/// Writes the rows of a worksheet to a file.
struct WorksheetWriter {
    writer: csv::Writer<File>,
    /// The current row, from 0.
    row: usize,
    cells: Vec<Vec<u8>>,
    /// The number of cells in the first row that is not empty.
    width: usize,
}

/// The reason why a cell could not be written.
enum CellWriteError {
    Io(io::Error),
    OutOfOrder,
}

impl CellWriteError {
    fn to_problem(&self) -> SheetProblem {
        match self {
            Self::Io(err) => copy_problem(err),
            Self::OutOfOrder => damaged_workbook_problem(),
        }
    }
}

impl WorksheetWriter {
    fn new(to: File) -> Self {
        Self { writer: csv_writer(to), row: 0, cells: Vec::new(), width: 0 }
    }

    /// Starts again with an empty file.
    fn restart(self) -> io::Result<Self> {
        let mut to = self.writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
        to.set_len(0)?;
        to.seek(SeekFrom::Start(0))?;
        Ok(Self::new(to))
    }

    fn put_cell(&mut self, position: CellPosition, text: Vec<u8>) -> Result<(), CellWriteError> {
        let (row, column) = position;
        if row < self.row {
            return Err(CellWriteError::OutOfOrder);
        }
        while self.row < row {
            self.end_row().map_err(CellWriteError::Io)?;
            self.row += 1;
        }
        if !text.is_empty() {
            self.cells.resize(self.cells.len().max(column + 1), Vec::new());
            self.cells[column] = text;
        }
        Ok(())
    }

    /// Writes the current row, at least as wide as the headings.
    fn end_row(&mut self) -> io::Result<()> {
        if self.width == 0 {
            self.width = self.cells.len();
        }
        if self.cells.is_empty() {
            // A record with one empty cell counts as a blank row.
            return Ok(self.writer.write_record([""])?);
        }
        self.cells.resize(self.cells.len().max(self.width), Vec::new());
        self.writer.write_record(&self.cells)?;
        self.cells.clear();
        Ok(())
    }
}

fn workbook_problem(err: &OdsError) -> SheetProblem {
    match err {
        OdsError::Password => SheetProblem::for_sheet(
            "the workbook is protected by a password",
            "save it without a password",
        ),
        _ => damaged_workbook_problem(),
    }
}

fn damaged_workbook_problem() -> SheetProblem {
    SheetProblem::for_sheet(
        "the sheet looks like a workbook, but is damaged, or neither XLSX nor ODS",
        "open it in the spreadsheet and save it again, as XLSX or as \"CSV UTF-8\"",
    )
}

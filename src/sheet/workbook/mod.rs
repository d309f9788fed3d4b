//! One worksheet of an XLSX or ODS, written out as CSV.
//!
//! Every row of the worksheet becomes one record, empty ones included, so that rows keep the
//! numbers that the spreadsheet shows. XLSX streams by, but for the table of texts that its cells
//! share; ODS is held in memory while it is copied. A cell that shows an error, or whose
//! formula has no value, becomes bytes that UTF-8 never has, so that it is told of in its place and
//! never spoken.

mod formula_errors;
mod value;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};

use calamine::{Data, Ods, OdsError, Reader, SheetType, SheetVisible, Xlsx};

use super::heading_match;
use super::problem::{SheetProblem, shorten_for_message};
use super::source::copy_problem;

/// Stands before the name of an error that a cell shows, and alone where a formula has no value.
/// UTF-8 never has it.
pub(super) const ERROR_MARKER: u8 = 0xfe;
/// So many worksheets are named to whoever asks for one that is not there.
const LISTED_WORKSHEETS_MAX: usize = 8;

/// The worksheet that rows are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worksheet {
    /// Its name, as on its tab.
    pub name: String,
    /// Nobody asked for it by name; it is the only one, or the first that can be seen.
    pub is_guess: bool,
    /// The others that can be seen, which are not read.
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

/// Copies all cells. Those of `blank` have a formula and no value. Returns whether there may be such,
/// for some cells hold nothing.
fn copy_xlsx(
    book: &mut Xlsx<BufReader<&File>>,
    name: &str,
    blank: &HashSet<(usize, usize)>,
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
        let place = (row as usize, column as usize);
        let value = Data::from(cell.get_value().clone());
        has_blanks |= value == Data::Empty;
        let text = match blank.contains(&place) {
            true => value::error_cell(""),
            false => value::cell_text(&value, format),
        };
        rows.put_cell(place, text).map_err(|err| err.to_problem())?;
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
    let formula = |(row, column): (usize, usize)| {
        let place = (u32::try_from(row).ok()?, u32::try_from(column).ok()?);
        formulas.get_value(place).filter(|formula| !formula.is_empty())
    };
    for (row, column, value) in range.cells() {
        let place = (top as usize + row, left as usize + column);
        let text = match (errors.get(&place), value) {
            (Some(error), _) => value::error_cell(error),
            (None, Data::Empty) if formula(place).is_none() => continue,
            (None, Data::Empty) => value::error_cell(""),
            (None, value) => value::cell_text(value, None),
        };
        rows.put_cell(place, text).map_err(|err| err.to_problem())?;
    }
    Ok(())
}

fn choose_worksheet(
    all: &[calamine::Sheet],
    wanted: Option<&str>,
) -> Result<Worksheet, SheetProblem> {
    let tables = all.iter().filter(|one| one.typ == SheetType::WorkSheet);
    let names: Vec<String> = tables.clone().map(|one| one.name.clone()).collect();
    let seen = tables.filter(|one| one.visible == SheetVisible::Visible).map(|one| &one.name);
    let name = match wanted {
        Some(wanted) => {
            let exact = names.iter().find(|name| *name == wanted);
            let like = heading_match::matching_headings(wanted, &names);
            let like = if let [only] = like[..] { names.get(only) } else { None };
            exact.or(like).ok_or_else(|| unknown_worksheet_problem(wanted, &names))?
        }
        None => seen.clone().next().or(names.first()).ok_or_else(|| {
            SheetProblem::for_sheet(
                "the workbook has no worksheet",
                "save the table as \"CSV UTF-8\"",
            )
        })?,
    };
    let others = seen.filter(|other| *other != name).cloned().collect();
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

/// The rows of a worksheet on their way into a file.
struct WorksheetWriter {
    writer: csv::Writer<File>,
    /// The row that is being gathered, from 0.
    row: usize,
    cells: Vec<Vec<u8>>,
    /// How far the first row with anything in it goes.
    width: usize,
}

/// Why a cell could not be taken.
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

    /// Begins once more, over what was written.
    fn restart(self) -> io::Result<Self> {
        let mut to = self.writer.into_inner().map_err(csv::IntoInnerError::into_error)?;
        to.set_len(0)?;
        to.seek(SeekFrom::Start(0))?;
        Ok(Self::new(to))
    }

    fn put_cell(
        &mut self,
        (row, column): (usize, usize),
        text: Vec<u8>,
    ) -> Result<(), CellWriteError> {
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

    /// Writes the row that has been gathered, as wide as the headings at least.
    fn end_row(&mut self) -> io::Result<()> {
        if self.width == 0 {
            self.width = self.cells.len();
        }
        if self.cells.is_empty() {
            // A record of one empty cell counts as a row, and is passed over like an empty line.
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
            "the workbook is locked with a password",
            "in the spreadsheet, save it without one",
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

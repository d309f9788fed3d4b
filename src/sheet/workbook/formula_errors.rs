//! Formulas without a usable value: ODS cells with an error, and formulas never calculated.
//!
//! An ODS file stores `#N/A` as the number 0 and marks it as an error; a program that writes XLSX
//! without calculating stores only the formula. Invariant: neither is spoken or read as an empty
//! cell. The search needs a second pass, so it runs only if there are formulas or empty cells.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, Seek, SeekFrom};
use std::rc::Rc;

use calamine::{DataRef, Xlsx, XlsxError};
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};

/// The row and the column of a cell, from 0.
pub(super) type CellPosition = (usize, usize);

/// Returns the cells of an XLSX that have a formula and no value.
pub(super) fn formulas_without_value(
    book: &mut Xlsx<BufReader<&File>>,
    name: &str,
) -> Result<HashSet<CellPosition>, XlsxError> {
    let mut cells = book.worksheet_cells_reader(name)?;
    let mut found = HashSet::new();
    while let Some(cell) = cells.next_cell_with_formula_metadata()? {
        if cell.formula.is_some() && cell.value == DataRef::Empty {
            found.insert((cell.pos.0 as usize, cell.pos.1 as usize));
        }
    }
    Ok(found)
}

/// Returns the cells of an ODS file with an error, and its text; `None` if the file is invalid.
pub(super) fn error_cells(mut file: &File, name: &str) -> Option<HashMap<CellPosition, Rc<str>>> {
    file.seek(SeekFrom::Start(0)).ok()?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).ok()?;
    let content = archive.by_name("content.xml").ok()?;
    let mut xml = quick_xml::Reader::from_reader(BufReader::new(content));
    // The settings of calamine, so that both read the same cells.
    let config = xml.config_mut();
    (config.expand_empty_elements, config.check_end_names) = (true, false);
    let (mut errors, mut buffer) = (HashMap::new(), Vec::new());
    let mut table = TableCursor::default();
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer).ok()? {
            Event::Start(tag) => match tag.name().0 {
                "table:table" => {
                    let is_wanted = attribute(&tag, "table:name")? == name;
                    table = TableCursor { is_wanted, ..TableCursor::default() };
                }
                "table:table-row" => {
                    table.rows_repeated = repeat_count(&tag, "table:number-rows-repeated")?;
                    table.column = 0;
                }
                "table:table-cell" | "table:covered-table-cell" if table.is_wanted => {
                    table.columns_repeated = repeat_count(&tag, "table:number-columns-repeated")?;
                    let is_error = attribute(&tag, "calcext:value-type")? == "error";
                    table.error_text = is_error.then(String::new);
                }
                _ => {}
            },
            Event::Text(text) => {
                if let Some(shown) = &mut table.error_text {
                    shown.push_str(&text.xml10_content());
                }
            }
            Event::End(tag) => match tag.name().0 {
                "table:table" if table.is_wanted => return Some(errors),
                "table:table-row" => table.row += table.rows_repeated,
                "table:table-cell" | "table:covered-table-cell" if table.is_wanted => {
                    errors.extend(table.end_cell());
                }
                _ => {}
            },
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// The position within a table.
#[derive(Default)]
struct TableCursor {
    is_wanted: bool,
    row: usize,
    column: usize,
    /// How often the current row and the current cell are repeated.
    rows_repeated: usize,
    columns_repeated: usize,
    /// The text of the current cell, if it has an error.
    error_text: Option<String>,
}

impl TableCursor {
    /// Ends a cell; returns its positions if it has an error.
    fn end_cell(&mut self) -> impl Iterator<Item = (CellPosition, Rc<str>)> + use<> {
        let columns = self.column..self.column.saturating_add(self.columns_repeated);
        let rows = self.row..self.row.saturating_add(self.rows_repeated);
        self.column = columns.end;
        let shown = self.error_text.take().map(|shown| Rc::from(shown.trim()));
        shown.into_iter().flat_map(move |shown: Rc<str>| {
            let columns = columns.clone();
            rows.clone().flat_map(move |row| {
                let shown = Rc::clone(&shown);
                columns.clone().map(move |column| ((row, column), Rc::clone(&shown)))
            })
        })
    }
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.try_get_attribute(name).ok()?;
    let value = found.map(|found| found.value).unwrap_or_default();
    unescape(&value).ok().map(Cow::into_owned)
}

fn repeat_count(tag: &BytesStart<'_>, name: &str) -> Option<usize> {
    match attribute(tag, name)?.as_str() {
        "" => Some(1),
        count => count.parse().ok(),
    }
}

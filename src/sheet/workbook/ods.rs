//! Copies a worksheet of an ODS file, as it is displayed.
//!
//! An ODS file holds the displayed text of every cell beside its value, so no number format is needed.
//! calamine reads the values and the whole file at once; this reader streams, and knows hidden rows and
//! merged cells. Invariant: a cell with an error, or with a formula without a value, is written as such,
//! and comments, shapes and readings above a text are no part of it.

use std::collections::HashSet;
use std::fs::File;

use quick_xml::events::{BytesRef, BytesStart, Event};

use super::archive::{open_archive, open_part, password_problem};
use super::number_format::format_general;
use super::writer::{CellWriteError, WorksheetWriter};
use super::xml_guard::WorkbookLimit;
use super::{
    MergedRange, WorksheetName, attribute, damaged_workbook_problem, limit_problem, value,
    xml_problem,
};
use crate::sheet::problem::SheetProblem;
use crate::sheet::records::{CELL_BYTES_MAX, CELLS_MAX, RECORD_BYTES_MAX};

const CONTENT: &str = "content.xml";
/// The most blanks that one element may stand for.
const BLANKS_MAX: usize = 10_000;
/// Worksheets, and styles of hidden ones, that are noted.
const WORKSHEETS_MAX: usize = 10_000;
/// Elements within a cell that are not part of its text.
const NOT_TEXT: &[&str] = &["office:annotation", "text:ruby-text", "table:table", "office:forms"];

/// Returns the worksheets, in the order of their tabs.
pub(super) fn list_worksheets(file: &File) -> Result<Vec<WorksheetName>, SheetProblem> {
    let (mut found, mut hidden_styles) = (Vec::new(), HashSet::new());
    let (mut style, mut depth) = (String::new(), 0);
    for_each_event(file, |event| {
        match event {
            Event::Start(tag) => match tag.name().0 {
                "style:style" => style = attribute(tag, "style:name").unwrap_or_default(),
                "style:table-properties"
                    if attribute(tag, "table:display").as_deref() == Some("false")
                        && hidden_styles.len() < WORKSHEETS_MAX =>
                {
                    hidden_styles.insert(style.clone());
                }
                "table:table" => {
                    depth += 1;
                    let own = attribute(tag, "table:style-name").unwrap_or_default();
                    let is_visible = !hidden_styles.contains(&own);
                    if depth == 1 {
                        let name = attribute(tag, "table:name").unwrap_or_default();
                        found.push(WorksheetName { name, is_visible });
                    }
                }
                _ => {}
            },
            Event::End(tag) if tag.name().0 == "table:table" => depth -= 1,
            _ => {}
        }
        Ok(found.len() < WORKSHEETS_MAX)
    })?;
    Ok(found)
}

/// Copies the worksheet of this name.
pub(super) fn copy_cells(
    file: &File,
    name: &str,
    rows: &mut WorksheetWriter,
) -> Result<(), SheetProblem> {
    let mut table = OdsTable::default();
    for_each_event(file, |event| table.read_event(event, name, rows))
}

/// Reads the content until `visit` returns false.
fn for_each_event(
    file: &File,
    mut visit: impl FnMut(&Event<'_>) -> Result<bool, SheetProblem>,
) -> Result<(), SheetProblem> {
    let mut archive = open_archive(file)?;
    let content = open_part(&mut archive, CONTENT)?;
    let mut xml = quick_xml::Reader::from_reader(content);
    let config = xml.config_mut();
    (config.expand_empty_elements, config.check_end_names) = (true, false);
    let mut buffer = Vec::new();
    let mut has_elements = false;
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer) {
            Ok(Event::Eof) if has_elements => return Ok(()),
            Ok(event) => {
                has_elements |= matches!(event, Event::Start(_));
                if matches!(event, Event::Eof) || !visit(&event)? {
                    return Ok(());
                }
            }
            // The content of an encrypted file is no XML.
            Err(_) if !has_elements => return Err(password_problem()),
            Err(err) => return Err(xml_problem(&err, CONTENT)),
        }
    }
}

/// The position within a table.
#[derive(Default)]
struct OdsTable {
    /// The tables around the position; only the outermost is read.
    depth: usize,
    is_wanted: bool,
    row: usize,
    column: usize,
    rows_repeated: usize,
    is_row_hidden: bool,
    /// The filled cells of the current row, and the bytes of their texts.
    cells: Vec<RepeatedCell>,
    row_bytes: usize,
    cell: Option<OdsCell>,
}

/// A text in one or more neighbouring columns.
struct RepeatedCell {
    column: usize,
    count: usize,
    text: Vec<u8>,
    is_followed: bool,
}

/// The cell that is being read.
#[derive(Default)]
struct OdsCell {
    repeated: usize,
    is_error: bool,
    has_formula: bool,
    kind: String,
    value: Option<String>,
    rows_spanned: usize,
    columns_spanned: usize,
    paragraphs: usize,
    /// Elements around the position: of a paragraph, and of something that is not text.
    open_paragraphs: usize,
    ignored: usize,
    text: String,
}

impl OdsTable {
    /// Reads one event; returns false at the end of the wanted table.
    fn read_event(
        &mut self,
        event: &Event<'_>,
        name: &str,
        rows: &mut WorksheetWriter,
    ) -> Result<bool, SheetProblem> {
        if let Some(cell) = &mut self.cell
            && !is_cell_end(event)
        {
            cell.read_event(event)?;
            return Ok(true);
        }
        match event {
            Event::Start(tag) => self.start_tag(tag, name)?,
            Event::End(tag) => match tag.name().0 {
                "table:table" => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(!self.is_wanted || self.depth > 0);
                }
                "table:table-row" if self.is_wanted => self.end_row(rows)?,
                "table:table-cell" | "table:covered-table-cell" => self.end_cell(rows)?,
                _ => {}
            },
            _ => {}
        }
        Ok(true)
    }

    fn start_tag(&mut self, tag: &BytesStart<'_>, name: &str) -> Result<(), SheetProblem> {
        match tag.name().0 {
            "table:table" => {
                self.depth += 1;
                if self.depth == 1 {
                    let own = attribute(tag, "table:name");
                    *self = Self { depth: 1, ..Self::default() };
                    self.is_wanted = own.as_deref() == Some(name);
                }
            }
            "table:table-row" => {
                self.rows_repeated = count_attribute(tag, "table:number-rows-repeated")?;
                let visibility = attribute(tag, "table:visibility").unwrap_or_default();
                self.is_row_hidden = matches!(visibility.as_str(), "collapse" | "filter");
                self.column = 0;
            }
            "table:table-cell" | "table:covered-table-cell" if self.is_wanted => {
                self.cell = Some(OdsCell::new(tag)?);
            }
            _ => {}
        }
        Ok(())
    }

    fn end_cell(&mut self, rows: &mut WorksheetWriter) -> Result<(), SheetProblem> {
        let Some(cell) = self.cell.take() else { return Ok(()) };
        let (column, count) = (self.column, cell.repeated);
        self.column = self.column.saturating_add(count);
        if cell.rows_spanned > 1 || cell.columns_spanned > 1 {
            rows.add_merge(MergedRange {
                top: self.row,
                left: column,
                bottom: self.row.saturating_add(cell.rows_spanned - 1),
                right: column.saturating_add(cell.columns_spanned - 1),
            });
        }
        let (text, is_followed) = cell.into_text();
        if text.is_empty() {
            return Ok(());
        }
        // A row is kept in memory until its end.
        if self.column > CELLS_MAX {
            let first = (self.row, column.max(CELLS_MAX));
            return Err(CellWriteError::TooFar(first).to_problem());
        }
        if self.row_bytes <= RECORD_BYTES_MAX {
            self.row_bytes += text.len();
            self.cells.push(RepeatedCell { column, count, text, is_followed });
        }
        Ok(())
    }

    /// Writes the row as often as it is repeated.
    fn end_row(&mut self, rows: &mut WorksheetWriter) -> Result<(), SheetProblem> {
        let cells = std::mem::take(&mut self.cells);
        self.row_bytes = 0;
        let first = self.row;
        self.row = self.row.saturating_add(self.rows_repeated);
        if cells.is_empty() {
            return Ok(());
        }
        for row in first..self.row {
            rows.begin_row(row, self.is_row_hidden).map_err(|err| err.to_problem())?;
            for cell in &cells {
                for column in cell.column..cell.column.saturating_add(cell.count) {
                    if !cell.is_followed {
                        rows.note_unfollowed((row, column));
                    }
                    rows.put_cell(column, cell.text.clone()).map_err(|err| err.to_problem())?;
                }
            }
        }
        Ok(())
    }
}

impl OdsCell {
    fn new(tag: &BytesStart<'_>) -> Result<Self, SheetProblem> {
        let values = ["value", "date-value", "time-value", "boolean-value", "string-value"];
        let value = values.iter().find_map(|name| attribute(tag, &format!("office:{name}")));
        Ok(Self {
            repeated: count_attribute(tag, "table:number-columns-repeated")?,
            is_error: attribute(tag, "calcext:value-type").as_deref() == Some("error"),
            has_formula: attribute(tag, "table:formula").is_some(),
            kind: attribute(tag, "office:value-type").unwrap_or_default(),
            value,
            rows_spanned: count_attribute(tag, "table:number-rows-spanned")?,
            columns_spanned: count_attribute(tag, "table:number-columns-spanned")?,
            ..Self::default()
        })
    }

    /// Reads what is within the cell.
    fn read_event(&mut self, event: &Event<'_>) -> Result<(), SheetProblem> {
        match event {
            Event::Start(tag) if self.ignored > 0 || is_not_text(tag.name().0) => self.ignored += 1,
            Event::End(_) if self.ignored > 0 => self.ignored -= 1,
            _ if self.ignored > 0 => {}
            Event::Start(tag) => match tag.name().0 {
                "text:p" | "text:h" => {
                    if self.paragraphs > 0 {
                        self.text.push('\n');
                    }
                    self.paragraphs += 1;
                    self.open_paragraphs += 1;
                }
                "text:s" => {
                    let blanks = count_attribute(tag, "text:c")?;
                    if blanks > BLANKS_MAX {
                        return Err(limit_problem(WorkbookLimit::Blanks, Some(CONTENT)));
                    }
                    self.text.extend(std::iter::repeat_n(' ', blanks));
                }
                "text:tab" => self.text.push('\t'),
                "text:line-break" => self.text.push('\n'),
                _ => {}
            },
            Event::End(tag) if matches!(tag.name().0, "text:p" | "text:h") => {
                self.open_paragraphs = self.open_paragraphs.saturating_sub(1);
            }
            Event::Text(text) if self.open_paragraphs > 0 => {
                self.text.push_str(&text.xml10_content());
            }
            Event::CData(text) if self.open_paragraphs > 0 => {
                self.text.push_str(&text.xml10_content());
            }
            Event::GeneralRef(entity) if self.open_paragraphs > 0 => {
                self.text.push_str(&resolve_entity(entity)?);
            }
            _ => {}
        }
        if self.text.len() > CELL_BYTES_MAX {
            return Err(limit_problem(WorkbookLimit::Text { rows: 0 }, Some(CONTENT)));
        }
        Ok(())
    }

    /// Returns the displayed text, and whether it is known how the cell is displayed.
    fn into_text(self) -> (Vec<u8>, bool) {
        if self.is_error {
            return (value::error_cell(self.text.trim()), true);
        }
        if self.paragraphs > 0 && (!self.text.is_empty() || self.kind != "string") {
            return (self.text.into_bytes(), true);
        }
        let Some(value) = self.value else {
            let has_no_value = self.has_formula && self.kind.is_empty();
            return (if has_no_value { value::error_cell("") } else { Vec::new() }, true);
        };
        let text = match self.kind.as_str() {
            "float" => value.parse().map_or(value, format_general),
            "percentage" => value
                .parse::<f64>()
                .map_or(value, |number| format!("{}%", format_general(number * 100.0))),
            "currency" => value.parse().map_or(value, format_general),
            "boolean" => value.to_uppercase(),
            "date" => value::format_iso_date_time(&value),
            "time" => value::format_iso_duration(&value).unwrap_or(value),
            _ => value,
        };
        let is_followed = matches!(self.kind.as_str(), "float" | "boolean" | "string");
        (text.into_bytes(), is_followed)
    }
}

fn is_cell_end(event: &Event<'_>) -> bool {
    let Event::End(tag) = event else { return false };
    matches!(tag.name().0, "table:table-cell" | "table:covered-table-cell")
}

fn is_not_text(name: &str) -> bool {
    NOT_TEXT.contains(&name) || name.starts_with("draw:")
}

fn resolve_entity(entity: &BytesRef<'_>) -> Result<String, SheetProblem> {
    let name: &str = entity;
    if let Some(text) = quick_xml::escape::resolve_xml_entity(name) {
        return Ok(text.to_owned());
    }
    let resolved = entity.resolve_char_ref().ok().flatten();
    resolved.map(String::from).ok_or_else(damaged_workbook_problem)
}

fn count_attribute(tag: &BytesStart<'_>, name: &str) -> Result<usize, SheetProblem> {
    match attribute(tag, name).as_deref() {
        None | Some("") => Ok(1),
        Some(count) => count.parse().map_err(|_| damaged_workbook_problem()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table_with_cells(columns: impl Iterator<Item = usize>) -> Result<OdsTable, SheetProblem> {
        let mut rows = WorksheetWriter::new(tempfile::tempfile().unwrap(), None);
        let mut table = OdsTable { is_wanted: true, ..OdsTable::default() };
        for repeated in columns {
            let text = "x".repeat(CELL_BYTES_MAX / 2);
            table.cell = Some(OdsCell { repeated, text, paragraphs: 1, ..OdsCell::default() });
            table.end_cell(&mut rows)?;
        }
        Ok(table)
    }

    #[test]
    fn a_row_takes_little_memory_before_its_end() {
        let table = table_with_cells(std::iter::repeat_n(1, CELLS_MAX)).unwrap();
        let kept: usize = table.cells.iter().map(|cell| cell.text.len()).sum();
        assert!(kept > RECORD_BYTES_MAX, "it is still reported as too long: {kept}");
        assert!(kept <= RECORD_BYTES_MAX + CELL_BYTES_MAX, "{kept}");
        for columns in [vec![CELLS_MAX + 1], vec![CELLS_MAX, 1]] {
            assert!(table_with_cells(columns.iter().copied()).is_err(), "{columns:?}");
        }
    }
}

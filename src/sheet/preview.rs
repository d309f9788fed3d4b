//! A sheet about which nothing is known yet: its rows as they are, the headings among them.
//!
//! For a new batch, whose key and columns are still to be chosen. Only damage is detected, because what
//! is guessed from a damaged sheet is wrong: the plan of the batch reads the sheet again, with all
//! checks. Invariant: rows have the numbers and the texts with which the plan reads them.

use std::collections::BTreeMap;
use std::path::Path;

use super::cells::RowShape;
use super::csv_conversion::{NormalizedSheet, RowOrigin};
use super::delimiter::{self, Delimiter};
use super::records::CsvRecord;
use super::source::SheetFile;
use super::{SheetProblem, SheetProblems, SheetRow, SheetSpec, Worksheet, normalize_cell};

/// Rows that are read: more do not change what the columns are.
const ROWS_MAX: usize = 20_000;

/// What is known of the sheet before.
#[derive(Clone, Copy, Debug, Default)]
pub struct PreviewSpec<'a> {
    /// The worksheet of a workbook; `None` for the first visible one.
    pub worksheet: Option<&'a str>,
    /// The row of the headings, if it is known.
    pub header_row: Option<u64>,
    /// Whether the file was downloaded from a link.
    pub is_link: bool,
}

/// The rows of a sheet.
#[derive(Clone, Debug)]
pub struct SheetPreview {
    /// The worksheet, if it is a workbook.
    pub worksheet: Option<Worksheet>,
    /// The delimiter of a text, if it is a usual one.
    pub delimiter: Option<char>,
    /// The rows that are not blank, trimmed; the headings are one of them.
    pub rows: Vec<SheetRow>,
    /// Whether these are all rows.
    pub is_complete: bool,
    /// The damage of rows, without the headings of its columns, which are not known yet.
    pub damage: Vec<SheetProblem>,
}

impl SheetPreview {
    /// Reads the rows of the file at `path`.
    ///
    /// # Errors
    /// The file is not a sheet, or cannot be read.
    pub fn read(path: &Path, want: &PreviewSpec<'_>) -> Result<Self, SheetProblems> {
        Self::try_read(path, want)
            .map_err(|problem| SheetProblems { file: path.to_owned(), problems: vec![problem] })
    }

    /// Returns the problems of damaged rows at and below the headings, as the plan reports them.
    pub fn damage_below(&self, heading_row: u64) -> Vec<SheetProblem> {
        let headings = self.rows.iter().find(|row| row.number == heading_row);
        let headings = headings.map_or(&[][..], |row| &row.cells);
        let is_read = |problem: &&SheetProblem| problem.row >= Some(heading_row);
        let named = |problem: &SheetProblem| match &problem.column {
            Some(column) => problem.clone().with_column(column.index, headings),
            None => problem.clone(),
        };
        self.damage.iter().filter(is_read).map(named).collect()
    }

    /// Adds the empty cells that a row of a workbook lacks below the last heading. Returns whether any
    /// row lacked one.
    pub fn pad_rows(&mut self, heading_row: u64) -> bool {
        let headings = self.rows.iter().find(|row| row.number == heading_row);
        let width = headings.map_or(0, |row| row.cells.len());
        let below = self.rows.iter_mut().filter(|row| row.number > heading_row);
        let mut has_padded = false;
        for row in below.filter(|row| row.cells.len() < width) {
            row.cells.resize(width, String::new());
            has_padded = true;
        }
        has_padded
    }

    /// Returns the rows as CSV in UTF-8, each with its number. It keeps the delimiter, so that messages name
    /// that of the original file.
    pub fn to_csv(&self) -> String {
        let delimiter = self.delimiter.unwrap_or(char::from(Delimiter::COMMA.byte));
        let (mut text, mut next) = (String::new(), 1);
        for row in &self.rows {
            while next < row.number {
                text.push('\n');
                next += 1;
            }
            text.push_str(&csv_line(&row.cells, delimiter));
            next += 1;
        }
        text
    }

    fn try_read(path: &Path, want: &PreviewSpec<'_>) -> Result<Self, SheetProblem> {
        let columns = BTreeMap::new();
        let spec = SheetSpec {
            key: &[],
            group_by: None,
            columns: &columns,
            required: &[],
            optional: &[],
            lists: &[],
            skip: None,
            encoding: None,
            worksheet: want.worksheet,
            header_row: want.header_row,
            skip_hidden: false,
            is_link: want.is_link,
        };
        let mut sheet = NormalizedSheet::new(SheetFile::inspect(path)?, &spec)?;
        if let (RowOrigin::Text { encoding, is_guess, .. }, None) = (sheet.origin, want.header_row)
        {
            let sample = sheet.source.read_sample()?;
            let (delimiter, start) = Delimiter::detect_below_title(&sample);
            sheet.origin = RowOrigin::Text { encoding, is_guess, delimiter };
            sheet.start_offset = start;
        }
        let shape = RowShape::without_headings(sheet.origin);
        let (mut rows, mut record, mut damage) = (Vec::new(), CsvRecord::new(), Vec::new());
        let mut records = sheet.open_records()?;
        let broken = |error| sheet.source.read_problem(&error);
        while rows.len() < ROWS_MAX && records.read_non_blank(&mut record).map_err(broken)? {
            let row = preview_row(&record);
            damage.extend(record.damage.map(|found| shape.damage_problem(row.number, found)));
            if row.cells.iter().any(|cell| !cell.is_empty()) {
                rows.push(row);
            }
        }
        let is_complete = rows.len() < ROWS_MAX;
        let is_text = sheet.format.worksheet.is_none();
        let delimiter = Some(sheet.origin.delimiter()).filter(|found| {
            is_text && delimiter::CANDIDATES.iter().any(|usual| usual.byte == found.byte)
        });
        let delimiter = delimiter.map(|found| char::from(found.byte));
        Ok(Self { worksheet: sheet.format.worksheet, delimiter, rows, is_complete, damage })
    }
}

/// Returns one record, with its line end. Each cell is quoted: no guess depends on what it contains.
fn csv_line(cells: &[String], delimiter: char) -> String {
    let quoted: Vec<String> =
        cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
    quoted.join(&delimiter.to_string()) + "\n"
}

fn preview_row(record: &CsvRecord) -> SheetRow {
    // As the sheet itself is read: what is guessed from a cell must apply to it later.
    let cell = |column| normalize_cell(&String::from_utf8_lossy(record.cell(column))).into_owned();
    let columns = record.parts().1.len();
    SheetRow { number: record.position.row, cells: (0..columns).map(cell).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_written_as_csv_are_read_with_the_same_numbers_and_texts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.csv");
        std::fs::write(
            &path,
            "Title;;\n\nSKU;Text;Note\nA;\"two\nlines; \"\"quoted\"\"\";\nB;x;=1\n",
        )
        .unwrap();
        let first = SheetPreview::read(&path, &PreviewSpec::default()).unwrap();
        let numbers: Vec<u64> = first.rows.iter().map(|row| row.number).collect();
        assert_eq!(numbers, [1, 3, 4, 5]);
        assert_eq!(first.rows[2].cells, ["A", "two\nlines; \"quoted\"", ""]);
        std::fs::write(&path, first.to_csv()).unwrap();
        let second = SheetPreview::read(&path, &PreviewSpec::default()).unwrap();
        assert_eq!((second.delimiter, second.rows), (Some(';'), first.rows));
    }
}

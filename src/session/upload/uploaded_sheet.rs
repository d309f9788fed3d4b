//! The sheet of an uploaded batch: taken over as CSV, and edited cell by cell.
//!
//! Formulas are not evaluated: a cell has the value that the spreadsheet stored. Invariant: an edit
//! applies to the sheet that was shown, or to none.

use super::upload_folder::write_bytes;
use super::{SHEET_FILE, UploadError, UploadState, UploadedBatch};
use crate::scaffold::{choose_worksheet, propose_batch};
use crate::sheet::{PreviewSpec, SheetPreview, SheetProblems};

/// Other worksheets that are looked at.
const WORKSHEETS_MAX: usize = 8;
/// Columns that a sheet can have.
const COLUMNS_MAX: usize = 4_096;
/// Rows that the console takes.
const ROWS_MAX: usize = 20_000;

/// A new text for a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CellEdit {
    /// The row, as the spreadsheet counts.
    pub(crate) row: u64,
    /// The index of the column.
    pub(crate) column: usize,
    pub(crate) text: String,
}

/// A cell that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CellChange {
    pub(crate) edit: CellEdit,
    /// The former text.
    pub(crate) former: String,
}

impl UploadedBatch {
    /// Takes over a file: CSV, TSV, XLSX or ODS, recognised by its content.
    ///
    /// # Errors
    /// It is not a sheet, or too long.
    pub(crate) fn set_sheet(&mut self, bytes: &[u8]) -> Result<(), UploadError> {
        let template = self.read_template()?;
        let received = tempfile::NamedTempFile::new_in(&self.folder)?;
        write_bytes(received.path(), bytes)?;
        let spec = PreviewSpec::default();
        let first =
            SheetPreview::read(received.path(), &spec).map_err(|error| sheet_error(&error))?;
        let others: Vec<String> = first
            .worksheet
            .iter()
            .flat_map(|read| &read.others)
            .take(WORKSHEETS_MAX)
            .cloned()
            .collect();
        let others = others.iter().filter_map(|name| {
            SheetPreview::read(received.path(), &PreviewSpec { worksheet: Some(name), ..spec }).ok()
        });
        let worksheets: Vec<SheetPreview> = std::iter::once(first).chain(others).collect();
        let chosen = choose_worksheet(worksheets, &template, &self.setup.answers);
        let chosen =
            chosen.ok_or_else(|| UploadError::Invalid("the sheet has no rows".to_owned()))?;
        // A row that lost its end would be saved as a complete one.
        let proposal = propose_batch(&chosen, &template, &self.setup.answers);
        let damage = proposal.map(|found| chosen.damage_below(found.heading_row));
        if let Some(problem) = damage.unwrap_or_default().into_iter().next() {
            return Err(UploadError::Invalid(problem.to_string().replace("\n  help: ", ": ")));
        }
        if !chosen.is_complete {
            let message =
                format!("the sheet has more than {ROWS_MAX} rows: use `callsheet new --sheet`");
            return Err(UploadError::Invalid(message));
        }
        self.setup.is_workbook = chosen.worksheet.is_some();
        write_bytes(&self.path(SHEET_FILE), chosen.to_csv().as_bytes())
    }

    /// Writes the empty cells at the end of rows, which a workbook does not store: in a text, their
    /// absence is damage.
    pub(super) fn pad_workbook_rows(&self, state: &mut UploadState) -> Result<(), UploadError> {
        let is_short = self.setup.is_workbook && state.sheet.pad_rows(state.proposal.heading_row);
        if is_short {
            write_bytes(&self.path(SHEET_FILE), state.sheet.to_csv().as_bytes())?;
        }
        Ok(())
    }

    /// Reads the sheet. Returns it with its hash.
    pub(super) fn read_sheet(&self) -> Result<(SheetPreview, String), UploadError> {
        let path = self.path(SHEET_FILE);
        let hash = blake3::hash(&std::fs::read(&path)?).to_hex()[..32].to_owned();
        let sheet = SheetPreview::read(&path, &PreviewSpec::default());
        Ok((sheet.map_err(|error| sheet_error(&error))?, hash))
    }

    /// Changes cells of the sheet with this hash. Returns the cells that changed.
    ///
    /// # Errors
    /// The sheet is another one by now, or has no such row.
    pub(crate) fn edit_cells(
        &self,
        hash: &str,
        edits: &[CellEdit],
    ) -> Result<Vec<CellChange>, UploadError> {
        let (mut sheet, current) = self.read_sheet()?;
        if current != hash {
            let message =
                "the sheet was changed in the meantime; nothing was saved. Look at it again";
            return Err(UploadError::Changed(message.to_owned()));
        }
        let mut changed = Vec::new();
        for edit in edits {
            let row = sheet.rows.iter_mut().find(|row| row.number == edit.row);
            let Some(row) = row.filter(|_| edit.column < COLUMNS_MAX) else {
                return Err(UploadError::Invalid(format!(
                    "the sheet has no such cell in row {}",
                    edit.row
                )));
            };
            // A browser sends line breaks in its own form.
            let text = edit.text.replace("\r\n", "\n");
            // A row may have fewer cells than headings.
            if row.cells.len() <= edit.column && !text.is_empty() {
                row.cells.resize(edit.column + 1, String::new());
            }
            if let Some(cell) = row.cells.get_mut(edit.column).filter(|cell| **cell != text) {
                let former = std::mem::replace(cell, text.clone());
                changed.push(CellChange { edit: CellEdit { text, ..edit.clone() }, former });
            }
        }
        if !changed.is_empty() {
            write_bytes(&self.path(SHEET_FILE), sheet.to_csv().as_bytes())?;
        }
        Ok(changed)
    }
}

fn sheet_error(problems: &SheetProblems) -> UploadError {
    let first = problems.problems.first();
    let message = first.map(|problem| match &problem.help {
        Some(help) => format!("{}: {help}", problem.message),
        None => problem.message.clone(),
    });
    UploadError::Invalid(message.unwrap_or_default())
}

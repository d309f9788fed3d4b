//! Changed cells as entries of the audit trail: one for each row, with its key.

use std::collections::BTreeMap;

use super::uploaded_sheet::CellChange;
use super::{UploadError, UploadedBatch};
use crate::ledger::{AuditAction, AuditSource, NewAuditEntry};
use crate::plan::PlanInputs;
use crate::text::{strip_control, truncate};

/// Characters of a cell.
const CELL_CHARS_MAX: usize = 120;

impl UploadedBatch {
    /// Returns the entries for changed cells. A row that has no key yet has none in its entry.
    ///
    /// # Errors
    /// The sheet cannot be read.
    pub(crate) fn edit_entries(
        &self,
        changes: &[CellChange],
        source: &AuditSource,
    ) -> Result<Vec<NewAuditEntry>, UploadError> {
        let state = self.read_state()?;
        let mut keys = self.keys_by_row();
        let mut by_row: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for change in changes {
            let heading = state.proposal.headings.get(change.edit.column);
            let heading = heading.filter(|heading| !heading.is_empty()).cloned();
            let heading = heading.unwrap_or_else(|| format!("column {}", change.edit.column + 1));
            let (former, text) = (cell_text(&change.former), cell_text(&change.edit.text));
            let line = format!("{heading}: “{former}” is now “{text}”");
            by_row.entry(change.edit.row).or_default().push(line);
        }
        let entry = |(row, lines): (u64, Vec<String>)| NewAuditEntry {
            key: keys.remove(&row),
            hash: Some(state.sheet_hash.clone()),
            ..NewAuditEntry::new(
                AuditAction::Edit,
                format!("row {row}, {}", lines.join("; ")),
                source.clone(),
            )
            .with_batch(self.name())
        };
        Ok(by_row.into_iter().map(entry).collect())
    }

    fn keys_by_row(&self) -> BTreeMap<u64, String> {
        let Ok(batch) = self.read_batch() else { return BTreeMap::new() };
        let Ok(inputs) = PlanInputs::open(&batch) else { return BTreeMap::new() };
        let entries = inputs.sheet.entries().filter_map(Result::ok);
        let pairs = entries.flat_map(|entry| {
            let rows: Vec<u64> = entry.rows.iter().map(|row| row.number).collect();
            rows.into_iter().map(move |row| (row, entry.key.clone()))
        });
        pairs.collect()
    }
}

fn cell_text(text: &str) -> String {
    truncate(&strip_control(text), CELL_CHARS_MAX)
}

//! The rows of a plan by key and reason: new, changed, removed, skipped. A terminal shows the first
//! of each; `--json` has all.

use super::PayloadChange;
use crate::ledger::{ComparedSheet, LedgerError, ListedRow, RemovedRow, SkipReason, SkippedRow};

/// Rows of each kind that are listed one by one unless all are requested.
pub(super) const ROWS_LISTED_MAX: u32 = 10;

/// The listed rows of a plan; `PlanCounts` has how many there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowListing {
    /// Rows whose key is new.
    pub new: Vec<ListedRow>,
    /// Selected rows whose payload changed; those paid for already come first.
    pub changed: Vec<PayloadChange>,
    /// Jobs without a row in the sheet.
    pub removed: Vec<RemovedRow>,
    /// Rows that one of their cells excludes.
    pub skipped: Vec<SkippedRow>,
    /// Why rows are skipped, if not all of them are listed: a rare reason must not be hidden among the
    /// usual ones.
    pub skip_reasons: Vec<SkipReason>,
}

impl RowListing {
    /// Reads up to `max` rows of each kind. `headings` are those of the sheet.
    pub(super) async fn read(
        compared: &mut ComparedSheet,
        headings: &[String],
        max: u32,
    ) -> Result<Self, LedgerError> {
        let mut changed = compared.changed_rows(max).await?;
        changed.retain(|row| row.is_selected);
        let counts = compared.counts().clone();
        let mut listing = Self {
            changed: changed.into_iter().map(|row| PayloadChange::new(row, headings)).collect(),
            ..Self::default()
        };
        if counts.new > 0 {
            listing.new = compared.list_new_rows(max).await?;
        }
        if counts.removed > 0 {
            listing.removed = compared.list_removed_rows(max).await?;
        }
        if counts.skipped > 0 {
            listing.skipped = compared.list_skipped_rows(max).await?;
            if counts.skipped > listing.skipped.len() as u64 {
                listing.skip_reasons = compared.list_skip_reasons(max).await?;
            }
        }
        Ok(listing)
    }
}

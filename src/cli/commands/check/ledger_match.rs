//! Whether a run would go on with the ledger and the batch file that the batch was begun with.

use crate::batch::Batch;
use crate::session::check_finding::CheckFinding;
use crate::session::error::CommandError;
use crate::session::ledger_location::{LedgerLocation, open_ledger};
use crate::session::ledger_match::{LedgerMatch, MatchOverrides, stored_batch};

/// Returns the reason why `run` would end before any request. A ledger that cannot be opened is
/// reported elsewhere.
pub(super) async fn check_ledger_match(
    batch: &Batch,
    location: &LedgerLocation,
) -> Option<CheckFinding> {
    let error = find_mismatch(batch, location).await.err()?;
    let message = error.message()?;
    Some(CheckFinding::fail(error.exit(), "ledger", message))
}

async fn find_mismatch(batch: &Batch, location: &LedgerLocation) -> Result<(), CommandError> {
    let matching = LedgerMatch::new(batch, location, MatchOverrides::default());
    matching.ensure_not_missing()?;
    if !location.path.exists() {
        return Ok(());
    }
    let Ok(ledger) = open_ledger(&location.path).await else { return Ok(()) };
    let checked = async {
        matching.ensure_same_ledger(&ledger).await?;
        match stored_batch(&ledger, batch.name.as_str()).await? {
            Some(stored) => matching.ensure_same_file(&stored, &ledger),
            None => Ok(()),
        }
    }
    .await;
    ledger.close().await;
    checked
}

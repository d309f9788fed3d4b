//! Whether a run would go on with the ledger, the batch file and the output folder that the batch was
//! begun with.

use crate::batch::Batch;
use crate::ledger::{Ledger, StoredBatch};
use crate::session::check_finding::CheckFinding;
use crate::session::error::CommandError;
use crate::session::files::former_machine::FormerMachine;
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
    if !location.address.may_exist() {
        return Ok(());
    }
    let Ok(ledger) = open_ledger(&location.address).await else { return Ok(()) };
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

/// Says that the last run was on another machine, and warns if its files are not here.
pub(super) async fn check_last_machine(
    ledger: &Ledger,
    stored: &StoredBatch,
    batch: &Batch,
) -> Option<CheckFinding> {
    let former = FormerMachine::find(ledger, stored).await.ok()??;
    let is_empty =
        std::fs::read_dir(&batch.output).map_or(true, |mut files| files.next().is_none());
    if !is_empty {
        return Some(CheckFinding::ok("output", former.message()));
    }
    let folder = batch.output.display();
    let message = format!("{}; `{folder}` is empty on this machine", former.message());
    Some(CheckFinding::warn(
        "output",
        message,
        "use one output folder on all machines, such as a share",
    ))
}

/// Warns if the server may confirm what a failover then loses.
pub(super) async fn check_standbys(ledger: &Ledger) -> Option<CheckFinding> {
    if !ledger.has_asynchronous_standby().await.ok()? {
        return None;
    }
    Some(CheckFinding::warn(
        "ledger",
        "its server does not wait for its standbys: a failover may lose records of payments, and needs \
         `callsheet ledger catch-up`"
            .to_owned(),
        "set synchronous_standby_names on the server",
    ))
}

//! The lock of a batch whose ledger is on a server: its lease row, renewed while this process lives.
//!
//! A machine that dies leaves the row behind; another one may take it over after a minute. Invariant:
//! a renewal never takes a lease back that another process holds.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::ledger::{LeaseHolder, LeaseOutcome, Ledger};
use crate::runner::file_lock::host_name;
use crate::runner::lock::LockError;

/// The pause between two renewals; a lease lasts for six of them (`LEASE_TIME_MS`).
const RENEWAL_INTERVAL: Duration = Duration::from_secs(10);

/// The lease of one batch, held from the start of a run to its end.
#[derive(Debug)]
pub struct BatchLeaseLock {
    ledger: Ledger,
    batch: String,
    renewal: JoinHandle<()>,
}

impl BatchLeaseLock {
    /// Acquires the lease of `batch`, which need not be in the ledger yet.
    pub(super) async fn acquire(ledger: &Ledger, batch: &str) -> Result<Self, LockError> {
        match ledger.acquire_lease(batch, &host_name(), std::process::id()).await? {
            LeaseOutcome::Acquired(_) => {
                let (ledger, batch) = (ledger.clone(), batch.to_owned());
                let renewal = tokio::spawn(renew(ledger.clone(), batch.clone()));
                Ok(Self { ledger, batch, renewal })
            }
            LeaseOutcome::Held(holder) => Err(LockError::Held { holder: describe_holder(&holder) }),
        }
    }
}

impl Drop for BatchLeaseLock {
    fn drop(&mut self) {
        self.renewal.abort();
        // Closing the ledger releases it as well. If neither succeeds, it expires.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (ledger, batch) = (self.ledger.clone(), self.batch.clone());
            runtime.spawn(async move {
                if let Err(error) = ledger.release_lease(&batch).await {
                    tracing::debug!(%error, batch, "the lease is not released");
                }
            });
        }
    }
}

/// Renews the lease until another process has it. What the run writes after that fails.
async fn renew(ledger: Ledger, batch: String) {
    loop {
        tokio::time::sleep(RENEWAL_INTERVAL).await;
        match ledger.renew_lease(&batch).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, batch, "the lease is not renewed"),
        }
    }
}

/// Returns the process that holds the lease of `batch`.
pub(super) async fn lease_holder(ledger: &Ledger, batch: &str) -> Option<String> {
    let holder = ledger.lease_holder(batch).await.ok().flatten();
    holder.as_ref().map(describe_holder)
}

fn describe_holder(holder: &LeaseHolder) -> String {
    format!("process {} on {} since {:.0}", holder.pid, holder.host, holder.since)
}

//! The metrics of the ledger as a file, for the textfile collector of Prometheus' `node_exporter`.
//!
//! Invariant: the file is replaced completely or not at all, can be read by every user, and never fails
//! a run.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::batch;
use crate::clock::{Clock, start_of_utc_day};
use crate::ledger::{Ledger, LedgerError};
use crate::report::{LedgerMetrics, MetricsContext, ReportError, create_temp_file};

/// How often the file is written while a run is live.
const WRITE_INTERVAL: Duration = Duration::from_secs(60);

/// The file that `[metrics] textfile` names.
#[derive(Clone, Debug)]
pub(super) struct MetricsFile {
    pub(super) path: PathBuf,
    pub(super) clock: Clock,
}

impl MetricsFile {
    /// Writes the file every minute, for as long as the caller waits.
    pub(super) async fn keep_current(&self, ledger: &Ledger) -> Infallible {
        loop {
            if let Err(error) = self.write(ledger).await {
                // The end of the run reports it.
                tracing::debug!(%error, "the metrics were not written");
            }
            self.clock.sleep(WRITE_INTERVAL).await;
        }
    }

    /// Writes the file.
    pub(super) async fn write(&self, ledger: &Ledger) -> Result<(), ReportError> {
        let text = read_metrics(ledger, &self.clock).await?.to_text();
        replace_file(&self.path, &text)
            .map_err(|source| ReportError::Io { path: self.path.clone(), source })
    }
}

/// Reads the metrics of a ledger, with the daily caps of its batches.
pub(crate) async fn read_metrics(
    ledger: &Ledger,
    clock: &Clock,
) -> Result<LedgerMetrics, LedgerError> {
    let day_began = start_of_utc_day(clock.now());
    let context = MetricsContext { day_began, day_caps: read_day_caps(ledger).await? };
    LedgerMetrics::read(ledger, &context).await
}

/// Returns the lowest daily cap of the batches of each host.
async fn read_day_caps(ledger: &Ledger) -> Result<BTreeMap<String, f64>, LedgerError> {
    let mut caps = BTreeMap::<String, f64>::new();
    for row in ledger.batches().await? {
        let stored = ledger.batch(&row.name).await?;
        let Ok(batch) = batch::parse(Path::new(&stored.file), stored.source) else { continue };
        if let Some(cap) = batch.limits.max_credits_per_day {
            caps.entry(row.base_url).and_modify(|lowest| *lowest = lowest.min(cap)).or_insert(cap);
        }
    }
    Ok(caps)
}

fn replace_file(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = create_temp_file(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text.as_bytes())?;
    // The collector is another user, whatever the umask of this one is.
    #[cfg(unix)]
    file.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

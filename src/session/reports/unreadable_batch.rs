//! A batch whose file cannot be read: its end in the ledger, and its last line for programs.
//!
//! Without its file, a batch has no output folder and no notifications. Its name is known only if the
//! ledger knows the file; otherwise it is guessed from the name of the file.

use std::path::{Path, absolute};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::batch::{BatchFileProblems, BatchName};
use crate::clock::Clock;
use crate::ledger::{Ledger, RunOwner, RunStop, StopCause, UnstartedRun};
use crate::runner;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location::{LedgerLocation, open_ledger};
use crate::session::run_stop::stop_for_problems;
use crate::session::run_summary::stop_json;

/// A batch whose file cannot be read.
#[derive(Clone, Debug)]
pub(super) struct UnreadableBatch {
    file: String,
    source: String,
    problems: Vec<String>,
    location: LedgerLocation,
    started_at: Timestamp,
}

impl UnreadableBatch {
    pub(super) fn new(
        problems: BatchFileProblems,
        location: &LedgerLocation,
        clock: &Clock,
    ) -> Self {
        Self {
            file: problems.file.display().to_string(),
            problems: problems.problems.iter().map(|problem| problem.message.clone()).collect(),
            source: problems.source,
            location: location.clone(),
            started_at: clock.now(),
        }
    }

    /// Records the end in the ledger, and returns the last line for programs.
    pub(super) async fn finish(self, now: Timestamp) -> Value {
        let stop = stop_for_problems(ExitReason::Input, StopCause::BatchFile, &self.problems);
        // A path that leads nowhere is a typing error, and no batch.
        if !self.source.is_empty()
            && let Err(error) = self.record(stop.clone(), now).await
        {
            tracing::debug!(?error, "the end of the run is not in the ledger");
        }
        json!({
            "exit": stop.exit,
            "error": stop.message,
            "stop": stop_json(&stop),
            "problems": self.problems,
            "batch": null,
            "batch_file": self.file,
        })
    }

    async fn record(&self, stop: RunStop, ended_at: Timestamp) -> Result<(), CommandError> {
        let ledger = open_ledger(&self.location.address).await?;
        if let Some(batch) = self.batch_name(&ledger).await? {
            let run = UnstartedRun {
                batch,
                file: self.file.clone(),
                source: self.source.clone(),
                base_url: String::new(),
                tool: env!("CARGO_PKG_VERSION").to_owned(),
                owner: RunOwner { host: runner::host_name(), pid: std::process::id() },
                started_at: self.started_at,
                ended_at,
            };
            ledger.record_unstarted_run(run, stop).await?;
        }
        ledger.close().await;
        Ok(())
    }

    /// Returns the name of the batch: as the ledger knows it, or as the file is called.
    async fn batch_name(&self, ledger: &Ledger) -> Result<Option<String>, CommandError> {
        let whole = |file: &str| absolute(file).unwrap_or_else(|_| file.into());
        let batches = ledger.batches().await?;
        if let Some(known) = batches.iter().find(|batch| whole(&batch.file) == whole(&self.file)) {
            return Ok(Some(known.name.clone()));
        }
        let name = Path::new(&self.file).file_stem();
        let name = name.map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        // Another batch of that name has another file, and did not stop.
        let is_free = !batches.iter().any(|batch| batch.name == name);
        Ok((is_free && name.parse::<BatchName>().is_ok()).then_some(name))
    }
}

//! `callsheet runs [BATCH]`: lists the runs of the ledger and how they ended.
//!
//! Reads only the ledger, and the locks of the batches to recognize live runs.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::args::{GlobalArgs, parse_number};
use crate::cli::output::printer::Printer;
use crate::cli::output::text_table::TextTable;
use crate::cli::output::time_format::{
    format_dead_run_duration, format_elapsed, format_local, format_rfc3339,
};
use crate::clock::Clock;
use crate::ledger::{Ledger, RunEnding, RunWithBatch};
use crate::runner::lock_holder;
use crate::session::exit_code::ExitReason;
use crate::session::locked_batch::{BatchRef, ledger_error};
use crate::session::open_batch;
use crate::session::open_batch::CommandError;

/// List the runs and how they ended
#[derive(Debug, Args)]
#[command(after_help = "\
Endings: `ended`, `interrupted` (Ctrl-C or a signal), `by hand` (retry, resolve
and similar commands), `not begun` (nothing was submitted), `died` (killed, or
power failure); `live` if the run is active.

With --json: {\"runs\": […]} with run, batch, host, pid, started, heartbeat,
ended, ending, live, submitted (paid requests begun). Times are RFC 3339.")]
pub(crate) struct RunsArgs {
    /// Only runs of this batch (name or file)
    batch: Option<String>,
    /// Use the ledger of rehearsals
    #[arg(long)]
    sandbox: bool,
    /// At most N runs, the latest first
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = parse_number::<u32>)]
    limit: u32,
}

pub(crate) async fn run(args: RunsArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: RunsArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let (ledger, batch) = match args.batch {
        Some(batch) => {
            let batch_ref = BatchRef { batch, sandbox: args.sandbox };
            let (ledger, stored) = batch_ref.open_batch(global).await?;
            (ledger, Some(stored.id))
        }
        None => {
            let ledger = open_batch::open_existing_ledger(&global.ledger_path(args.sandbox)).await;
            (
                ledger.map_err(|error| error.with_context(&global.rehearsal_hint(args.sandbox)))?,
                None,
            )
        }
    };
    let runs = ledger.runs(batch, args.limit).await.map_err(ledger_error)?;
    if printer.is_json() {
        let runs: Vec<_> = runs.iter().map(|run| run_json(run, &ledger)).collect();
        printer.print_json(&json!({ "runs": runs }));
    } else if runs.is_empty() {
        printer.status(&format!("No runs yet{}", global.rehearsal_hint(args.sandbox)));
    } else {
        printer.print_result(&runs_table(&runs, &ledger));
    }
    ledger.close().await;
    Ok(ExitReason::Done)
}

/// How a run ended, or its state if it recorded no ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunStatus {
    /// It recorded its ending.
    Ended(RunEnding),
    /// It holds the batch's lock.
    Live,
    /// It recorded no ending, and the batch is not locked.
    Died,
}

impl RunStatus {
    /// Returns the status of a run.
    pub(crate) fn from_run(entry: &RunWithBatch, ledger: &Ledger) -> Self {
        match entry.run.ending {
            Some(RunEnding::Died) => Self::Died,
            Some(ending) => Self::Ended(ending),
            None if lock_holder(ledger.path(), &entry.batch).is_some() => Self::Live,
            None => Self::Died,
        }
    }

    /// Returns the text shown and used in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Ended(ending) => ending.as_str(),
            Self::Live => "live",
            Self::Died => "died",
        }
    }
}

fn runs_table(runs: &[RunWithBatch], ledger: &Ledger) -> String {
    let mut table =
        TextTable::new(&["run#", "batch", "began", "lasted", "submitted#", "ending", "process"]);
    for entry in runs {
        let status = RunStatus::from_run(entry, ledger);
        let (began, heartbeat) = (entry.run.started_at, entry.run.heartbeat_at);
        let lasted = match status {
            RunStatus::Live => format_elapsed(began, Clock::real().now().as_millisecond()),
            RunStatus::Ended(_) => format_elapsed(began, entry.run.ended_at.unwrap_or(heartbeat)),
            RunStatus::Died => format_dead_run_duration(began, heartbeat),
        };
        table.add([
            entry.run.id.to_string(),
            entry.batch.clone(),
            format_local(entry.run.started_at),
            lasted,
            entry.run.submitted.to_string(),
            status.as_str().to_owned(),
            format!("{} on {}", entry.run.pid, entry.run.host),
        ]);
    }
    table.render()
}

/// Returns a run as JSON.
pub(crate) fn run_json(entry: &RunWithBatch, ledger: &Ledger) -> Value {
    let status = RunStatus::from_run(entry, ledger);
    json!({
        "run": entry.run.id,
        "batch": entry.batch,
        "host": entry.run.host,
        "pid": entry.run.pid,
        "started": format_rfc3339(entry.run.started_at),
        "heartbeat": format_rfc3339(entry.run.heartbeat_at),
        "ended": entry.run.ended_at.map(format_rfc3339),
        "ending": (status != RunStatus::Live).then(|| status.as_str()),
        "live": status == RunStatus::Live,
        "submitted": entry.run.submitted,
    })
}

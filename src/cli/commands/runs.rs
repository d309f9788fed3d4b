//! `callsheet runs [BATCH]`: who drove which batch, when, and how that ended.

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
        Err(early) => early.report(printer),
    }
}

async fn execute(
    args: RunsArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let (ledger, batch) = match args.batch {
        Some(batch) => {
            let which = BatchRef { batch, sandbox: args.sandbox };
            let (ledger, stored) = which.open_batch(global).await?;
            (ledger, Some(stored.id))
        }
        None => {
            let ledger = open_batch::open_existing_ledger(&global.ledger_path(args.sandbox)).await;
            (
                ledger.map_err(|early| early.with_context(&global.rehearsal_hint(args.sandbox)))?,
                None,
            )
        }
    };
    let runs = ledger.runs(batch, args.limit).await.map_err(ledger_error)?;
    if printer.is_json() {
        let runs: Vec<_> = runs.iter().map(|run| run_json(run, &ledger)).collect();
        printer.print_json(&json!({ "runs": runs }));
    } else if runs.is_empty() {
        printer.status(&format!("no run yet{}", global.rehearsal_hint(args.sandbox)));
    } else {
        printer.print_result(&runs_table(&runs, &ledger));
    }
    ledger.close().await;
    Ok(ExitReason::Done)
}

/// How a run ended, or what is known of one that did not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunStatus {
    /// It said so.
    Ended(RunEnding),
    /// It holds the batch's lock.
    Live,
    /// It said nothing, and nobody holds the lock.
    Died,
}

impl RunStatus {
    /// Returns what became of a run.
    pub(crate) fn from_run(of: &RunWithBatch, ledger: &Ledger) -> Self {
        match of.run.ending {
            Some(RunEnding::Died) => Self::Died,
            Some(ending) => Self::Ended(ending),
            None if lock_holder(ledger.path(), &of.batch).is_some() => Self::Live,
            None => Self::Died,
        }
    }

    /// Returns the word for it.
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
    for of in runs {
        let fate = RunStatus::from_run(of, ledger);
        let (began, seen) = (of.run.started_at, of.run.heartbeat_at);
        let lasted = match fate {
            RunStatus::Live => format_elapsed(began, Clock::real().now().as_millisecond()),
            RunStatus::Ended(_) => format_elapsed(began, of.run.ended_at.unwrap_or(seen)),
            RunStatus::Died => format_dead_run_duration(began, seen),
        };
        table.add([
            of.run.id.to_string(),
            of.batch.clone(),
            format_local(of.run.started_at),
            lasted,
            of.run.submitted.to_string(),
            fate.as_str().to_owned(),
            format!("{} on {}", of.run.pid, of.run.host),
        ]);
    }
    table.render()
}

/// Returns a run as programs see it.
pub(crate) fn run_json(of: &RunWithBatch, ledger: &Ledger) -> Value {
    let fate = RunStatus::from_run(of, ledger);
    json!({
        "run": of.run.id,
        "batch": of.batch,
        "host": of.run.host,
        "pid": of.run.pid,
        "started": format_rfc3339(of.run.started_at),
        "heartbeat": format_rfc3339(of.run.heartbeat_at),
        "ended": of.run.ended_at.map(format_rfc3339),
        "ending": (fate != RunStatus::Live).then(|| fate.as_str()),
        "live": fate == RunStatus::Live,
        "submitted": of.run.submitted,
    })
}

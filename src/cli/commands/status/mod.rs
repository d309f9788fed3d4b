//! `callsheet status [BATCH]`: the status of batches and the next step.
//!
//! `session::batch_status` counts; this file prints the counts as a table or opens the live view.

mod watch;

use clap::Args;
use serde_json::json;

use crate::cli::args::{BatchRef, GlobalArgs};
use crate::cli::output::printer::Printer;
use crate::cli::output::status_text::{describe_group, describe_last_run, remarks, status_json};
use crate::cli::output::text_table::TextTable;
use crate::clock::Clock;
use crate::ledger::{BatchId, JobState, Ledger, RowStatus};
use crate::report::AttentionGroup;
use crate::session::batch_status::BatchStatus;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location;
use crate::session::ledger_location::LedgerLocation;

/// Show the status of batches and the next step
#[derive(Debug, Args)]
#[command(after_help = "\
`open` jobs continue in the next run: ready, submitting, rendering, fetching.
rows = done + open + uncertain + failed + cancelled + invalid + skipped.

With --json: {\"batches\": […]} with batch, file, base_url, rows, counts (by
state), invalid, skipped, stalled, generating, removed (by state), credits (as
reported by AI Studios), spent (requests, estimated, observed, observed_of),
tempo (videos, seconds, per_hour: in the last hour of the last run), paused,
planned, live (holder of the lock), last_run (as in `callsheet runs --json`),
troubles (state, cause, jobs, next), next. With --watch: one such batch per
line, at every change and at least once a minute.")]
pub(crate) struct StatusArgs {
    /// Batch name or file [default: all]; shows what needs attention
    batch: Option<String>,
    /// Use the ledger of rehearsals
    #[arg(long)]
    sandbox: bool,
    /// Live view of one batch; Ctrl-C closes it, the run continues
    #[arg(long, requires = "batch")]
    watch: bool,
}

pub(crate) async fn run(args: StatusArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: StatusArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let options = global.ledger_options(args.sandbox);
    let location = match &args.batch {
        Some(batch) => LedgerLocation::find_for(options, batch)?,
        None => LedgerLocation::find(options, &[])?,
    };
    if args.batch.is_none() && !location.path.exists() {
        return Ok(print_no_ledger(&location, printer));
    }
    let batch_ref = args.batch.map(|batch| BatchRef { batch, sandbox: args.sandbox });
    let (ledger, only) = match &batch_ref {
        Some(batch_ref) => {
            let (ledger, stored) = batch_ref.open_batch(global).await?;
            (ledger, Some(stored.id))
        }
        None => (ledger_location::open_existing_ledger(&location.path).await?, None),
    };
    if let (true, Some(id)) = (args.watch, only) {
        let batch = watch::WatchedBatch { id, global, is_rehearsal: args.sandbox };
        return watch::watch_batch(&ledger, batch, printer).await;
    }
    let clock = Clock::real();
    let mut statuses = Vec::new();
    for batch in ledger.batches().await? {
        if only.is_none_or(|id| id == batch.id) {
            let commands = global.command_hints(args.sandbox, &batch.name, &batch.file);
            statuses.push(BatchStatus::read(&ledger, batch, commands, clock.now()).await?);
        }
    }
    if printer.is_json() {
        let batches: Vec<_> = statuses.iter().map(|status| status_json(status, &ledger)).collect();
        printer.print_json(&json!({ "batches": batches }));
    } else if statuses.is_empty() {
        let hint = &location.hint;
        printer.print_result(&format!("no batches yet. Next: callsheet run jobs/NAME.toml{hint}"));
    } else {
        printer.print_result(&status_table(&statuses));
        for status in &statuses {
            print_batch_status(status, &ledger, only, printer).await?;
        }
    }
    ledger.close().await;
    Ok(ExitReason::Done)
}

fn print_no_ledger(location: &LedgerLocation, printer: &Printer) -> ExitReason {
    if printer.is_json() {
        printer.print_json(&json!({ "batches": [] }));
    } else {
        printer.print_result(&format!(
            "no runs yet; the first run creates the ledger `{}`{}",
            location.path.display(),
            location.hint
        ));
        printer.status("Next (free): callsheet run jobs/NAME.toml --sandbox");
    }
    ExitReason::Done
}

async fn print_batch_status(
    status: &BatchStatus,
    ledger: &Ledger,
    only: Option<BatchId>,
    printer: &Printer,
) -> Result<(), CommandError> {
    printer.print_result(&format!("\n{}: {}", status.batch.name, describe_last_run(status)));
    for line in remarks(status) {
        printer.print_result(&format!("  {line}"));
    }
    if only.is_none() {
        match status.next_command() {
            Some(command) => printer.print_result(&format!("  Next: {command}")),
            None if status.live_holder.is_none() => printer.print_result("  Nothing to do"),
            None => {}
        }
        return Ok(());
    }
    for group in &status.attention_groups {
        printer.print_result("");
        printer
            .print_result(&describe_group(group, ledger, status.batch.id, &status.commands).await?);
    }
    let failed = |group: &&AttentionGroup| group.state == RowStatus::State(JobState::Failed);
    if status.attention_groups.iter().filter(failed).count() > 1 {
        let all = status.commands.retry_all_command();
        printer.print_result(&format!(
            "\nall failed and cancelled videos, for any reason:\n    {all}"
        ));
    }
    if status.batch.paused {
        printer.print_result(&format!(
            "\nto continue the batch:\n    {}",
            status.commands.unpause_command()
        ));
    } else if status.count_open() > status.count_stalled() && status.live_holder.is_none() {
        let open = status.count_open();
        printer.print_result(&format!("\n{open} left:\n    {}", status.commands.run_command()));
    }
    Ok(())
}

fn status_table(statuses: &[BatchStatus]) -> String {
    let mut table = TextTable::new(&[
        "batch",
        "rows#",
        "done#",
        "open#",
        "uncertain#",
        "failed#",
        "cancelled#",
        "invalid#",
        "skipped#",
    ]);
    for status in statuses {
        table.add([
            status.batch.name.clone(),
            status.count_rows().to_string(),
            status.count_done().to_string(),
            status.count_open().to_string(),
            status.count_in_state(JobState::Uncertain).to_string(),
            status.count_in_state(JobState::Failed).to_string(),
            status.count_in_state(JobState::Cancelled).to_string(),
            status.invalid.to_string(),
            status.skipped.to_string(),
        ]);
    }
    table.render()
}

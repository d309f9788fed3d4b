//! `callsheet status [BATCH]`: what stands where, and what to type next.
//!
//! What it counts is the standing's; here it becomes a table, or a screen that stays.

use clap::Args;
use serde_json::json;

use crate::cli::args::GlobalArgs;
use crate::cli::commands::status_watch as watch;
use crate::cli::output::printer::Printer;
use crate::cli::output::text_table::TextTable;
use crate::ledger::{BatchId, JobState, Ledger};
use crate::session::attention::AttentionGroup;
use crate::session::batch_status::BatchStatus;
use crate::session::exit_code::ExitReason;
use crate::session::locked_batch::{BatchRef, ledger_error};
use crate::session::next_steps::CommandHints;
use crate::session::open_batch;
use crate::session::open_batch::CommandError;
use crate::text::pluralize;

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
        Err(early) => early.report(printer),
    }
}

async fn execute(
    args: StatusArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let path = global.ledger_path(args.sandbox);
    if args.batch.is_none() && !path.exists() {
        return Ok(print_no_ledger(&path, &global.rehearsal_hint(args.sandbox), printer));
    }
    let which = args.batch.map(|batch| BatchRef { batch, sandbox: args.sandbox });
    let (ledger, only) = match &which {
        Some(which) => {
            let (ledger, stored) = which.open_batch(global).await?;
            (ledger, Some(stored.id))
        }
        None => (open_batch::open_existing_ledger(&path).await?, None),
    };
    if let (true, Some(id)) = (args.watch, only) {
        return watch::watch_batch(&ledger, (id, global, args.sandbox), printer).await;
    }
    let mut standings = Vec::new();
    for batch in ledger.batches().await.map_err(ledger_error)? {
        if only.is_none_or(|id| id == batch.id) {
            let commands =
                CommandHints::from_name(global, args.sandbox, (&batch.name, &batch.file));
            standings.push(BatchStatus::read(&ledger, batch, commands).await?);
        }
    }
    if printer.is_json() {
        let batches: Vec<_> = standings.iter().map(|standing| standing.to_json(&ledger)).collect();
        printer.print_json(&json!({ "batches": batches }));
    } else if standings.is_empty() {
        let elsewhere = global.rehearsal_hint(args.sandbox);
        printer.print_result(&format!(
            "no batch yet: begin with callsheet run jobs/NAME.toml{elsewhere}"
        ));
    } else {
        printer.print_result(&status_table(&standings));
        for standing in &standings {
            print_batch_status(standing, &ledger, only, printer).await?;
        }
    }
    ledger.close().await;
    Ok(ExitReason::Done)
}

fn print_no_ledger(path: &std::path::Path, elsewhere: &str, printer: &Printer) -> ExitReason {
    if printer.is_json() {
        printer.print_json(&json!({ "batches": [] }));
    } else {
        printer.print_result(&format!(
            "nothing has run here yet: the first run makes the ledger `{}`{elsewhere}",
            path.display()
        ));
        printer.status("rehearse, which costs nothing: callsheet run jobs/NAME.toml --sandbox");
    }
    ExitReason::Done
}

async fn print_batch_status(
    standing: &BatchStatus,
    ledger: &Ledger,
    only: Option<BatchId>,
    printer: &Printer,
) -> Result<(), CommandError> {
    printer.print_result(&format!("\n{}: {}", standing.batch.name, standing.last_run_summary()));
    for line in standing.remarks() {
        printer.print_result(&format!("  {line}"));
    }
    if only.is_none() {
        match standing.next_command() {
            Some(command) => printer.print_result(&format!("  next: {command}")),
            None if standing.live_holder.is_none() => printer.print_result("  nothing to do"),
            None => {}
        }
        return Ok(());
    }
    for trouble in &standing.attention_groups {
        printer.print_result("");
        printer
            .print_result(&trouble.describe(ledger, standing.batch.id, &standing.commands).await?);
    }
    let failed = |trouble: &&AttentionGroup| trouble.state == Some(JobState::Failed);
    if standing.attention_groups.iter().filter(failed).count() > 1 {
        let all = standing.commands.retry_all_command();
        printer.print_result(&format!(
            "\nall that failed or was taken out, whatever the reason:\n    {all}"
        ));
    }
    if standing.batch.paused {
        printer.print_result(&format!(
            "\nto let it go on:\n    {}",
            standing.commands.unpause_command()
        ));
    } else if standing.count_open() > standing.count_stalled() && standing.live_holder.is_none() {
        let open = pluralize(standing.count_open(), "job");
        printer.print_result(&format!(
            "\n{open} to go on with:\n    {}",
            standing.commands.run_command()
        ));
    }
    Ok(())
}

fn status_table(standings: &[BatchStatus]) -> String {
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
    for standing in standings {
        table.add([
            standing.batch.name.clone(),
            standing.count_rows().to_string(),
            standing.count_done().to_string(),
            standing.count_open().to_string(),
            standing.count_in_state(JobState::Uncertain).to_string(),
            standing.count_in_state(JobState::Failed).to_string(),
            standing.count_in_state(JobState::Cancelled).to_string(),
            standing.invalid.to_string(),
            standing.skipped.to_string(),
        ]);
    }
    table.render()
}

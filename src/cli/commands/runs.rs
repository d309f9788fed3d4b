//! `callsheet runs [BATCH]`: lists the runs of the ledger and how they ended, and the audit trail.
//!
//! Reads only the ledger, and the locks of the batches to recognize live runs.

use clap::Args;
use serde_json::json;

use crate::cli::args::{BatchRef, GlobalArgs, parse_number};
use crate::cli::output::printer::Printer;
use crate::cli::output::text_table::TextTable;
use crate::clock::Clock;
use crate::ledger::{AuditEntry, OperatorRequest, RunWithBatch};
use crate::session::batch_status::RunStatus;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location;
use crate::session::reports::audit_json::{audit_json, describe_end};
use crate::session::reports::request_json::{describe_outcome, request_json};
use crate::session::reports::status_json::run_json;
use crate::text::time_format::{format_dead_run_duration, format_elapsed, format_local};
use crate::text::truncate;

/// Characters of a subject; `--json` has the complete text.
const SUBJECT_CHARS_MAX: usize = 60;

/// List the runs and the requests of operators
#[derive(Debug, Args)]
#[command(after_help = "\
Sent: paid renders requested, without those that were refused.
Ending: why the run ended; its numbers are those of the whole batch at that
time. If there is no such reason, it is `by hand` (retry, resolve and similar
commands), `not begun` (you answered no), `died` (killed, or power failure) or
`live` (active).
Exit: 0 all done, 3 some failed, 6 some uncertain, 8 stopped at a limit or a
pause; other codes: the run could not begin or go on, for the reason shown.

Below the runs, the requests of operators: retry, cancel, resolve, pause,
unpause and those of the console, by requester and with their outcome; then
the rest of the audit trail: approvals, edits, verdicts, share links, users.
JSON fields: callsheet help json runs

Example:
  callsheet runs spring")]
pub(crate) struct RunsArgs {
    /// Only runs of this batch (name or file)
    batch: Option<String>,
    /// Rehearsals, not real runs
    #[arg(long)]
    sandbox: bool,
    /// At most N runs and requests, the latest first
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
    let location = global.find_ledger(args.sandbox, &[])?;
    let (ledger, batch) = match args.batch {
        Some(batch) => {
            let batch_ref = BatchRef { batch, sandbox: args.sandbox };
            let (ledger, stored) = batch_ref.open_batch(global).await?;
            (ledger, Some(stored))
        }
        None => {
            let ledger = ledger_location::open_existing_ledger(&location.address).await;
            (ledger.map_err(|error| error.with_context(&location.hint))?, None)
        }
    };
    let id = batch.as_ref().map(|batch| batch.id);
    let runs = RunStatus::read_all(ledger.runs(id, args.limit).await?, &ledger).await;
    let requests = ledger.operator_requests(id, args.limit, Clock::real().now()).await?;
    let entries = ledger.audit_entries(batch.as_ref(), args.limit).await?;
    if printer.is_json() {
        let runs: Vec<_> = runs.iter().map(|(run, status)| run_json(run, *status)).collect();
        let requests: Vec<_> = requests.iter().map(request_json).collect();
        let entries: Vec<_> = entries.iter().map(audit_json).collect();
        printer.print_json(&json!({ "runs": runs, "requests": requests, "audit": entries }));
    } else {
        match runs.is_empty() {
            true => printer.status(&format!("No runs yet{}", location.hint)),
            false => printer.print_result(&runs_table(&runs)),
        }
        if !requests.is_empty() {
            printer.print_result(&format!("\n{}", requests_table(&requests)));
        }
        if !entries.is_empty() {
            printer.print_result(&format!("\n{}", audit_table(&entries)));
        }
    }
    ledger.close().await;
    Ok(ExitReason::Done)
}

fn runs_table(runs: &[(RunWithBatch, RunStatus)]) -> String {
    let mut table =
        TextTable::new(&["run#", "batch", "began", "lasted", "sent#", "exit#", "ending"]);
    for (entry, status) in runs {
        let stop = entry.run.stop();
        let (began, heartbeat) = (entry.run.started_at, entry.run.heartbeat_at);
        let lasted = match status {
            RunStatus::Live => format_elapsed(began, Clock::real().now()),
            RunStatus::Ended(_) => format_elapsed(began, entry.run.ended_at.unwrap_or(heartbeat)),
            RunStatus::Died => format_dead_run_duration(began, heartbeat),
        };
        table.add([
            entry.run.id.to_string(),
            entry.batch.clone(),
            format_local(entry.run.started_at),
            lasted,
            entry.run.submitted.to_string(),
            stop.as_ref().map(|stop| stop.exit.to_string()).unwrap_or_default(),
            stop.map_or_else(|| status.as_str().to_owned(), |stop| stop.message),
        ]);
    }
    table.render()
}

fn requests_table(requests: &[OperatorRequest]) -> String {
    let mut table = TextTable::new(&[
        "request#",
        "batch",
        "made",
        "action",
        "jobs#",
        "paid#",
        "run#",
        "requester",
        "outcome",
    ]);
    for request in requests {
        table.add([
            request.id.to_string(),
            request.batch.clone(),
            format_local(request.requested_at),
            request.action.as_str().to_owned(),
            request.job_count.to_string(),
            request.paid_count.to_string(),
            request.run_id.map(|run| run.to_string()).unwrap_or_default(),
            request.requester.clone(),
            describe_outcome(request),
        ]);
    }
    table.render()
}

fn audit_table(entries: &[AuditEntry]) -> String {
    let mut table =
        TextTable::new(&["at", "action", "batch", "key", "requester", "run#", "subject"]);
    for entry in entries {
        table.add([
            format_local(entry.at),
            entry.action.as_str().to_owned(),
            entry.batch.clone().unwrap_or_default(),
            entry.key.clone().unwrap_or_default(),
            entry.requester.clone(),
            entry.run_id.map(|run| run.to_string()).unwrap_or_default(),
            format!("{}{}", truncate(&entry.subject, SUBJECT_CHARS_MAX), describe_end(entry)),
        ]);
    }
    table.render()
}

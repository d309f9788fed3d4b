//! `callsheet ledger prune`: lets go of old history, after saying what that is.
//!
//! What may go is the ledger's to say. Here the locks of all batches are taken, so that nobody drives
//! one meanwhile, and a person is asked.

use std::path::Path;

use clap::Args;
use jiff::{Span, Timestamp, tz::TimeZone};
use serde_json::json;

use crate::cli::output::printer::Printer;
use crate::clock::Clock;
use crate::ledger::{Ledger, PruneCounts};
use crate::session::exit_code::ExitReason;
use crate::session::locked_batch::{confirm, ledger_error};
use crate::session::open_batch;
use crate::session::open_batch::CommandError;
use crate::text::pluralize;

/// Arguments of `callsheet ledger prune`.
#[derive(Debug, Args)]
#[command(after_help = "\
Deletes, for rows finished before then: their events (except how each render
ended, and the last one) and versions replaced before submission; and runs
without a paid request. Rows, paid requests and videos stay, so nothing is paid
twice. No batch may be running.")]
pub(crate) struct PruneArgs {
    /// Minimum age: 90d, 12w, 6mo, 1y
    #[arg(long, value_name = "SPAN", value_parser = parse_age)]
    older_than: Span,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Reads how long ago something must be. Less than a day is a slip: the night that just ended is
/// what a person looks at in the morning.
fn parse_age(text: &str) -> Result<Span, String> {
    let wrong = || "write it like 90d, 12w, 6mo or 1y; a day at the least".to_owned();
    let span: Span = text.parse().map_err(|_| wrong())?;
    let now = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    let day = now.checked_sub(Span::new().days(1)).map_err(|_| wrong())?;
    let then = now.checked_sub(span).map_err(|_| wrong())?;
    if then <= day { Ok(span) } else { Err(wrong()) }
}

pub(crate) async fn prune_history(
    path: &Path,
    args: PruneArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let ledger = open_batch::open_existing_ledger(path).await?;
    let clock = Clock::real();
    let mut locks = Vec::new();
    for batch in ledger.batches().await.map_err(ledger_error)? {
        locks.push(open_batch::lock_batch(path, &batch.name, &clock)?);
    }
    let before = clock.now().to_zoned(TimeZone::UTC).checked_sub(args.older_than);
    let before = before.map_err(|error| CommandError::new(ExitReason::Usage, error))?.timestamp();
    let exit = confirm_and_prune(&ledger, before, &args, printer).await;
    ledger.close().await;
    drop(locks);
    exit
}

async fn confirm_and_prune(
    ledger: &Ledger,
    before: Timestamp,
    args: &PruneArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let found = ledger.count_prunable(before).await.map_err(ledger_error)?;
    if found == PruneCounts::default() {
        print_pruned(found, "nothing", None, printer);
        return Ok(ExitReason::Done);
    }
    if !printer.is_json() {
        printer.print_result(&format!(
            "older than {}: {}",
            before.strftime("%Y-%m-%d"),
            describe_prunable(found)
        ));
    }
    printer.status(
        "every row, its video, and whatever was or may have been paid for stay as they are",
    );
    if !confirm("let go of them? It cannot be undone.", args.yes, printer) {
        return Ok(ExitReason::Done);
    }
    let size = || std::fs::metadata(ledger.path()).map_or(0, |found| found.len());
    let was = size();
    let gone = ledger.prune(before).await.map_err(ledger_error)?;
    if let Err(error) = ledger.compact().await {
        printer.error(&format!("the file keeps its size for now: {error}"));
    }
    print_pruned(gone, "gone", Some((was, size())), printer);
    Ok(ExitReason::Done)
}

fn describe_prunable(found: PruneCounts) -> String {
    let PruneCounts { events, versions, runs } = found;
    format!(
        "{} of finished rows, {} that were never submitted, {} that began no paid request",
        pluralize(events.unsigned_abs(), "event"),
        pluralize(versions.unsigned_abs(), "content"),
        pluralize(runs.unsigned_abs(), "run"),
    )
}

fn print_pruned(found: PruneCounts, word: &str, size: Option<(u64, u64)>, printer: &Printer) {
    let PruneCounts { events, versions, runs } = found;
    if printer.is_json() {
        let bytes = size.map(|(was, is)| json!({ "before": was, "after": is }));
        printer.print_json(&json!({
            "events": events, "versions": versions, "runs": runs, "bytes": bytes,
        }));
        return;
    }
    match size {
        Some((was, is)) => printer.print_result(&format!(
            "{word}; the file took {:.1} MB and takes {:.1} MB",
            was as f64 / 1e6,
            is as f64 / 1e6
        )),
        None => printer.print_result("nothing to let go of"),
    }
}

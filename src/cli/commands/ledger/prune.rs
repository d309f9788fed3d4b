//! `callsheet ledger prune`: deletes old history after confirmation.
//!
//! The ledger decides which history may be deleted. This command holds the locks of all batches, so
//! that no run is live meanwhile, and asks the user.

use clap::Args;
use jiff::{Span, Timestamp, tz::TimeZone};
use serde_json::json;

use crate::cli::output::printer::Printer;
use crate::cli::output::prompt::confirm;
use crate::clock::Clock;
use crate::ledger::{Ledger, LedgerAddress, PruneCounts};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location;
use crate::session::locked_batch::lock_batch;
use crate::text::pluralize;

/// Arguments of `callsheet ledger prune`.
#[derive(Debug, Args)]
#[command(after_help = "\
Deletes runs that paid for nothing, and the history of videos that finished that
long ago, except how each render ended. Rows, paid requests and videos stay, so
nothing is paid twice. No batch may be running.")]
pub(crate) struct PruneArgs {
    /// Minimum age: 90d, 12w, 6mo, 1y
    #[arg(long, value_name = "SPAN", value_parser = parse_age)]
    older_than: Span,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// Parses a minimum age. Less than a day is rejected as a mistake: the user still needs the history
/// of the latest run.
fn parse_age(text: &str) -> Result<Span, String> {
    let invalid = || "must be a span such as 90d, 12w, 6mo or 1y, at least one day".to_owned();
    let span: Span = text.parse().map_err(|_| invalid())?;
    let now = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    let day = now.checked_sub(Span::new().days(1)).map_err(|_| invalid())?;
    let then = now.checked_sub(span).map_err(|_| invalid())?;
    if then <= day { Ok(span) } else { Err(invalid()) }
}

pub(crate) async fn prune_history(
    address: &LedgerAddress,
    args: PruneArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let ledger = ledger_location::open_existing_ledger(address).await?;
    let clock = Clock::real();
    let mut locks = Vec::new();
    for batch in ledger.batches().await? {
        locks.push(lock_batch(&ledger, &batch.name, &clock).await?);
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
    let found = ledger.count_prunable(before).await?;
    if found == PruneCounts::default() {
        print_pruned(found, None, printer);
        return Ok(ExitReason::Done);
    }
    if !printer.is_json() {
        printer.print_result(&format!(
            "older than {}: {}",
            before.strftime("%Y-%m-%d"),
            describe_prunable(found)
        ));
    }
    printer.status("Rows, videos and paid requests are kept");
    if !confirm("Delete it? This cannot be undone.", args.yes, printer) {
        return Ok(ExitReason::Done);
    }
    let size = || {
        let file = ledger.address().as_file().map(std::fs::metadata);
        file.map(|found| found.map_or(0, |found| found.len()))
    };
    let bytes_before = size();
    let deleted = ledger.prune(before).await?;
    if let Err(error) = ledger.compact().await {
        printer.error(&format!("the ledger file could not be compacted: {error}"));
    }
    let sizes = bytes_before.zip(size()).map(|(before, after)| FileSizes { before, after });
    print_pruned(deleted, sizes, printer);
    Ok(ExitReason::Done)
}

fn describe_prunable(found: PruneCounts) -> String {
    let PruneCounts { events, versions, runs } = found;
    format!(
        "{} of finished rows, {} never submitted, {} without a paid request",
        pluralize(events.unsigned_abs(), "event"),
        pluralize(versions.unsigned_abs(), "version"),
        pluralize(runs.unsigned_abs(), "run"),
    )
}

/// Size of the ledger file in bytes.
#[derive(Clone, Copy)]
struct FileSizes {
    before: u64,
    after: u64,
}

fn print_pruned(deleted: PruneCounts, size: Option<FileSizes>, printer: &Printer) {
    let PruneCounts { events, versions, runs } = deleted;
    if printer.is_json() {
        let bytes = size.map(|size| json!({ "before": size.before, "after": size.after }));
        printer.print_json(&json!({
            "events": events, "versions": versions, "runs": runs, "bytes": bytes,
        }));
        return;
    }
    match size {
        Some(size) => printer.print_result(&format!(
            "Deleted; the file shrank from {:.1} MB to {:.1} MB",
            size.before as f64 / 1e6,
            size.after as f64 / 1e6
        )),
        None if deleted == PruneCounts::default() => printer.print_result("Nothing to delete"),
        // A server reuses the space.
        None => printer.print_result(&format!("Deleted: {}", describe_prunable(deleted))),
    }
}

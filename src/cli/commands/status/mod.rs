//! `callsheet status [BATCH]`: the status of batches and the next step.
//!
//! `session::batch_status` counts; this file prints the counts as a table or opens the live view.

mod watch;

use clap::Args;
use serde_json::json;

use crate::batch::{batch_files_here, name_or_path};
use crate::cli::args::{BatchRef, GlobalArgs};
use crate::cli::output::headline_text;
use crate::cli::output::printer::Printer;
use crate::cli::output::status_text::{describe_group, describe_last_run, remarks};
use crate::clock::Clock;
use crate::ledger::{BatchId, JobState, Ledger, RowStatus};
use crate::report::AttentionGroup;
use crate::session::batch_headline;
use crate::session::batch_headline::BatchHeadline;
use crate::session::batch_status::BatchStatus;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::ledger_location;
use crate::session::ledger_location::{LedgerLocation, LedgerOptions};
use crate::session::next_steps::ledger_arguments;
use crate::session::reports::status_json::status_json;

/// Show the status of batches and the next step
#[derive(Debug, Args)]
#[command(after_help = "\
The batches that need you come first: ! needs you, · stopped as planned,
▶ running, ✓ finished. Waiting and started videos continue in the next run.
For one batch, the rows that need you follow, with their commands.
JSON fields: callsheet help json status

Examples:
  callsheet status                  all batches
  callsheet status spring           one, with the rows that need you
  callsheet status spring --watch   live")]
pub(crate) struct StatusArgs {
    /// Batch name or file [default: all]
    batch: Option<String>,
    /// The batches of the rehearsals, not of the real runs
    #[arg(long)]
    sandbox: bool,
    /// Live view; q or Ctrl-C closes it, runs continue
    #[arg(long)]
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
    if args.batch.is_none() && !location.address.may_exist() {
        return Ok(print_no_ledger(&location, printer));
    }
    let batch_ref = args.batch.map(|batch| BatchRef { batch, sandbox: args.sandbox });
    let (ledger, only) = match &batch_ref {
        Some(batch_ref) => {
            let (ledger, stored) = batch_ref.open_batch(global).await?;
            (ledger, Some(stored.id))
        }
        None => (ledger_location::open_existing_ledger(&location.address).await?, None),
    };
    if args.watch {
        let batch = watch::WatchedBatch { id: only, global, is_rehearsal: args.sandbox };
        return watch::watch(&ledger, batch, printer).await;
    }
    let statuses = read_statuses(&ledger, only, args.sandbox, global).await?;
    if printer.is_json() {
        let batches: Vec<_> = statuses.iter().map(status_json).collect();
        printer.print_json(&json!({ "batches": batches }));
    } else if statuses.is_empty() {
        printer.print_result(&format!("No batches yet{}", location.hint));
        printer.status(&format!("Next (free): {}", first_command(&location)));
    } else {
        print_headlines(&statuses, only.is_some(), printer);
        for status in statuses.iter().filter(|_| only.is_some() || printer.is_verbose()) {
            print_batch_status(status, &ledger, only, printer).await?;
        }
    }
    ledger.close().await;
    Ok(ExitReason::Done)
}

/// Returns what can be done without a batch in the ledger, for free: look at the rehearsals, or rehearse.
fn first_command(location: &LedgerLocation) -> String {
    let rehearsal = LedgerOptions { is_rehearsal: true, ..location.options.clone() };
    let arguments = ledger_arguments(&rehearsal);
    let was_rehearsed = location.address.for_rehearsals().may_exist();
    match was_rehearsed && !location.options.is_rehearsal {
        true => format!("callsheet status{arguments}"),
        false => match batch_files_here().first() {
            Some(file) => format!("callsheet run {}{arguments}", name_or_path(file)),
            None => "callsheet new --demo".to_owned(),
        },
    }
}

async fn read_statuses(
    ledger: &Ledger,
    only: Option<BatchId>,
    is_rehearsal: bool,
    global: &GlobalArgs,
) -> Result<Vec<BatchStatus>, CommandError> {
    let now = Clock::real().now();
    let mut statuses = Vec::new();
    for batch in ledger.batches().await? {
        if only.is_none_or(|id| id == batch.id) {
            let commands = global.command_hints(is_rehearsal, &batch.name, &batch.file);
            let mut status = BatchStatus::read(ledger, batch, commands, now).await?;
            if status.count_failed() > 0 {
                status.read_messages(ledger).await?;
            }
            statuses.push(status);
        }
    }
    Ok(statuses)
}

/// Prints what needs the user, worst first, and the counts. The page of one batch does not name the
/// command that prints it.
fn print_headlines(statuses: &[BatchStatus], is_page: bool, printer: &Printer) {
    let headline = |status: &BatchStatus| {
        let mut headline = BatchHeadline::from_status(status);
        if is_page && is_this_page(&headline, status) {
            (headline.command, headline.lead) = (None, "");
        }
        headline
    };
    let mut headlines: Vec<_> = statuses.iter().map(headline).collect();
    batch_headline::sort_headlines(&mut headlines);
    for line in headline_text::headline_lines(&headlines, Clock::real().now()) {
        printer.print_styled(&line);
    }
}

fn is_this_page(headline: &BatchHeadline, status: &BatchStatus) -> bool {
    headline.command.as_ref() == Some(&status.commands.status_command())
}

fn print_no_ledger(location: &LedgerLocation, printer: &Printer) -> ExitReason {
    if printer.is_json() {
        printer.print_json(&json!({ "batches": [] }));
    } else {
        printer.print_result(&format!(
            "Nothing was run here: there is no ledger `{}`{}",
            location.address, location.hint
        ));
        printer.status(
            "If you have run a batch, change to the folder in which you ran it, or name its ledger with --ledger",
        );
        printer.status(&format!("Next (free): {}", first_command(location)));
    }
    ExitReason::Done
}

async fn print_batch_status(
    status: &BatchStatus,
    ledger: &Ledger,
    only: Option<BatchId>,
    printer: &Printer,
) -> Result<(), CommandError> {
    let last_run = format!("\n{}: {}", status.batch.name, describe_last_run(status));
    printer.print_sentences(&last_run);
    for line in remarks(status) {
        printer.print_sentences(&format!("  {line}"));
    }
    if only.is_none() {
        return Ok(());
    }
    for group in &status.attention_groups {
        printer.print_result("");
        let group = describe_group(group, ledger, status.batch.id, &status.commands).await?;
        printer.print_sentences(&group);
    }
    let failed = |group: &&AttentionGroup| group.state == RowStatus::State(JobState::Failed);
    if status.attention_groups.iter().filter(failed).count() > 1 {
        let all = status.commands.retry_all_command();
        printer.print_result(&format!(
            "\nall failed and cancelled videos, for any reason:\n    {all}"
        ));
    }
    // Otherwise the headline has the command.
    let is_named = !is_this_page(&BatchHeadline::from_status(status), status);
    let has_open = status.count_open() > status.count_stalled();
    if has_open && !is_named && status.live_holder.is_none() {
        let open = status.count_open();
        printer.print_result(&format!(
            "\n{open} not done yet:\n    {}",
            status.commands.continue_command()
        ));
    }
    Ok(())
}

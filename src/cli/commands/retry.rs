//! `callsheet retry` and `callsheet cancel`: return failed jobs to the queue, or take jobs out of it.
//!
//! Both hold the batch's lock and show the number of jobs before they ask.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::args::{BatchRef, GlobalArgs};
use crate::cli::output::printer::Printer;
use crate::cli::output::prompt::confirm;
use crate::ledger::{JobState, Ledger, RetryFilter, RetryTotals, StoredBatch};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::job_key::find_job_key;
use crate::session::locked_batch::LeasedBatch;
use crate::session::next_steps::CommandHints;
use crate::text::{format_credits, pluralize};

/// Retry failed or cancelled videos
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet retry spring                        all failed and cancelled videos
  callsheet retry spring --cause render-failed
  callsheet retry spring TEA-001 TEA-002

Shows the number of videos and their cost first. A finished video whose
download failed is only downloaded again. A render that was given up is checked
first, and paid for again only if it did not finish. Uncertain jobs are left
unchanged, because they may already be paid for (see `callsheet resolve`).")]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    /// Only these keys, or unambiguous parts of them
    keys: Vec<String>,
    /// Only jobs that failed for this cause, such as refused
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// Only jobs in this state
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<RetryableState>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

/// The cause after which the video may still arrive.
const RENDER_FAILED_CAUSE: &str = "render-failed";

/// A state from which a job can be retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum RetryableState {
    Failed,
    Cancelled,
}

impl RetryableState {
    fn job_state(self) -> JobState {
        match self {
            Self::Failed => JobState::Failed,
            Self::Cancelled => JobState::Cancelled,
        }
    }
}

/// Cancel videos not yet submitted
#[derive(Debug, Args)]
#[command(after_help = "\
A render in progress cannot be cancelled: AI Studios has no request for it, and
bills it. The number of such renders is shown.")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    /// Only these keys, or unambiguous parts of them [default: all]
    keys: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn retry(args: RetryArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute_retry(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

pub(crate) async fn cancel(args: CancelArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute_cancel(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute_retry(
    args: RetryArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let hold = args.batch_ref.lease_batch(global).await?;
    let keys = complete_keys(&hold.ledger, &hold.stored, &args.keys).await?;
    let state = args.state.map(RetryableState::job_state);
    let chosen = RetryFilter { keys, cause: args.cause, state, selection: None };
    let again = hold.ledger.count_retries(hold.stored.id, &chosen).await?;
    let uncertain = count_in_state(&hold.ledger, &hold.stored, JobState::Uncertain).await?;
    if uncertain > 0 {
        printer.status(&format!(
            "{} left unchanged: possibly already paid for (see callsheet resolve)",
            pluralize(uncertain, "uncertain job")
        ));
    }
    if again.submissions + again.downloads == 0 {
        print_outcome(printer, "Nothing to retry", &retry_json(RetryTotals::default(), 0.0));
        hold.release().await?;
        return Ok(ExitReason::Done);
    }
    let per_minute = hold.ledger.credits_per_minute().await?;
    let credits = again.minutes as f64 * per_minute;
    let what = describe_retry(again, credits);
    let commands =
        global.command_hints(args.batch_ref.sandbox, &hold.stored.name, &hold.stored.file);
    warn_about_late_renders(&hold, chosen.clone(), &commands, printer).await?;
    if !confirm(&format!("{what}. Continue?"), args.yes, printer) {
        if printer.is_json() {
            printer.print_json(&retry_json(RetryTotals::default(), 0.0));
        }
        hold.release().await?;
        return Ok(ExitReason::Done);
    }
    let now = hold.clock.now();
    let again = hold.lease.retry_jobs(chosen, now).await;
    let again = again?;
    print_outcome(printer, &what, &retry_json(again, credits));
    printer.status(&format!("Next: {}", commands.run_command()));
    hold.release().await?;
    Ok(ExitReason::Done)
}

/// Describes a retry: what is downloaded, rendered for the first time, and paid for again.
fn describe_retry(again: RetryTotals, credits: f64) -> String {
    let RetryTotals { submissions, paid_before, downloads, .. } = again;
    let mut parts = Vec::new();
    if downloads > 0 {
        let videos = pluralize(downloads, "finished video");
        parts.push(format!("{videos} to download again (free)"));
    }
    if submissions > paid_before {
        let videos = pluralize(submissions - paid_before, "video");
        parts.push(format!("{videos} to render (not paid before)"));
    }
    if paid_before > 0 {
        let videos = pluralize(paid_before, "video");
        parts.push(format!("{videos} to check, then to render and pay again if not finished"));
    }
    if submissions > 0 {
        parts.push(format!("at most about {}", format_credits(credits)));
    }
    parts.join("; ")
}

/// Names the command that only takes renders which have finished meanwhile.
async fn warn_about_late_renders(
    hold: &LeasedBatch,
    chosen: RetryFilter,
    commands: &CommandHints,
    printer: &Printer,
) -> Result<(), CommandError> {
    if chosen.cause.as_deref().is_some_and(|cause| cause != RENDER_FAILED_CAUSE) {
        return Ok(());
    }
    let given_up = RetryFilter { cause: Some(RENDER_FAILED_CAUSE.to_owned()), ..chosen };
    let again = hold.ledger.count_retries(hold.stored.id, &given_up).await?;
    if again.submissions > 0 {
        let (jobs, run) = (pluralize(again.submissions, "render"), commands.run_command());
        printer.status(&format!(
            "{jobs} failed or timed out, and may have finished: `{run}` checks, and downloads for \
             free; retried, they are checked first as well, and the rest is paid for again"
        ));
    }
    Ok(())
}

/// Prints the outcome as text or as JSON.
fn print_outcome(printer: &Printer, words: &str, document: &Value) {
    if printer.is_json() { printer.print_json(document) } else { printer.print_result(words) }
}

fn retry_json(again: RetryTotals, credits: f64) -> Value {
    json!({
        "submits": again.submissions, "paid_before": again.paid_before, "fetches": again.downloads, "estimated_credits": credits,
    })
}

async fn execute_cancel(
    args: CancelArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let hold = args.batch_ref.lease_batch(global).await?;
    let keys = complete_keys(&hold.ledger, &hold.stored, &args.keys).await?;
    let open = [JobState::Submitting, JobState::Uncertain, JobState::Rendering];
    let mut billed = 0;
    for state in open {
        billed += count_in_state(&hold.ledger, &hold.stored, state).await?;
    }
    let ready = count_in_state(&hold.ledger, &hold.stored, JobState::Ready).await?;
    let most = if keys.is_empty() { ready } else { ready.min(keys.len() as u64) };
    let question = format!("cancel {}?", pluralize(most, "job"));
    if most == 0 || !confirm(&question, args.yes, printer) {
        let document = json!({ "cancelled": 0, "still_billed": billed });
        print_outcome(printer, "Nothing was cancelled", &document);
        hold.release().await?;
        return Ok(ExitReason::Done);
    }
    let now = hold.clock.now();
    let cancelled = hold.lease.cancel_jobs(keys, now).await;
    let cancelled = cancelled?;
    if printer.is_json() {
        printer.print_json(&json!({ "cancelled": cancelled, "still_billed": billed }));
    } else {
        printer.print_result(&format!("Cancelled {}", pluralize(cancelled, "job")));
        if billed > 0 {
            printer.print_result(&format!(
                "{} in progress cannot be cancelled and will be billed",
                pluralize(billed, "render")
            ));
        }
    }
    hold.release().await?;
    Ok(ExitReason::Done)
}

async fn complete_keys(
    ledger: &Ledger,
    stored: &StoredBatch,
    parts: &[String],
) -> Result<Vec<String>, CommandError> {
    let mut keys = Vec::with_capacity(parts.len());
    for part in parts {
        keys.push(find_job_key(ledger, stored, part).await?);
    }
    Ok(keys)
}

async fn count_in_state(
    ledger: &Ledger,
    stored: &StoredBatch,
    state: JobState,
) -> Result<u64, CommandError> {
    let counts = ledger.state_counts(stored.id).await?;
    Ok(counts.get(&state).copied().unwrap_or(0))
}

//! `callsheet retry` and `callsheet cancel`: return failed jobs to the queue, or take jobs out of it.
//!
//! Both show the number of jobs before they ask, and change exactly those, or nothing. A live run
//! carries them out.

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::args::{BatchRef, GlobalArgs, ReasonArgs};
use crate::cli::output::printer::Printer;
use crate::cli::output::prompt::confirm;
use crate::ledger::{
    JobState, Ledger, OperatorRequest, RequestedAction, StoredBatch, TargetFilter, TargetTotals,
};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::job_key::find_row_keys;
use crate::session::next_steps::CommandHints;
use crate::session::operator::operator_batch::{CommandRequest, OperatorBatch};
use crate::text::{format_credits, pluralize};

/// Retry failed or cancelled videos
#[derive(Debug, Args)]
#[command(after_help = "\
Shows the number of videos and their cost, then puts them back into the queue: a
live run, or the next one, does the work. A finished video whose download failed
is only downloaded again. A render that failed or timed out is checked first,
and paid for again only if it did not finish. Uncertain videos are left
unchanged, because they may already be paid for (see `callsheet resolve`).

Examples:
  callsheet retry spring                        all failed and cancelled videos
  callsheet retry spring --cause render-failed
  callsheet retry spring TEA-001 TEA-002")]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    /// Only these keys, or unambiguous parts of them [default: all]
    keys: Vec<String>,
    /// Only videos that failed for this cause, such as refused
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// Only videos in this state
    #[arg(long, value_enum, value_name = "STATE")]
    state: Option<RetryableState>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    reason: ReasonArgs,
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
charges for it. `cancel` says how many there are, and how many uncertain videos,
which may already be paid for.")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    /// Only these keys, or unambiguous parts of them [default: all]
    keys: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    reason: ReasonArgs,
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
    let batch = args.batch_ref.open_for_operator(global).await?;
    let outcome = retry_jobs(args, &batch, global, printer).await;
    let released = batch.release().await;
    outcome?;
    released.map(|()| ExitReason::Done)
}

async fn retry_jobs(
    args: RetryArgs,
    batch: &OperatorBatch,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<(), CommandError> {
    let OperatorBatch { ledger, stored, .. } = batch;
    let keys = complete_keys(ledger, stored, &args.keys).await?;
    let state = args.state.map(RetryableState::job_state);
    let filter = TargetFilter { keys, cause: args.cause, state, selection: None };
    let action = RequestedAction::Retry(filter.clone());
    let set = ledger.target_set(stored.id, &action).await?;
    let commands = args.batch_ref.read_command_hints(global, ledger, stored).await?;
    print_uncertain(ledger, stored, &commands, printer).await?;
    if set.jobs().is_empty() {
        print_outcome(printer, "Nothing to retry", &retry_json(TargetTotals::default(), None));
        return Ok(());
    }
    let credits = set.totals().minutes as f64 * ledger.credits_per_minute().await?;
    let what = describe_retry(set.totals(), credits);
    warn_about_late_renders(batch, filter, &commands, printer).await?;
    if !confirm(&format!("{what}. Continue?"), args.yes, printer) {
        if printer.is_json() {
            printer.print_json(&retry_json(TargetTotals::default(), None));
        }
        return Ok(());
    }
    let shown = (!args.yes).then(|| set.to_shown_set());
    let request = CommandRequest { action, shown, reason: args.reason.because };
    let request = batch.execute_request(request).await?;
    print_outcome(printer, &format!("Queued: {what}"), &retry_json(set.totals(), Some(&request)));
    print_next(batch, &commands, printer);
    Ok(())
}

/// Prints how many jobs are left unchanged because they may be paid for.
async fn print_uncertain(
    ledger: &Ledger,
    stored: &StoredBatch,
    commands: &CommandHints,
    printer: &Printer,
) -> Result<(), CommandError> {
    let uncertain = PaidVideos::in_batch(ledger, stored).await?.uncertain;
    if uncertain > 0 {
        printer.status(&format!(
            "{} left unchanged: may already be paid for. To decide:\n    {}",
            pluralize(uncertain, "uncertain video"),
            commands.status_command()
        ));
    }
    Ok(())
}

/// Prints what continues with the jobs: the live run, or the next one.
pub(super) fn print_next(batch: &OperatorBatch, commands: &CommandHints, printer: &Printer) {
    match batch.live_holder() {
        Some(holder) => printer.status(&format!("live run ({holder}): continues with them")),
        None => print_continue_step(commands, printer),
    }
}

/// Prints the command that continues the batch, and whether it reads the sheet.
pub(super) fn print_continue_step(commands: &CommandHints, printer: &Printer) {
    printer.status(&format!("Next: {}", commands.continue_command()));
    if let Some(note) = commands.continue_note() {
        printer.status(&format!("      {note}"));
    }
}

/// Describes a retry: what is downloaded, rendered for the first time, and paid for again.
fn describe_retry(totals: TargetTotals, credits: f64) -> String {
    let TargetTotals { submissions, paid_before, downloads, .. } = totals;
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
        parts.push(format!("up to about {}", format_credits(credits)));
    }
    parts.join("; ")
}

/// Names the command that only takes renders which have finished meanwhile.
async fn warn_about_late_renders(
    batch: &OperatorBatch,
    filter: TargetFilter,
    commands: &CommandHints,
    printer: &Printer,
) -> Result<(), CommandError> {
    if filter.cause.as_deref().is_some_and(|cause| cause != RENDER_FAILED_CAUSE) {
        return Ok(());
    }
    let given_up = TargetFilter { cause: Some(RENDER_FAILED_CAUSE.to_owned()), ..filter };
    let retry = RequestedAction::Retry(given_up);
    let given_up = batch.ledger.target_set(batch.stored.id, &retry).await?.totals();
    if given_up.submissions > 0 {
        let (jobs, run) = (pluralize(given_up.submissions, "render"), commands.continue_command());
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

fn retry_json(totals: TargetTotals, request: Option<&OperatorRequest>) -> Value {
    json!({
        "submits": totals.submissions,
        "paid_before": totals.paid_before,
        "fetches": totals.downloads,
        "estimated_credits": request.map_or(0.0, |request| request.credits),
        "request": request.map(|request| request.id),
    })
}

async fn execute_cancel(
    args: CancelArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let batch = args.batch_ref.open_for_operator(global).await?;
    let outcome = cancel_jobs(args, global, &batch, printer).await;
    let released = batch.release().await;
    outcome?;
    released.map(|()| ExitReason::Done)
}

async fn cancel_jobs(
    args: CancelArgs,
    global: &GlobalArgs,
    batch: &OperatorBatch,
    printer: &Printer,
) -> Result<(), CommandError> {
    let OperatorBatch { ledger, stored, .. } = batch;
    let keys = complete_keys(ledger, stored, &args.keys).await?;
    let paid = match keys.as_slice() {
        [] => PaidVideos::in_batch(ledger, stored).await?,
        keys => PaidVideos::among_keys(ledger, stored, keys).await?,
    };
    let action = RequestedAction::Cancel(TargetFilter { keys, ..TargetFilter::default() });
    let set = ledger.target_set(stored.id, &action).await?;
    let question = format!("Cancel {}?", pluralize(set.totals().jobs, "video"));
    if set.jobs().is_empty() || !confirm(&question, args.yes, printer) {
        let document = json!({ "cancelled": 0, "still_billed": paid.count(), "request": null });
        print_outcome(printer, "Nothing was cancelled", &document);
        return Ok(());
    }
    let shown = (!args.yes).then(|| set.to_shown_set());
    let request = CommandRequest { action, shown, reason: args.reason.because };
    let request = batch.execute_request(request).await?;
    let cancelled = request.job_count;
    if printer.is_json() {
        printer.print_json(&json!({
            "cancelled": cancelled, "still_billed": paid.count(), "request": request.id,
        }));
        return Ok(());
    }
    printer.print_result(&format!("Cancelled {}", pluralize(cancelled, "video")));
    let commands = args.batch_ref.read_command_hints(global, ledger, stored).await?;
    paid.describe(&commands).iter().for_each(|sentence| printer.print_result(sentence));
    Ok(())
}

/// The videos to be cancelled that were paid for, or may have been, and so cannot be cancelled any more.
struct PaidVideos {
    submitting: u64,
    uncertain: u64,
    rendering: u64,
}

impl PaidVideos {
    async fn in_batch(ledger: &Ledger, stored: &StoredBatch) -> Result<Self, CommandError> {
        let counts = ledger.state_counts(stored.id).await?;
        Ok(Self::with_counts(|state| counts.get(&state).copied().unwrap_or(0)))
    }

    async fn among_keys(
        ledger: &Ledger,
        stored: &StoredBatch,
        keys: &[String],
    ) -> Result<Self, CommandError> {
        let mut states = Vec::new();
        for key in keys {
            let history = ledger.job_history(stored.id, key).await?;
            states.extend(history.and_then(|history| history.job.state));
        }
        Ok(Self::with_counts(|state| states.iter().filter(|it| **it == state).count() as u64))
    }

    fn with_counts(count: impl Fn(JobState) -> u64) -> Self {
        Self {
            submitting: count(JobState::Submitting),
            uncertain: count(JobState::Uncertain),
            rendering: count(JobState::Rendering),
        }
    }

    fn count(&self) -> u64 {
        self.submitting + self.uncertain + self.rendering
    }

    fn describe(&self, commands: &CommandHints) -> Vec<String> {
        let &Self { submitting, uncertain, rendering } = self;
        let mut sentences = Vec::new();
        if rendering > 0 {
            let renders = pluralize(rendering, "render");
            sentences.push(format!("{renders} in progress cannot be cancelled and will be billed"));
        }
        if submitting > 0 {
            let videos = pluralize(submitting, "video");
            sentences.push(format!("{videos} being submitted cannot be cancelled any more"));
        }
        if uncertain > 0 {
            let videos = pluralize(uncertain, "uncertain video");
            let status = commands.status_command();
            sentences.push(format!(
                "{videos} not cancelled: may already be paid for. To decide:\n    {status}"
            ));
        }
        sentences
    }
}

async fn complete_keys(
    ledger: &Ledger,
    stored: &StoredBatch,
    parts: &[String],
) -> Result<Vec<String>, CommandError> {
    let mut keys = Vec::with_capacity(parts.len());
    for part in parts {
        keys.extend(find_row_keys(ledger, stored, part).await?);
    }
    Ok(keys)
}

//! `callsheet resolve`: the operator decides about one uncertain job.
//!
//! AI Studios is checked first: evidence takes precedence over the operator's statement.

use clap::{ArgGroup, Args};
use serde_json::json;

use crate::cli::args::{BatchRef, GlobalArgs, TrustArgs};
use crate::cli::commands::retry::print_next;
use crate::cli::output::printer::Printer;
use crate::ledger::JobState;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::job_key::find_job_key;
use crate::session::operator::operator_batch::{CommandRequest, OperatorBatch};
use crate::session::operator::resolution::{
    DecidedResolution, ResolveChoice, ResolveInput, decide_resolution,
};
use crate::text::strip_control;

/// Decide about a video that may have been paid for
#[derive(Debug, Args)]
#[command(override_usage = "\
callsheet resolve <BATCH> <KEY> --adopt <PROJECT>
       callsheet resolve <BATCH> <KEY> --not-submitted
       callsheet resolve <BATCH> <KEY> --abandon")]
#[command(group = ArgGroup::new("verdict").required(true))]
#[command(after_help = "\
Examples:
  callsheet resolve spring TEA-001 --adopt 66f1a0…
  callsheet resolve spring TEA-001 --not-submitted --because \"not in the account\"

AI Studios is checked first; what it shows takes precedence over the options.
`callsheet show BATCH KEY` shows the tag to search for in your account.")]
pub(crate) struct ResolveArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    #[command(flatten)]
    trust: TrustArgs,
    /// Key, or an unambiguous part of it
    key: String,
    /// It was accepted as this project
    #[arg(long, value_name = "PROJECT", group = "verdict")]
    adopt: Option<String>,
    /// It was not accepted: the next run submits it (paid)
    #[arg(long, group = "verdict")]
    not_submitted: bool,
    /// Give up; it may have been paid for
    #[arg(long, group = "verdict")]
    abandon: bool,
    /// Reason, for the job's history
    #[arg(long, value_name = "TEXT", default_value = "")]
    because: String,
}

pub(crate) async fn run(args: ResolveArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: ResolveArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let batch = args.batch_ref.open_for_operator(global).await?;
    let outcome = resolve_job(&args, &batch, global, printer).await;
    let released = batch.release().await;
    outcome?;
    released.map(|()| ExitReason::Done)
}

async fn resolve_job(
    args: &ResolveArgs,
    batch: &OperatorBatch,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<(), CommandError> {
    let OperatorBatch { ledger, stored, .. } = batch;
    let key = find_job_key(ledger, stored, &args.key).await?;
    if let (Some(holder), true) = (batch.live_holder(), args.batch_ref.sandbox) {
        let message = format!(
            "the rehearsal is running ({holder}), and its virtual AI Studios with it: resolve \
             `{key}` when it has ended"
        );
        return Err(CommandError::new(ExitReason::BatchLocked, message));
    }
    let decided = decide(args, batch, &key).await?;
    if let Some(remark) = &decided.remark {
        printer.status(remark);
    }
    let (shown, reason) = (Some(decided.shown), args.because.clone());
    let request =
        batch.execute_request(CommandRequest { action: decided.action, shown, reason }).await?;
    let state = ledger.job_history(stored.id, &key).await?.and_then(|history| history.job.state);
    let state = state.map_or("", JobState::as_str);
    if printer.is_json() {
        printer.print_json(&json!({
            "key": key, "state": state, "words": decided.message, "request": request.id,
        }));
    } else {
        let (key, message) = (strip_control(&key), strip_control(&decided.message));
        printer.print_result(&format!("{key}: {state}: {message}"));
        let commands = global.command_hints(args.batch_ref.sandbox, &stored.name, &stored.file);
        print_next(batch, &commands.run_command(), printer);
    }
    Ok(())
}

/// Checks AI Studios and combines what it shows with the options.
async fn decide(
    args: &ResolveArgs,
    operated: &OperatorBatch,
    key: &str,
) -> Result<DecidedResolution, CommandError> {
    let OperatorBatch { ledger, stored, clock, .. } = operated;
    if ledger.uncertain_job(stored.id, key).await?.is_none() {
        return Err(CommandError::usage(format!("`{key}` is not uncertain: nothing to resolve")));
    }
    let choice = match (&args.adopt, args.abandon) {
        (Some(project), _) => ResolveChoice::Adopt(project.clone()),
        (None, true) => ResolveChoice::Abandon,
        (None, false) => ResolveChoice::NotSubmitted,
    };
    let (batch, target) = args.batch_ref.load_target(ledger, stored, args.trust).await?;
    let input = ResolveInput { ledger, stored, clock, key, choice, because: &args.because };
    let decided = decide_resolution(input, &batch, &target).await;
    target.close().await;
    decided
}

//! `callsheet resolve`: the operator decides about one uncertain job.
//!
//! AI Studios is checked first: evidence takes precedence over the operator's statement, and the
//! operator is asked only what the check leaves open.

use clap::{ArgGroup, Args};
use serde_json::json;

use crate::batch::Batch;
use crate::cli::args::{BatchRef, GlobalArgs, TrustArgs};
use crate::cli::commands::retry::print_next;
use crate::cli::output::printer::Printer;
use crate::cli::output::prompt;
use crate::ledger::JobState;
use crate::session::account::target::RunTarget;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::job_key::find_job_key;
use crate::session::operator::operator_batch::{CommandRequest, OperatorBatch};
use crate::session::operator::resolution::{
    DecidedResolution, FirstCheck, OpenJob, ResolveChoice, ResolveInput, UncertainJob, check_first,
    decide_resolution,
};
use crate::text::time_format::format_local_in_zone;
use crate::text::{display_key, strip_control};

/// Decide about a video that may have been paid for
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("verdict"))]
#[command(after_help = "\
AI Studios is checked first; clear evidence overrides your option. Without an
option, you are asked if that does not decide it. To search in your account:
`callsheet show BATCH KEY` says how the name of the project ends.

Examples:
  callsheet resolve spring TEA-001
  callsheet resolve spring TEA-001 --adopt 66f1a0…
  callsheet resolve spring TEA-001 --not-submitted --because \"not there\"")]
pub(crate) struct ResolveArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    #[command(flatten)]
    trust: TrustArgs,
    /// Key, or an unambiguous part of it
    key: String,
    /// The video is this project of your account (free)
    #[arg(long, value_name = "PROJECT", group = "verdict")]
    adopt: Option<String>,
    /// It is not in your account: the next run renders it (paid)
    #[arg(long, group = "verdict")]
    not_submitted: bool,
    /// Give the video up; it may have been paid for
    #[arg(long, group = "verdict")]
    abandon: bool,
    /// Reason, for the audit trail
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    because: String,
}

impl ResolveArgs {
    /// Returns what the options state.
    fn choice(&self) -> Option<ResolveChoice> {
        match (&self.adopt, self.not_submitted, self.abandon) {
            (Some(project), _, _) => Some(ResolveChoice::Adopt(project.clone())),
            (None, true, _) => Some(ResolveChoice::NotSubmitted),
            (None, false, true) => Some(ResolveChoice::Abandon),
            (None, false, false) => None,
        }
    }
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
    let decided = decide(args, batch, &key, printer).await?;
    if let Some(remark) = &decided.remark {
        printer.status(remark);
    }
    let (shown, reason) = (Some(decided.shown), args.because.clone());
    let request =
        batch.execute_request(CommandRequest { action: decided.action, shown, reason }).await?;
    let state = ledger.job_history(stored.id, &key).await?.and_then(|history| history.job.state);
    if printer.is_json() {
        let state = state.map_or("", JobState::as_str);
        printer.print_json(&json!({
            "key": key, "state": state, "words": decided.message, "request": request.id,
        }));
    } else {
        let state = state.map_or("", JobState::label);
        let (key, message) = (display_key(&key), strip_control(&decided.message));
        printer.print_sentences(&format!("{key}: {state}: {message}"));
        let commands = args.batch_ref.read_command_hints(global, ledger, stored).await?;
        print_next(batch, &commands, printer);
    }
    Ok(())
}

/// Checks AI Studios, and combines what it shows with the options, or with answers.
async fn decide(
    args: &ResolveArgs,
    operated: &OperatorBatch,
    key: &str,
    printer: &Printer,
) -> Result<DecidedResolution, CommandError> {
    let OperatorBatch { ledger, stored, clock, .. } = operated;
    if ledger.uncertain_job(stored.id, key).await?.is_none() {
        return Err(CommandError::usage(format!("`{key}` is not uncertain: nothing to resolve")));
    }
    let (batch, target) = args.batch_ref.load_target(ledger, stored, args.trust).await?;
    let job = UncertainJob { ledger, stored, clock, key };
    let decided = match args.choice() {
        Some(choice) => {
            let input = ResolveInput { job, choice, because: &args.because };
            decide_resolution(input, &batch, &target).await
        }
        None => check_then_ask(args, job, &batch, &target, printer).await,
    };
    target.close().await;
    decided
}

/// Checks AI Studios first, and asks only if that decides nothing. The answer is checked once more,
/// as the user may take long.
async fn check_then_ask(
    args: &ResolveArgs,
    job: UncertainJob<'_>,
    batch: &Batch,
    target: &RunTarget,
    printer: &Printer,
) -> Result<DecidedResolution, CommandError> {
    let open = match check_first(job, batch, target).await? {
        FirstCheck::Accepted(decided) => return Ok(decided),
        FirstCheck::Open(open) => open,
    };
    if printer.is_json() || !prompt::has_terminal() {
        return Err(open_error(job.key, &open));
    }
    let remark = quiet_remark(&open);
    printer.status(&format!("{}: {}{remark}", display_key(job.key), open.message));
    let answer = ask_choice(&open, &args.because).ok_or_else(|| {
        CommandError::new(ExitReason::Uncertain, format!("`{}` stays uncertain", job.key))
    })?;
    let Answer { choice, because } = &answer;
    let input = ResolveInput { job, choice: choice.clone(), because };
    decide_resolution(input, batch, target).await
}

/// Names the options that are left where there is no terminal.
fn open_error(key: &str, open: &OpenJob) -> CommandError {
    let absent = match (can_be_absent(open), open.is_absent) {
        (false, _) => "",
        (true, true) => ", --not-submitted",
        (true, false) => ", --not-submitted --because \"…\"",
    };
    let message = format!(
        "`{key}` is still open: {}{}\n  decide with --adopt PROJECT{absent} or --abandon",
        open.message,
        quiet_remark(open)
    );
    CommandError::new(ExitReason::Uncertain, message)
}

/// Returns whether the user can state now that AI Studios does not have it.
fn can_be_absent(open: &OpenJob) -> bool {
    !open.has_callback && open.quiet_until.is_none()
}

/// Returns until when its request may still arrive.
fn quiet_remark(open: &OpenJob) -> String {
    open.quiet_until.map_or_else(String::new, |end| {
        format!("; its request may still arrive until {}", format_local_in_zone(end))
    })
}

/// What the user stated.
struct Answer {
    choice: ResolveChoice,
    because: String,
}

/// Asks what the check left open; `None` leaves the job as it is.
fn ask_choice(open: &OpenJob, because: &str) -> Option<Answer> {
    let absent = match can_be_absent(open) {
        true => "  n  not in your account: it is rendered (paid)\n",
        false => "",
    };
    let answer = prompt::ask_for_line(&format!(
        "What does your account show?\n  \
           p  a project of it: its video is downloaded (free)\n\
         {absent}  \
           g  give up; it may have been paid for\n\
         Your choice [Enter: leave it open]: "
    ))?;
    let mut because = because.to_owned();
    let choice = match answer.trim() {
        "p" => ResolveChoice::Adopt(ask_for_project(open)?),
        "n" if can_be_absent(open) => {
            // Without proof, the reason is all that the history keeps.
            if !open.is_absent && because.is_empty() {
                because = ask_for_text("How you know that it is not there: ")?;
            }
            ResolveChoice::NotSubmitted
        }
        "g" => ResolveChoice::Abandon,
        _ => return None,
    };
    Some(Answer { choice, because })
}

fn ask_for_project(open: &OpenJob) -> Option<String> {
    match &open.project_id {
        Some(known) => {
            let answer = prompt::ask_for_line(&format!("Id of the project [{known}]: "))?;
            let answer = answer.trim();
            Some(if answer.is_empty() { known.clone() } else { answer.to_owned() })
        }
        None => ask_for_text("Id of the project: "),
    }
}

fn ask_for_text(question: &str) -> Option<String> {
    let answer = prompt::ask_for_line(question)?.trim().to_owned();
    (!answer.is_empty()).then_some(answer)
}

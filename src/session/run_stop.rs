//! Why a run ended: the exit code and the cause that its outcome or its error means, and what to do
//! about it.
//!
//! Pure. Invariant: exit code, cause and message are decided together and once; every output shows
//! the same three. Failed rows are named in every message.

use crate::aistudios::AccountRefusalKind;
use crate::ledger::{ClaimBlock, JobState, RunStop, StopCause};
use crate::plan::{PlanProblem, PlanProblems};
use crate::runner::{Halt, RunOutcome};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::next_steps::{CommandHints, NextStep};
use crate::session::signals::Signal;
use crate::text::{pluralize, truncate};

/// Characters of a vendor's or a library's message within the sentence.
const DETAIL_CHARS_MAX: usize = 200;
/// The end of a run in which a part of this program failed.
pub(crate) const PANIC_MESSAGE: &str =
    "this program failed unexpectedly; everything is saved, and the same command continues";
/// Rows with problems that are listed.
const ROWS_LISTED_MAX: usize = 5;

/// What the run was asked for and has not submitted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SubmissionsLeft<'r> {
    /// Nothing is left.
    None,
    /// Something is.
    Some {
        /// What limits the videos of one run, such as `--limit 2`.
        run_limit: &'r str,
        /// What limits the credits, such as `max_credits = 40`.
        credit_caps: &'r str,
    },
}

/// Returns the end of a run. If several causes apply, the exit code is the most severe one: 1, 7,
/// 2, 130 or 143, 6, 5, 3, 8, 10.
///
/// `signal` is the one that stopped the run.
pub(crate) fn stop_for_outcome(
    outcome: &RunOutcome,
    submissions: SubmissionsLeft<'_>,
    signal: Option<Signal>,
) -> RunStop {
    let jobs = |state| outcome.counts.get(&state).copied().unwrap_or(0);
    let (failed, uncertain) = (jobs(JobState::Failed), jobs(JobState::Uncertain));
    let mut stops: Vec<RunStop> = outcome.halt.iter().map(stop_for_halt).collect();
    if outcome.interrupted {
        stops.push(stop_for_signal(signal.unwrap_or(Signal::Interrupt)));
    } else if let Some(requester) = &outcome.stopped_for {
        let message = format!("stopped at the request of {requester}; everything is saved");
        stops.push(new_stop(ExitReason::Interrupted, StopCause::Interrupted, message));
    }
    if uncertain > 0 {
        let videos = pluralize(uncertain, "video");
        let message =
            format!("{videos} may already be paid for; not sent again until that is known");
        stops.push(new_stop(ExitReason::Uncertain, StopCause::Uncertain, message));
    }
    if failed > 0 {
        let message = format!("{} failed", pluralize(failed, "video"));
        stops.push(new_stop(ExitReason::SomeFailed, StopCause::RowsFailed, message));
    }
    stops.extend(stop_for_unsubmitted(outcome, submissions));
    let rank = |stop: &RunStop| ExitReason::from_code(stop.exit).map(ExitReason::severity_rank);
    let Some(mut stop) = stops.into_iter().min_by_key(rank) else {
        let message = "every selected video is done".to_owned();
        return new_stop(ExitReason::Done, StopCause::Done, message);
    };
    if failed > 0 && stop.cause != StopCause::RowsFailed {
        stop.message.push_str(&format!("; {} failed", pluralize(failed, "video")));
    }
    stop
}

/// Returns why jobs were left that could have been submitted.
fn stop_for_unsubmitted(outcome: &RunOutcome, submissions: SubmissionsLeft<'_>) -> Option<RunStop> {
    let SubmissionsLeft::Some { run_limit, credit_caps } = submissions else { return None };
    let at = |exit, cause, message: &str| Some(new_stop(exit, cause, message.to_owned()));
    match outcome.claim_block {
        ClaimBlock::PerRun => {
            let message = format!("stopped at {run_limit}");
            at(ExitReason::CapReached, StopCause::VideoLimit, &message)
        }
        ClaimBlock::Credits => {
            let message = format!("stopped at {credit_caps}");
            at(ExitReason::CapReached, StopCause::CreditCap, &message)
        }
        ClaimBlock::Sample => {
            at(ExitReason::CapReached, StopCause::Approval, "the sample waits for approval")
        }
        ClaimBlock::Paused => at(ExitReason::CapReached, StopCause::Paused, "the batch is paused"),
        _ if outcome.window_closed => {
            at(ExitReason::WindowClosed, StopCause::WindowClosed, "the time window has closed")
        }
        ClaimBlock::ProjectInUse => at(
            ExitReason::TransientFailure,
            StopCause::ProjectInUse,
            "rows wait for a project that another row or batch uses",
        ),
        ClaimBlock::NothingDue | ClaimBlock::InFlight | ClaimBlock::Canary => None,
    }
}

/// Returns the end that a halt alone means.
pub(crate) fn stop_for_halt(halt: &Halt) -> RunStop {
    let detail = truncate(halt.message(), DETAIL_CHARS_MAX);
    let (exit, cause, message) = match halt {
        Halt::Account { kind, .. } => {
            let (cause, message) = account_cause(*kind);
            (ExitReason::Account, cause, message.to_owned())
        }
        Halt::Moved { .. } => (ExitReason::Usage, StopCause::Settings, detail),
        Halt::PermanentFailures { count, .. } => (
            ExitReason::SomeFailed,
            StopCause::Refusals,
            format!("stopped after {count} refusals in a row: {detail}"),
        ),
        Halt::TransientFailures { count, .. } => (
            ExitReason::TransientFailure,
            StopCause::RequestsFailed,
            format!("stopped after {count} failures in a row: {detail}"),
        ),
        Halt::Unresponsive { .. } => (
            ExitReason::TransientFailure,
            StopCause::Unavailable,
            format!("AI Studios was unavailable: {detail}"),
        ),
        Halt::OutputFolder { .. } => (ExitReason::Unexpected, StopCause::OutputFolder, detail),
        Halt::LedgerUnavailable { .. } => (ExitReason::TransientFailure, StopCause::Ledger, detail),
        Halt::LedgerBehind { .. } => (ExitReason::Uncertain, StopCause::LedgerBehind, detail),
        Halt::LeaseLost { .. } => (ExitReason::BatchLocked, StopCause::OtherBatch, detail),
        Halt::Ledger { .. } => (ExitReason::Unexpected, StopCause::Ledger, detail),
    };
    new_stop(exit, cause, message)
}

fn account_cause(kind: AccountRefusalKind) -> (StopCause, &'static str) {
    match kind {
        AccountRefusalKind::NoCredits => (StopCause::Credits, "out of credits"),
        AccountRefusalKind::CredentialsRefused => {
            (StopCause::Credentials, "AI Studios refused the credentials")
        }
        AccountRefusalKind::Forbidden => {
            (StopCause::Permission, "AI Studios does not let this account do that")
        }
    }
}

fn stop_for_signal(signal: Signal) -> RunStop {
    let exit = ExitReason::from(signal);
    let message = match signal {
        Signal::Interrupt => "interrupted by Ctrl-C; everything is saved",
        Signal::HangUp => "the terminal was closed (SIGHUP); everything is saved",
        Signal::Terminate => "asked to stop (SIGTERM); everything is saved",
        Signal::Panic => PANIC_MESSAGE,
    };
    new_stop(exit, exit.default_cause(), message.to_owned())
}

/// Returns the end of a run that stopped with this error; `None` if its cause is known elsewhere.
pub(crate) fn stop_for_error(error: &CommandError) -> Option<RunStop> {
    match error {
        CommandError::Failed { exit, cause, message, summary } => {
            let line = summary.as_ref().unwrap_or(message).lines().next().unwrap_or_default();
            Some(new_stop(*exit, *cause, truncate(line, 2 * DETAIL_CHARS_MAX)))
        }
        CommandError::Reported(_) => None,
    }
}

/// Returns the end of a run whose inputs have problems.
pub(crate) fn stop_for_problems(
    exit: ExitReason,
    cause: StopCause,
    problems: &[String],
) -> RunStop {
    let place = match cause {
        StopCause::Template => "the template",
        StopCause::BatchFile => "the batch file",
        _ => "the sheet",
    };
    let count = pluralize(problems.len() as u64, "problem");
    let first = problems.first().and_then(|problem| problem.lines().next()).unwrap_or_default();
    let first = truncate(first, DETAIL_CHARS_MAX);
    new_stop(exit, cause, format!("{count} in {place}: {first}"))
}

/// Returns the end of a run that stopped because of invalid rows.
pub(crate) fn stop_for_invalid_rows(problems: &PlanProblems) -> RunStop {
    let is_cell =
        |problem: &PlanProblem| problem.template_problem.is_none() || problem.column.is_some();
    let (cause, place) = match problems.kept().iter().any(is_cell) {
        true => (StopCause::Sheet, "the sheet"),
        false => (StopCause::Template, "the template"),
    };
    let mut rows: Vec<u64> = problems.kept().iter().filter_map(|problem| problem.row).collect();
    rows.sort_unstable();
    rows.dedup();
    let count = pluralize(problems.count(), "problem");
    new_stop(ExitReason::Input, cause, format!("{count} in {place}{}", list_rows(&rows)))
}

fn list_rows(rows: &[u64]) -> String {
    let listed: Vec<_> = rows.iter().take(ROWS_LISTED_MAX).map(u64::to_string).collect();
    let more = if rows.len() > listed.len() { ", …" } else { "" };
    match rows {
        [] => String::new(),
        [row] => format!(" (row {row})"),
        [_, _, ..] => format!(" (rows {}{more})", listed.join(", ")),
    }
}

/// Returns the end of a run whose plan the user has to confirm, for this reason.
pub(crate) fn stop_for_confirmation(reason: Option<&String>) -> RunStop {
    let reason = reason.map_or("the plan needs a confirmation", String::as_str);
    let message = format!("stopped before spending: {reason}");
    new_stop(ExitReason::CapReached, StopCause::Confirmation, message)
}

/// Returns the end of a batch that another batch of the same command stopped.
pub(crate) fn stop_for_other_batch(exit: ExitReason) -> RunStop {
    let message = "another batch of the same command stopped it; nothing was submitted";
    new_stop(exit, StopCause::OtherBatch, message.to_owned())
}

/// Returns the end with this exit code whose cause is not known further.
pub(crate) fn stop_for_exit(exit: ExitReason) -> RunStop {
    let message = match exit {
        ExitReason::Done => "every selected video is done",
        ExitReason::Input => "the inputs have problems; nothing was submitted",
        _ => "it stopped; see the messages of the run",
    };
    new_stop(exit, exit.default_cause(), message.to_owned())
}

/// Returns the end of a run that could not hand `failed` videos over, and ended for another reason.
pub(crate) fn stop_with_undelivered(stop: RunStop, failed: u64) -> RunStop {
    if failed == 0 {
        return stop;
    }
    let message = format!("{} could not be handed to `[on_done]`", pluralize(failed, "video"));
    let is_worse = ExitReason::SomeFailed.severity_rank() < exit_reason(&stop).severity_rank();
    match (is_worse, stop.cause) {
        (true, StopCause::Done) => new_stop(ExitReason::SomeFailed, StopCause::Delivery, message),
        (true, _) => {
            let message = format!("{message}; {}", stop.message);
            new_stop(ExitReason::SomeFailed, StopCause::Delivery, message)
        }
        (false, _) => RunStop { message: format!("{}; {message}", stop.message), ..stop },
    }
}

fn new_stop(exit: ExitReason, cause: StopCause, message: String) -> RunStop {
    RunStop { exit: exit.code(), cause, message }
}

/// Returns the exit code of an end.
pub(crate) fn exit_reason(stop: &RunStop) -> ExitReason {
    ExitReason::from_code(stop.exit).unwrap_or(ExitReason::Unexpected)
}

/// Returns the end of a run that recorded none: it was killed.
pub(crate) fn stop_after_death() -> RunStop {
    new_stop(ExitReason::Interrupted, StopCause::Died, "killed, or the power failed".to_owned())
}

/// Returns the next step after a stop, if the cause alone determines it: it needs the user, or a
/// retry, before anything else can go on.
pub(crate) fn next_step(cause: StopCause, commands: &CommandHints) -> Option<NextStep> {
    let command = match cause {
        StopCause::Done
        | StopCause::RowsFailed
        | StopCause::Refusals
        | StopCause::Uncertain
        | StopCause::VideoLimit
        | StopCause::CreditCap
        | StopCause::Approval
        | StopCause::Delivery
        | StopCause::Paused
        | StopCause::WindowClosed
        | StopCause::Interrupted
        | StopCause::Terminated
        | StopCause::Died => return None,
        StopCause::Sheet | StopCause::Template | StopCause::BatchFile | StopCause::Confirmation => {
            commands.plan_command()
        }
        StopCause::OtherBatch
        | StopCause::Settings
        | StopCause::Credentials
        | StopCause::Permission
        | StopCause::Credits
        | StopCause::Unavailable
        | StopCause::RequestsFailed
        | StopCause::ProjectInUse
        | StopCause::OutputFolder
        | StopCause::Ledger
        | StopCause::Unexpected => commands.continue_command(),
        StopCause::LedgerBehind => commands.catch_up_command(),
    };
    Some(NextStep { command, effect: advice(cause).effect })
}

/// What the user does about a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StopAdvice {
    /// The beginning of a sentence that the command ends.
    pub(crate) lead: &'static str,
    /// The same behind the command.
    pub(crate) effect: &'static str,
}

/// Returns what the user does about a stop with this cause.
pub(crate) fn advice(cause: StopCause) -> StopAdvice {
    let (lead, effect) = match cause {
        StopCause::Credits => ("Top up, then", "after you top up"),
        StopCause::Credentials => ("Fix the credentials, then", "after you fix the credentials"),
        StopCause::Permission => {
            ("Ask AI Studios for access to the API, then", "once the account may use the API")
        }
        StopCause::Settings => ("Fix the setting, then", "after you fix the setting"),
        StopCause::OutputFolder => {
            ("Make room in the output folder, then", "once the output folder can be written")
        }
        StopCause::Ledger => ("Make the ledger usable, then", "once the ledger can be used"),
        StopCause::LedgerBehind => {
            ("Search for what it lacks", "compares the ledger with AI Studios (free)")
        }
        StopCause::Sheet | StopCause::Template | StopCause::BatchFile => {
            ("List and fix them", "lists them (free)")
        }
        StopCause::Confirmation => {
            ("Review it, then run with --accept-changes", "lists what is paid for again")
        }
        StopCause::OtherBatch => ("Fix the other batch, then", "after you fix the other batch"),
        StopCause::Unavailable | StopCause::RequestsFailed | StopCause::ProjectInUse => {
            ("The next run tries again", "tries again")
        }
        StopCause::Uncertain => (
            "The next run checks AI Studios (free)",
            "checks AI Studios (free), then renders what is left (paid)",
        ),
        StopCause::VideoLimit => ("For more", "submits more"),
        StopCause::CreditCap => ("For more, when the cap allows it", "submits more"),
        StopCause::Approval => ("Approve or reject the sample", "lists the videos of the sample"),
        StopCause::Delivery => {
            ("Fix the command of `[on_done]`, then", "hands the videos over again")
        }
        StopCause::Paused => ("Continue the batch", "submits the remaining videos again"),
        StopCause::WindowClosed => ("The next run in the window continues", "continues"),
        StopCause::Interrupted | StopCause::Terminated | StopCause::Died => {
            ("Continue", "continues")
        }
        StopCause::RowsFailed | StopCause::Refusals => ("Details", "shows what failed"),
        StopCause::Unexpected => ("Fix the cause, then", "after you fix the cause"),
        StopCause::Done => ("", ""),
    };
    StopAdvice { lead, effect }
}

/// Returns whether the run stopped before a plan was committed, so that the counts of the ledger do
/// not show what is left.
pub(crate) fn is_before_plan(cause: StopCause) -> bool {
    match cause {
        StopCause::Sheet
        | StopCause::Template
        | StopCause::BatchFile
        | StopCause::Confirmation
        | StopCause::OtherBatch
        | StopCause::Settings
        | StopCause::Credentials
        | StopCause::Ledger
        | StopCause::Unexpected => true,
        StopCause::Done
        | StopCause::RowsFailed
        | StopCause::Refusals
        | StopCause::Permission
        | StopCause::Credits
        | StopCause::Unavailable
        | StopCause::RequestsFailed
        | StopCause::ProjectInUse
        | StopCause::Uncertain
        | StopCause::VideoLimit
        | StopCause::CreditCap
        | StopCause::Approval
        | StopCause::Delivery
        | StopCause::Paused
        | StopCause::WindowClosed
        | StopCause::OutputFolder
        | StopCause::LedgerBehind
        | StopCause::Interrupted
        | StopCause::Terminated
        | StopCause::Died => false,
    }
}

/// Returns the text that stands for a halt in `run.json`.
pub(crate) fn halt_cause(halt: &Halt) -> &'static str {
    match halt {
        Halt::Account { .. } => "account",
        Halt::Moved { .. } => "moved",
        Halt::PermanentFailures { .. } => "refusals",
        Halt::TransientFailures { .. } => "passing-trouble",
        Halt::Unresponsive { .. } => "silence",
        Halt::OutputFolder { .. } => "output",
        Halt::LedgerUnavailable { .. }
        | Halt::LedgerBehind { .. }
        | Halt::LeaseLost { .. }
        | Halt::Ledger { .. } => "ledger",
    }
}

impl From<Signal> for ExitReason {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::Interrupted,
            Signal::HangUp | Signal::Terminate => Self::Terminated,
            Signal::Panic => Self::Unexpected,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::ledger::LedgerError;
    use crate::session::run_stop::*;

    const LEFT: SubmissionsLeft<'_> =
        SubmissionsLeft::Some { run_limit: "--limit 2", credit_caps: "" };

    fn outcome() -> RunOutcome {
        RunOutcome {
            counts: BTreeMap::new(),
            halt: None,
            interrupted: false,
            stopped_for: None,
            claim_block: ClaimBlock::NothingDue,
            jobs_for_operator: 0,
            window_closed: false,
        }
    }

    /// Every cause is added to those before it; the exit code is that of the most severe one.
    #[test]
    fn of_several_causes_the_one_to_try_again_comes_before_failures_and_failures_before_caps() {
        let credits = Halt::Account { kind: AccountRefusalKind::NoCredits, message: String::new() };
        let silence = Halt::Unresponsive { message: "HTTP 503".to_owned() };
        let mut run = outcome();
        let mut exits = Vec::new();
        let mut add = |run: &RunOutcome| exits.push(stop_for_outcome(run, LEFT, None).exit);
        run.window_closed = true;
        add(&run);
        run.claim_block = ClaimBlock::PerRun;
        add(&run);
        run.counts.insert(JobState::Failed, 2);
        add(&run);
        run.halt = Some(silence);
        add(&run);
        run.counts.insert(JobState::Uncertain, 1);
        add(&run);
        run.interrupted = true;
        add(&run);
        run.halt = Some(credits);
        add(&run);
        run.halt = Some(Halt::Ledger { message: "full".to_owned() });
        add(&run);
        assert_eq!(exits, [10, 8, 3, 5, 6, 130, 7, 1]);
    }

    #[test]
    fn a_ledger_that_is_unavailable_is_tried_again_and_one_that_fails_is_not() {
        let stop = |halt| stop_for_halt(&halt);
        let message = String::new();
        let unavailable = stop(Halt::LedgerUnavailable { message: message.clone() });
        assert_eq!((unavailable.exit, unavailable.cause), (5, StopCause::Ledger));
        assert_eq!(stop(Halt::Ledger { message }).exit, 1);
        let error = LedgerError::Unavailable { reason: "gone".to_owned() };
        assert_eq!(CommandError::from(error).exit(), ExitReason::TransientFailure);
    }

    #[test]
    fn failed_rows_are_named_beside_every_other_cause() {
        let mut run = outcome();
        run.counts.insert(JobState::Failed, 2);
        run.halt = Some(Halt::Unresponsive { message: "HTTP 503".to_owned() });
        assert_eq!(
            stop_for_outcome(&run, LEFT, None).message,
            "AI Studios was unavailable: HTTP 503; 2 videos failed"
        );
        run.halt = None;
        assert_eq!(stop_for_outcome(&run, SubmissionsLeft::None, None).message, "2 videos failed");
    }
}

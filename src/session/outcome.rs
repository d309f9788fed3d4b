//! How a run ended: the account of every row, the exit code, what to do next.
//!
//! Pure: it reads what the run reports and writes nothing.

use crate::ledger::{ClaimBlock, JobState};
use crate::runner::{Halt, RunOutcome};
use crate::session::exit_code::ExitReason;
use crate::session::next_steps::CommandHints;
use crate::text::pluralize;

/// One line that accounts for every row.
pub(crate) fn summarize_rows(ending: &RunOutcome, (invalid, skipped): (u64, u64)) -> String {
    let mut parts: Vec<String> = ending
        .counts
        .iter()
        .map(|(state, jobs)| match state {
            JobState::Ready => format!("{jobs} not submitted"),
            JobState::Submitting => format!("{jobs} being submitted"),
            JobState::Rendering => format!("{jobs} still rendering"),
            JobState::Fetching => format!("{jobs} rendered but not downloaded"),
            JobState::Reused => format!("{jobs} reused"),
            JobState::Uncertain | JobState::Done | JobState::Failed | JobState::Cancelled => {
                format!("{jobs} {state}")
            }
        })
        .collect();
    if invalid > 0 {
        parts.push(format!("{invalid} invalid"));
    }
    if skipped > 0 {
        parts.push(format!("{skipped} skipped"));
    }
    let total: u64 = ending.counts.values().sum::<u64>() + invalid + skipped;
    format!("{}: {}", pluralize(total, "row"), parts.join(", "))
}

/// Says what to do next, where there is something to do.
pub(crate) fn next_step_hint(
    exit: ExitReason,
    ending: &RunOutcome,
    commands: &CommandHints,
) -> Option<String> {
    Some(match exit {
        ExitReason::Done => return None,
        ExitReason::SomeFailed => {
            format!("see why: {}; then mend the rows and run again", commands.status_command())
        }
        ExitReason::Uncertain => format!(
            "{} may or may not have been accepted; nothing is sent again without evidence. Run \
             the same command again later to look once more",
            pluralize(ending.counts.get(&JobState::Uncertain).copied().unwrap_or(0), "job")
        ),
        ExitReason::Account => "mend the account, then run the same command again".to_owned(),
        ExitReason::CapReached if ending.claim_block == ClaimBlock::Paused => {
            format!("a person paused the batch; let it go on: {}", commands.unpause_command())
        }
        ExitReason::CapReached => {
            "the cap for this run is reached; run the same command again".to_owned()
        }
        ExitReason::Interrupted | ExitReason::Terminated => {
            "everything is saved; run the same command again to continue".to_owned()
        }
        ExitReason::WindowClosed => {
            "the time window is over; run the same command again in the next one".to_owned()
        }
        ExitReason::Unexpected
        | ExitReason::Usage
        | ExitReason::Input
        | ExitReason::TransientFailure
        | ExitReason::BatchLocked => "run the same command again to continue".to_owned(),
    })
}

/// Returns the exit code of a run that a halt alone decides.
pub(crate) fn exit_for_halt(halt: &Halt) -> ExitReason {
    match halt {
        Halt::Ledger { .. } | Halt::OutputFolder { .. } => ExitReason::Unexpected,
        Halt::Account { .. } => ExitReason::Account,
        Halt::Moved { .. } => ExitReason::Usage,
        Halt::PermanentFailures { .. } => ExitReason::SomeFailed,
        Halt::TransientFailures { .. } | Halt::Unresponsive { .. } => ExitReason::TransientFailure,
    }
}

/// The design's order when several hold: 1, 7, 6, 8, 10, 5, 3. A person who interrupts knows why.
/// `left` says whether something that was asked for is still to be submitted.
pub(crate) fn exit_for_outcome(ending: &RunOutcome, left: bool, terminated: bool) -> ExitReason {
    let jobs = |state| ending.counts.get(&state).copied().unwrap_or(0);
    let halt = ending.halt.as_ref().map(exit_for_halt);
    if let Some(exit @ (ExitReason::Unexpected | ExitReason::Account | ExitReason::Usage)) = halt {
        return exit;
    }
    if ending.interrupted {
        return if terminated { ExitReason::Terminated } else { ExitReason::Interrupted };
    }
    if jobs(JobState::Uncertain) > 0 {
        return ExitReason::Uncertain;
    }
    if matches!(ending.claim_block, ClaimBlock::PerRun | ClaimBlock::Credits | ClaimBlock::Paused)
        && left
        && halt.is_none()
    {
        return ExitReason::CapReached;
    }
    if ending.window_closed && left && halt.is_none() {
        return ExitReason::WindowClosed;
    }
    if let Some(exit) = halt {
        return exit;
    }
    if ending.claim_block == ClaimBlock::ProjectInUse && left {
        return ExitReason::TransientFailure;
    }
    if jobs(JobState::Failed) > 0 { ExitReason::SomeFailed } else { ExitReason::Done }
}

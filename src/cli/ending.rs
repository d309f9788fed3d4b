//! How a run ended: the account of every row, the exit code, what to do next.
//!
//! Pure: it reads what the run reports and writes nothing.

use super::advice::Commands;
use super::exit::Exit;
use super::talk::counted;
use crate::ledger::{Held, State};
use crate::runner::{Ending, Halt};

/// One line that accounts for every row.
pub(super) fn account_of(ending: &Ending, (invalid, skipped): (u64, u64)) -> String {
    let mut parts: Vec<String> = ending
        .counts
        .iter()
        .map(|(state, jobs)| match state {
            State::Ready => format!("{jobs} not submitted"),
            State::Submitting => format!("{jobs} being submitted"),
            State::Rendering => format!("{jobs} still rendering"),
            State::Fetching => format!("{jobs} rendered but not downloaded"),
            State::Reused => format!("{jobs} reused"),
            State::Uncertain | State::Done | State::Failed | State::Cancelled => {
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
    format!("{}: {}", counted(total, "row"), parts.join(", "))
}

/// Says what to do next, where there is something to do.
pub(super) fn advice(exit: Exit, ending: &Ending, commands: &Commands) -> Option<String> {
    Some(match exit {
        Exit::Done => return None,
        Exit::SomeFailed => {
            format!("see why: {}; then mend the rows and run again", commands.status())
        }
        Exit::Uncertain => format!(
            "{} may or may not have been accepted; nothing is sent again without evidence. Run \
             the same command again later to look once more",
            counted(ending.counts.get(&State::Uncertain).copied().unwrap_or(0), "job")
        ),
        Exit::Account => "mend the account, then run the same command again".to_owned(),
        Exit::Cap if ending.held == Held::Paused => {
            format!("a person paused the batch; let it go on: {}", commands.unpause())
        }
        Exit::Cap => "the cap for this run is reached; run the same command again".to_owned(),
        Exit::Interrupted | Exit::Terminated => {
            "everything is saved; run the same command again to continue".to_owned()
        }
        Exit::Window => {
            "the time window is over; run the same command again in the next one".to_owned()
        }
        Exit::Unexpected | Exit::Usage | Exit::Input | Exit::PassingTrouble | Exit::Held => {
            "run the same command again to continue".to_owned()
        }
    })
}

/// Returns the exit code of a run that a halt alone decides.
pub(super) fn exit_of_halt(halt: &Halt) -> Exit {
    match halt {
        Halt::Ledger { .. } | Halt::Output { .. } => Exit::Unexpected,
        Halt::Account { .. } => Exit::Account,
        Halt::Moved { .. } => Exit::Usage,
        Halt::Refusals { .. } => Exit::SomeFailed,
        Halt::PassingTrouble { .. } | Halt::Silence { .. } => Exit::PassingTrouble,
    }
}

/// The design's order when several hold: 1, 7, 6, 8, 10, 5, 3. A person who interrupts knows why.
/// `left` says whether something that was asked for is still to be submitted.
pub(super) fn exit_of(ending: &Ending, left: bool, terminated: bool) -> Exit {
    let jobs = |state| ending.counts.get(&state).copied().unwrap_or(0);
    let halt = ending.halt.as_ref().map(exit_of_halt);
    if let Some(exit @ (Exit::Unexpected | Exit::Account | Exit::Usage)) = halt {
        return exit;
    }
    if ending.interrupted {
        return if terminated { Exit::Terminated } else { Exit::Interrupted };
    }
    if jobs(State::Uncertain) > 0 {
        return Exit::Uncertain;
    }
    if matches!(ending.held, Held::PerRun | Held::Credits | Held::Paused) && left && halt.is_none()
    {
        return Exit::Cap;
    }
    if ending.window_over && left && halt.is_none() {
        return Exit::Window;
    }
    if let Some(exit) = halt {
        return exit;
    }
    if ending.held == Held::Subject && left {
        return Exit::PassingTrouble;
    }
    if jobs(State::Failed) > 0 { Exit::SomeFailed } else { Exit::Done }
}

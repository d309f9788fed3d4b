//! Finding of `check` about the time window of a batch.
//!
//! Only the message: `batch::window` does the calendar arithmetic.

use jiff::Timestamp;

use crate::batch::{TimeWindow, WindowState};
use crate::session::check_finding::CheckFinding;
use crate::session::exit_code::ExitReason;

/// Reports whether the window is open at `now`, or when it opens.
pub(crate) fn check_window(window: &TimeWindow, now: Timestamp) -> CheckFinding {
    let topic = "window";
    match window.state_at(now) {
        WindowState::Open { until } => CheckFinding::ok(
            topic,
            format!("{window}: open until {}", window.format_local_time(until)),
        ),
        WindowState::Closed { opens_at: Some(opens) } => {
            CheckFinding::ok(topic, format!("{window}: opens {}", window.format_local_time(opens)))
        }
        WindowState::Closed { opens_at: None } => {
            CheckFinding::fail(ExitReason::Usage, topic, format!("{window}: never opens"))
        }
    }
}

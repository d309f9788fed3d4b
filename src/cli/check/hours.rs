//! When may a batch spend: the window as it stands now.
//!
//! Only words: the calendar is the batch room's.

use jiff::Timestamp;

use super::Finding;
use crate::batch::{Opening, Window};
use crate::cli::exit::Exit;

/// When may it spend.
pub(super) fn hours(window: &Window, now: Timestamp) -> Finding {
    let topic = "window";
    match window.at(now) {
        Opening::Open { until } => {
            Finding::ok(topic, format!("{window}: open until {}", window.shown(until)))
        }
        Opening::Shut { opens: Some(opens) } => {
            Finding::ok(topic, format!("{window}: opens {}", window.shown(opens)))
        }
        Opening::Shut { opens: None } => {
            Finding::fail(Exit::Usage, topic, format!("{window}: it never opens"))
        }
    }
}

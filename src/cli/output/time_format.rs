//! Stored times as people and programs read them.

use std::time::Duration;

use crate::text::format_duration;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Returns a stored time as a clock on this machine's wall shows it.
pub(crate) fn format_local(ms: i64) -> String {
    let Ok(at) = Timestamp::from_millisecond(ms) else { return "?".to_owned() };
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns the time of day of a stored time, as a clock on this machine's wall shows it.
pub(crate) fn format_local_time(ms: i64) -> String {
    let Ok(at) = Timestamp::from_millisecond(ms) else { return "?".to_owned() };
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// Returns a stored time for programs: RFC 3339, UTC, to the millisecond.
pub(crate) fn format_rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| "?".to_owned(), |at| format!("{at:.3}"))
}

/// Returns how long something took: "12 s", "3 min".
pub(crate) fn format_elapsed(from: i64, to: i64) -> String {
    format_duration(Duration::from_millis(to.saturating_sub(from).max(0).unsigned_abs()))
}

/// What a run that dies may have lasted beyond its last sign of life, which it gives so often.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);

/// Returns how long a run lasted that died at some time after `seen`, when it last said that it lives:
/// that it lasted no time at all is the one thing which is never so.
pub(crate) fn format_dead_run_duration(from: i64, seen: i64) -> String {
    let known = Duration::from_millis(seen.saturating_sub(from).max(0).unsigned_abs());
    if known < HEARTBEAT_INTERVAL {
        format!("under {}", format_duration(HEARTBEAT_INTERVAL))
    } else {
        format_duration(known)
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::output::time_format::*;

    #[test]
    fn a_run_that_died_before_it_said_that_it_lives_did_not_last_no_time() {
        assert_eq!(format_dead_run_duration(5_000, 5_000), "under 10 s");
        assert_eq!(format_dead_run_duration(5_000, 4_000), "under 10 s");
        assert_eq!(format_dead_run_duration(5_000, 45_000), "40 s");
        assert_eq!(format_elapsed(5_000, 5_300), "0 s");
    }
}

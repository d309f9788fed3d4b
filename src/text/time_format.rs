//! Formats stored times and durations: local time for users, RFC 3339 for programs.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::text::format_duration;

/// Returns a stored time as local date and time.
pub(crate) fn format_local(ms: i64) -> String {
    let Ok(at) = Timestamp::from_millisecond(ms) else { return "?".to_owned() };
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns a stored time as local time of day.
pub(crate) fn format_local_time(ms: i64) -> String {
    let Ok(at) = Timestamp::from_millisecond(ms) else { return "?".to_owned() };
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// Returns a time as local time of day, with the time zone.
pub(crate) fn format_local_time_in_zone(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S %Z").to_string()
}

/// Returns a stored time as RFC 3339 in UTC with milliseconds.
pub(crate) fn format_rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| "?".to_owned(), |at| format!("{at:.3}"))
}

/// Returns the time between two stored times, such as "12 s" or "3 min".
pub(crate) fn format_elapsed(from: i64, to: i64) -> String {
    format_duration(Duration::from_millis(to.saturating_sub(from).max(0).unsigned_abs()))
}

/// Interval of heartbeats: a killed run may have lasted this much longer than its last one.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);

/// Returns the duration of a killed run, known only up to its last heartbeat. It is never shown as
/// zero.
pub(crate) fn format_dead_run_duration(from: i64, heartbeat: i64) -> String {
    let known = Duration::from_millis(heartbeat.saturating_sub(from).max(0).unsigned_abs());
    if known < HEARTBEAT_INTERVAL {
        format!("under {}", format_duration(HEARTBEAT_INTERVAL))
    } else {
        format_duration(known)
    }
}

#[cfg(test)]
mod tests {
    use crate::text::time_format::*;

    #[test]
    fn a_run_killed_before_its_first_heartbeat_is_not_shown_as_zero() {
        assert_eq!(format_dead_run_duration(5_000, 5_000), "under 10 s");
        assert_eq!(format_dead_run_duration(5_000, 4_000), "under 10 s");
        assert_eq!(format_dead_run_duration(5_000, 45_000), "40 s");
        assert_eq!(format_elapsed(5_000, 5_300), "0 s");
    }
}

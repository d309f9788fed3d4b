//! Stored times as people and programs read them.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::talk::span;

/// Returns a stored time as a clock on this machine's wall shows it.
pub(super) fn local(ms: i64) -> String {
    let Ok(at) = Timestamp::from_millisecond(ms) else { return "?".to_owned() };
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns the time of day of a stored time, as a clock on this machine's wall shows it.
pub(super) fn clock(ms: i64) -> String {
    let Ok(at) = Timestamp::from_millisecond(ms) else { return "?".to_owned() };
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// Returns a stored time for programs: RFC 3339, UTC, to the millisecond.
pub(super) fn iso(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| "?".to_owned(), |at| format!("{at:.3}"))
}

/// Returns how long something took: "12 s", "3 min".
pub(super) fn lasted(from: i64, to: i64) -> String {
    span(Duration::from_millis(to.saturating_sub(from).max(0).unsigned_abs()))
}

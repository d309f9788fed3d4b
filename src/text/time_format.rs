//! Formats stored times and durations: local time for users, RFC 3339 for programs.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::text::format_duration;

/// Returns a time as local date and time.
pub(crate) fn format_local(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// Returns a time as local date and time, with the time zone.
pub(crate) fn format_local_in_zone(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Returns the name of the local time zone at a time.
pub(crate) fn local_zone(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%Z").to_string()
}

/// Returns the name of the local time zone, such as "Europe/Berlin"; without one, its abbreviation at a
/// time.
pub(crate) fn zone_name(at: Timestamp) -> String {
    let local = at.to_zoned(TimeZone::system());
    let name = local.time_zone().iana_name().map(str::to_owned);
    name.unwrap_or_else(|| local_zone(at))
}

/// Returns the local time zone with its distance from UTC at a time.
pub(crate) fn describe_zone(at: Timestamp) -> String {
    let name = zone_name(at);
    if name == "UTC" {
        return name;
    }
    format!("{name} (now UTC{})", at.to_zoned(TimeZone::system()).strftime("%:z"))
}

/// Returns a time as local time of day.
pub(crate) fn format_local_time(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S").to_string()
}

/// Returns a time as local time of day, with the time zone.
pub(crate) fn format_local_time_in_zone(at: Timestamp) -> String {
    at.to_zoned(TimeZone::system()).strftime("%H:%M:%S %Z").to_string()
}

/// Returns a time as RFC 3339 in UTC with milliseconds.
pub(crate) fn format_rfc3339(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// Returns the time from one time to another, zero if that is earlier.
pub(crate) fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// Returns the time from one time to another, such as "12 s" or "3 min".
pub(crate) fn format_elapsed(from: Timestamp, to: Timestamp) -> String {
    format_duration(elapsed(from, to))
}

/// Interval of heartbeats: a killed run may have lasted this much longer than its last one.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);

/// Returns the duration of a killed run, known only up to its last heartbeat. It is never shown as
/// zero.
pub(crate) fn format_dead_run_duration(from: Timestamp, heartbeat: Timestamp) -> String {
    let known = elapsed(from, heartbeat);
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
        let [began, before, after] = [5, 4, 45].map(|at| Timestamp::from_second(at).unwrap());
        assert_eq!(format_dead_run_duration(began, began), "under 10 s");
        assert_eq!(format_dead_run_duration(began, before), "under 10 s");
        assert_eq!(format_dead_run_duration(began, after), "40 s");
        assert_eq!(format_elapsed(began, began + Duration::from_millis(300)), "0 s");
    }
}

//! `Retry-After` and `Date` headers.
//!
//! Pure, without a clock: a date is compared with the `Date` header of the *same response*, so that a
//! server whose clock is hours off is still understood. Values that cannot be parsed are ignored;
//! callers have a back-off of their own.

use std::time::Duration;

use jiff::Timestamp;

/// The longest wait that is honoured. A longer one indicates a misconfigured server.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// Parses every `Retry-After` value of a response and returns the longest valid one.
pub(crate) fn parse_retry_after<'a>(
    values: impl IntoIterator<Item = &'a str>,
    date: Option<&str>,
) -> Option<Duration> {
    values.into_iter().filter_map(|value| parse_retry_after_value(value.trim(), date)).max()
}

fn parse_retry_after_value(value: &str, date: Option<&str>) -> Option<Duration> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        let seconds = value.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    let (until, sent_at) = (parse_http_date(value)?, parse_http_date(date?)?);
    let wait = Duration::try_from(until.duration_since(sent_at)).ok()?;
    Some(wait.min(RETRY_AFTER_MAX))
}

/// Parses the one date format that servers may still send (RFC 9110, IMF-fixdate).
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    static PARSER: jiff::fmt::rfc2822::DateTimeParser =
        jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
    PARSER.parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOON: &str = "Sat, 21 Nov 2026 12:00:00 GMT";

    #[test]
    fn valid_retry_after_values_are_honoured_and_others_ignored() {
        let day = Some(RETRY_AFTER_MAX);
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        for (values, date, wait) in [
            (&["7"][..], None, seconds(7)),
            (&[" 0 "], None, seconds(0)),
            (&["90", "30"], None, seconds(90)),
            (&["soon", "30"], None, seconds(30)),
            (&["1000000000000"], None, day),
            (&["99999999999999999999999999"], None, day),
            (&["Sat, 21 Nov 2026 12:01:30 GMT"], Some(NOON), seconds(90)),
            (&["Sun, 22 Nov 2026 12:01:30 GMT"], Some(NOON), day),
            (&["Mon, 21 Nov 2026 12:00:05 GMT"], Some(NOON), seconds(5)),
            (&["Sat, 21 Nov 2026 11:59:59 GMT"], Some(NOON), None),
            (&["Sat, 21 Nov 2026 12:01:30 GMT"], None, None),
            (&["Sat, 21 Nov 2026 12:01:30 GMT"], Some("yesterday"), None),
            (&["-5"], None, None),
            (&["soon"], None, None),
            (&["1e12"], None, None),
            (&["+3"], None, None),
            (&[""], None, None),
            (&[], None, None),
        ] {
            assert_eq!(
                parse_retry_after(values.iter().copied(), date),
                wait,
                "{values:?} at {date:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_header_gives_a_wait_of_at_most_a_day(
            value in ".{0,40}", date in ".{0,40}",
        ) {
            let wait = parse_retry_after([value.as_str()], Some(&date));
            prop_assert!(wait.is_none_or(|wait| wait <= RETRY_AFTER_MAX));
        }
    }
}

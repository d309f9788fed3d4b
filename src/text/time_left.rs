//! The estimate of the time left, which every display shares.

use std::time::Duration;

/// A longer estimate says nothing.
const ESTIMATE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Returns the time that `open` items take if they go on as `done` items went within `span`. `None` if
/// nothing is open, nothing is known yet, or it would be longer than a month.
pub(crate) fn estimate_time_left(open: u64, done: u64, span: Duration) -> Option<Duration> {
    if open == 0 || done == 0 {
        return None;
    }
    let seconds = span.as_secs_f64() * open as f64 / done as f64;
    let estimate = Duration::try_from_secs_f64(seconds).ok()?;
    (estimate <= ESTIMATE_MAX).then_some(estimate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimate_is_proportional_and_absent_where_it_would_be_absurd() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        for (open, done, span, left) in [
            (30, 10, minutes(10), Some(minutes(30))),
            (0, 10, minutes(10), None),
            (30, 0, minutes(10), None),
            (u64::MAX, 1, Duration::MAX, None),
            (100_000, 1, minutes(10), None),
        ] {
            assert_eq!(estimate_time_left(open, done, span), left, "{open} {done} {span:?}");
        }
    }
}

//! The estimate of the time left, which every display shares.
//!
//! Invariant: while work goes on at one rate, the estimate never grows. Before there is evidence of a
//! rate there is none, and between two results it counts down.

use std::time::Duration;

/// A longer estimate says nothing.
const ESTIMATE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// Finished videos from which a rate is known; fewer are enough if they are a tenth of all.
const DONE_MIN: f64 = 3.0;
const DONE_SHARE_MIN: f64 = 0.1;

/// The work of a run so far. A render in progress counts as the part that is rendered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct WorkDone {
    /// Videos that are open.
    pub(crate) open: f64,
    /// Videos that were finished within the span.
    pub(crate) done: f64,
    /// From the start to the last result.
    pub(crate) span: Duration,
    /// The time since the last result.
    pub(crate) since_last: Duration,
}

/// Returns the time that the open videos take at the rate of those that are done. `None` if nothing is
/// open, too little is done to know a rate, the next result is overdue, or it would be longer than a
/// month.
pub(crate) fn estimate_time_left(work: WorkDone) -> Option<Duration> {
    let WorkDone { open, done, span, since_last } = work;
    let has_evidence = done > 0.0 && (done >= DONE_MIN || done >= DONE_SHARE_MIN * (open + done));
    if open <= 0.0 || !has_evidence {
        return None;
    }
    let estimate = Duration::try_from_secs_f64(span.as_secs_f64() * open / done).ok()?;
    if estimate > ESTIMATE_MAX {
        return None;
    }
    // A second less than nothing is no estimate.
    estimate.checked_sub(since_last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(open: f64, done: f64, span: Duration) -> Option<Duration> {
        estimate_time_left(WorkDone { open, done, span, since_last: Duration::ZERO })
    }

    #[test]
    fn estimate_is_proportional_and_absent_where_it_would_be_absurd() {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        for (open, done, span, want) in [
            (30.0, 10.0, minutes(10), Some(minutes(30))),
            (0.0, 10.0, minutes(10), None),
            (30.0, 0.0, minutes(10), None),
            (f64::MAX, 3.0, Duration::MAX, None),
            (100_000.0, 3.0, minutes(10), None),
        ] {
            assert_eq!(left(open, done, span), want, "{open} {done} {span:?}");
        }
    }

    #[test]
    fn too_little_evidence_is_no_estimate() {
        let minute = Duration::from_secs(60);
        assert_eq!(left(11.0, 1.0, minute), None);
        assert_eq!(left(97.0, 2.5, minute), None);
        assert!(left(97.0, 3.0, minute).is_some());
        assert!(left(9.0, 1.0, minute).is_some(), "a tenth of all");
    }

    #[test]
    fn the_estimate_never_grows_while_work_goes_on_at_one_rate() {
        // Waves of four videos, a wave every 60 s: results come together, and nothing in between.
        let (mut before, mut shown) = (Duration::MAX, 0);
        for second in 1..600_u64 {
            let waves = second / 60;
            let work = WorkDone {
                open: 40.0 - 4.0 * waves as f64,
                done: 4.0 * waves as f64,
                span: Duration::from_secs(60 * waves),
                since_last: Duration::from_secs(second % 60),
            };
            if let Some(left) = estimate_time_left(work) {
                assert!(left <= before, "{second} s: {left:?} after {before:?}");
                (before, shown) = (left, shown + 1);
            }
        }
        assert_eq!((shown, before), (540, Duration::from_secs(1)));
    }
}

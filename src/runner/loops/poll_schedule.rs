//! The schedule of polls. Pure.
//!
//! A render takes minutes, and every poll uses the account's rate. So the first poll comes when the
//! earliest finish is plausible, the next ones approach the predicted finish, and the durations of
//! other renders are remembered for the length of the run. Invariant: no pause is longer than
//! `poll_max`, whatever was learned, unless callbacks arrive.

use std::time::Duration;

/// The delay of the first poll before any render has finished, at AI Studios.
pub const FIRST_POLL_DELAY: Duration = Duration::from_secs(15);
/// No finish is expected before this part of the shortest known render.
const EARLIEST_FINISH_FRACTION: f64 = 0.7;
/// The part of the remaining time after which a distant finish is predicted again.
const APPROACH_FRACTION: f64 = 0.85;
/// Added to a predicted finish, as a part of the whole, so that one poll suffices.
const FINISH_MARGIN_FRACTION: f64 = 0.01;
/// The number of renders remembered. The shortest of them is the earliest plausible finish, and one
/// short video does not keep all later ones polled early.
const REMEMBERED_RENDERS: usize = 32;
/// The longest pause between polls while callbacks arrive.
const CALLBACK_POLL_MAX: Duration = Duration::from_secs(15 * 60);
/// A render without a callback is polled this factor beyond its predicted finish.
const CALLBACK_OVERDUE_FACTOR: f64 = 1.1;
/// A render with callbacks is polled once at this part of its predicted duration.
const MIDWAY_FRACTION: f64 = 0.6;

/// A batch's shortest and longest pause between polls, and the first one.
#[derive(Clone, Copy, Debug)]
pub(in crate::runner) struct PollIntervals {
    pub(in crate::runner) min: Duration,
    pub(in crate::runner) max: Duration,
    /// Before any render has finished; within the other two.
    pub(in crate::runner) first: Duration,
}

impl PollIntervals {
    /// Returns the longest pause between two polls without callbacks.
    pub(in crate::runner) fn longest(self) -> Duration {
        self.max.max(self.min)
    }
}

/// The durations of the last renders of this run.
#[derive(Clone, Debug, Default)]
pub(in crate::runner) struct RenderTimes {
    durations: [Duration; REMEMBERED_RENDERS],
    recorded: usize,
}

impl RenderTimes {
    /// Records the duration of a finished render.
    pub(in crate::runner) fn record(&mut self, duration: Duration) {
        self.durations[self.recorded % REMEMBERED_RENDERS] = duration;
        self.recorded += 1;
    }

    fn shortest(&self) -> Option<Duration> {
        self.durations.iter().take(self.recorded).min().copied()
    }

    /// Returns the delay before the first poll.
    pub(in crate::runner) fn first_poll_delay(&self, intervals: PollIntervals) -> Duration {
        let earliest = self.shortest().map(|shortest| shortest.mul_f64(EARLIEST_FINISH_FRACTION));
        earliest.unwrap_or(intervals.first).clamp(intervals.min, intervals.longest())
    }
}

/// Returns the delay before the next poll of a render that is at `progress` (0 to 100) after
/// `elapsed`.
pub(in crate::runner) fn next_poll_delay(
    elapsed: Duration,
    progress: f64,
    intervals: PollIntervals,
) -> Duration {
    let min = intervals.min;
    let pause = if progress >= 1.0 {
        let whole = elapsed.mul_f64(100.0 / progress.min(100.0));
        let left = whole.saturating_sub(elapsed);
        if left > min * 3 {
            left.mul_f64(APPROACH_FRACTION)
        } else {
            left + whole.mul_f64(FINISH_MARGIN_FRACTION)
        }
    } else {
        // Most likely still queued: poll more rarely the longer it lasts.
        elapsed / 2
    };
    pause.clamp(min, intervals.longest())
}

/// Returns the delay before the next poll of a render that a callback should report. It is polled
/// once midway, and after its predicted finish, to detect a lost callback.
pub(in crate::runner) fn next_poll_delay_with_callbacks(
    elapsed: Duration,
    progress: f64,
    poll_max: Duration,
) -> Duration {
    let pause = if progress >= 1.0 {
        let whole = elapsed.mul_f64(100.0 / progress.min(100.0));
        // An early prediction is poor, so it is repeated midway.
        let part = if progress < 50.0 { MIDWAY_FRACTION } else { CALLBACK_OVERDUE_FACTOR };
        whole.mul_f64(part).saturating_sub(elapsed)
    } else {
        elapsed * 2
    };
    pause.min(CALLBACK_POLL_MAX).max(poll_max)
}

#[cfg(test)]
mod tests {
    use crate::runner::loops::poll_schedule::*;

    const INTERVALS: PollIntervals = PollIntervals {
        min: Duration::from_secs(3),
        max: Duration::from_secs(60),
        first: FIRST_POLL_DELAY,
    };

    /// Polls a render of `length` with linear progress; returns the polls and the delay of the last.
    fn simulate_polls(length: Duration, render_times: &RenderTimes) -> (u32, Duration) {
        let mut at = render_times.first_poll_delay(INTERVALS);
        let mut polls = 1;
        while at < length {
            let progress = 100.0 * at.as_secs_f64() / length.as_secs_f64();
            at += next_poll_delay(at, progress, INTERVALS);
            polls += 1;
        }
        (polls, at - length)
    }

    #[test]
    fn render_of_one_to_ten_minutes_needs_few_polls_and_ends_in_time() {
        for seconds in (60..=600).step_by(7) {
            let length = Duration::from_secs(seconds);
            let mut render_times = RenderTimes::default();
            render_times.record(length.mul_f64(0.8));
            let (polls, late) = simulate_polls(length, &render_times);
            let by_poll_max = length.div_duration_f64(INTERVALS.max).ceil() as u32;
            assert!(polls <= by_poll_max.max(8) + 1, "{seconds} s: {polls} polls");
            assert!(
                late.as_secs_f64() <= 0.05 * length.as_secs_f64(),
                "{seconds} s: {late:?} late"
            );
        }
    }

    #[test]
    fn shortest_recent_render_sets_the_first_poll_until_it_is_forgotten() {
        let mut render_times = RenderTimes::default();
        let first_poll = |times: &RenderTimes| times.first_poll_delay(INTERVALS).as_secs();
        assert_eq!(first_poll(&render_times), 15);
        render_times.record(Duration::from_secs(60));
        for _ in 1..REMEMBERED_RENDERS {
            render_times.record(Duration::from_secs(600));
            assert_eq!(first_poll(&render_times), 42);
        }
        render_times.record(Duration::from_secs(600));
        assert_eq!(first_poll(&render_times), 60, "`poll_max` at the latest");
    }

    #[test]
    fn render_of_ten_minutes_with_callbacks_needs_at_most_three_polls() {
        let length = Duration::from_secs(600);
        for queued in [0, 20, 100] {
            let (queued, mut polls) = (Duration::from_secs(queued), 0);
            let mut at = INTERVALS.max;
            while at < queued + length {
                polls += 1;
                let done = at.saturating_sub(queued).as_secs_f64() / length.as_secs_f64();
                at += next_poll_delay_with_callbacks(at, 100.0 * done, INTERVALS.max);
            }
            // The callback triggers one more.
            assert!(polls < 3, "{queued:?}: {polls}");
            let late = at.saturating_sub(queued + length);
            let late_max = (queued + length).mul_f64(0.2);
            assert!(late <= late_max, "{queued:?}: {late:?} late without a callback");
        }
    }

    #[test]
    fn queued_render_is_polled_ever_more_rarely() {
        let delay = |elapsed| next_poll_delay(Duration::from_secs(elapsed), 0.0, INTERVALS);
        assert_eq!(delay(1), INTERVALS.min);
        assert_eq!(delay(40), Duration::from_secs(20));
        assert_eq!(delay(4000), INTERVALS.max);
    }
}

//! When to ask about a render again. Pure.
//!
//! A render takes minutes, and every poll counts against the account's rate. So the first poll
//! comes when the earliest finish is plausible, the next ones approach the predicted finish, and
//! what other videos took is remembered for as long as the run lasts.

use std::time::Duration;

/// The first poll of the very first video, when nothing has been learned.
const FIRST_POLL_DEFAULT: Duration = Duration::from_secs(15);
/// The part of the shortest known render before which no finish is expected.
const EARLIEST_FINISH_FRACTION: f64 = 0.7;
/// How closely a prediction is approached before its finish is awaited.
const APPROACH_FRACTION: f64 = 0.85;
/// Added to a predicted finish, as a part of the whole, so that one poll suffices.
const FINISH_MARGIN_FRACTION: f64 = 0.01;

/// Renders that are remembered. The shortest of so many is the earliest that is plausible, and one
/// short video does not make all others be polled early for ever.
const REMEMBERED_RENDERS: usize = 32;

/// What this run has learned about how long renders take.
#[derive(Clone, Debug, Default)]
pub(in crate::runner) struct RenderTimes {
    durations: [Duration; REMEMBERED_RENDERS],
    recorded: usize,
}

impl RenderTimes {
    /// Remembers a render that took `span`.
    pub(in crate::runner) fn record(&mut self, span: Duration) {
        self.durations[self.recorded % REMEMBERED_RENDERS] = span;
        self.recorded += 1;
    }

    fn shortest(&self) -> Option<Duration> {
        self.durations.iter().take(self.recorded).min().copied()
    }

    /// Returns the pause before the first poll.
    pub(in crate::runner) fn first_poll_delay(&self, least: Duration, most: Duration) -> Duration {
        match self.shortest() {
            Some(span) => span.mul_f64(EARLIEST_FINISH_FRACTION).max(least),
            None => FIRST_POLL_DEFAULT.clamp(least, most.max(least)),
        }
    }

    /// Returns the same for a render whose end we expect to be told of.
    pub(in crate::runner) fn first_poll_delay_with_callbacks(&self, most: Duration) -> Duration {
        self.shortest().map_or(most, |span| span.mul_f64(EARLIEST_FINISH_FRACTION).max(most))
    }
}

/// How long a render may be left alone that we expect to be told of.
const CALLBACK_POLL_MAX: Duration = Duration::from_secs(15 * 60);
/// How far beyond its predicted finish a render is asked about that nobody called about.
const CALLBACK_OVERDUE_FACTOR: f64 = 1.1;
/// Where on its predicted way it is looked at once.
const MIDWAY_FRACTION: f64 = 0.6;

/// Returns the same for a render whose end we expect to be told of: it is asked about on its way, and
/// after the predicted finish, to learn that the call was lost.
pub(in crate::runner) fn next_poll_delay_with_callbacks(
    elapsed: Duration,
    progress: f64,
    most: Duration,
) -> Duration {
    let pause = if progress >= 1.0 {
        let whole = elapsed.mul_f64(100.0 / progress.min(100.0));
        // From its beginning little can be foretold; so one look on the way, to foretell it again.
        let part = if progress < 50.0 { MIDWAY_FRACTION } else { CALLBACK_OVERDUE_FACTOR };
        whole.mul_f64(part).saturating_sub(elapsed)
    } else {
        elapsed * 2
    };
    pause.min(CALLBACK_POLL_MAX).max(most)
}

/// Returns the pause before the next poll of a render that stands at `progress` (0 to 100) after
/// `elapsed`.
pub(in crate::runner) fn next_poll_delay(
    elapsed: Duration,
    progress: f64,
    (least, most): (Duration, Duration),
) -> Duration {
    let pause = if progress >= 1.0 {
        let whole = elapsed.mul_f64(100.0 / progress.min(100.0));
        let left = whole.saturating_sub(elapsed);
        if left > least * 3 {
            left.mul_f64(APPROACH_FRACTION)
        } else {
            left + whole.mul_f64(FINISH_MARGIN_FRACTION)
        }
    } else {
        // Still queued, most likely: look more rarely the longer it lasts.
        elapsed / 2
    };
    pause.clamp(least, most.max(least))
}

#[cfg(test)]
mod tests {
    use crate::runner::loops::poll_schedule::*;

    const LEAST: Duration = Duration::from_secs(3);
    const MOST: Duration = Duration::from_secs(60);

    /// Polls a render of `length` with linear progress; returns polls and the lateness.
    fn watch(length: Duration, learned: &RenderTimes) -> (u32, Duration) {
        let mut at = learned.first_poll_delay(LEAST, MOST);
        let mut polls = 1;
        while at < length {
            let progress = 100.0 * at.as_secs_f64() / length.as_secs_f64();
            at += next_poll_delay(at, progress, (LEAST, MOST));
            polls += 1;
        }
        (polls, at - length)
    }

    #[test]
    fn a_video_of_one_to_ten_minutes_costs_at_most_eight_polls_and_is_noticed_in_time() {
        for seconds in (60..=600).step_by(7) {
            let length = Duration::from_secs(seconds);
            let mut learned = RenderTimes::default();
            learned.record(length.mul_f64(0.8));
            let (polls, late) = watch(length, &learned);
            assert!(polls <= 8, "{seconds} s: {polls} polls");
            assert!(
                late.as_secs_f64() <= 0.05 * length.as_secs_f64(),
                "{seconds} s: {late:?} late"
            );
        }
    }

    #[test]
    fn the_shortest_of_the_last_renders_says_when_an_end_is_plausible_and_is_forgotten_in_time() {
        let mut learned = RenderTimes::default();
        let first_poll = |learned: &RenderTimes| learned.first_poll_delay(LEAST, MOST).as_secs();
        assert_eq!(first_poll(&learned), 15);
        learned.record(Duration::from_secs(60));
        for _ in 1..REMEMBERED_RENDERS {
            learned.record(Duration::from_secs(600));
            assert_eq!(first_poll(&learned), 42);
        }
        learned.record(Duration::from_secs(600));
        assert_eq!(first_poll(&learned), 420);
    }

    #[test]
    fn a_video_of_ten_minutes_that_we_are_told_of_costs_at_most_three_polls() {
        let length = Duration::from_secs(600);
        for queued in [0, 20, 100] {
            let (queued, mut polls) = (Duration::from_secs(queued), 0);
            let mut at = RenderTimes::default().first_poll_delay_with_callbacks(MOST);
            while at < queued + length {
                polls += 1;
                let done = at.saturating_sub(queued).as_secs_f64() / length.as_secs_f64();
                at += next_poll_delay_with_callbacks(at, 100.0 * done, MOST);
            }
            // And the one that the call brings about.
            assert!(polls < 3, "{queued:?}: {polls}");
            let late = at.saturating_sub(queued + length);
            assert!(late <= (queued + length).mul_f64(0.2), "{queued:?}: {late:?} without a call");
        }
    }

    #[test]
    fn a_queued_render_is_asked_about_ever_more_rarely() {
        let pause = |elapsed| next_poll_delay(Duration::from_secs(elapsed), 0.0, (LEAST, MOST));
        assert_eq!(pause(1), LEAST);
        assert_eq!(pause(40), Duration::from_secs(20));
        assert_eq!(pause(4000), MOST);
    }
}

//! When to ask about a render again. Pure.
//!
//! A render takes minutes, and every poll counts against the account's rate. So the first poll
//! comes when the earliest finish is plausible, the next ones approach the predicted finish, and
//! what other videos took is remembered for as long as the run lasts.

use std::time::Duration;

/// The first poll of the very first video, when nothing has been learned.
const FIRST_POLL: Duration = Duration::from_secs(15);
/// The part of the shortest known render before which no finish is expected.
const PLAUSIBLE_PART: f64 = 0.7;
/// How closely a prediction is approached before its finish is awaited.
const APPROACH: f64 = 0.85;
/// Added to a predicted finish, as a part of the whole, so that one poll suffices.
const MARGIN: f64 = 0.01;

/// Renders that are remembered. The shortest of so many is the earliest that is plausible, and one
/// short video does not make all others be polled early for ever.
const REMEMBERED: usize = 32;

/// What this run has learned about how long renders take.
#[derive(Clone, Debug, Default)]
pub(super) struct Learned {
    spans: [Duration; REMEMBERED],
    noted: usize,
}

impl Learned {
    /// Remembers a render that took `span`.
    pub(super) fn note(&mut self, span: Duration) {
        self.spans[self.noted % REMEMBERED] = span;
        self.noted += 1;
    }

    fn shortest(&self) -> Option<Duration> {
        self.spans.iter().take(self.noted).min().copied()
    }

    /// Returns the pause before the first poll.
    pub(super) fn first_poll(&self, least: Duration, most: Duration) -> Duration {
        match self.shortest() {
            Some(span) => span.mul_f64(PLAUSIBLE_PART).max(least),
            None => FIRST_POLL.clamp(least, most.max(least)),
        }
    }

    /// Returns the same for a render whose end we expect to be told of.
    pub(super) fn first_poll_if_told(&self, most: Duration) -> Duration {
        self.shortest().map_or(most, |span| span.mul_f64(PLAUSIBLE_PART).max(most))
    }
}

/// How long a render may be left alone that we expect to be told of.
const LEFT_ALONE_MAX: Duration = Duration::from_secs(15 * 60);
/// How far beyond its predicted finish a render is asked about that nobody called about.
const CALL_OVERDUE: f64 = 1.1;
/// Where on its predicted way it is looked at once.
const ON_THE_WAY: f64 = 0.6;

/// Returns the same for a render whose end we expect to be told of: it is asked about on its way, and
/// after the predicted finish, to learn that the call was lost.
pub(super) fn next_poll_if_told(elapsed: Duration, progress: f64, most: Duration) -> Duration {
    let pause = if progress >= 1.0 {
        let whole = elapsed.mul_f64(100.0 / progress.min(100.0));
        // From its beginning little can be foretold; so one look on the way, to foretell it again.
        let part = if progress < 50.0 { ON_THE_WAY } else { CALL_OVERDUE };
        whole.mul_f64(part).saturating_sub(elapsed)
    } else {
        elapsed * 2
    };
    pause.min(LEFT_ALONE_MAX).max(most)
}

/// Returns the pause before the next poll of a render that stands at `progress` (0 to 100) after
/// `elapsed`.
pub(super) fn next_poll(
    elapsed: Duration,
    progress: f64,
    (least, most): (Duration, Duration),
) -> Duration {
    let pause = if progress >= 1.0 {
        let whole = elapsed.mul_f64(100.0 / progress.min(100.0));
        let left = whole.saturating_sub(elapsed);
        if left > least * 3 { left.mul_f64(APPROACH) } else { left + whole.mul_f64(MARGIN) }
    } else {
        // Still queued, most likely: look more rarely the longer it lasts.
        elapsed / 2
    };
    pause.clamp(least, most.max(least))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_secs(3);
    const MOST: Duration = Duration::from_secs(60);

    /// Polls a render of `length` with linear progress; returns polls and the lateness.
    fn watch(length: Duration, learned: &Learned) -> (u32, Duration) {
        let mut at = learned.first_poll(LEAST, MOST);
        let mut polls = 1;
        while at < length {
            let progress = 100.0 * at.as_secs_f64() / length.as_secs_f64();
            at += next_poll(at, progress, (LEAST, MOST));
            polls += 1;
        }
        (polls, at - length)
    }

    #[test]
    fn a_video_of_one_to_ten_minutes_costs_at_most_eight_polls_and_is_noticed_in_time() {
        for seconds in (60..=600).step_by(7) {
            let length = Duration::from_secs(seconds);
            let mut learned = Learned::default();
            learned.note(length.mul_f64(0.8));
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
        let mut learned = Learned::default();
        let first_poll = |learned: &Learned| learned.first_poll(LEAST, MOST).as_secs();
        assert_eq!(first_poll(&learned), 15);
        learned.note(Duration::from_secs(60));
        for _ in 1..REMEMBERED {
            learned.note(Duration::from_secs(600));
            assert_eq!(first_poll(&learned), 42);
        }
        learned.note(Duration::from_secs(600));
        assert_eq!(first_poll(&learned), 420);
    }

    #[test]
    fn a_video_of_ten_minutes_that_we_are_told_of_costs_at_most_three_polls() {
        let length = Duration::from_secs(600);
        for queued in [0, 20, 100] {
            let (queued, mut polls) = (Duration::from_secs(queued), 0);
            let mut at = Learned::default().first_poll_if_told(MOST);
            while at < queued + length {
                polls += 1;
                let done = at.saturating_sub(queued).as_secs_f64() / length.as_secs_f64();
                at += next_poll_if_told(at, 100.0 * done, MOST);
            }
            // And the one that the call brings about.
            assert!(polls < 3, "{queued:?}: {polls}");
            let late = at.saturating_sub(queued + length);
            assert!(late <= (queued + length).mul_f64(0.2), "{queued:?}: {late:?} without a call");
        }
    }

    #[test]
    fn a_queued_render_is_asked_about_ever_more_rarely() {
        let pause = |elapsed| next_poll(Duration::from_secs(elapsed), 0.0, (LEAST, MOST));
        assert_eq!(pause(1), LEAST);
        assert_eq!(pause(40), Duration::from_secs(20));
        assert_eq!(pause(4000), MOST);
    }
}

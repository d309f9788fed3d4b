//! Repeated "too many requests": ever longer pauses, and the point at which a run gives up for now.
//!
//! Pure. Only a response received after a pause counts as a repetition, because many requests may be
//! open when the first is rate-limited. One success resets the count, so that a run continues with
//! an account that accepts a little now and then.

use std::time::Duration;

/// The first pause, if the response gives none.
const PAUSE_MIN: Duration = Duration::from_secs(2);
/// The longest pause, if the response gives none.
const PAUSE_MAX: Duration = Duration::from_secs(120);
/// A run gives up after this many repetitions …
const STREAK_MAX: u32 = 8;
/// … over at least this time.
const STREAK_DURATION_MIN: Duration = Duration::from_secs(300);

/// The "too many requests" since the last success. Times are in awake time.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::runner) struct ThrottleBackoff {
    streak: u32,
    first_at: Duration,
    last_at: Duration,
    /// Until then, responses belong to requests that were already open.
    in_flight_until: Duration,
}

impl ThrottleBackoff {
    /// Records one "too many requests". Returns the pause: its retry-after if it has one, otherwise
    /// longer for each repetition.
    pub(in crate::runner) fn record(
        &mut self,
        now: Duration,
        retry_after: Option<Duration>,
    ) -> Duration {
        if self.streak == 0 {
            self.first_at = now;
        }
        if self.streak == 0 || now >= self.in_flight_until {
            self.streak = self.streak.saturating_add(1);
            self.last_at = now;
        }
        let grown = PAUSE_MIN.saturating_mul(1 << (self.streak - 1).min(16)).min(PAUSE_MAX);
        let pause = retry_after.filter(|pause| !pause.is_zero()).unwrap_or(grown);
        // Pauses are jittered, so half of one separates a repetition from its predecessor.
        self.in_flight_until = self.in_flight_until.max(now + pause / 2);
        pause
    }

    /// Returns the number of repetitions, once there are too many to continue.
    pub(in crate::runner) fn streak_over_limit(&self) -> Option<u32> {
        let lasted = self.last_at.saturating_sub(self.first_at);
        (self.streak >= STREAK_MAX && lasted >= STREAK_DURATION_MIN).then_some(self.streak)
    }
}

#[cfg(test)]
mod tests {
    use crate::runner::limits::throttle::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn pauses_grow_without_success_and_open_requests_are_no_repetition() {
        let (mut throttle, mut now, mut pauses) =
            (ThrottleBackoff::default(), seconds(100), Vec::new());
        for _ in 0..8 {
            let pause = throttle.record(now, None);
            assert_eq!(throttle.record(now + pause / 3, None), pause, "it was already open");
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(ThrottleBackoff::default().record(now, None), seconds(2), "a success resets it");
    }

    #[test]
    fn retry_after_is_honored_and_zero_counts_as_none() {
        let mut throttle = ThrottleBackoff::default();
        assert_eq!(throttle.record(seconds(0), Some(seconds(7))), seconds(7));
        assert_eq!(throttle.record(seconds(7), Some(Duration::ZERO)), seconds(4));
        assert_eq!(throttle.record(seconds(11), Some(seconds(900))), seconds(900));
    }

    #[test]
    fn only_many_repetitions_over_a_long_time_exceed_the_limit() {
        let mut throttle = ThrottleBackoff::default();
        for second in 0..200 {
            throttle.record(seconds(second), Some(seconds(1)));
        }
        assert_eq!(throttle.streak_over_limit(), None, "busy for a few minutes only");
        throttle.record(seconds(300), Some(seconds(1)));
        assert!(throttle.streak_over_limit().is_some());
        let mut rare = ThrottleBackoff::default();
        for hour in 0..7 {
            rare.record(seconds(3600 * hour), Some(seconds(3600)));
        }
        assert_eq!(rare.streak_over_limit(), None);
    }
}

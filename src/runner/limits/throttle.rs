//! "Slow down", again and again: ever longer pauses, and an end to the patience of a run.
//!
//! Pure. Only what is heard after a pause counts as a repetition, for many requests may be in the air
//! when the first one is turned away; and one success forgets them all, so that an account which
//! allows a little now and then is never given up.

use std::time::Duration;

/// The first pause of those that come without a time.
const PAUSE_MIN: Duration = Duration::from_secs(2);
/// The longest of them.
const PAUSE_MAX: Duration = Duration::from_secs(120);
/// So many in a row, over so long, and a run gives up for now.
const STREAK_LIMIT: (u32, Duration) = (8, Duration::from_secs(300));

/// What was heard since anything went well. Times are of awake time.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::runner) struct ThrottleBackoff {
    streak: u32,
    first_at: Duration,
    last_at: Duration,
    /// What is heard by then was in the air already.
    in_flight_until: Duration,
}

impl ThrottleBackoff {
    /// Notes one, and returns how long to wait: as long as was said, or else longer each time.
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
        let pause = retry_after.filter(|said| !said.is_zero()).unwrap_or(grown);
        // Pauses are jittered, so half of one tells the next from what came with the last.
        self.in_flight_until = self.in_flight_until.max(now + pause / 2);
        pause
    }

    /// Returns how many came in a row, once those are too many to go on.
    pub(in crate::runner) fn streak_over_limit(&self) -> Option<u32> {
        let (most, span) = STREAK_LIMIT;
        let lasted = self.last_at.saturating_sub(self.first_at);
        (self.streak >= most && lasted >= span).then_some(self.streak)
    }
}

#[cfg(test)]
mod tests {
    use crate::runner::limits::throttle::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn pauses_grow_while_nothing_goes_well_and_what_was_in_the_air_is_no_repetition() {
        let (mut slow, mut now, mut pauses) =
            (ThrottleBackoff::default(), seconds(100), Vec::new());
        for _ in 0..8 {
            let pause = slow.record(now, None);
            assert_eq!(slow.record(now + pause / 3, None), pause, "it was in the air");
            pauses.push(pause.as_secs());
            now += pause;
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 120, 120]);
        assert_eq!(ThrottleBackoff::default().record(now, None), seconds(2), "all are forgotten");
    }

    #[test]
    fn a_time_that_is_said_is_kept_and_no_time_is_none() {
        let mut slow = ThrottleBackoff::default();
        assert_eq!(slow.record(seconds(0), Some(seconds(7))), seconds(7));
        assert_eq!(slow.record(seconds(7), Some(Duration::ZERO)), seconds(4));
        assert_eq!(slow.record(seconds(11), Some(seconds(900))), seconds(900));
    }

    #[test]
    fn only_many_in_a_row_over_a_long_time_are_too_many() {
        let mut slow = ThrottleBackoff::default();
        for second in 0..200 {
            slow.record(seconds(second), Some(seconds(1)));
        }
        assert_eq!(slow.streak_over_limit(), None, "a busy account of a few minutes");
        slow.record(seconds(300), Some(seconds(1)));
        assert!(slow.streak_over_limit().is_some());
        let mut rare = ThrottleBackoff::default();
        for hour in 0..7 {
            rare.record(seconds(3600 * hour), Some(seconds(3600)));
        }
        assert_eq!(rare.streak_over_limit(), None);
    }
}

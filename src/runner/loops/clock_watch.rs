//! The clock loop: notices that the wall clock was set back, and moves the due times of the batch with
//! it.
//!
//! Due times are stored by the wall clock, because they outlive the process. After a clock was set
//! back by hours, every poll, download and retry would wait that long. A clock that was set forward
//! makes them due early, which costs a request each, and needs nothing here.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::aistudios::StudioApi;
use crate::clock::Clock;
use crate::ledger::LedgerError;
use crate::runner::context::RunContext;

const CLOCK_CHECK_INTERVAL: Duration = Duration::from_secs(2);
/// Smaller corrections, as by NTP, delay nothing noticeably.
const CORRECTION_MIN: SignedDuration = SignedDuration::from_secs(1);

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
struct ClockReading {
    wall: Timestamp,
    awake: Duration,
}

impl ClockReading {
    fn from_clock(clock: &Clock) -> Self {
        Self { wall: clock.now(), awake: clock.awake_time() }
    }

    /// Returns how far the wall clock was set back between two readings; zero if it was not.
    fn set_back_by(self, later: Self) -> SignedDuration {
        let awake = SignedDuration::try_from(later.awake.saturating_sub(self.awake));
        let awake = awake.unwrap_or(SignedDuration::MAX);
        let missing = awake.saturating_sub(later.wall.duration_since(self.wall));
        if missing >= CORRECTION_MIN { missing } else { SignedDuration::ZERO }
    }
}

/// Watches the wall clock until paid submissions are no longer followed.
pub(in crate::runner) async fn clock_loop<S: StudioApi>(
    run: Arc<RunContext<S>>,
) -> Result<(), LedgerError> {
    let mut last = ClockReading::from_clock(&run.clock);
    while run.can_follow() {
        let interval = run.clock.recheck_interval(CLOCK_CHECK_INTERVAL);
        run.sleep_or_stop(interval, run.following_stopped()).await;
        let reading = ClockReading::from_clock(&run.clock);
        let set_back_by = last.set_back_by(reading);
        last = reading;
        if set_back_by.is_zero() {
            continue;
        }
        tracing::warn!(by = %set_back_by, "the clock of this machine was set back");
        run.lease.move_due_times_back(set_back_by, reading.wall).await?;
        run.wakeups.wake_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::runner::loops::clock_watch::*;

    #[test]
    fn only_a_clock_that_was_set_back_moves_due_times() {
        let reading = |wall: i64, awake: u64| ClockReading {
            wall: Timestamp::from_second(wall).unwrap(),
            awake: Duration::from_secs(awake),
        };
        for (later, hours) in [
            (reading(100_002, 12), 0),
            (reading(132_402, 12), 0), // set forward, or suspended
            (reading(100_001, 11), 0),
            (reading(67_602, 12), 9),
        ] {
            let expected = SignedDuration::from_hours(hours);
            assert_eq!(reading(100_000, 10).set_back_by(later), expected, "{later:?}");
        }
    }
}

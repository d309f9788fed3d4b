//! The quiet wait: the time without evidence after which an uncertain submission may be taken as
//! not accepted. Pure.
//!
//! It is measured in time during which this process was awake and held the batch's lock without
//! interruption, and ends with two complete reads that show no trace. It starts again with every run,
//! on purpose: the time between two runs is not observed.

use std::time::Duration;

use jiff::Timestamp;

/// The delays between checks.
const CHECK_INTERVALS: [Duration; 4] = [
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(180),
    Duration::from_secs(600),
];
/// The delay between checks after those.
const SLOW_CHECK_INTERVAL: Duration = Duration::from_secs(1800);
/// A wall clock this far ahead of awake time means that the machine was suspended.
const SUSPEND_THRESHOLD: Duration = Duration::from_secs(30);
/// The two reads at the end are at least this part of the quiet wait apart.
const CLEAN_READ_SPACING: u32 = 20;
/// Reads without a trace that complete the quiet wait.
const CLEAN_READS_MIN: u32 = 2;

/// How long a submission has been quiet, and what the reads at the end showed.
#[derive(Clone, Copy, Debug)]
pub(in crate::runner) struct QuietWait {
    started_at: Duration,
    started_wall: Timestamp,
    clean_reads: u32,
    last_clean_read: Duration,
}

impl QuietWait {
    /// Starts a quiet wait at awake time `awake` and wall time `wall`.
    pub(in crate::runner) fn new(awake: Duration, wall: Timestamp) -> Self {
        Self { started_at: awake, started_wall: wall, clean_reads: 0, last_clean_read: awake }
    }

    /// Returns the wait as it continues now: from its start, or restarted if the machine was
    /// suspended since, because it is then unknown how long requests could still arrive.
    pub(in crate::runner) fn restarted_if_suspended(
        self,
        awake: Duration,
        wall: Timestamp,
    ) -> Self {
        let elapsed_wall =
            Duration::try_from(wall.duration_since(self.started_wall)).unwrap_or_default();
        let is_suspended = elapsed_wall > awake.saturating_sub(self.started_at) + SUSPEND_THRESHOLD;
        if is_suspended { Self::new(awake, wall) } else { self }
    }

    /// Returns how long the wait has lasted.
    pub(in crate::runner) fn elapsed(&self, awake: Duration) -> Duration {
        awake.saturating_sub(self.started_at)
    }

    /// Records a complete read without a trace, requested at `read_at`. It counts if the wait is over,
    /// and if it is some time after the one before, so that a list between two states is not
    /// believed.
    pub(in crate::runner) fn record_clean_read(
        &mut self,
        read_at: Duration,
        settle_after: Duration,
    ) {
        let is_over = self.elapsed(read_at) >= settle_after;
        let since_last = read_at.saturating_sub(self.last_clean_read);
        let is_spaced = since_last >= settle_after / CLEAN_READ_SPACING;
        if is_over && (self.clean_reads == 0 || is_spaced) {
            self.clean_reads += 1;
            self.last_clean_read = read_at;
        }
    }

    /// Discards the clean reads, after a read that proves nothing.
    pub(in crate::runner) fn discard_clean_reads(&mut self) {
        self.clean_reads = 0;
    }

    /// Returns whether the wait is over and its reads have shown no trace.
    pub(in crate::runner) fn is_complete(&self) -> bool {
        self.clean_reads >= CLEAN_READS_MIN
    }

    /// Returns the delay before the next check: by the fixed intervals, but no later than the end of
    /// the wait, and soon after it until both clean reads are done.
    pub(in crate::runner) fn next_check_delay(
        &self,
        awake: Duration,
        checks: i64,
        settle_after: Duration,
    ) -> Duration {
        let left = (self.started_at + settle_after).saturating_sub(awake);
        if !left.is_zero() {
            check_interval(checks).min(left)
        } else if self.is_complete() {
            check_interval(checks)
        } else {
            settle_after / CLEAN_READ_SPACING
        }
    }
}

/// Returns the delay after the given number of checks.
pub(in crate::runner) fn check_interval(checks: i64) -> Duration {
    let position = usize::try_from(checks + 1).ok();
    let interval = position.and_then(|position| CHECK_INTERVALS.get(position));
    interval.copied().unwrap_or(SLOW_CHECK_INTERVAL)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use crate::runner::evidence::quiet_wait::*;

    const SETTLE_AFTER: Duration = Duration::from_secs(1200);

    fn quiet_wait() -> QuietWait {
        QuietWait::new(Duration::from_secs(100), Timestamp::UNIX_EPOCH)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(100 + seconds)
    }

    #[test]
    fn quiet_wait_is_complete_only_after_two_spaced_clean_reads_at_its_end() {
        let mut wait = quiet_wait();
        for seconds in [15, 1199, 1200, 1210] {
            wait.record_clean_read(at(seconds), SETTLE_AFTER);
            assert!(!wait.is_complete(), "after {seconds} s");
        }
        wait.record_clean_read(at(1260), SETTLE_AFTER);
        assert!(wait.is_complete());
        wait.discard_clean_reads();
        assert!(!wait.is_complete());
    }

    /// Found by the simulation: a read that had waited long for its permit counted as new.
    #[test]
    fn clean_read_is_as_old_as_its_request() {
        let mut wait = quiet_wait();
        wait.record_clean_read(at(1190), SETTLE_AFTER);
        wait.record_clean_read(at(1195), SETTLE_AFTER);
        wait.record_clean_read(at(1300), SETTLE_AFTER);
        assert!(!wait.is_complete(), "requested before the wait was over: {wait:?}");
    }

    #[test]
    fn checks_follow_the_intervals_and_meet_the_end_of_the_wait_and_the_second_read() {
        let mut wait = quiet_wait();
        let next = |wait: &QuietWait, seconds, checks| {
            wait.next_check_delay(at(seconds), checks, SETTLE_AFTER)
        };
        assert_eq!(next(&wait, 0, 0), Duration::from_secs(60));
        assert_eq!(next(&wait, 1000, 9), Duration::from_secs(200), "the end of the wait");
        assert_eq!(next(&wait, 1200, 9), Duration::from_secs(60), "the second read");
        wait.record_clean_read(at(1200), SETTLE_AFTER);
        wait.record_clean_read(at(1260), SETTLE_AFTER);
        assert_eq!(next(&wait, 1260, 9), SLOW_CHECK_INTERVAL);
    }

    #[test]
    fn suspended_machine_restarts_the_quiet_wait() {
        let later = |seconds| Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        let awake = quiet_wait().restarted_if_suspended(at(600), later(610));
        assert_eq!(awake.started_at, at(0), "clocks differ by seconds");
        let suspended = quiet_wait().restarted_if_suspended(at(600), later(8 * 3600));
        assert_eq!((suspended.started_at, suspended.clean_reads), (at(600), 0));
        let set_back = quiet_wait().restarted_if_suspended(at(600), later(-3600));
        assert_eq!(set_back.started_at, at(0), "a clock that was set back is no suspension");
    }
}

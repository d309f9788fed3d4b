//! The virtual clock: the simulator's own time, which may run fast, stand still, or jump ahead.
//!
//! Virtual time is in milliseconds and begins at the wall clock's epoch milliseconds when the sandbox
//! was first opened. Within a process it follows the monotonic clock, so a wall clock that is set back
//! cannot change it; across a restart it follows the wall clock, since nothing else survives.
//! Invariant: it never runs backwards.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// A reading from which later ones are computed.
#[derive(Clone, Copy, Debug)]
struct ClockAnchor {
    at: Instant,
    virtual_ms: i64,
    scale: f64,
}

impl ClockAnchor {
    fn virtual_ms_at(&self, now: Instant) -> i64 {
        let real_ms = now.duration_since(self.at).as_secs_f64() * 1000.0;
        self.virtual_ms + (real_ms * self.scale) as i64
    }
}

#[derive(Debug)]
pub(super) struct VirtualClock {
    anchor: Mutex<ClockAnchor>,
}

impl VirtualClock {
    /// Starts a clock that shows `virtual_ms` now. Negative scales count as zero.
    pub(super) fn new(virtual_ms: i64, scale: f64) -> Self {
        let anchor = ClockAnchor { at: Instant::now(), virtual_ms, scale: valid_scale(scale) };
        Self { anchor: Mutex::new(anchor) }
    }

    /// Returns virtual epoch milliseconds.
    pub(super) fn now(&self) -> i64 {
        self.anchor().virtual_ms_at(Instant::now())
    }

    /// Returns the current scale.
    pub(super) fn scale(&self) -> f64 {
        self.anchor().scale
    }

    /// Changes the speed from now on.
    pub(super) fn set_scale(&self, scale: f64) {
        self.update_anchor(|anchor| anchor.scale = valid_scale(scale));
    }

    /// Jumps ahead.
    pub(super) fn advance(&self, by: Duration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4);
        self.update_anchor(|anchor| anchor.virtual_ms = anchor.virtual_ms.saturating_add(by_ms));
    }

    /// Returns the real time until `virtual_ms`; `None` when the clock stands still.
    pub(super) fn real_time_until(&self, virtual_ms: i64) -> Option<Duration> {
        let anchor = self.anchor();
        let left_ms = virtual_ms - anchor.virtual_ms_at(Instant::now());
        if left_ms <= 0 {
            return Some(Duration::ZERO);
        }
        if anchor.scale <= 0.0 {
            return None;
        }
        // A millisecond more, so that the time has really come when the wait is over.
        Some(Duration::from_secs_f64(left_ms as f64 / 1000.0 / anchor.scale) + ROUNDING_MARGIN)
    }

    fn update_anchor(&self, change: impl FnOnce(&mut ClockAnchor)) {
        let mut anchor = self.lock();
        let now = Instant::now();
        anchor.virtual_ms = anchor.virtual_ms_at(now);
        anchor.at = now;
        change(&mut anchor);
    }

    fn anchor(&self) -> ClockAnchor {
        *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ClockAnchor> {
        // An anchor is complete after every statement, so a panic elsewhere cannot have left it half written.
        self.anchor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const ROUNDING_MARGIN: Duration = Duration::from_millis(1);

fn valid_scale(scale: f64) -> f64 {
    if scale.is_finite() && scale > 0.0 { scale } else { 0.0 }
}

/// Returns the wall clock's epoch milliseconds.
pub(super) fn wall_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// Converts virtual seconds to milliseconds; a value that is not a number counts as zero.
pub(super) fn seconds_to_ms(seconds: f64) -> i64 {
    (seconds.max(0.0) * 1000.0) as i64
}

/// Formats a virtual time as the vendor's dates are assumed to be.
pub(super) fn format_iso(virtual_ms: i64) -> String {
    let moment = Timestamp::from_millisecond(virtual_ms).unwrap_or(Timestamp::MAX);
    moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_clock_moves_only_when_advanced() {
        let clock = VirtualClock::new(1_000, 0.0);
        assert_eq!(clock.now(), 1_000);
        assert_eq!(clock.real_time_until(1_001), None);
        clock.advance(Duration::from_secs(5));
        assert_eq!(clock.now(), 6_000);
        assert_eq!(clock.real_time_until(6_000), Some(Duration::ZERO));
    }

    #[test]
    fn a_change_of_speed_never_sets_time_back() {
        let clock = VirtualClock::new(0, 1e6);
        let before = clock.now();
        clock.set_scale(0.5);
        assert!(clock.now() >= before);
        clock.set_scale(-3.0);
        assert_eq!(clock.scale(), 0.0);
    }

    #[test]
    fn dates_have_the_format_of_the_vendor() {
        insta::assert_snapshot!(format_iso(1_767_603_600_005), @"2026-01-05T09:00:00.005Z");
    }
}

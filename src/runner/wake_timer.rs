//! The wake-up of a loop that sleeps until a job is due: it fires only for a job that is due sooner.
//!
//! In a busy run every accepted request adds a render to be polled in minutes; a loop that read the
//! ledger for each would do nothing else. No necessary wake-up is suppressed: between the loop's read
//! of the ledger and the setting of its timer, all of them fire.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use tokio::sync::Notify;

/// A wake-up, and the time at which its loop wakes without one, in milliseconds since 1970.
#[derive(Debug)]
pub(super) struct WakeTimer {
    notify: Notify,
    wakes_at_ms: AtomicI64,
}

/// Every due time is sooner than this.
const NEVER: i64 = i64::MAX;

impl Default for WakeTimer {
    fn default() -> Self {
        Self { notify: Notify::new(), wakes_at_ms: AtomicI64::new(NEVER) }
    }
}

impl WakeTimer {
    /// Lets every wake-up fire. The loop calls this before it reads the ledger, so that a later write
    /// wakes it.
    pub(super) fn clear(&self) {
        self.wakes_at_ms.store(NEVER, Ordering::SeqCst);
    }

    /// Lets only jobs due before `next` fire: at that time the loop wakes without a wake-up.
    pub(super) fn set(&self, next: Option<Timestamp>) {
        self.wakes_at_ms.store(next.map_or(NEVER, Timestamp::as_millisecond), Ordering::SeqCst);
    }

    /// Fires for a job that is due at `due`, if the loop would wake too late for it.
    pub(super) fn wake_if_sooner(&self, due: Option<Timestamp>) {
        if due.is_none_or(|due| due.as_millisecond() < self.wakes_at_ms.load(Ordering::SeqCst)) {
            self.wake();
        }
    }

    /// Fires in any case.
    pub(super) fn wake(&self) {
        self.notify.notify_one();
    }

    /// Returns the wake-up to wait for.
    pub(super) fn notify(&self) -> &Notify {
        &self.notify
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn has_fired(timer: &WakeTimer) -> bool {
        timer.notify().notified().now_or_never().is_some()
    }

    #[test]
    fn timer_fires_for_sooner_jobs_only_and_for_all_while_it_is_not_set() {
        let at = |ms| Some(Timestamp::from_millisecond(ms).unwrap());
        let timer = WakeTimer::default();
        timer.wake_if_sooner(at(5));
        assert!(has_fired(&timer));

        timer.set(at(1000));
        timer.wake_if_sooner(at(1000));
        assert!(!has_fired(&timer), "the loop wakes at that time anyway");
        timer.wake_if_sooner(at(999));
        assert!(has_fired(&timer));
        timer.wake_if_sooner(None);
        assert!(has_fired(&timer), "a job without a time may be due at once");

        timer.clear();
        timer.wake_if_sooner(at(2000));
        assert!(has_fired(&timer), "the loop may have read before this was written");
    }
}

//! The bell of a loop that sleeps until something is due: it rings only for what is due sooner.
//!
//! On a busy night every answer brings a render that is to be asked about in minutes; a loop that
//! looked into the ledger for each would spend the night looking. A ring that is kept back is never
//! one that mattered: between looking into the ledger and setting the alarm, all of them ring.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use tokio::sync::Notify;

/// A bell, and the time at which its loop wakes by itself, in milliseconds since 1970.
#[derive(Debug)]
pub(super) struct WakeTimer {
    notify: Notify,
    wakes_at_ms: AtomicI64,
}

/// Everything is sooner than this.
const NEVER: i64 = i64::MAX;

impl Default for WakeTimer {
    fn default() -> Self {
        Self { notify: Notify::new(), wakes_at_ms: AtomicI64::new(NEVER) }
    }
}

impl WakeTimer {
    /// Lets everything ring. The loop calls this before it looks into the ledger, so that what is
    /// written after that look wakes it.
    pub(super) fn clear(&self) {
        self.wakes_at_ms.store(NEVER, Ordering::SeqCst);
    }

    /// Lets only what is due before `next` ring, for the loop will look then by itself.
    pub(super) fn set(&self, next: Option<Timestamp>) {
        self.wakes_at_ms.store(next.map_or(NEVER, Timestamp::as_millisecond), Ordering::SeqCst);
    }

    /// Rings for something that is due at `due`, if nobody would wake in time for it.
    pub(super) fn wake_if_sooner(&self, due: Option<i64>) {
        if due.is_none_or(|due| due < self.wakes_at_ms.load(Ordering::SeqCst)) {
            self.wake();
        }
    }

    /// Rings.
    pub(super) fn wake(&self) {
        self.notify.notify_one();
    }

    /// Returns what to wait for.
    pub(super) fn notify(&self) -> &Notify {
        &self.notify
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn has_rung(alarm: &WakeTimer) -> bool {
        alarm.notify().notified().now_or_never().is_some()
    }

    #[test]
    fn only_what_is_due_sooner_rings_and_while_nothing_is_set_everything_does() {
        let alarm = WakeTimer::default();
        alarm.wake_if_sooner(Some(5));
        assert!(has_rung(&alarm));

        alarm.set(Some(Timestamp::from_millisecond(1000).unwrap()));
        alarm.wake_if_sooner(Some(1000));
        assert!(!has_rung(&alarm), "the loop wakes by itself then");
        alarm.wake_if_sooner(Some(999));
        assert!(has_rung(&alarm));
        alarm.wake_if_sooner(None);
        assert!(has_rung(&alarm), "what says no time may be due at once");

        alarm.clear();
        alarm.wake_if_sooner(Some(2000));
        assert!(has_rung(&alarm), "the loop may have looked before this was written");
    }
}

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
pub(super) struct Alarm {
    bell: Notify,
    set_to: AtomicI64,
}

/// Everything is sooner than this.
const NEVER: i64 = i64::MAX;

impl Default for Alarm {
    fn default() -> Self {
        Self { bell: Notify::new(), set_to: AtomicI64::new(NEVER) }
    }
}

impl Alarm {
    /// Lets everything ring. The loop calls this before it looks into the ledger, so that what is
    /// written after that look wakes it.
    pub(super) fn unset(&self) {
        self.set_to.store(NEVER, Ordering::SeqCst);
    }

    /// Lets only what is due before `next` ring, for the loop will look then by itself.
    pub(super) fn set(&self, next: Option<Timestamp>) {
        self.set_to.store(next.map_or(NEVER, Timestamp::as_millisecond), Ordering::SeqCst);
    }

    /// Rings for something that is due at `due`, if nobody would wake in time for it.
    pub(super) fn ring_for(&self, due: Option<i64>) {
        if due.is_none_or(|due| due < self.set_to.load(Ordering::SeqCst)) {
            self.ring();
        }
    }

    /// Rings.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Returns what to wait for.
    pub(super) fn bell(&self) -> &Notify {
        &self.bell
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn has_rung(alarm: &Alarm) -> bool {
        alarm.bell().notified().now_or_never().is_some()
    }

    #[test]
    fn only_what_is_due_sooner_rings_and_while_nothing_is_set_everything_does() {
        let alarm = Alarm::default();
        alarm.ring_for(Some(5));
        assert!(has_rung(&alarm));

        alarm.set(Some(Timestamp::from_millisecond(1000).unwrap()));
        alarm.ring_for(Some(1000));
        assert!(!has_rung(&alarm), "the loop wakes by itself then");
        alarm.ring_for(Some(999));
        assert!(has_rung(&alarm));
        alarm.ring_for(None);
        assert!(has_rung(&alarm), "what says no time may be due at once");

        alarm.unset();
        alarm.ring_for(Some(2000));
        assert!(has_rung(&alarm), "the loop may have looked before this was written");
    }
}

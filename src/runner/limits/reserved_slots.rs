//! The slots of an account's rate that this process has reserved in the ledger, and when they come.
//!
//! A span covers at most a second, because slots that are not used are lost to the other processes; those
//! at its end are given back if no other process has reserved after them. It grows while all slots are
//! used, so that a busy run does not write to the ledger for each request.
//! Invariant: no slot is used before its time, or later than the lateness that the rate allows for.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::ledger::{Ledger, LedgerError, RateKind, RateSpanRequest};

/// The longest span.
const SPAN_MAX: Duration = Duration::from_secs(1);

/// Where the slots of an account come from.
#[derive(Clone, Debug)]
pub(in crate::runner) struct SlotSource {
    pub(in crate::runner) ledger: Ledger,
    /// The account's fingerprint.
    pub(in crate::runner) account: String,
    pub(in crate::runner) kind: RateKind,
    /// This process.
    pub(in crate::runner) member: String,
}

/// See the module.
#[derive(Debug)]
pub(in crate::runner) struct ReservedSlots {
    source: SlotSource,
    clock: Clock,
    state: Mutex<SlotState>,
    reserving: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct SlotState {
    /// In awake time.
    times: VecDeque<Duration>,
    /// The size of the last span.
    span: u32,
    has_lost_slots: bool,
    /// Of the last span, by the clock of the ledger.
    last_end_us: i64,
    interval: Duration,
    /// Slots at its end that were not used.
    unused: u32,
}

impl ReservedSlots {
    pub(in crate::runner) fn new(source: SlotSource, clock: Clock) -> Self {
        Self { source, clock, state: Mutex::default(), reserving: tokio::sync::Mutex::default() }
    }

    fn lock_state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves a span unless a slot is left.
    ///
    /// # Errors
    /// The ledger cannot be written, which its other writes report.
    pub(in crate::runner) async fn ensure_reserved(
        &self,
        interval: Duration,
        lateness: Duration,
    ) -> Result<(), LedgerError> {
        if self.has_slot(lateness) {
            return Ok(());
        }
        let _reserving = self.reserving.lock().await;
        if self.has_slot(lateness) {
            return Ok(());
        }
        let slots = self.next_span_size(interval);
        let SlotSource { ledger, account, kind, member } = &self.source;
        let (last_end_us, unused_from_us) = self.last_span();
        let request = RateSpanRequest {
            account: account.clone(),
            kind: *kind,
            member: member.clone(),
            interval,
            slots,
            last_end_us,
            unused_from_us,
        };
        let span = ledger.reserve_rate_span(request, self.clock.now()).await?;
        // Counted from the response, so that a slot may be late, but never early.
        let first = self.clock.awake_time() + span.wait;
        let mut state = self.lock_state();
        state.times.extend((0..slots).map(|slot| first + span.interval * slot));
        (state.last_end_us, state.interval, state.unused) = (span.end_us, span.interval, 0);
        Ok(())
    }

    /// Returns whether a slot is left, and gives up those whose time is over.
    fn has_slot(&self, lateness: Duration) -> bool {
        let now = self.clock.awake_time();
        let mut state = self.lock_state();
        while state.times.front().is_some_and(|slot| *slot + lateness < now) {
            state.times.pop_front();
            state.has_lost_slots = true;
            state.unused += 1;
        }
        !state.times.is_empty()
    }

    fn next_span_size(&self, interval: Duration) -> u32 {
        let fitting = SPAN_MAX.as_nanos() / interval.as_nanos().max(1);
        let size_max = u32::try_from(fitting).unwrap_or(u32::MAX).max(1);
        let mut state = self.lock_state();
        let has_lost_slots = std::mem::take(&mut state.has_lost_slots);
        let size = if has_lost_slots { 1 } else { state.span.saturating_mul(2) };
        state.span = size.clamp(1, size_max);
        state.span
    }

    /// Returns the time until the next slot; `None` if none is left.
    pub(in crate::runner) fn time_until_next(&self, now: Duration) -> Option<Duration> {
        self.lock_state().times.front().map(|slot| slot.saturating_sub(now))
    }

    /// Uses the next slot.
    pub(in crate::runner) fn take(&self) {
        let mut state = self.lock_state();
        state.times.pop_front();
        state.unused = 0;
    }

    /// Returns the end of the last span, and the time of the first slot of its unused end.
    fn last_span(&self) -> (i64, i64) {
        let state = self.lock_state();
        let unused = state.interval * state.unused;
        let unused_us = i64::try_from(unused.as_micros()).unwrap_or(0);
        (state.last_end_us, state.last_end_us - unused_us)
    }
}

#[cfg(test)]
mod tests {
    use crate::ledger::Durability;
    use crate::runner::limits::rate_limiter::AccountRateLimiter;
    use crate::runner::limits::reserved_slots::*;

    /// Acquires permits of one account in several processes for `span` of simulated time, and returns
    /// the times of all of them.
    async fn acquire_in_processes(rates: &[&str], span: Duration) -> Vec<Duration> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("l.db");
        let (clock, simulated) = Clock::simulated(jiff::Timestamp::UNIX_EPOCH);
        let mut tasks = Vec::new();
        for (process, rate) in rates.iter().enumerate() {
            let source = SlotSource {
                ledger: Ledger::open(&file, Durability::ProcessDeath).await.unwrap(),
                account: "0123456789abcdef0123456789abcdef".to_owned(),
                kind: RateKind::Submits,
                member: process.to_string(),
            };
            let limiter = AccountRateLimiter::new(rate.parse().unwrap(), clock.clone());
            let (limiter, clock) = (limiter.shared_through(source), clock.clone());
            tasks.push(tokio::spawn(async move {
                let _busy = clock.busy();
                let mut acquired = Vec::new();
                while clock.awake_time() < span {
                    limiter.acquire().await;
                    acquired.push(clock.awake_time());
                }
                acquired
            }));
        }
        simulated.drive(Duration::MAX).await;
        let mut acquired = Vec::new();
        for task in tasks {
            acquired.extend(task.await.unwrap());
        }
        acquired.sort();
        acquired
    }

    fn most_in_a_window(acquired: &[Duration], window: Duration) -> usize {
        let until = |at: Duration| acquired.partition_point(|time| *time < at);
        acquired.iter().map(|at| until(*at + window) - until(*at)).max().unwrap_or(0)
    }

    #[tokio::test]
    async fn processes_of_one_account_together_use_its_rate_and_never_exceed_it() {
        for (rate, window, most) in [("30/min", 60, 30), ("20/s", 1, 20), ("100/s", 1, 100)] {
            let window = Duration::from_secs(window);
            let span = window * 8;
            let acquired = acquire_in_processes(&[rate; 3], span).await;
            assert!(most_in_a_window(&acquired, window) <= most, "{rate}");
            let used = acquired.iter().filter(|at| **at < span).count() as f64 / (most * 8) as f64;
            assert!(used >= 0.985, "{rate}: {used}");
        }
    }

    #[tokio::test]
    async fn slowest_of_several_processes_sets_the_rate_of_all() {
        let window = Duration::from_secs(60);
        let acquired = acquire_in_processes(&["30/min", "600/min"], window * 4).await;
        // Until the slow one has begun, a span may be reserved at the other rate.
        let settled: Vec<_> = acquired.into_iter().filter(|at| *at > window / 4).collect();
        let most = most_in_a_window(&settled, window);
        assert!(most <= 30, "{most}");
    }
}

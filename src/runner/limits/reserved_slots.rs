//! The slots of an account's rate that this process has reserved in the ledger, and when they come.
//!
//! A span covers at most a second, because slots that are not used are lost to the other processes; those
//! at its end are given back if no other process has reserved after them. It grows while all slots are
//! used, so that a busy run does not write to the ledger for each request, and the next one is reserved
//! before its last slot comes, so that no request waits for the ledger.
//!
//! Spans that follow one another form a block, which belongs to this process alone. A slot may be used
//! late, if the next ones keep their distance and the block has room for them; what has no room is lost.
//! Invariant: no slot is used before its time, or after its block by more than the rate's lateness.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::ledger::{Ledger, LedgerError, RateClock, RateKind, RateSpan, RateSpanRequest};

/// The longest span.
const SPAN_MAX: Duration = Duration::from_secs(1);
/// How long before its last slot the next span is reserved.
const RESERVE_AHEAD: Duration = Duration::from_millis(500);
/// The longest time that a reservation is expected to take.
const RESERVE_TIME_MAX: Duration = Duration::from_millis(200);
/// The responses by which a server's clock is compared with this process's.
const CLOCK_SAMPLES: usize = 16;

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

/// The pace of a rate.
#[derive(Clone, Copy, Debug)]
pub(in crate::runner) struct RatePace {
    /// The time between two requests.
    pub(in crate::runner) interval: Duration,
    /// How late a slot may be used.
    pub(in crate::runner) lateness: Duration,
}

/// See the module.
#[derive(Debug)]
pub(in crate::runner) struct ReservedSlots {
    source: SlotSource,
    clock: Clock,
    state: Mutex<SlotState>,
    reserving: Arc<tokio::sync::Mutex<()>>,
}

/// Slots of this process between which no other process has any.
#[derive(Clone, Copy, Debug)]
struct SlotBlock {
    /// The time of the next slot, in awake time.
    next: Duration,
    /// The time between two slots.
    interval: Duration,
    /// The time of the last slot.
    last: Duration,
    /// At least one; more than can still be used if requests were late.
    left: u32,
}

impl SlotBlock {
    fn new(next: Duration, interval: Duration, slots: u32) -> Self {
        Self { next, interval, last: next + interval * slots.saturating_sub(1), left: slots }
    }

    /// Returns how many slots can be used if the next request is sent at `free_at`.
    fn count_usable(&self, free_at: Duration, lateness: Duration) -> u32 {
        let Some(room) = (self.last + lateness).checked_sub(free_at) else { return 0 };
        let count = room.as_nanos() / self.interval.as_nanos().max(1) + 1;
        self.left.min(u32::try_from(count).unwrap_or(u32::MAX))
    }
}

#[derive(Debug, Default)]
struct SlotState {
    blocks: VecDeque<SlotBlock>,
    /// When the next request keeps its distance, in awake time.
    next_free: Duration,
    /// Whether the next slot is kept beyond its block, because its request waits for another permit.
    is_held: bool,
    /// The size of the last span.
    span: u32,
    has_lost_slots: bool,
    /// Of the last span, by the clock of the ledger.
    last_end_us: i64,
    interval: Duration,
    /// Slots at its end that were not used.
    unused: u32,
    /// How long reservations took lately.
    reserve_time: Duration,
    /// Awake time less the server's clock, in microseconds, at the last responses: each is too large by
    /// the time that the response took.
    clock_offsets: VecDeque<i64>,
}

/// Whether slots must be reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SlotSupply {
    None,
    Ending,
    Enough,
}

impl ReservedSlots {
    pub(in crate::runner) fn new(source: SlotSource, clock: Clock) -> Self {
        Self { source, clock, state: Mutex::default(), reserving: Arc::default() }
    }

    fn lock_state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves a span if no slot is left, and begins to reserve one if the last slot comes soon.
    ///
    /// # Errors
    /// The ledger cannot be written, which its other writes report.
    pub(in crate::runner) async fn ensure_reserved(
        self: &Arc<Self>,
        pace: RatePace,
    ) -> Result<(), LedgerError> {
        match self.supply(pace.lateness) {
            SlotSupply::Enough => {}
            SlotSupply::Ending => self.reserve_ahead(pace),
            SlotSupply::None => {
                let _reserving = self.reserving.lock().await;
                if self.supply(pace.lateness) == SlotSupply::None {
                    self.reserve(pace.interval).await?;
                }
            }
        }
        Ok(())
    }

    /// Reserves the next span while the last slots of the former one are used.
    fn reserve_ahead(self: &Arc<Self>, pace: RatePace) {
        let Ok(reserving) = self.reserving.clone().try_lock_owned() else { return };
        let (slots, busy) = (self.clone(), self.clock.busy());
        tokio::spawn(async move {
            if let Err(error) = slots.reserve(pace.interval).await {
                // The next caller tries again, and reports it.
                tracing::debug!(%error, "no permits reserved in advance");
            }
            drop((reserving, busy));
        });
    }

    async fn reserve(&self, interval: Duration) -> Result<(), LedgerError> {
        let request = self.span_request(interval);
        let slots = request.slots;
        let (sent_at, now) = (self.clock.awake_time(), self.clock.now());
        let span = self.source.ledger.reserve_rate_span(request, now).await?;
        let arrived_at = self.clock.awake_time();
        let mut state = self.lock_state();
        let next = state.anchor(&span, sent_at, arrived_at) + span.wait;
        state.add_span(&span, SlotBlock::new(next, span.interval, slots));
        (state.last_end_us, state.interval, state.unused) = (span.end_us, span.interval, 0);
        let decayed = state.reserve_time - state.reserve_time / 8;
        state.reserve_time = decayed.max(arrived_at.saturating_sub(sent_at)).min(RESERVE_TIME_MAX);
        Ok(())
    }

    fn span_request(&self, interval: Duration) -> RateSpanRequest {
        let SlotSource { account, kind, member, .. } = &self.source;
        let now = self.clock.awake_time();
        let mut state = self.lock_state();
        // Of the former span.
        let unused_from_us = state.unused_from_us();
        RateSpanRequest {
            account: account.clone(),
            kind: *kind,
            member: member.clone(),
            interval,
            slots: state.next_span_size(interval),
            // An earlier slot would be too close to the last request, and so be lost.
            earliest: state.next_free.saturating_sub(now).max(state.reserve_time),
            last_end_us: state.last_end_us,
            unused_from_us,
        }
    }

    /// Returns whether slots are left, and gives up those that cannot be used in time.
    fn supply(&self, lateness: Duration) -> SlotSupply {
        let now = self.clock.awake_time();
        let mut state = self.lock_state();
        state.drop_ended_blocks(now, lateness);
        match state.blocks.back() {
            None => SlotSupply::None,
            Some(block) if block.last < now + RESERVE_AHEAD => SlotSupply::Ending,
            Some(_) => SlotSupply::Enough,
        }
    }

    /// Returns the time until the slot after `skipped` others; `None` if it is not reserved yet.
    pub(in crate::runner) fn time_until(
        &self,
        skipped: u32,
        now: Duration,
        lateness: Duration,
    ) -> Option<Duration> {
        let state = self.lock_state();
        let (mut slot, mut free_at) = (skipped, state.next_free.max(now));
        for block in &state.blocks {
            free_at = free_at.max(block.next);
            let usable = block.count_usable(free_at, lateness).max(u32::from(state.is_held));
            if slot < usable {
                return Some((free_at + block.interval * slot).saturating_sub(now));
            }
            slot -= usable;
            free_at += block.interval * usable;
        }
        None
    }

    /// Returns the time until the next span is reserved.
    pub(in crate::runner) fn time_until_reserved(&self, now: Duration) -> Duration {
        let last = self.lock_state().blocks.back().map(|block| block.last);
        last.unwrap_or_default().saturating_sub(now + RESERVE_AHEAD)
    }

    /// Uses the next slot.
    pub(in crate::runner) fn take(&self, now: Duration, lateness: Duration) {
        let mut state = self.lock_state();
        let Some(block) = state.blocks.front_mut() else { return };
        let interval = block.interval;
        block.next += interval;
        block.left -= 1;
        if block.left == 0 {
            state.blocks.pop_front();
        }
        state.next_free = state.next_free.max(now.saturating_sub(lateness)) + interval;
        state.unused = 0;
        state.is_held = false;
    }

    /// Keeps the next slot beyond its block, or no longer.
    pub(in crate::runner) fn set_held(&self, is_held: bool) {
        self.lock_state().is_held = is_held;
    }
}

impl SlotState {
    /// Gives up the slots of blocks that have no room for them any more.
    fn drop_ended_blocks(&mut self, now: Duration, lateness: Duration) {
        let free_at = self.next_free.max(now);
        while !self.is_held
            && let Some(block) = self.blocks.front()
            && block.count_usable(free_at, lateness) == 0
        {
            self.unused = block.left;
            self.has_lost_slots |= block.left > self.span / 2;
            self.blocks.pop_front();
        }
    }

    /// Adds a span to the block that it follows, or as another block.
    fn add_span(&mut self, span: &RateSpan, slots: SlotBlock) {
        let span_us = i64::try_from(span.interval.as_micros()).unwrap_or(i64::MAX);
        let start_us = span.end_us - span_us.saturating_mul(i64::from(slots.left));
        match self.blocks.back_mut() {
            Some(block) if start_us == self.last_end_us && block.interval == slots.interval => {
                block.last = slots.last;
                block.left += slots.left;
            }
            _ => self.blocks.push_back(slots),
        }
    }

    fn next_span_size(&mut self, interval: Duration) -> u32 {
        let fitting = SPAN_MAX.as_nanos() / interval.as_nanos().max(1);
        let size_max = u32::try_from(fitting).unwrap_or(u32::MAX).max(1);
        let has_lost_slots = std::mem::take(&mut self.has_lost_slots);
        let size = if has_lost_slots { self.span / 4 } else { self.span.saturating_mul(2) };
        self.span = size.clamp(1, size_max);
        self.span
    }

    /// Returns the time of the first slot of the last span's unused end, by the clock of the ledger.
    fn unused_from_us(&self) -> i64 {
        let unused = self.interval * self.unused.min(self.span);
        self.last_end_us - i64::try_from(unused.as_micros()).unwrap_or(0)
    }

    /// Returns the awake time at which a span was reserved; never too early.
    fn anchor(&mut self, span: &RateSpan, sent_at: Duration, arrived_at: Duration) -> Duration {
        match span.clock {
            RateClock::Machine => sent_at,
            RateClock::Server => {
                let arrived_us = i64::try_from(arrived_at.as_micros()).unwrap_or(i64::MAX);
                if self.clock_offsets.len() == CLOCK_SAMPLES {
                    self.clock_offsets.pop_front();
                }
                self.clock_offsets.push_back(arrived_us.saturating_sub(span.reserved_at_us));
                let offset = self.clock_offsets.iter().min().copied().unwrap_or_default();
                let anchor = u64::try_from(span.reserved_at_us.saturating_add(offset)).unwrap_or(0);
                Duration::from_micros(anchor)
            }
        }
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

    /// A process that is late for some permits loses the time by which it was late, and no whole slots.
    #[tokio::test]
    async fn late_requests_keep_their_distance_and_lose_no_slots() {
        let dir = tempfile::tempdir().unwrap();
        let (clock, simulated) = Clock::simulated(jiff::Timestamp::UNIX_EPOCH);
        let source = SlotSource {
            ledger: Ledger::open(&dir.path().join("l.db"), Durability::ProcessDeath).await.unwrap(),
            account: "0123456789abcdef0123456789abcdef".to_owned(),
            kind: RateKind::Submits,
            member: "late".to_owned(),
        };
        let limiter = AccountRateLimiter::new("20/s".parse().unwrap(), clock.clone());
        let limiter = limiter.shared_through(source);
        let task = tokio::spawn(async move {
            let _busy = clock.busy();
            let mut acquired = Vec::new();
            while acquired.len() < 400 {
                limiter.acquire().await;
                acquired.push(clock.awake_time());
                if acquired.len() % 5 == 0 {
                    clock.idle(clock.sleep(Duration::from_millis(70))).await;
                }
            }
            acquired
        });
        simulated.drive(Duration::MAX).await;
        let acquired = task.await.unwrap();
        assert!(most_in_a_window(&acquired, Duration::from_secs(1)) <= 20);
        // Each group of five takes 250 ms and the 20 ms by which its end is late.
        let used = 400.0 * 0.050 / acquired.last().unwrap().as_secs_f64();
        assert!(used >= 0.92, "{used}");
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

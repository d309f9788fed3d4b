//! The slots of an account's rate that this process has reserved: on a time line of its own, or on that
//! of the ledger, which several processes share.
//!
//! A span covers at most a second, because slots that are not used are lost to the other processes; those
//! at its end are given back if no other process has reserved after them. Alone, a process reserves whole
//! spans, and among others as many slots as it has used, so that a busy run does not write to the ledger
//! for each request.
//! Invariant: no slot is used before its time, or later than the pace allows.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::ledger::{Ledger, LedgerError, RateKind, RateMember, RateSpan, RateSpanRequest};

/// The longest span.
const SPAN_MAX: Duration = Duration::from_secs(1);
/// How long another process's retry-after floor may go unnoticed.
const FLOOR_INTERVAL: Duration = Duration::from_millis(100);
/// The longest plausible floor.
const FLOOR_MAX: Duration = Duration::from_secs(48 * 3600);
/// Readings of the ledger's clock that are compared.
const READINGS_MAX: usize = 8;
/// The ledger's clock was set, or it is another one, if readings differ by more.
const READINGS_APART_MAX_US: i64 = 250_000;

/// Where the slots of an account come from.
#[derive(Clone, Debug)]
pub(in crate::runner) struct SlotSource {
    pub(in crate::runner) ledger: Ledger,
    /// The account's fingerprint.
    pub(in crate::runner) account: String,
    /// This process.
    pub(in crate::runner) member: String,
}

/// How slots follow one another, and how long each may be used.
#[derive(Clone, Copy, Debug)]
pub(in crate::runner) struct SlotPace {
    pub(in crate::runner) kind: RateKind,
    pub(in crate::runner) interval: Duration,
    /// By how much a slot may be used late.
    pub(in crate::runner) lateness: Duration,
    /// For how long a slot may be held for a slot of another rate.
    pub(in crate::runner) hold: Duration,
}

/// See the module.
#[derive(Debug)]
pub(in crate::runner) struct ReservedSlots {
    source: Option<SlotSource>,
    clock: Clock,
    state: Mutex<SlotState>,
    reserving: tokio::sync::Mutex<()>,
}

/// Times are in microseconds on the time line: by the clock of the ledger, or in awake time.
#[derive(Debug, Default)]
struct SlotState {
    slots: VecDeque<i64>,
    interval_us: i64,
    /// Of the last span.
    end_us: i64,
    /// The first slot of the last span after which none was used.
    unused_from_us: i64,
    line_clock: LineClock,
    /// How long the last reservation took.
    reserve_time: Duration,
    demand: SlotDemand,
    /// In awake time.
    floor_read_at: Option<Duration>,
}

/// How awake time and the clock of the time line differ.
///
/// A reading is late by the time that the ledger took to respond. The earliest of several is the best,
/// and none of them makes a slot come early.
#[derive(Debug, Default)]
struct LineClock(VecDeque<i64>);

/// How many slots were used since the last reservation, and how many were not.
#[derive(Debug, Default)]
struct SlotDemand {
    used: u32,
    lapsed: u32,
    last_span: u32,
    is_sole_member: bool,
}

impl LineClock {
    fn add_reading(&mut self, line_us: i64, awake_us: i64) {
        let reading = awake_us - line_us;
        if self.offset_us().is_some_and(|least| (reading - least).abs() > READINGS_APART_MAX_US) {
            self.0.clear();
        }
        self.0.push_back(reading);
        if self.0.len() > READINGS_MAX {
            self.0.pop_front();
        }
    }

    fn offset_us(&self) -> Option<i64> {
        self.0.iter().min().copied()
    }
}

impl SlotDemand {
    /// Returns the number of slots to reserve next, and starts counting again.
    fn next_span(&mut self, span_max: u32) -> u32 {
        let (used, lapsed) = (self.used, self.lapsed);
        self.last_span = match (self.is_sole_member, lapsed) {
            (true, _) => span_max,
            (false, 0) => self.last_span.saturating_mul(2),
            (false, 1..) => used,
        };
        self.last_span = self.last_span.clamp(1, span_max);
        (self.used, self.lapsed) = (0, 0);
        self.last_span
    }
}

impl SlotState {
    fn awake_us(&self, line_us: i64) -> i64 {
        line_us + self.line_clock.offset_us().unwrap_or(0)
    }

    /// Returns the time on the line; the start of all times while its clock is unknown.
    fn line_us(&self, awake: Duration) -> i64 {
        self.line_clock.offset_us().map_or(0, |offset| as_micros(awake) - offset)
    }

    /// Gives up the slots whose time is over.
    fn drop_lapsed(&mut self, now: Duration, lateness: Duration) {
        let lapsed_before = as_micros(now.saturating_sub(lateness));
        while self.slots.front().is_some_and(|slot| self.awake_us(*slot) < lapsed_before) {
            self.slots.pop_front();
            self.demand.lapsed += 1;
        }
    }

    /// Returns the position of the first slot that may be used at `earliest` or comes after it.
    fn find(&self, earliest: Duration) -> Option<usize> {
        let earliest_us = as_micros(earliest);
        self.slots.iter().position(|slot| self.awake_us(*slot) >= earliest_us)
    }

    fn take(&mut self, position: usize) -> Option<Duration> {
        let slot = self.slots.remove(position)?;
        self.demand.used += 1;
        self.unused_from_us = self.unused_from_us.max(slot + self.interval_us);
        Some(from_micros(self.awake_us(slot)))
    }

    fn add(&mut self, span: RateSpan, awake: Duration) {
        self.line_clock.add_reading(span.now_us, as_micros(awake));
        if self.slots.is_empty() || span.start_us != self.end_us {
            self.unused_from_us = span.start_us;
        }
        let interval = usize::try_from(span.interval_us).unwrap_or(usize::MAX).max(1);
        self.slots.extend((span.start_us..span.end_us).step_by(interval));
        (self.end_us, self.interval_us) = (span.end_us, span.interval_us);
        self.demand.is_sole_member = span.is_sole_member;
    }
}

/// What to reserve next. Times are on the time line.
#[derive(Debug)]
struct SpanWish {
    slots: u32,
    earliest_us: i64,
    last_end_us: i64,
    unused_from_us: i64,
}

impl SpanWish {
    /// Grants it on a time line that no other process uses.
    fn grant(&self, now_us: i64, pace: SlotPace) -> RateSpan {
        let interval_us = as_micros(pace.interval).max(1);
        let start_us = now_us.max(self.earliest_us).max(self.unused_from_us);
        let end_us = start_us + interval_us * i64::from(self.slots);
        RateSpan { now_us, start_us, interval_us, end_us, is_sole_member: true }
    }
}

impl SlotPace {
    fn span_max(&self) -> u32 {
        let fitting = SPAN_MAX.as_nanos() / self.interval.as_nanos().max(1);
        u32::try_from(fitting).unwrap_or(u32::MAX).max(1)
    }
}

impl ReservedSlots {
    pub(in crate::runner) fn new(clock: Clock) -> Self {
        let (state, reserving) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { source: None, clock, state, reserving }
    }

    pub(in crate::runner) fn shared_through(self, source: SlotSource) -> Self {
        Self { source: Some(source), ..self }
    }

    fn lock_state(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time of the first slot, in awake time.
    ///
    /// # Errors
    /// The ledger cannot be written, which its other writes report.
    pub(in crate::runner) async fn first(&self, pace: SlotPace) -> Result<Duration, LedgerError> {
        loop {
            if let Some(slot) = self.find_first(pace) {
                return Ok(slot);
            }
            self.reserve(Duration::ZERO, pace).await?;
        }
    }

    fn find_first(&self, pace: SlotPace) -> Option<Duration> {
        let state = self.current_state(pace);
        state.slots.front().map(|slot| from_micros(state.awake_us(*slot)))
    }

    /// Takes the first slot that is not before `earliest`.
    ///
    /// # Errors
    /// As for [`Self::first`].
    pub(in crate::runner) async fn take(
        &self,
        earliest: Duration,
        pace: SlotPace,
    ) -> Result<Duration, LedgerError> {
        loop {
            if let Some(slot) = self.try_take(earliest, pace) {
                return Ok(slot);
            }
            self.reserve(earliest, pace).await?;
        }
    }

    fn try_take(&self, earliest: Duration, pace: SlotPace) -> Option<Duration> {
        let mut state = self.current_state(pace);
        let position = state.find(earliest)?;
        state.take(position)
    }

    /// Takes the first slot if its time has come.
    pub(in crate::runner) fn try_take_due(&self, pace: SlotPace) -> bool {
        let now = as_micros(self.clock.awake_time());
        let mut state = self.current_state(pace);
        let is_due = state.slots.front().is_some_and(|slot| state.awake_us(*slot) <= now);
        is_due && state.take(0).is_some()
    }

    /// Returns how many of the reserved slots come until `time`.
    pub(in crate::runner) fn count_until(&self, time: Duration) -> u32 {
        let time = as_micros(time);
        let state = self.lock_state();
        let count = state.slots.iter().filter(|slot| state.awake_us(**slot) <= time).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Gives up all reserved slots.
    pub(in crate::runner) fn clear(&self) {
        self.lock_state().slots.clear();
    }

    fn current_state(&self, pace: SlotPace) -> MutexGuard<'_, SlotState> {
        let mut state = self.lock_state();
        state.drop_lapsed(self.clock.awake_time(), pace.lateness);
        state
    }

    /// Reserves a span from `earliest` on, unless another caller has done so meanwhile.
    async fn reserve(&self, earliest: Duration, pace: SlotPace) -> Result<(), LedgerError> {
        let _reserving = self.reserving.lock().await;
        let began = self.clock.awake_time();
        let Some(wish) = self.next_wish(earliest, pace) else { return Ok(()) };
        let span = match (&self.source, self.member(pace)) {
            (Some(source), Some(member)) => {
                let request = RateSpanRequest {
                    member,
                    slots: wish.slots,
                    earliest_us: wish.earliest_us,
                    last_end_us: wish.last_end_us,
                    unused_from_us: wish.unused_from_us,
                };
                source.ledger.reserve_rate_span(request, self.clock.now()).await?
            }
            (None, _) | (_, None) => wish.grant(as_micros(self.clock.awake_time()), pace),
        };
        let awake = self.clock.awake_time();
        let mut state = self.lock_state();
        state.add(span, awake);
        state.reserve_time = awake - began;
        Ok(())
    }

    /// Returns what to reserve; `None` if there is a slot at `earliest` or after it.
    fn next_wish(&self, earliest: Duration, pace: SlotPace) -> Option<SpanWish> {
        let mut state = self.current_state(pace);
        if state.find(earliest).is_some() {
            return None;
        }
        let last_end_us = state.end_us;
        // Those that are reserved still are not given back.
        let unused_from_us =
            if state.slots.is_empty() { state.unused_from_us } else { last_end_us };
        let slots = state.demand.next_span(pace.span_max());
        let now = self.clock.awake_time();
        // A slot that comes before the response would be lost.
        let earliest = if earliest > now { earliest } else { now + state.reserve_time };
        Some(SpanWish { slots, earliest_us: state.line_us(earliest), last_end_us, unused_from_us })
    }

    /// Returns this process's part in a rate that is shared.
    pub(in crate::runner) fn member(&self, pace: SlotPace) -> Option<RateMember> {
        let SlotSource { account, member, .. } = self.source.as_ref()?;
        let (account, member) = (account.clone(), member.clone());
        Some(RateMember { account, kind: pace.kind, member, interval: pace.interval })
    }

    /// Returns the retry-after floor of the account, in awake time; zero if it is not shared, or was read
    /// a moment ago.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(in crate::runner) async fn shared_floor(&self) -> Result<Duration, LedgerError> {
        let Some(source) = &self.source else { return Ok(Duration::ZERO) };
        if !self.is_floor_reading_due() {
            return Ok(Duration::ZERO);
        }
        let floor_us = source.ledger.rate_floor(&source.account).await?;
        let floor_us = floor_us.unwrap_or(0);
        let floor = from_micros(self.lock_state().awake_us(floor_us));
        let is_plausible = floor <= self.clock.awake_time() + FLOOR_MAX;
        Ok(if is_plausible { floor } else { Duration::ZERO })
    }

    fn is_floor_reading_due(&self) -> bool {
        let now = self.clock.awake_time();
        let mut state = self.lock_state();
        let is_recent = state.floor_read_at.is_some_and(|read_at| now < read_at + FLOOR_INTERVAL);
        // Before the first reservation, which regards the floor, the clock of the line is unknown.
        let is_due = !is_recent && state.line_clock.offset_us().is_some();
        if is_due {
            state.floor_read_at = Some(now);
        }
        is_due
    }
}

fn as_micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn from_micros(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
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
                member: process.to_string(),
            };
            let limiter =
                AccountRateLimiter::new(RateKind::Submits, rate.parse().unwrap(), clock.clone());
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

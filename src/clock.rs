//! The clock, passed in wherever a decision depends on time.
//!
//! The runner, the ledger and the clients read time only from here, so that a whole run can take
//! place in simulated time. Two readings are distinguished: the wall clock, which may jump, for
//! display, storage and the time window, and awake time, which advances only while this process can
//! run, for every duration. The sandbox, which shares nothing with the rest, has its own
//! clock.
//!
//! The simulated clock stands still while any task with a [`BusyGuard`] has work, and advances to the
//! next sleeper's time once all of them wait. So SQLite's threads, which do not use simulated time,
//! are never overtaken.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// A source of time. Clones share the same clock.
#[derive(Clone, Debug)]
pub struct Clock {
    source: ClockSource,
    /// How far the wall clock was set, in milliseconds; only tests set it.
    wall_offset_ms: Arc<AtomicI64>,
    /// How long the machine was suspended, in milliseconds; only tests suspend it.
    suspended_ms: Arc<AtomicI64>,
}

/// A moment as each clock shows it.
#[derive(Clone, Copy, Debug)]
pub struct ClockMoment {
    awake: Duration,
    boot: Duration,
    wall: Timestamp,
}

#[derive(Clone, Debug)]
enum ClockSource {
    /// The machine's clock, and the start of awake time.
    Real(Instant),
    /// Advances only while all tasks wait.
    Simulated(Arc<SimulatedClock>),
}

/// A clock that runs without the machine's, for one process. The module describes when it advances.
#[derive(Debug)]
pub struct SimulatedClock {
    origin: Timestamp,
    state: Mutex<ClockState>,
}

#[derive(Debug, Default)]
struct ClockState {
    elapsed: Duration,
    busy_tasks: usize,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    next_sleeper_id: u64,
    /// Woken when no task is busy any more.
    driver_waker: Option<Waker>,
}

impl ClockMoment {
    /// Returns the moment in awake time.
    pub fn awake(self) -> Duration {
        self.awake
    }
}

impl Clock {
    fn from_source(source: ClockSource) -> Self {
        Self { source, wall_offset_ms: Arc::default(), suspended_ms: Arc::default() }
    }

    /// Returns the machine's clock.
    pub fn real() -> Self {
        Self::from_source(ClockSource::Real(Instant::now()))
    }

    /// Returns a clock that stands at `origin` until [`SimulatedClock::drive`] advances it.
    pub fn simulated(origin: Timestamp) -> (Self, Arc<SimulatedClock>) {
        let simulated = Arc::new(SimulatedClock { origin, state: Mutex::default() });
        (Self::from_source(ClockSource::Simulated(simulated.clone())), simulated)
    }

    /// Returns the wall-clock time.
    pub fn now(&self) -> Timestamp {
        let now = match &self.source {
            ClockSource::Real(_) => Timestamp::now(),
            ClockSource::Simulated(simulated) => simulated.origin + simulated.lock_state().elapsed,
        };
        now + SignedDuration::from_millis(self.wall_offset_ms.load(Ordering::SeqCst))
    }

    /// Returns a clock with the same awake time and a wall clock of its own, to be set.
    pub fn with_own_wall(&self) -> Self {
        Self::from_source(self.source.clone())
    }

    /// Sets the wall clock of this clock and its clones forward, or back if `by` is negative.
    pub fn shift_wall(&self, by: SignedDuration) {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.wall_offset_ms.fetch_add(by_ms, Ordering::SeqCst);
    }

    /// Lets time pass that the process does not notice, as while the machine is suspended.
    pub fn suspend(&self, span: Duration) {
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        self.suspended_ms.fetch_add(span_ms, Ordering::SeqCst);
    }

    /// Returns the present moment.
    pub fn moment(&self) -> ClockMoment {
        let boot = match &self.source {
            ClockSource::Real(_) => boot_time().unwrap_or_else(|| self.awake_time()),
            ClockSource::Simulated(_) => self.awake_time(),
        };
        let suspended_ms = self.suspended_ms.load(Ordering::SeqCst);
        let suspended = Duration::from_millis(u64::try_from(suspended_ms).unwrap_or(0));
        ClockMoment { awake: self.awake_time(), boot: boot + suspended, wall: self.now() }
    }

    /// Returns the time since `moment`, suspend included: the longest that any clock shows. Awake time
    /// stands still while the machine is suspended, and the time since its start while a virtual machine
    /// is paused.
    pub fn age(&self, moment: ClockMoment) -> Duration {
        let now = self.moment();
        let wall = Duration::try_from(now.wall.duration_since(moment.wall)).unwrap_or_default();
        let awake = now.awake.saturating_sub(moment.awake);
        awake.max(now.boot.saturating_sub(moment.boot)).max(wall)
    }

    /// Returns how long this process has been awake since the clock was created. On Linux, time during
    /// suspend does not count.
    pub fn awake_time(&self) -> Duration {
        match &self.source {
            ClockSource::Real(started) => started.elapsed(),
            ClockSource::Simulated(simulated) => simulated.lock_state().elapsed,
        }
    }

    /// Returns the interval of a periodic check that is due every `span` only because a clock may jump
    /// or another process may act. Simulated time never jumps: there the interval is longer, so that
    /// hours pass quickly.
    pub fn recheck_interval(&self, span: Duration) -> Duration {
        match &self.source {
            ClockSource::Real(_) => span,
            ClockSource::Simulated(_) => span * SIMULATED_INTERVAL_FACTOR,
        }
    }

    /// Waits for `pause` of awake time.
    pub async fn sleep(&self, pause: Duration) {
        match &self.source {
            ClockSource::Real(_) => tokio::time::sleep(pause).await,
            ClockSource::Simulated(simulated) => {
                let until = simulated.lock_state().elapsed + pause;
                SimulatedSleep { clock: simulated.clone(), until, sleeper_id: None }.await;
            }
        }
    }

    /// Marks the calling task as busy until the guard is dropped, except during [`Self::idle`].
    pub fn busy(&self) -> BusyGuard {
        self.adjust_busy(1);
        BusyGuard { clock: self.clone() }
    }

    /// Waits for `event` as an idle task; only then may simulated time advance.
    pub async fn idle<F: Future>(&self, event: F) -> F::Output {
        match &self.source {
            ClockSource::Real(_) => event.await,
            ClockSource::Simulated(_) => {
                let _idle = IdleGuard::new(self.clone());
                event.await
            }
        }
    }

    fn adjust_busy(&self, by: isize) {
        if let ClockSource::Simulated(simulated) = &self.source {
            let mut state = simulated.lock_state();
            state.busy_tasks = state.busy_tasks.saturating_add_signed(by);
            if state.busy_tasks == 0
                && let Some(driver) = state.driver_waker.take()
            {
                driver.wake();
            }
        }
    }
}

/// Returns the time since the machine's start, suspend included.
#[cfg(target_os = "linux")]
fn boot_time() -> Option<Duration> {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_BOOTTIME).ok().map(Duration::from)
}

#[cfg(not(target_os = "linux"))]
fn boot_time() -> Option<Duration> {
    None
}

/// See [`Clock::busy`].
#[derive(Debug)]
pub struct BusyGuard {
    clock: Clock,
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        self.clock.adjust_busy(-1);
    }
}

struct IdleGuard {
    clock: Clock,
}

impl IdleGuard {
    fn new(clock: Clock) -> Self {
        clock.adjust_busy(-1);
        Self { clock }
    }
}

impl Drop for IdleGuard {
    fn drop(&mut self) {
        self.clock.adjust_busy(1);
    }
}

/// Why [`SimulatedClock::drive`] returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriveOutcome {
    /// All tasks wait and none of them for the clock: nothing will ever happen again.
    NoSleepers,
    /// The time limit is reached.
    LimitReached,
}

impl SimulatedClock {
    fn lock_state(&self) -> MutexGuard<'_, ClockState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn wait_until_idle(&self) {
        std::future::poll_fn(|context| {
            let mut state = self.lock_state();
            if state.busy_tasks == 0 {
                return Poll::Ready(());
            }
            state.driver_waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Advances the clock from sleeper to sleeper until none is left, or until `limit` has passed.
    pub async fn drive(&self, limit: Duration) -> DriveOutcome {
        loop {
            self.wait_until_idle().await;
            // A task that was just woken is not busy yet; several rounds give it time to be.
            for _ in 0..IDLE_ROUNDS {
                tokio::task::yield_now().await;
            }
            if self.lock_state().busy_tasks > 0 {
                continue;
            }
            let mut state = self.lock_state();
            let Some((&(until, _), _)) = state.sleepers.first_key_value() else {
                return DriveOutcome::NoSleepers;
            };
            if until > limit {
                return DriveOutcome::LimitReached;
            }
            state.elapsed = state.elapsed.max(until);
            while let Some(entry) = state.sleepers.first_entry() {
                if entry.key().0 > until {
                    break;
                }
                entry.remove().wake();
            }
        }
    }
}

/// How much longer periodic checks are in simulated time.
const SIMULATED_INTERVAL_FACTOR: u32 = 60;
/// Rounds of the scheduler without a busy task before time may advance.
const IDLE_ROUNDS: u32 = 4;

struct SimulatedSleep {
    clock: Arc<SimulatedClock>,
    until: Duration,
    sleeper_id: Option<u64>,
}

impl Future for SimulatedSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let clock = self.clock.clone();
        let mut state = clock.lock_state();
        if state.elapsed >= self.until {
            return Poll::Ready(());
        }
        let sleeper_id = *self.sleeper_id.get_or_insert_with(|| {
            state.next_sleeper_id += 1;
            state.next_sleeper_id
        });
        state.sleepers.insert((self.until, sleeper_id), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for SimulatedSleep {
    fn drop(&mut self) {
        if let Some(sleeper_id) = self.sleeper_id {
            self.clock.lock_state().sleepers.remove(&(self.until, sleeper_id));
        }
    }
}

/// Returns when the UTC day of `at` began: the day of the caps on credits, independent of the time
/// zone of the operator.
pub(crate) fn start_of_utc_day(at: Timestamp) -> Timestamp {
    const DAY_MS: i64 = 24 * 3600 * 1000;
    let ms = at.as_millisecond();
    Timestamp::from_millisecond(ms - ms.rem_euclid(DAY_MS)).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn simulated_time_advances_only_while_all_tasks_wait() {
        let (clock, simulated) = Clock::simulated(Timestamp::UNIX_EPOCH);
        let task = tokio::spawn({
            let clock = clock.clone();
            async move {
                let _busy = clock.busy();
                clock.idle(clock.sleep(Duration::from_secs(3600))).await;
                clock.awake_time()
            }
        });
        assert_eq!(simulated.drive(Duration::MAX).await, DriveOutcome::NoSleepers);
        assert_eq!(task.await.unwrap(), Duration::from_secs(3600));
        assert_eq!(clock.now(), "1970-01-01T01:00:00Z".parse().unwrap());
    }

    #[test]
    fn wall_clock_that_is_set_changes_no_awake_time_and_no_other_clock() {
        let (studio, _) = Clock::simulated(Timestamp::UNIX_EPOCH);
        let runner = studio.with_own_wall();
        runner.clone().shift_wall(SignedDuration::from_hours(-9));
        assert_eq!(runner.now(), "1969-12-31T15:00:00Z".parse().unwrap());
        assert_eq!((runner.awake_time(), studio.now()), (Duration::ZERO, Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn age_includes_suspend_and_a_wall_clock_that_went_on_alone() {
        let (clock, _) = Clock::simulated(Timestamp::UNIX_EPOCH);
        let moment = clock.moment();
        assert_eq!(clock.age(moment), Duration::ZERO);
        clock.suspend(Duration::from_secs(40));
        assert_eq!(
            (clock.awake_time(), clock.age(moment)),
            (Duration::ZERO, Duration::from_secs(40))
        );
        clock.shift_wall(SignedDuration::from_secs(90));
        assert_eq!(clock.age(moment), Duration::from_secs(90));
        clock.shift_wall(SignedDuration::from_hours(-9));
        assert_eq!(clock.age(moment), Duration::from_secs(40));
        assert!(Clock::real().age(Clock::real().moment()) < Duration::from_secs(30));
    }

    #[tokio::test]
    async fn busy_task_holds_simulated_time() {
        let (clock, simulated) = Clock::simulated(Timestamp::UNIX_EPOCH);
        let busy = clock.busy();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_secs(1)).await }
        });
        let driver = tokio::spawn(async move { simulated.drive(Duration::MAX).await });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(clock.awake_time(), Duration::ZERO);
        drop(busy);
        sleeper.await.unwrap();
        assert_eq!(driver.await.unwrap(), DriveOutcome::NoSleepers);
    }
}

//! The time, handed in.
//!
//! Nothing else in the crate asks the machine what time it is, so that a whole night can be driven
//! in simulated time. Two readings are kept apart: the wall clock, which may jump, for what people
//! read and for what is stored, and awake time, which only grows while this process can run, for
//! every decision that money hangs on.
//!
//! The simulated clock stands still while any task that took a [`Busy`] guard has work, and leaps
//! to the next sleeper's hour once all of them wait. So SQLite's own threads, which know nothing of
//! simulated time, are never overtaken.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Tells the time. Cloning gives another handle on the same clock.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's own.
    Real {
        /// When this process began to count its awake time.
        started: Instant,
    },
    /// Moves only when everybody waits.
    Simulated(Arc<SimulatedClock>),
}

/// A clock for one process without wall time. See the module's words on when it moves.
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
    /// Woken when nobody is busy any more.
    driver_waker: Option<Waker>,
}

impl Clock {
    /// Returns the machine's own clock.
    pub fn real() -> Self {
        Self::Real { started: Instant::now() }
    }

    /// Returns a clock that stands at `origin` until [`Simulated::drive`] moves it.
    pub fn simulated(origin: Timestamp) -> (Self, Arc<SimulatedClock>) {
        let simulated = Arc::new(SimulatedClock { origin, state: Mutex::default() });
        (Self::Simulated(simulated.clone()), simulated)
    }

    /// Returns the wall clock's reading.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Real { .. } => Timestamp::now(),
            Self::Simulated(simulated) => simulated.origin + simulated.lock_state().elapsed,
        }
    }

    /// Returns how long this process has been awake since the clock was made. On Linux the time of
    /// a suspended machine does not count.
    pub fn awake_time(&self) -> Duration {
        match self {
            Self::Real { started } => started.elapsed(),
            Self::Simulated(simulated) => simulated.lock_state().elapsed,
        }
    }

    /// Returns how long somebody may rest who only rests for `span` because a clock may jump, or
    /// to say that he lives. Simulated time never jumps: there it is longer, so that a night of
    /// hours passes in a moment.
    pub fn recheck_interval(&self, span: Duration) -> Duration {
        match self {
            Self::Real { .. } => span,
            Self::Simulated(_) => span * SIMULATED_INTERVAL_FACTOR,
        }
    }

    /// Waits for `pause` of awake time.
    pub async fn sleep(&self, pause: Duration) {
        match self {
            Self::Real { .. } => tokio::time::sleep(pause).await,
            Self::Simulated(simulated) => {
                let until = simulated.lock_state().elapsed + pause;
                SimulatedSleep { clock: simulated.clone(), until, sleeper_id: None }.await;
            }
        }
    }

    /// Marks the calling task as one that has work until the guard is dropped or [`Self::idle`].
    pub fn busy(&self) -> BusyGuard {
        self.adjust_busy(1);
        BusyGuard { clock: self.clone() }
    }

    /// Waits for `event` as a task that has nothing else to do; only then may simulated time move.
    pub async fn idle<F: Future>(&self, event: F) -> F::Output {
        match self {
            Self::Real { .. } => event.await,
            Self::Simulated(_) => {
                let _back = IdleGuard::new(self.clone());
                event.await
            }
        }
    }

    fn adjust_busy(&self, by: isize) {
        if let Self::Simulated(simulated) = self {
            let mut hands = simulated.lock_state();
            hands.busy_tasks = hands.busy_tasks.saturating_add_signed(by);
            if hands.busy_tasks == 0
                && let Some(driver) = hands.driver_waker.take()
            {
                driver.wake();
            }
        }
    }
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

/// Why [`Simulated::drive`] came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriveOutcome {
    /// Everybody waits and nobody waits for the clock: nothing will ever happen again.
    NoSleepers,
    /// The time that was allowed is over.
    LimitReached,
}

impl SimulatedClock {
    fn lock_state(&self) -> MutexGuard<'_, ClockState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    async fn wait_until_idle(&self) {
        std::future::poll_fn(|context| {
            let mut hands = self.lock_state();
            if hands.busy_tasks == 0 {
                return Poll::Ready(());
            }
            hands.driver_waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Moves the clock from sleeper to sleeper until nothing is left to wait for, or until more
    /// than `limit` has passed.
    pub async fn drive(&self, limit: Duration) -> DriveOutcome {
        loop {
            self.wait_until_idle().await;
            // A task that was just woken is not busy yet; several rounds let it say so.
            for _ in 0..IDLE_ROUNDS {
                tokio::task::yield_now().await;
            }
            if self.lock_state().busy_tasks > 0 {
                continue;
            }
            let mut hands = self.lock_state();
            let Some((&(until, _), _)) = hands.sleepers.first_key_value() else {
                return DriveOutcome::NoSleepers;
            };
            if until > limit {
                return DriveOutcome::LimitReached;
            }
            hands.elapsed = hands.elapsed.max(until);
            while let Some(entry) = hands.sleepers.first_entry() {
                if entry.key().0 > until {
                    break;
                }
                entry.remove().wake();
            }
        }
    }
}

/// How much longer a watch is in simulated time.
const SIMULATED_INTERVAL_FACTOR: u32 = 60;
/// Rounds of the scheduler without a busy task before time may move.
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
        let mut hands = clock.lock_state();
        if hands.elapsed >= self.until {
            return Poll::Ready(());
        }
        let place = *self.sleeper_id.get_or_insert_with(|| {
            hands.next_sleeper_id += 1;
            hands.next_sleeper_id
        });
        hands.sleepers.insert((self.until, place), context.waker().clone());
        Poll::Pending
    }
}

impl Drop for SimulatedSleep {
    fn drop(&mut self) {
        if let Some(place) = self.sleeper_id {
            self.clock.lock_state().sleepers.remove(&(self.until, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn simulated_time_leaps_only_when_everybody_waits() {
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

    #[tokio::test]
    async fn a_busy_task_holds_simulated_time_back() {
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

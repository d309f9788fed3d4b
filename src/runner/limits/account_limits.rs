//! The limits of one account, shared by all of its runs: a limiter for all requests, one for those
//! that start a render, and the halts that affect the account rather than a batch.
//!
//! Knows nothing of batches. An invocation that drives several batches of one account passes the
//! same limits to each; two sets of limits would together use twice the rate, unless both are shared
//! through the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::batch::Rate;
use crate::clock::Clock;
use crate::ledger::{Ledger, LedgerError, RateKind};
use crate::runner::file_lock::host_name;
use crate::runner::limits::halt::HaltLatch;
use crate::runner::limits::rate_limiter::{AccountRateLimiter, TakenPermit};
use crate::runner::limits::reserved_slots::SlotSource;

/// How long before its permit a claim begins at least, and at most.
const CLAIM_LEAD_MIN: Duration = Duration::from_millis(5);
const CLAIM_LEAD_MAX: Duration = Duration::from_millis(250);

/// The wait after the two rates had no permit at the same time.
const NO_PERMIT_WAIT: Duration = Duration::from_millis(1);

/// See the module. Clones share the same limits.
#[derive(Clone, Debug)]
pub struct AccountLimits(Arc<SharedLimits>);

#[derive(Debug)]
struct SharedLimits {
    request_limiter: AccountRateLimiter,
    submit_limiter: AccountRateLimiter,
    /// First come, first served, so that no batch starves another.
    submit_turn: tokio::sync::Mutex<()>,
    halts: HaltLatch,
    /// The ledger, if other processes share the rates.
    shared: Option<Ledger>,
    /// How long the last claims took, until their requests had a time, in microseconds.
    claim_time_us: AtomicU64,
}

/// The right to send the account's next paid request. `None` if no rate is set, so that batches
/// need not queue.
pub(in crate::runner) type SubmitTurn<'a> = Option<tokio::sync::MutexGuard<'a, ()>>;

impl AccountLimits {
    /// Limits all requests to the rate `requests`, and those that start a render to `submits`.
    pub fn new(requests: Rate, submits: Rate, clock: &Clock) -> Self {
        let request_limiter = AccountRateLimiter::new(RateKind::Requests, requests, clock.clone());
        let submit_limiter = AccountRateLimiter::new(RateKind::Submits, submits, clock.clone());
        Self::from_limiters(request_limiter, submit_limiter, None)
    }

    /// Limits as [`Self::new`] does, together with every other process that uses the account through
    /// `ledger`. The account is known by its fingerprint.
    pub fn new_shared(
        requests: Rate,
        submits: Rate,
        clock: &Clock,
        ledger: &Ledger,
        account: &str,
    ) -> Self {
        let source = SlotSource {
            ledger: ledger.clone(),
            account: account.to_owned(),
            member: format!("{} on {}", std::process::id(), host_name()),
        };
        Self::shared_through(source, requests, submits, clock)
    }

    fn shared_through(source: SlotSource, requests: Rate, submits: Rate, clock: &Clock) -> Self {
        let shared = |rate, kind| {
            AccountRateLimiter::new(kind, rate, clock.clone()).shared_through(source.clone())
        };
        let request_limiter = shared(requests, RateKind::Requests);
        let submit_limiter = shared(submits, RateKind::Submits);
        Self::from_limiters(request_limiter, submit_limiter, Some(source.ledger))
    }

    fn from_limiters(
        request_limiter: AccountRateLimiter,
        submit_limiter: AccountRateLimiter,
        shared: Option<Ledger>,
    ) -> Self {
        Self(Arc::new(SharedLimits {
            request_limiter,
            submit_limiter,
            submit_turn: tokio::sync::Mutex::default(),
            halts: HaltLatch::default(),
            shared,
            claim_time_us: AtomicU64::default(),
        }))
    }

    /// Holds all requests of the account back for `pause`, in every process and in later runs, at the
    /// rates that this process has now. Returns whether a rate is shared; otherwise nothing was recorded.
    pub(in crate::runner) async fn raise_shared_floor(
        &self,
        pause: Duration,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        let limiters = [&self.0.request_limiter, &self.0.submit_limiter];
        let members: Vec<_> = limiters.iter().filter_map(|limiter| limiter.member()).collect();
        match &self.0.shared {
            Some(ledger) if !members.is_empty() => {
                ledger.raise_rate_floor(members, pause, now).await?;
                Ok(true)
            }
            Some(_) | None => Ok(false),
        }
    }

    /// Notes how long a claim took: the commit of its intents, and the reservation of their permits.
    pub(in crate::runner) fn note_claim_time(&self, lasted: Duration) {
        let lasted = u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX);
        let former = self.0.claim_time_us.load(Ordering::Relaxed);
        self.0.claim_time_us.store(lasted.max(former - former / 8), Ordering::Relaxed);
    }

    /// Returns how long before a free permit the next claim begins: twice as long as the last claims
    /// took, so that a slower one has its intents on disk as well when the permit comes.
    pub(in crate::runner) fn claim_lead(&self) -> Duration {
        let claim_time = Duration::from_micros(self.0.claim_time_us.load(Ordering::Relaxed));
        (claim_time * 2).clamp(CLAIM_LEAD_MIN, CLAIM_LEAD_MAX)
    }

    /// Returns how many paid requests can be sent soon after a claim; `None` if no rate is set.
    pub(in crate::runner) fn claimable_permits(&self) -> Option<u32> {
        let span = self.claim_lead() * 2;
        let submits = self.0.submit_limiter.count_within(span);
        submits.or_else(|| self.0.request_limiter.count_within(span)).map(|count| count.max(1))
    }

    /// Returns the time until a paid request may be sent.
    pub(in crate::runner) async fn time_until_paid_permit(&self) -> Duration {
        let wait = self.0.submit_limiter.time_until_free().await;
        if self.0.submit_limiter.is_unlimited() {
            return wait.max(self.0.request_limiter.time_until_free().await);
        }
        wait
    }

    /// Takes a permit of both limiters in advance, for one paid request. Fails with a wait if there is
    /// none now.
    pub(in crate::runner) async fn take_paid_permit(&self) -> Result<TakenPermit, Duration> {
        let (submits, requests) = (&self.0.submit_limiter, &self.0.request_limiter);
        let submit = submits.take_at(Duration::ZERO).await?;
        let request = requests.take_at(submit.from).await?;
        if let Some(permit) = submit.overlap(request) {
            return Ok(permit);
        }
        // All requests of the near future are taken: this one goes out when one is free.
        let submit = submits.restart_at(request.from).await?;
        submit.overlap(request).ok_or(NO_PERMIT_WAIT)
    }

    /// Returns whether a retry-after floor holds paid requests back now, as far as known.
    pub(in crate::runner) fn is_held_back(&self) -> bool {
        self.0.submit_limiter.is_held_back() || self.0.request_limiter.is_held_back()
    }

    /// Learns of retry-after floors that other processes have raised.
    pub(in crate::runner) async fn refresh_floor(&self) {
        self.0.submit_limiter.read_floor().await;
        self.0.request_limiter.read_floor().await;
    }

    /// Returns the limiter of all requests.
    pub(in crate::runner) fn request_limiter(&self) -> &AccountRateLimiter {
        &self.0.request_limiter
    }

    /// Returns the limiter of requests that start a render.
    pub(in crate::runner) fn submit_limiter(&self) -> &AccountRateLimiter {
        &self.0.submit_limiter
    }

    /// Returns the latch of account-wide halts.
    pub(in crate::runner) fn halts(&self) -> &HaltLatch {
        &self.0.halts
    }

    /// Holds all requests back for `pause`.
    pub(in crate::runner) fn raise_retry_after_floor(&self, pause: Duration) {
        self.0.request_limiter.raise_retry_after_floor(pause);
        self.0.submit_limiter.raise_retry_after_floor(pause);
    }

    /// Holds all requests back for `pause`, and halves both rates.
    pub(in crate::runner) fn slow_down(&self, pause: Duration) {
        self.0.request_limiter.halve_rate();
        self.0.submit_limiter.halve_rate();
        self.raise_retry_after_floor(pause);
    }

    /// Returns the submit turn if it is free.
    pub(in crate::runner) fn try_acquire_turn(&self) -> Option<SubmitTurn<'_>> {
        if self.is_unlimited() {
            return Some(None);
        }
        self.0.submit_turn.try_lock().ok().map(Some)
    }

    /// Waits for the submit turn.
    pub(in crate::runner) async fn acquire_turn(&self) -> SubmitTurn<'_> {
        if self.is_unlimited() {
            return None;
        }
        Some(self.0.submit_turn.lock().await)
    }

    fn is_unlimited(&self) -> bool {
        self.0.request_limiter.is_unlimited() && self.0.submit_limiter.is_unlimited()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proptest::prelude::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use crate::ledger::Durability;
    use crate::runner::limits::account_limits::*;

    fn account_limits(rate: &str) -> AccountLimits {
        let (clock, _) = Clock::simulated(Timestamp::UNIX_EPOCH);
        AccountLimits::new(rate.parse().unwrap(), rate.parse().unwrap(), &clock)
    }

    #[test]
    fn submit_turns_are_granted_in_order_of_arrival() {
        let limits = account_limits("30/min");
        let turn = limits.try_acquire_turn().unwrap();
        let (mut first, mut second) =
            (Box::pin(limits.acquire_turn()), Box::pin(limits.acquire_turn()));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        drop(turn);
        assert!(second.as_mut().now_or_never().is_none(), "the second overtook the first");
        assert!(first.as_mut().now_or_never().is_some());
    }

    #[test]
    fn unlimited_rates_need_no_submit_turn() {
        let limits = account_limits("unlimited");
        let _turn = limits.try_acquire_turn().unwrap();
        assert!(limits.try_acquire_turn().is_some());
    }

    #[derive(Clone, Copy)]
    struct RatePair {
        requests: Rate,
        submits: Rate,
    }

    /// What the processes of an account sent, in order.
    #[derive(Debug, Default)]
    struct SentRequests {
        paid: Vec<Duration>,
        all: Vec<Duration>,
    }

    impl SentRequests {
        fn add(&mut self, other: Self) {
            self.paid.extend(other.paid);
            self.all.extend(other.all);
            self.paid.sort();
            self.all.sort();
        }
    }

    /// Sends paid requests at some time at which their permits may be used, and others as they come.
    async fn send_until(
        end: Duration,
        limits: AccountLimits,
        clock: Clock,
        seed: u64,
    ) -> SentRequests {
        let _busy = clock.busy();
        let (mut sent, mut rng) = (SentRequests::default(), StdRng::seed_from_u64(seed));
        while clock.awake_time() < end {
            if rng.random_bool(0.3) {
                limits.request_limiter().acquire().await;
                sent.all.push(clock.awake_time());
                continue;
            }
            let taken = limits.take_paid_permit().await;
            let usable = taken.map(|permit| permit.until - permit.from).unwrap_or_default();
            let wait = match taken {
                Ok(permit) => permit.from.saturating_sub(clock.awake_time()),
                Err(wait) => wait,
            };
            let late = usable.mul_f64(rng.random_range(0.0..1.2));
            clock.idle(clock.sleep(wait + late)).await;
            if taken.is_ok_and(|permit| clock.awake_time() <= permit.until) {
                sent.paid.push(clock.awake_time());
                sent.all.push(clock.awake_time());
            }
        }
        sent
    }

    /// Claims and sends as the submit loop does, with claims that take up to 8 ms.
    async fn submit_until(
        end: Duration,
        limits: AccountLimits,
        clock: Clock,
        seed: u64,
    ) -> SentRequests {
        let _busy = clock.busy();
        let (mut sent, mut rng) = (SentRequests::default(), StdRng::seed_from_u64(seed));
        while clock.awake_time() < end {
            let wait = limits.time_until_paid_permit().await.saturating_sub(limits.claim_lead());
            if !wait.is_zero() {
                clock.idle(clock.sleep(wait)).await;
                continue;
            }
            let (began, claimed) = (clock.awake_time(), limits.claimable_permits().unwrap());
            let claim_time = Duration::from_micros(rng.random_range(1000..8000));
            clock.idle(clock.sleep(claim_time)).await;
            for _ in 0..claimed {
                let Ok(permit) = limits.take_paid_permit().await else { continue };
                let now = clock.awake_time();
                sent.paid.extend((now <= permit.until).then_some(permit.from.max(now)));
            }
            limits.note_claim_time(clock.awake_time() - began);
        }
        sent
    }

    /// Runs one of the two above in several processes of one account, in simulated time.
    async fn send_in_processes<F: Future<Output = SentRequests> + Send + 'static>(
        rates: RatePair,
        processes: usize,
        seed: u64,
        send: impl Fn(AccountLimits, Clock, u64) -> F,
    ) -> SentRequests {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("l.db");
        let (clock, simulated) = Clock::simulated(Timestamp::UNIX_EPOCH);
        let mut tasks = Vec::new();
        for process in 0..processes {
            let ledger = Ledger::open(&file, Durability::ProcessDeath).await.unwrap();
            let account = "0123456789abcdef0123456789abcdef".to_owned();
            let source = SlotSource { ledger, account, member: process.to_string() };
            let limits =
                AccountLimits::shared_through(source, rates.requests, rates.submits, &clock);
            let seed = seed.wrapping_add(process as u64);
            tasks.push(tokio::spawn(send(limits, clock.clone(), seed)));
        }
        simulated.drive(Duration::MAX).await;
        let mut sent = SentRequests::default();
        for task in tasks {
            sent.add(task.await.unwrap());
        }
        sent
    }

    const WINDOW: Duration = Duration::from_secs(2);

    fn most_in_a_window(times: &[Duration], window: Duration) -> u32 {
        let until = |at: Duration| times.partition_point(|time| *time < at);
        let most = times.iter().map(|at| until(*at + window) - until(*at)).max();
        u32::try_from(most.unwrap_or(0)).unwrap()
    }

    fn rate(count: u32) -> Rate {
        Rate::Per { count: count.try_into().unwrap(), period: WINDOW }
    }

    #[tokio::test]
    async fn processes_of_an_account_use_its_rate_although_claims_take_time() {
        for (processes, submits, requests, window_s) in [
            (1, "30/min", "120/min", 60),
            (1, "20/s", "500/s", 1),
            (1, "100/s", "500/s", 1),
            (3, "120/min", "500/s", 60),
            (3, "20/s", "500/s", 1),
        ] {
            let rates =
                RatePair { requests: requests.parse().unwrap(), submits: submits.parse().unwrap() };
            let window = Duration::from_secs(window_s);
            let end = (window * 4).max(Duration::from_secs(60));
            let sent = send_in_processes(rates, processes, 7, |limits, clock, seed| {
                submit_until(end, limits, clock, seed)
            })
            .await;
            let Rate::Per { count, .. } = rates.submits else { unreachable!() };
            let most = most_in_a_window(&sent.paid, window);
            assert!(most <= count.get(), "{processes} at {submits}: {most} in a window");
            let used = sent.paid.iter().filter(|at| **at < end).count() as f64
                / (f64::from(count.get()) * end.as_secs_f64() / window.as_secs_f64());
            assert!(used >= 0.99, "{processes} at {submits}: {used}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_window_exceeds_either_rate_whenever_processes_use_their_permits(
            requests in 2..120_u32, submits in 2..60_u32, processes in 1..4_usize, seed in any::<u64>(),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let rates = RatePair { requests: rate(requests), submits: rate(submits) };
            let sending = send_in_processes(rates, processes, seed, |limits, clock, seed| {
                send_until(WINDOW * 4, limits, clock, seed)
            });
            let sent = runtime.unwrap().block_on(sending);
            prop_assert!(!sent.paid.is_empty());
            let (paid, all) = (most_in_a_window(&sent.paid, WINDOW), most_in_a_window(&sent.all, WINDOW));
            prop_assert!(paid <= submits, "{paid} paid");
            prop_assert!(all <= requests, "{all} in all");
        }
    }
}

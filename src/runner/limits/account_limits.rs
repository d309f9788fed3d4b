//! The limits of one account, shared by all of its runs: a limiter for all requests, one for those
//! that start a render, and the halts that affect the account rather than a batch.
//!
//! Knows nothing of batches. An invocation that drives several batches of one account passes the
//! same limits to each; two sets of limits would together use twice the rate, unless both are shared
//! through the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::batch::Rate;
use crate::clock::Clock;
use crate::ledger::{Ledger, LedgerError, RateKind};
use crate::runner::file_lock::host_name;
use crate::runner::limits::halt::HaltLatch;
use crate::runner::limits::rate_limiter::{AccountRateLimiter, UpcomingPermits};
use crate::runner::limits::reserved_slots::SlotSource;

/// How long before its permit an intent is claimed: at least this, and twice what the last claims took.
const CLAIM_LEAD_MIN: Duration = Duration::from_millis(50);
const CLAIM_LEAD_MAX: Duration = Duration::from_millis(400);

/// See the module. Clones share the same limits.
#[derive(Clone, Debug)]
pub struct AccountLimits(Arc<SharedLimits>);

#[derive(Debug)]
struct SharedLimits {
    request_limiter: AccountRateLimiter,
    submit_limiter: AccountRateLimiter,
    /// First come, first served, so that no batch starves another.
    submit_turn: tokio::sync::Mutex<()>,
    /// Held while an intent waits for its permits, so that intents are sent in the order of their claims.
    permit_order: tokio::sync::Mutex<()>,
    /// Intents that wait for their permits.
    waiting_intents: AtomicU32,
    halts: HaltLatch,
    /// The ledger and the account, if other processes share the rates.
    shared: Option<(Ledger, String)>,
    /// How long the last claims took, in microseconds.
    claim_time_us: AtomicU64,
}

/// The right to claim the account's next paid requests. `None` if no rate is set, so that batches
/// need not queue.
pub(in crate::runner) type SubmitTurn<'a> = Option<tokio::sync::MutexGuard<'a, ()>>;

impl AccountLimits {
    /// Limits all requests to the rate `requests`, and those that start a render to `submits`.
    pub fn new(requests: Rate, submits: Rate, clock: &Clock) -> Self {
        let request_limiter = AccountRateLimiter::new(requests, clock.clone());
        let submit_limiter = AccountRateLimiter::new(submits, clock.clone());
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
        let shared = |rate, kind| {
            let (ledger, account) = (ledger.clone(), account.to_owned());
            let member = format!("{} on {}", std::process::id(), host_name());
            let source = SlotSource { ledger, account, kind, member };
            AccountRateLimiter::new(rate, clock.clone()).shared_through(source)
        };
        let request_limiter = shared(requests, RateKind::Requests);
        let submit_limiter = shared(submits, RateKind::Submits);
        let has_rates = requests != Rate::Unlimited && submits != Rate::Unlimited;
        let source = has_rates.then(|| (ledger.clone(), account.to_owned()));
        Self::from_limiters(request_limiter, submit_limiter, source)
    }

    fn from_limiters(
        request_limiter: AccountRateLimiter,
        submit_limiter: AccountRateLimiter,
        shared: Option<(Ledger, String)>,
    ) -> Self {
        Self(Arc::new(SharedLimits {
            request_limiter,
            submit_limiter,
            submit_turn: tokio::sync::Mutex::default(),
            permit_order: tokio::sync::Mutex::default(),
            waiting_intents: AtomicU32::default(),
            halts: HaltLatch::default(),
            shared,
            claim_time_us: AtomicU64::default(),
        }))
    }

    /// Holds all requests of the account back for `pause`, in every process and in later runs. Returns
    /// whether the rates are shared; otherwise nothing was recorded.
    pub(in crate::runner) async fn raise_shared_floor(
        &self,
        pause: Duration,
        now: Timestamp,
    ) -> Result<bool, LedgerError> {
        let Some((ledger, account)) = &self.0.shared else { return Ok(false) };
        ledger.raise_rate_floor(account, pause, now).await?;
        Ok(true)
    }

    /// Notes how long a claim took, with the commit of its intents.
    pub(in crate::runner) fn note_claim_time(&self, lasted: Duration) {
        let lasted = u64::try_from(lasted.as_micros()).unwrap_or(u64::MAX);
        let former = self.0.claim_time_us.load(Ordering::Relaxed);
        self.0.claim_time_us.store(lasted.max(former - former / 8), Ordering::Relaxed);
    }

    /// Returns how long before its permit an intent is claimed, so that it is committed when the permit
    /// comes.
    pub(in crate::runner) fn claim_lead(&self) -> Duration {
        let claim_time = Duration::from_micros(self.0.claim_time_us.load(Ordering::Relaxed));
        (claim_time * 2).clamp(CLAIM_LEAD_MIN, CLAIM_LEAD_MAX)
    }

    /// Returns which permits for paid requests come within `lead`, after those of the intents that wait
    /// already.
    pub(in crate::runner) async fn upcoming_submits(&self, lead: Duration) -> UpcomingPermits {
        let waiting = self.0.waiting_intents.load(Ordering::Relaxed);
        let submits = self.0.submit_limiter.upcoming(waiting, lead).await;
        let requests = self.0.request_limiter.upcoming(waiting, lead).await;
        if let (UpcomingPermits::Within(_), UpcomingPermits::After(_)) = (submits, requests) {
            // Otherwise the two may never come together.
            self.0.submit_limiter.set_held(true);
        }
        submits.and(requests)
    }

    /// Notes that no intent waits for the next permit.
    pub(in crate::runner) fn release_permit(&self) {
        self.0.submit_limiter.set_held(false);
    }

    /// Counts `count` intents as waiting for their permits.
    pub(in crate::runner) fn note_waiting(&self, count: usize) -> WaitingIntents {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.0.waiting_intents.fetch_add(count, Ordering::Relaxed);
        WaitingIntents { limits: self.clone(), count }
    }

    /// Waits until the intents that were claimed before have their permits.
    pub(in crate::runner) async fn acquire_permit_order(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.permit_order.lock().await
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

/// Intents that wait for their permits; those that are left when it is dropped wait no more.
#[derive(Debug)]
pub(in crate::runner) struct WaitingIntents {
    limits: AccountLimits,
    count: u32,
}

impl WaitingIntents {
    /// Notes that one of them waits no more.
    pub(in crate::runner) fn end_one(&mut self) {
        if let Some(count) = self.count.checked_sub(1) {
            self.count = count;
            self.limits.0.waiting_intents.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for WaitingIntents {
    fn drop(&mut self) {
        self.limits.0.waiting_intents.fetch_sub(self.count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

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
}

//! What every loop of a run has at hand, and the two ways in which they all ask AI Studios.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::event::{RunEvent, RunObserver};
use super::in_flight::InFlightSet;
use super::payload::Payloads;
use super::quiescence::QuiescenceTracker;
use super::shutdown::StopSignal;
use super::wake_timer::WakeTimer;
use super::webhook::CallbackHealth;
use super::{RunOptions, RunSettings};
use crate::aistudios::{CallError, StudioApi};
use crate::clock::Clock;
use crate::ledger::{
    BatchId, BatchLease, JobId, JobUpdate, Ledger, LedgerError, RecordedUpdate, SubmissionId,
};
use crate::runner::limits::account_limits::AccountLimits;
use crate::runner::limits::backoff::Jitter;
use crate::runner::limits::halt::{CircuitBreakers, Halt};
use crate::runner::limits::throttle::ThrottleBackoff;
use crate::runner::loops::poll_schedule::RenderTimes;

/// Nobody trusts a wall clock to wake him: a sleep is cut into pieces and the queue is looked at
/// again, so that a clock that jumps delays nothing for long.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// Without any answer for this long, though there was something to ask, a run gives up for now.
const NO_RESPONSE_MAX: Duration = Duration::from_secs(15 * 60);

/// One run of one batch.
pub(super) struct RunContext<S> {
    pub(super) studio: S,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) jitter: Jitter,
    pub(super) lease: BatchLease,
    pub(super) batch: BatchId,
    pub(super) base_url: String,
    pub(super) settings: RunSettings,
    pub(super) options: RunOptions,
    /// Shared with every other run of the account.
    pub(super) account_limits: AccountLimits,
    pub(super) breakers: CircuitBreakers,
    pub(super) stop: StopSignal,
    pub(super) tasks: TaskTracker,
    pub(super) wakeups: Wakeups,
    pub(super) payloads: Payloads,
    pub(super) observer: RunObserver,
    pub(super) render_times: Mutex<RenderTimes>,
    /// What was said of slowing down since anything went well.
    pub(super) throttle: Mutex<ThrottleBackoff>,
    /// Whether calls come.
    pub(super) callback_health: CallbackHealth,
    /// Projects that were answered for drafts, and are not on disk yet.
    pub(super) unrecorded_projects: InFlightSet<String>,
    pub(super) last_response_ms: AtomicI64,
    /// What was written so far, and what held the last claim back.
    pub(super) quiescence: QuiescenceTracker,
    /// Held by whoever claims, or sends what was claimed long ago once more.
    pub(super) claim_lock: tokio::sync::Mutex<()>,
    /// Whether a person had paused the batch before this run began.
    pub(super) started_paused: bool,
    /// When this run began, in awake time.
    pub(super) started_at: Duration,
    /// Uncertain jobs that no evidence and no waiting can settle any more.
    pub(super) jobs_for_operator: Mutex<BTreeSet<JobId>>,
    /// Set when the time window is over.
    pub(super) window_closed: CancellationToken,
    /// Set when there is nothing left to do.
    pub(super) finished: CancellationToken,
}

/// Wake-ups between the loops. They carry nothing: whoever is woken looks into the ledger.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    pub(super) draft: Notify,
    pub(super) generation: Notify,
    pub(super) paid: Notify,
    pub(super) poll: WakeTimer,
    pub(super) download: Notify,
    pub(super) reconcile: Notify,
    pub(super) run_end: Notify,
}

impl<S: StudioApi> RunContext<S> {
    /// Writes what happened, and rings for those whom it concerns. A ledger that cannot be written
    /// halts the run.
    pub(super) async fn record(
        &self,
        (job, submission): (JobId, SubmissionId),
        news: JobUpdate,
    ) -> Option<RecordedUpdate> {
        let due = news.due_at();
        let record = self.lease.record_update(job, submission, news, self.clock.now());
        let recorded = self.quiescence.track(record, |_| true).await;
        self.wakeups.run_end.notify_one();
        match recorded {
            Ok(recorded) => {
                self.wakeups.wake_for(recorded, due);
                Some(recorded)
            }
            Err(error) => {
                self.halt_on_ledger_error(&error);
                None
            }
        }
    }

    /// Halts because the ledger did not do what it was asked to.
    pub(super) fn halt_on_ledger_error(&self, error: &LedgerError) {
        let source = std::error::Error::source(error).map(|source| format!(": {source}"));
        let words = format!("{error}{}", source.unwrap_or_default());
        self.breakers.halt(Halt::Ledger { message: words });
    }

    /// Spawns a task that the run waits for when it ends.
    pub(super) fn spawn<F>(self: &Arc<Self>, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let busy = self.clock.busy();
        // Not in an `async` block, which would hold the work twice: as given, and as awaited.
        self.tasks.spawn(work.map(move |()| drop(busy)));
    }

    /// Waits for `bell`, for `due` (or half a minute), or until `over` comes first.
    pub(super) async fn wait_for_work(
        &self,
        bell: &Notify,
        due: Option<Timestamp>,
        over: impl Future<Output = ()>,
    ) {
        let longest = self.clock.recheck_interval(SLEEP_MAX);
        let left = due.map_or(longest, |due| self.time_until(due).min(longest));
        self.clock
            .idle(async {
                tokio::select! {
                    () = bell.notified() => {}
                    () = self.clock.sleep(left.max(SLEEP_MIN)) => {}
                    () = over => {}
                }
            })
            .await;
    }

    /// Waits for `pause`, or until `over` comes first.
    pub(super) async fn sleep_or_stop(&self, pause: Duration, over: impl Future<Output = ()>) {
        self.clock
            .idle(async {
                tokio::select! {
                    () = self.clock.sleep(pause) => {}
                    () = over => {}
                }
            })
            .await;
    }

    /// Returns how long it is until `due`.
    fn time_until(&self, due: Timestamp) -> Duration {
        Duration::try_from(due.duration_since(self.clock.now())).unwrap_or(Duration::ZERO)
    }

    /// Returns the time `pause` from now.
    pub(super) fn timestamp_after(&self, pause: Duration) -> Timestamp {
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        self.clock.now().saturating_add(pause).unwrap_or(Timestamp::MAX)
    }

    /// Makes a free call when its turn comes. Nothing comes back when the run ends first.
    pub(super) async fn call_api<T>(
        &self,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Option<Result<T, CallError>> {
        tokio::select! {
            biased;
            () = self.following_stopped() => return None,
            () = self.account_limits.request_limiter().acquire() => {}
        }
        let answer = call.await;
        match &answer {
            Ok(_) | Err(CallError::NotFound) => self.note_response(),
            Err(CallError::RateLimited { retry_after }) => self.on_rate_limited(*retry_after).await,
            Err(CallError::Account { message: words, blocks_polls: polls_too }) => {
                self.breakers
                    .halt(Halt::Account { message: words.clone(), blocks_polls: *polls_too });
            }
            Err(CallError::Moved { message: words }) => {
                self.breakers.halt(Halt::Moved { message: words.clone() })
            }
            Err(CallError::Transient { message: words, retry_after }) => {
                self.honor_retry_after(*retry_after).await;
                self.note_no_response(words);
            }
        }
        Some(answer)
    }

    /// Notes that somebody answers.
    pub(super) fn note_response(&self) {
        self.account_limits.request_limiter().record_success();
        *self.throttle() = ThrottleBackoff::default();
        self.last_response_ms.store(self.awake_ms(), Ordering::Relaxed);
    }

    /// Notes that nobody answered; after a long silence the run gives up for now.
    pub(super) fn note_no_response(&self, words: &str) {
        let silent = self.awake_ms() - self.last_response_ms.load(Ordering::Relaxed);
        if silent > i64::try_from(NO_RESPONSE_MAX.as_millis()).unwrap_or(i64::MAX) {
            self.breakers.halt(Halt::Unresponsive { message: words.to_owned() });
        }
    }

    fn awake_ms(&self) -> i64 {
        i64::try_from(self.clock.awake_time().as_millis()).unwrap_or(i64::MAX)
    }

    /// Nobody asks before the time that we were told is over, not even after a restart. A run that
    /// is told nothing else for long gives up for now.
    pub(super) async fn on_rate_limited(&self, retry_after: Option<Duration>) {
        let (least, too_many) = {
            let mut slow_downs = self.throttle();
            (
                slow_downs.record(self.clock.awake_time(), retry_after),
                slow_downs.streak_over_limit(),
            )
        };
        if let Some(count) = too_many {
            let words = format!("AI Studios asked us {count} times in a row to slow down");
            self.breakers.halt(Halt::Unresponsive { message: words });
        }
        let jittered = self.jitter.apply(least, 0.05);
        let pause = jittered.max(retry_after.unwrap_or_default());
        for limiter in [self.account_limits.request_limiter(), self.account_limits.submit_limiter()]
        {
            limiter.halve_rate();
            limiter.raise_retry_after_floor(pause);
        }
        let until = self.timestamp_after(pause);
        self.observer.notify(RunEvent::RateLimited { until });
        if let Err(error) = self.ledger.raise_retry_after_floor(&self.base_url, until).await {
            self.halt_on_ledger_error(&error);
        }
    }

    /// Trouble that says how long it lasts, as a 503 may, is waited for like a "slow down".
    pub(super) async fn honor_retry_after(&self, retry_after: Option<Duration>) {
        if retry_after.is_some() {
            self.on_rate_limited(retry_after).await;
        }
    }

    /// Tells whether something may be begun that costs money.
    pub(super) fn can_submit(&self) -> bool {
        self.submitting_stopped().now_or_never().is_none()
    }

    /// Waits until nothing more may be begun that costs money.
    pub(super) async fn submitting_stopped(&self) {
        tokio::select! {
            () = self.stop.draining() => {}
            () = self.breakers.spending_stopped() => {}
            () = self.window_closed.cancelled() => {}
            () = self.finished.cancelled() => {}
        }
    }

    /// Tells whether finished videos are brought home: somebody wants them, and there is room.
    pub(super) fn can_download(&self) -> bool {
        self.options.download
            && !matches!(self.breakers.current_halt(), Some(Halt::OutputFolder { .. }))
    }

    /// Tells whether what was paid for is still followed.
    pub(super) fn can_follow(&self) -> bool {
        self.following_stopped().now_or_never().is_none()
    }

    /// Waits until nothing is followed any more.
    pub(super) async fn following_stopped(&self) {
        tokio::select! {
            () = self.stop.draining() => {}
            () = self.breakers.calls_stopped() => {}
            () = self.finished.cancelled() => {}
        }
    }

    pub(super) fn render_times(&self) -> MutexGuard<'_, RenderTimes> {
        self.render_times.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn throttle(&self) -> MutexGuard<'_, ThrottleBackoff> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn jobs_for_operator(&self) -> MutexGuard<'_, BTreeSet<JobId>> {
        self.jobs_for_operator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A due time in the past is looked at at once, but never in a tight circle.
const SLEEP_MIN: Duration = Duration::from_millis(5);

impl Wakeups {
    fn wake_for(&self, recorded: RecordedUpdate, due: Option<i64>) {
        use crate::ledger::JobState as S;
        match recorded.state {
            S::Ready => {
                self.draft.notify_one();
                self.paid.notify_one();
            }
            S::Submitting => {}
            S::Uncertain => {
                self.reconcile.notify_one();
                self.paid.notify_one();
            }
            S::Rendering => self.poll.wake_if_sooner(due),
            S::Fetching => {
                self.download.notify_one();
                self.draft.notify_one();
                self.paid.notify_one();
            }
            S::Done | S::Reused | S::Failed | S::Cancelled => {
                self.draft.notify_one();
                self.paid.notify_one();
                self.download.notify_one();
            }
        }
    }
}

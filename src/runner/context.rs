//! The context that all loops of a run share: services, settings, limits and stop conditions, and
//! the two operations that every loop performs, a free API call and a recorded update.
//!
//! Ledger failures are reported in one place ([`RunContext::report`]): loops and tasks return them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::aistudios::{CallError, StudioApi};
use crate::clock::Clock;
use crate::ledger::{
    BatchId, BatchLease, JobId, JobUpdate, Ledger, LedgerError, RecordedUpdate, RetryAfterFloor,
    SubmissionId, Transition,
};
use crate::runner::event::{RunEvent, RunObserver};
use crate::runner::files::output_marker::OutputMarker;
use crate::runner::input::{RunInput, RunOptions, RunSettings};
use crate::runner::limits::backoff::{BackoffRange, Jitter};
use crate::runner::limits::halt::Halt;
use crate::runner::limits::run_limits::RunLimits;
use crate::runner::loops::poll_schedule::PollIntervals;
use crate::runner::shutdown::RunShutdown;
use crate::runner::wakeups::Wakeups;
use crate::runner::webhook_urls::CallbackHealth;
use crate::runner::work_progress::WorkProgress;
use crate::text::time_format::elapsed;

/// See [`RunContext::unread_wait`].
const UNREAD_WAIT_FACTOR: u32 = 10;

/// Sleeps are capped, so that a wall-clock jump cannot delay a loop for long.
const SLEEP_MAX: Duration = Duration::from_secs(30);
/// A due time in the past is handled at once, but never in a busy loop.
const SLEEP_MIN: Duration = Duration::from_millis(5);
/// The delay before due jobs that could not be claimed are claimed again: they are in flight, and
/// usually the end of their task wakes the loop earlier.
const CLAIM_RETRY_DELAY: Duration = Duration::from_secs(1);
/// A run with open work and no response for this long gives up for now.
const NO_RESPONSE_MAX: Duration = Duration::from_secs(15 * 60);

/// One run of one batch.
pub(super) struct RunContext<S> {
    pub(super) studio: S,
    pub(super) ledger: Ledger,
    pub(super) lease: BatchLease,
    pub(super) batch: BatchId,
    pub(super) base_url: String,
    pub(super) settings: RunSettings,
    pub(super) options: RunOptions,
    pub(super) clock: Clock,
    pub(super) jitter: Jitter,
    pub(super) observer: RunObserver,
    pub(super) marker: Option<OutputMarker>,
    pub(super) tasks: TaskTracker,
    pub(super) limits: RunLimits,
    pub(super) shutdown: RunShutdown,
    pub(super) wakeups: Wakeups,
    pub(super) progress: WorkProgress,
    pub(super) callback_health: CallbackHealth,
}

impl<S: StudioApi> RunContext<S> {
    /// Sets a run up: restores the retry-after floor of earlier runs and reports the start.
    pub(super) async fn new(input: RunInput<S>) -> Result<Self, LedgerError> {
        let recovered = input.lease.recovered_work();
        let (ledger, clock, account) = (input.ledger, input.clock, input.account_limits);
        if let Some(until) = ledger.retry_after_floor(&input.base_url, clock.now()).await? {
            account.raise_retry_after_floor(duration_until(&clock, until));
        }
        let started_paused = ledger.is_paused(input.batch).await?;
        input.observer.notify(RunEvent::Started {
            run: input.lease.run_id(),
            drafts_lost: recovered.drafts_lost,
            uncertain: recovered.uncertain,
        });
        if started_paused {
            input.observer.notify(RunEvent::Paused);
        }
        let awake_time = clock.awake_time();
        Ok(Self {
            limits: RunLimits::new(account, input.settings.limits.halt_after.get(), awake_time),
            progress: WorkProgress::new(started_paused),
            shutdown: RunShutdown::new(input.stop),
            studio: input.studio,
            ledger,
            lease: input.lease,
            batch: input.batch,
            base_url: input.base_url,
            settings: input.settings,
            options: input.options,
            clock,
            jitter: input.jitter,
            observer: input.observer,
            marker: input.marker,
            tasks: TaskTracker::new(),
            wakeups: Wakeups::default(),
            callback_health: CallbackHealth::default(),
        })
    }

    /// Records a change of a submission, and wakes the loops that may have work after it.
    pub(super) async fn record(
        &self,
        job: JobId,
        submission: SubmissionId,
        update: JobUpdate,
    ) -> Result<RecordedUpdate, LedgerError> {
        let due = update.due_at();
        let record = self.lease.record_update(job, submission, update, self.clock.now());
        let recorded = self.progress.ledger_changes.track(record, |_| true).await;
        self.wakeups.run_end.notify_one();
        let recorded = match recorded {
            // It was on its way when the operator changed the job, which no paid request of that job was.
            Err(LedgerError::IllegalTransition(late))
                if self.progress.operator_changes().is_changed(job) =>
            {
                tracing::debug!(%late, "an update came after a request of the operator");
                RecordedUpdate { transition: Transition::Unchanged, state: late.from }
            }
            recorded => recorded?,
        };
        self.wakeups.wake_for(recorded, due);
        Ok(recorded)
    }

    /// Records in the output folder how far the ledger has come.
    pub(super) async fn mark_output(&self) -> Result<(), LedgerError> {
        match &self.marker {
            Some(marker) => marker.record().await,
            None => Ok(()),
        }
    }

    /// Halts the run if a ledger operation failed: without the ledger, nothing may be sent.
    pub(super) fn report(&self, result: Result<(), LedgerError>) {
        let Err(error) = result else { return };
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        let message = format!("{error}{}", source.unwrap_or_default());
        self.limits.breakers.halt(match error {
            LedgerError::Unavailable { .. } => Halt::LedgerUnavailable { message },
            LedgerError::Behind { .. } => Halt::LedgerBehind { message },
            LedgerError::LeaseLost => Halt::LeaseLost { message },
            _ => Halt::Ledger { message },
        });
    }

    /// Spawns a loop or task that the run waits for when it ends; reports its ledger failure.
    pub(super) fn spawn<F>(self: &Arc<Self>, work: F)
    where
        F: Future<Output = Result<(), LedgerError>> + Send + 'static,
    {
        let busy = self.clock.busy();
        let run = self.clone();
        // Not an `async` block, which would store the work twice: as captured, and as awaited.
        self.tasks.spawn(work.map(move |result| {
            run.report(result);
            drop(busy);
        }));
    }

    /// Waits for `wakeup`, for `due` (at most half a minute), or for `stopped`.
    pub(super) async fn wait_for_work(
        &self,
        wakeup: &Notify,
        due: Option<Timestamp>,
        stopped: impl Future<Output = ()>,
    ) {
        let longest = self.clock.recheck_interval(SLEEP_MAX);
        let pause = due.map_or(longest, |due| duration_until(&self.clock, due).min(longest));
        self.clock
            .idle(async {
                tokio::select! {
                    () = wakeup.notified() => {}
                    () = self.clock.sleep(pause.max(SLEEP_MIN)) => {}
                    () = stopped => {}
                }
            })
            .await;
    }

    /// Waits for `pause`, or for `stopped`.
    pub(super) async fn sleep_or_stop(&self, pause: Duration, stopped: impl Future<Output = ()>) {
        self.clock
            .idle(async {
                tokio::select! {
                    () = self.clock.sleep(pause) => {}
                    () = stopped => {}
                }
            })
            .await;
    }

    /// Returns when to claim again, if the next job is due at `next` and a claim of everything due
    /// by `claimed_until` returned none: a job that is due already is in flight.
    pub(super) fn next_claim_at(&self, next: Timestamp, claimed_until: Timestamp) -> Timestamp {
        if next > claimed_until { next } else { self.timestamp_after(CLAIM_RETRY_DELAY) }
    }

    /// Returns the time `pause` from now.
    pub(super) fn timestamp_after(&self, pause: Duration) -> Timestamp {
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        self.clock.now().saturating_add(pause).unwrap_or(Timestamp::MAX)
    }

    /// Returns the time since `at` by the wall clock; zero if unknown, or if the clock was set back.
    pub(super) fn elapsed_since(&self, at: Option<Timestamp>) -> Duration {
        at.map_or(Duration::ZERO, |at| elapsed(at, self.clock.now()))
    }

    /// Returns when to retry after `failures` earlier failures, by the batch's back-off.
    pub(super) fn retry_at(&self, failures: i64) -> Timestamp {
        self.timestamp_after(self.backoff_delay(failures))
    }

    /// Returns the back-off after `failures` earlier failures.
    pub(super) fn backoff_delay(&self, failures: i64) -> Duration {
        let limits = &self.settings.limits;
        let range = BackoffRange { min: limits.backoff_min, max: limits.backoff_max };
        self.jitter.backoff_delay(range, failures)
    }

    /// Returns how long a project that cannot be read is read again before that is accepted: crossed
    /// responses and failing reads together must last that long before they matter.
    pub(super) fn unread_wait(&self) -> Duration {
        self.settings.limits.confirm_after * UNREAD_WAIT_FACTOR
    }

    /// Returns the batch's shortest and longest pause between polls, and the first one.
    pub(super) fn poll_intervals(&self) -> PollIntervals {
        let limits = &self.settings.limits;
        PollIntervals {
            min: limits.poll_min,
            max: limits.poll_max,
            first: self.settings.first_poll_delay,
        }
    }

    /// Makes a free call once the request limiter permits it. `None` if the run ends before that.
    pub(super) async fn call_api<T>(
        &self,
        call: impl Future<Output = Result<T, CallError>>,
    ) -> Option<Result<T, CallError>> {
        tokio::select! {
            biased;
            () = self.following_stopped() => return None,
            () = self.limits.account.request_limiter().acquire() => {}
        }
        let response = call.await;
        match &response {
            Ok(_) | Err(CallError::NotFound) => self.note_response(),
            Err(CallError::RateLimited { retry_after }) => self.on_rate_limited(*retry_after).await,
            Err(CallError::Account { kind, message }) => {
                let (kind, message) = (*kind, message.clone());
                self.limits.breakers.halt(Halt::Account { kind, message });
            }
            Err(CallError::Moved { message }) => {
                self.limits.breakers.halt(Halt::Moved { message: message.clone() });
            }
            Err(CallError::Refused { message, .. }) => self.note_no_response(message),
            Err(CallError::Transient { message, retry_after, .. }) => {
                self.honor_retry_after(*retry_after).await;
                self.note_no_response(message);
            }
        }
        Some(response)
    }

    /// Notes that AI Studios responds.
    pub(super) fn note_response(&self) {
        self.limits.note_response(self.clock.awake_time());
    }

    /// Notes a request without a response; after long silence the run gives up for now.
    pub(super) fn note_no_response(&self, message: &str) {
        if self.limits.silence(self.clock.awake_time()) > NO_RESPONSE_MAX {
            self.limits.breakers.halt(Halt::Unresponsive { message: message.to_owned() });
        }
    }

    /// Pauses all requests of the account, here and in later runs, after a "too many requests". A
    /// run that receives nothing else for long gives up for now.
    pub(super) async fn on_rate_limited(&self, retry_after: Option<Duration>) {
        let throttled = self.limits.note_rate_limited(self.clock.awake_time(), retry_after);
        if let Some(count) = throttled.streak_over_limit {
            let message = format!("AI Studios rate-limited {count} requests in a row");
            self.limits.breakers.halt(Halt::Unresponsive { message });
        }
        let jittered = self.jitter.apply(throttled.pause, 0.05);
        let pause = jittered.max(retry_after.unwrap_or_default());
        self.limits.account.slow_down(pause);
        let until = self.timestamp_after(pause);
        self.observer.notify(RunEvent::RateLimited { until });
        self.report(self.raise_stored_floor(pause, until).await);
    }

    /// Records the floor of the account, or of its host if it has no rate that is shared.
    async fn raise_stored_floor(
        &self,
        pause: Duration,
        until: Timestamp,
    ) -> Result<(), LedgerError> {
        let now = self.clock.now();
        if self.limits.account.raise_shared_floor(pause, now).await? {
            return Ok(());
        }
        let floor = RetryAfterFloor { until, raised_at: now };
        self.ledger.raise_retry_after_floor(&self.base_url, floor).await
    }

    /// Treats an error with a retry-after, such as a 503, like a "too many requests".
    pub(super) async fn honor_retry_after(&self, retry_after: Option<Duration>) {
        if retry_after.is_some() {
            self.on_rate_limited(retry_after).await;
        }
    }

    /// Returns whether a request that may cost money may be started.
    pub(super) fn can_submit(&self) -> bool {
        !self.shutdown.submitting().is_cancelled() && !self.limits.breakers.has_stopped_spending()
    }

    /// Waits until nothing more may be submitted.
    pub(super) async fn submitting_stopped(&self) {
        tokio::select! {
            () = self.shutdown.submitting().cancelled() => {}
            () = self.limits.breakers.spending_stopped() => {}
        }
    }

    /// Returns whether paid submissions are still followed: polled, reconciled and downloaded.
    pub(super) fn can_follow(&self) -> bool {
        !self.shutdown.following().is_cancelled() && !self.limits.breakers.has_stopped_calls()
    }

    /// Waits until paid submissions are no longer followed.
    pub(super) async fn following_stopped(&self) {
        tokio::select! {
            () = self.shutdown.following().cancelled() => {}
            () = self.limits.breakers.calls_stopped() => {}
        }
    }

    /// Returns whether finished videos are downloaded: the user wants them, and the output folder
    /// can be written.
    pub(super) fn can_download(&self) -> bool {
        let halt = self.limits.breakers.current_halt();
        self.options.download && !matches!(halt, Some(Halt::OutputFolder { .. }))
    }
}

fn duration_until(clock: &Clock, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(clock.now())).unwrap_or_default()
}

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

use super::alarm::Alarm;
use super::allowance::Allowance;
use super::changes::Changes;
use super::dice::Dice;
use super::halt::{Halt, Halts};
use super::happening::{Happening, Observer};
use super::hooks::Ears;
use super::in_hand::InHand;
use super::pace::Learned;
use super::payload::Payloads;
use super::port::{Studio, Trouble};
use super::slow::SlowDowns;
use super::stop::Stop;
use super::{Orders, Settings};
use crate::clock::Clock;
use crate::ledger::{BatchId, JobId, Lease, Ledger, LedgerError, News, Recorded, SubmissionId};

/// Nobody trusts a wall clock to wake him: a sleep is cut into pieces and the queue is looked at
/// again, so that a clock that jumps delays nothing for long.
const LONGEST_NAP: Duration = Duration::from_secs(30);
/// Without any answer for this long, though there was something to ask, a run gives up for now.
const SILENCE_MAX: Duration = Duration::from_secs(15 * 60);

/// One run of one batch.
pub(super) struct Desk<S> {
    pub(super) studio: S,
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) dice: Dice,
    pub(super) lease: Lease,
    pub(super) batch: BatchId,
    pub(super) base_url: String,
    pub(super) settings: Settings,
    pub(super) orders: Orders,
    /// Shared with every other run of the account.
    pub(super) allowance: Allowance,
    pub(super) halts: Halts,
    pub(super) stop: Stop,
    pub(super) tasks: TaskTracker,
    pub(super) bells: Bells,
    pub(super) payloads: Payloads,
    pub(super) observer: Observer,
    pub(super) learned: Mutex<Learned>,
    /// What was said of slowing down since anything went well.
    pub(super) slow_downs: Mutex<SlowDowns>,
    /// Whether calls come.
    pub(super) ears: Ears,
    /// Projects that were answered for drafts, and are not on disk yet.
    pub(super) drafts: InHand<String>,
    pub(super) heard_at: AtomicI64,
    /// What was written so far, and what held the last claim back.
    pub(super) changes: Changes,
    /// Held by whoever claims, or sends what was claimed long ago once more.
    pub(super) repeating: tokio::sync::Mutex<()>,
    /// Whether a person had paused the batch before this run began.
    pub(super) began_paused: bool,
    /// When this run began, in awake time.
    pub(super) began: Duration,
    /// Uncertain jobs that no evidence and no waiting can settle any more.
    pub(super) for_people: Mutex<BTreeSet<JobId>>,
    /// Set when the time window is over.
    pub(super) window_over: CancellationToken,
    /// Set when there is nothing left to do.
    pub(super) finished: CancellationToken,
}

/// Wake-ups between the loops. They carry nothing: whoever is woken looks into the ledger.
#[derive(Debug, Default)]
pub(super) struct Bells {
    pub(super) draft: Notify,
    pub(super) generation: Notify,
    pub(super) pay: Notify,
    pub(super) watch: Alarm,
    pub(super) fetch: Notify,
    pub(super) settle: Notify,
    pub(super) end: Notify,
}

impl<S: Studio> Desk<S> {
    /// Writes what happened, and rings for those whom it concerns. A ledger that cannot be written
    /// halts the run.
    pub(super) async fn record(
        &self,
        (job, submission): (JobId, SubmissionId),
        news: News,
    ) -> Option<Recorded> {
        let due = news.due_at();
        let record = self.ledger.record(self.lease, job, submission, news, self.clock.now());
        let recorded = self.changes.make(record, |_| true).await;
        self.bells.end.notify_one();
        match recorded {
            Ok(recorded) => {
                self.bells.ring_for(recorded, due);
                Some(recorded)
            }
            Err(error) => {
                self.ledger_failed(&error);
                None
            }
        }
    }

    /// Halts because the ledger did not do what it was asked to.
    pub(super) fn ledger_failed(&self, error: &LedgerError) {
        let source = std::error::Error::source(error).map(|source| format!(": {source}"));
        let words = format!("{error}{}", source.unwrap_or_default());
        self.halts.halt(Halt::Ledger { words });
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
    pub(super) async fn rest(
        &self,
        bell: &Notify,
        due: Option<Timestamp>,
        over: impl Future<Output = ()>,
    ) {
        let longest = self.clock.watch(LONGEST_NAP);
        let left = due.map_or(longest, |due| self.until(due).min(longest));
        self.clock
            .idle(async {
                tokio::select! {
                    () = bell.notified() => {}
                    () = self.clock.sleep(left.max(SHORTEST_NAP)) => {}
                    () = over => {}
                }
            })
            .await;
    }

    /// Waits for `pause`, or until `over` comes first.
    pub(super) async fn nap(&self, pause: Duration, over: impl Future<Output = ()>) {
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
    fn until(&self, due: Timestamp) -> Duration {
        Duration::try_from(due.duration_since(self.clock.now())).unwrap_or(Duration::ZERO)
    }

    /// Returns the time `pause` from now.
    pub(super) fn after(&self, pause: Duration) -> Timestamp {
        let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
        self.clock.now().saturating_add(pause).unwrap_or(Timestamp::MAX)
    }

    /// Makes a free call when its turn comes. Nothing comes back when the run ends first.
    pub(super) async fn ask<T>(
        &self,
        call: impl Future<Output = Result<T, Trouble>>,
    ) -> Option<Result<T, Trouble>> {
        tokio::select! {
            biased;
            () = self.no_more_following() => return None,
            () = self.allowance.requests().take() => {}
        }
        let answer = call.await;
        match &answer {
            Ok(_) | Err(Trouble::NotFound) => self.heard(),
            Err(Trouble::SlowDown { retry_after }) => self.slow_down(*retry_after).await,
            Err(Trouble::Account { words, polls_too }) => {
                self.halts.halt(Halt::Account { words: words.clone(), polls_too: *polls_too });
            }
            Err(Trouble::Moved { words }) => self.halts.halt(Halt::Moved { words: words.clone() }),
            Err(Trouble::Passing { words, retry_after }) => {
                self.leave_alone(*retry_after).await;
                self.not_heard(words);
            }
        }
        Some(answer)
    }

    /// Notes that somebody answers.
    pub(super) fn heard(&self) {
        self.allowance.requests().went_well();
        *self.slow_downs() = SlowDowns::default();
        self.heard_at.store(self.awake_ms(), Ordering::Relaxed);
    }

    /// Notes that nobody answered; after a long silence the run gives up for now.
    pub(super) fn not_heard(&self, words: &str) {
        let silent = self.awake_ms() - self.heard_at.load(Ordering::Relaxed);
        if silent > i64::try_from(SILENCE_MAX.as_millis()).unwrap_or(i64::MAX) {
            self.halts.halt(Halt::Silence { words: words.to_owned() });
        }
    }

    fn awake_ms(&self) -> i64 {
        i64::try_from(self.clock.awake().as_millis()).unwrap_or(i64::MAX)
    }

    /// Nobody asks before the time that we were told is over, not even after a restart. A run that
    /// is told nothing else for long gives up for now.
    pub(super) async fn slow_down(&self, retry_after: Option<Duration>) {
        let (least, too_many) = {
            let mut slow_downs = self.slow_downs();
            (slow_downs.hear(self.clock.awake(), retry_after), slow_downs.too_many())
        };
        if let Some(count) = too_many {
            let words = format!("AI Studios asked us {count} times in a row to slow down");
            self.halts.halt(Halt::Silence { words });
        }
        let jittered = self.dice.around(least, 0.05);
        let pause = jittered.max(retry_after.unwrap_or_default());
        for limiter in [self.allowance.requests(), self.allowance.submits()] {
            limiter.slow_down();
            limiter.raise_floor(pause);
        }
        let until = self.after(pause);
        self.observer.tell(Happening::SlowDown { until });
        if let Err(error) = self.ledger.raise_floor(&self.base_url, until).await {
            self.ledger_failed(&error);
        }
    }

    /// Trouble that says how long it lasts, as a 503 may, is waited for like a "slow down".
    pub(super) async fn leave_alone(&self, retry_after: Option<Duration>) {
        if retry_after.is_some() {
            self.slow_down(retry_after).await;
        }
    }

    /// Tells whether something may be begun that costs money.
    pub(super) fn may_submit(&self) -> bool {
        self.no_more_submitting().now_or_never().is_none()
    }

    /// Waits until nothing more may be begun that costs money.
    pub(super) async fn no_more_submitting(&self) {
        tokio::select! {
            () = self.stop.draining() => {}
            () = self.halts.no_more_spending() => {}
            () = self.window_over.cancelled() => {}
            () = self.finished.cancelled() => {}
        }
    }

    /// Tells whether finished videos are brought home: somebody wants them, and there is room.
    pub(super) fn may_fetch(&self) -> bool {
        self.orders.download && !matches!(self.halts.standing(), Some(Halt::Output { .. }))
    }

    /// Tells whether what was paid for is still followed.
    pub(super) fn may_follow(&self) -> bool {
        self.no_more_following().now_or_never().is_none()
    }

    /// Waits until nothing is followed any more.
    pub(super) async fn no_more_following(&self) {
        tokio::select! {
            () = self.stop.draining() => {}
            () = self.halts.nothing_at_all() => {}
            () = self.finished.cancelled() => {}
        }
    }

    pub(super) fn learned(&self) -> MutexGuard<'_, Learned> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slow_downs(&self) -> MutexGuard<'_, SlowDowns> {
        self.slow_downs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn for_people(&self) -> MutexGuard<'_, BTreeSet<JobId>> {
        self.for_people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A due time in the past is looked at at once, but never in a tight circle.
const SHORTEST_NAP: Duration = Duration::from_millis(5);

impl Bells {
    fn ring_for(&self, recorded: Recorded, due: Option<i64>) {
        use crate::ledger::State as S;
        match recorded.state {
            S::Ready => {
                self.draft.notify_one();
                self.pay.notify_one();
            }
            S::Submitting => {}
            S::Uncertain => {
                self.settle.notify_one();
                self.pay.notify_one();
            }
            S::Rendering => self.watch.ring_for(due),
            S::Fetching => {
                self.fetch.notify_one();
                self.draft.notify_one();
                self.pay.notify_one();
            }
            S::Done | S::Reused | S::Failed | S::Cancelled => {
                self.draft.notify_one();
                self.pay.notify_one();
                self.fetch.notify_one();
            }
        }
    }
}

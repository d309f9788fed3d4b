//! Handing finished videos over to the command of `[on_done]`, while a run is live and at its end.
//!
//! What was handed over is in the ledger. Invariant: no outcome of a command changes a job or renders
//! anything; a crash repeats at most the command.

mod delivery_input;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::batch::{Batch, OnDoneSettings};
use crate::clock::Clock;
use crate::ledger::{BatchLease, DeliveryCounts, DeliveryResult, LedgerError, ReviewItem};
use crate::process::{ForeignCommand, check_program};
use crate::runner::{StopSignal, has_video_bytes};
use crate::session::delivery::delivery_input::DeliveryInput;
use crate::session::error::CommandError;
use crate::session::event::{SessionEvent, SessionObserver};

/// Checks that the command of `[on_done]` exists, before any video is paid for.
///
/// # Errors
/// It does not exist, or is not executable.
pub(crate) fn ensure_command_exists(batch: &Batch) -> Result<(), CommandError> {
    let settings = batch.on_done.iter();
    for program in settings.filter_map(|on_done| on_done.command.first()) {
        check_program(program, batch.folder()).map_err(|failure| {
            CommandError::usage(format!(
                "`{program}`, the command of `[on_done]`, {failure}; a relative path begins in the folder \
                 of the batch file"
            ))
        })?;
    }
    Ok(())
}

/// Commands that work at once.
const PARALLEL_MAX: u32 = 4;
/// How long a command may still take after a signal.
const COMMAND_AFTER_SIGNAL_MAX: Duration = Duration::from_secs(10);
/// How often finished videos are searched while the run is live.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);
/// Attempts for one video in one run.
const ATTEMPTS_MAX: u32 = 4;
/// A time that no run reaches: the next run tries again.
const DUE_IN_NEXT_RUN: Timestamp = Timestamp::constant(253_402_207_200, 0);

/// Hands the videos of one batch over.
pub(crate) struct DeliveryLoop<'d> {
    pub(crate) batch: &'d Batch,
    pub(crate) settings: &'d OnDoneSettings,
    pub(crate) lease: &'d BatchLease,
    /// The folder of the videos.
    pub(crate) folder: PathBuf,
    pub(crate) clock: &'d Clock,
    pub(crate) observer: &'d SessionObserver,
    pub(crate) stop: &'d StopSignal,
}

/// The attempts of this run, by key and version.
type AttemptCounts = std::collections::HashMap<(String, i64), u32>;

impl DeliveryLoop<'_> {
    /// Hands over what is finished until `run_ended`, and then what is left.
    pub(crate) async fn run(&self, run_ended: &CancellationToken) -> Result<(), LedgerError> {
        tokio::select! {
            handed = self.hand_over_all(run_ended) => handed,
            () = self.stop.abandoned() => Ok(()),
        }
    }

    /// Returns how many videos are handed over.
    pub(crate) async fn counts(&self) -> Result<DeliveryCounts, LedgerError> {
        let only_approved = self.batch.review.required;
        self.lease.ledger().delivery_counts(self.lease.batch(), only_approved).await
    }

    async fn hand_over_all(&self, run_ended: &CancellationToken) -> Result<(), LedgerError> {
        let ledger = self.lease.ledger();
        self.lease.make_deliveries_due().await?;
        let input = DeliveryInput::read(ledger, self.lease.batch(), self.batch).await?;
        let mut attempts = AttemptCounts::new();
        loop {
            // Read before the search, so that the last videos of the run are found.
            let is_last_search = run_ended.is_cancelled();
            let searched_at = self.clock.now();
            let due = self.find_due(searched_at).await?;
            if self.stop.is_draining() {
                return Ok(());
            }
            if due.is_empty() {
                if is_last_search && !self.has_retries(searched_at).await? {
                    return Ok(());
                }
                self.wait(run_ended).await;
                continue;
            }
            let handed = due.into_iter().map(|item| {
                let attempt = attempts.entry((item.key.clone(), item.version)).or_default();
                *attempt += 1;
                self.hand_over(item, *attempt, &input)
            });
            let handed: Vec<_> = handed.collect();
            join_all(handed).await.into_iter().collect::<Result<(), LedgerError>>()?;
        }
    }

    async fn find_due(&self, now: Timestamp) -> Result<Vec<ReviewItem>, LedgerError> {
        let (ledger, batch) = (self.lease.ledger(), self.lease.batch());
        let only_approved = self.batch.review.required;
        ledger.due_deliveries(batch, only_approved, now, PARALLEL_MAX).await
    }

    /// Returns whether this run tries a video again that was not due at `searched_at`.
    async fn has_retries(&self, searched_at: Timestamp) -> Result<bool, LedgerError> {
        let due = self.lease.ledger().next_delivery_due(self.lease.batch()).await?;
        let of_this_run = searched_at..DUE_IN_NEXT_RUN;
        Ok(due.is_some_and(|due| of_this_run.contains(&due)))
    }

    async fn wait(&self, run_ended: &CancellationToken) {
        let is_over = run_ended.is_cancelled();
        tokio::select! {
            () = self.clock.sleep(SEARCH_INTERVAL) => {}
            () = run_ended.cancelled(), if !is_over => {}
            () = self.stop.draining() => {}
        }
    }

    async fn hand_over(
        &self,
        item: ReviewItem,
        attempt: u32,
        input: &DeliveryInput,
    ) -> Result<(), LedgerError> {
        let ended = self.run_command(&item, attempt, input).await;
        let now = self.clock.now();
        let result = match ended {
            Ok(()) => DeliveryResult::Done,
            Err(message) => {
                let observed = SessionEvent::DeliveryFailed { key: &item.key, message: &message };
                self.observer.notify(observed);
                let limits = &self.batch.limits;
                let first = limits.backoff_min.min(limits.backoff_max);
                DeliveryResult::Failed { message, due_at: next_attempt(now, attempt, first) }
            }
        };
        self.lease.record_delivery(item, result, now).await
    }

    async fn run_command(
        &self,
        item: &ReviewItem,
        attempt: u32,
        input: &DeliveryInput,
    ) -> Result<(), String> {
        let path = self.folder.join(&item.video_file);
        if !path.is_file() {
            return Err(format!("`{}` does not exist", path.display()));
        }
        if self.batch.review.required && !is_approved_file(path.clone(), item).await {
            return Err(format!(
                "`{}` is not the file that was approved; delete it, and the next run downloads the \
                 video again",
                path.display()
            ));
        }
        let words = &self.settings.command;
        let Some(program) = words.first() else { return Ok(()) };
        let document = input.document(item, &path, attempt);
        let secret_vars = self.batch.secret_vars();
        let command = ForeignCommand::program(words, &secret_vars, self.batch.folder());
        let command = command.with_time_limit(self.settings.timeout);
        let document = document.to_string();
        let stopped = async {
            self.stop.draining().await;
            self.clock.sleep(COMMAND_AFTER_SIGNAL_MAX).await;
        };
        tokio::select! {
            ended = command.run_with_input(document.as_bytes()) => {
                ended.map_err(|failure| format!("`{program}` {failure}"))
            }
            () = stopped => Err(format!("`{program}` was killed because the run was stopped")),
        }
    }
}

/// Returns whether the file has the bytes to which the verdict is bound.
async fn is_approved_file(path: PathBuf, item: &ReviewItem) -> bool {
    let hash = item.video_hash.clone();
    let compared = tokio::task::spawn_blocking(move || has_video_bytes(&path, &hash)).await;
    matches!(compared, Ok(Ok(true)))
}

/// Returns when a video is tried again after its attempt of this number failed. Each pause is twice as
/// long as the one before.
fn next_attempt(now: Timestamp, attempt: u32, first_pause: Duration) -> Timestamp {
    if attempt >= ATTEMPTS_MAX {
        return DUE_IN_NEXT_RUN;
    }
    let pause = first_pause.saturating_mul(1 << attempt.saturating_sub(1));
    now.checked_add(pause).unwrap_or(DUE_IN_NEXT_RUN)
}

#[cfg(test)]
mod tests {
    use crate::session::delivery::*;

    #[test]
    fn pauses_double_and_the_last_failure_waits_for_the_next_run() {
        let first = Duration::from_secs(2);
        let pauses =
            [1, 2, 3, 4, 5].map(|attempt| next_attempt(Timestamp::UNIX_EPOCH, attempt, first));
        let [one, two, three] = [2, 4, 8].map(|s| Timestamp::from_second(s).unwrap());
        assert_eq!(pauses, [one, two, three, DUE_IN_NEXT_RUN, DUE_IN_NEXT_RUN]);
    }
}

//! Submissions that were declined, or given up and retried: each is checked some time later, and only
//! then is the decline believed, or the render paid for again. `evidence::recheck` concludes.

use std::time::Duration;

use crate::aistudios::StudioApi;
use crate::ledger::{DueJob, JobState, JobUpdate, LedgerError, RecheckReason, Transition};
use crate::runner::event::{CONFIRMED_PREFIX, RunEvent};
use crate::runner::evidence::project_index::ProjectIndex;
use crate::runner::evidence::recheck::{RecheckContext, RecheckVerdict, judge_recheck};
use crate::runner::evidence::{Observation, SubmissionEvidence};
use crate::runner::loops::reconcile::{CHECK_DELAY_MIN, Check, Reconciler};
use crate::runner::work_progress::DoubtedReport;

impl<S: StudioApi> Reconciler<S> {
    /// Records the conclusion about a submission that was declined, or given up and retried.
    pub(super) async fn act_on_recheck(
        &mut self,
        check: Check<'_>,
        index: &Result<ProjectIndex, String>,
        observation: &Observation,
        evidence: SubmissionEvidence,
    ) -> Result<(), LedgerError> {
        let Check { due, quiet_wait, read_at } = check;
        let context = RecheckContext {
            now: self.run.clock.now(),
            submit_retries: self.run.settings.limits.submit_retries,
            earlier_progress: self.watched_progress.get(&due.job).copied(),
        };
        let confirm_after = self.run.settings.limits.confirm_after;
        match judge_recheck(due, index, observation, context, evidence) {
            RecheckVerdict::Follow(evidence) => {
                self.watched_progress.remove(&due.job);
                self.follow(due, evidence).await
            }
            RecheckVerdict::Settle(update) => match self.recheck_wait(due, read_at.awake()) {
                Some(left) => self.schedule_recheck(due, left).await,
                None => self.settle_recheck(due, update).await,
            },
            RecheckVerdict::Watch { progress } => {
                self.watched_progress.insert(due.job, progress);
                self.schedule_recheck(due, confirm_after).await
            }
            RecheckVerdict::Unclear(message) => {
                let check = Check { due, quiet_wait, read_at };
                self.on_inconclusive(check, observation.callbacks.is_some(), message).await
            }
        }
    }

    /// Returns how long a decline or failure is still doubted; `None` once it may be believed. What
    /// an earlier run was told is believed by its own time; a render that was given up is checked
    /// twice by this process.
    fn recheck_wait(&self, due: &DueJob, read_at: Duration) -> Option<Duration> {
        let confirm_after = self.run.settings.limits.confirm_after;
        let report = match due.decline {
            Some(_) => DoubtedReport::Declined,
            None => DoubtedReport::Failed,
        };
        let doubted = self.run.progress.note_doubted(due.submission, report, read_at);
        let was_told = due.decline.is_some() || due.recheck != Some(RecheckReason::Retried);
        let is_new = doubted.is_zero();
        let since =
            if was_told && is_new { self.run.elapsed_since(due.recheck_since) } else { doubted };
        let left = confirm_after.saturating_sub(since);
        (!left.is_zero()).then_some(left)
    }

    async fn schedule_recheck(&self, due: &DueJob, pause: Duration) -> Result<(), LedgerError> {
        let due_at = self.run.timestamp_after(pause.max(CHECK_DELAY_MIN));
        let message = "checked once more before anything is paid again".to_owned();
        let update = JobUpdate::Inconclusive { due_at, message };
        self.run.record(due.job, due.submission, update).await?;
        Ok(())
    }

    /// Believes a decline, or that a render which was given up has failed.
    async fn settle_recheck(&mut self, due: &DueJob, update: JobUpdate) -> Result<(), LedgerError> {
        self.quiet_waits.remove(&due.job);
        self.watched_progress.remove(&due.job);
        self.run.progress.clear_doubted(due.submission);
        let message = due.decline.clone().unwrap_or_else(|| "its render failed".to_owned());
        let recorded = self.run.record(due.job, due.submission, update).await?;
        if recorded.transition == Transition::Unchanged {
            return Ok(());
        }
        self.run.progress.jobs_for_operator().remove(&due.job);
        let key = due.key.clone();
        self.run.observer.notify(match recorded.state {
            JobState::Failed => RunEvent::Failed { key, message },
            _ => {
                let message = match due.decline {
                    Some(_) => format!("{CONFIRMED_PREFIX}{message}"),
                    None => message,
                };
                RunEvent::Retry { key, message, due_at: self.run.clock.now() }
            }
        });
        Ok(())
    }
}

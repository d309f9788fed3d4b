//! The operator between two runs, who knows the truth because he looked at AI Studios' website: he
//! settles what is uncertain, takes jobs out, and wants them again.
//!
//! He never says what is not so, and says nothing of a request that may still be acted upon: what
//! follows from a wrong word is on his own bill, and no run can mend it.

use std::path::Path;

use callsheet::ledger::{
    BatchLease, DueJob, Durability, JobState, JobUpdate, Ledger, RetryFilter, RunEnding, RunOwner,
};
use jiff::Timestamp;
use rand::Rng;
use rand::rngs::StdRng;

use super::studio_records::{ActualOutcome, StudioState};

/// Who decides, and when.
pub(super) struct SimulatedOperator<'w> {
    pub(super) studio: &'w mut StudioState,
    pub(super) now: Timestamp,
}

impl SimulatedOperator<'_> {
    /// Settles some uncertain jobs and takes some out that were not sent.
    pub(super) fn resolve_and_cancel(&mut self, ledger: &Path, dice: &mut StdRng) {
        self.studio.open_website(self.now);
        with_leased_ledger(ledger, self.now, async |lease| {
            for row in lease.ledger().rows(lease.batch(), -1, 1000).await.unwrap() {
                let key = row.key.unwrap();
                if row.state == Some(JobState::Ready) && dice.random_bool(0.1) {
                    self.studio.note(self.now, &format!("a person takes {key} out"));
                    lease.cancel_jobs(vec![key], self.now).await.unwrap();
                } else if row.state == Some(JobState::Uncertain) && dice.random_bool(0.7) {
                    let due =
                        lease.ledger().uncertain_job(lease.batch(), &key).await.unwrap().unwrap();
                    let Some(news) = self.resolution_for(&due) else { continue };
                    self.studio.note(self.now, &format!("a person settles {key}: {news:?}"));
                    let told = lease.record_update(due.job, due.submission, news, self.now).await;
                    if let Err(error) = told {
                        self.studio.add_violation(
                            self.now,
                            format!("no word is taken for {key}: {error}"),
                        );
                    }
                }
            }
        });
    }

    /// Wants everything again that he took out.
    pub(super) fn retry_cancelled(&mut self, ledger: &Path) {
        with_leased_ledger(ledger, self.now, async |lease| {
            let cause = Some("cancelled".to_owned());
            let chosen = RetryFilter { cause, ..RetryFilter::default() };
            lease.retry_jobs(chosen, self.now).await.unwrap();
        });
    }

    fn resolution_for(&mut self, due: &DueJob) -> Option<JobUpdate> {
        if !self.studio.setup.kind.is_tagged() {
            // On the website, one row's video looks like another's.
            return None;
        }
        let (due_at, words) = (self.now, "seen on the website".to_owned());
        match self.studio.actual_outcome(due.tag.as_str()) {
            ActualOutcome::Pending => None,
            ActualOutcome::NotAccepted => Some(JobUpdate::ProvenAbsent { due_at, message: words }),
            ActualOutcome::Rendered { project, id } => {
                self.studio.mark_accepted(self.now, project);
                let project_id = due.project_id.clone().unwrap_or_else(|| id.clone());
                let render_id = (project_id != id).then_some(id);
                Some(JobUpdate::Accepted { project_id, render_id, due_at, message: words })
            }
        }
    }
}

/// Opens the ledger as a person's command does: under a lease of its own.
fn with_leased_ledger(path: &Path, now: Timestamp, decide: impl AsyncFnOnce(&BatchLease)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open(path, Durability::ProcessDeath).await.unwrap();
        let Ok(batch) = ledger.batch("night").await else { return };
        let owner = RunOwner { host: "sim".to_owned(), pid: 2 };
        let lease = ledger.begin_run(batch.id, owner, now).await.unwrap();
        decide(&lease).await;
        lease.end_run(RunEnding::Ended, now).await.unwrap();
        ledger.close().await;
    });
    drop(runtime);
    super::scenario::wait_until_closed(path);
}

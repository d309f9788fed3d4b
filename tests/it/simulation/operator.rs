//! The operator between two runs, who knows the real state from AI Studios' website: resolves uncertain
//! jobs, cancels jobs and retries them.
//!
//! The operator never states anything untrue, and leaves requests alone that may still take effect: no
//! run can repair the consequences of a wrong decision.

use callsheet::ledger::{
    BatchLease, DueJob, Durability, JobState, JobUpdate, Ledger, RequestedAction, RunEnding,
    RunOwner, TargetFilter,
};
use jiff::Timestamp;
use rand::Rng;
use rand::rngs::StdRng;

use super::super::support::carry_out_request;
use super::studio_records::{ActualOutcome, StudioState};
use crate::support::TestStore;

/// The operator at one point in time.
pub(super) struct SimulatedOperator<'w> {
    pub(super) studio: &'w mut StudioState,
    pub(super) now: Timestamp,
}

impl SimulatedOperator<'_> {
    /// Resolves some uncertain jobs and cancels some that were not sent.
    pub(super) fn resolve_and_cancel(&mut self, ledger: &TestStore, rng: &mut StdRng) {
        self.studio.open_website(self.now);
        with_leased_ledger(ledger, self.now, async |lease| {
            for row in lease.ledger().rows(lease.batch(), -1, 1000).await.unwrap() {
                let key = row.key.unwrap();
                if row.state == Some(JobState::Ready) && rng.random_bool(0.1) {
                    self.studio.note(self.now, &format!("the operator cancels {key}"));
                    let filter = TargetFilter { keys: vec![key], ..TargetFilter::default() };
                    carry_out_request(lease, RequestedAction::Cancel(filter), self.now).await;
                } else if row.state == Some(JobState::Uncertain) && rng.random_bool(0.7) {
                    let due =
                        lease.ledger().uncertain_job(lease.batch(), &key).await.unwrap().unwrap();
                    let Some(update) = self.resolution_for(&due) else { continue };
                    self.studio.note(self.now, &format!("the operator resolves {key}: {update:?}"));
                    let recorded =
                        lease.record_update(due.job, due.submission, update, self.now).await;
                    if let Err(error) = recorded {
                        self.studio.add_violation(
                            self.now,
                            format!("the resolution of {key} is refused: {error}"),
                        );
                    }
                }
            }
        });
    }

    /// Retries all cancelled jobs.
    pub(super) fn retry_cancelled(&mut self, ledger: &TestStore) {
        with_leased_ledger(ledger, self.now, async |lease| {
            let cause = Some("cancelled".to_owned());
            let filter = TargetFilter { cause, ..TargetFilter::default() };
            carry_out_request(lease, RequestedAction::Retry(filter), self.now).await;
        });
    }

    fn resolution_for(&mut self, due: &DueJob) -> Option<JobUpdate> {
        if !self.studio.setup.kind.is_tagged() {
            // On the website, the rows' videos are not distinguishable.
            return None;
        }
        let (due_at, message) = (self.now, "seen on the website".to_owned());
        match self.studio.actual_outcome(due.tag.as_str()) {
            ActualOutcome::Pending => None,
            ActualOutcome::NotAccepted => Some(JobUpdate::ProvenAbsent { due_at, message }),
            ActualOutcome::Rendered { project, id } => {
                self.studio.mark_accepted(self.now, project);
                let project_id = due.project_id.clone().unwrap_or_else(|| id.clone());
                let render_id = (project_id != id).then_some(id);
                Some(JobUpdate::Accepted { project_id, render_id, due_at, message })
            }
        }
    }
}

/// Opens the ledger as a command of the operator does: with its own lease.
fn with_leased_ledger(store: &TestStore, now: Timestamp, decide: impl AsyncFnOnce(&BatchLease)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ledger = Ledger::open(store.address(), Durability::ProcessDeath).await.unwrap();
        let Ok(batch) = ledger.batch("promo").await else { return };
        let owner = RunOwner { host: "sim".to_owned(), pid: 2 };
        let lease = ledger.begin_run(batch.id, owner, now).await.unwrap();
        decide(&lease).await;
        lease.end_run(RunEnding::Ended, now).await.unwrap();
        ledger.close().await;
    });
    drop(runtime);
    store.wait_until_closed();
}

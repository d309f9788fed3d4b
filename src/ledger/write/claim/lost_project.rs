//! Leaving out of a claim the jobs whose project the ledger has lost: they are checked first.

use crate::ledger::model::capacity::SubmitStep;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::write::catch_up::found_project::{AdoptableJob, ProjectAdoption};
use crate::ledger::write::claim::{ClaimSubmissions, ReadyJob};
use crate::request::SubmissionMode;

impl ReadyJob {
    fn as_adoptable(&self) -> AdoptableJob {
        AdoptableJob {
            job: self.job,
            key: self.key.clone(),
            version: self.version,
            attempts: self.attempts,
            payload_hash: self.payload_hash.clone(),
        }
    }
}

impl ClaimSubmissions {
    /// Makes the jobs of the queue uncertain for which a project was found, and leaves them out.
    pub(super) async fn leave_out_found(
        &self,
        db: &mut StoreConnection,
        batch_name: &str,
        queue: &mut Vec<ReadyJob>,
    ) -> Result<(), sqlx::Error> {
        let jobs = queue.iter().filter(|queued| queued.submission_id.is_none());
        let jobs: Vec<_> = jobs.map(ReadyJob::as_adoptable).collect();
        let mode = match self.step {
            SubmitStep::Draft | SubmitStep::Export => SubmissionMode::TwoStep,
            SubmitStep::Create => SubmissionMode::OneStep,
        };
        let (run, now) = (self.run.0, self.now);
        let tag_secret = &self.tag_secret;
        let adoption = ProjectAdoption { run, batch_name, mode, tag_secret, now };
        let adopted = adoption.adopt(db, &jobs).await?;
        queue.retain(|queued| !adopted.contains(&queued.job));
        Ok(())
    }
}

//! Drafts that AI Studios is still generating: ready jobs for which nothing has been paid.
//!
//! A progress request for one is free. The claim leases the job to this run, like a claim to
//! submit, since a ready job may still carry the lease of an earlier run.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::due::{DueClaim, job_id_list};
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, JobId, Ledger, SubmissionId};

/// A draft that is being generated.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct GeneratingDraft {
    /// The job's id.
    #[sqlx(try_from = "i64")]
    pub job: JobId,
    /// The job's key.
    pub key: String,
    /// Its current submission.
    #[sqlx(try_from = "i64")]
    pub submission: SubmissionId,
    /// The project that is being generated.
    pub project_id: String,
    /// When it was begun.
    #[sqlx(try_from = "StoredTime")]
    pub begun_at: Timestamp,
    /// 0 to 100, as last reported.
    pub progress: Option<f64>,
    /// When progress last moved.
    #[sqlx(try_from = "StoredTime")]
    pub moved_at: Option<Timestamp>,
    /// Failed drafts and renders so far that were begun again.
    pub rerenders: i64,
}

static DUE_DRAFTS: Statement = Statement::new(
    "-- ledger::claim_generating_drafts
    select j.id as job, j.key, s.id as submission, s.project_id, s.begun_at, j.progress,
           j.moved_at, j.rerenders
    from job j {by job_due}
    join submission s on s.id = j.submission_id
    where j.batch_id = $1 and j.state = 'ready' and j.drafted = 2 and j.due_at <= $2
        and j.id not in ({list $5})
        and exists (select 1 from run where id = $3 and ended_at is null)
    order by j.due_at, j.position limit $4",
);

static LEASE_DRAFTS: Statement = Statement::new(
    "-- ledger::claim_generating_drafts, lease
    update job set due_at = $3, lease_token = $2
    where id in ({list $1}) and {unindexed state} = 'ready' and drafted = 2",
);

static NEXT_DRAFT_DUE: Statement = Statement::new(
    "-- ledger::next_generating_due_at
    select min(due_at) from job {by job_due}
    where batch_id = $1 and state = 'ready' and drafted = 2",
);

static COUNT_GENERATING: Statement = Statement::new(
    "-- ledger::count_generating
    select count(*) from job {by job_due}
    where batch_id = $1 and state = 'ready' and drafted = 2",
);

static ALL_EXPORTS_KEEP_ID: Statement = Statement::new(
    "-- ledger::has_stable_export_ids
    select exists (select 1 from submission s join job j on j.id = s.job_id
            where j.batch_id = $1 and s.way = 'two-step' and s.outcome = 'rendered'
                and s.render_id is null and coalesce(s.subject, '') <> s.project_id)
        and not exists (select 1 from submission s join job j on j.id = s.job_id
            where j.batch_id = $1 and s.way = 'two-step' and s.render_id is not null)",
);

/// Whether an export of this batch ended under another id than its draft's.
static ANY_EXPORT_CHANGED_ID: Statement = Statement::new(
    "-- ledger::has_stable_export_ids, changed
    select exists (select 1 from submission s join job j on j.id = s.job_id
            where j.batch_id = $1 and s.way = 'two-step' and s.render_id is not null)",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] =
    &[&DUE_DRAFTS, &LEASE_DRAFTS, &NEXT_DRAFT_DUE, &COUNT_GENERATING];

struct ClaimGeneratingDrafts {
    run: RunId,
    batch: BatchId,
    claim: DueClaim,
}

impl WriteOp for ClaimGeneratingDrafts {
    type Output = Vec<GeneratingDraft>;

    async fn apply(
        &mut self,
        db: &mut StoreConnection,
    ) -> Result<Vec<GeneratingDraft>, LedgerError> {
        let due: Vec<GeneratingDraft> = db
            .fetch_all(
                &DUE_DRAFTS,
                binds![
                    self.batch.0,
                    self.claim.now,
                    self.run.0,
                    i64::from(self.claim.max),
                    job_id_list(&self.claim.excluded)
                ],
            )
            .await?;
        if !due.is_empty() {
            let jobs: Vec<_> = due.iter().map(|one| one.job).collect();
            db.execute(
                &LEASE_DRAFTS,
                binds![job_id_list(&jobs), self.run.0, self.claim.busy_until],
            )
            .await?;
        }
        Ok(due)
    }
}

impl BatchLease {
    /// Claims drafts that are due for a progress request, and postpones them.
    pub async fn claim_generating_drafts(
        &self,
        claim: DueClaim,
    ) -> Result<Vec<GeneratingDraft>, LedgerError> {
        let (run, batch) = (self.run, self.batch);
        self.ledger.writer.execute(ClaimGeneratingDrafts { run, batch, claim }).await
    }
}

impl Ledger {
    /// Returns when the next draft is due for a progress request.
    pub async fn next_generating_due_at(
        &self,
        batch: BatchId,
    ) -> Result<Option<Timestamp>, LedgerError> {
        let due: StoredTime = self.readers.fetch_value(&NEXT_DRAFT_DUE, binds![batch.0]).await?;
        Ok(due.into())
    }

    /// Returns how many drafts of a batch are being generated.
    pub async fn count_generating(&self, batch: BatchId) -> Result<u64, LedgerError> {
        let count: i64 = self.readers.fetch_value(&COUNT_GENERATING, binds![batch.0]).await?;
        Ok(count.unsigned_abs())
    }

    /// Returns whether exports of this batch have kept the id of their draft, and none has changed
    /// it. For kinds without a tag, only this makes an untouched draft a proof. A `known` behaviour
    /// replaces missing observations, but not contrary ones.
    pub async fn has_stable_export_ids(
        &self,
        batch: BatchId,
        known: Option<bool>,
    ) -> Result<bool, LedgerError> {
        match known {
            Some(false) => Ok(false),
            Some(true) => {
                let is_changed: bool =
                    self.readers.fetch_value(&ANY_EXPORT_CHANGED_ID, binds![batch.0]).await?;
                Ok(!is_changed)
            }
            None => Ok(self.readers.fetch_value(&ALL_EXPORTS_KEEP_ID, binds![batch.0]).await?),
        }
    }
}

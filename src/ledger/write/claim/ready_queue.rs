//! The queue that a claim takes its jobs from: the due jobs in their order, as far as the sample gate lets
//! them through.
//!
//! Reads only; how many jobs are asked for is the claim's decision. Invariant: a job whose project another
//! job still uses is not in the queue.

use crate::ledger::error::LedgerError;
use crate::ledger::model::capacity::SubmitStep;
use crate::ledger::model::stored_payload::StoredPayload;
use crate::ledger::store::bind_value::{BindValue, binds};
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::claim::ClaimSubmissions;
use crate::ledger::write::claim::sample_gate::SampleGate;

/// The due jobs in their order, except those that change a project which another job still uses:
/// until that job's video is downloaded, its link may show the project's latest render. Videos of
/// rows that were removed from the sheet do not count.
macro_rules! due {
    ($what:literal, $index:literal, $among:literal) => {
        concat!(
            "-- ledger::claim_submissions, ",
            $what,
            "
    select j.id as job, j.key, j.version, j.attempts, j.submit_failures, j.submission_id,
           s.tag || coalesce('-' || s.seal, '') as tag, s.project_id, v.payload,
           d.payload as dictionary, v.payload_hash, v.spoken_ms,
           v.request, v.subject,
           exists (select 1 from hearsay y where y.submission_id = s.id) as called_about
    from job j {by ",
            $index,
            "}
    join version v on v.job_id = j.id and v.version = j.version
    left join payload_dictionary d on d.id = v.dictionary_id
    left join submission s on s.id = j.submission_id
    where j.batch_id = $1 and j.state = 'ready' and j.drafted = $2 and j.due_at <= $3",
            $among,
            "
        and ($2 = 1 or v.subject is null or not exists (
            select 1 from submission o {by submission_subject}
            join job h on h.id = o.job_id
            where o.subject = v.subject and (o.project_id is null or o.project_id = o.subject)
                and (o.live = 1 or h.submission_id = o.id
                    or (h.state = 'failed' and h.cause = 'fetch-failed' and h.in_sheet = true
                        and o.outcome = 'rendered'))))
    order by j.due_at, j.position limit $4"
        )
    };
}

static READY_JOBS: Statement = Statement::new(due!("queue", "job_due", ""));
static READY_SELECTED_JOBS: Statement =
    Statement::new(due!("selected queue", "job_selected", " and j.selection = $5"));

static READY_SAMPLE_JOBS: Statement = Statement::new(due!(
    "queue of the sample",
    "job_due",
    "
        and j.id in (select job_id from sample_video where batch_id = $1)
        and (cast($5 as bigint) is null or j.selection = $5)"
));

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] =
    &[&READY_JOBS, &READY_SELECTED_JOBS, &READY_SAMPLE_JOBS];

#[derive(sqlx::FromRow)]
pub(super) struct ReadyJob {
    pub(super) job: i64,
    pub(super) key: String,
    pub(super) version: i64,
    pub(super) attempts: i64,
    pub(super) submit_failures: i64,
    pub(super) submission_id: Option<i64>,
    pub(super) tag: Option<String>,
    pub(super) project_id: Option<String>,
    #[sqlx(flatten)]
    pub(super) payload: StoredPayload,
    pub(super) payload_hash: String,
    pub(super) spoken_ms: i64,
    pub(super) request: String,
    pub(super) subject: Option<String>,
    pub(super) called_about: bool,
}

/// The due jobs that a claim found.
pub(super) struct ReadyQueue {
    /// The step for which they are ready.
    pub(super) step: SubmitStep,
    /// In their order.
    pub(super) jobs: Vec<ReadyJob>,
    /// How many were asked for.
    pub(super) max: i64,
}

impl ClaimSubmissions {
    /// Reads the due jobs. Existing drafts are exported first, whatever the batch file says now.
    pub(super) async fn read_ready_jobs(
        &self,
        db: &mut StoreConnection,
        gate: SampleGate,
        max: i64,
        drafted: i64,
    ) -> Result<ReadyQueue, LedgerError> {
        if self.step == SubmitStep::Create && drafted > 0 {
            let drafts = self.read_jobs_at_gate(db, gate, SubmitStep::Export, max).await?;
            if !drafts.jobs.is_empty() {
                return Ok(drafts);
            }
        }
        self.read_jobs_at_gate(db, gate, self.step, max).await
    }

    /// Reads the due jobs of one step that the gate lets through. Rows of the sample come first: no other
    /// row takes their places.
    async fn read_jobs_at_gate(
        &self,
        db: &mut StoreConnection,
        gate: SampleGate,
        step: SubmitStep,
        max: i64,
    ) -> Result<ReadyQueue, LedgerError> {
        let max = match gate {
            SampleGate::Open => max,
            SampleGate::Closed { own, others } => {
                let max_own = max.min(own);
                let selection = self.capacity.selection.map(|selection| selection.0);
                let mut binds = self.queue_binds(step, max_own);
                binds.push(selection.into());
                let jobs: Vec<ReadyJob> = db.fetch_all(&READY_SAMPLE_JOBS, binds).await?;
                if !jobs.is_empty() {
                    return Ok(ReadyQueue { step, jobs, max: max_own });
                }
                max.min(others)
            }
        };
        let mut binds = self.queue_binds(step, max);
        let statement = match self.capacity.selection {
            Some(selection) => {
                binds.push(selection.0.into());
                &READY_SELECTED_JOBS
            }
            None => &READY_JOBS,
        };
        Ok(ReadyQueue { step, jobs: db.fetch_all(statement, binds).await?, max })
    }

    fn queue_binds(&self, step: SubmitStep, max: i64) -> Vec<BindValue> {
        let is_export = i64::from(step == SubmitStep::Export);
        binds![self.batch.0, is_export, self.now, max]
    }
}

//! Claiming paid jobs that are due for a poll, a download or an evidence check.
//!
//! Such a claim costs nothing: it postpones the job, so that no other task claims it at the same
//! time. The claiming task records the result.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::model::outcome::DraftStatus;
use crate::ledger::model::recheck_reason::RecheckReason;
use crate::ledger::model::state::JobState;
use crate::ledger::model::tag::Tag;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::staging::JobSelection;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, JobId, Ledger, SubmissionId};

/// A job that is due for a poll, a download or an evidence check.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct DueJob {
    /// The job's id.
    #[sqlx(try_from = "i64")]
    pub job: JobId,
    /// The job's key.
    pub key: String,
    /// Its version.
    pub version: i64,
    /// Its current submission.
    #[sqlx(try_from = "i64")]
    pub submission: SubmissionId,
    /// That submission's tag.
    #[sqlx(try_from = "String")]
    pub tag: Tag,
    /// The project as made.
    pub project_id: Option<String>,
    /// The project as rendered, if it differs.
    pub render_id: Option<String>,
    /// When the paid request's intent was committed.
    #[sqlx(try_from = "StoredTime")]
    pub paid_at: Option<Timestamp>,
    /// When the render was accepted.
    #[sqlx(try_from = "StoredTime")]
    pub rendering_at: Option<Timestamp>,
    /// 0 to 100, as last polled.
    pub progress: Option<f64>,
    /// When progress last moved.
    #[sqlx(try_from = "StoredTime")]
    pub moved_at: Option<Timestamp>,
    /// Polls so far.
    pub polls: i64,
    /// Evidence checks so far.
    pub looks: i64,
    /// Paid re-renders so far.
    pub rerenders: i64,
    /// Failed downloads so far.
    pub fetch_failures: i64,
    /// The URL of the finished file.
    pub video_url: Option<String>,
    /// The file's name in the output folder.
    pub file_name: String,
    /// The script's estimated duration in milliseconds.
    pub spoken_ms: i64,
    /// The kind of request, as text.
    pub request: String,
    /// The project that was changed in place to make it.
    pub subject: Option<String>,
    /// The render that its project already had before.
    pub mark: Option<String>,
    /// Why it is checked although its response arrived.
    pub recheck: Option<RecheckReason>,
    /// Since when.
    #[sqlx(try_from = "StoredTime")]
    pub recheck_since: Option<Timestamp>,
    /// What AI Studios reported when it declined the request.
    pub decline: Option<String>,
    /// Free submit failures so far.
    pub submit_failures: i64,
}

impl DueJob {
    /// Returns whether its render was given up and the job retried: it may still finish.
    pub fn was_given_up(&self) -> bool {
        self.recheck == Some(RecheckReason::Retried) && self.decline.is_none()
    }
}

impl From<String> for Tag {
    fn from(text: String) -> Self {
        Self::from_stored(text)
    }
}

static DUE_JOBS: Statement = Statement::new(
    "-- ledger::claim_due_jobs
    select j.id as job, j.key, j.version, s.id as submission,
           s.tag || coalesce('-' || s.seal, '') as tag, s.project_id, s.render_id,
           s.paid_at, j.rendering_at, j.progress, j.moved_at, j.polls, s.looks, j.rerenders,
           j.fetch_failures, s.video_url, v.file_name, v.spoken_ms, v.request, s.subject, s.mark,
           s.recheck, s.recheck_since, s.decline, j.submit_failures
    from job j {by job_due}
    join submission s on s.id = j.submission_id
    join version v on v.job_id = j.id and v.version = s.version
    where j.batch_id = $1 and j.state = $2 and j.drafted = 0 and j.due_at <= $3
        and j.id not in ({list $5})
    order by j.due_at, j.position limit $4",
);

static POSTPONE_JOBS: Statement = Statement::new(
    "-- ledger::claim_due_jobs, postpone
    update job set due_at = $3
    where id in ({list $1}) and lease_token = $2",
);

static MOVE_DUE_TIMES_BACK: Statement = Statement::new(
    "-- ledger::move_due_times_back
    update job {by job_due} set due_at = due_at - $3
    where batch_id = $1 and state in ('ready', 'uncertain', 'rendering', 'fetching')
        and drafted in (0, 1, 2) and due_at > $4
        and exists (select 1 from run where id = $2 and ended_at is null)",
);

static REMAINING_WORK: Statement = Statement::new(
    "-- ledger::remaining_work
    select state, jobs from tally where batch_id = $1
    union all
    select 'named', cast(case when exists (select 1 from job {by job_selected}
        where batch_id = $1 and selection = $2 and state = 'ready') then 1 else 0 end as bigint)",
);

static COUNT_READY_SELECTED: Statement = Statement::new(
    "-- ledger::count_ready_selected
    select count(*) from job {by job_selected}
    where batch_id = $1 and selection = $2 and state = 'ready'",
);

static COUNT_BEGUN: Statement = Statement::new(
    "-- ledger::count_begun
    select r.submitted + (select count(*) from job j {by job_due}
        join submission s on s.id = j.submission_id
        where j.batch_id = r.batch_id and j.state = 'submitting' and s.outcome = 'drafting')
    from run r where r.id = $1",
);

static NEXT_DUE: Statement = Statement::new(
    "-- ledger::next_due_at
    select min(due_at) from job {by job_due}
    where batch_id = $1 and state = $2 and drafted = $3",
);

static COUNT_PROVEN_ABSENT: Statement = Statement::new(
    "-- ledger::count_proven_absent
    select count(*) from event {by event_job}
    where job_id = $1 and submission_id = $2 and event = 'proven-not-made'",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[
    &DUE_JOBS,
    &POSTPONE_JOBS,
    &MOVE_DUE_TIMES_BACK,
    &REMAINING_WORK,
    &COUNT_READY_SELECTED,
    &COUNT_BEGUN,
    &NEXT_DUE,
    &COUNT_PROVEN_ABSENT,
];

/// How many due jobs to claim, and for how long.
#[derive(Clone, Debug)]
pub struct DueClaim {
    /// Jobs to claim at most.
    pub max: u32,
    /// Jobs that are not claimed, because a task of this run works on them.
    pub excluded: Vec<JobId>,
    /// The current time: jobs due at or before it are claimed.
    pub now: Timestamp,
    /// The time until which the claimed jobs are not due again.
    pub busy_until: Timestamp,
}

struct ClaimDueJobs {
    run: RunId,
    batch: BatchId,
    state: JobState,
    claim: DueClaim,
}

impl WriteOp for ClaimDueJobs {
    type Output = Vec<DueJob>;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<Vec<DueJob>, LedgerError> {
        let due: Vec<DueJob> = db
            .fetch_all(
                &DUE_JOBS,
                binds![
                    self.batch.0,
                    self.state.as_str(),
                    self.claim.now,
                    i64::from(self.claim.max),
                    job_id_list(&self.claim.excluded)
                ],
            )
            .await?;
        if due.is_empty() {
            return Ok(due);
        }
        let jobs: Vec<_> = due.iter().map(|one| one.job).collect();
        let postponed = db
            .execute(&POSTPONE_JOBS, binds![job_id_list(&jobs), self.run.0, self.claim.busy_until])
            .await?;
        if postponed != due.len() as u64 {
            return Err(LedgerError::LeaseLost);
        }
        Ok(due)
    }
}

struct MoveDueTimesBack {
    run: RunId,
    batch: BatchId,
    by: SignedDuration,
    now: Timestamp,
}

impl WriteOp for MoveDueTimesBack {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        db.execute(
            &MOVE_DUE_TIMES_BACK,
            binds![
                self.batch.0,
                self.run.0,
                i64::try_from(self.by.as_millis()).unwrap_or(i64::MAX),
                self.now
            ],
        )
        .await?;
        Ok(())
    }
}

/// Returns the ids as a list to bind.
pub(in crate::ledger) fn job_id_list(jobs: &[JobId]) -> Vec<i64> {
    jobs.iter().map(|job| job.0).collect()
}

impl BatchLease {
    /// Claims due jobs in `state` and postpones them, so that they are not claimed twice.
    pub async fn claim_due_jobs(
        &self,
        state: JobState,
        claim: DueClaim,
    ) -> Result<Vec<DueJob>, LedgerError> {
        if claim.max == 0 {
            return Ok(Vec::new());
        }
        let (run, batch) = (self.run, self.batch);
        self.ledger.writer.execute(ClaimDueJobs { run, batch, state, claim }).await
    }

    /// Moves all due times of open jobs that are in the future back by `by`, because the wall clock,
    /// which shows `now`, was set back by that.
    pub async fn move_due_times_back(
        &self,
        by: SignedDuration,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let (run, batch) = (self.run, self.batch);
        self.ledger.writer.execute(MoveDueTimesBack { run, batch, by, now }).await
    }
}

impl Ledger {
    /// Returns the remaining work in one snapshot: jobs by state, including removed rows, and
    /// whether any job of the selection (or of all) is ready, due or not.
    pub async fn remaining_work(
        &self,
        batch: BatchId,
        selection: Option<JobSelection>,
    ) -> Result<(BTreeMap<JobState, u64>, bool), LedgerError> {
        let rows: Vec<(String, i64)> = self
            .readers
            .fetch_all(&REMAINING_WORK, binds![batch.0, selection.map(|selection| selection.0)])
            .await?;
        let mut counts: BTreeMap<JobState, u64> = BTreeMap::new();
        let mut has_selected = false;
        for (state, jobs) in rows {
            match JobState::parse(&state) {
                Some(state) => *counts.entry(state).or_default() += jobs.unsigned_abs(),
                None => has_selected = jobs > 0,
            }
        }
        let ready = counts.get(&JobState::Ready).is_some_and(|jobs| *jobs > 0);
        Ok((counts, if selection.is_some() { has_selected } else { ready }))
    }

    /// Returns how many jobs of the selection (or of all) are ready, due or not.
    pub async fn count_ready(
        &self,
        batch: BatchId,
        selection: Option<JobSelection>,
    ) -> Result<u64, LedgerError> {
        let Some(selection) = selection else {
            let (counts, _) = self.remaining_work(batch, None).await?;
            return Ok(counts.get(&JobState::Ready).copied().unwrap_or(0));
        };
        let binds = binds![batch.0, selection.0];
        let count: i64 = self.readers.fetch_value(&COUNT_READY_SELECTED, binds).await?;
        Ok(count.unsigned_abs())
    }

    /// Returns how many videos of its limit a live run has begun: its paid requests, and the drafts that
    /// are made for further ones.
    pub async fn count_begun(&self, run: i64) -> Result<u64, LedgerError> {
        let count: i64 = self.readers.fetch_value(&COUNT_BEGUN, binds![run]).await?;
        Ok(count.unsigned_abs())
    }

    /// Returns how often a paid request of this submission was sent and reconciled as never
    /// accepted.
    pub async fn count_proven_absent(
        &self,
        job: JobId,
        submission: SubmissionId,
    ) -> Result<u32, LedgerError> {
        let count: i64 =
            self.readers.fetch_value(&COUNT_PROVEN_ABSENT, binds![job.0, submission.0]).await?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Returns when the next job in `state` is due, if there is one. Ready jobs that have a draft do
    /// not count.
    pub async fn next_due_at(
        &self,
        batch: BatchId,
        state: JobState,
    ) -> Result<Option<Timestamp>, LedgerError> {
        self.query_next_due(batch, state, DraftStatus::None).await
    }

    /// Returns when the next ready job with a finished draft is due for its export.
    pub async fn next_export_due_at(
        &self,
        batch: BatchId,
    ) -> Result<Option<Timestamp>, LedgerError> {
        self.query_next_due(batch, JobState::Ready, DraftStatus::Ready).await
    }

    async fn query_next_due(
        &self,
        batch: BatchId,
        state: JobState,
        draft: DraftStatus,
    ) -> Result<Option<Timestamp>, LedgerError> {
        let binds = binds![batch.0, state.as_str(), draft];
        Ok(self.readers.fetch_value::<StoredTime>(&NEXT_DUE, binds).await?.into())
    }
}

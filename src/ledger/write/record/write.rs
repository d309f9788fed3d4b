//! Writing an evaluated update: the job, its submission, the video and the event. Nothing is decided
//! here, except whether an earlier version's video can be used again.

use jiff::Timestamp;

use crate::ledger::model::job::{Job, Submission};
use crate::ledger::model::job_update::VerifiedVideo;
use crate::ledger::model::state::{JobEvent, JobState};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::{BoundStatement, Statement};
use crate::ledger::write::catch_up::recheck::Recheck;
use crate::ledger::write::record::truncate_detail;

/// The rows that an update changes.
pub(super) struct EvaluatedUpdate<'u> {
    pub(super) batch: i64,
    pub(super) job_id: i64,
    pub(super) run: i64,
    pub(super) now: Timestamp,
    pub(super) job: Job,
    pub(super) submission: Submission,
    /// Most polls change the job alone.
    pub(super) is_submission_changed: bool,
    /// The run whose count of paid requests this one no longer belongs to.
    pub(super) unspent_run: Option<i64>,
    /// The downloaded file, and the batch whose canary it may be.
    pub(super) video: Option<(i64, &'u VerifiedVideo)>,
    /// The event, if the history keeps it.
    pub(super) event: Option<RecordedEvent>,
    /// The message that belongs to the update.
    pub(super) detail: Option<&'u str>,
    /// The job's next version, if it starts now, and the event that starts it.
    pub(super) successor: Option<(JobEvent, Job)>,
}

/// One line of the history.
pub(super) struct RecordedEvent {
    pub(super) version: i64,
    pub(super) event: &'static str,
    pub(super) state: JobState,
}

static UPDATE_JOB: Statement = Statement::new(
    "-- ledger::record, job
    update job set state = $3, drafted = $4, version = $5, wanted_version = $6, due_at = $7,
        submit_failures = $8, rerenders = $9, fetch_failures = $10, polls = $11,
        submission_id = $12, rendering_at = $13, progress = $14, moved_at = $15, stalled = $16,
        video_file = $17, cause = $18, words = $19
    where id = $1 and lease_token = $2",
);

static UPDATE_SUBMISSION: Statement = Statement::new(
    "-- ledger::record, submission
    update submission set outcome = $2, project_id = $3, render_id = $4, settled_at = $5,
        looks = $6, video_url = $7, credits = $8, subject = $9, mark = $10, paid_at = $11,
        recheck = $12, recheck_since = $13, decline = $14
    where id = $1",
);

static INSERT_EVENT: Statement = Statement::new(
    "-- ledger::record, event
    insert into event (job_id, version, submission_id, run_id, at, event, state, detail)
    values ($1, $2, $3, $4, $5, $6, $7, $8)",
);

static SAVE_VIDEO: Statement = Statement::new(
    "-- ledger::record, video
    update version set video_file = $3, video_bytes = $4, video_hash = $5, video_ms = $6,
        done_at = $7
    where job_id = $1 and version = $2",
);

static COUNT_CANARY: Statement = Statement::new(
    "-- ledger::record, canary
    update batch set canary_done = canary_done + 1
    where id = $3 and template_hash =
        (select template_hash from version where job_id = $1 and version = $2)",
);

static FIND_REUSABLE_VIDEO: Statement = Statement::new(
    "-- ledger::record, rendered before
    select w.version, w.video_file from version v
    join version w on w.job_id = v.job_id and w.payload_hash = v.payload_hash
    where v.job_id = $1 and v.version = $2 and w.done_at is not null
    order by w.version desc limit 1",
);

static IS_UNCERTAIN: Statement = Statement::new(
    "-- ledger::record, checked first
    select state = 'uncertain' from job where id = $1",
);

static REUSE_VIDEO: Statement = Statement::new(
    "-- ledger::record, reuse
    update version set reused_from = $3 where job_id = $1 and version = $2",
);

static UNCOUNT_SUBMITTED: Statement = Statement::new(
    "-- ledger::record, uncount
    update run set submitted = submitted - 1 where id = $1 and submitted > 0",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(super) static STATEMENTS: &[&Statement] = &[
    &UPDATE_JOB,
    &UPDATE_SUBMISSION,
    &SAVE_VIDEO,
    &COUNT_CANARY,
    &FIND_REUSABLE_VIDEO,
    &REUSE_VIDEO,
    &UNCOUNT_SUBMITTED,
];

impl EvaluatedUpdate<'_> {
    /// Writes the job, the submission, the event, the video and the start of the next version.
    pub(super) async fn write(&self, db: &mut StoreConnection) -> Result<(), sqlx::Error> {
        let mut changes = vec![self.job_change(&self.job)];
        if self.is_submission_changed {
            changes.push(self.submission_change());
        }
        if let Some(event) = &self.event {
            changes.push(self.event_change(event));
        }
        if let Some(run) = self.unspent_run {
            changes.push(BoundStatement::new(&UNCOUNT_SUBMITTED, binds![run]));
        }
        if let Some((batch, video)) = self.video {
            changes.extend(self.video_changes(batch, video));
        }
        if let Some((event, successor)) = &self.successor {
            changes.extend(self.successor_changes(*event, successor));
        }
        db.execute_together(changes).await
    }

    fn job_change(&self, job: &Job) -> BoundStatement {
        let binds = binds![
            self.job_id,
            self.run,
            job.state.as_str(),
            job.draft,
            job.version,
            job.wanted_version,
            job.due_at,
            job.submit_failures,
            job.rerenders,
            job.fetch_failures,
            job.polls,
            job.submission_id,
            job.rendering_at,
            job.progress,
            job.moved_at,
            job.stalled,
            job.video_file.as_deref(),
            job.cause.as_deref(),
            job.message.as_deref().map(truncate_detail)
        ];
        BoundStatement::new(&UPDATE_JOB, binds)
    }

    fn submission_change(&self) -> BoundStatement {
        let submission = &self.submission;
        let binds = binds![
            submission.id,
            submission.outcome.as_str(),
            submission.project_id.as_deref(),
            submission.render_id.as_deref(),
            submission.settled_at,
            submission.evidence_checks,
            submission.video_url.as_deref(),
            submission.credits,
            submission.exclusive_project.as_deref(),
            submission.previous_render_identity.as_deref(),
            submission.paid_at,
            submission.recheck.map(|(recheck, _)| recheck.as_str()),
            submission.recheck.map(|(_, since)| since),
            submission.decline.as_deref()
        ];
        BoundStatement::new(&UPDATE_SUBMISSION, binds)
    }

    fn event_change(&self, event: &RecordedEvent) -> BoundStatement {
        let binds = binds![
            self.job_id,
            event.version,
            self.submission.id,
            self.run,
            self.now,
            event.event,
            event.state.as_str(),
            self.detail
        ];
        BoundStatement::new(&INSERT_EVENT, binds)
    }

    fn video_changes(&self, batch: i64, video: &VerifiedVideo) -> [BoundStatement; 2] {
        let (job, version) = (self.job_id, self.submission.version);
        let VerifiedVideo { file, bytes, hash, duration_ms } = video;
        let saved = binds![job, version, file, *bytes, hash, *duration_ms, self.now];
        [
            BoundStatement::new(&SAVE_VIDEO, saved),
            BoundStatement::new(&COUNT_CANARY, binds![job, version, batch]),
        ]
    }

    /// Returns what makes the job its next version, and the event that starts it.
    fn successor_changes(&self, event: JobEvent, job: &Job) -> [BoundStatement; 2] {
        let event = RecordedEvent { version: job.version, event: event.as_str(), state: job.state };
        [self.job_change(job), self.event_change(&event)]
    }

    /// Uses the video of an earlier version for the next one if their contents are the same.
    /// Returns the job's state then.
    pub(super) async fn reuse_video(
        &self,
        db: &mut StoreConnection,
    ) -> Result<Option<JobState>, sqlx::Error> {
        let Some((_, successor)) = &self.successor else { return Ok(None) };
        if successor.state != JobState::Ready {
            return Ok(None);
        }
        let version = successor.version;
        let same: Option<(i64, String)> =
            db.fetch_optional(&FIND_REUSABLE_VIDEO, binds![self.job_id, version]).await?;
        let Some((source, file)) = same else { return self.recheck(db).await };
        let reused = Job { state: JobState::Reused, video_file: Some(file), ..successor.clone() };
        let reuse = BoundStatement::new(&REUSE_VIDEO, binds![self.job_id, version, source]);
        let changes = [reuse].into_iter().chain(self.successor_changes(JobEvent::Reused, &reused));
        db.execute_together(changes.collect()).await?;
        Ok(Some(reused.state))
    }

    /// The next version may have the content of one whose paid request is not settled: that is checked
    /// before anything is paid again.
    async fn recheck(&self, db: &mut StoreConnection) -> Result<Option<JobState>, sqlx::Error> {
        let (run, now) = (self.run, self.now);
        if (Recheck { batch: self.batch, run, now }).mark_jobs(db).await? == 0 {
            return Ok(None);
        }
        let is_checked: bool = db.fetch_value(&IS_UNCERTAIN, binds![self.job_id]).await?;
        Ok(is_checked.then_some(JobState::Uncertain))
    }
}

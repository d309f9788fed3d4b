//! Writing an evaluated update: the job, its submission, the video and the event. Nothing is decided
//! here, except whether an earlier version's video can be used again.

use sqlx::SqliteConnection;

use crate::ledger::model::job::{Job, Submission};
use crate::ledger::model::job_update::VerifiedVideo;
use crate::ledger::model::state::{JobEvent, JobState};
use crate::ledger::write::record::truncate_detail;

/// The rows that an update changes.
pub(super) struct EvaluatedUpdate<'u> {
    pub(super) job_id: i64,
    pub(super) run: i64,
    /// Milliseconds since 1970.
    pub(super) now: i64,
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

const UPDATE_JOB: &str = "-- ledger::record, job
    update job set state = ?3, drafted = ?4, version = ?5, wanted_version = ?6, due_at = ?7,
        submit_failures = ?8, rerenders = ?9, fetch_failures = ?10, polls = ?11,
        submission_id = ?12, rendering_at = ?13, progress = ?14, moved_at = ?15, stalled = ?16,
        video_file = ?17, cause = ?18, words = ?19
    where id = ?1 and lease_token = ?2";

const UPDATE_SUBMISSION: &str = "-- ledger::record, submission
    update submission set outcome = ?2, project_id = ?3, render_id = ?4, settled_at = ?5,
        looks = ?6, video_url = ?7, credits = ?8, subject = ?9, mark = ?10, paid_at = ?11,
        recheck = ?12, recheck_since = ?13, decline = ?14
    where id = ?1";

const INSERT_EVENT: &str = "-- ledger::record, event
    insert into event (job_id, version, submission_id, run_id, at, event, state, detail)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const SAVE_VIDEO: &str = "-- ledger::record, video
    update version set video_file = ?3, video_bytes = ?4, video_hash = ?5, video_ms = ?6,
        done_at = ?7
    where job_id = ?1 and version = ?2;
    update batch set canary_done = canary_done + 1
    where id = ?8 and template_hash =
        (select template_hash from version where job_id = ?1 and version = ?2)";

const FIND_REUSABLE_VIDEO: &str = "-- ledger::record, rendered before
    select w.version, w.video_file from version v
    join version w on w.job_id = v.job_id and w.payload_hash = v.payload_hash
    where v.job_id = ?1 and v.version = ?2 and w.done_at is not null
    order by w.version desc limit 1";

const REUSE_VIDEO: &str = "-- ledger::record, reuse
    update version set reused_from = ?3 where job_id = ?1 and version = ?2";

const UNCOUNT_SUBMITTED: &str = "-- ledger::record, uncount
    update run set submitted = submitted - 1 where id = ?1 and submitted > 0";

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    UPDATE_JOB,
    UPDATE_SUBMISSION,
    SAVE_VIDEO,
    FIND_REUSABLE_VIDEO,
    REUSE_VIDEO,
    UNCOUNT_SUBMITTED,
];

impl EvaluatedUpdate<'_> {
    /// Writes the job, the submission, the event, the video and the start of the next version.
    pub(super) async fn write(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        self.write_job(db, &self.job).await?;
        if self.is_submission_changed {
            self.write_submission(db).await?;
        }
        if let Some(event) = &self.event {
            self.insert_event(db, event).await?;
        }
        if let Some(run) = self.unspent_run {
            sqlx::query(UNCOUNT_SUBMITTED).bind(run).execute(&mut *db).await?;
        }
        if let Some((batch, video)) = self.video {
            self.save_video(db, batch, video).await?;
        }
        match &self.successor {
            Some((event, successor)) => self.write_successor(db, *event, successor).await,
            None => Ok(()),
        }
    }

    async fn write_job(&self, db: &mut SqliteConnection, job: &Job) -> Result<(), sqlx::Error> {
        let query = sqlx::query(UPDATE_JOB)
            .bind(self.job_id)
            .bind(self.run)
            .bind(job.state.as_str())
            .bind(job.draft)
            .bind(job.version)
            .bind(job.wanted_version)
            .bind(job.due_at)
            .bind(job.submit_failures)
            .bind(job.rerenders)
            .bind(job.fetch_failures)
            .bind(job.polls)
            .bind(job.submission_id)
            .bind(job.rendering_at)
            .bind(job.progress)
            .bind(job.moved_at)
            .bind(job.stalled)
            .bind(job.video_file.as_deref())
            .bind(job.cause.as_deref())
            .bind(job.message.as_deref().map(truncate_detail));
        query.execute(db).await.map(drop)
    }

    async fn write_submission(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let submission = &self.submission;
        let query = sqlx::query(UPDATE_SUBMISSION)
            .bind(submission.id)
            .bind(submission.outcome.as_str())
            .bind(submission.project_id.as_deref())
            .bind(submission.render_id.as_deref())
            .bind(submission.settled_at)
            .bind(submission.evidence_checks)
            .bind(submission.video_url.as_deref())
            .bind(submission.credits)
            .bind(submission.exclusive_project.as_deref())
            .bind(submission.previous_render_identity.as_deref())
            .bind(submission.paid_at)
            .bind(submission.recheck.map(|(recheck, _)| recheck.as_str()))
            .bind(submission.recheck.map(|(_, since)| since))
            .bind(submission.decline.as_deref());
        query.execute(db).await.map(drop)
    }

    async fn insert_event(
        &self,
        db: &mut SqliteConnection,
        event: &RecordedEvent,
    ) -> Result<(), sqlx::Error> {
        let query = sqlx::query(INSERT_EVENT)
            .bind(self.job_id)
            .bind(event.version)
            .bind(self.submission.id)
            .bind(self.run)
            .bind(self.now)
            .bind(event.event)
            .bind(event.state.as_str())
            .bind(self.detail);
        query.execute(db).await.map(drop)
    }

    async fn save_video(
        &self,
        db: &mut SqliteConnection,
        batch: i64,
        video: &VerifiedVideo,
    ) -> Result<(), sqlx::Error> {
        let query = sqlx::query(SAVE_VIDEO)
            .bind(self.job_id)
            .bind(self.submission.version)
            .bind(&video.file)
            .bind(video.bytes)
            .bind(&video.hash)
            .bind(video.duration_ms)
            .bind(self.now)
            .bind(batch);
        query.execute(db).await.map(drop)
    }

    /// Writes the job as its next version, and the event that starts it.
    async fn write_successor(
        &self,
        db: &mut SqliteConnection,
        event: JobEvent,
        job: &Job,
    ) -> Result<(), sqlx::Error> {
        self.write_job(db, job).await?;
        let event = RecordedEvent { version: job.version, event: event.as_str(), state: job.state };
        self.insert_event(db, &event).await
    }

    /// Uses the video of an earlier version for the next one if their contents are the same.
    /// Returns the job's state then.
    pub(super) async fn reuse_video(
        &self,
        db: &mut SqliteConnection,
    ) -> Result<Option<JobState>, sqlx::Error> {
        let Some((_, successor)) = &self.successor else { return Ok(None) };
        if successor.state != JobState::Ready {
            return Ok(None);
        }
        let version = successor.version;
        let same: Option<(i64, String)> = sqlx::query_as(FIND_REUSABLE_VIDEO)
            .bind(self.job_id)
            .bind(version)
            .fetch_optional(&mut *db)
            .await?;
        let Some((source, file)) = same else { return Ok(None) };
        sqlx::query(REUSE_VIDEO)
            .bind(self.job_id)
            .bind(version)
            .bind(source)
            .execute(&mut *db)
            .await?;
        let reused = Job { state: JobState::Reused, video_file: Some(file), ..successor.clone() };
        self.write_successor(db, JobEvent::Reused, &reused).await?;
        Ok(Some(reused.state))
    }
}

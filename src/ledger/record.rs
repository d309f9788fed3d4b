//! Writing what happened to a job and what it is now: both, or neither.
//!
//! Every write is fenced by the lease: a run that was paused, and whose batch another run has
//! taken over, changes nothing when it wakes.

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::error::LedgerError;
use super::job::{Job, Outcome, Submission, apply, succeed};
use super::news::News;
use super::runs::Lease;
use super::state::{Event, State, Step};
use super::writer::Change;
use super::{JobId, Ledger, SubmissionId};

/// Bytes of the vendor's words that the history keeps of one event.
const DETAIL_MAX: usize = 2048;

const LOAD: &str = "-- ledger::record, load
    select j.batch_id, j.lease_token, j.state, j.drafted, j.in_sheet, j.version, j.wanted_version, j.due_at,
           j.submit_failures, j.rerenders, j.fetch_failures, j.polls, j.submission_id,
           j.rendering_at, j.progress, j.moved_at, j.stalled, j.video_file, j.cause, j.words,
           s.version as sent_version, s.run_id, s.outcome, s.project_id, s.render_id, s.paid_at,
           s.settled_at, s.looks, s.video_url, s.credits
    from submission s join job j on j.id = s.job_id
    where s.id = ?1 and j.id = ?2";

const STORE_JOB: &str = "-- ledger::record, job
    update job set state = ?3, drafted = ?4, version = ?5, wanted_version = ?6, due_at = ?7,
        submit_failures = ?8, rerenders = ?9, fetch_failures = ?10, polls = ?11,
        submission_id = ?12, rendering_at = ?13, progress = ?14, moved_at = ?15, stalled = ?16,
        video_file = ?17, cause = ?18, words = ?19
    where id = ?1 and lease_token = ?2";

const STORE_SUBMISSION: &str = "-- ledger::record, submission
    update submission set outcome = ?2, project_id = ?3, render_id = ?4, paid_at = ?5,
        settled_at = ?6, looks = ?7, video_url = ?8, credits = ?9
    where id = ?1";

const REMEMBER: &str = "-- ledger::record, event
    insert into event (job_id, version, submission_id, run_id, at, event, state, detail)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

const KEEP_VIDEO: &str = "-- ledger::record, video
    update version set video_file = ?3, video_bytes = ?4, video_hash = ?5, video_ms = ?6,
        done_at = ?7
    where job_id = ?1 and version = ?2";

const COUNT_CANARY: &str = "-- ledger::record, canary
    update batch set canary_done = canary_done + 1
    where id = ?1 and template_hash =
        (select template_hash from version where job_id = ?2 and version = ?3)";

const SAME_CONTENT: &str = "-- ledger::record, rendered before
    select w.version, w.video_file from version v
    join version w on w.job_id = v.job_id and w.payload_hash = v.payload_hash
    where v.job_id = ?1 and v.version = ?2 and w.done_at is not null
    order by w.version desc limit 1";

const REUSE: &str = "-- ledger::record, reuse
    update version set reused_from = ?3 where job_id = ?1 and version = ?2";

const GIVE_BACK: &str = "-- ledger::record, give back
    update run set submitted = submitted - 1 where id = ?1 and submitted > 0";

/// What recording a piece of news came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Whether the job moved, or had heard it before.
    pub step: Step,
    /// Where the job stands now; not where `step` led when its next version was waiting.
    pub state: State,
}

struct Record {
    lease: Lease,
    job: JobId,
    submission: SubmissionId,
    news: News,
    now: Timestamp,
}

impl Ledger {
    /// Writes what happened to a job through one of its submissions, and what the job is now.
    ///
    /// # Errors
    /// [`LedgerError::LeaseLost`] when another run owns the job; [`LedgerError::Illegal`] when the
    /// news cannot follow the job's state. Nothing is written then.
    pub async fn record(
        &self,
        lease: Lease,
        job: JobId,
        submission: SubmissionId,
        news: News,
        now: Timestamp,
    ) -> Result<Recorded, LedgerError> {
        self.writer.make(Record { lease, job, submission, news, now }).await
    }
}

#[derive(sqlx::FromRow)]
struct Loaded {
    batch_id: i64,
    lease_token: Option<i64>,
    state: String,
    drafted: bool,
    in_sheet: bool,
    version: i64,
    wanted_version: i64,
    due_at: i64,
    submit_failures: i64,
    rerenders: i64,
    fetch_failures: i64,
    polls: i64,
    submission_id: Option<i64>,
    rendering_at: Option<i64>,
    progress: Option<f64>,
    moved_at: Option<i64>,
    stalled: bool,
    video_file: Option<String>,
    cause: Option<String>,
    words: Option<String>,
    sent_version: i64,
    run_id: i64,
    outcome: String,
    project_id: Option<String>,
    render_id: Option<String>,
    paid_at: Option<i64>,
    settled_at: Option<i64>,
    looks: i64,
    video_url: Option<String>,
    credits: Option<f64>,
}

impl Loaded {
    fn parts(self, submission: i64) -> Result<(Job, Submission), LedgerError> {
        let corrupt = |word: &str| LedgerError::Corrupt(format!("`{word}` where a state belongs"));
        let job = Job {
            state: State::parse(&self.state).ok_or_else(|| corrupt(&self.state))?,
            drafted: self.drafted,
            in_sheet: self.in_sheet,
            version: self.version,
            wanted_version: self.wanted_version,
            due_at: self.due_at,
            submit_failures: self.submit_failures,
            rerenders: self.rerenders,
            fetch_failures: self.fetch_failures,
            polls: self.polls,
            submission_id: self.submission_id,
            rendering_at: self.rendering_at,
            progress: self.progress,
            moved_at: self.moved_at,
            stalled: self.stalled,
            video_file: self.video_file,
            cause: self.cause,
            words: self.words,
        };
        let submission = Submission {
            id: submission,
            version: self.sent_version,
            outcome: Outcome::parse(&self.outcome).ok_or_else(|| corrupt(&self.outcome))?,
            project_id: self.project_id,
            render_id: self.render_id,
            paid_at: self.paid_at,
            settled_at: self.settled_at,
            looks: self.looks,
            video_url: self.video_url,
            credits: self.credits,
        };
        Ok((job, submission))
    }
}

impl Change for Record {
    type Answer = Recorded;

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<Recorded, LedgerError> {
        let doing = "record what happened to a job";
        let sql = |source| LedgerError::sql(doing, source);
        let loaded: Loaded = sqlx::query_as(LOAD)
            .bind(self.submission.0)
            .bind(self.job.0)
            .fetch_optional(&mut *db)
            .await
            .map_err(sql)?
            .ok_or_else(|| LedgerError::Corrupt("a job lost its submission".to_owned()))?;
        if loaded.lease_token != Some(self.lease.0) {
            return Err(LedgerError::LeaseLost);
        }
        let (batch, sender) = (loaded.batch_id, loaded.run_id);
        let (mut job, mut submission) = loaded.parts(self.submission.0)?;
        let before = submission.clone();
        let version = submission.version;
        let now = self.now.as_millisecond();
        let step = apply(&mut job, &mut submission, &self.news, now)?;
        if step == Step::Unchanged {
            return Ok(Recorded { step, state: job.state });
        }
        let successor = succeed(&mut job, &mut submission, now)?;
        self.store_job(db, &job).await.map_err(sql)?;
        if submission != before {
            store_submission(db, &submission).await.map_err(sql)?;
        }
        if before.paid_at.is_some() && !was_spent(&submission) {
            sqlx::query(GIVE_BACK).bind(sender).execute(&mut *db).await.map_err(sql)?;
        }
        if let News::Fetched(video) = &self.news {
            self.keep_video(db, batch, version, video).await.map_err(sql)?;
        }
        if self.news.is_kept() {
            let reached = match step {
                Step::Moved(state) => state,
                Step::Unchanged => job.state,
            };
            self.remember(db, (version, self.news.word()), reached).await.map_err(sql)?;
        }
        let Some((event, successor)) = successor else {
            return Ok(Recorded { step, state: job.state });
        };
        self.store_job(db, &successor).await.map_err(sql)?;
        let what = (successor.version, event.word());
        self.remember(db, what, successor.state).await.map_err(sql)?;
        let state = self.reuse(db, successor).await.map_err(sql)?;
        Ok(Recorded { step, state })
    }
}

/// Tells whether a submission may have cost something: all but those proven unsent or declined.
fn was_spent(submission: &Submission) -> bool {
    match submission.outcome {
        Outcome::Sent
        | Outcome::Uncertain
        | Outcome::Accepted
        | Outcome::Rendered
        | Outcome::RenderFailed
        | Outcome::Abandoned => true,
        Outcome::Drafting
        | Outcome::Drafted
        | Outcome::NotSent
        | Outcome::Refused
        | Outcome::Stray
        | Outcome::Absent => false,
    }
}

impl Record {
    async fn store_job(&self, db: &mut SqliteConnection, job: &Job) -> Result<(), sqlx::Error> {
        sqlx::query(STORE_JOB)
            .bind(self.job.0)
            .bind(self.lease.0)
            .bind(job.state.word())
            .bind(job.drafted)
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
            .bind(job.words.as_deref().map(clipped))
            .execute(db)
            .await?;
        Ok(())
    }

    async fn keep_video(
        &self,
        db: &mut SqliteConnection,
        batch: i64,
        version: i64,
        video: &super::Video,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(KEEP_VIDEO)
            .bind(self.job.0)
            .bind(version)
            .bind(&video.file)
            .bind(video.bytes)
            .bind(&video.hash)
            .bind(video.plays_ms)
            .bind(self.now.as_millisecond())
            .execute(&mut *db)
            .await?;
        sqlx::query(COUNT_CANARY).bind(batch).bind(self.job.0).bind(version).execute(db).await?;
        Ok(())
    }

    /// What was rendered before, as an earlier version, is not rendered again. Returns where the
    /// job stands.
    async fn reuse(&self, db: &mut SqliteConnection, successor: Job) -> Result<State, sqlx::Error> {
        if successor.state != State::Ready {
            return Ok(successor.state);
        }
        let version = successor.version;
        let same: Option<(i64, String)> = sqlx::query_as(SAME_CONTENT)
            .bind(self.job.0)
            .bind(version)
            .fetch_optional(&mut *db)
            .await?;
        let Some((source, file)) = same else { return Ok(successor.state) };
        sqlx::query(REUSE).bind(self.job.0).bind(version).bind(source).execute(&mut *db).await?;
        let reused = Job { state: State::Reused, video_file: Some(file), ..successor };
        self.store_job(db, &reused).await?;
        self.remember(db, (version, Event::Reused.word()), reused.state).await?;
        Ok(reused.state)
    }

    async fn remember(
        &self,
        db: &mut SqliteConnection,
        (version, what): (i64, &'static str),
        state: State,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(REMEMBER)
            .bind(self.job.0)
            .bind(version)
            .bind(self.submission.0)
            .bind(self.lease.0)
            .bind(self.now.as_millisecond())
            .bind(what)
            .bind(state.word())
            .bind(self.news.words().map(clipped))
            .execute(db)
            .await?;
        Ok(())
    }
}

async fn store_submission(
    db: &mut SqliteConnection,
    submission: &Submission,
) -> Result<(), sqlx::Error> {
    sqlx::query(STORE_SUBMISSION)
        .bind(submission.id)
        .bind(submission.outcome.word())
        .bind(submission.project_id.as_deref())
        .bind(submission.render_id.as_deref())
        .bind(submission.paid_at)
        .bind(submission.settled_at)
        .bind(submission.looks)
        .bind(submission.video_url.as_deref())
        .bind(submission.credits)
        .execute(db)
        .await?;
    Ok(())
}

/// Returns the beginning of `words`, at most [`DETAIL_MAX`] bytes of it.
pub(super) fn clipped(words: &str) -> &str {
    &words[..words.floor_char_boundary(DETAIL_MAX)]
}

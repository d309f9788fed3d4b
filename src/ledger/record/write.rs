//! Putting judged news on disk: the job, its submission and a line of its history, in one text.
//!
//! Most news needs just these three, so several jobs share one text; what else there may be to
//! write follows one by one. Nothing is decided here.

use std::sync::LazyLock;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};

use super::clipped;
use crate::ledger::job::{Job, Submission};
use crate::ledger::news::Video;
use crate::ledger::state::{Event, State};

/// What one piece of news changes.
pub(super) struct Write<'r> {
    pub(super) job_id: i64,
    pub(super) lease: i64,
    pub(super) now: i64,
    pub(super) job: Job,
    pub(super) submission: Submission,
    pub(super) submission_changed: bool,
    /// The run whose paid request was not one after all.
    pub(super) gave_back: Option<i64>,
    /// The file that was fetched, and the batch whose canary it may be.
    pub(super) video: Option<(i64, &'r Video)>,
    /// The history's word for it and the state that it led to, when the history keeps it.
    pub(super) event: Option<(&'static str, &'static str)>,
    /// What was seen.
    pub(super) words: Option<&'r str>,
    /// How the job goes on that came free: what happens to it next, and what it is then.
    pub(super) successor: Option<(Event, Job)>,
}

/// Jobs that share one text: enough to make the way to `SQLite`'s thread cheap.
const TOGETHER: usize = 8;

const STORE_JOB: &str = "-- ledger::record, job
    update job set state = ?, drafted = ?, version = ?, wanted_version = ?, due_at = ?,
        submit_failures = ?, rerenders = ?, fetch_failures = ?, polls = ?, submission_id = ?,
        rendering_at = ?, progress = ?, moved_at = ?, stalled = ?, video_file = ?, cause = ?,
        words = ?
    where id = ? and lease_token = ?";

const STORE_SUBMISSION: &str = "-- ledger::record, submission
    update submission set outcome = ?, project_id = ?, render_id = ?, subject = ?, mark = ?,
        paid_at = ?, settled_at = ?, looks = ?, video_url = ?, credits = ?
    where id = ?";

const REMEMBER: &str = "-- ledger::record, event
    insert into event (job_id, version, submission_id, run_id, at, event, state, detail)
    values (?, ?, ?, ?, ?, ?, ?, ?)";

const KEEP_VIDEO: &str = "-- ledger::record, video
    update version set video_file = ?3, video_bytes = ?4, video_hash = ?5, video_ms = ?6,
        done_at = ?7
    where job_id = ?1 and version = ?2;
    update batch set canary_done = canary_done + 1
    where id = ?8 and template_hash =
        (select template_hash from version where job_id = ?1 and version = ?2)";

const SAME_CONTENT: &str = "-- ledger::record, rendered before
    select w.version, w.video_file from version v
    join version w on w.job_id = v.job_id and w.payload_hash = v.payload_hash
    where v.job_id = ?1 and v.version = ?2 and w.done_at is not null
    order by w.version desc limit 1";

const REUSE: &str = "-- ledger::record, reuse
    update version set reused_from = ?3 where job_id = ?1 and version = ?2";

const GIVE_BACK: &str = "-- ledger::record, give back
    update run set submitted = submitted - 1 where id = ?1 and submitted > 0";

static TOLD: LazyLock<String> = LazyLock::new(|| told(1));
static TOLD_TOGETHER: LazyLock<String> = LazyLock::new(|| told(TOGETHER));

fn told(times: usize) -> String {
    let texts = [STORE_JOB, STORE_SUBMISSION, REMEMBER].repeat(times);
    texts.join(";\n")
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// Writes everything. No two of `writes` are about one job.
pub(super) async fn all(
    db: &mut SqliteConnection,
    writes: &[Write<'_>],
) -> Result<(), sqlx::Error> {
    let (told, quiet): (Vec<&Write<'_>>, Vec<_>) =
        writes.iter().partition(|write| write.event.is_some());
    for together in told.chunks(TOGETHER) {
        if together.len() == TOGETHER {
            let query = sqlx::query(TOLD_TOGETHER.as_str());
            let query = together.iter().fold(query, |query, write| write.told(query));
            query.execute(&mut *db).await?;
        } else {
            for write in together {
                write.told(sqlx::query(TOLD.as_str())).execute(&mut *db).await?;
            }
        }
    }
    for write in quiet {
        write.job_in(sqlx::query(STORE_JOB), &write.job).execute(&mut *db).await?;
        if write.submission_changed {
            write.submission_in(sqlx::query(STORE_SUBMISSION)).execute(&mut *db).await?;
        }
    }
    for write in writes {
        write.rest(db).await?;
    }
    Ok(())
}

impl Write<'_> {
    fn submission_in(&self, query: Query) -> Query {
        let submission = &self.submission;
        query
            .bind(submission.outcome.word())
            .bind(submission.project_id.clone())
            .bind(submission.render_id.clone())
            .bind(submission.subject.clone())
            .bind(submission.mark.clone())
            .bind(submission.paid_at)
            .bind(submission.settled_at)
            .bind(submission.looks)
            .bind(submission.video_url.clone())
            .bind(submission.credits)
            .bind(submission.id)
    }

    fn told(&self, query: Query) -> Query {
        let (what, reached) = self.event.unwrap_or_default();
        let words = self.words.map(str::to_owned);
        let stored = self.submission_in(self.job_in(query, &self.job));
        self.remembered(stored, (self.submission.version, what, reached)).bind(words)
    }

    fn job_in(&self, query: Query, job: &Job) -> Query {
        query
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
            .bind(job.video_file.clone())
            .bind(job.cause.clone())
            .bind(job.words.as_deref().map(|words| clipped(words).to_owned()))
            .bind(self.job_id)
            .bind(self.lease)
    }

    fn remembered(
        &self,
        query: Query,
        (version, what, reached): (i64, &'static str, &'static str),
    ) -> Query {
        query
            .bind(self.job_id)
            .bind(version)
            .bind(self.submission.id)
            .bind(self.lease)
            .bind(self.now)
            .bind(what)
            .bind(reached)
    }

    /// Writes what only some news brings.
    async fn rest(&self, db: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        if let Some(sender) = self.gave_back {
            sqlx::query(GIVE_BACK).bind(sender).execute(&mut *db).await?;
        }
        if let Some((batch, video)) = self.video {
            sqlx::query(KEEP_VIDEO)
                .bind(self.job_id)
                .bind(self.submission.version)
                .bind(&video.file)
                .bind(video.bytes)
                .bind(&video.hash)
                .bind(video.plays_ms)
                .bind(self.now)
                .bind(batch)
                .execute(&mut *db)
                .await?;
        }
        let Some((event, successor)) = &self.successor else { return Ok(()) };
        self.job_in(sqlx::query(STORE_JOB), successor).execute(&mut *db).await?;
        let what = (successor.version, event.word(), successor.state.word());
        let words = self.words.map(str::to_owned);
        self.remembered(sqlx::query(REMEMBER), what).bind(words).execute(db).await?;
        Ok(())
    }

    /// What was rendered before, as an earlier version, is not rendered again. Returns where the
    /// job stands then.
    pub(super) async fn reuse(
        &self,
        db: &mut SqliteConnection,
    ) -> Result<Option<State>, sqlx::Error> {
        let Some((_, successor)) = &self.successor else { return Ok(None) };
        if successor.state != State::Ready {
            return Ok(None);
        }
        let version = successor.version;
        let same: Option<(i64, String)> = sqlx::query_as(SAME_CONTENT)
            .bind(self.job_id)
            .bind(version)
            .fetch_optional(&mut *db)
            .await?;
        let Some((source, file)) = same else { return Ok(None) };
        sqlx::query(REUSE).bind(self.job_id).bind(version).bind(source).execute(&mut *db).await?;
        let reused = Job { state: State::Reused, video_file: Some(file), ..successor.clone() };
        self.job_in(sqlx::query(STORE_JOB), &reused).execute(&mut *db).await?;
        let what = (version, Event::Reused.word(), reused.state.word());
        let nothing: Option<String> = None;
        self.remembered(sqlx::query(REMEMBER), what).bind(nothing).execute(db).await?;
        Ok(Some(reused.state))
    }
}

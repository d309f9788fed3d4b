//! Putting judged news on disk: jobs, their submissions and lines of their history, many with one
//! statement each.
//!
//! What costs time is not `SQLite` but the way to its thread and back, which every statement takes
//! alone, so what was judged together is written together. What only some news brings follows one
//! by one. Nothing is decided here.

use std::sync::LazyLock;

use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};

use crate::ledger::model::job::{Job, Submission};
use crate::ledger::model::job_update::VerifiedVideo;
use crate::ledger::model::state::{JobEvent, JobState};
use crate::ledger::write::record::truncate_detail;

/// What one piece of news changes.
pub(in crate::ledger) struct Write<'r> {
    pub(in crate::ledger) job_id: i64,
    pub(in crate::ledger) lease: i64,
    pub(in crate::ledger) now: i64,
    pub(in crate::ledger) job: Job,
    pub(in crate::ledger) submission: Submission,
    pub(in crate::ledger) touched: Touched,
    /// The run whose paid request was not one after all.
    pub(in crate::ledger) gave_back: Option<i64>,
    /// The file that was fetched, and the batch whose canary it may be.
    pub(in crate::ledger) video: Option<(i64, &'r VerifiedVideo)>,
    /// The history's word for it and the state that it led to, when the history keeps it.
    pub(in crate::ledger) event: Option<(&'static str, &'static str)>,
    /// What was seen.
    pub(in crate::ledger) words: Option<&'r str>,
    /// How the job goes on that came free: what happens to it next, and what it is then.
    pub(in crate::ledger) successor: Option<(JobEvent, Job)>,
}

/// How much of a submission a piece of news changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ledger) enum Touched {
    /// Nothing of it.
    Nothing,
    /// How it goes on. What is written most must not touch the indexes of what stays.
    Course,
    /// Also what it is: when it was paid for, and of which project.
    Nature,
}

impl Touched {
    pub(in crate::ledger) fn between(before: &Submission, after: &Submission) -> Self {
        let nature = |one: &Submission| {
            (one.paid_at, one.exclusive_project.clone(), one.previous_render_identity.clone())
        };
        if before == after {
            Self::Nothing
        } else if nature(before) == nature(after) {
            Self::Course
        } else {
            Self::Nature
        }
    }
}

/// How many rows a statement has room for; the smallest that holds what there is writes it, and its
/// other places stay empty. Each size is prepared once.
const SIZES: [usize; 4] = [1, 8, 32, 128];

const JOB: (&str, &str, &str) = (
    "-- ledger::record, jobs
    with told (state, drafted, version, wanted_version, due_at, submit_failures, rerenders,
        fetch_failures, polls, submission_id, rendering_at, progress, moved_at, stalled,
        video_file, cause, words, id, lease_token) as (values ",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    ")
    update job set state = told.state, drafted = told.drafted, version = told.version,
        wanted_version = told.wanted_version, due_at = told.due_at,
        submit_failures = told.submit_failures, rerenders = told.rerenders,
        fetch_failures = told.fetch_failures, polls = told.polls,
        submission_id = told.submission_id, rendering_at = told.rendering_at,
        progress = told.progress, moved_at = told.moved_at, stalled = told.stalled,
        video_file = told.video_file, cause = told.cause, words = told.words
    from told where job.id = told.id and job.lease_token = told.lease_token",
);

const COURSE: (&str, &str, &str) = (
    "-- ledger::record, submissions
    with told (outcome, project_id, render_id, settled_at, looks, video_url, credits, id)
        as (values ",
    "(?, ?, ?, ?, ?, ?, ?, ?)",
    ")
    update submission set outcome = told.outcome, project_id = told.project_id,
        render_id = told.render_id, settled_at = told.settled_at, looks = told.looks,
        video_url = told.video_url, credits = told.credits
    from told where submission.id = told.id",
);

const NATURE: (&str, &str, &str) = (
    "-- ledger::record, submissions and what they are
    with told (outcome, project_id, render_id, settled_at, looks, video_url, credits, id,
        subject, mark, paid_at) as (values ",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    ")
    update submission set outcome = told.outcome, project_id = told.project_id,
        render_id = told.render_id, settled_at = told.settled_at, looks = told.looks,
        video_url = told.video_url, credits = told.credits, subject = told.subject,
        mark = told.mark, paid_at = told.paid_at
    from told where submission.id = told.id",
);

const EVENT: (&str, &str, &str) = (
    "-- ledger::record, events
    with told (job_id, version, submission_id, run_id, at, event, state, detail) as (values ",
    "(?, ?, ?, ?, ?, ?, ?, ?)",
    ")
    insert into event (job_id, version, submission_id, run_id, at, event, state, detail)
    select * from told where job_id is not null",
);

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

static JOBS: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| texts(JOB));
static COURSES: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| texts(COURSE));
static NATURES: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| texts(NATURE));
static EVENTS: LazyLock<[String; SIZES.len()]> = LazyLock::new(|| texts(EVENT));

/// Returns one text for each of [`SIZES`].
fn texts((before, row, after): (&str, &str, &str)) -> [String; SIZES.len()] {
    SIZES.map(|rows| format!("{before}{}{after}", vec![row; rows].join(", ")))
}

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) fn statements() -> Vec<&'static str> {
    [&JOBS, &COURSES, &NATURES]
        .into_iter()
        .flat_map(|texts| texts.iter().map(String::as_str))
        .collect()
}

type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// Writes everything. No two of `writes` are about one job.
pub(in crate::ledger) async fn all(
    db: &mut SqliteConnection,
    writes: &[Write<'_>],
) -> Result<(), sqlx::Error> {
    let jobs: Vec<_> = writes.iter().map(|write| (write, &write.job)).collect();
    store(db, &JOBS, &jobs, |query, (write, job)| write.job_in(query, job)).await?;
    let of = |touched: Touched| -> Vec<_> {
        writes.iter().filter(|write| write.touched == touched).collect()
    };
    let course = of(Touched::Course);
    store(db, &COURSES, &course, |query, write| write.course_in(query)).await?;
    let nature = of(Touched::Nature);
    store(db, &NATURES, &nature, |query, write| write.nature_in(query)).await?;
    let kept: Vec<_> = writes
        .iter()
        .filter_map(|write| write.event.map(|event| (write, event)))
        .map(|(write, (what, reached))| (write, (write.submission.version, what, reached)))
        .collect();
    store(db, &EVENTS, &kept, |query, (write, event)| write.remembered(query, *event)).await?;
    for write in writes {
        write.rest(db).await?;
    }
    Ok(())
}

/// Writes `rows` with as few statements as there is room in.
async fn store<T>(
    db: &mut SqliteConnection,
    texts: &'static [String; SIZES.len()],
    rows: &[T],
    bind: impl Fn(Query, &T) -> Query,
) -> Result<(), sqlx::Error> {
    let largest = SIZES[SIZES.len() - 1];
    for rows in rows.chunks(largest) {
        let fits = SIZES.iter().zip(texts).find(|(size, _)| **size >= rows.len());
        let Some((_, text)) = fits else { continue };
        // What is not bound is null, and null is nobody's id.
        let query = rows.iter().fold(sqlx::query(text.as_str()), &bind);
        query.execute(&mut *db).await?;
    }
    Ok(())
}

impl Write<'_> {
    fn nature_in(&self, query: Query) -> Query {
        let submission = &self.submission;
        self.course_in(query)
            .bind(submission.exclusive_project.clone())
            .bind(submission.previous_render_identity.clone())
            .bind(submission.paid_at)
    }

    fn course_in(&self, query: Query) -> Query {
        let submission = &self.submission;
        query
            .bind(submission.outcome.as_str())
            .bind(submission.project_id.clone())
            .bind(submission.render_id.clone())
            .bind(submission.settled_at)
            .bind(submission.evidence_checks)
            .bind(submission.video_url.clone())
            .bind(submission.credits)
            .bind(submission.id)
    }

    fn job_in(&self, query: Query, job: &Job) -> Query {
        query
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
            .bind(job.video_file.clone())
            .bind(job.cause.clone())
            .bind(job.message.as_deref().map(|words| truncate_detail(words).to_owned()))
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
            .bind(self.words.map(str::to_owned))
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
                .bind(video.duration_ms)
                .bind(self.now)
                .bind(batch)
                .execute(&mut *db)
                .await?;
        }
        let Some((event, successor)) = &self.successor else { return Ok(()) };
        self.goes_on_as(db, *event, successor).await
    }

    /// Writes what the job is next, and why.
    async fn goes_on_as(
        &self,
        db: &mut SqliteConnection,
        event: JobEvent,
        job: &Job,
    ) -> Result<(), sqlx::Error> {
        store(db, &JOBS, &[job], |query, job| self.job_in(query, job)).await?;
        let what = (job.version, event.as_str(), job.state.as_str());
        store(db, &EVENTS, &[what], |query, what| self.remembered(query, *what)).await
    }

    /// What was rendered before, as an earlier version, is not rendered again. Returns where the
    /// job stands then.
    pub(in crate::ledger) async fn reuse(
        &self,
        db: &mut SqliteConnection,
    ) -> Result<Option<JobState>, sqlx::Error> {
        let Some((_, successor)) = &self.successor else { return Ok(None) };
        if successor.state != JobState::Ready {
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
        let reused = Job { state: JobState::Reused, video_file: Some(file), ..successor.clone() };
        self.goes_on_as(db, JobEvent::Reused, &reused).await?;
        Ok(Some(reused.state))
    }
}

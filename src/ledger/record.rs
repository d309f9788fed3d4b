//! Writing what happened to a job and what it is now: both, or neither.
//!
//! Every write is fenced by the lease: a run that was paused, and whose batch another run has
//! taken over, changes nothing when it wakes.
//!
//! News is by far the most frequent change, so what waits together is read with one statement,
//! judged here without the database, and written many jobs to a statement.

mod write;

use std::collections::HashSet;

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::error::LedgerError;
use super::job::{Job, Submission, apply, succeed};
use super::news::News;
use super::outcome::{Draft, Outcome};
use super::runs::Lease;
use super::state::{State, Step};
use super::{JobId, Ledger, SubmissionId};
use write::{Touched, Write};

/// Bytes of the vendor's words that the history keeps of one event.
const DETAIL_MAX: usize = 2048;

/// Each of `named` is a list: job, submission.
const LOAD: &str = "-- ledger::record, load
    select named.key as place,
           j.batch_id, j.lease_token, j.state, j.drafted, j.in_sheet, j.version, j.wanted_version,
           j.due_at,
           j.submit_failures, j.rerenders, j.fetch_failures, j.polls, j.submission_id,
           j.rendering_at, j.progress, j.moved_at, j.stalled, j.video_file, j.cause, j.words,
           s.version as sent_version, s.run_id, s.outcome, s.project_id, s.render_id, s.subject,
           s.mark, s.paid_at, s.settled_at, s.looks, s.video_url, s.credits,
           exists (select 1 from hearsay y where y.submission_id = s.id) as called_about
    from json_each(?1) named
    cross join submission s on s.id = named.value ->> '$[1]'
    cross join job j on j.id = s.job_id and j.id = named.value ->> '$[0]'";

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(super) fn statements() -> Vec<&'static str> {
    [vec![LOAD], write::statements()].concat()
}

/// What recording a piece of news came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Whether the job moved, or had heard it before.
    pub step: Step,
    /// Where the job stands now; not where `step` led when its next version was waiting.
    pub state: State,
}

/// One piece of news on its way into the ledger.
#[derive(Debug)]
pub(super) struct Record {
    lease: Lease,
    job: JobId,
    submission: SubmissionId,
    news: News,
    now: Timestamp,
}

/// News that cannot be is refused alone and writes nothing; only a database that fails takes the
/// news beside it along.
pub(super) type Answer = Result<Recorded, LedgerError>;

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
        self.writer.record(Record { lease, job, submission, news, now }).await?
    }
}

/// Writes news, in its order. Answers in the same order.
///
/// # Errors
/// Only when the database failed; nothing of it may be committed then.
pub(super) async fn record(
    db: &mut SqliteConnection,
    mut records: &[&Record],
) -> Result<Vec<Answer>, LedgerError> {
    let sql = |source| LedgerError::sql("record what happened to a job", source);
    let mut answers = Vec::with_capacity(records.len());
    while !records.is_empty() {
        // What is judged together must not depend on each other: one piece of news for each job.
        let mut jobs = HashSet::new();
        let apart = records.iter().take_while(|record| jobs.insert(record.job)).count();
        let (now, later) = records.split_at(apart);
        let mut writes = Vec::with_capacity(now.len());
        let mut places = Vec::with_capacity(now.len());
        for (record, loaded) in now.iter().zip(load(db, now).await.map_err(sql)?) {
            let place = answers.len();
            answers.push(record.judge(loaded).map(|judged| {
                places.extend(judged.write.is_some().then_some(place));
                writes.extend(judged.write);
                judged.recorded
            }));
        }
        write::all(db, &writes).await.map_err(sql)?;
        for (write, place) in writes.iter().zip(places) {
            let reused = write.reuse(db).await.map_err(sql)?;
            if let (Some(state), Some(Ok(recorded))) = (reused, answers.get_mut(place)) {
                recorded.state = state;
            }
        }
        records = later;
    }
    Ok(answers)
}

/// Returns the rows that each piece of news is about, in its order.
async fn load(
    db: &mut SqliteConnection,
    records: &[&Record],
) -> Result<Vec<Option<Loaded>>, sqlx::Error> {
    let named: serde_json::Value =
        records.iter().map(|record| vec![record.job.0, record.submission.0]).collect();
    let rows: Vec<Loaded> = sqlx::query_as(LOAD).bind(named.to_string()).fetch_all(db).await?;
    let mut loaded: Vec<Option<Loaded>> = records.iter().map(|_| None).collect();
    for row in rows {
        let place = usize::try_from(row.place).unwrap_or(usize::MAX);
        if let Some(found) = loaded.get_mut(place) {
            *found = Some(row);
        }
    }
    Ok(loaded)
}

#[derive(sqlx::FromRow)]
struct Loaded {
    place: i64,
    batch_id: i64,
    lease_token: Option<i64>,
    state: String,
    drafted: Draft,
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
    subject: Option<String>,
    mark: Option<String>,
    paid_at: Option<i64>,
    settled_at: Option<i64>,
    looks: i64,
    video_url: Option<String>,
    credits: Option<f64>,
    called_about: bool,
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
            subject: self.subject,
            mark: self.mark,
            paid_at: self.paid_at,
            settled_at: self.settled_at,
            looks: self.looks,
            video_url: self.video_url,
            credits: self.credits,
            called_about: self.called_about,
        };
        Ok((job, submission))
    }
}

struct Judged<'r> {
    recorded: Recorded,
    write: Option<Write<'r>>,
}

impl Record {
    /// Says what the news leads to, and what has to be written for it.
    fn judge(&self, loaded: Option<Loaded>) -> Result<Judged<'_>, LedgerError> {
        let lost = || LedgerError::Corrupt("a job lost its submission".to_owned());
        let loaded = loaded.ok_or_else(lost)?;
        if loaded.lease_token != Some(self.lease.0) {
            return Err(LedgerError::LeaseLost);
        }
        let (batch, sender) = (loaded.batch_id, loaded.run_id);
        let (mut job, mut submission) = loaded.parts(self.submission.0)?;
        let before = submission.clone();
        let now = self.now.as_millisecond();
        let step = apply(&mut job, &mut submission, &self.news, now)?;
        let Step::Moved(reached) = step else {
            return Ok(Judged { recorded: Recorded { step, state: job.state }, write: None });
        };
        let successor = succeed(&mut job, &mut submission, now)?;
        let state = successor.as_ref().map_or(job.state, |(_, successor)| successor.state);
        let write = Write {
            job_id: self.job.0,
            lease: self.lease.0,
            now,
            gave_back: (before.paid_at.is_some() && !was_spent(&submission)).then_some(sender),
            video: match &self.news {
                News::Fetched(video) => Some((batch, video)),
                _ => None,
            },
            event: self.news.is_kept().then(|| (self.news.word(), reached.word())),
            words: self.news.words().map(clipped),
            touched: Touched::between(&before, &submission),
            job,
            submission,
            successor,
        };
        Ok(Judged { recorded: Recorded { step, state }, write: Some(write) })
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
        | Outcome::Generating
        | Outcome::Drafted
        | Outcome::NotSent
        | Outcome::Refused
        | Outcome::Stray
        | Outcome::Absent => false,
    }
}

/// Returns the beginning of `words`, at most [`DETAIL_MAX`] bytes of it.
pub(super) fn clipped(words: &str) -> &str {
    &words[..words.floor_char_boundary(DETAIL_MAX)]
}

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

use crate::ledger::error::LedgerError;
use crate::ledger::model::job::{Job, Submission, apply_update, start_next_version};
use crate::ledger::model::job_update::JobUpdate;
use crate::ledger::model::outcome::{DraftStatus, SubmissionOutcome};
use crate::ledger::model::state::{JobState, Transition};
use crate::ledger::write::record::write::{Touched, Write};
use crate::ledger::write::runs::Lease;
use crate::ledger::{JobId, Ledger, SubmissionId};

/// Bytes of the vendor's words that the history keeps of one event.
const DETAIL_MAX: usize = 2048;

/// Each of `named` is a list: job, submission.
const LOAD_ROWS: &str = "-- ledger::record, load
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
pub(in crate::ledger) fn statements() -> Vec<&'static str> {
    [vec![LOAD_ROWS], write::statements()].concat()
}

/// What recording a piece of news came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedUpdate {
    /// Whether the job moved, or had heard it before.
    pub transition: Transition,
    /// Where the job stands now; not where `step` led when its next version was waiting.
    pub state: JobState,
}

/// One piece of news on its way into the ledger.
#[derive(Debug)]
pub(in crate::ledger) struct RecordUpdate {
    lease: Lease,
    job: JobId,
    submission: SubmissionId,
    update: JobUpdate,
    now: Timestamp,
}

/// News that cannot be is refused alone and writes nothing; only a database that fails takes the
/// news beside it along.
pub(in crate::ledger) type RecordOutput = Result<RecordedUpdate, LedgerError>;

impl Ledger {
    /// Writes what happened to a job through one of its submissions, and what the job is now.
    ///
    /// # Errors
    /// [`LedgerError::LeaseLost`] when another run owns the job; [`LedgerError::Illegal`] when the
    /// news cannot follow the job's state. Nothing is written then.
    pub async fn record_update(
        &self,
        lease: Lease,
        job: JobId,
        submission: SubmissionId,
        news: JobUpdate,
        now: Timestamp,
    ) -> Result<RecordedUpdate, LedgerError> {
        self.writer
            .record_update(RecordUpdate { lease, job, submission, update: news, now })
            .await?
    }
}

/// Writes news, in its order. Answers in the same order.
///
/// # Errors
/// Only when the database failed; nothing of it may be committed then.
pub(in crate::ledger) async fn record_all(
    db: &mut SqliteConnection,
    mut records: &[&RecordUpdate],
) -> Result<Vec<RecordOutput>, LedgerError> {
    let sql = |source| LedgerError::from_sqlx("record what happened to a job", source);
    let mut answers = Vec::with_capacity(records.len());
    while !records.is_empty() {
        // What is judged together must not depend on each other: one piece of news for each job.
        let mut jobs = HashSet::new();
        let apart = records.iter().take_while(|record| jobs.insert(record.job)).count();
        let (now, later) = records.split_at(apart);
        let mut writes = Vec::with_capacity(now.len());
        let mut places = Vec::with_capacity(now.len());
        for (record, loaded) in now.iter().zip(load_rows(db, now).await.map_err(sql)?) {
            let place = answers.len();
            answers.push(record.evaluate(loaded).map(|judged| {
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
async fn load_rows(
    db: &mut SqliteConnection,
    records: &[&RecordUpdate],
) -> Result<Vec<Option<LoadedRows>>, sqlx::Error> {
    let named: serde_json::Value =
        records.iter().map(|record| vec![record.job.0, record.submission.0]).collect();
    let rows: Vec<LoadedRows> =
        sqlx::query_as(LOAD_ROWS).bind(named.to_string()).fetch_all(db).await?;
    let mut loaded: Vec<Option<LoadedRows>> = records.iter().map(|_| None).collect();
    for row in rows {
        let place = usize::try_from(row.place).unwrap_or(usize::MAX);
        if let Some(found) = loaded.get_mut(place) {
            *found = Some(row);
        }
    }
    Ok(loaded)
}

#[derive(sqlx::FromRow)]
struct LoadedRows {
    place: i64,
    batch_id: i64,
    lease_token: Option<i64>,
    state: String,
    drafted: DraftStatus,
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

impl LoadedRows {
    fn into_job_and_submission(self, submission: i64) -> Result<(Job, Submission), LedgerError> {
        let corrupt = |word: &str| LedgerError::Corrupt(format!("`{word}` where a state belongs"));
        let job = Job {
            state: JobState::parse(&self.state).ok_or_else(|| corrupt(&self.state))?,
            draft: self.drafted,
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
            message: self.words,
        };
        let submission = Submission {
            id: submission,
            version: self.sent_version,
            outcome: SubmissionOutcome::parse(&self.outcome)
                .ok_or_else(|| corrupt(&self.outcome))?,
            project_id: self.project_id,
            render_id: self.render_id,
            exclusive_project: self.subject,
            previous_render_identity: self.mark,
            paid_at: self.paid_at,
            settled_at: self.settled_at,
            evidence_checks: self.looks,
            video_url: self.video_url,
            credits: self.credits,
            has_callback: self.called_about,
        };
        Ok((job, submission))
    }
}

struct EvaluatedUpdate<'r> {
    recorded: RecordedUpdate,
    write: Option<Write<'r>>,
}

impl RecordUpdate {
    /// Says what the news leads to, and what has to be written for it.
    fn evaluate(&self, loaded: Option<LoadedRows>) -> Result<EvaluatedUpdate<'_>, LedgerError> {
        let lost = || LedgerError::Corrupt("a job lost its submission".to_owned());
        let loaded = loaded.ok_or_else(lost)?;
        if loaded.lease_token != Some(self.lease.0) {
            return Err(LedgerError::LeaseLost);
        }
        let (batch, sender) = (loaded.batch_id, loaded.run_id);
        let (mut job, mut submission) = loaded.into_job_and_submission(self.submission.0)?;
        let before = submission.clone();
        let now = self.now.as_millisecond();
        let step = apply_update(&mut job, &mut submission, &self.update, now)?;
        let Transition::Moved(reached) = step else {
            return Ok(EvaluatedUpdate {
                recorded: RecordedUpdate { transition: step, state: job.state },
                write: None,
            });
        };
        let successor = start_next_version(&mut job, &mut submission, now)?;
        let state = successor.as_ref().map_or(job.state, |(_, successor)| successor.state);
        let write = Write {
            job_id: self.job.0,
            lease: self.lease.0,
            now,
            gave_back: (before.paid_at.is_some() && !is_spent(&submission)).then_some(sender),
            video: match &self.update {
                JobUpdate::Fetched(video) => Some((batch, video)),
                _ => None,
            },
            event: self.update.is_in_history().then(|| (self.update.as_str(), reached.as_str())),
            words: self.update.detail().map(truncate_detail),
            touched: Touched::between(&before, &submission),
            job,
            submission,
            successor,
        };
        Ok(EvaluatedUpdate {
            recorded: RecordedUpdate { transition: step, state },
            write: Some(write),
        })
    }
}

/// Tells whether a submission may have cost something: all but those proven unsent or declined.
fn is_spent(submission: &Submission) -> bool {
    match submission.outcome {
        SubmissionOutcome::Sent
        | SubmissionOutcome::Uncertain
        | SubmissionOutcome::Accepted
        | SubmissionOutcome::Rendered
        | SubmissionOutcome::RenderFailed
        | SubmissionOutcome::Abandoned => true,
        SubmissionOutcome::Drafting
        | SubmissionOutcome::Generating
        | SubmissionOutcome::Drafted
        | SubmissionOutcome::NotSent
        | SubmissionOutcome::Refused
        | SubmissionOutcome::Stray
        | SubmissionOutcome::Absent => false,
    }
}

/// Returns the beginning of `words`, at most [`DETAIL_MAX`] bytes of it.
pub(in crate::ledger) fn truncate_detail(words: &str) -> &str {
    &words[..words.floor_char_boundary(DETAIL_MAX)]
}

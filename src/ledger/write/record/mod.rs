//! Recording job updates: the new state of the job and the event that caused it, in one transaction.
//!
//! The rows are loaded, the update is evaluated in memory by the pure state machine, and the result
//! is written. Invariant: every write is fenced by the lease. A rejected update writes nothing.

mod write;

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::model::job::{Job, Submission, apply_update, start_next_version};
use crate::ledger::model::job_update::JobUpdate;
use crate::ledger::model::outcome::{DraftStatus, SubmissionOutcome};
use crate::ledger::model::recheck_reason::RecheckReason;
use crate::ledger::model::state::{JobState, Transition};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::catch_up::ledger_gap::gap_as_cause;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::record::write::{EvaluatedUpdate, RecordedEvent};
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{JobId, SubmissionId};

/// Bytes of a message that the history keeps for one event.
const DETAIL_MAX: usize = 2048;

static LOAD_ROWS: Statement = Statement::new(
    "-- ledger::record, load
    select j.batch_id, j.lease_token, j.state, j.drafted, j.in_sheet, j.version, j.wanted_version,
           j.due_at,
           j.submit_failures, j.rerenders, j.fetch_failures, j.polls, j.submission_id,
           j.rendering_at, j.progress, j.moved_at, j.stalled, j.video_file, j.cause, j.words,
           s.version as sent_version, s.run_id, s.outcome, s.project_id, s.render_id, s.subject,
           s.mark, s.paid_at, s.settled_at, s.looks, s.video_url, s.credits, s.recheck,
           s.recheck_since, s.decline,
           exists (select 1 from hearsay y where y.submission_id = s.id) as called_about
    from submission s join job j on j.id = s.job_id
    where s.id = $2 and j.id = $1",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) fn statements() -> Vec<&'static Statement> {
    [&[&LOAD_ROWS], write::STATEMENTS].concat()
}

/// The result of recording an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedUpdate {
    /// Whether the update moved the job or was already known.
    pub transition: Transition,
    /// The job's state now. It differs from the state in `transition` if the job's next version was
    /// waiting and has started.
    pub state: JobState,
}

/// One update on its way into the ledger.
#[derive(Debug)]
pub(in crate::ledger) struct RecordUpdate {
    pub(in crate::ledger) run: RunId,
    pub(in crate::ledger) job: JobId,
    pub(in crate::ledger) submission: SubmissionId,
    pub(in crate::ledger) update: JobUpdate,
    pub(in crate::ledger) now: Timestamp,
}

impl BatchLease {
    /// Records an update of a job that concerns one of its submissions, and the job's new state.
    ///
    /// # Errors
    /// [`LedgerError::LeaseLost`] if another run owns the job; [`LedgerError::IllegalTransition`] if
    /// the update cannot follow the job's state. Nothing is written then.
    pub async fn record_update(
        &self,
        job: JobId,
        submission: SubmissionId,
        update: JobUpdate,
        now: Timestamp,
    ) -> Result<RecordedUpdate, LedgerError> {
        let op = RecordUpdate { run: self.run, job, submission, update, now };
        self.ledger.writer.execute(op).await?
    }
}

impl WriteOp for RecordUpdate {
    /// A rejection is an output: it writes nothing, so the operations beside it need no second try.
    type Output = Result<RecordedUpdate, LedgerError>;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<Self::Output, LedgerError> {
        let loaded: Option<LoadedRows> =
            db.fetch_optional(&LOAD_ROWS, binds![self.job.0, self.submission.0]).await?;
        let (mut recorded, evaluated) = match self.evaluate(loaded) {
            Ok((recorded, Some(evaluated))) => (recorded, evaluated),
            Ok((recorded, None)) => return Ok(Ok(recorded)),
            Err(rejection) => return Ok(Err(gap_as_cause(db, rejection).await)),
        };
        evaluated.write(&mut *db).await?;
        if let Some(state) = evaluated.reuse_video(db).await? {
            recorded.state = state;
        }
        Ok(Ok(recorded))
    }
}

impl RecordUpdate {
    /// Returns the result of the update, and the rows to be written if it moves the job.
    fn evaluate(
        &self,
        loaded: Option<LoadedRows>,
    ) -> Result<(RecordedUpdate, Option<EvaluatedUpdate<'_>>), LedgerError> {
        let lost = || LedgerError::Corrupt("a job lost its submission".to_owned());
        let loaded = loaded.ok_or_else(lost)?;
        if loaded.lease_token != Some(self.run.0) {
            return Err(LedgerError::LeaseLost);
        }
        let (batch, sender) = (loaded.batch_id, loaded.run_id);
        let (mut job, mut submission) = loaded.into_job_and_submission(self.submission.0)?;
        let before = submission.clone();
        let was_paid = before.paid_at.is_some();
        // Whether it was paid for was settled before.
        let is_retried = matches!(before.recheck, Some((RecheckReason::Retried, _)));
        let now = self.now;
        let transition = apply_update(&mut job, &mut submission, &self.update, now)?;
        let Transition::Moved(reached) = transition else {
            return Ok((RecordedUpdate { transition, state: job.state }, None));
        };
        let successor = start_next_version(&mut job, &mut submission, now)?;
        let state = successor.as_ref().map_or(job.state, |(_, successor)| successor.state);
        let event = RecordedEvent {
            version: submission.version,
            event: self.update.as_str(),
            state: reached,
        };
        let evaluated = EvaluatedUpdate {
            batch,
            job_id: self.job.0,
            run: self.run.0,
            now,
            unspent_run: (was_paid && !is_retried && !is_spent(submission.outcome))
                .then_some(sender),
            video: match &self.update {
                JobUpdate::Fetched(video) => Some((batch, video)),
                _ => None,
            },
            event: self.update.is_in_history().then_some(event),
            detail: self.update.detail().map(truncate_detail),
            is_submission_changed: before != submission,
            job,
            submission,
            successor,
        };
        Ok((RecordedUpdate { transition, state }, Some(evaluated)))
    }
}

#[derive(sqlx::FromRow)]
struct LoadedRows {
    batch_id: i64,
    lease_token: Option<i64>,
    state: String,
    drafted: DraftStatus,
    in_sheet: bool,
    version: i64,
    wanted_version: i64,
    #[sqlx(try_from = "StoredTime")]
    due_at: Timestamp,
    submit_failures: i64,
    rerenders: i64,
    fetch_failures: i64,
    polls: i64,
    submission_id: Option<i64>,
    #[sqlx(try_from = "StoredTime")]
    rendering_at: Option<Timestamp>,
    progress: Option<f64>,
    #[sqlx(try_from = "StoredTime")]
    moved_at: Option<Timestamp>,
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
    #[sqlx(try_from = "StoredTime")]
    paid_at: Option<Timestamp>,
    #[sqlx(try_from = "StoredTime")]
    settled_at: Option<Timestamp>,
    looks: i64,
    video_url: Option<String>,
    credits: Option<f64>,
    recheck: Option<RecheckReason>,
    #[sqlx(try_from = "StoredTime")]
    recheck_since: Option<Timestamp>,
    decline: Option<String>,
    called_about: bool,
}

impl LoadedRows {
    fn into_job_and_submission(self, submission: i64) -> Result<(Job, Submission), LedgerError> {
        let corrupt = |text: &str| LedgerError::Corrupt(format!("`{text}` is not a state"));
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
            recheck: self.recheck.zip(self.recheck_since),
            decline: self.decline,
            has_callback: self.called_about,
        };
        Ok((job, submission))
    }
}

/// Returns whether a submission may have cost something: all except those proven not sent or not
/// accepted.
fn is_spent(outcome: SubmissionOutcome) -> bool {
    match outcome {
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

/// Returns the beginning of `message`, at most [`DETAIL_MAX`] bytes of it.
fn truncate_detail(message: &str) -> &str {
    &message[..message.floor_char_boundary(DETAIL_MAX)]
}

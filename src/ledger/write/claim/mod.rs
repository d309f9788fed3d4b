//! Claiming jobs for a submission: the ledger is the queue, and a claim is an intent on disk.
//!
//! A claimed submission exists, with its tag, before its first byte is sent. The claim counts in
//! the same transaction, so that a crash between counting and claiming cannot exceed a cap.

pub(in crate::ledger) mod exclusive_project;
mod lost_project;
pub(in crate::ledger) mod ready_queue;
pub(in crate::ledger) mod sample_gate;

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::model::capacity::{Capacity, CapacityCounts, ClaimBlock, SubmitStep};
use crate::ledger::model::identity::TagSecret;
use crate::ledger::model::state::JobEvent;
use crate::ledger::model::stored_payload::StoredPayload;
use crate::ledger::model::tag::Tag;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::catch_up::ledger_gap::find_gap;
use crate::ledger::write::claim::ready_queue::{ReadyJob, ReadyQueue};
use crate::ledger::write::claim::sample_gate::SampleGate;
use crate::ledger::write::credits::CreditBudget;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::webhook;
use crate::ledger::write::webhook::{CallbackAddress, WebhookSecret};
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, JobId, SubmissionId};
use crate::request::SubmissionMode;

/// A claimed submission, with the data of its request.
#[derive(Clone, Debug)]
pub struct ClaimedSubmission {
    /// The job.
    pub job: JobId,
    /// The job's key.
    pub key: String,
    /// The submission whose intent is on disk.
    pub submission: SubmissionId,
    /// Its tag.
    pub tag: Tag,
    /// The draft to be exported, for the second of two steps.
    pub project_id: Option<String>,
    /// The payload that was checked.
    pub payload: StoredPayload,
    /// Free submit failures so far.
    pub submit_failures: i64,
    /// The kind of request, as text.
    pub request: String,
    /// The project that it changes in place, if any.
    pub exclusive_project: Option<String>,
    /// The secret of its callback address. The ledger stores only its hash.
    pub secret: Option<WebhookSecret>,
    /// Whether AI Studios already sent a callback about it: it was accepted, whatever was
    /// concluded.
    pub has_callback: bool,
}

impl ClaimedSubmission {
    fn address(&self) -> Option<CallbackAddress> {
        let secret_hash = self.secret.as_ref()?.hash();
        Some(CallbackAddress { submission: self.submission, secret_hash })
    }
}

/// The result of a claim.
#[derive(Clone, Debug)]
pub struct ClaimOutcome {
    /// The submissions to send now.
    pub submissions: Vec<ClaimedSubmission>,
    /// The reason why there are no more.
    pub block: ClaimBlock,
}

static COUNT_CAPACITY: Statement = Statement::new(
    "-- ledger::claim_submissions, counts
    select b.canary_done, b.paused, b.name, r.submitted,
        (select cast(coalesce(sum(jobs), 0) as bigint) from tally
         where batch_id = b.id and state in ('submitting', 'rendering')) as under_way,
        (select cast(coalesce(sum(jobs), 0) as bigint) from tally
         where batch_id = b.id and in_sheet = true and state in ('uncertain', 'fetching')
        ) as unverified,
        (select count(*) from job {by job_due}
         where batch_id = b.id and state = 'ready' and drafted > 0) as drafted
    from batch b join run r on r.batch_id = b.id and r.id = $2 and r.ended_at is null
    where b.id = $1",
);

/// Each row of `$1` is a list: job, version, attempt, both parts of the tag, project.
static INSERT_SUBMISSIONS: Statement = Statement::new(
    "-- ledger::claim_submissions, intents
    insert into submission
        (job_id, version, attempt, tag, seal, subject, run_id, begun_at, way, outcome, paid_at)
    select cast(named.value ->> 0 as bigint), cast(named.value ->> 1 as bigint),
        cast(named.value ->> 2 as bigint), named.value ->> 3, named.value ->> 4, named.value ->> 5,
        $2, $3, $4, $5, $6
    from {rows $1} named returning id, job_id",
);

/// Each row of `$1` is a list, here and below: submission, job, version, attempt.
static MARK_DRAFTS_SENT: Statement = Statement::new(
    "-- ledger::claim_submissions, paid step
    update submission set outcome = 'sent', paid_at = $3, run_id = $2, settled_at = null
    from {rows $1} named
    where submission.id = cast(named.value ->> 0 as bigint) and submission.outcome = 'drafted'",
);

static MARK_JOBS_SUBMITTING: Statement = Statement::new(
    "-- ledger::claim_submissions, jobs
    update job set state = 'submitting', drafted = 0, lease_token = $2,
        submission_id = cast(named.value ->> 0 as bigint),
        attempts = cast(named.value ->> 3 as bigint)
    from {rows $1} named
    where job.id = cast(named.value ->> 1 as bigint) and {unindexed job.state} = 'ready'",
);

static INSERT_EVENTS: Statement = Statement::new(
    "-- ledger::claim_submissions, history
    insert into event (job_id, version, submission_id, run_id, at, event, state)
    select cast(named.value ->> 1 as bigint), cast(named.value ->> 2 as bigint),
        cast(named.value ->> 0 as bigint), $2, $3, $4, 'submitting'
    from {rows $1} named",
);

/// The id of a claim whose submission has no row yet; ids begin with 1.
const NOT_INSERTED: i64 = 0;

static COUNT_SUBMITTED: Statement = Statement::new(
    "-- ledger::claim_submissions, count
    update run set submitted = submitted + $2 where id = $1",
);

static COUNT_DRAFTED_SELECTED: Statement = Statement::new(
    "-- ledger::claim_submissions, selected drafts
    select count(*) from job {by job_selected}
    where batch_id = $1 and selection = $2 and state = 'ready' and drafted > 0",
);

static COUNT_DRAFTING: Statement = Statement::new(
    "-- ledger::claim_submissions, drafts under way
    select count(*) from job j {by job_due}
    join submission s on s.id = j.submission_id
    where j.batch_id = $1 and j.state = 'submitting' and s.outcome = 'drafting'",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[
    &COUNT_CAPACITY,
    &COUNT_DRAFTED_SELECTED,
    &COUNT_DRAFTING,
    &MARK_DRAFTS_SENT,
    &MARK_JOBS_SUBMITTING,
];

struct ClaimSubmissions {
    run: RunId,
    batch: BatchId,
    step: SubmitStep,
    capacity: Capacity,
    tag_secret: TagSecret,
    now: Timestamp,
}

impl ClaimSubmissions {
    /// Truncates the queue to the jobs that the credit caps can pay for. Returns whether all of
    /// them fit.
    async fn truncate_to_budget(
        &self,
        db: &mut StoreConnection,
        queue: &mut Vec<ReadyJob>,
    ) -> Result<bool, LedgerError> {
        let Some(caps) = self.capacity.credit_caps else { return Ok(true) };
        if self.step == SubmitStep::Draft {
            return Ok(true);
        }
        let mut budget = CreditBudget::load(db, caps, self.run, self.batch).await?;
        let wanted = queue.len();
        let affordable =
            queue.iter().take_while(|queued| budget.try_reserve(queued.spoken_ms)).count();
        queue.truncate(affordable);
        Ok(affordable == wanted)
    }

    /// Writes the intents of the queued jobs and moves the jobs.
    async fn claim_jobs(
        &self,
        db: &mut StoreConnection,
        step: SubmitStep,
        batch_name: &str,
        queue: Vec<ReadyJob>,
    ) -> Result<Vec<ClaimedSubmission>, sqlx::Error> {
        let mut claims = Vec::with_capacity(queue.len());
        let mut intents = Vec::new();
        let mut attempts = Vec::with_capacity(queue.len());
        for queued in queue {
            let (submission, tag, attempt) = match (step, queued.submission_id, queued.tag) {
                (SubmitStep::Export, Some(id), Some(tag)) => {
                    (id, Tag::from_stored(tag), queued.attempts)
                }
                (SubmitStep::Draft | SubmitStep::Export | SubmitStep::Create, _, _) => {
                    let attempt = queued.attempts + 1;
                    let (key, hash) = (&queued.key, &queued.payload_hash);
                    let tag = Tag::new(batch_name, key, hash, attempt, Some(&self.tag_secret));
                    intents.push(json!([
                        queued.job,
                        queued.version,
                        attempt,
                        tag.first_part(),
                        tag.second_part(),
                        queued.subject
                    ]));
                    (NOT_INSERTED, tag, attempt)
                }
            };
            attempts.push((queued.version, attempt));
            claims.push(ClaimedSubmission {
                job: JobId(queued.job),
                key: queued.key,
                submission: SubmissionId(submission),
                tag,
                project_id: queued.project_id,
                payload: queued.payload,
                submit_failures: queued.submit_failures,
                request: queued.request,
                exclusive_project: queued.subject,
                has_callback: queued.called_about,
                secret: self
                    .capacity
                    .new_secret
                    .filter(|_| step != SubmitStep::Draft)
                    .and_then(|draw| draw()),
            });
        }
        self.insert_submissions(db, step, intents, &mut claims).await?;
        let named = claims.iter().zip(attempts).map(|(claim, (version, attempt))| {
            json!([claim.submission.0, claim.job.0, version, attempt])
        });
        self.write_intents(db, step, &named.collect::<Value>().to_string()).await?;
        let addresses: Vec<_> = claims.iter().filter_map(ClaimedSubmission::address).collect();
        webhook::insert_addresses(db, &addresses, self.now).await?;
        Ok(claims)
    }

    /// Inserts the submissions of a first or only step, and gives their ids to the claims.
    async fn insert_submissions(
        &self,
        db: &mut StoreConnection,
        step: SubmitStep,
        intents: Vec<Value>,
        claims: &mut [ClaimedSubmission],
    ) -> Result<(), sqlx::Error> {
        if intents.is_empty() {
            return Ok(());
        }
        let (run, now) = (self.run.0, self.now);
        let (mode, outcome, paid_at) = match step {
            SubmitStep::Draft => (SubmissionMode::TwoStep, "drafting", None),
            SubmitStep::Export | SubmitStep::Create => (SubmissionMode::OneStep, "sent", Some(now)),
        };
        let intents = Value::from(intents).to_string();
        let binds = binds![intents, run, now, mode.as_str(), outcome, paid_at];
        let inserted: Vec<(i64, i64)> = db.fetch_all(&INSERT_SUBMISSIONS, binds).await?;
        let ids: HashMap<i64, i64> = inserted.into_iter().map(|(id, job)| (job, id)).collect();
        for claim in claims.iter_mut().filter(|claim| claim.submission.0 == NOT_INSERTED) {
            claim.submission =
                SubmissionId(*ids.get(&claim.job.0).ok_or(sqlx::Error::RowNotFound)?);
        }
        Ok(())
    }

    async fn write_intents(
        &self,
        db: &mut StoreConnection,
        step: SubmitStep,
        named: &str,
    ) -> Result<(), sqlx::Error> {
        let (run, now) = (self.run.0, self.now);
        match step {
            SubmitStep::Export => {
                db.execute(&MARK_DRAFTS_SENT, binds![named, run, now]).await?;
            }
            SubmitStep::Draft | SubmitStep::Create => {}
        }
        db.execute(&MARK_JOBS_SUBMITTING, binds![named, run]).await?;
        db.execute(&INSERT_EVENTS, binds![named, run, now, JobEvent::Claimed.as_str()]).await?;
        Ok(())
    }
}

impl WriteOp for ClaimSubmissions {
    type Output = ClaimOutcome;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<ClaimOutcome, LedgerError> {
        let mut counted: CapacityCounts = db
            .fetch_optional(&COUNT_CAPACITY, binds![self.batch.0, self.run.0])
            .await?
            .ok_or(LedgerError::LeaseLost)?;
        if let Some(selection) = self.capacity.selection {
            // Drafts outside this run's selection must not block its own.
            counted.drafted =
                db.fetch_value(&COUNT_DRAFTED_SELECTED, binds![self.batch.0, selection.0]).await?;
        }
        if self.step == SubmitStep::Draft && self.capacity.per_run_max.is_some() {
            counted.drafting = db.fetch_value(&COUNT_DRAFTING, binds![self.batch.0]).await?;
        }
        if let Some(behind) = find_gap(db, &counted.name).await? {
            return Err(behind);
        }
        let gate = SampleGate::read(&mut *db, self.batch, &self.capacity, self.step).await?;
        let (max, block) = self.capacity.available(self.step, &counted);
        let (max, block) = gate.limit(max, block);
        if max == 0 {
            return Ok(ClaimOutcome { submissions: Vec::new(), block });
        }
        let ReadyQueue { step, jobs: mut queue, max } =
            self.read_ready_jobs(db, gate, max, counted.drafted).await?;
        if step == SubmitStep::Draft {
            exclusive_project::keep_first_per_project(&mut queue);
        }
        // Without a place for another row, the rows of the sample are not due yet.
        let block = if max > 0 && queue.len() as i64 >= max {
            block
        } else if queue.is_empty()
            && exclusive_project::is_blocked(db, self.batch, self.capacity.selection).await?
        {
            ClaimBlock::ProjectInUse
        } else {
            ClaimBlock::NothingDue
        };
        self.leave_out_found(db, &counted.name, &mut queue).await?;
        let block = if self.truncate_to_budget(db, &mut queue).await? {
            block
        } else {
            ClaimBlock::Credits
        };
        if queue.is_empty() {
            return Ok(ClaimOutcome { submissions: Vec::new(), block });
        }
        let claims = self.claim_jobs(db, step, &counted.name, queue).await?;
        gate.add_videos(db, self.batch, claims.iter().map(|claim| claim.job)).await?;
        if self.step != SubmitStep::Draft {
            db.execute(&COUNT_SUBMITTED, binds![self.run.0, claims.len() as i64]).await?;
        }
        Ok(ClaimOutcome { submissions: claims, block })
    }
}

impl BatchLease {
    /// Claims jobs for the free first step of two.
    pub async fn claim_drafts(
        &self,
        capacity: Capacity,
        now: Timestamp,
    ) -> Result<ClaimOutcome, LedgerError> {
        self.claim_submissions(SubmitStep::Draft, capacity, now).await
    }

    /// Claims jobs for their paid request, whose intent is on disk when this returns. Existing
    /// drafts are claimed first, also in a batch that submits in one step.
    pub async fn claim_paid(
        &self,
        mode: SubmissionMode,
        capacity: Capacity,
        now: Timestamp,
    ) -> Result<ClaimOutcome, LedgerError> {
        let step = match mode {
            SubmissionMode::TwoStep => SubmitStep::Export,
            SubmissionMode::OneStep => SubmitStep::Create,
        };
        self.claim_submissions(step, capacity, now).await
    }

    async fn claim_submissions(
        &self,
        step: SubmitStep,
        capacity: Capacity,
        now: Timestamp,
    ) -> Result<ClaimOutcome, LedgerError> {
        let (run, batch) = (self.run, self.batch);
        let tag_secret = self.ledger.identity().tag_secret.clone();
        let claim = ClaimSubmissions { run, batch, step, capacity, tag_secret, now };
        self.ledger.writer.execute(claim).await
    }
}

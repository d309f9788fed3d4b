//! The callback addresses of submissions, and the callbacks received at them.
//!
//! An address contains a secret of 128 bits, generated with the intent of its paid request. The
//! ledger stores only its hash, and deletes it when the job reaches a final state. A callback is
//! not trusted: it brings the next check forward, at most once in five seconds, and proves that an
//! uncertain request was accepted. Invariants: no callback moves a job to another state or changes
//! its cost; a repeated callback changes nothing.

mod report;
mod secret;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::webhook::report::merge_callback;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{Ledger, SubmissionId};

pub use crate::ledger::write::webhook::report::{CallbackReport, ReceivedCallback};
pub use crate::ledger::write::webhook::secret::WebhookSecret;

/// A self-test whose callback did not arrive is deleted after this time.
const SELF_TEST_TTL: SignedDuration = SignedDuration::from_hours(1);

/// The subject of a callback.
#[derive(Clone, Debug, PartialEq)]
pub enum CallbackEffect {
    /// The address is unknown, or no longer valid.
    UnknownAddress,
    /// The self-test of the callback path.
    SelfTest,
    /// A submission.
    Job {
        /// Its job's key.
        key: String,
        /// A warning for the user about something unusual.
        warning: Option<String>,
    },
}

static FIND_TARGET: Statement = Statement::new(
    "-- ledger::record_callback, target
    select h.submission_id as submission, j.id as job, j.key, j.state, s.outcome,
        y.first_at, y.at, y.look_at, y.progress, y.task, y.other_task, y.credits
    from hook h
    left join submission s on s.id = h.submission_id
    left join job j on j.id = s.job_id
    left join hearsay y on y.submission_id = s.id
    where h.secret_hash = $1",
);

static CALLBACK_REPORT: Statement = Statement::new(
    "-- ledger::callback_report
    select first_at, at, look_at, progress, task, other_task, credits
    from hearsay where submission_id = $1",
);

static SAVE_REPORT: Statement = Statement::new(
    "-- ledger::record_callback, save
    insert into hearsay
        (submission_id, first_at, at, look_at, progress, task, other_task, credits)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict (submission_id) do update set at = excluded.at, look_at = excluded.look_at,
        progress = excluded.progress, task = excluded.task, other_task = excluded.other_task,
        credits = excluded.credits",
);

static BRING_CHECK_FORWARD: Statement = Statement::new(
    "-- ledger::bring_check_forward
    update job set due_at = $3
    where id = $1 and submission_id = $2 and state in ('rendering', 'uncertain') and due_at > $3",
);

static INSERT_ADDRESSES: Statement = Statement::new(
    "-- ledger::claim_submissions, addresses
    insert into hook (secret_hash, submission_id, made_at)
    select named.value ->> 0, cast(named.value ->> 1 as bigint), $2 from {rows $1} named",
);

static INSERT_ADDRESS: Statement = Statement::new(
    "-- ledger::expect_callbacks
    insert into hook (secret_hash, submission_id, made_at) values ($1, $2, $3)",
);

static MARK_ANSWERED: Statement = Statement::new(
    "-- ledger::record_callback, self-test
    update hook set answered_at = $2 where secret_hash = $1",
);

static DELETE_SELF_TESTS: Statement = Statement::new(
    "-- ledger::expect_self_test, former ones
    delete from hook where submission_id is null and made_at < $1",
);

static END_SELF_TEST: Statement = Statement::new(
    "-- ledger::finish_self_test
    delete from hook where secret_hash = $1 and submission_id is null
    returning answered_at is not null",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] =
    &[&FIND_TARGET, &CALLBACK_REPORT, &BRING_CHECK_FORWARD];

#[derive(sqlx::FromRow)]
struct CallbackTarget {
    submission: Option<i64>,
    job: Option<i64>,
    key: Option<String>,
    state: Option<String>,
    outcome: Option<String>,
    #[sqlx(try_from = "StoredTime")]
    first_at: Option<Timestamp>,
    #[sqlx(try_from = "StoredTime")]
    at: Option<Timestamp>,
    #[sqlx(try_from = "StoredTime")]
    look_at: Option<Timestamp>,
    progress: Option<f64>,
    task: Option<String>,
    other_task: Option<String>,
    credits: Option<f64>,
}

impl CallbackTarget {
    fn report(&self) -> Option<CallbackReport> {
        Some(CallbackReport {
            first_at: self.first_at?,
            at: self.at?,
            look_at: self.look_at,
            progress: self.progress,
            task: self.task.clone(),
            other_task: self.other_task.clone(),
            credits: self.credits,
        })
    }

    fn is_uncertain(&self) -> bool {
        self.state.as_deref() == Some("uncertain")
    }

    /// Returns the warning for the user, if there is one.
    fn warning(&self, report: &CallbackReport) -> Option<String> {
        let key = self.key.as_deref().unwrap_or_default();
        if let (Some(one), Some(other)) = (&report.task, &report.other_task) {
            return Some(format!(
                "AI Studios called about two renders, {one:?} and {other:?}, for one request of \
                 `{key}`: it may have taken that twice"
            ));
        }
        let outcome = self.outcome.as_deref().unwrap_or_default();
        let declined = matches!(outcome, "not-sent" | "refused" | "absent" | "stray" | "drafted");
        declined.then(|| {
            format!(
                "AI Studios called about a request of `{key}` that counts as `{outcome}`, so it \
                 may have been accepted after all: look for it on its website"
            )
        })
    }
}

struct RecordCallback {
    secret_hash: String,
    callback: ReceivedCallback,
    now: Timestamp,
}

impl WriteOp for RecordCallback {
    type Output = CallbackEffect;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<CallbackEffect, LedgerError> {
        let known: Option<CallbackTarget> =
            db.fetch_optional(&FIND_TARGET, binds![&self.secret_hash]).await?;
        let Some(known) = known else { return Ok(CallbackEffect::UnknownAddress) };
        let (Some(submission), Some(job)) = (known.submission, known.job) else {
            db.execute(&MARK_ANSWERED, binds![&self.secret_hash, self.now]).await?;
            return Ok(CallbackEffect::SelfTest);
        };
        let key = known.key.clone().unwrap_or_default();
        let report = merge_callback(known.report(), &self.callback, known.is_uncertain(), self.now);
        let Some(report) = report else { return Ok(CallbackEffect::Job { key, warning: None }) };
        db.execute(
            &SAVE_REPORT,
            binds![
                submission,
                report.first_at,
                report.at,
                report.look_at,
                report.progress,
                &report.task,
                &report.other_task,
                report.credits
            ],
        )
        .await?;
        if let Some(look_at) = report.look_at {
            db.execute(&BRING_CHECK_FORWARD, binds![job, submission, look_at]).await?;
        }
        Ok(CallbackEffect::Job { warning: known.warning(&report), key })
    }
}

/// An address that AI Studios receives with a submission's paid request.
pub(in crate::ledger) struct CallbackAddress {
    pub(in crate::ledger) submission: SubmissionId,
    pub(in crate::ledger) secret_hash: String,
}

/// Stores the addresses of claimed submissions.
pub(in crate::ledger) async fn insert_addresses(
    db: &mut StoreConnection,
    addresses: &[CallbackAddress],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    if addresses.is_empty() {
        return Ok(());
    }
    let row = |address: &CallbackAddress| json!([address.secret_hash, address.submission.0]);
    let named = addresses.iter().map(row).collect::<serde_json::Value>().to_string();
    db.execute(&INSERT_ADDRESSES, binds![named, now]).await?;
    Ok(())
}

struct ExpectCallback {
    secret_hash: String,
    /// `None` for a self-test.
    submission: Option<i64>,
    now: Timestamp,
}

impl WriteOp for ExpectCallback {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        db.execute(&DELETE_SELF_TESTS, binds![self.now - SELF_TEST_TTL]).await?;
        db.execute(&INSERT_ADDRESS, binds![&self.secret_hash, self.submission, self.now]).await?;
        Ok(())
    }
}

struct EndSelfTest(String);

impl WriteOp for EndSelfTest {
    type Output = bool;

    /// Returns whether the callback arrived.
    async fn apply(&mut self, db: &mut StoreConnection) -> Result<bool, LedgerError> {
        let came: Option<bool> = db.find_value(&END_SELF_TEST, binds![&self.0]).await?;
        Ok(came.unwrap_or(false))
    }
}

impl Ledger {
    /// Records a callback at the address with this secret. Unknown and repeated callbacks are
    /// rejected without a write.
    pub async fn record_callback(
        &self,
        secret: &WebhookSecret,
        callback: ReceivedCallback,
        now: Timestamp,
    ) -> Result<CallbackEffect, LedgerError> {
        let hash = secret.hash();
        let known: Option<CallbackTarget> =
            self.readers.fetch_optional(&FIND_TARGET, binds![&hash]).await?;
        match known {
            None => return Ok(CallbackEffect::UnknownAddress),
            Some(known) if known.submission.is_some() => {
                let is_new =
                    merge_callback(known.report(), &callback, known.is_uncertain(), now).is_some();
                if !is_new {
                    let key = known.key.unwrap_or_default();
                    return Ok(CallbackEffect::Job { key, warning: None });
                }
            }
            Some(_) => {}
        }
        self.writer.execute(RecordCallback { secret_hash: hash, callback, now }).await
    }

    /// Returns the callbacks received for a submission, summarised.
    pub async fn callback_report(
        &self,
        submission: SubmissionId,
    ) -> Result<Option<CallbackReport>, LedgerError> {
        Ok(self.readers.fetch_optional(&CALLBACK_REPORT, binds![submission.0]).await?)
    }

    /// Stores the address of a self-test.
    pub async fn expect_self_test(
        &self,
        secret: &WebhookSecret,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let secret_hash = secret.hash();
        self.writer.execute(ExpectCallback { secret_hash, submission: None, now }).await
    }

    /// Deletes the address of a self-test. Returns whether its callback arrived.
    pub async fn finish_self_test(&self, secret: &WebhookSecret) -> Result<bool, LedgerError> {
        self.writer.execute(EndSelfTest(secret.hash())).await
    }
}

impl BatchLease {
    /// Brings a job's next check forward if callbacks ask for it. A check that was running when the
    /// callback arrived would otherwise have postponed it.
    pub async fn bring_check_forward(
        &self,
        job: crate::ledger::JobId,
        submission: SubmissionId,
        at: Timestamp,
    ) -> Result<(), LedgerError> {
        self.ledger
            .writer
            .execute(BringCheckForward { job: job.0, submission: submission.0, at })
            .await
    }

    /// Stores one more callback address for a submission.
    pub async fn expect_callbacks(
        &self,
        submission: SubmissionId,
        secret: &WebhookSecret,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let (secret_hash, submission) = (secret.hash(), Some(submission.0));
        self.ledger.writer.execute(ExpectCallback { secret_hash, submission, now }).await
    }
}

struct BringCheckForward {
    job: i64,
    submission: i64,
    at: Timestamp,
}

impl WriteOp for BringCheckForward {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        db.execute(&BRING_CHECK_FORWARD, binds![self.job, self.submission, self.at]).await?;
        Ok(())
    }
}

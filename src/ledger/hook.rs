//! The addresses at which AI Studios may call about a submission, and what such calls said.
//!
//! An address holds a secret of 128 bits that is drawn with the intent of its paid request. Here is
//! only its hash, and that goes when the job has come to its end. What a call says is hearsay: it
//! brings a look forward, at most once in five seconds, and tells that an unclear request was
//! accepted. Invariant: nothing here moves a job to another state or touches what it cost, and
//! whoever repeats himself changes nothing.

mod hearsay;
mod secret;

use jiff::Timestamp;
use serde_json::json;
use sqlx::SqliteConnection;

use super::claim::Claim;
use super::error::LedgerError;
use super::job::Millis;
use super::writer::Change;
use super::{Ledger, SubmissionId};
use hearsay::after;

pub use hearsay::{Call, Hearsay};
pub use secret::Secret;

/// A call to ourselves that never came is forgotten after this long.
const WAY_FORGOTTEN: Millis = 3_600_000;

/// Whom a call was about.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// Nobody that is known, or no more.
    Nobody,
    /// We called ourselves, to see whether the way is open.
    Ourselves,
    /// A submission.
    Job {
        /// Its job's key.
        key: String,
        /// What a person should know of it, where something is strange.
        strange: Option<String>,
    },
}

const KNOWN: &str = "-- ledger::hear, known
    select h.submission_id as submission, j.id as job, j.key, j.state, s.outcome,
        y.first_at, y.at, y.look_at, y.progress, y.task, y.other_task, y.credits
    from hook h
    left join submission s on s.id = h.submission_id
    left join job j on j.id = s.job_id
    left join hearsay y on y.submission_id = s.id
    where h.secret_hash = ?1";

const HEARSAY: &str = "-- ledger::hearsay
    select first_at, at, look_at, progress, task, other_task, credits
    from hearsay where submission_id = ?1";

const KEEP: &str = "-- ledger::hear, keep
    insert into hearsay
        (submission_id, first_at, at, look_at, progress, task, other_task, credits)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
    on conflict do update set at = excluded.at, look_at = excluded.look_at,
        progress = excluded.progress, task = excluded.task, other_task = excluded.other_task,
        credits = excluded.credits";

const WAKE: &str = "-- ledger::hear, wake
    update job set due_at = ?3
    where id = ?1 and submission_id = ?2 and state in ('rendering', 'uncertain') and due_at > ?3";

const EXPECT: &str = "-- ledger::claim_submissions, addresses
    insert into hook (secret_hash, submission_id, made_at)
    select named.value ->> '$[0]', named.value ->> '$[1]', ?2 from json_each(?1) named";

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[KNOWN, HEARSAY, WAKE];

#[derive(sqlx::FromRow)]
struct Known {
    submission: Option<i64>,
    job: Option<i64>,
    key: Option<String>,
    state: Option<String>,
    outcome: Option<String>,
    first_at: Option<i64>,
    at: Option<i64>,
    look_at: Option<i64>,
    progress: Option<f64>,
    task: Option<String>,
    other_task: Option<String>,
    credits: Option<f64>,
}

impl Known {
    fn hearsay(&self) -> Option<Hearsay> {
        Some(Hearsay {
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

    /// Says what a person should know.
    fn strange(&self, heard: &Hearsay) -> Option<String> {
        let key = self.key.as_deref().unwrap_or_default();
        if let (Some(one), Some(other)) = (&heard.task, &heard.other_task) {
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

struct Hear {
    hash: String,
    call: Call,
    now: Millis,
}

impl Change for Hear {
    type Answer = Heard;

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<Heard, LedgerError> {
        let sql = |source| LedgerError::sql("note a call of AI Studios", source);
        let known: Option<Known> =
            sqlx::query_as(KNOWN).bind(&self.hash).fetch_optional(&mut *db).await.map_err(sql)?;
        let Some(known) = known else { return Ok(Heard::Nobody) };
        let (Some(submission), Some(job)) = (known.submission, known.job) else {
            sqlx::query("update hook set answered_at = ?2 where secret_hash = ?1")
                .bind(&self.hash)
                .bind(self.now)
                .execute(db)
                .await
                .map_err(sql)?;
            return Ok(Heard::Ourselves);
        };
        let key = known.key.clone().unwrap_or_default();
        let heard = after(known.hearsay(), &self.call, (known.is_uncertain(), self.now));
        let Some(heard) = heard else { return Ok(Heard::Job { key, strange: None }) };
        sqlx::query(KEEP)
            .bind(submission)
            .bind(heard.first_at)
            .bind(heard.at)
            .bind(heard.look_at)
            .bind(heard.progress)
            .bind(&heard.task)
            .bind(&heard.other_task)
            .bind(heard.credits)
            .execute(&mut *db)
            .await
            .map_err(sql)?;
        if let Some(look_at) = heard.look_at {
            let wake = sqlx::query(WAKE).bind(job).bind(submission).bind(look_at);
            wake.execute(db).await.map_err(sql)?;
        }
        Ok(Heard::Job { strange: known.strange(&heard), key })
    }
}

/// Expects calls about what was claimed, where each was given a secret.
pub(super) async fn expect(
    db: &mut SqliteConnection,
    claims: &[Claim],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let named: Vec<_> = claims
        .iter()
        .filter_map(|claim| Some(json!([claim.secret.as_ref()?.hash(), claim.submission.0])))
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let named = serde_json::Value::from(named).to_string();
    sqlx::query(EXPECT).bind(named).bind(now.as_millisecond()).execute(db).await?;
    Ok(())
}

struct Expect {
    hash: String,
    /// Nothing for a call to ourselves.
    submission: Option<i64>,
    now: Millis,
}

impl Change for Expect {
    type Answer = ();

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<(), LedgerError> {
        let sql = |source| LedgerError::sql("expect a call", source);
        sqlx::query("delete from hook where submission_id is null and made_at < ?1")
            .bind(self.now - WAY_FORGOTTEN)
            .execute(&mut *db)
            .await
            .map_err(sql)?;
        sqlx::query("insert into hook (secret_hash, submission_id, made_at) values (?1, ?2, ?3)")
            .bind(&self.hash)
            .bind(self.submission)
            .bind(self.now)
            .execute(db)
            .await
            .map_err(sql)?;
        Ok(())
    }
}

struct ForgetOurselves(String);

impl Change for ForgetOurselves {
    type Answer = bool;

    /// Returns whether the call came.
    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<bool, LedgerError> {
        let sql = |source| LedgerError::sql("forget a call to ourselves", source);
        let came: Option<bool> = sqlx::query_scalar(
            "delete from hook where secret_hash = ?1 and submission_id is null
             returning answered_at is not null",
        )
        .bind(&self.0)
        .fetch_optional(db)
        .await
        .map_err(sql)?;
        Ok(came.unwrap_or(false))
    }
}

impl Ledger {
    /// Notes what was said at the address with this secret. Most of what a stranger or a repeater
    /// sends is not even written.
    pub async fn hear(
        &self,
        secret: &Secret,
        call: Call,
        now: Timestamp,
    ) -> Result<Heard, LedgerError> {
        let (hash, now) = (secret.hash(), now.as_millisecond());
        let known: Option<Known> = sqlx::query_as(KNOWN)
            .bind(&hash)
            .fetch_optional(&self.readers)
            .await
            .map_err(|source| LedgerError::sql("see whom a call is about", source))?;
        match known {
            None => return Ok(Heard::Nobody),
            Some(known) if known.submission.is_some() => {
                let is_new = after(known.hearsay(), &call, (known.is_uncertain(), now)).is_some();
                if !is_new {
                    let key = known.key.unwrap_or_default();
                    return Ok(Heard::Job { key, strange: None });
                }
            }
            Some(_) => {}
        }
        self.writer.make(Hear { hash, call, now }).await
    }

    /// Returns what was heard of a submission, if AI Studios ever called about it.
    pub async fn hearsay(&self, submission: SubmissionId) -> Result<Option<Hearsay>, LedgerError> {
        sqlx::query_as(HEARSAY)
            .bind(submission.0)
            .fetch_optional(&self.readers)
            .await
            .map_err(|source| LedgerError::sql("see what AI Studios called about", source))
    }

    /// Brings a job's next look forward to when calls want it. A look that was under way when one
    /// came would have put it off otherwise.
    pub async fn look_at(
        &self,
        job: super::JobId,
        submission: SubmissionId,
        at: i64,
    ) -> Result<(), LedgerError> {
        self.writer.make(LookAt { job: job.0, submission: submission.0, at }).await
    }

    /// Expects that we call ourselves at the address with this secret.
    pub async fn expect_ourselves(
        &self,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let (hash, now) = (secret.hash(), now.as_millisecond());
        self.writer.make(Expect { hash, submission: None, now }).await
    }

    /// Expects calls about a submission at one more address, the one with this secret.
    pub async fn expect_calls(
        &self,
        submission: SubmissionId,
        secret: &Secret,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let (hash, now) = (secret.hash(), now.as_millisecond());
        self.writer.make(Expect { hash, submission: Some(submission.0), now }).await
    }

    /// Expects it no longer. Tells whether the call came.
    pub async fn heard_ourselves(&self, secret: &Secret) -> Result<bool, LedgerError> {
        self.writer.make(ForgetOurselves(secret.hash())).await
    }
}

struct LookAt {
    job: i64,
    submission: i64,
    at: Millis,
}

impl Change for LookAt {
    type Answer = ();

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<(), LedgerError> {
        sqlx::query(WAKE)
            .bind(self.job)
            .bind(self.submission)
            .bind(self.at)
            .execute(db)
            .await
            .map_err(|source| LedgerError::sql("look sooner", source))?;
        Ok(())
    }
}

//! Taking work from the queue: the ledger is the queue, and a claim is an intent on disk.
//!
//! A claimed submission exists, with its tag, before its first byte leaves. How many may be
//! claimed is counted in the same transaction, so that no cap can be passed by a crash between
//! counting and claiming.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::SqliteConnection;

use super::credits::{Caps, Purse};
use super::error::LedgerError;
use super::runs::Lease;
use super::state::{Event, State};
use super::tag::Tag;
use super::writer::Change;
use super::{BatchId, JobId, Ledger, SubmissionId};

/// How a batch submits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A free draft first, then the paid export of it.
    TwoStep,
    /// One paid request.
    OneStep,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Self::TwoStep => "two-step",
            Self::OneStep => "one-step",
        }
    }
}

/// How many paid requests may begin now.
#[derive(Clone, Debug)]
pub struct Room {
    /// Renders under way at once, those being submitted included.
    pub in_flight: u32,
    /// Videos that must be verified before more than that many may be under way; 0 for no canary.
    pub canary: u32,
    /// Paid requests in this run, over its whole length.
    pub per_run: Option<u32>,
    /// Requests in this one claim.
    pub at_once: u32,
    /// Credits, where they are capped.
    pub credits: Option<Caps>,
    /// Only these keys, where a person named some.
    pub only: Option<Vec<String>>,
}

/// Why no (more) paid request may begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing is due.
    NothingDue,
    /// As many renders as allowed are under way.
    InFlight,
    /// The canaries are not verified yet.
    Canary,
    /// This run may not begin more.
    PerRun,
    /// The credits that may be spent are spent, or reserved by what is under way.
    Credits,
    /// A person paused the batch.
    Paused,
}

/// A submission that was claimed: everything needed to make its very bytes.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job.
    pub job: JobId,
    /// The job's key.
    pub key: String,
    /// The submission whose intent is on disk.
    pub submission: SubmissionId,
    /// Its tag.
    pub tag: Tag,
    /// The draft to export, for the second step of two.
    pub project_id: Option<String>,
    /// The row's cells, as JSON.
    pub cells: String,
    /// Which layout names the cells.
    pub layout: i64,
    /// Which template merges them.
    pub template_hash: String,
    /// What the merged payload must hash to.
    pub payload_hash: String,
    /// Free submit failures so far.
    pub submit_failures: i64,
}

/// What a claim came to.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The submissions to send now.
    pub claims: Vec<Claim>,
    /// Why there are no more.
    pub held: Held,
}

/// A job that is due for a poll, a fetch or a look.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Due {
    /// The job's number.
    #[sqlx(try_from = "i64")]
    pub job: JobId,
    /// The job's key.
    pub key: String,
    /// Its version.
    pub version: i64,
    /// The submission that it hangs on.
    #[sqlx(try_from = "i64")]
    pub submission: SubmissionId,
    /// That submission's tag.
    #[sqlx(try_from = "String")]
    pub tag: Tag,
    /// The project as made.
    pub project_id: Option<String>,
    /// The project as rendered, where it differs.
    pub render_id: Option<String>,
    /// When the paid request's intent was written, in milliseconds since 1970.
    pub paid_at: Option<i64>,
    /// When the render was accepted.
    pub rendering_at: Option<i64>,
    /// 0 to 100, as last polled.
    pub progress: Option<f64>,
    /// When progress last moved.
    pub moved_at: Option<i64>,
    /// Polls so far.
    pub polls: i64,
    /// Looks for an unclear submission so far.
    pub looks: i64,
    /// Paid re-renders so far.
    pub rerenders: i64,
    /// Failed fetches so far.
    pub fetch_failures: i64,
    /// Where the finished file is.
    pub video_url: Option<String>,
    /// The name it shall have.
    pub file_name: String,
    /// The script's estimated length.
    pub spoken_ms: i64,
}

impl From<String> for Tag {
    fn from(text: String) -> Self {
        Self::stored(text)
    }
}

const COUNT: &str = "-- ledger::claim_submissions, room
    select b.canary_done, b.paused, b.name, r.submitted,
        (select count(*) from job indexed by job_due
         where batch_id = b.id and state in ('submitting', 'rendering')) as under_way,
        (select count(*) from job indexed by job_due
         where batch_id = b.id and state in ('uncertain', 'fetching')) as unverified,
        (select count(*) from job indexed by job_due
         where batch_id = b.id and state = 'ready' and drafted = 1) as drafted
    from batch b join run r on r.batch_id = b.id and r.id = ?2 and r.ended_at is null
    where b.id = ?1";

const DUE_TO_SUBMIT: &str = "-- ledger::claim_submissions, queue
    select j.id as job, j.key, j.version, j.attempts, j.submit_failures, j.submission_id,
           s.tag, s.project_id, v.cells, v.layout_id as layout, v.template_hash, v.payload_hash,
           v.spoken_ms
    from job j indexed by job_due
    join version v on v.job_id = j.id and v.version = j.version
    left join submission s on s.id = j.submission_id
    where j.batch_id = ?1 and j.state = 'ready' and j.drafted = ?2 and j.due_at <= ?3
    order by j.due_at, j.position limit ?4";

const DUE_AMONG: &str = "-- ledger::claim_submissions, named keys
    select j.id as job, j.key, j.version, j.attempts, j.submit_failures, j.submission_id,
           s.tag, s.project_id, v.cells, v.layout_id as layout, v.template_hash, v.payload_hash,
           v.spoken_ms
    from json_each(?5) named
    join job j on j.batch_id = ?1 and j.key = named.value
    join version v on v.job_id = j.id and v.version = j.version
    left join submission s on s.id = j.submission_id
    where j.state = 'ready' and j.drafted = ?2 and j.due_at <= ?3
    limit ?4";

const NEW_SUBMISSION: &str = "-- ledger::claim_submissions, intent
    insert into submission (job_id, version, attempt, run_id, tag, way, outcome, begun_at, paid_at)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) returning id";

const SAME_SUBMISSION: &str = "-- ledger::claim_submissions, paid step
    update submission set outcome = 'sent', paid_at = ?2, run_id = ?3, settled_at = null
    where id = ?1 and outcome = 'drafted'";

const TAKE: &str = "-- ledger::claim_submissions, job
    update job set state = 'submitting', drafted = 0, lease_token = ?2, submission_id = ?3,
        attempts = ?4
    where id = ?1 and state = 'ready';
    insert into event (job_id, version, submission_id, run_id, at, event, state)
    values (?1, ?5, ?3, ?2, ?6, ?7, 'submitting')";

const COUNT_SUBMITTED: &str = "-- ledger::claim_submissions, count
    update run set submitted = submitted + ?2 where id = ?1";

const DUE: &str = "-- ledger::claim_due
    select j.id as job, j.key, j.version, s.id as submission, s.tag, s.project_id, s.render_id,
           s.paid_at, j.rendering_at, j.progress, j.moved_at, j.polls, s.looks, j.rerenders,
           j.fetch_failures, s.video_url, v.file_name, v.spoken_ms
    from job j indexed by job_due
    join submission s on s.id = j.submission_id
    join version v on v.job_id = j.id and v.version = s.version
    where j.batch_id = ?1 and j.state = ?2 and j.drafted = 0 and j.due_at <= ?3
    order by j.due_at, j.position limit ?4";

const POSTPONE: &str = "-- ledger::claim_due, postpone
    update job set due_at = ?3 where id = ?1 and lease_token = ?2";

const LEFT_TO_DO: &str = "-- ledger::left_to_do
    select state, jobs from tally where batch_id = ?1
    union all
    select 'named', count(*) from json_each(?2) named
    join job j on j.batch_id = ?1 and j.key = named.value where j.state = 'ready'";

const DRAFTED_AMONG: &str = "-- ledger::claim_submissions, drafts of named keys
    select count(*) from json_each(?2) named
    join job j on j.batch_id = ?1 and j.key = named.value
    where j.state = 'ready' and j.drafted = 1";

const NEXT_DUE: &str = "-- ledger::next_due
    select min(due_at) from job indexed by job_due
    where batch_id = ?1 and state = ?2 and drafted = ?3";

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] =
    &[COUNT, DUE_TO_SUBMIT, DUE_AMONG, DRAFTED_AMONG, DUE, LEFT_TO_DO, NEXT_DUE];

struct ClaimSubmissions {
    lease: Lease,
    batch: BatchId,
    step: PaidStep,
    room: Room,
    now: Timestamp,
}

/// Which request is to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PaidStep {
    /// The free first of two.
    Draft,
    /// The paid second of two.
    Export,
    /// The paid only one.
    Create,
}

#[derive(sqlx::FromRow)]
struct Counted {
    canary_done: i64,
    paused: bool,
    name: String,
    submitted: i64,
    under_way: i64,
    unverified: i64,
    drafted: i64,
}

#[derive(sqlx::FromRow)]
struct Queued {
    job: i64,
    key: String,
    version: i64,
    attempts: i64,
    submit_failures: i64,
    submission_id: Option<i64>,
    tag: Option<String>,
    project_id: Option<String>,
    cells: String,
    layout: i64,
    template_hash: String,
    payload_hash: String,
    spoken_ms: i64,
}

impl ClaimSubmissions {
    /// Leaves in the queue what can be paid for, in its order.
    async fn afford(
        &self,
        db: &mut SqliteConnection,
        queue: &mut Vec<Queued>,
    ) -> Result<bool, LedgerError> {
        let Some(caps) = self.room.credits else { return Ok(true) };
        if self.step == PaidStep::Draft {
            return Ok(true);
        }
        let mut purse = Purse::open(db, caps, (self.lease.0, self.batch.0)).await?;
        let wanted = queue.len();
        let affordable = queue.iter().take_while(|queued| purse.pay(queued.spoken_ms)).count();
        queue.truncate(affordable);
        Ok(affordable == wanted)
    }

    /// Returns how many may begin, and what would hold the next one.
    fn allowed(&self, counted: &Counted) -> (i64, Held) {
        if counted.paused {
            return (0, Held::Paused);
        }
        // Drafts are free, but a draft that waits long serves nobody: stay a little ahead.
        let taken = match self.step {
            PaidStep::Draft => counted.drafted + counted.under_way,
            PaidStep::Export | PaidStep::Create => counted.under_way,
        };
        let lead = match self.step {
            PaidStep::Draft => i64::from(self.room.in_flight.clamp(1, DRAFTS_AHEAD_MAX)),
            PaidStep::Export | PaidStep::Create => 0,
        };
        let mut least = (i64::from(self.room.at_once), Held::NothingDue);
        let mut cap = |room: i64, held| {
            if room < least.0 {
                least = (room.max(0), held);
            }
        };
        cap(i64::from(self.room.in_flight) + lead - taken, Held::InFlight);
        let canary = i64::from(self.room.canary);
        if counted.canary_done < canary {
            cap(canary - counted.canary_done - taken - counted.unverified, Held::Canary);
        }
        if let Some(per_run) = self.room.per_run {
            let begun = match self.step {
                PaidStep::Draft => counted.submitted + counted.drafted,
                PaidStep::Export | PaidStep::Create => counted.submitted,
            };
            cap(i64::from(per_run) - begun, Held::PerRun);
        }
        least
    }

    async fn queue(&self, db: &mut SqliteConnection, max: i64) -> Result<Vec<Queued>, LedgerError> {
        let only = self.room.only.as_ref();
        let text = if only.is_some() { DUE_AMONG } else { DUE_TO_SUBMIT };
        let mut query = sqlx::query_as(text)
            .bind(self.batch.0)
            .bind(self.step == PaidStep::Export)
            .bind(self.now.as_millisecond())
            .bind(max);
        if let Some(only) = only {
            query = query.bind(serde_json::Value::from(only.clone()).to_string());
        }
        query.fetch_all(db).await.map_err(|source| LedgerError::sql("read the queue", source))
    }

    async fn take(
        &self,
        db: &mut SqliteConnection,
        batch_name: &str,
        queued: Queued,
    ) -> Result<Claim, sqlx::Error> {
        let now = self.now.as_millisecond();
        let (submission, tag, attempts) = match (self.step, queued.submission_id, queued.tag) {
            (PaidStep::Export, Some(id), Some(tag)) => {
                sqlx::query(SAME_SUBMISSION)
                    .bind(id)
                    .bind(now)
                    .bind(self.lease.0)
                    .execute(&mut *db)
                    .await?;
                (id, Tag::stored(tag), queued.attempts)
            }
            (PaidStep::Draft | PaidStep::Export | PaidStep::Create, _, _) => {
                let attempt = queued.attempts + 1;
                let tag = Tag::of(batch_name, &queued.key, &queued.payload_hash, attempt);
                let (way, outcome, paid_at) = match self.step {
                    PaidStep::Draft => (Way::TwoStep, "drafting", None),
                    PaidStep::Export | PaidStep::Create => (Way::OneStep, "sent", Some(now)),
                };
                let id: i64 = sqlx::query_scalar(NEW_SUBMISSION)
                    .bind(queued.job)
                    .bind(queued.version)
                    .bind(attempt)
                    .bind(self.lease.0)
                    .bind(tag.as_str())
                    .bind(way.word())
                    .bind(outcome)
                    .bind(now)
                    .bind(paid_at)
                    .fetch_one(&mut *db)
                    .await?;
                (id, tag, attempt)
            }
        };
        sqlx::query(TAKE)
            .bind(queued.job)
            .bind(self.lease.0)
            .bind(submission)
            .bind(attempts)
            .bind(queued.version)
            .bind(now)
            .bind(Event::Claimed.word())
            .execute(db)
            .await?;
        Ok(Claim {
            job: JobId(queued.job),
            key: queued.key,
            submission: SubmissionId(submission),
            tag,
            project_id: queued.project_id,
            cells: queued.cells,
            layout: queued.layout,
            template_hash: queued.template_hash,
            payload_hash: queued.payload_hash,
            submit_failures: queued.submit_failures,
        })
    }
}

/// Drafts made ahead of a free render slot, so that an export can begin the moment one frees.
const DRAFTS_AHEAD_MAX: u32 = 4;

impl Change for ClaimSubmissions {
    type Answer = Claimed;

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<Claimed, LedgerError> {
        let sql = |source| LedgerError::sql("claim a submission", source);
        let mut counted: Counted = sqlx::query_as(COUNT)
            .bind(self.batch.0)
            .bind(self.lease.0)
            .fetch_optional(&mut *db)
            .await
            .map_err(sql)?
            .ok_or(LedgerError::LeaseLost)?;
        if let Some(only) = &self.room.only {
            // Drafts that this run will not export must not hold its own back.
            counted.drafted = sqlx::query_scalar(DRAFTED_AMONG)
                .bind(self.batch.0)
                .bind(serde_json::Value::from(only.clone()).to_string())
                .fetch_one(&mut *db)
                .await
                .map_err(sql)?;
        }
        let (max, held) = self.allowed(&counted);
        if max == 0 {
            return Ok(Claimed { claims: Vec::new(), held });
        }
        let mut queue = self.queue(db, max).await?;
        let held = if (queue.len() as i64) < max { Held::NothingDue } else { held };
        let held = if self.afford(db, &mut queue).await? { held } else { Held::Credits };
        let mut claims = Vec::with_capacity(queue.len());
        for queued in queue {
            claims.push(self.take(db, &counted.name, queued).await.map_err(sql)?);
        }
        if self.step != PaidStep::Draft && !claims.is_empty() {
            sqlx::query(COUNT_SUBMITTED)
                .bind(self.lease.0)
                .bind(claims.len() as i64)
                .execute(db)
                .await
                .map_err(sql)?;
        }
        Ok(Claimed { claims, held })
    }
}

struct ClaimDue {
    lease: Lease,
    batch: BatchId,
    state: State,
    now: Timestamp,
    max: u32,
    busy_until: Timestamp,
}

impl Change for ClaimDue {
    type Answer = Vec<Due>;

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<Vec<Due>, LedgerError> {
        let sql = |source| LedgerError::sql("claim what is due", source);
        let due: Vec<Due> = sqlx::query_as(DUE)
            .bind(self.batch.0)
            .bind(self.state.word())
            .bind(self.now.as_millisecond())
            .bind(i64::from(self.max))
            .fetch_all(&mut *db)
            .await
            .map_err(sql)?;
        for one in &due {
            let postponed = sqlx::query(POSTPONE)
                .bind(one.job.0)
                .bind(self.lease.0)
                .bind(self.busy_until.as_millisecond())
                .execute(&mut *db)
                .await
                .map_err(sql)?;
            if postponed.rows_affected() == 0 {
                return Err(LedgerError::LeaseLost);
            }
        }
        Ok(due)
    }
}

impl Ledger {
    /// Claims jobs for the free first step of two.
    pub async fn claim_drafts(
        &self,
        lease: Lease,
        batch: BatchId,
        room: Room,
        now: Timestamp,
    ) -> Result<Claimed, LedgerError> {
        let step = PaidStep::Draft;
        self.writer.make(ClaimSubmissions { lease, batch, step, room, now }).await
    }

    /// Claims jobs for their paid request, whose intent is on disk when this returns.
    pub async fn claim_paid(
        &self,
        lease: Lease,
        batch: BatchId,
        (way, room): (Way, Room),
        now: Timestamp,
    ) -> Result<Claimed, LedgerError> {
        let step = match way {
            Way::TwoStep => PaidStep::Export,
            Way::OneStep => PaidStep::Create,
        };
        self.writer.make(ClaimSubmissions { lease, batch, step, room, now }).await
    }

    /// Claims up to `max` jobs in `state` that are due, and postpones them to `busy_until` so that
    /// nobody takes them twice meanwhile.
    pub async fn claim_due(
        &self,
        lease: Lease,
        (batch, state): (BatchId, State),
        max: u32,
        (now, busy_until): (Timestamp, Timestamp),
    ) -> Result<Vec<Due>, LedgerError> {
        if max == 0 {
            return Ok(Vec::new());
        }
        self.writer.make(ClaimDue { lease, batch, state, now, max, busy_until }).await
    }

    /// Returns what there is still to do at one single moment: jobs by state, removed rows
    /// included, and how many jobs among `only` (or among all) are ready, due or not.
    pub async fn left_to_do(
        &self,
        batch: BatchId,
        only: Option<&[String]>,
    ) -> Result<(BTreeMap<State, u64>, u64), LedgerError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(LEFT_TO_DO)
            .bind(batch.0)
            .bind(serde_json::Value::from(only.unwrap_or_default()).to_string())
            .fetch_all(&self.readers)
            .await
            .map_err(|source| LedgerError::sql("count jobs", source))?;
        let mut counts: BTreeMap<State, u64> = BTreeMap::new();
        let mut named = 0;
        for (word, jobs) in rows {
            match State::parse(&word) {
                Some(state) => *counts.entry(state).or_default() += jobs.unsigned_abs(),
                None => named = jobs.unsigned_abs(),
            }
        }
        let ready = counts.get(&State::Ready).copied().unwrap_or(0);
        Ok((counts, if only.is_some() { named } else { ready }))
    }

    /// Returns when the next job in `state` is due, if there is one. `drafted` only means
    /// something for `ready` jobs.
    pub async fn next_due(
        &self,
        batch: BatchId,
        state: State,
        drafted: Option<()>,
    ) -> Result<Option<Timestamp>, LedgerError> {
        let due: Option<i64> = sqlx::query_scalar(NEXT_DUE)
            .bind(batch.0)
            .bind(state.word())
            .bind(drafted.is_some())
            .fetch_one(&self.readers)
            .await
            .map_err(|source| LedgerError::sql("see what is due next", source))?;
        Ok(due.map(|at| Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX)))
    }
}

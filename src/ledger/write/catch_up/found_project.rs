//! Projects at AI Studios that this ledger has lost: stored by their tag, and adopted by their jobs.
//!
//! A tag is derived from batch, key, payload and attempt, so a lost submission is recognised as the next
//! attempt of its job, whenever that job is planned. Its job becomes uncertain, like one whose response
//! was lost, and evidence decides about it. Invariant: a job is never claimed while a project with one of
//! its next tags is known.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ledger::error::LedgerError;
use crate::ledger::model::identity::TagSecret;
use crate::ledger::model::tag::Tag;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::catch_up::ledger_gap::mark_compared;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, Ledger};
use crate::request::SubmissionMode;

/// How many attempts of a job a ledger may have lost: far more than any run makes.
const LOST_ATTEMPTS_MAX: i64 = 32;
/// Jobs whose tags are looked up with one statement.
const JOBS_PER_LOOKUP: usize = 64;
/// Jobs that are read at a time.
const JOBS_PER_PAGE: i64 = 1000;

/// Each row of `$1` is a list: project, first part of its tag, 1 if it is exported.
static STORE_FOUND: Statement = Statement::new(
    "-- ledger::catch_up, found projects
    insert into found_project (project_id, tag, is_exported, last_record_at, found_at)
    select named.value ->> 0, named.value ->> 1, (named.value ->> 2) = '1', $2, $3
    from {rows $1} named
    where not exists (select 1 from submission s where s.tag = named.value ->> 1)
    on conflict (project_id) do update set is_exported = excluded.is_exported",
);

static HAS_FOUND: Statement = Statement::new(
    "-- ledger::found_project, any
    select exists (select 1 from found_project)",
);

static FIND_BY_TAG: Statement = Statement::new(
    "-- ledger::found_project, by tag
    select tag, project_id, is_exported, last_record_at from found_project
    where tag in ({list $1}) order by project_id",
);

static READY_JOBS: Statement = Statement::new(
    "-- ledger::catch_up, ready jobs
    select j.id as job, j.key, j.version, j.attempts, v.payload_hash
    from job j join version v on v.job_id = j.id and v.version = j.version
    where j.batch_id = $1 and j.state = 'ready' and j.drafted = 0 and j.id > $2
    order by j.id limit $3",
);

static INSERT_SUBMISSION: Statement = Statement::new(
    "-- ledger::found_project, submission
    insert into submission (job_id, version, attempt, tag, seal, run_id, begun_at, way, outcome,
        project_id, paid_at, settled_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, 'uncertain', $9, $10, $7) returning id",
);

static MARK_JOB: Statement = Statement::new(
    "-- ledger::found_project, job
    update job set state = 'uncertain', lease_token = $2, submission_id = $3, attempts = $4,
        due_at = $5, words = 'found at AI Studios, and not in the ledger'
    where id = $1",
);

static INSERT_EVENT: Statement = Statement::new(
    "-- ledger::found_project, event
    insert into event (job_id, version, submission_id, run_id, at, event, state, detail)
    values ($1, $2, $3, $4, $5, 'found-again', 'uncertain', $6)",
);

/// A draft that the ledger knows may have been exported since.
static MARK_DRAFT_SUBMISSIONS: Statement = Statement::new(
    "-- ledger::catch_up, drafts
    update submission set outcome = 'uncertain', paid_at = $2, settled_at = $3
    where id in (select submission_id from job {by job_due}
        where batch_id = $1 and state = 'ready' and drafted in (1, 2))",
);

static INSERT_DRAFT_EVENTS: Statement = Statement::new(
    "-- ledger::catch_up, history of drafts
    insert into event (job_id, version, submission_id, run_id, at, event, state, detail)
    select id, version, submission_id, $2, $3, 'rechecked', 'uncertain',
        'the ledger may lack records: checked before it is exported'
    from job {by job_due} where batch_id = $1 and state = 'ready' and drafted in (1, 2)",
);

static MARK_DRAFT_JOBS: Statement = Statement::new(
    "-- ledger::catch_up, jobs with a draft
    update job {by job_due} set state = 'uncertain', drafted = 0, lease_token = $2, due_at = $3,
        words = 'checked before it is exported'
    where batch_id = $1 and state = 'ready' and drafted in (1, 2)",
);

/// A project of the account whose name carries a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedProject {
    /// Its id.
    pub id: String,
    /// The tag.
    pub tag: Tag,
    /// Whether it has certainly been exported.
    pub is_exported: bool,
}

/// A job that may have a project which the ledger has lost.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(in crate::ledger) struct AdoptableJob {
    pub(in crate::ledger) job: i64,
    pub(in crate::ledger) key: String,
    pub(in crate::ledger) version: i64,
    pub(in crate::ledger) attempts: i64,
    pub(in crate::ledger) payload_hash: String,
}

#[derive(Clone, Debug, sqlx::FromRow)]
struct FoundProject {
    tag: String,
    project_id: String,
    is_exported: bool,
    #[sqlx(try_from = "StoredTime")]
    last_record_at: Timestamp,
}

/// The adoption of found projects by the jobs of one batch.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct ProjectAdoption<'a> {
    pub(in crate::ledger) run: i64,
    pub(in crate::ledger) batch_name: &'a str,
    pub(in crate::ledger) mode: SubmissionMode,
    pub(in crate::ledger) tag_secret: &'a TagSecret,
    pub(in crate::ledger) now: Timestamp,
}

impl ProjectAdoption<'_> {
    /// Makes the jobs uncertain for which a project was found. Returns their ids.
    pub(in crate::ledger) async fn adopt(
        &self,
        db: &mut StoreConnection,
        jobs: &[AdoptableJob],
    ) -> Result<BTreeSet<i64>, sqlx::Error> {
        let mut adopted = BTreeSet::new();
        if !db.fetch_value::<bool>(&HAS_FOUND, binds![]).await? {
            return Ok(adopted);
        }
        for jobs in jobs.chunks(JOBS_PER_LOOKUP) {
            let attempts = jobs.iter().flat_map(|job| {
                (job.attempts + 1..=job.attempts + LOST_ATTEMPTS_MAX)
                    .map(move |attempt| (self.tag(job, attempt, None), (job, attempt)))
            });
            let by_tag: HashMap<String, (&AdoptableJob, i64)> =
                attempts.map(|(tag, of)| (tag.first_part().to_owned(), of)).collect();
            let tags: Vec<String> = by_tag.keys().cloned().collect();
            let found: Vec<FoundProject> = db.fetch_all(&FIND_BY_TAG, binds![tags]).await?;
            for (job, attempt) in last_attempts(&found, &by_tag) {
                let tag = self.tag(job, attempt, None);
                let of_attempt = found.iter().filter(|project| project.tag == tag.first_part());
                self.adopt_attempt(db, job, attempt, of_attempt.collect()).await?;
                adopted.insert(job.job);
            }
        }
        Ok(adopted)
    }

    fn tag(&self, job: &AdoptableJob, attempt: i64, secret: Option<&TagSecret>) -> Tag {
        Tag::new(self.batch_name, &job.key, &job.payload_hash, attempt, secret)
    }

    async fn adopt_attempt(
        &self,
        db: &mut StoreConnection,
        job: &AdoptableJob,
        attempt: i64,
        found: Vec<&FoundProject>,
    ) -> Result<(), sqlx::Error> {
        let tag = self.tag(job, attempt, Some(self.tag_secret));
        let draft = found.iter().find(|project| !project.is_exported).or(found.first());
        // In one step, only the name proves the render, and the project list shows it.
        let project_id = match self.mode {
            SubmissionMode::TwoStep => draft.map(|draft| draft.project_id.clone()),
            SubmissionMode::OneStep => None,
        };
        let paid_at = found.iter().map(|project| project.last_record_at).min();
        let (run, now) = (self.run, self.now);
        let binds = binds![
            job.job,
            job.version,
            attempt,
            tag.first_part(),
            tag.second_part(),
            run,
            now,
            self.mode.as_str(),
            project_id,
            paid_at.unwrap_or(now)
        ];
        let submission: i64 = db.fetch_value(&INSERT_SUBMISSION, binds).await?;
        db.execute(&MARK_JOB, binds![job.job, run, submission, attempt, now]).await?;
        let ids: Vec<&str> = found.iter().map(|project| project.project_id.as_str()).collect();
        let detail = format!("not in the ledger, but at AI Studios: {}", ids.join(", "));
        let binds = binds![job.job, job.version, submission, run, now, detail];
        db.execute(&INSERT_EVENT, binds).await.map(drop)
    }
}

/// Returns the last attempt of each job for which a project was found.
fn last_attempts<'j>(
    found: &[FoundProject],
    by_tag: &HashMap<String, (&'j AdoptableJob, i64)>,
) -> Vec<(&'j AdoptableJob, i64)> {
    let mut last: HashMap<i64, (&AdoptableJob, i64)> = HashMap::new();
    for (job, attempt) in found.iter().filter_map(|project| by_tag.get(&project.tag)) {
        let known = last.entry(job.job).or_insert((job, *attempt));
        known.1 = known.1.max(*attempt);
    }
    last.into_values().collect()
}

struct StoreFoundProjects {
    projects: Vec<TaggedProject>,
    since: Timestamp,
    now: Timestamp,
}

impl WriteOp for StoreFoundProjects {
    type Output = u64;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<u64, LedgerError> {
        let mut stored = 0;
        for projects in self.projects.chunks(JOBS_PER_LOOKUP) {
            let rows = projects.iter().map(|project| {
                let exported = if project.is_exported { "1" } else { "0" };
                json!([project.id, project.tag.first_part(), exported])
            });
            let rows = rows.collect::<Value>().to_string();
            let binds = binds![rows, self.since, self.now];
            stored += db.execute(&STORE_FOUND, binds).await?;
        }
        Ok(stored)
    }
}

/// What the comparison of one batch has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ComparedJobs {
    /// Jobs whose project the ledger had lost.
    pub found: u64,
    /// Jobs with a draft, which is read before it is exported.
    pub drafts: u64,
}

/// The comparison of a batch with the projects of its account.
#[derive(Clone, Debug)]
pub struct BatchComparison {
    /// The batch's name.
    pub batch_name: String,
    /// How its videos are submitted.
    pub mode: SubmissionMode,
    /// The time of the last record that is certainly there.
    pub last_record_at: Timestamp,
    /// Whether the project list proves what it does not show.
    pub is_conclusive: bool,
}

struct CompareBatch {
    batch: BatchId,
    comparison: BatchComparison,
    run: i64,
    tag_secret: TagSecret,
    now: Timestamp,
}

impl WriteOp for CompareBatch {
    type Output = ComparedJobs;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<ComparedJobs, LedgerError> {
        let BatchComparison { batch_name, mode, last_record_at, is_conclusive } = &self.comparison;
        let (batch, run, now) = (self.batch.0, self.run, self.now);
        let (mode, tag_secret) = (*mode, &self.tag_secret);
        let adoption = ProjectAdoption { run, batch_name, mode, tag_secret, now };
        let (mut compared, mut last_id) = (ComparedJobs::default(), 0);
        loop {
            let binds = binds![batch, last_id, JOBS_PER_PAGE];
            let jobs: Vec<AdoptableJob> = db.fetch_all(&READY_JOBS, binds).await?;
            let Some(last) = jobs.last() else { break };
            last_id = last.job;
            compared.found += adoption.adopt(db, &jobs).await?.len() as u64;
        }
        compared.drafts =
            db.execute(&MARK_DRAFT_SUBMISSIONS, binds![batch, *last_record_at, now]).await?;
        db.execute(&INSERT_DRAFT_EVENTS, binds![batch, run, now]).await?;
        db.execute(&MARK_DRAFT_JOBS, binds![batch, run, now]).await?;
        if *is_conclusive {
            mark_compared(db, self.batch, now).await?;
        }
        Ok(compared)
    }
}

impl Ledger {
    /// Stores the projects of an account that carry a tag which no submission has. Returns their number.
    pub async fn store_found_projects(
        &self,
        projects: Vec<TaggedProject>,
        last_record_at: Timestamp,
        now: Timestamp,
    ) -> Result<u64, LedgerError> {
        let op = StoreFoundProjects { projects, since: last_record_at, now };
        self.writer.execute(op).await
    }
}

impl BatchLease {
    /// Makes the jobs of the batch uncertain that may be paid for without the ledger's knowledge.
    pub async fn compare_with_found(
        &self,
        comparison: BatchComparison,
        now: Timestamp,
    ) -> Result<ComparedJobs, LedgerError> {
        let (batch, run) = (self.batch, self.run.0);
        let tag_secret = self.ledger.identity().tag_secret.clone();
        let op = CompareBatch { batch, comparison, run, tag_secret, now };
        self.ledger.writer.execute(op).await
    }
}

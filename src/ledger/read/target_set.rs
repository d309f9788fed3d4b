//! The target set of an operator's request: the jobs that an action applies to, what it does to each,
//! and what may be paid for. Evaluated here only: for the question of a command, for the pages of the
//! console, when a request is accepted, and when it is carried out.
//!
//! Invariant: two sets have the same hash only if they hold the same jobs and versions, with the same
//! effects.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::model::job_ranges::JobRanges;
use crate::ledger::model::operator_request::{JobResolution, UncertainDecision};
use crate::ledger::model::operator_request::{RequestedAction, ShownSet, TargetFilter};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::{BatchId, Ledger};

/// What an action does to one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetEffect {
    /// It is rendered; it was not paid for before.
    Render,
    /// It is checked, and if it has not finished, rendered and paid for again.
    RenderAgain,
    /// Its paid video is downloaded.
    Download,
    /// It is not submitted.
    Cancel,
    /// It is followed as a render that was accepted.
    Adopt,
    /// It is given up.
    Abandon,
}

impl TargetEffect {
    /// Returns its text in the hash, in JSON and in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Render => "render",
            Self::RenderAgain => "render-again",
            Self::Download => "download",
            Self::Cancel => "cancel",
            Self::Adopt => "adopt",
            Self::Abandon => "abandon",
        }
    }

    /// Returns whether it may cost money.
    pub fn is_paid(self) -> bool {
        match self {
            Self::Render | Self::RenderAgain => true,
            Self::Download | Self::Cancel | Self::Adopt | Self::Abandon => false,
        }
    }
}

/// One job of a target set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetJob {
    /// The job's id.
    pub job: i64,
    /// Its version.
    pub version: i64,
    /// The submission that is decided about, if one is.
    pub submission: i64,
    /// When its paid request was begun: a draft may be exported a second time.
    pub paid_at: Timestamp,
    /// What happens to it.
    pub effect: TargetEffect,
    /// Started minutes of speech.
    pub minutes: i64,
}

/// The jobs of an action, sorted by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetSet {
    jobs: Vec<TargetJob>,
}

/// The totals of a target set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetTotals {
    /// All jobs.
    pub jobs: u64,
    /// Jobs that are submitted, and may be paid for.
    pub submissions: u64,
    /// Those of them that were or may have been paid for before.
    pub paid_before: u64,
    /// Jobs whose paid video is only downloaded.
    pub downloads: u64,
    /// Started minutes of speech of the submitted jobs.
    pub minutes: u64,
}

impl TargetSet {
    fn new(mut jobs: Vec<TargetJob>) -> Self {
        jobs.sort_by_key(|target| target.job);
        jobs.dedup_by_key(|target| target.job);
        Self { jobs }
    }

    /// Returns the jobs.
    pub fn jobs(&self) -> &[TargetJob] {
        &self.jobs
    }

    /// Returns the ids of the jobs.
    pub fn job_ranges(&self) -> JobRanges {
        JobRanges::from_sorted(self.jobs.iter().map(|target| target.job))
    }

    /// Returns the number of jobs for each effect.
    pub fn counts(&self) -> BTreeMap<TargetEffect, u64> {
        let mut counts = BTreeMap::new();
        for target in &self.jobs {
            *counts.entry(target.effect).or_default() += 1;
        }
        counts
    }

    /// Returns the totals.
    pub fn totals(&self) -> TargetTotals {
        let mut totals = TargetTotals { jobs: self.jobs.len() as u64, ..TargetTotals::default() };
        for target in &self.jobs {
            totals.downloads += u64::from(target.effect == TargetEffect::Download);
            totals.paid_before += u64::from(target.effect == TargetEffect::RenderAgain);
            if target.effect.is_paid() {
                totals.submissions += 1;
                totals.minutes += target.minutes.unsigned_abs();
            }
        }
        totals
    }

    /// Returns the hash of the set with its effects.
    pub fn hash(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for TargetJob { job, version, submission, paid_at, effect, .. } in &self.jobs {
            let effect = effect.as_str();
            let paid_at = paid_at.as_millisecond();
            let line = format!("{job} {version} {submission} {paid_at} {effect}\n");
            hasher.update(line.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }

    /// Returns the set as its requester was shown it.
    pub fn to_shown_set(&self) -> ShownSet {
        ShownSet { hash: self.hash(), jobs: self.job_ranges() }
    }
}

/// The one cause after which a paid video exists and only has to be downloaded.
pub(in crate::ledger) const CAUSE_FETCH_FAILED: &str = "fetch-failed";
/// The causes after which the earlier request was or may have been paid for.
const CAUSES_PAID_BEFORE: [&str; 2] = ["render-failed", "abandoned"];

/// Whole sets are read by state, single jobs by key; never by the sheet's positions, which would read
/// every row of the batch.
macro_rules! retry_targets {
    ($name:literal, $keyed:literal) => {
        concat!(
            "-- ledger::target_set, ",
            $name,
            "
    select j.id as job, j.version, coalesce(j.cause, '') as cause, j.state, j.selection,
        case when v.spoken_ms > 60000 then (v.spoken_ms + 59999) / 60000 else 1 end as minutes
    from job j join version v on v.job_id = j.id and v.version = j.version
    where j.batch_id = $1 and j.state in ('failed', 'cancelled') and {unindexed j.in_sheet} = true",
            $keyed
        )
    };
}

macro_rules! cancel_targets {
    ($name:literal, $keyed:literal) => {
        concat!(
            "-- ledger::target_set, ",
            $name,
            "
    select j.id as job, j.version, '' as cause, j.state, j.selection, cast(0 as bigint) as minutes
    from job j where j.batch_id = $1 and j.state = 'ready'",
            $keyed
        )
    };
}

/// A project that several rows change in place is left out: by now it may show another row's video.
macro_rules! download_targets {
    ($name:literal, $keyed:literal) => {
        concat!(
            "-- ledger::target_set, ",
            $name,
            "
    select j.id as job, j.version, '' as cause, j.state, j.selection, cast(0 as bigint) as minutes
    from job j
    join version v on v.job_id = j.id and v.version = j.version
    join version w on w.job_id = j.id and w.version = coalesce(v.reused_from, v.version)
    where j.batch_id = $1 and j.state in ('done', 'reused') and {unindexed j.in_sheet} = true
        and w.video_bytes is not null and exists (
            select 1 from submission s where s.job_id = j.id and s.version = w.version
                and s.outcome = 'rendered' and s.project_id is not null
                and coalesce(s.subject, '') <> s.project_id)",
            $keyed
        )
    };
}

static RETRY_ALL: Statement = Statement::new(retry_targets!("retry", ""));
static RETRY_KEY: Statement = Statement::new(retry_targets!("retry, key", " and j.key = $2"));
static CANCEL_ALL: Statement = Statement::new(cancel_targets!("cancel", ""));
static CANCEL_KEY: Statement = Statement::new(cancel_targets!("cancel, key", " and j.key = $2"));
static DOWNLOAD_ALL: Statement = Statement::new(download_targets!("download", ""));
static DOWNLOAD_KEY: Statement =
    Statement::new(download_targets!("download, key", " and j.key = $2"));

static UNCERTAIN_JOB: Statement = Statement::new(
    "-- ledger::target_set, resolve
    select j.id as job, j.version, s.id as submission,
        coalesce(s.paid_at, 0) as paid_at,
        case when v.spoken_ms > 60000 then (v.spoken_ms + 59999) / 60000 else 1 end as minutes
    from job j join submission s on s.id = j.submission_id
    join version v on v.job_id = j.id and v.version = s.version
    where j.batch_id = $1 and j.key = $2 and j.state = 'uncertain'",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[
    &RETRY_ALL,
    &RETRY_KEY,
    &CANCEL_ALL,
    &CANCEL_KEY,
    &DOWNLOAD_ALL,
    &DOWNLOAD_KEY,
    &UNCERTAIN_JOB,
];

/// A job that an action may apply to.
#[derive(Debug, sqlx::FromRow)]
struct CandidateJob {
    job: i64,
    version: i64,
    cause: String,
    state: String,
    selection: Option<i64>,
    minutes: i64,
}

impl CandidateJob {
    fn is_chosen(&self, filter: &TargetFilter) -> bool {
        let TargetFilter { keys: _, cause, state, selection } = filter;
        cause.as_ref().is_none_or(|cause| *cause == self.cause)
            && state.is_none_or(|state| state.as_str() == self.state)
            && selection.is_none_or(|selection| Some(selection.0) == self.selection)
    }

    fn into_target(self, effect: TargetEffect) -> TargetJob {
        let Self { job, version, minutes, .. } = self;
        TargetJob { job, version, submission: 0, paid_at: Timestamp::UNIX_EPOCH, effect, minutes }
    }
}

/// An uncertain job and its submission.
#[derive(Debug, sqlx::FromRow)]
struct UncertainTarget {
    job: i64,
    version: i64,
    submission: i64,
    #[sqlx(try_from = "StoredTime")]
    paid_at: Timestamp,
    minutes: i64,
}

fn retry_effect(cause: &str) -> TargetEffect {
    if cause == CAUSE_FETCH_FAILED {
        TargetEffect::Download
    } else if CAUSES_PAID_BEFORE.contains(&cause) {
        TargetEffect::RenderAgain
    } else {
        TargetEffect::Render
    }
}

/// Evaluates the target set of an action, as one transaction sees it.
pub(in crate::ledger) async fn evaluate_target_set(
    db: &mut StoreConnection,
    batch: BatchId,
    action: &RequestedAction,
) -> Result<TargetSet, LedgerError> {
    let jobs = match action {
        RequestedAction::Retry(filter) => {
            let found = candidates(db, batch, filter, [&RETRY_ALL, &RETRY_KEY]).await?;
            let target = |found: CandidateJob| {
                let effect = retry_effect(&found.cause);
                found.into_target(effect)
            };
            found.into_iter().map(target).collect()
        }
        RequestedAction::Cancel(filter) => {
            let found = candidates(db, batch, filter, [&CANCEL_ALL, &CANCEL_KEY]).await?;
            found.into_iter().map(|found| found.into_target(TargetEffect::Cancel)).collect()
        }
        RequestedAction::DownloadAgain(filter) => {
            let found = candidates(db, batch, filter, [&DOWNLOAD_ALL, &DOWNLOAD_KEY]).await?;
            found.into_iter().map(|found| found.into_target(TargetEffect::Download)).collect()
        }
        RequestedAction::Resolve(resolution) => {
            uncertain_target(db, batch, resolution).await?.into_iter().collect()
        }
        RequestedAction::Pause | RequestedAction::Unpause | RequestedAction::Stop => Vec::new(),
    };
    Ok(TargetSet::new(jobs))
}

async fn candidates(
    db: &mut StoreConnection,
    batch: BatchId,
    filter: &TargetFilter,
    [all, keyed]: [&'static Statement; 2],
) -> Result<Vec<CandidateJob>, LedgerError> {
    let mut found: Vec<CandidateJob> = Vec::new();
    if filter.keys.is_empty() {
        found = db.fetch_all(all, binds![batch.0]).await?;
    }
    for key in &filter.keys {
        found.extend(db.fetch_optional(keyed, binds![batch.0, key]).await?);
    }
    found.retain(|candidate| candidate.is_chosen(filter));
    Ok(found)
}

async fn uncertain_target(
    db: &mut StoreConnection,
    batch: BatchId,
    resolution: &JobResolution,
) -> Result<Option<TargetJob>, LedgerError> {
    let found: Option<UncertainTarget> =
        db.fetch_optional(&UNCERTAIN_JOB, binds![batch.0, &resolution.key]).await?;
    let effect = match resolution.decision {
        UncertainDecision::Accepted { .. } | UncertainDecision::Adopt { .. } => TargetEffect::Adopt,
        UncertainDecision::NotSubmitted => TargetEffect::RenderAgain,
        UncertainDecision::Abandon => TargetEffect::Abandon,
    };
    Ok(found.map(|UncertainTarget { job, version, submission, paid_at, minutes }| TargetJob {
        job,
        version,
        submission,
        paid_at,
        effect,
        minutes,
    }))
}

impl Ledger {
    /// Returns the jobs that an action applies to now, and what it does to each.
    pub async fn target_set(
        &self,
        batch: BatchId,
        action: &RequestedAction,
    ) -> Result<TargetSet, LedgerError> {
        // One snapshot: a live run may write between two statements.
        let mut db = self.readers.snapshot().await?;
        evaluate_target_set(&mut db, batch, action).await
    }

    /// Returns the keys of jobs, in the order of their ids.
    pub async fn job_keys(&self, ids: &[i64]) -> Result<Vec<String>, LedgerError> {
        let mut db = self.readers.acquire().await?;
        read_job_keys(&mut db, ids).await
    }
}

/// A job of a target set, as a page shows it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct TargetRow {
    /// The job's id.
    pub job: i64,
    /// Its key.
    pub key: String,
    /// Its row number as the spreadsheet showed it.
    pub row_number: i64,
    /// Its state, as text.
    pub state: String,
    /// Its last message.
    pub words: Option<String>,
}

static TARGET_ROW: Statement = Statement::new(
    "-- ledger::target_row
    select id as job, key, row_number, state, words from job where id = $1",
);

impl Ledger {
    /// Returns the first `max` jobs of a set as a page shows them.
    pub async fn target_rows(
        &self,
        set: &TargetSet,
        max: usize,
    ) -> Result<Vec<TargetRow>, LedgerError> {
        let mut db = self.readers.acquire().await?;
        let mut rows = Vec::new();
        for target in set.jobs().iter().take(max) {
            rows.extend(db.fetch_optional(&TARGET_ROW, binds![target.job]).await?);
        }
        Ok(rows)
    }
}

static KEY_OF_JOB: Statement = Statement::new(
    "-- ledger::key_of_job
    select key from job where id = $1",
);

/// Returns the keys of jobs, in the order of their ids.
pub(in crate::ledger) async fn read_job_keys(
    db: &mut StoreConnection,
    ids: &[i64],
) -> Result<Vec<String>, LedgerError> {
    let mut keys: Vec<String> = Vec::with_capacity(ids.len());
    for id in ids {
        keys.extend(db.find_value::<String>(&KEY_OF_JOB, binds![*id]).await?);
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use crate::ledger::read::target_set::*;

    fn target(job: i64, version: i64, effect: TargetEffect) -> TargetJob {
        TargetJob {
            job,
            version,
            submission: 0,
            paid_at: Timestamp::UNIX_EPOCH,
            effect,
            minutes: 2,
        }
    }

    #[test]
    fn a_set_changes_its_hash_with_its_jobs_their_versions_and_their_effects() {
        use TargetEffect::{Download, Render, RenderAgain};
        let set = TargetSet::new(vec![target(2, 1, Render), target(1, 1, Download)]);
        assert_eq!(set, TargetSet::new(vec![target(1, 1, Download), target(2, 1, Render)]));
        for other in [
            vec![target(1, 1, Download)],
            vec![target(1, 1, Download), target(2, 2, Render)],
            vec![target(1, 1, Download), target(2, 1, RenderAgain)],
            vec![target(1, 1, Download), target(2, 1, Render), target(3, 1, Render)],
        ] {
            assert_ne!(set.hash(), TargetSet::new(other).hash());
        }
        let totals =
            TargetTotals { jobs: 2, submissions: 1, paid_before: 0, downloads: 1, minutes: 2 };
        assert_eq!((set.totals(), set.job_ranges().to_string()), (totals, "1-2".to_owned()));
    }
}

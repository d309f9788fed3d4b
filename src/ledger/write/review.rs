//! Verdicts on videos. They need no lease: they move no job, and work while another process drives the
//! batch.
//!
//! Invariants: a verdict is recorded on the version and the bytes that the reviewer saw, or not at all;
//! one that is given through a share link replaces no verdict of a user, and takes back only its own.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::model::verdict::{VerdictKind, VerdictOrigin};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, Ledger};

/// A verdict that is to be recorded, on the video that the reviewer saw.
#[derive(Clone, Debug)]
pub struct NewVerdict {
    /// The job's key.
    pub key: String,
    /// The version of the video.
    pub version: i64,
    /// The digest of its bytes.
    pub video_hash: String,
    /// The decision.
    pub kind: VerdictKind,
    /// Why; required where [`VerdictKind::has_to_be_explained`].
    pub reason: Option<String>,
}

/// Who gives verdicts, and where.
#[derive(Clone, Debug)]
pub struct VerdictSource {
    /// The user, or the name that the reviewer entered.
    pub reviewer: String,
    /// Where.
    pub origin: VerdictOrigin,
    /// The share link, if it was given through one.
    pub share_link: Option<i64>,
}

/// What became of verdicts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerdictOutcome {
    /// All of them are recorded.
    Recorded,
    /// None is recorded: the videos of these keys have changed, or are gone.
    Changed {
        /// The keys.
        keys: Vec<String>,
    },
    /// None is recorded: what was given through a share link may not replace or take back the verdict
    /// of this reviewer.
    Protected {
        /// The reviewer.
        reviewer: String,
    },
}

/// A verdict that counts now, with its giver.
#[derive(Debug, sqlx::FromRow)]
struct GivenVerdict {
    verdict: String,
    origin: String,
    share_id: Option<i64>,
    reviewer: String,
}

impl GivenVerdict {
    /// Returns whether a verdict of this kind and source may replace it.
    fn is_replaceable(&self, kind: VerdictKind, source: &VerdictSource) -> bool {
        if source.origin != VerdictOrigin::Share || self.verdict == VerdictKind::Withdrawn.as_str()
        {
            return true;
        }
        let is_of_guest = self.origin == VerdictOrigin::Share.as_str();
        let is_own = self.share_id == source.share_link && self.reviewer == source.reviewer;
        is_of_guest && (is_own || kind != VerdictKind::Withdrawn)
    }
}

static CURRENT_VIDEO: Statement = Statement::new(
    "-- ledger::record_verdicts, video
    select j.id from job j
    join version v on v.job_id = j.id and v.version = j.version
    join version w on w.job_id = j.id and w.version = coalesce(v.reused_from, v.version)
    where j.batch_id = $1 and j.key = $2 and j.version = $3 and w.video_hash = $4
        and j.state in ('done', 'reused')",
);

static LAST_VERDICT: Statement = Statement::new(
    "-- ledger::record_verdicts, last
    select verdict, origin, share_id, reviewer from review_verdict
    where job_id = $1 and version = $2 and video_hash = $3 order by id desc limit 1",
);

static INSERT_VERDICT: Statement = Statement::new(
    "-- ledger::record_verdicts
    insert into review_verdict
        (batch_id, job_id, version, video_hash, verdict, reason, reviewer, origin, share_id, at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
);

struct RecordVerdicts {
    batch: BatchId,
    verdicts: Vec<NewVerdict>,
    source: VerdictSource,
    now: Timestamp,
}

impl RecordVerdicts {
    async fn find_job(
        &self,
        db: &mut StoreConnection,
        verdict: &NewVerdict,
    ) -> Result<Option<i64>, LedgerError> {
        let video = binds![self.batch.0, &verdict.key, verdict.version, &verdict.video_hash];
        Ok(db.find_value(&CURRENT_VIDEO, video).await?)
    }

    /// Returns the reviewer whose verdict this one may not replace.
    async fn find_protected(
        &self,
        db: &mut StoreConnection,
        job: i64,
        verdict: &NewVerdict,
    ) -> Result<Option<String>, LedgerError> {
        let video = binds![job, verdict.version, &verdict.video_hash];
        let last: Option<GivenVerdict> = db.fetch_optional(&LAST_VERDICT, video).await?;
        let protected = last.filter(|last| !last.is_replaceable(verdict.kind, &self.source));
        Ok(protected.map(|last| last.reviewer))
    }

    async fn insert(
        &self,
        db: &mut StoreConnection,
        job: i64,
        verdict: &NewVerdict,
    ) -> Result<(), LedgerError> {
        let values = binds![
            self.batch.0,
            job,
            verdict.version,
            &verdict.video_hash,
            verdict.kind.as_str(),
            verdict.reason.as_deref(),
            &self.source.reviewer,
            self.source.origin.as_str(),
            self.source.share_link,
            self.now,
        ];
        db.execute(&INSERT_VERDICT, values).await?;
        Ok(())
    }
}

impl WriteOp for RecordVerdicts {
    type Output = VerdictOutcome;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<VerdictOutcome, LedgerError> {
        let (mut jobs, mut changed) = (Vec::new(), Vec::new());
        for verdict in &self.verdicts {
            match self.find_job(db, verdict).await? {
                Some(job) => jobs.push(job),
                None => changed.push(verdict.key.clone()),
            }
        }
        if !changed.is_empty() {
            return Ok(VerdictOutcome::Changed { keys: changed });
        }
        for (job, verdict) in jobs.iter().zip(&self.verdicts) {
            if let Some(reviewer) = self.find_protected(db, *job, verdict).await? {
                return Ok(VerdictOutcome::Protected { reviewer });
            }
        }
        for (job, verdict) in jobs.into_iter().zip(&self.verdicts) {
            self.insert(db, job, verdict).await?;
        }
        Ok(VerdictOutcome::Recorded)
    }
}

impl Ledger {
    /// Records verdicts: all of them, or none if a video has changed since the reviewer saw it, or if
    /// one of them may not replace the verdict of another reviewer.
    pub async fn record_verdicts(
        &self,
        batch: BatchId,
        verdicts: Vec<NewVerdict>,
        source: VerdictSource,
        now: Timestamp,
    ) -> Result<VerdictOutcome, LedgerError> {
        self.writer.execute(RecordVerdicts { batch, verdicts, source, now }).await
    }
}

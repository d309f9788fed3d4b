//! The sample gate: the first videos of a batch, which a reviewer has to approve before the others are
//! submitted.
//!
//! Counted in the transaction of each claim. Invariant: while the gate is closed, no more videos are made
//! than the sample has; a video of the sample that becomes another version is approved no longer, and
//! another template or other settings begin a new sample.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::model::capacity::{ClaimBlock, SubmitStep};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, JobId};

macro_rules! sample_gate_videos {
    ($what:literal, $columns:literal, $filter:literal) => {
        concat!(
            "-- ledger::sample_gate, ",
            $what,
            "\n    select ",
            $columns,
            "
    from sample_video g
    join job j on j.id = g.job_id and j.version = g.version and j.in_sheet = true
    join version v on v.job_id = j.id and v.version = j.version
    left join version w on w.job_id = j.id and w.version = coalesce(v.reused_from, v.version)
    left join review_verdict r on r.id = (
        select max(t.id) from review_verdict t
        where t.job_id = j.id and t.version = j.version and t.video_hash = w.video_hash)
    where g.batch_id = $1",
            $filter
        )
    };
}
pub(in crate::ledger) use sample_gate_videos;

static COUNTS: Statement = Statement::new(sample_gate_videos!(
    "counts",
    "count(case when j.state in ('done', 'reused') and r.verdict = 'approved' then 1 end) as approved,
        count(case when j.state in ('submitting', 'uncertain', 'rendering', 'fetching', 'done',
            'reused') then 1 end) as submitted,
        count(case when j.state = 'ready' and j.drafted > 0 then 1 end) as drafted",
    ""
));

static INSERT_VIDEO: Statement = Statement::new(
    "-- ledger::sample_gate, video
    insert into sample_video (batch_id, job_id, version)
    select $1, id, version from job where id = $2
    on conflict do nothing",
);

static TEMPLATE: Statement = Statement::new(
    "-- ledger::sample_gate, template
    select template_hash from batch where id = $1",
);

static SET_BASIS: Statement = Statement::new(
    "-- ledger::sample_gate, basis
    insert into sample_gate (batch_id, basis, since) values ($1, $2, $3)
    on conflict (batch_id) do update set basis = excluded.basis, since = excluded.since
    where sample_gate.basis <> excluded.basis",
);

static FORGET_VIDEOS: Statement = Statement::new(
    "-- ledger::sample_gate, new sample
    delete from sample_video where batch_id = $1",
);

/// The sample of a batch.
#[derive(Clone, Copy, Debug, FromRow)]
struct SampleCounts {
    approved: i64,
    submitted: i64,
    drafted: i64,
}

/// The gate as a claim finds it.
#[derive(Clone, Copy, Debug)]
pub(super) enum SampleGate {
    /// The batch has none, or its sample is approved.
    Open,
    /// So many more requests may begin for the sample.
    Closed { available: i64 },
}

impl SampleGate {
    /// Reads the gate of a batch whose sample has `wanted` videos; 0 for no gate.
    pub(super) async fn read(
        db: &mut StoreConnection,
        batch: BatchId,
        wanted: u32,
        step: SubmitStep,
    ) -> Result<Self, LedgerError> {
        if wanted == 0 {
            return Ok(Self::Open);
        }
        let counts: SampleCounts = db.fetch_one(&COUNTS, binds![batch.0]).await?;
        let wanted = i64::from(wanted);
        if counts.approved >= wanted {
            return Ok(Self::Open);
        }
        let taken = match step {
            SubmitStep::Draft => counts.submitted + counts.drafted,
            SubmitStep::Export | SubmitStep::Create => counts.submitted,
        };
        Ok(Self::Closed { available: (wanted - taken).max(0) })
    }

    /// Lowers the number of requests that may begin.
    pub(super) fn limit(self, max: i64, block: ClaimBlock) -> (i64, ClaimBlock) {
        match self {
            Self::Closed { available } if available <= max => (available, ClaimBlock::Sample),
            Self::Open | Self::Closed { .. } => (max, block),
        }
    }

    /// Makes claimed jobs a part of the sample, while the gate is closed.
    pub(super) async fn add_videos(
        self,
        db: &mut StoreConnection,
        batch: BatchId,
        jobs: impl Iterator<Item = JobId>,
    ) -> Result<(), LedgerError> {
        match self {
            Self::Open => {}
            Self::Closed { .. } => {
                for job in jobs {
                    db.execute(&INSERT_VIDEO, binds![batch.0, job.0]).await?;
                }
            }
        }
        Ok(())
    }
}

struct BeginSample {
    batch: BatchId,
    settings: String,
    now: Timestamp,
}

impl WriteOp for BeginSample {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        let template: Option<String> = db.fetch_value(&TEMPLATE, binds![self.batch.0]).await?;
        let basis = format!("{}\n{}", template.unwrap_or_default(), self.settings);
        let basis = blake3::hash(basis.as_bytes()).to_hex().to_string();
        let values = binds![self.batch.0, basis, self.now];
        if db.execute(&SET_BASIS, values).await? > 0 {
            db.execute(&FORGET_VIDEOS, binds![self.batch.0]).await?;
        }
        Ok(())
    }
}

impl BatchLease {
    /// Begins a new sample if the template, or one of these settings that are sent with a payload, has
    /// changed since the last one.
    pub async fn begin_sample(&self, settings: String, now: Timestamp) -> Result<(), LedgerError> {
        let batch = self.batch;
        self.ledger.writer.execute(BeginSample { batch, settings, now }).await
    }
}

//! The sample gate: the first videos of a batch, which a reviewer has to approve before the others are
//! submitted.
//!
//! Counted in the transaction of each claim. Invariant: while the gate is closed, no more videos are made
//! than the sample has, and a row of the sample whose content has changed keeps its place: no other row is
//! submitted for it, and its new version has to be approved. Another template or other settings begin a
//! new sample.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::model::capacity::{Capacity, ClaimBlock, SubmitStep};
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
    from job j
    join version v on v.job_id = j.id and v.version = j.version
    left join version w on w.job_id = j.id and w.version = coalesce(v.reused_from, v.version)
    left join review_verdict r on r.id = (
        select max(t.id) from review_verdict t
        where t.job_id = j.id and t.version = j.version and t.video_hash = w.video_hash)
    where j.id in (select job_id from sample_video where batch_id = $1) and j.in_sheet = true",
            $filter
        )
    };
}
pub(in crate::ledger) use sample_gate_videos;

static COUNTS: Statement = Statement::new(sample_gate_videos!(
    "counts",
    "count(case when j.state in ('done', 'reused') and r.verdict = 'approved' then 1 end) as approved,
        count(case when j.state in ('done', 'reused') and r.verdict = 'rejected' then 1 end) as rejected,
        count(case when j.state in ('submitting', 'uncertain', 'rendering', 'fetching', 'done',
            'reused') then 1 end) as submitted,
        count(case when j.state = 'ready' and j.drafted > 0 then 1 end) as drafted,
        count(case when j.state = 'ready' and j.drafted = 0 then 1 end) as undrafted,
        count(case when j.state = 'ready' and j.drafted > 0
            and (cast($2 as bigint) is null or j.selection = $2) then 1 end) as own_drafted,
        count(case when j.state = 'ready' and j.drafted = 0
            and (cast($2 as bigint) is null or j.selection = $2) then 1 end) as own_undrafted",
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
    rejected: i64,
    submitted: i64,
    /// Rows with a draft that is not exported.
    drafted: i64,
    /// Rows to be submitted, because their content has changed or their last request was not accepted.
    undrafted: i64,
    /// Those that this run may submit.
    own_drafted: i64,
    own_undrafted: i64,
}

/// The gate as a claim finds it.
#[derive(Clone, Copy, Debug)]
pub(super) enum SampleGate {
    /// The batch has none, or its sample is approved.
    Open,
    /// Requests may begin for so many rows that are of the sample already, and after them for so many
    /// others.
    Closed { own: i64, others: i64 },
}

impl SampleGate {
    /// Reads the gate of a batch.
    pub(super) async fn read(
        db: &mut StoreConnection,
        batch: BatchId,
        capacity: &Capacity,
        step: SubmitStep,
    ) -> Result<Self, LedgerError> {
        if capacity.sample_count == 0 {
            return Ok(Self::Open);
        }
        let selection = capacity.selection.map(|selection| selection.0);
        let counts: SampleCounts = db.fetch_one(&COUNTS, binds![batch.0, selection]).await?;
        let wanted = i64::from(capacity.sample_count);
        if counts.approved >= wanted && counts.rejected == 0 {
            return Ok(Self::Open);
        }
        let SampleCounts { submitted, drafted, undrafted, own_drafted, own_undrafted, .. } = counts;
        let (waiting, places) = match step {
            SubmitStep::Draft => (own_undrafted, wanted - submitted - drafted),
            SubmitStep::Export => (own_drafted, wanted - submitted),
            SubmitStep::Create => (own_drafted + own_undrafted, wanted - submitted),
        };
        let others = (wanted - submitted - drafted - undrafted).max(0);
        Ok(Self::Closed { own: waiting.min(places).max(0), others })
    }

    /// Lowers the number of requests that may begin.
    pub(super) fn limit(self, max: i64, block: ClaimBlock) -> (i64, ClaimBlock) {
        match self {
            Self::Closed { own, others } if own + others <= max => {
                (own + others, ClaimBlock::Sample)
            }
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

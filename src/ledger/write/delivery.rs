//! Handing finished videos over to the user's command: which are due, and what became of each.
//!
//! Nothing here changes a job: a crash, or a command that fails, repeats at most the handing over. It is
//! recorded per version and digest, so that a new video is handed over again.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::read::review::{ReviewItem, ReviewItemRow, item_columns, review_items};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::lease::BatchLease;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, Ledger};

/// The finished videos of a batch, by whether they were handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts {
    /// Not yet tried.
    pub waiting: u64,
    /// Tried, and to be tried again.
    pub failed: u64,
    /// Handed over.
    pub done: u64,
}

/// What became of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeliveryResult {
    /// It was handed over.
    Done,
    /// It failed, and is tried again at this time.
    Failed {
        /// Why.
        message: String,
        /// When.
        due_at: Timestamp,
    },
}

static DUE: Statement = Statement::new(item_columns!(
    "due deliveries",
    " and ($2 = false or r.verdict = 'approved')
        and not exists (select 1 from delivery d
            where d.job_id = j.id and d.version = j.version and d.video_hash = w.video_hash
                and (d.state = 'done' or d.due_at > $3))
    order by j.position limit $4"
));

static COUNTS: Statement = Statement::new(review_items!(
    "deliveries",
    "coalesce((select d.state from delivery d where d.job_id = j.id and d.version = j.version
            and d.video_hash = w.video_hash), 'waiting') as handed, count(*) as videos",
    "job j",
    " and ($2 = false or r.verdict = 'approved') group by 1"
));

static NEXT_DUE: Statement = Statement::new(
    "-- ledger::deliveries, next
    select min(d.due_at) from delivery d join job j on j.id = d.job_id
    where j.batch_id = $1 and d.state = 'failed' and d.version = j.version
        and j.in_sheet = true and j.state in ('done', 'reused')",
);

static MAKE_DUE: Statement = Statement::new(
    "-- ledger::deliveries, due now
    update delivery set due_at = 0
    where state = 'failed' and job_id in (select id from job where batch_id = $1)",
);

/// A run whose batch was taken over records nothing.
static RECORD: Statement = Statement::new(
    "-- ledger::record_delivery
    insert into delivery (job_id, version, video_hash, state, attempts, due_at, at, failure)
    select j.id, $3, $4, $5, 1, $6, $7, $8 from job j
    where j.batch_id = $1 and j.key = $2
        and not exists (select 1 from run where batch_id = $1 and id > $9)
    on conflict (job_id, version, video_hash) do update set state = excluded.state,
        attempts = delivery.attempts + 1, due_at = excluded.due_at, at = excluded.at,
        failure = excluded.failure",
);

struct RecordDelivery {
    run: RunId,
    batch: BatchId,
    item: ReviewItem,
    result: DeliveryResult,
    now: Timestamp,
}

impl WriteOp for RecordDelivery {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        let (state, due_at, failure) = match &self.result {
            DeliveryResult::Done => ("done", Timestamp::UNIX_EPOCH, None),
            DeliveryResult::Failed { message, due_at } => {
                ("failed", *due_at, Some(message.as_str()))
            }
        };
        let values = binds![
            self.batch.0,
            &self.item.key,
            self.item.version,
            &self.item.video_hash,
            state,
            due_at,
            self.now,
            failure,
            self.run.0,
        ];
        let recorded = db.execute(&RECORD, values).await?;
        if recorded == 0 { Err(LedgerError::LeaseLost) } else { Ok(()) }
    }
}

struct MakeDeliveriesDue {
    batch: BatchId,
}

impl WriteOp for MakeDeliveriesDue {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        db.execute(&MAKE_DUE, binds![self.batch.0]).await?;
        Ok(())
    }
}

impl BatchLease {
    /// Makes what earlier runs could not hand over due at once.
    pub async fn make_deliveries_due(&self) -> Result<(), LedgerError> {
        self.ledger.writer.execute(MakeDeliveriesDue { batch: self.batch }).await
    }

    /// Records an attempt to hand a video over.
    pub async fn record_delivery(
        &self,
        item: ReviewItem,
        result: DeliveryResult,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        let (run, batch) = (self.run, self.batch);
        self.ledger.writer.execute(RecordDelivery { run, batch, item, result, now }).await
    }
}

impl Ledger {
    /// Returns up to `max` videos that are to be handed over now, in the order of the sheet.
    pub async fn due_deliveries(
        &self,
        batch: BatchId,
        only_approved: bool,
        now: Timestamp,
        max: u32,
    ) -> Result<Vec<ReviewItem>, LedgerError> {
        let values = binds![batch.0, only_approved, now, max];
        let rows: Vec<ReviewItemRow> = self.readers.fetch_all(&DUE, values).await?;
        Ok(rows.into_iter().map(ReviewItem::from).collect())
    }

    /// Returns when the next video is tried again.
    pub async fn next_delivery_due(
        &self,
        batch: BatchId,
    ) -> Result<Option<Timestamp>, LedgerError> {
        Ok(self.readers.fetch_value::<StoredTime>(&NEXT_DUE, binds![batch.0]).await?.into())
    }

    /// Returns how many videos are handed over, and how many are not.
    pub async fn delivery_counts(
        &self,
        batch: BatchId,
        only_approved: bool,
    ) -> Result<DeliveryCounts, LedgerError> {
        let values = binds![batch.0, only_approved];
        let rows: Vec<(String, i64)> = self.readers.fetch_all(&COUNTS, values).await?;
        let mut counts = DeliveryCounts::default();
        for (state, videos) in rows {
            let count = match state.as_str() {
                "done" => &mut counts.done,
                "failed" => &mut counts.failed,
                _ => &mut counts.waiting,
            };
            *count += videos.unsigned_abs();
        }
        Ok(counts)
    }
}

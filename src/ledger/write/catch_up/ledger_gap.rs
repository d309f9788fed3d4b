//! Gaps: times since which the ledger may lack committed records, after a failover or in a restored copy.
//!
//! While a gap is open, no submission of a batch is claimed and no paid request is sent, until the
//! projects of the batch's account were compared with the ledger (`found_project`). A gap is recorded
//! where it is noticed, and closed when every batch was compared. Invariant: recording one again, or
//! closing it twice, changes nothing.

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::model::gap_reason::GapReason;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, Ledger};

/// The time of the last surviving record is known to ten seconds: runs record heartbeats.
static RECORD_GAP: Statement = Statement::new(
    "-- ledger::record_gap
    insert into ledger_gap (reason, detail, last_record_at, found_at)
    select $1, $2, coalesce((select max(heartbeat_at) from run), 1), $3
    where not exists (select 1 from ledger_gap where reason = $1 and closed_at is null)",
);

/// A batch that is not in the ledger was compared with nothing.
static FIND_GAP: Statement = Statement::new(
    "-- ledger::find_gap
    select g.detail from ledger_gap g
    where g.closed_at is null and not exists (
        select 1 from compared_batch c join batch b on b.id = c.batch_id
        where c.gap_id = g.id and b.name = $1)
    order by g.id limit 1",
);

static OPEN_GAPS: Statement = Statement::new(
    "-- ledger::open_gaps
    select detail, last_record_at, found_at from ledger_gap where closed_at is null order by id",
);

/// A backup knows when it was made, and not until when its ledger was used.
static NOTICE_BACKUP: Statement = Statement::new(
    "-- ledger::notice_backup
    update ledger_gap set reason = 'older-copy', found_at = $1
    where reason = 'backup' and closed_at is null",
);

static MARK_COMPARED: Statement = Statement::new(
    "-- ledger::catch_up, compared batch
    insert into compared_batch (gap_id, batch_id, at)
    select g.id, $1, $2 from ledger_gap g where g.closed_at is null and not exists (
        select 1 from compared_batch c where c.gap_id = g.id and c.batch_id = $1)",
);

static CLOSE_GAPS: Statement = Statement::new(
    "-- ledger::catch_up, close
    update ledger_gap set closed_at = $1 where closed_at is null and not exists (
        select 1 from batch b where not exists (
            select 1 from compared_batch c where c.gap_id = ledger_gap.id and c.batch_id = b.id))",
);

static RAISE_GENERATION: Statement = Statement::new(
    "-- ledger::catch_up, generation
    update identity set generation = {greatest}(generation, $1) where only_row = 1",
);

/// An open gap.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LedgerGap {
    /// How it was noticed.
    pub detail: String,
    /// The time of the last record that is certainly there.
    #[sqlx(try_from = "StoredTime")]
    pub last_record_at: Timestamp,
    /// When it was noticed: nothing was sent later.
    #[sqlx(try_from = "StoredTime")]
    pub found_at: Timestamp,
}

/// Returns the error for a batch that was not compared since a gap; `None` if there is none.
pub(in crate::ledger) async fn find_gap(
    db: &mut StoreConnection,
    batch: &str,
) -> Result<Option<LedgerError>, LedgerError> {
    let detail: Option<String> = db.find_value(&FIND_GAP, binds![batch]).await?;
    Ok(detail.map(|detail| LedgerError::Behind { detail }))
}

/// Returns the gap, if there is one, as the cause of an error that a lost record explains.
pub(in crate::ledger) async fn gap_as_cause(
    db: &mut StoreConnection,
    error: LedgerError,
) -> LedgerError {
    if !matches!(error, LedgerError::LeaseLost | LedgerError::Corrupt(_)) {
        return error;
    }
    match db.fetch_optional::<LedgerGap>(&OPEN_GAPS, binds![]).await {
        Ok(Some(gap)) => LedgerError::Behind { detail: gap.detail },
        Ok(None) | Err(_) => error,
    }
}

/// Records a gap, unless one of this kind is open.
pub(in crate::ledger) async fn record_gap(
    db: &mut StoreConnection,
    reason: GapReason,
    found: GapFinding<'_>,
) -> Result<(), sqlx::Error> {
    let binds = binds![reason.as_str(), found.detail, found.at];
    db.execute(&RECORD_GAP, binds).await.map(drop)
}

/// How a gap was noticed, and when.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct GapFinding<'d> {
    pub(in crate::ledger) detail: &'d str,
    pub(in crate::ledger) at: Timestamp,
}

/// Records that the batch was compared since every open gap.
pub(in crate::ledger) async fn mark_compared(
    db: &mut StoreConnection,
    batch: BatchId,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    db.execute(&MARK_COMPARED, binds![batch.0, now]).await.map(drop)
}

struct RecordGap {
    detail: String,
    now: Timestamp,
}

impl WriteOp for RecordGap {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        let found = GapFinding { detail: &self.detail, at: self.now };
        Ok(record_gap(db, GapReason::OlderCopy, found).await?)
    }
}

struct NoticeBackup {
    now: Timestamp,
}

impl WriteOp for NoticeBackup {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        db.execute(&NOTICE_BACKUP, binds![self.now]).await?;
        Ok(())
    }
}

struct CloseGaps {
    now: Timestamp,
}

impl WriteOp for CloseGaps {
    type Output = bool;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<bool, LedgerError> {
        db.execute(&CLOSE_GAPS, binds![self.now]).await?;
        Ok(db.fetch_optional::<LedgerGap>(&OPEN_GAPS, binds![]).await?.is_none())
    }
}

struct RaiseGeneration {
    generation: i64,
}

impl WriteOp for RaiseGeneration {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        db.execute(&RAISE_GENERATION, binds![self.generation]).await?;
        Ok(())
    }
}

impl Ledger {
    /// Records that this ledger is an older copy of itself: nothing is paid until it was compared with
    /// the account.
    pub async fn record_older_copy(
        &self,
        detail: String,
        now: Timestamp,
    ) -> Result<(), LedgerError> {
        self.writer.execute(RecordGap { detail, now }).await
    }

    /// Returns the gaps that are open, the oldest first.
    pub async fn open_gaps(&self) -> Result<Vec<LedgerGap>, LedgerError> {
        Ok(self.readers.fetch_all(&OPEN_GAPS, binds![]).await?)
    }

    /// Returns how the ledger came to lack records, unless the batch was compared since.
    pub async fn gap_of_batch(&self, batch: &str) -> Result<Option<String>, LedgerError> {
        Ok(self.readers.find_value(&FIND_GAP, binds![batch]).await?)
    }

    /// Returns the error of a run whose lease is gone: taken over, or lost with other records.
    pub async fn lost_lease_error(&self) -> LedgerError {
        match self.open_gaps().await {
            Ok(gaps) => gaps
                .into_iter()
                .next()
                .map_or(LedgerError::LeaseLost, |gap| LedgerError::Behind { detail: gap.detail }),
            Err(error) => error,
        }
    }

    /// Records that this ledger is noticed to be a backup, if it is one: its account may have been used
    /// until now.
    pub async fn notice_backup(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.writer.execute(NoticeBackup { now }).await
    }

    /// Closes the gaps since which every batch was compared. Returns whether none is open any more.
    pub async fn close_gaps(&self, now: Timestamp) -> Result<bool, LedgerError> {
        self.writer.execute(CloseGaps { now }).await
    }

    /// Raises the generation to what an output folder has recorded, so that the ledger no longer counts
    /// as an older copy.
    pub async fn raise_generation(&self, generation: i64) -> Result<(), LedgerError> {
        self.writer.execute(RaiseGeneration { generation }).await
    }
}

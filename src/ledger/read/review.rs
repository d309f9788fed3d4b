//! The videos of a batch with the verdicts that count: the last one on the current version and its very
//! bytes.
//!
//! Reads only.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::model::verdict::{VerdictKind, VerdictOrigin};
use crate::ledger::read::sheet_cells::align_cells;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::{BatchId, Ledger};

/// A finished video and its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewItem {
    /// The row's position in the sheet, from 0.
    pub position: i64,
    /// The row's number as the spreadsheet showed it.
    pub row_number: i64,
    /// The job's key.
    pub key: String,
    /// The variant of its row, if the batch has variants.
    pub variant: Option<String>,
    /// The row's cells as JSON: a list of rows, each a list of texts.
    pub cells: String,
    /// The job's version.
    pub version: i64,
    /// The file in the output folder.
    pub video_file: String,
    /// The digest of its bytes.
    pub video_hash: String,
    /// Its length in bytes.
    pub video_bytes: i64,
    /// The duration in milliseconds.
    pub video_ms: i64,
    /// The verdict, if there is one.
    pub verdict: Option<ReviewVerdict>,
}

/// A verdict on a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReviewVerdict {
    /// The decision.
    pub kind: VerdictKind,
    /// Why.
    pub reason: Option<String>,
    /// Who gave it: a user, or the name that a reviewer entered.
    pub reviewer: String,
    /// Where it was given.
    pub origin: VerdictOrigin,
    /// The label of the share link.
    pub share_label: Option<String>,
    /// When it was given.
    pub at: Timestamp,
}

/// A verdict of the history, with the video that it was given on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerVerdict {
    /// The version.
    pub version: i64,
    /// The digest of the video's bytes.
    pub video_hash: String,
    /// The verdict.
    pub verdict: ReviewVerdict,
}

/// The finished videos of a batch by verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReviewCounts {
    /// Without a verdict.
    pub waiting: u64,
    /// Approved.
    pub approved: u64,
    /// Rejected.
    pub rejected: u64,
    /// Changes are requested.
    pub changes: u64,
}

/// `$jobs` is the table of jobs, with the index that SQLite reads.
macro_rules! review_items {
    ($what:literal, $columns:expr, $jobs:literal, $filter:literal) => {
        concat!(
            "-- ledger::review, ",
            $what,
            "\n    select ",
            $columns,
            "
    from ",
            $jobs,
            "
    join version v on v.job_id = j.id and v.version = j.version
    join version w on w.job_id = j.id and w.version = coalesce(v.reused_from, v.version)
    left join review_verdict r on r.verdict <> 'withdrawn' and r.id = (
        select max(t.id) from review_verdict t
        where t.job_id = j.id and t.version = j.version and t.video_hash = w.video_hash)
    left join share_link l on l.id = r.share_id
    where j.batch_id = $1 and j.in_sheet = true and j.state in ('done', 'reused')
        and w.video_hash is not null",
            $filter
        )
    };
}

macro_rules! item_columns {
    ($what:literal, $filter:literal) => {
        item_columns!($what, "job j", $filter)
    };
    ($what:literal, $jobs:literal, $filter:literal) => {
        review_items!(
            $what,
            concat!(
                "j.position, j.row_number, j.key, j.variant, v.cells, j.version, j.video_file,
        w.video_hash, w.video_bytes, w.video_ms, r.verdict, r.reason, r.reviewer, r.origin,
        l.label as share_label, r.at, ",
                $crate::ledger::read::sheet_cells::former_headings!()
            ),
            $jobs,
            $filter
        )
    };
}

pub(in crate::ledger) use {item_columns, review_items};

static ITEMS: Statement =
    Statement::new(item_columns!("page", " and j.position > $2 order by j.position limit $3"));
static ITEM: Statement = Statement::new(item_columns!("one video", " and j.key = $2"));
static ITEMS_OF_KEYS: Statement = Statement::new(item_columns!(
    "videos of keys",
    "({list $2}) asked {cross} join job j on j.batch_id = $1 and j.key = asked.value",
    ""
));

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] = &[&ITEM, &ITEMS_OF_KEYS];

/// From the verdicts, which are fewer than the videos: those without one are the rest.
static COUNTS: Statement = Statement::new(
    "-- ledger::review, counts
    select r.verdict, count(*) as videos
    from review_verdict r {by review_verdict_batch}
    join job j on j.id = r.job_id
    join version v on v.job_id = j.id and v.version = j.version
    join version w on w.job_id = j.id and w.version = coalesce(v.reused_from, v.version)
    where r.batch_id = $1 and r.verdict <> 'withdrawn' and r.version = j.version
        and r.video_hash = w.video_hash and j.in_sheet = true and j.state in ('done', 'reused')
        and r.id = (select max(t.id) from review_verdict t
            where t.job_id = r.job_id and t.version = r.version and t.video_hash = r.video_hash)
    group by r.verdict
    union all select 'finished', cast(coalesce(sum(jobs), 0) as bigint) from tally
    where batch_id = $1 and in_sheet = true and state in ('done', 'reused')",
);
static HAS_VERDICTS: Statement = Statement::new(
    "-- ledger::review, any verdict
    select count(*) from (select 1 from review_verdict where batch_id = $1 limit 1) any_verdict",
);

static HISTORY: Statement = Statement::new(
    "-- ledger::review, history
    select r.version, r.video_hash, r.verdict, r.reason, r.reviewer, r.origin,
        l.label as share_label, r.at
    from review_verdict r join job j on j.id = r.job_id
    left join share_link l on l.id = r.share_id
    where j.batch_id = $1 and j.key = $2 order by r.id",
);

/// A video as it is read.
#[derive(FromRow)]
pub(in crate::ledger) struct ReviewItemRow {
    position: i64,
    row_number: i64,
    key: String,
    variant: Option<String>,
    cells: String,
    version: i64,
    video_file: String,
    video_hash: String,
    video_bytes: i64,
    video_ms: i64,
    former_headings: Option<String>,
    #[sqlx(flatten)]
    verdict: VerdictColumns,
}

/// All of them are null without a verdict.
#[derive(FromRow)]
struct VerdictColumns {
    verdict: Option<String>,
    reason: Option<String>,
    reviewer: Option<String>,
    origin: Option<String>,
    share_label: Option<String>,
    #[sqlx(try_from = "StoredTime")]
    at: Option<Timestamp>,
}

#[derive(FromRow)]
struct FormerVerdictRow {
    version: i64,
    video_hash: String,
    #[sqlx(flatten)]
    verdict: VerdictColumns,
}

impl VerdictColumns {
    fn into_verdict(self) -> Option<ReviewVerdict> {
        Some(ReviewVerdict {
            kind: VerdictKind::parse(&self.verdict?)?,
            reason: self.reason,
            reviewer: self.reviewer?,
            origin: VerdictOrigin::parse(&self.origin?)?,
            share_label: self.share_label,
            at: self.at?,
        })
    }
}

impl From<ReviewItemRow> for ReviewItem {
    fn from(row: ReviewItemRow) -> Self {
        Self {
            position: row.position,
            row_number: row.row_number,
            key: row.key,
            variant: row.variant,
            cells: align_cells(row.cells, row.former_headings.as_deref()),
            version: row.version,
            video_file: row.video_file,
            video_hash: row.video_hash,
            video_bytes: row.video_bytes,
            video_ms: row.video_ms,
            verdict: row.verdict.into_verdict(),
        }
    }
}

impl ReviewVerdict {
    /// Returns who gave it, as reports show it: through a share link with the label of that.
    pub fn attribution(&self) -> String {
        match &self.share_label {
            Some(label) => format!("{} ({label})", self.reviewer),
            None => self.reviewer.clone(),
        }
    }
}

impl ReviewItem {
    /// Returns whether it may be delivered where only approved videos are.
    pub fn is_approved(&self) -> bool {
        self.verdict.as_ref().is_some_and(|verdict| verdict.kind == VerdictKind::Approved)
    }
}

impl Ledger {
    /// Returns up to `max` finished videos after the position `after`, in the order of the sheet; -1
    /// for the beginning.
    pub async fn review_items(
        &self,
        batch: BatchId,
        after: i64,
        max: u32,
    ) -> Result<Vec<ReviewItem>, LedgerError> {
        let rows: Vec<ReviewItemRow> =
            self.readers.fetch_all(&ITEMS, binds![batch.0, after, max]).await?;
        Ok(rows.into_iter().map(ReviewItem::from).collect())
    }

    /// Returns the finished video of a job; `None` if it has none.
    pub async fn review_item(
        &self,
        batch: BatchId,
        key: &str,
    ) -> Result<Option<ReviewItem>, LedgerError> {
        let row: Option<ReviewItemRow> =
            self.readers.fetch_optional(&ITEM, binds![batch.0, key]).await?;
        Ok(row.map(ReviewItem::from))
    }

    /// Returns the finished videos of jobs, in the order of the sheet.
    pub async fn review_items_of_keys(
        &self,
        batch: BatchId,
        keys: &[String],
    ) -> Result<Vec<ReviewItem>, LedgerError> {
        let values = binds![batch.0, keys.to_vec()];
        let rows: Vec<ReviewItemRow> = self.readers.fetch_all(&ITEMS_OF_KEYS, values).await?;
        let mut items: Vec<ReviewItem> = rows.into_iter().map(ReviewItem::from).collect();
        items.sort_by_key(|item| item.position);
        items.dedup_by_key(|item| item.position);
        Ok(items)
    }

    /// Returns the finished videos by verdict.
    pub async fn review_counts(&self, batch: BatchId) -> Result<ReviewCounts, LedgerError> {
        let rows: Vec<(String, i64)> = self.readers.fetch_all(&COUNTS, binds![batch.0]).await?;
        let mut counts = ReviewCounts::default();
        let mut finished = 0;
        for (word, videos) in rows {
            let count = match VerdictKind::parse(&word) {
                Some(VerdictKind::Approved) => &mut counts.approved,
                Some(VerdictKind::Rejected) => &mut counts.rejected,
                Some(VerdictKind::Changes) => &mut counts.changes,
                Some(VerdictKind::Withdrawn) | None => &mut finished,
            };
            *count += videos.unsigned_abs();
        }
        let judged = counts.approved + counts.rejected + counts.changes;
        counts.waiting = finished.saturating_sub(judged);
        Ok(counts)
    }

    /// Returns whether a verdict was ever given in a batch.
    pub async fn has_verdicts(&self, batch: BatchId) -> Result<bool, LedgerError> {
        let found: i64 = self.readers.fetch_value(&HAS_VERDICTS, binds![batch.0]).await?;
        Ok(found > 0)
    }

    /// Returns every verdict on a job, the first one first.
    pub async fn verdict_history(
        &self,
        batch: BatchId,
        key: &str,
    ) -> Result<Vec<FormerVerdict>, LedgerError> {
        let rows: Vec<FormerVerdictRow> =
            self.readers.fetch_all(&HISTORY, binds![batch.0, key]).await?;
        let known = |row: FormerVerdictRow| {
            let FormerVerdictRow { version, video_hash, verdict } = row;
            Some(FormerVerdict { version, video_hash, verdict: verdict.into_verdict()? })
        };
        Ok(rows.into_iter().filter_map(known).collect())
    }
}

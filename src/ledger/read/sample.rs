//! The sample of a batch: the videos that have to be approved before the others are submitted.
//!
//! Reads only; which videos belong to it is decided by the claims.

use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::model::verdict::VerdictKind;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::claim::sample_gate::sample_gate_videos;
use crate::ledger::{BatchId, Ledger};

/// A finished video of a sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SampleGateVideo {
    /// The job's key.
    pub key: String,
    /// The verdict on its current version, if there is one.
    pub verdict: Option<VerdictKind>,
}

static FINISHED: Statement = Statement::new(sample_gate_videos!(
    "finished videos",
    "j.key, r.verdict",
    " and j.state in ('done', 'reused') order by j.position"
));

#[derive(FromRow)]
struct SampleGateRow {
    key: String,
    verdict: Option<String>,
}

impl Ledger {
    /// Returns the finished videos of the sample, in the order of the sheet.
    pub async fn sample_gate_videos(
        &self,
        batch: BatchId,
    ) -> Result<Vec<SampleGateVideo>, LedgerError> {
        let rows: Vec<SampleGateRow> = self.readers.fetch_all(&FINISHED, binds![batch.0]).await?;
        let verdict =
            |text: String| VerdictKind::parse(&text).filter(|kind| *kind != VerdictKind::Withdrawn);
        let video = |row: SampleGateRow| SampleGateVideo {
            key: row.key,
            verdict: row.verdict.and_then(verdict),
        };
        Ok(rows.into_iter().map(video).collect())
    }
}

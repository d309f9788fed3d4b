//! The texts of the batches that are searched, each read once after a plan and kept in memory.
//!
//! They are read in the background; a search that comes earlier waits a moment, and then does without
//! them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::console::pages::rows::row_texts::RowTexts;
use crate::ledger::{BatchId, Ledger, LedgerError, StoredBatch};

/// A search waits for the texts of a batch with up to so many rows, which are read at once; for those of a
/// larger one, it waits only as long as it is to take itself.
const AWAITED_ROWS_MAX: u64 = 50_000;
const WAIT_MAX: Duration = Duration::from_secs(10);
const LARGE_WAIT_MAX: Duration = Duration::from_millis(50);
/// Rows read at once.
const READ_ROWS: u32 = 5000;
/// The memory for the texts of one batch. A larger batch is searched in the ledger.
const BYTES_MAX: usize = 256 << 20;
/// Batches whose texts are kept.
const BATCHES_MAX: usize = 2;

/// The texts of some batches.
#[derive(Debug, Default)]
pub(in crate::console) struct RowTextCache {
    /// The one that was used last is at the end.
    entries: Mutex<Vec<CachedTexts>>,
}

#[derive(Clone, Debug)]
struct CachedTexts {
    batch: BatchId,
    planned_at: Option<Timestamp>,
    texts: watch::Receiver<TextsProgress>,
}

/// How far the texts of a batch are read.
#[derive(Clone, Debug)]
pub(super) enum TextsProgress {
    Reading,
    Ready(Arc<RowTexts>),
    TooLarge,
}

impl CachedTexts {
    /// Returns whether these are the texts of the last plan. Those that could not be read are read again.
    fn is_usable(&self, batch: &StoredBatch) -> bool {
        let is_reading = matches!(*self.texts.borrow(), TextsProgress::Reading);
        let is_lost = is_reading && self.texts.has_changed().is_err();
        self.planned_at == batch.planned_at && !is_lost
    }
}

impl RowTextCache {
    /// Returns texts, if they are there within a moment.
    pub(super) async fn wait(
        mut texts: watch::Receiver<TextsProgress>,
        rows: u64,
    ) -> Option<Arc<RowTexts>> {
        let wait_max = if rows > AWAITED_ROWS_MAX { LARGE_WAIT_MAX } else { WAIT_MAX };
        let is_over = |progress: &TextsProgress| !matches!(progress, TextsProgress::Reading);
        let progress = timeout(wait_max, texts.wait_for(is_over)).await.ok()?.ok()?;
        match &*progress {
            TextsProgress::Ready(texts) => Some(texts.clone()),
            TextsProgress::Reading | TextsProgress::TooLarge => None,
        }
    }

    /// Begins to read the texts of a batch, unless that was done since its last plan.
    pub(super) fn prepare(
        &self,
        ledger: &Ledger,
        batch: &StoredBatch,
        stop: &CancellationToken,
    ) -> watch::Receiver<TextsProgress> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let known = entries.iter().position(|entry| entry.batch == batch.id);
        let known = known.map(|index| entries.remove(index));
        let entry = known.filter(|entry| entry.is_usable(batch)).unwrap_or_else(|| {
            let (sender, texts) = watch::channel(TextsProgress::Reading);
            let reading = read_texts(ledger.clone(), batch.clone(), sender);
            tokio::spawn(stop.clone().run_until_cancelled_owned(reading));
            CachedTexts { batch: batch.id, planned_at: batch.planned_at, texts }
        });
        let texts = entry.texts.clone();
        entries.push(entry);
        if entries.len() > BATCHES_MAX {
            entries.remove(0);
        }
        texts
    }
}

/// Reads the texts of a batch. If that fails, or a plan was committed meanwhile, the sender is dropped and
/// the next search begins again.
async fn read_texts(ledger: Ledger, batch: StoredBatch, sender: watch::Sender<TextsProgress>) {
    let Ok(texts) = collect_texts(&ledger, batch.id).await else { return };
    let Ok(now) = ledger.batch(&batch.name).await else { return };
    if now.planned_at == batch.planned_at {
        let ready = |texts| TextsProgress::Ready(Arc::new(texts));
        sender.send_replace(texts.map_or(TextsProgress::TooLarge, ready));
    }
}

/// Returns the texts; `None` if they are too large.
async fn collect_texts(ledger: &Ledger, batch: BatchId) -> Result<Option<RowTexts>, LedgerError> {
    let mut texts = RowTexts::default();
    let mut others = ledger.texts_without_job(batch, -1, u32::MAX).await?.into_iter().peekable();
    let mut after = -1;
    loop {
        let rows = ledger.row_texts(batch, after, READ_ROWS).await?;
        let last = rows.last().map(|row| row.position);
        for row in rows {
            while let Some(other) = others.next_if(|other| other.position < row.position) {
                texts.push(&other);
            }
            texts.push(&row);
        }
        if texts.bytes() > BYTES_MAX {
            return Ok(None);
        }
        let Some(last) = last else { break };
        after = last;
        // Searching is never more urgent than the pages of others.
        tokio::task::yield_now().await;
    }
    others.for_each(|other| texts.push(&other));
    Ok(Some(texts))
}

//! The videos that a review page may show: all of a batch, or those that a share link names.
//!
//! Reads only what a page shows, however many videos there are.

use crate::console::page_error::PageError;
use crate::ledger::{
    BatchId, Ledger, ReviewCounts, ReviewItem, RowPageStart, VerdictFilter, VerdictKind,
};

/// Where the videos come from.
pub(in crate::console) enum ReviewSource<'s> {
    /// The batch: read page by page.
    Batch { ledger: &'s Ledger, batch: BatchId },
    /// The videos of some keys, which were read together.
    Listed(Vec<ReviewItem>),
}

impl<'s> ReviewSource<'s> {
    /// Returns the videos of a batch, or of some keys of it.
    pub(in crate::console) async fn open(
        ledger: &'s Ledger,
        batch: BatchId,
        keys: Option<&[String]>,
    ) -> Result<Self, PageError> {
        match keys {
            None => Ok(Self::Batch { ledger, batch }),
            Some(keys) => Ok(Self::Listed(ledger.review_items_of_keys(batch, keys).await?)),
        }
    }

    /// Returns up to `max` videos from a position: after it in the order of the sheet, before it the
    /// nearest one first.
    pub(super) async fn page(
        &self,
        filter: VerdictFilter,
        start: RowPageStart,
        max: u32,
    ) -> Result<Vec<ReviewItem>, PageError> {
        match self {
            Self::Batch { ledger, batch } => {
                Ok(ledger.review_page(*batch, filter, start, max).await?)
            }
            Self::Listed(items) => {
                let shown = items.iter().filter(|item| filter.is_match(item));
                let max = max as usize;
                Ok(match start {
                    RowPageStart::After(after) => {
                        shown.filter(|item| item.position > after).take(max).cloned().collect()
                    }
                    RowPageStart::Before(before) => {
                        let earlier = shown.filter(|item| item.position < before).rev();
                        earlier.take(max).cloned().collect()
                    }
                })
            }
        }
    }

    /// Returns the first video from a position.
    pub(super) async fn first(
        &self,
        filter: VerdictFilter,
        start: RowPageStart,
    ) -> Result<Option<ReviewItem>, PageError> {
        Ok(self.page(filter, start, 1).await?.pop())
    }

    /// Returns the video of a job.
    pub(super) async fn find(&self, key: Option<&str>) -> Result<Option<ReviewItem>, PageError> {
        let Some(key) = key else { return Ok(None) };
        match self {
            Self::Batch { ledger, batch } => Ok(ledger.review_item(*batch, key).await?),
            Self::Listed(items) => Ok(items.iter().find(|item| item.key == key).cloned()),
        }
    }

    /// Returns the videos by verdict.
    pub(super) async fn counts(&self) -> Result<ReviewCounts, PageError> {
        match self {
            Self::Batch { ledger, batch } => Ok(ledger.review_counts(*batch).await?),
            Self::Listed(items) => Ok(count_items(items)),
        }
    }
}

fn count_items(items: &[ReviewItem]) -> ReviewCounts {
    let mut counts = ReviewCounts::default();
    for item in items {
        let count = match item.verdict.as_ref().map(|verdict| verdict.kind) {
            Some(VerdictKind::Approved) => &mut counts.approved,
            Some(VerdictKind::Rejected) => &mut counts.rejected,
            Some(VerdictKind::Changes) => &mut counts.changes,
            Some(VerdictKind::Withdrawn) | None => &mut counts.waiting,
        };
        *count += 1;
    }
    counts
}

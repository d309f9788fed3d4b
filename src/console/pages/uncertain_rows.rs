//! The uncertain videos of a batch, which wait for a decision: how many there are, the first ones, and
//! the one that follows another.
//!
//! Reads only what a page names, however many there are.

use maud::{Markup, html};

use crate::console::page_error::PageError;
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::number;
use crate::ledger::{BatchId, JobRow, JobState, Ledger, RowPageStart};

/// Videos that a page names.
const NAMED_MAX: u32 = 3;
const UNCERTAIN: Option<JobState> = Some(JobState::Uncertain);

/// The uncertain videos of a batch.
#[derive(Clone, Debug, Default)]
pub(in crate::console::pages) struct UncertainRows {
    pub(in crate::console::pages) count: u64,
    /// The keys of the first ones.
    keys: Vec<String>,
}

impl UncertainRows {
    pub(in crate::console::pages) async fn read(
        ledger: &Ledger,
        batch: BatchId,
    ) -> Result<Self, PageError> {
        let count = count_uncertain(ledger, batch).await?;
        let rows = match count {
            0 => Vec::new(),
            _ => ledger.job_rows_from(batch, UNCERTAIN, RowPageStart::After(-1), NAMED_MAX).await?,
        };
        Ok(Self { count, keys: rows.into_iter().filter_map(|row| row.key).collect() })
    }

    /// Returns the first videos as links to their decision, and how many others there are.
    pub(in crate::console::pages) fn named(&self, page: &PageRequest, batch: &str) -> Markup {
        let links = page.links();
        let others = self.count.saturating_sub(self.keys.len() as u64);
        html! {
            @for (index, key) in self.keys.iter().enumerate() {
                @if index > 0 { ", " }
                a href=(links.resolve(batch, key)) { (key) }
            }
            @if others > 0 {
                " and " a href=(links.rows(batch, "?state=uncertain")) { (number(others)) " more" }
            }
        }
    }
}

/// The uncertain video after another one, and how many there are besides it.
pub(in crate::console::pages) struct NextUncertain {
    pub(in crate::console::pages) key: String,
    pub(in crate::console::pages) others: u64,
}

impl NextUncertain {
    /// Returns the next one in the order of the sheet; behind the last one, the first one.
    pub(in crate::console::pages) async fn after(
        ledger: &Ledger,
        batch: BatchId,
        position: i64,
    ) -> Result<Option<Self>, PageError> {
        let mut found: Option<JobRow> = None;
        for start in [position, -1] {
            if found.is_none() {
                let start = RowPageStart::After(start);
                found = ledger.job_rows_from(batch, UNCERTAIN, start, 1).await?.pop();
            }
        }
        let Some(key) = found.and_then(|row| row.key) else { return Ok(None) };
        let others = count_uncertain(ledger, batch).await?.saturating_sub(1);
        Ok(Some(Self { key, others }))
    }
}

async fn count_uncertain(ledger: &Ledger, batch: BatchId) -> Result<u64, PageError> {
    let counts = ledger.state_counts(batch).await?;
    Ok(counts.get(&JobState::Uncertain).copied().unwrap_or_default())
}

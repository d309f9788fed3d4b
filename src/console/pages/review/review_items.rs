//! Which videos a review page shows: by verdict, and one of them if the address names it.

use crate::console::form::FormFields;
use crate::console::page_error::PageError;
use crate::ledger::{BatchId, Ledger, ReviewItem, VerdictKind};

/// Videos read at once, and in total: more than that are not reviewed one by one.
const ITEMS_PER_PAGE: u32 = 500;
const ITEMS_MAX: usize = 20_000;

/// What the address asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::console) struct ReviewFilter {
    pub(in crate::console) show: VerdictFilter,
    /// The video that is shown alone.
    pub(in crate::console) key: Option<String>,
    /// The video whose verdict can be taken back.
    pub(in crate::console) undo: Option<String>,
}

/// The videos with one verdict, or all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::console) enum VerdictFilter {
    #[default]
    All,
    Waiting,
    Given(VerdictKind),
}

impl VerdictFilter {
    /// All of them, in the order of the page.
    pub(in crate::console) const ALL: [Self; 5] = [
        Self::All,
        Self::Waiting,
        Self::Given(VerdictKind::Approved),
        Self::Given(VerdictKind::Rejected),
        Self::Given(VerdictKind::Changes),
    ];

    /// Returns its word in the address.
    pub(in crate::console) fn as_str(self) -> &'static str {
        match self {
            Self::All => "",
            Self::Waiting => "waiting",
            Self::Given(kind) => kind.as_str(),
        }
    }

    pub(in crate::console) fn label(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Waiting => "Waiting",
            Self::Given(VerdictKind::Approved) => "Approved",
            Self::Given(VerdictKind::Rejected) => "Rejected",
            Self::Given(VerdictKind::Changes) => "To be changed",
            Self::Given(VerdictKind::Withdrawn) => "Withdrawn",
        }
    }

    pub(in crate::console) fn is_shown(self, item: &ReviewItem) -> bool {
        let given = item.verdict.as_ref().map(|verdict| verdict.kind);
        match self {
            Self::All => true,
            Self::Waiting => given.is_none(),
            Self::Given(kind) => given == Some(kind),
        }
    }
}

impl ReviewFilter {
    pub(in crate::console) fn from_query(query: &FormFields) -> Self {
        let word = query.get("show").unwrap_or_default();
        let known = VerdictFilter::ALL.into_iter().find(|filter| filter.as_str() == word);
        Self {
            show: known.unwrap_or_default(),
            key: query.get_raw("key").map(str::to_owned).filter(|key| !key.is_empty()),
            undo: query.get_raw("undo").map(str::to_owned).filter(|key| !key.is_empty()),
        }
    }
}

/// Returns the finished videos of a batch that a page shows, in the order of the sheet.
pub(in crate::console) async fn read_items(
    ledger: &Ledger,
    batch: BatchId,
) -> Result<Vec<ReviewItem>, PageError> {
    let (mut items, mut after) = (Vec::new(), -1);
    while items.len() < ITEMS_MAX {
        let page = ledger.review_items(batch, after, ITEMS_PER_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        items.extend(page);
    }
    Ok(items)
}

/// Returns all approved videos of a batch, in the order of the sheet.
pub(in crate::console) async fn read_approved_items(
    ledger: &Ledger,
    batch: BatchId,
) -> Result<Vec<ReviewItem>, PageError> {
    let (mut items, mut after) = (Vec::new(), -1);
    loop {
        let page = ledger.review_items(batch, after, ITEMS_PER_PAGE).await?;
        let Some(last) = page.last() else { return Ok(items) };
        after = last.position;
        items.extend(page.into_iter().filter(ReviewItem::is_approved));
    }
}

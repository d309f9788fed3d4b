//! Which videos a review page shows: by verdict, from where on, and one of them if the address names it.

use crate::console::form::FormFields;
use crate::console::page_error::PageError;
use crate::ledger::{BatchId, Ledger, ReviewItem, RowPageStart, VerdictFilter, VerdictKind};

/// Videos read at once for an export.
const ITEMS_PER_READ: u32 = 500;

/// The filters, in the order of the page.
pub(in crate::console) const VERDICT_FILTERS: [VerdictFilter; 5] = [
    VerdictFilter::All,
    VerdictFilter::Waiting,
    VerdictFilter::Given(VerdictKind::Approved),
    VerdictFilter::Given(VerdictKind::Rejected),
    VerdictFilter::Given(VerdictKind::Changes),
];

/// What the address asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::console) struct ReviewFilter {
    pub(in crate::console) show: VerdictFilter,
    /// Where the grid begins, and where it goes from there.
    pub(in crate::console) start: RowPageStart,
    /// The video that is shown alone.
    pub(in crate::console) key: Option<String>,
    /// The video whose verdict can be taken back.
    pub(in crate::console) undo: Option<String>,
}

/// Returns the word of a filter in the address.
pub(in crate::console) fn filter_word(filter: VerdictFilter) -> &'static str {
    match filter {
        VerdictFilter::All => "",
        VerdictFilter::Waiting => "waiting",
        VerdictFilter::Given(kind) => kind.as_str(),
    }
}

/// Returns the title of a filter.
pub(in crate::console) fn filter_label(filter: VerdictFilter) -> &'static str {
    match filter {
        VerdictFilter::All => "All",
        VerdictFilter::Waiting => "Not reviewed",
        VerdictFilter::Given(VerdictKind::Approved) => "Approved",
        VerdictFilter::Given(VerdictKind::Rejected) => "Rejected",
        VerdictFilter::Given(VerdictKind::Changes) => "Changes requested",
        VerdictFilter::Given(VerdictKind::Withdrawn) => "Withdrawn",
    }
}

impl ReviewFilter {
    pub(in crate::console) fn from_query(query: &FormFields) -> Self {
        let word = query.get("show").unwrap_or_default();
        let known = VERDICT_FILTERS.into_iter().find(|filter| filter_word(*filter) == word);
        let position = |name: &str| query.get(name).and_then(|text| text.parse::<i64>().ok());
        let start = match (position("after"), position("before")) {
            (_, Some(before)) => RowPageStart::Before(before),
            (after, None) => RowPageStart::After(after.unwrap_or(-1)),
        };
        Self {
            show: known.unwrap_or_default(),
            start,
            key: query.get_raw("key").map(str::to_owned).filter(|key| !key.is_empty()),
            undo: query.get_raw("undo").map(str::to_owned).filter(|key| !key.is_empty()),
        }
    }
}

/// Returns all approved videos of a batch, in the order of the sheet.
pub(in crate::console) async fn read_approved_items(
    ledger: &Ledger,
    batch: BatchId,
) -> Result<Vec<ReviewItem>, PageError> {
    let (mut items, mut after) = (Vec::new(), -1);
    loop {
        let page = ledger.review_items(batch, after, ITEMS_PER_READ).await?;
        let Some(last) = page.last() else { return Ok(items) };
        after = last.position;
        items.extend(page.into_iter().filter(ReviewItem::is_approved));
    }
}

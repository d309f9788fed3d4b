//! A review page, the same for users of the console and for reviewers with a share link: the counts, the
//! filters, and the grid or the player.
//!
//! Pure, except that it reads the videos.

use maud::{Markup, html};

use crate::console::form::FormFields;
use crate::console::page_error::PageError;
use crate::console::pages::page_parts::number;
use crate::console::pages::review::judge::JudgedVideo;
use crate::console::pages::review::review_items::{ReviewFilter, VerdictFilter, read_items};
use crate::console::pages::review::{grid, player};
use crate::ledger::{Ledger, ReviewCounts, ReviewItem, StoredBatch, VerdictKind};

/// For which reviewer a page is, and where its parts are.
pub(in crate::console) struct ReviewSubject {
    /// The address of the page, which its forms are sent to as well.
    pub(in crate::console) address: String,
    /// The address below which the exports are; share links have none.
    pub(in crate::console) exports: Option<String>,
    /// The address where share links are made, for those who may.
    pub(in crate::console) share: Option<String>,
    /// Whether verdicts can be given.
    pub(in crate::console) is_judge: bool,
    /// The name that a reviewer without an account has typed; `None` for users.
    pub(in crate::console) reviewer: Option<String>,
    /// The keys of the videos that are shown; `None` for all.
    pub(in crate::console) keys: Option<Vec<String>>,
    /// Returns the address of a video.
    pub(in crate::console) video: Box<dyn Fn(&ReviewItem) -> String + Send + Sync>,
}

/// A review page.
pub(in crate::console) struct ReviewView {
    pub(in crate::console) batch_name: String,
    pub(in crate::console) counts: ReviewCounts,
    pub(in crate::console) subject: ReviewSubject,
    pub(in crate::console) filter: ReviewFilter,
    headings: Vec<String>,
    items: Vec<ReviewItem>,
}

impl ReviewView {
    pub(in crate::console) async fn read(
        ledger: &Ledger,
        batch: &StoredBatch,
        subject: ReviewSubject,
        filter: ReviewFilter,
    ) -> Result<Self, PageError> {
        let mut items = read_items(ledger, batch.id).await?;
        let counts = match &subject.keys {
            Some(keys) => {
                items.retain(|item| keys.contains(&item.key));
                count_items(&items)
            }
            None => ledger.review_counts(batch.id).await?,
        };
        let headings = ledger.headings(batch.id).await?;
        let batch_name = batch.name.clone();
        Ok(Self { batch_name, counts, subject, filter, headings, items })
    }

    /// Returns the videos that the filter shows.
    pub(in crate::console) fn visible_items(&self) -> impl Iterator<Item = &ReviewItem> {
        self.items.iter().filter(|item| self.filter.show.is_shown(item))
    }

    pub(super) fn find(&self, key: &str) -> Option<&ReviewItem> {
        self.items.iter().find(|item| item.key == key)
    }

    /// Returns the shown video before and the one behind a position of the sheet.
    pub(super) fn neighbours(&self, position: i64) -> (Option<&ReviewItem>, Option<&ReviewItem>) {
        let before = self.visible_items().filter(|item| item.position < position).last();
        (before, self.visible_items().find(|item| item.position > position))
    }

    /// Returns the cells of a video by heading, without the empty ones.
    pub(super) fn cells(&self, item: &ReviewItem) -> Vec<(String, String)> {
        let rows: Vec<Vec<String>> = serde_json::from_str(&item.cells).unwrap_or_default();
        let named = rows.into_iter().flat_map(|cells| self.headings.iter().cloned().zip(cells));
        named.filter(|(_, cell)| !cell.is_empty()).collect()
    }

    /// Returns the address of the page that shows a video alone; without one, of the grid.
    pub(super) fn address_of(&self, show: VerdictFilter, key: Option<&str>) -> String {
        let query = FormFields::default()
            .with("show", show.as_str())
            .with("key", key.unwrap_or_default())
            .with("name", self.subject.reviewer.as_deref().unwrap_or_default());
        format!("{}{}", self.subject.address, query.to_query())
    }

    /// Returns the address that follows a verdict: the next video that waits, or the grid. It offers to
    /// take the verdict back.
    pub(in crate::console) fn address_after(
        &self,
        video: &JudgedVideo,
        form: &FormFields,
    ) -> String {
        let position = self.find(&video.key).map_or(-1, |item| item.position);
        let mut waiting = self.items.iter().filter(|item| item.verdict.is_none());
        let is_undone = video.kind == VerdictKind::Withdrawn;
        let next = match is_undone {
            true => self.find(&video.key),
            false => waiting.clone().find(|item| item.position > position).or(waiting.next()),
        };
        let show = ReviewFilter::from_query(form).show;
        let query = FormFields::default()
            .with("show", if is_undone { show.as_str() } else { keep_waiting(show) })
            .with("key", next.map_or("", |item| item.key.as_str()))
            .with("undo", if is_undone { "" } else { &video.key })
            .with("name", form.get("name").unwrap_or_default());
        format!("{}{}", self.subject.address, query.to_query())
    }

    pub(in crate::console) fn render(&self) -> Markup {
        let alone = self.filter.key.as_deref().and_then(|key| self.find(key));
        html! {
            div .review data-review[self.subject.is_judge] {
                (self.filters())
                (self.undo_notice())
                @match alone {
                    Some(item) => { (player::player(self, item)) }
                    None => { (grid::grid(self)) }
                }
            }
        }
    }

    fn filters(&self) -> Markup {
        html! {
            div .row .review-bar {
                nav .tabs aria-label="Verdicts" {
                    @for filter in self.filter_choices() {
                        a href=(self.address_of(filter, None))
                            aria-current=[(filter == self.filter.show).then_some("page")] {
                            (filter.label()) " " span .muted { (number(self.count(filter))) }
                        }
                    }
                }
                (self.exports())
            }
        }
    }

    /// Returns the filters that show anything.
    fn filter_choices(&self) -> impl Iterator<Item = VerdictFilter> {
        let is_useful = move |filter: &VerdictFilter| {
            matches!(filter, VerdictFilter::All | VerdictFilter::Waiting)
                || *filter == self.filter.show
                || self.count(*filter) > 0
        };
        VerdictFilter::ALL.into_iter().filter(is_useful)
    }

    fn exports(&self) -> Markup {
        let Some(exports) = &self.subject.exports else { return html! {} };
        html! {
            span .row .exports {
                @if self.counts.approved > 0 {
                    a href={ (exports) "/approved.csv" } download { "approved.csv" }
                    a href={ (exports) "/approved.zip" } download { "approved.zip" }
                }
                @if let Some(share) = &self.subject.share { a href=(share) { "Share" } }
            }
        }
    }

    fn count(&self, filter: VerdictFilter) -> u64 {
        let ReviewCounts { waiting, approved, rejected, changes } = self.counts;
        match filter {
            VerdictFilter::All => waiting + approved + rejected + changes,
            VerdictFilter::Waiting => waiting,
            VerdictFilter::Given(VerdictKind::Approved) => approved,
            VerdictFilter::Given(VerdictKind::Rejected) => rejected,
            VerdictFilter::Given(VerdictKind::Changes) => changes,
            VerdictFilter::Given(VerdictKind::Withdrawn) => 0,
        }
    }

    fn undo_notice(&self) -> Markup {
        let judged = self.filter.undo.as_deref().and_then(|key| self.find(key));
        let Some((item, verdict)) = judged.and_then(|item| Some((item, item.verdict.as_ref()?)))
        else {
            return html! {};
        };
        html! {
            form .undo method="post" action=(self.subject.address) role="status" {
                (player::hidden_fields(self, item))
                span { (verdict_label(verdict.kind)) ": " b { (item.key) } }
                @if self.subject.is_judge {
                    button .quiet type="submit" name="verdict" value="withdrawn" data-key="u" { "Undo" }
                }
            }
        }
    }
}

/// A list of approved videos is not what is judged next.
fn keep_waiting(show: VerdictFilter) -> &'static str {
    match show {
        VerdictFilter::Waiting => VerdictFilter::Waiting.as_str(),
        VerdictFilter::All | VerdictFilter::Given(_) => "",
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

/// Returns a verdict as a reader of the page reads it.
pub(super) fn verdict_label(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Approved => "Approved",
        VerdictKind::Rejected => "Rejected",
        VerdictKind::Changes => "Changes requested",
        VerdictKind::Withdrawn => "Verdict withdrawn",
    }
}

/// Returns the verdict on a video with its colour.
pub(super) fn verdict_chip(item: &ReviewItem) -> Markup {
    let (class, label) = match item.verdict.as_ref().map(|verdict| verdict.kind) {
        Some(VerdictKind::Approved) => ("dot s-done", "approved"),
        Some(VerdictKind::Rejected) => ("dot s-failed", "rejected"),
        Some(VerdictKind::Changes) => ("dot s-uncertain", "to be changed"),
        Some(VerdictKind::Withdrawn) | None => ("dot s-ready", "waiting"),
    };
    html! { span .state { i class=(class) {} (label) } }
}

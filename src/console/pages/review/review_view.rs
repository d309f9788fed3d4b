//! A review page, the same for users of the console and for reviewers with a share link: the counts, the
//! filters, and the grid or the player.
//!
//! Reads the videos that it shows, and no others.

use maud::{Markup, html};

use crate::console::form::FormFields;
use crate::console::page_error::PageError;
use crate::console::pages::page_parts::{number, placeholder_notice};
use crate::console::pages::review::judge::JudgedVideo;
use crate::console::pages::review::review_items::{
    ReviewFilter, VERDICT_FILTERS, filter_label, filter_word,
};
use crate::console::pages::review::review_source::ReviewSource;
use crate::console::pages::review::{grid, player};
use crate::console::pages::row_cells::{named_cells, title_among};
use crate::ledger::{
    Ledger, ReviewCounts, ReviewItem, ReviewVerdict, RowPageStart, StoredBatch, VerdictFilter,
    VerdictKind, VerdictOrigin,
};
use crate::report::storyboard::spoken_scenes;

/// Videos on a page of the grid; each loads its first picture.
pub(super) const GRID_VIDEOS: u32 = 48;

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
    /// Whether the videos are placeholders of a rehearsal.
    pub(in crate::console) is_rehearsal: bool,
    /// The reviewer without an account; `None` for users.
    pub(in crate::console) guest: Option<GuestReviewer>,
    /// The keys of the videos that are shown; `None` for all.
    pub(in crate::console) keys: Option<Vec<String>>,
    /// Returns the address of a video.
    pub(in crate::console) video: Box<dyn Fn(&ReviewItem) -> String + Send + Sync>,
}

/// A reviewer without an account, behind a share link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::console) struct GuestReviewer {
    /// The name as it was typed; empty until then.
    pub(in crate::console) name: String,
    /// The label of the link.
    pub(in crate::console) label: String,
}

impl GuestReviewer {
    fn is_giver_of(&self, verdict: &ReviewVerdict) -> bool {
        verdict.origin == VerdictOrigin::Share
            && verdict.reviewer == self.name
            && verdict.share_label.as_ref() == Some(&self.label)
    }
}

/// A review page.
pub(in crate::console) struct ReviewView {
    pub(in crate::console) batch_name: String,
    pub(in crate::console) counts: ReviewCounts,
    pub(in crate::console) subject: ReviewSubject,
    pub(in crate::console) filter: ReviewFilter,
    headings: Vec<String>,
    content: ReviewContent,
    /// The video whose verdict can be taken back.
    undo: Option<ReviewItem>,
}

/// What the page shows of the videos.
enum ReviewContent {
    Grid(Box<GridPage>),
    Player(Box<PlayerPage>),
}

/// A page of the grid.
pub(super) struct GridPage {
    pub(super) items: Vec<ReviewItem>,
    /// The video with which a review one by one begins.
    pub(super) first: Option<ReviewItem>,
    pub(super) earlier: Option<RowPageStart>,
    pub(super) later: Option<RowPageStart>,
}

/// One video with its neighbours among those that the filter shows.
pub(super) struct PlayerPage {
    pub(super) item: ReviewItem,
    /// The text of each scene as it is spoken; empty if the ledger has no text of this version.
    pub(super) spoken: Vec<String>,
    pub(super) before: Option<ReviewItem>,
    pub(super) next: Option<ReviewItem>,
}

impl ReviewView {
    pub(in crate::console) async fn read(
        ledger: &Ledger,
        batch: &StoredBatch,
        subject: ReviewSubject,
        filter: ReviewFilter,
    ) -> Result<Self, PageError> {
        let source = ReviewSource::open(ledger, batch.id, subject.keys.as_deref()).await?;
        let content = match source.find(filter.key.as_deref()).await? {
            Some(item) => {
                let before = RowPageStart::Before(item.position);
                let before = source.first(filter.show, before).await?;
                let next = RowPageStart::After(item.position);
                let next = source.first(filter.show, next).await?;
                let spoken = read_spoken(ledger, batch, &item).await?;
                ReviewContent::Player(Box::new(PlayerPage { item, spoken, before, next }))
            }
            None => ReviewContent::Grid(Box::new(GridPage::read(&source, &filter).await?)),
        };
        Ok(Self {
            batch_name: batch.name.clone(),
            counts: source.counts().await?,
            headings: ledger.headings(batch.id).await?,
            undo: source.find(filter.undo.as_deref()).await?,
            content,
            subject,
            filter,
        })
    }

    /// Returns the videos of the page.
    pub(in crate::console) fn shown_items(&self) -> &[ReviewItem] {
        match &self.content {
            ReviewContent::Grid(page) => &page.items,
            ReviewContent::Player(page) => std::slice::from_ref(&page.item),
        }
    }

    /// Returns the addresses of the pages before and behind this one.
    pub(in crate::console) fn neighbour_addresses(&self) -> (Option<String>, Option<String>) {
        let show = self.filter.show;
        match &self.content {
            ReviewContent::Grid(page) => {
                let address = |start| self.page_address(start);
                (page.earlier.map(address), page.later.map(address))
            }
            ReviewContent::Player(page) => {
                let address = |item: &ReviewItem| self.address_of(show, Some(&item.key));
                (page.before.as_ref().map(address), page.next.as_ref().map(address))
            }
        }
    }

    /// Returns the cells of a video by heading, without the empty ones.
    pub(super) fn cells(&self, item: &ReviewItem) -> Vec<(String, String)> {
        named_cells(&self.headings, &item.cells)
    }

    /// Returns the first text of a video that reads like its name: that of a product or a headline.
    pub(super) fn title_of(&self, item: &ReviewItem) -> Option<String> {
        title_among(&self.cells(item), &item.key)
    }

    /// Returns the address of the page that shows a video alone; without one, of the grid.
    pub(super) fn address_of(&self, show: VerdictFilter, key: Option<&str>) -> String {
        let query = self.fields_of(show).with("key", key.unwrap_or_default());
        format!("{}{}", self.subject.address, query.to_query())
    }

    /// Returns the address of a page of the grid.
    fn page_address(&self, start: RowPageStart) -> String {
        let query = self.fields_of(self.filter.show);
        let query = match start {
            RowPageStart::After(after) => query.with("after", &after.to_string()),
            RowPageStart::Before(before) => query.with("before", &before.to_string()),
        };
        format!("{}{}", self.subject.address, query.to_query())
    }

    fn fields_of(&self, show: VerdictFilter) -> FormFields {
        FormFields::default()
            .with("show", filter_word(show))
            .with("name", self.subject.guest.as_ref().map_or("", |guest| &guest.name))
    }

    pub(in crate::console) fn render(&self) -> Markup {
        html! {
            div .review data-review[self.subject.is_judge] {
                (self.filters())
                @match &self.content {
                    ReviewContent::Player(page) => {
                        // Its place is kept, so that the buttons below stay where they are.
                        div .undo-place[self.subject.is_judge] { (self.undo_notice()) }
                        (player::player(self, page))
                    }
                    ReviewContent::Grid(page) => {
                        (self.undo_notice())
                        @if page.first.is_some() { (placeholder_notice(self.subject.is_rehearsal)) }
                        (grid::grid(self, page))
                    }
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
                            (filter_label(filter)) " " span .muted { (number(self.count(filter))) }
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
        VERDICT_FILTERS.into_iter().filter(is_useful)
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
        let judged = self.undo.as_ref().and_then(|item| Some((item, item.verdict.as_ref()?)));
        let Some((item, verdict)) = judged else {
            return html! {};
        };
        html! {
            form .undo method="post" action=(self.subject.address) role="status" {
                (player::hidden_fields(self, item))
                (player::reviewer_field(&self.subject))
                span .given { i class=(verdict_dot(verdict.kind)) {} b .key { (item.key) } " " (verdict_label(verdict.kind)) }
                @if self.subject.can_withdraw(verdict) {
                    button type="submit" name="verdict" value="withdrawn" data-key="u"
                        aria-label={ "Undo the verdict on " (item.key) } { "Undo" }
                }
            }
        }
    }
}

impl ReviewSubject {
    /// Returns whether the verdict on a video can be another one. That of a user is not for guests.
    pub(super) fn can_judge(&self, item: &ReviewItem) -> bool {
        let verdict = item.verdict.as_ref();
        let is_of_guest = |given: &ReviewVerdict| given.origin == VerdictOrigin::Share;
        self.is_judge && (self.guest.is_none() || verdict.is_none_or(is_of_guest))
    }

    /// Returns whether a verdict can be taken back. Guests take back their own.
    pub(super) fn can_withdraw(&self, verdict: &ReviewVerdict) -> bool {
        self.is_judge && self.guest.as_ref().is_none_or(|guest| guest.is_giver_of(verdict))
    }

    /// Returns the address that follows a verdict: the next video that waits, or the grid. It offers to
    /// take the verdict back.
    pub(in crate::console) async fn address_after(
        &self,
        source: &ReviewSource<'_>,
        video: &JudgedVideo,
        form: &FormFields,
    ) -> Result<String, PageError> {
        let is_undone = video.kind == VerdictKind::Withdrawn;
        let judged = source.find(Some(&video.key)).await?;
        let next = match is_undone {
            true => judged,
            false => next_waiting(source, judged.map_or(-1, |item| item.position)).await?,
        };
        let show = ReviewFilter::from_query(form).show;
        let query = FormFields::default()
            .with("show", if is_undone { filter_word(show) } else { keep_waiting(show) })
            .with("key", next.as_ref().map_or("", |item| item.key.as_str()))
            .with("undo", if is_undone { "" } else { &video.key })
            .with("name", form.get("name").unwrap_or_default());
        Ok(format!("{}{}", self.address, query.to_query()))
    }
}

/// Returns what is spoken in a video: the merged scripts of its own version.
async fn read_spoken(
    ledger: &Ledger,
    batch: &StoredBatch,
    item: &ReviewItem,
) -> Result<Vec<String>, PageError> {
    let planned = ledger.planned_version(batch.id, &item.key).await?;
    let own = planned.filter(|planned| planned.version == item.version);
    let payload = own.and_then(|planned| planned.payload.text().ok());
    Ok(payload.map(|payload| spoken_scenes(&payload)).unwrap_or_default())
}

/// Returns the next video without a verdict, or the first one.
async fn next_waiting(
    source: &ReviewSource<'_>,
    position: i64,
) -> Result<Option<ReviewItem>, PageError> {
    let waiting = VerdictFilter::Waiting;
    match source.first(waiting, RowPageStart::After(position)).await? {
        Some(item) => Ok(Some(item)),
        None => source.first(waiting, RowPageStart::After(-1)).await,
    }
}

impl GridPage {
    async fn read(source: &ReviewSource<'_>, filter: &ReviewFilter) -> Result<Self, PageError> {
        let mut items = source.page(filter.show, filter.start, GRID_VIDEOS + 1).await?;
        let has_more = items.len() > GRID_VIDEOS as usize;
        items.truncate(GRID_VIDEOS as usize);
        let is_backwards = matches!(filter.start, RowPageStart::Before(_));
        if is_backwards {
            items.reverse();
        }
        let (is_earlier, is_later) = match filter.start {
            RowPageStart::After(after) => (after >= 0, has_more),
            RowPageStart::Before(_) => (has_more, true),
        };
        let edge = |item: Option<&ReviewItem>| item.map(|item| item.position);
        let earlier = edge(items.first()).filter(|_| is_earlier).map(RowPageStart::Before);
        let later = edge(items.last()).filter(|_| is_later).map(RowPageStart::After);
        let waiting = match filter.show {
            VerdictFilter::All | VerdictFilter::Waiting => {
                source.first(VerdictFilter::Waiting, RowPageStart::After(-1)).await?
            }
            VerdictFilter::Given(_) => None,
        };
        let first = waiting.or_else(|| items.first().cloned());
        Ok(Self { items, first, earlier, later })
    }
}

/// A list of approved videos is not what is judged next.
fn keep_waiting(show: VerdictFilter) -> &'static str {
    match show {
        VerdictFilter::Waiting => filter_word(show),
        VerdictFilter::All | VerdictFilter::Given(_) => "",
    }
}

/// Returns a verdict as a reader of the page reads it.
pub(super) fn verdict_label(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Approved => "approved",
        VerdictKind::Rejected => "rejected",
        VerdictKind::Changes => "changes requested",
        VerdictKind::Withdrawn => "not reviewed",
    }
}

fn verdict_dot(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Approved => "dot s-done",
        VerdictKind::Rejected => "dot s-failed",
        VerdictKind::Changes => "dot s-uncertain",
        VerdictKind::Withdrawn => "dot s-ready",
    }
}

/// Returns the verdict on a video with its colour.
pub(super) fn verdict_chip(item: &ReviewItem) -> Markup {
    let kind = item.verdict.as_ref().map_or(VerdictKind::Withdrawn, |verdict| verdict.kind);
    html! { span .state { i class=(verdict_dot(kind)) {} (verdict_label(kind)) } }
}

//! What would be rendered, its price, and the approval.

use maud::{Markup, html};

use super::started;
use crate::console::page_error::PageError;
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::with_code;
use crate::console::pages::uncertain_rows::UncertainRows;
use crate::ledger::JobState;
use crate::session::operator::operator_batch::find_live_holder;
use crate::session::upload::{ConsoleBatch, PlanOffer, StartProgress, UploadPlan};
use crate::text::time_format::zone_name;
use crate::text::{format_credits, format_duration, pluralize, truncate};

/// Characters of a changed cell.
const CELL_CHARS_MAX: usize = 60;
/// Rows of each kind that are listed.
const ROWS_MAX: usize = 10;

/// The plan, and what became of its approval.
pub(super) struct PlanView<'v> {
    pub(super) plan: &'v UploadPlan,
    pub(super) progress: &'v StartProgress,
    pub(super) batch: BatchWork,
}

/// What the ledger has of the batch beside the plan.
#[derive(Clone, Debug, Default)]
pub(super) struct BatchWork {
    /// Videos that were submitted and are not finished: another run continues them.
    in_progress: u64,
    /// Videos that another run checks, and submits only once it is known that they were not accepted.
    uncertain: UncertainRows,
    is_live: bool,
    is_paused: bool,
}

impl BatchWork {
    pub(super) async fn read(page: &PageRequest, name: &str) -> Result<Self, PageError> {
        let ledger = &page.state.ledger;
        let Some(row) = ledger.batches().await?.into_iter().find(|row| row.name == name) else {
            return Ok(Self::default());
        };
        let counts = ledger.state_counts(row.id).await?;
        let submitted = [JobState::Submitting, JobState::Rendering, JobState::Fetching];
        let in_progress = submitted.iter().filter_map(|state| counts.get(state)).sum();
        let stored = ledger.batch(name).await?;
        let is_live = find_live_holder(ledger, &stored).await.is_some();
        let uncertain = UncertainRows::read(ledger, row.id).await?;
        Ok(Self { in_progress, uncertain, is_live, is_paused: row.paused })
    }

    /// Returns the videos that an approval continues although nothing new is rendered.
    fn count_continued(&self) -> u64 {
        if self.is_live { 0 } else { self.in_progress }
    }

    /// Returns whether an approval without a new video has something to do.
    fn has_open(&self) -> bool {
        !self.is_live && self.in_progress + self.uncertain.count > 0
    }
}

pub(super) fn section(page: &PageRequest, upload: &ConsoleBatch, view: PlanView<'_>) -> Markup {
    html! {
        section #plan .card.plan {
            h2 { "Plan" }
            @match &view.plan.offer {
                None => p { "Fix the problems above; then the plan and its price are shown here." },
                Some(offer) => {
                    p .lead { (lead(offer)) }
                    (listing(page, offer))
                    (price(page, offer, &view.batch))
                    (uncertain_remark(page, upload, &view.batch.uncertain))
                    (approval(page, upload, &view, offer))
                }
            }
        }
    }
}

/// Returns what the plan does; rows that wait since an earlier approval are named.
fn lead(offer: &PlanOffer) -> String {
    let PlanOffer { counts, estimate, .. } = offer;
    let waiting = estimate.videos.saturating_sub(counts.new + counts.changed).min(counts.unchanged);
    match waiting {
        0 => offer.summary(),
        _ => format!("{} ({waiting} of the unchanged not rendered yet)", offer.summary()),
    }
}

fn listing(page: &PageRequest, offer: &PlanOffer) -> Markup {
    let listing = &offer.listing;
    let again = match page.is_rehearsal() {
        true => "rehearsed before, rehearsed again",
        false => "paid before, rendered again",
    };
    html! {
        ul .plain {
            @for change in listing.changed.iter().take(ROWS_MAX) {
                li {
                    b { (change.key) } " changed"
                    @if change.columns.is_empty() {
                        @if change.template_changed { ": the template" } @else { ": the settings" }
                    } @else {
                        ": "
                        @for (index, column) in change.columns.iter().enumerate() {
                            @if index > 0 { "; " }
                            (column)
                            @if let Some(cells) = change.cells_of(column) {
                                " “" (short(&cells.before)) "” → “" (short(&cells.after)) "”"
                            }
                        }
                        @if change.template_changed { "; the template" }
                    }
                    " "
                    @if change.is_paid_again { span .chip.attention { (again) } }
                }
            }
            @for row in listing.removed.iter().take(ROWS_MAX) {
                li { b { (row.key) } " is no longer in the sheet"
                    @if row.is_paid { "; its video is kept" } }
            }
            @for row in listing.skipped.iter().take(ROWS_MAX) {
                li .muted { @if let Some(key) = &row.key { b { (key) } " " } "left out: " (with_code(&row.reason)) }
            }
        }
    }
}

fn price(page: &PageRequest, offer: &PlanOffer, work: &BatchWork) -> Markup {
    let continued = work.count_continued();
    let estimate = &offer.estimate;
    let again = offer.review.paid_again;
    html! {
        p .price {
            @if estimate.videos == 0 { "Nothing new to render." }
            @else {
                @if page.is_rehearsal() {
                    b { (pluralize(estimate.videos, "video")) ", nothing is paid" }
                    " (would cost about " (format_credits(estimate.credits)) ")"
                } @else { b { (pluralize(estimate.videos, "video")) ", about " (format_credits(estimate.credits)) } }
                " · " (format_duration(estimate.speech_duration)) " of speech · "
                @if page.is_rehearsal() { "a real run takes " }
                (format_duration(estimate.duration_min)) " to " (format_duration(estimate.duration_max))
            }
            @if continued > 0 { " · " (pluralize(continued, "video")) " in progress, already submitted" }
            @if again > 0 { " · " (pluralize(again, "video")) " of them " @if page.is_rehearsal() { "rehearsed" } @else { "paid for" } " before" }
        }
        @for message in &offer.review_messages { p .remark { (with_code(message)) } }
    }
}

/// Names the videos that an approval does not continue.
fn uncertain_remark(page: &PageRequest, batch: &ConsoleBatch, rows: &UncertainRows) -> Markup {
    html! {
        @if rows.count > 0 {
            p .remark {
                (pluralize(rows.count, "uncertain video"))
                @if rows.count == 1 { " waits for your decision: " } @else { " wait for your decision: " }
                (rows.named(page, batch.name()))
                ". A run only checks " @if rows.count == 1 { "it" } @else { "them" }
                " again, free of charge, until it is known whether the request was accepted."
            }
        }
    }
}

fn approval(
    page: &PageRequest,
    upload: &ConsoleBatch,
    view: &PlanView<'_>,
    offer: &PlanOffer,
) -> Markup {
    if view.progress.is_waiting() {
        return started::waiting(page, upload, view.progress);
    }
    let has_work = offer.estimate.videos > 0 || view.batch.has_open();
    html! {
        @if let StartProgress::Ended { outcome, message } = view.progress {
            p .stop { "The last approval rendered nothing: " (outcome.as_str()) ", " (with_code(message)) "." }
        }
        @if view.batch.is_paused {
            p .remark { "This batch is paused: nothing would be submitted." }
            p .actions { a .button.primary href=(page.links().action(upload.name(), "unpause")) { "Continue the batch…" } }
        } @else if offer.is_clean && has_work {
            (approval_form(page, upload, view, offer))
        } @else if !offer.is_clean { p .muted { "Fix the problems above before anything is rendered." } }
    }
}

fn approval_form(
    page: &PageRequest,
    upload: &ConsoleBatch,
    view: &PlanView<'_>,
    offer: &PlanOffer,
) -> Markup {
    let links = page.links();
    html! {
        form .approve method="post" action=(links.to(&format!("/new/{}/start", upload.name()))) {
            input type="hidden" name="hash" value=(offer.hash);
            input type="hidden" name="shown" value=(offer.summary());
            @if offer.review.confirmation.is_some() {
                label .check {
                    input type="checkbox" name="accept" value="yes" required;
                    @if page.is_rehearsal() { " Rehearse these videos again; in a real run they would be paid for again" }
                    @else { " Render these videos again, and pay for them again" }
                }
            }
            @if upload.live_process().is_some() {
                p .remark { "A run of this batch is live. What you approve begins when it has ended: "
                    a href=(links.batch(upload.name())) { "watch it" } "." }
            }
            details {
                summary { "Later, or with a reason" }
                div .stacked {
                    label { "Begin at (" (zone_name(page.state.now())) ")" input type="datetime-local" name="at"; }
                    label { "Reason, for the audit trail" input name="because" maxlength="500" autocomplete="off"; }
                }
            }
            button .primary type="submit" { (approval_label(page, view, offer)) }
        }
    }
}

fn approval_label(page: &PageRequest, view: &PlanView<'_>, offer: &PlanOffer) -> String {
    let videos = pluralize(offer.estimate.videos, "video");
    match (offer.estimate.videos, page.is_rehearsal()) {
        (0, _) => match view.batch.count_continued() {
            0 => {
                let uncertain = pluralize(view.batch.uncertain.count, "uncertain video");
                format!("Approve and check {uncertain} again: nothing more is paid")
            }
            continued => {
                let continued = pluralize(continued, "video");
                format!("Approve and continue {continued}: nothing more is paid")
            }
        },
        (_, true) => format!("Approve and rehearse {videos}: nothing is paid"),
        (_, false) => {
            let credits = format_credits(offer.estimate.credits);
            format!("Approve and render {videos} for about {credits}")
        }
    }
}

/// Returns the beginning of a cell.
fn short(cell: &str) -> String {
    truncate(cell, CELL_CHARS_MAX)
}

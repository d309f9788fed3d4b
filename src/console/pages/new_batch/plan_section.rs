//! What would be rendered, its price, and the approval.

use maud::{Markup, html};

use super::started;
use crate::console::page_request::PageRequest;
use crate::session::upload::{PlanOffer, StartProgress, UploadPlan, UploadedBatch};
use crate::text::{format_credits, format_duration, pluralize};

/// Rows of each kind that are listed.
const ROWS_MAX: usize = 10;

/// The plan, and what became of its approval.
pub(super) struct PlanView<'v> {
    pub(super) plan: &'v UploadPlan,
    pub(super) progress: &'v StartProgress,
}

pub(super) fn section(page: &PageRequest, upload: &UploadedBatch, view: PlanView<'_>) -> Markup {
    html! {
        section #plan .card.plan {
            h2 { "Plan" }
            @match &view.plan.offer {
                None => p { "Fix the problems above; then the plan and its price are shown here." },
                Some(offer) => {
                    p .lead { (offer.summary()) }
                    (listing(offer))
                    (price(offer))
                    (approval(page, upload, &view, offer))
                }
            }
        }
    }
}

fn listing(offer: &PlanOffer) -> Markup {
    let listing = &offer.listing;
    html! {
        ul .plain {
            @for change in listing.changed.iter().take(ROWS_MAX) {
                li {
                    b { (change.key) } " changed: " (change.columns.join(", "))
                    @if change.template_changed { " (the template)" }
                    @if change.is_paid_again { span .chip.attention { "paid before, rendered again" } }
                }
            }
            @for row in listing.removed.iter().take(ROWS_MAX) {
                li { b { (row.key) } " is no longer in the sheet"
                    @if row.is_paid { "; its video is kept" } }
            }
            @for row in listing.skipped.iter().take(ROWS_MAX) {
                li .muted { @if let Some(key) = &row.key { b { (key) } " " } "left out: " (row.reason) }
            }
        }
    }
}

fn price(offer: &PlanOffer) -> Markup {
    let estimate = &offer.estimate;
    let again = offer.review.paid_again;
    html! {
        p .price {
            @if estimate.videos == 0 { "Nothing new to render." }
            @else {
                b { (pluralize(estimate.videos, "video")) ", about " (format_credits(estimate.credits)) }
                " · " (format_duration(estimate.speech_duration)) " of speech · "
                (format_duration(estimate.duration_min)) " to " (format_duration(estimate.duration_max))
            }
            @if again > 0 { " · " (pluralize(again, "video")) " of them paid for before" }
        }
        @for message in &offer.review_messages { p .remark { (message) } }
    }
}

fn approval(
    page: &PageRequest,
    upload: &UploadedBatch,
    view: &PlanView<'_>,
    offer: &PlanOffer,
) -> Markup {
    if view.progress.is_waiting() {
        return started::waiting(page, upload, view.progress);
    }
    let can_start = offer.is_clean && offer.estimate.videos > 0;
    html! {
        @if let StartProgress::Ended { outcome, message } = view.progress {
            p .stop { "The last approval rendered nothing: " (outcome.as_str()) ", " (message) "." }
        }
        @if can_start {
            (approval_form(page, upload, offer))
        } @else if !offer.is_clean { p .muted { "Fix the problems above before anything is rendered." } }
    }
}

fn approval_form(page: &PageRequest, upload: &UploadedBatch, offer: &PlanOffer) -> Markup {
    let links = page.links();
    html! {
        form .approve method="post" action=(links.to(&format!("/new/{}/start", upload.name()))) {
            input type="hidden" name="hash" value=(offer.hash);
            input type="hidden" name="shown" value=(offer.summary());
            @if offer.review.confirmation.is_some() {
                label .check {
                    input type="checkbox" name="accept" value="yes" required;
                    " Render these videos again, and pay for them again"
                }
            }
            @if upload.live_process().is_some() {
                p .remark { "A run of this batch is live. What you approve begins when it has ended: "
                    a href=(links.batch(upload.name())) { "watch it" } "." }
            }
            details {
                summary { "Later, or with a reason" }
                div .stacked {
                    label { "Begin at" input type="datetime-local" name="at"; }
                    label { "Reason, for the audit trail" input name="because" maxlength="500" autocomplete="off"; }
                }
            }
            button .primary type="submit" {
                @if page.state.settings.ledger_options.is_rehearsal {
                    "Approve and rehearse " (pluralize(offer.estimate.videos, "video"))
                    ": nothing is paid"
                } @else {
                    "Approve and render " (pluralize(offer.estimate.videos, "video"))
                    " for about " (format_credits(offer.estimate.credits))
                }
            }
        }
    }
}

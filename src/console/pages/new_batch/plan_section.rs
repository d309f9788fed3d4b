//! What would be rendered, its price, and the approval.

use maud::{Markup, html};

use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::time;
use crate::session::upload::{PlanOffer, StartedProcess, UploadPlan, UploadedBatch};
use crate::text::{format_credits, format_duration, pluralize};

/// Rows of each kind that are listed.
const ROWS_MAX: usize = 10;

pub(super) fn section(page: &PageRequest, upload: &UploadedBatch, plan: &UploadPlan) -> Markup {
    html! {
        section #plan .card.plan {
            h2 { "Plan" }
            @match &plan.offer {
                None => p { "Fix the problems above; then the plan and its price are shown here." },
                Some(offer) => {
                    p .lead { (offer.summary()) }
                    (listing(offer))
                    (price(offer))
                    (approval(page, upload, offer))
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

/// Shows the run that was approved and has not ended.
fn live_run(page: &PageRequest, upload: &UploadedBatch, live: &StartedProcess) -> Markup {
    let links = page.links();
    let now = page.state.now();
    html! {
        @match live.not_before.filter(|at| *at > now) {
            Some(at) => form .approve method="post"
                action=(links.to(&format!("/new/{}/withdraw", upload.name()))) {
                p { "Approved. The run begins " (time(at.as_millisecond()))
                    ", if the plan is still the one that was approved." }
                button type="submit" { "Withdraw the approval" }
            },
            None => p { "A run of this batch is live: "
                a href=(links.batch(upload.name())) { "watch it" } "." },
        }
    }
}

fn approval(page: &PageRequest, upload: &UploadedBatch, offer: &PlanOffer) -> Markup {
    if let Some(live) = upload.live_process() {
        return live_run(page, upload, &live);
    }
    let can_start = offer.is_clean && offer.estimate.videos > 0;
    let action = page.links().to(&format!("/new/{}/start", upload.name()));
    html! {
        @if can_start {
            form .approve method="post" action=(action) {
                input type="hidden" name="hash" value=(offer.hash);
                input type="hidden" name="shown" value=(offer.summary());
                @if offer.review.confirmation.is_some() {
                    label .check {
                        input type="checkbox" name="accept" value="yes" required;
                        " Render these videos again, and pay for them again"
                    }
                }
                label .check {
                    "Begin (leave empty for now) "
                    input type="datetime-local" name="at" aria-label="Begin";
                }
                button .primary type="submit" {
                    "Approve and render " (pluralize(offer.estimate.videos, "video"))
                    " for about " (format_credits(offer.estimate.credits))
                }
            }
        } @else if !offer.is_clean { p .muted { "Fix the problems above before anything is rendered." } }
    }
}

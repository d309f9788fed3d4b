//! The videos of a review page as a grid.

use maud::{Markup, html};

use crate::console::pages::page_parts::video_length;
use crate::console::pages::review::review_view::{ReviewView, verdict_chip};
use crate::ledger::ReviewItem;
use crate::text::pluralize;

/// Videos in the grid; each loads its first picture.
const VIDEOS_MAX: usize = 60;

pub(super) fn grid(view: &ReviewView) -> Markup {
    let shown: Vec<&ReviewItem> = view.visible_items().collect();
    let waiting = shown.iter().find(|item| item.verdict.is_none());
    let Some(first) = waiting.or(shown.first()) else { return empty(view) };
    let hidden = shown.len().saturating_sub(VIDEOS_MAX) as u64;
    html! {
        p .row .review-start {
            a .button .primary href=(view.address_of(view.filter.show, Some(&first.key))) {
                @if view.subject.is_judge { "Review one by one" } @else { "Watch one by one" }
            }
        }
        ul .review-grid {
            @for item in shown.iter().take(VIDEOS_MAX) { li { (card(view, item)) } }
        }
        @if hidden > 0 {
            p .muted { "And " (pluralize(hidden, "more video")) ", which are shown one by one." }
        }
    }
}

fn card(view: &ReviewView, item: &ReviewItem) -> Markup {
    let address = view.address_of(view.filter.show, Some(&item.key));
    html! {
        a .review-card href=(address) {
            // The fragment makes browsers show the first picture.
            video src={ ((view.subject.video)(item)) "#t=0.1" } preload="metadata" muted playsinline
                tabindex="-1" aria-hidden="true" {}
            span .row {
                b .key { (item.key) }
                span .muted { (video_length(item.video_ms)) }
            }
            (verdict_chip(item))
            @if let Some(reason) = item.verdict.as_ref().and_then(|verdict| verdict.reason.as_deref()) {
                q .muted { (reason) }
            }
        }
    }
}

fn empty(view: &ReviewView) -> Markup {
    html! {
        div .empty {
            @if view.visible_items().next().is_none() && view.counts == Default::default() {
                h2 { "No finished videos yet" }
                p { "Videos appear here as soon as they are downloaded." }
            } @else {
                h2 { "No videos with this verdict" }
            }
        }
    }
}

//! A page of the videos as a grid.

use maud::{Markup, html};

use crate::console::pages::page_parts::video_length;
use crate::console::pages::review::review_view::{GridPage, ReviewView, verdict_chip};
use crate::ledger::ReviewItem;

pub(super) fn grid(view: &ReviewView, page: &GridPage) -> Markup {
    let Some(first) = &page.first else { return empty(view) };
    let (earlier, later) = view.neighbour_addresses();
    html! {
        p .row .review-start {
            @let is_open = view.subject.is_judge && view.counts.waiting > 0;
            a .button .primary[is_open] href=(view.address_of(view.filter.show, Some(&first.key))) {
                @if is_open { "Review one by one" } @else { "Watch one by one" }
            }
            @if view.counts.waiting == 0 { span .muted { "All videos are reviewed." } }
        }
        ul .review-grid { @for item in &page.items { li { (card(view, item)) } } }
        nav .pager aria-label="Pages" {
            @if let Some(address) = earlier { a rel="prev" href=(address) { "← Earlier" } }
            span .spacer {}
            @if let Some(address) = later { a rel="next" href=(address) { "Later →" } }
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
            @if let Some(title) = view.title_of(item) { span .name { (title) } }
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
            @if view.counts == Default::default() {
                h2 { "No finished videos yet" }
                p { "Videos appear here as soon as they are downloaded." }
            } @else {
                h2 { "No videos with this verdict" }
            }
        }
    }
}

//! One video of a review page with its cells and the forms of a verdict.
//!
//! Works without a script: the keys J, K, A, R and U press the same links and buttons, the space bar
//! plays, and Ctrl+Enter asks for the changes that were written.

use maud::{Markup, html};

use crate::console::pages::page_parts::{placeholder_notice, time, video_length};
use crate::console::pages::review::review_items::filter_word;
use crate::console::pages::review::review_view::{
    PlayerPage, ReviewSubject, ReviewView, verdict_chip,
};
use crate::ledger::{ReviewItem, ReviewVerdict};
use crate::session::review::verdicts::{REASON_CHARS_MAX, REVIEWER_CHARS_MAX};

pub(super) fn player(view: &ReviewView, page: &PlayerPage) -> Markup {
    let PlayerPage { item, next, .. } = page;
    html! {
        div .review-player {
            figure .card {
                video id="player" aria-label={ "Video of " (item.key) } src=((view.subject.video)(item)) controls playsinline preload="auto" {}
                figcaption .row {
                    b .key { (item.key) }
                    @if let Some(title) = view.title_of(item) { span { (title) } }
                    (verdict_chip(item))
                    span .muted { "row " (item.row_number) ", " (video_length(item.video_ms)) ", version " (item.version) }
                }
                (placeholder_notice(view.subject.is_rehearsal))
            }
            div .review-side {
                (navigation(view, page))
                (given_verdict(item))
                @if view.subject.can_judge(item) { (forms(view, item)) }
                @else if view.subject.is_judge { p .remark { "The team has decided about this video." } }
                (spoken_text(&page.spoken))
                (cells(view, page))
                @if view.subject.is_judge { (key_hints()) }
            }
        }
        @if let Some(next) = next {
            video src=((view.subject.video)(next)) preload="auto" muted hidden aria-hidden="true" {}
        }
    }
}

/// Returns what is spoken, scene by scene.
fn spoken_text(spoken: &[String]) -> Markup {
    let filled = || spoken.iter().enumerate().filter(|(_, text)| !text.trim().is_empty());
    html! {
        @if filled().next().is_some() {
            section .spoken aria-labelledby="h-spoken" {
                h2 id="h-spoken" { "Spoken text" }
                @for (index, text) in filled() {
                    @if spoken.len() > 1 { h3 { "Scene " (index + 1) } }
                    p { (text) }
                }
            }
        }
    }
}

/// Returns the cells of the row: folded where the merged text is shown.
fn cells(view: &ReviewView, page: &PlayerPage) -> Markup {
    let has_text = page.spoken.iter().any(|text| !text.trim().is_empty());
    html! {
        details open[!has_text] {
            summary { "Cells of row " (page.item.row_number) }
            dl .cells {
                @for (heading, cell) in view.cells(&page.item) { dt { (heading) } dd { (cell) } }
            }
        }
    }
}

fn navigation(view: &ReviewView, page: &PlayerPage) -> Markup {
    let show = view.filter.show;
    html! {
        nav .row .review-nav aria-label="Videos" {
            @if let Some(item) = &page.before {
                a .button rel="prev" data-key="k" href=(view.address_of(show, Some(&item.key))) { "← Previous" }
            }
            @if let Some(item) = &page.next {
                a .button rel="next" data-key="j" href=(view.address_of(show, Some(&item.key))) { "Next →" }
            }
            a .muted href=(view.address_of(show, None)) { "All videos" }
        }
    }
}

fn given_verdict(item: &ReviewItem) -> Markup {
    let Some(verdict) = &item.verdict else { return html! {} };
    html! {
        p .muted { (ReviewVerdict::attribution(verdict)) ", " (time(verdict.at)) }
        @if let Some(reason) = &verdict.reason { p .quoted { (reason) } }
    }
}

fn forms(view: &ReviewView, item: &ReviewItem) -> Markup {
    // Once the name is known, nothing but the reason can be missing, and an approval needs none.
    let is_named = view.subject.guest.as_ref().is_none_or(|guest| !guest.name.is_empty());
    let given = item.verdict.as_ref();
    html! {
        form .stacked .verdict method="post" action=(view.subject.address) {
            p { "Your verdict on " b .key { (item.key) } ":" }
            (hidden_fields(view, item))
            (reviewer_field(&view.subject))
            button .primary type="submit" name="verdict" value="approved" data-key="a" formnovalidate[is_named]
                aria-label={ "Approve " (item.key) } { "Approve" }
            // The script shows it instead of a verdict on a video that was not seen yet.
            p .remark role="status" data-guard-hint hidden { "Not counted: " (item.key) " has only just appeared." }
            label { "What is wrong?"
                textarea name="reason" rows="2" required[is_named] maxlength=(REASON_CHARS_MAX) data-key="r" {}
            }
            div .row {
                button type="submit" name="verdict" value="changes" data-sends aria-label={ "Ask for changes of " (item.key) } { "Ask for changes" }
                button .danger type="submit" name="verdict" value="rejected" aria-label={ "Reject " (item.key) } { "Reject" }
            }
        }
        @if given.is_some_and(|verdict| view.subject.can_withdraw(verdict)) {
            form method="post" action=(view.subject.address) {
                (hidden_fields(view, item))
                (reviewer_field(&view.subject))
                button .quiet type="submit" name="verdict" value="withdrawn" { "Take the verdict back" }
            }
        }
    }
}

/// Returns the name of a reviewer without an account: a field until it is known.
pub(super) fn reviewer_field(subject: &ReviewSubject) -> Markup {
    html! {
        @match subject.guest.as_ref().map(|guest| guest.name.as_str()) {
            None => {}
            Some("") => {
                label { "Your name"
                    input name="name" required autocomplete="name" maxlength=(REVIEWER_CHARS_MAX);
                }
            }
            Some(name) => { input type="hidden" name="name" value=(name); }
        }
    }
}

/// Returns the fields that bind a verdict to what the reviewer saw.
pub(super) fn hidden_fields(view: &ReviewView, item: &ReviewItem) -> Markup {
    html! {
        input type="hidden" name="key" value=(item.key);
        input type="hidden" name="version" value=(item.version);
        input type="hidden" name="digest" value=(item.video_hash);
        input type="hidden" name="show" value=(filter_word(view.filter.show));
    }
}

fn key_hints() -> Markup {
    html! {
        p .keys .muted hidden {
            kbd { "J" } " next, " kbd { "K" } " before, " kbd { "A" } " approve, " kbd { "R" } " reason, " kbd { "U" } " undo, " kbd { "Space" } " play, " kbd { "Ctrl+Enter" } " send the reason "
            button .quiet type="button" data-toggle-keys { "Switch off" }
        }
    }
}

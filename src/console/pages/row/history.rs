//! The history of one video: its events and its submissions.

use maud::{Markup, html};

use crate::console::pages::page_parts::time;
use crate::ledger::{AuditEntry, EventRow, JobHistory, SubmissionRow};
use crate::session::job_event_text::describe_history;
use crate::session::reports::job_json::JobTrail;
use crate::text::format_credits;

/// Events shown; a render that was polled for days has more, and JSON has all.
const EVENTS_MAX: usize = 200;

pub(super) fn section(history: &JobHistory, base_url: &str) -> Markup {
    let events = &history.events;
    html! {
        section .card aria-labelledby="h-history" {
            h2 id="h-history" { "History" }
            @if events.is_empty() { p .muted { "Planned; nothing has happened yet." } }
            ol .timeline { @for (event, text) in describe_history(events, base_url).into_iter().rev().take(EVENTS_MAX) { (event_item(event, text)) } }
            @if events.len() > EVENTS_MAX {
                p .muted { "The latest " (EVENTS_MAX) " of " (events.len()) " events." }
            }
        }
    }
}

fn event_item(event: &EventRow, text: &str) -> Markup {
    html! {
        li {
            i class={ "dot s-" (event.state) } {}
            div {
                strong { (text) }
                @if let Some(detail) = &event.detail { p .quoted { (detail) } }
                p .muted {
                    (time(event.at)) " · version " (event.version)
                    @if let Some(run) = event.run_id { " · run " (run) }
                }
            }
        }
    }
}

/// Returns what operators and reviewers did about the video, latest first.
pub(super) fn trail(trail: &JobTrail<'_>) -> Markup {
    html! {
        @if !trail.entries.is_empty() {
            section .card aria-labelledby="h-trail" {
                h2 id="h-trail" { "Verdicts and edits" }
                ul .runs { @for entry in trail.entries.iter().rev() { (trail_item(entry)) } }
            }
        }
    }
}

fn trail_item(entry: &AuditEntry) -> Markup {
    html! {
        li {
            div .row {
                strong { (entry.subject) }
                span .spacer {}
                span .muted { (time(entry.at)) }
            }
            p .muted {
                (entry.requester)
                @if let Some(reason) = &entry.reason { ": " q { (reason) } }
            }
        }
    }
}

pub(super) fn submissions(history: &JobHistory, is_rehearsal: bool) -> Markup {
    html! {
        @if !history.submissions.is_empty() {
            section .card aria-labelledby="h-submissions" {
                h2 id="h-submissions" { "Submissions" }
                ul .runs { @for submission in history.submissions.iter().rev() { (submission_item(submission, is_rehearsal)) } }
            }
        }
    }
}

fn submission_item(submission: &SubmissionRow, is_rehearsal: bool) -> Markup {
    html! {
        li {
            div .row {
                span .figure { "#" (submission.attempt) }
                strong { (submission.outcome) }
                span .muted { (submission.way) ", version " (submission.version) ", run " (submission.run_id) }
                span .spacer {}
                @if let Some(credits) = submission.credits { span { @if is_rehearsal { "would cost " } (format_credits(credits)) } }
            }
            dl .facts {
                dt { "tag" } dd { code data-copy { "[cs:" (submission.tag) "]" } }
                @if let Some(id) = &submission.project_id { dt { "project" } dd { code data-copy { (id) } } }
                @if let Some(id) = &submission.render_id { dt { "rendered as" } dd { code data-copy { (id) } } }
                @if let Some(id) = &submission.subject { dt { "made from" } dd { code data-copy { (id) } } }
                dt { "begun" } dd { (time(submission.begun_at)) }
                @if let Some(at) = submission.paid_at { dt { @if is_rehearsal { "request" } @else { "paid request" } } dd { (time(at)) } }
                @if let Some(at) = submission.settled_at { dt { "outcome known" } dd { (time(at)) } }
                @if submission.looks > 0 { dt { "evidence checks" } dd { (submission.looks) } }
                @if let Some(at) = submission.called_at { dt { "callback" } dd { (time(at)) } }
            }
        }
    }
}

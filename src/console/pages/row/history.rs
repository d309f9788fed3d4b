//! The history of one video: its events and its submissions.

use maud::{Markup, html};

use crate::console::pages::page_parts::time;
use crate::ledger::{
    AuditEntry, EventRow, JobHistory, OperatorRequest, RequestedAction, SubmissionRow,
    UncertainDecision,
};
use crate::session::job_event_text::describe_history;
use crate::session::reports::job_json::JobTrail;
use crate::text::{format_credits, pluralize};

/// Events shown; a render that was polled for days has more, and JSON has all.
const EVENTS_MAX: usize = 200;

pub(super) fn section(history: &JobHistory, trail: &JobTrail<'_>, base_url: &str) -> Markup {
    let events = &history.events;
    html! {
        section .card aria-labelledby="h-history" {
            h2 id="h-history" { "History" }
            @if events.is_empty() { p .muted { "Planned; nothing has happened yet." } }
            ol .timeline { @for (event, text) in describe_history(events, base_url).into_iter().rev().take(EVENTS_MAX) { (event_item(event, text, trail)) } }
            @if events.len() > EVENTS_MAX {
                p .muted { "The latest " (EVENTS_MAX) " of " (events.len()) " events." }
            }
        }
    }
}

fn event_item(event: &EventRow, text: &str, trail: &JobTrail<'_>) -> Markup {
    let stated = OperatorStatement::find(event, trail.requests);
    html! {
        li {
            i class={ "dot s-" (event.state) } {}
            div {
                @if let Some(stated) = &stated {
                    strong { (stated.operator()) ": " (stated.text) }
                    @if let Some(reason) = &stated.request.reason { p .quoted { (reason) } }
                } @else {
                    strong { (text) }
                    @if let Some(detail) = &event.detail { p .quoted { (detail) } }
                }
                p .muted {
                    (time(event.at)) " · version " (event.version)
                    @if let Some(run) = event.run_id { " · run " (run) }
                }
            }
        }
    }
}

/// What an operator stated about an uncertain video. AI Studios did not show it.
struct OperatorStatement<'s> {
    request: &'s OperatorRequest,
    text: String,
}

impl<'s> OperatorStatement<'s> {
    /// Returns the statement that led to an event.
    fn find(event: &EventRow, requests: &'s [OperatorRequest]) -> Option<Self> {
        let detail = event.detail.as_deref()?;
        requests.iter().find_map(|request| {
            let Some(RequestedAction::Resolve(resolution)) = request.requested_action() else {
                return None;
            };
            if resolution.message != detail {
                return None;
            }
            let text = match resolution.decision {
                UncertainDecision::Accepted { .. } => return None,
                UncertainDecision::Adopt { project_id } => format!("it is project {project_id}"),
                UncertainDecision::NotSubmitted => "not accepted; submitted again".to_owned(),
                UncertainDecision::Abandon => "given up; it may have been accepted".to_owned(),
            };
            Some(Self { request, text })
        })
    }

    /// Returns who stated it: a user of the console, or `USER@HOST` of the command line.
    fn operator(&self) -> String {
        let requester = &self.request.requester;
        format!(
            "Operator {}",
            requester.split_once(':').map_or(requester.as_str(), |(_, name)| name)
        )
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
                dt { "prepared" } dd { (time(submission.begun_at)) }
                @if let Some(at) = submission.paid_at { dt { "sent" } dd { (time(at)) @if is_rehearsal { " (rehearsal, free)" } @else { " (paid request)" } } }
                @if let Some(at) = submission.settled_at { dt { "ended" } dd { (time(at)) } }
                @if submission.looks > 0 { dt { "checked" } dd { (pluralize(submission.looks.unsigned_abs(), "time")) ", whether it was accepted" } }
                @if let Some(at) = submission.called_at { dt { "callback" } dd { (time(at)) } }
            }
        }
    }
}

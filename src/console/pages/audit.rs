//! `/audit`: what operators and reviewers did, latest first: requests to runs, approvals, edits,
//! verdicts, share links, users.

use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::json;

use crate::console::layout::ConsolePage;
use crate::console::page_error::PageResult;
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::{number, time, with_code};
use crate::console::pages::request::outcome_chip;
use crate::ledger::{AuditAction, AuditEntry, OperatorRequest};
use crate::session::reports::audit_json::audit_json;
use crate::session::reports::request_json::request_json;
use crate::text::{format_credits, truncate};

/// Entries on the page.
const ENTRIES_MAX: u32 = 200;
/// Characters of a reason and of a subject.
const TEXT_CHARS_MAX: usize = 200;

/// A line of the page.
enum AuditLine<'l> {
    Request(&'l OperatorRequest),
    Entry(&'l AuditEntry),
}

impl AuditLine<'_> {
    fn at(&self) -> Timestamp {
        match self {
            Self::Request(request) => request.requested_at,
            Self::Entry(entry) => entry.at,
        }
    }
}

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let ledger = &page.state.ledger;
    let batch = match page.query.get("batch") {
        Some(name) => Some(ledger.batch(name).await?),
        None => None,
    };
    let id = batch.as_ref().map(|batch| batch.id);
    let requests = ledger.operator_requests(id, ENTRIES_MAX, page.state.now()).await?;
    let entries = ledger.audit_entries(batch.as_ref(), ENTRIES_MAX).await?;
    let document = json!({
        "requests": requests.iter().map(request_json).collect::<Vec<_>>(),
        "audit": entries.iter().map(audit_json).collect::<Vec<_>>(),
    });
    let mut lines: Vec<AuditLine<'_>> = requests.iter().map(AuditLine::Request).collect();
    lines.extend(entries.iter().map(AuditLine::Entry));
    lines.sort_by_key(|line| std::cmp::Reverse(line.at()));
    lines.truncate(ENTRIES_MAX as usize);
    let main = html! {
        div .title { h1 { "Audit" } }
        p .muted { "Who did what, here and on the command line, and what came of it: actions, approvals, \
            edits, verdicts, share links, users." }
        div id="requests" data-live { (audit_table(&page, &lines)) }
    };
    let content = ConsolePage { title: "Audit".to_owned(), section: "Audit", is_live: true, main };
    page.render(content, document)
}

fn audit_table(page: &PageRequest, lines: &[AuditLine<'_>]) -> Markup {
    if lines.is_empty() {
        return html! { div .empty { h2 { "Nothing yet" } p { "Approvals, retries, verdicts and the like appear here." } } };
    }
    html! {
        section id="rows" {
            div .scroll {
                table .rows.audit {
                    thead { tr {
                        th scope="col" { "When" } th scope="col" { "Action" } th scope="col" { "Outcome" }
                        th scope="col" { "Requester" } th scope="col" { "Reason" } th scope="col" { "What" }
                    } }
                    tbody { @for line in lines { (audit_row(page, line)) } }
                }
            }
        }
    }
}

fn audit_row(page: &PageRequest, line: &AuditLine<'_>) -> Markup {
    html! {
        tr {
            td .figure { (time(line.at())) }
            @match line {
                AuditLine::Request(request) => (request_cells(page, request)),
                AuditLine::Entry(entry) => (entry_cells(page, entry)),
            }
        }
    }
}

fn request_cells(page: &PageRequest, request: &OperatorRequest) -> Markup {
    let links = page.links();
    html! {
        td {
            a href=(links.request(&request.batch, request.id)) { (request.action.as_str()) }
            " " span .muted { (request.batch) }
            @if request.job_count > 0 { " " span .muted { "· " (number(request.job_count)) } }
        }
        td { (outcome_chip(request.outcome)) }
        td .cells { (request.requester) }
        td .cells { (reason(request.reason.as_deref())) }
        td .message { (with_code(request.message.as_deref().unwrap_or_default())) }
    }
}

fn entry_cells(page: &PageRequest, entry: &AuditEntry) -> Markup {
    html! {
        td {
            (action_text(entry.action)) " "
            @if let Some(batch) = &entry.batch { span .muted { (batch) } " " }
            @if let Some(key) = &entry.key { span .muted.nowrap { "· " (key) } }
        }
        td { (outcome_chip(entry.outcome)) }
        td .cells { (entry.requester) }
        td .cells { (reason(entry.reason.as_deref())) }
        td .message {
            (with_code(&truncate(&entry.subject, TEXT_CHARS_MAX)))
            @if let Some(credits) = entry.credits.filter(|credits| *credits > 0.0) {
                @if page.is_rehearsal() { ", would cost about " } @else { ", about " }
                (format_credits(credits))
            }
            @if let Some(message) = &entry.message { " · " (with_code(message)) }
            @if let (Some(batch), Some(run)) = (&entry.batch, entry.run_id) {
                " · " a href=(page.links().batch(batch)) { "run #" (run) }
            }
        }
    }
}

fn reason(reason: Option<&str>) -> String {
    reason.map(|reason| truncate(reason, TEXT_CHARS_MAX)).unwrap_or_default()
}

/// Returns an action as the page names it.
fn action_text(action: AuditAction) -> &'static str {
    match action {
        AuditAction::CreateBatch => "new batch",
        AuditAction::ReplaceSheet => "spreadsheet replaced",
        AuditAction::SetColumns => "columns",
        AuditAction::Edit => "cells",
        AuditAction::ApprovePlan => "approval",
        AuditAction::Start => "start",
        AuditAction::Withdraw => "withdrawal",
        AuditAction::CreateShareLink => "share link",
        AuditAction::RevokeShareLink => "share link revoked",
        AuditAction::AddUser => "user added",
        AuditAction::RemoveUser => "user removed",
        AuditAction::SetPassword => "password",
        AuditAction::Verdict => "verdict",
    }
}

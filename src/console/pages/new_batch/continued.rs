//! The plan of a batch that was begun on the command line, and its approval: its spreadsheet stays where it
//! is, and is edited there.

use maud::{Markup, html};

use super::plan_json;
use super::plan_section::{self, BatchWork, PlanView};
use crate::console::layout::ConsolePage;
use crate::console::page_error::PageResult;
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::with_code;
use crate::session::upload::{ConsoleBatch, UploadFinding};

/// Findings of each kind that are listed.
const FINDINGS_MAX: usize = 20;

pub(super) async fn show(page: &PageRequest, batch: &ConsoleBatch) -> PageResult {
    let ledger = &page.state.ledger;
    let plan = batch.plan(ledger).await?;
    let progress = batch.start_progress(ledger, page.state.now()).await?;
    let work = BatchWork::read(page, batch.name()).await?;
    let links = page.links();
    let view = PlanView { plan: &plan, progress: &progress, batch: work };
    let main = html! {
        nav .trail aria-label="Breadcrumb" {
            a href=(links.to("/")) { "Batches" } " / "
            a href=(links.batch(batch.name())) { (batch.name()) }
        }
        div .title { h1 { "Continue " (batch.name()) } }
        p .muted {
            "Its spreadsheet is read again, as " code { (batch.batch_file().display()) } " names it on this machine."
        }
        (findings("Problems", "problem", &plan.problems))
        (findings("Warnings", "warning", &plan.warnings))
        (plan_section::section(page, batch, view))
    };
    let title = format!("Continue {}", batch.name());
    let document = plan_json(batch.name(), &plan);
    page.render(ConsolePage { title, section: "Batches", is_live: false, main }, document)
}

fn findings(title: &str, class: &str, findings: &[UploadFinding]) -> Markup {
    html! {
        @if !findings.is_empty() {
            section .card {
                h2 { (title) }
                ul class={ "findings " (class) } {
                    @for finding in findings.iter().take(FINDINGS_MAX) {
                        li {
                            @if let Some(row) = finding.rows.first() { b { "Row " (row) } ": " }
                            (with_code(&finding.message))
                            @if let Some(help) = &finding.help { " " span .muted { (with_code(help)) } }
                        }
                    }
                    @if findings.len() > FINDINGS_MAX { li { "… and " (findings.len() - FINDINGS_MAX) " more." } }
                }
            }
        }
    }
}

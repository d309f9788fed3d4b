//! "Money": what was spent by the batch and today, beside the caps of the batch file.

use std::path::Path;

use maud::{Markup, html};

use crate::batch;
use crate::batch::BatchLimits;
use crate::console::batch_spending::BatchSpending;
use crate::console::page_request::PageRequest;
use crate::console::pages::page_parts::number;
use crate::ledger::{SpendingTotals, StoredBatch};
use crate::text::format_credit_number;

pub(super) fn section(page: &PageRequest, stored: &StoredBatch, spending: BatchSpending) -> Markup {
    let is_rehearsal = page.is_rehearsal();
    // A batch file of an earlier version may no longer parse; its caps are unknown then.
    let parsed = batch::parse(Path::new(&stored.file), stored.source.clone());
    let limits = parsed.map(|batch| batch.limits).unwrap_or_default();
    html! {
        section .card aria-labelledby="h-money" {
            h2 id="h-money" { "Money" }
            @if is_rehearsal { p .muted { "Nothing is paid in a rehearsal. This is what the videos would cost." } }
            @else if spending.batch.requests == 0 { p .muted { "Nothing was paid yet." } }
            @if spending.batch.requests > 0 { (spending_table(&spending, is_rehearsal)) }
            (caps(spending.today, &limits))
        }
    }
}

fn spending_table(spending: &BatchSpending, is_rehearsal: bool) -> Markup {
    html! {
        table .figures {
            thead { tr {
                th scope="col" {} th scope="col" { @if is_rehearsal { "rehearsed" } @else { "paid requests" } }
                th scope="col" { "estimated" } th scope="col" { "reported" }
            } }
            tbody {
                @if let Some(run) = spending.last_run { (spending_row(&format!("run {}", run.run), run.totals)) }
                (spending_row("batch", spending.batch))
            }
        }
    }
}

fn spending_row(name: &str, spending: SpendingTotals) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            td { (number(spending.requests.unsigned_abs())) }
            td { (format_credit_number(spending.estimated)) }
            td {
                @if spending.heard_of > 0 {
                    (format_credit_number(spending.heard))
                    @if spending.heard_of < spending.requests {
                        span .muted { " of " (number(spending.heard_of.unsigned_abs())) }
                    }
                } @else { "–" }
            }
        }
    }
}

/// Returns the credits of today and the caps, each with what is left of it.
fn caps(today: f64, limits: &BatchLimits) -> Markup {
    html! {
        dl .facts {
            dt { "all batches, today (UTC)" }
            dd {
                (format_credit_number(today))
                @if let Some(cap) = limits.max_credits_per_day {
                    " of " (format_credit_number(cap)) " credits"
                    progress max=(cap) value=(today.min(cap)) {}
                } @else { " credits" span .muted { " · no daily cap" } }
            }
            @if let Some(cap) = limits.max_credits { dt { "cap per run" } dd { (format_credit_number(cap)) " credits" } }
            @if let Some(cap) = limits.max_videos { dt { "cap per run" } dd { (cap) " videos" } }
        }
    }
}

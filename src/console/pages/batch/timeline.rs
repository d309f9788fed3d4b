//! `/batches/NAME/timeline`: the plots of `report.html` for the last paying run.

use maud::{Markup, PreEscaped, html};
use serde_json::json;

use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::{PageFormat, PageRequest};
use crate::console::pages::batch::{BatchTab, batch_header};
use crate::console::pages::page_parts::number;
use crate::report::{ReportError, RunPlot};
use crate::session::reports::report_page::read_run_plots;

/// With more rows, the plots are drawn only on request.
const DRAWN_ROWS_MAX: u64 = 50_000;

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let rows: u64 = page.state.ledger.state_counts(batch.id).await?.into_values().sum();
    if rows > DRAWN_ROWS_MAX && page.query.get("draw").is_none() && page.format == PageFormat::Html
    {
        return ask_to_draw(&page, &batch.name, rows);
    }
    let plots = read_run_plots(&page.state.ledger, &batch, page.state.now()).await;
    let plots = plots.map_err(|error| match error {
        ReportError::Ledger(error) => PageError::from(error),
        ReportError::Io { .. } => PageError::Unavailable("the plots cannot be drawn".to_owned()),
    })?;
    let document = json!({
        "batch": batch.name,
        "plots": plots.iter().map(|plot| json!({ "title": plot.title, "caption": plot.caption }))
            .collect::<Vec<_>>(),
    });
    let main = html! {
        (batch_header(&page, &batch.name, BatchTab::Timeline))
        @if plots.is_empty() {
            div .empty { h2 { "No timeline yet" } p { "It shows the last run that " @if page.is_rehearsal() { "rehearsed" } @else { "paid for" } " a video." } }
        } @else {
            div .plots { @for plot in &plots { (plot_figure(plot)) } }
        }
    };
    let title = format!("{} timeline", batch.name);
    page.render(ConsolePage { title, section: "Batches", is_live: false, main }, document)
}

fn ask_to_draw(page: &PageRequest, batch: &str, rows: u64) -> PageResult {
    let main = html! {
        (batch_header(page, batch, BatchTab::Timeline))
        div .empty {
            h2 { (number(rows)) " rows" }
            p { "Drawing reads every row of the last run, which takes a while." }
            p { a href="?draw=yes" { "Draw the timeline" } }
        }
    };
    let title = format!("{batch} timeline");
    let content = ConsolePage { title, section: "Batches", is_live: false, main };
    page.render(content, json!({ "batch": batch }))
}

fn plot_figure(plot: &RunPlot) -> Markup {
    let label = format!("{}: {}", plot.title, plot.caption);
    html! {
        figure .card .wide[plot.is_wide] {
            figcaption { h2 { (plot.title) } p .muted { (plot.caption) } }
            @if !plot.legend.is_empty() {
                ul .legend aria-hidden="true" {
                    @for (class, name) in plot.legend { li { i class=(class) {} (name) } }
                }
            }
            // Our own drawing, in which keys are escaped.
            div .scroll tabindex="0" role="img" aria-label=(label) { (PreEscaped(&plot.svg)) }
        }
    }
}

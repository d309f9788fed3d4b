//! The page except its rows: everything that needs no script, and the table that the script fills.
//!
//! `maud` escapes every text. Invariant: only our own style sheet, script and drawings are inserted
//! unescaped.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::plots::{RunPlot, TIMELINE_LEGEND};
use super::timeline::RunTimeline;
use super::{PAGE_SCRIPT, PAGE_STYLE, ReportPage};
use crate::ledger::RowStatus;
use crate::report::run::{AttentionGroup, BatchRecord, SpendingRecord};
use crate::text::{format_credit_number, format_duration, pluralize};

/// Replaced by the rows.
pub(super) const ROWS_PLACEHOLDER: &str = "<!--rows-->";

/// Returns the whole page, with [`ROWS_PLACEHOLDER`] in it.
pub(super) fn page_markup(
    page: &ReportPage<'_>,
    timeline: &RunTimeline,
    plots: &[RunPlot],
    nonce: &str,
) -> Markup {
    let name = &page.batch.name;
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
         media-src 'self' file:; img-src 'self' file: data:; base-uri 'none'; form-action 'none'"
    );
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (name) " · Callsheet" }
                style nonce=(nonce) { (PreEscaped(PAGE_STYLE)) }
            }
            body {
                a .skip href="#rows" { "Skip to the list of all videos" }
                (page_header(page, timeline))
                main {
                    (counts_section(page))
                    (attention_section(page))
                    (videos_section())
                    (rows_section())
                    (plots_section(page, plots, timeline))
                }
                footer {
                    "Written by Callsheet " (env!("CARGO_PKG_VERSION")) " on "
                    (format_time(page, page.now)) ". Times are in " (time_zone_name(page))
                    ". Every row is also in results.csv."
                }
                script type="application/json" id="data" { (PreEscaped(ROWS_PLACEHOLDER)) }
                script nonce=(nonce) { (PreEscaped(PAGE_SCRIPT)) }
            }
        }
    }
}

fn page_header(page: &ReportPage<'_>, timeline: &RunTimeline) -> Markup {
    html! {
        header {
            p .eyebrow { "Callsheet" @if page.rehearsal { " · rehearsal" } }
            h1 { (page.batch.name) }
            (stop_paragraph(page))
            (progress_lead(page.status))
            @if let Some(run) = &timeline.run {
                p .muted {
                    @let (run_label, request) = match page.rehearsal {
                        true => ("Last run that rendered", "request"),
                        false => ("Last paying run", "paid request"),
                    };
                    (run_label) ": run " (run.id) ", " (format_time(page, timeline.started_at))
                    ", " (format_duration(timeline.duration())) ", "
                    (pluralize(run.submitted.unsigned_abs(), request))
                    @if let Some(ending) = &run.ending { ", " (ending.as_str()) }
                }
            }
            (next_paragraph(page))
        }
    }
}

/// Returns what an exit code means in a few words; `None` for one that is not ours. The documentation has
/// the whole meaning.
pub fn exit_code_meaning(exit: u8) -> Option<&'static str> {
    Some(match exit {
        0 => "all done",
        1 => "unexpected error",
        2 => "command line or settings",
        3 => "some videos failed",
        4 => "sheet, template or batch file",
        5 => "run it again later",
        6 => "some videos are uncertain",
        7 => "account or credits",
        8 => "a limit, a pause, or a confirmation",
        10 => "time window",
        11 => "another run has the batch",
        130 | 143 => "interrupted",
        _ => return None,
    })
}

/// Returns why the last run ended before everything was done.
fn stop_paragraph(page: &ReportPage<'_>) -> Markup {
    let stop = page.status.stop.as_ref().filter(|stop| stop.exit != Some(0));
    html! {
        @if let Some(stop) = stop {
            p .stop {
                strong {
                    @match stop.words.strip_prefix("stopped ") {
                        Some(rest) => { "Stopped " (rest) },
                        None => { "Stopped: " (stop.words) },
                    }
                }
                span .muted {
                    @if let Some(at) = stop.at { " · " (format_time(page, at)) }
                    @if let Some(exit) = stop.exit {
                        ", exit code " (exit)
                        @if let Some(meaning) = exit_code_meaning(exit) { " (" (meaning) ")" }
                    }
                }
            }
        }
    }
}

/// Says how many of the videos that are wanted exist; skipped rows are not wanted.
fn progress_lead(status: &BatchRecord) -> Markup {
    let jobs = |state| status.counts.get(state).copied().unwrap_or(0);
    let done = jobs("done") + jobs("reused");
    let wanted = status.rows.saturating_sub(jobs("skipped"));
    html! {
        @if done == wanted && done > 1 {
            p .lead.complete { "All " (done) " videos done" }
        } @else {
            p .lead { (done) " of " (pluralize(wanted, "video")) " done" }
        }
    }
}

/// Returns the next step, with what the user does before it.
fn next_paragraph(page: &ReportPage<'_>) -> Markup {
    let stop = page.status.stop.as_ref();
    let lead = stop.map(|stop| stop.advice).filter(|lead| !lead.is_empty()).unwrap_or("Next");
    html! {
        @if let Some(next) = &page.status.next { p .next { (lead) ": " code { (next) } } }
    }
}

fn counts_section(page: &ReportPage<'_>) -> Markup {
    let counts = page.status.counts.iter().filter(|(_, jobs)| **jobs > 0);
    html! {
        section aria-label="Counts" {
            div .tiles role="group" aria-label="Show videos by state" {
                button type="button" .tile data-state="" aria-pressed="true" {
                    span .number { (page.status.rows) } span .label { "all" }
                }
                @for (state, jobs) in counts {
                    button type="button" .tile data-state=(state) aria-pressed="false" {
                        span .number { (jobs) }
                        span .label { span class={ "dot " (state) } {} (RowStatus::label_of(state)) }
                    }
                }
            }
        }
    }
}

fn attention_section(page: &ReportPage<'_>) -> Markup {
    if page.status.failures.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="attention" {
            h2 id="attention" { "Needs attention" }
            @for group in &page.status.failures { (attention_article(group)) }
        }
    }
}

fn attention_article(group: &AttentionGroup) -> Markup {
    let listed: u64 = group.messages.iter().map(|message| message.jobs).sum();
    html! {
        article .reason {
            h3 {
                span class={ "dot " (group.state) } {}
                (group.jobs) " " (group.state)
                @if let Some(cause) = &group.cause { ": " (cause) }
            }
            ul .words {
                @for message in &group.messages {
                    li {
                        q { (message.words) }
                        span .muted {
                            " · "
                            @if message.jobs > 1 { (pluralize(message.jobs, "video")) ", such as " }
                            (message.key)
                        }
                    }
                }
                @if listed < group.jobs {
                    li .muted { (group.jobs - listed) " more, with other messages" }
                }
            }
            @for command in &group.next { p .command { code { (command) } } }
        }
    }
}

fn plots_section(page: &ReportPage<'_>, plots: &[RunPlot], timeline: &RunTimeline) -> Markup {
    if plots.is_empty() && page.status.credits.batch.requests == 0 {
        return html! {};
    }
    html! {
        section aria-labelledby="run" { details .run {
            summary { h2 id="run" {
                @match &timeline.run { Some(run) => { "Timing and credits of run " (run.id) }, None => "Credits" }
            } }
            div .plots {
                @for plot in plots {
                    figure .wide[plot.is_wide] {
                        figcaption { strong { (plot.title) } " " span .muted { (plot.caption) } }
                        @if !plot.legend.is_empty() {
                            ul .legend aria-hidden="true" {
                                @for (class, name) in plot.legend { li { i class=(class) {} (name) } }
                            }
                        }
                        @let label = format!("{}: {}", plot.title, plot.caption);
                        div .scroll tabindex="0" role="img" aria-label=(label) {
                            (PreEscaped(&plot.svg))
                        }
                    }
                }
                (credits_figure(page))
            }
        } }
    }
}

fn credits_figure(page: &ReportPage<'_>) -> Markup {
    let credits = page.status.credits;
    html! {
        figure {
            figcaption { strong { "Credits" } " " span .muted { "Estimated, and as reported by AI Studios." } }
            div .scroll tabindex="0" role="region" aria-label="Credits" {
                table .small {
                    thead { tr {
                        th scope="col" {} th scope="col" { "paid requests" }
                        th scope="col" { "estimated" } th scope="col" { "observed" }
                    } }
                    tbody {
                        @if credits.run.requests > 0 { (spending_row("this run", credits.run)) }
                        (spending_row("whole batch", credits.batch))
                    }
                }
            }
            @if credits.batch.observed_of < credits.batch.requests {
                p .muted {
                    "Actual prices are read for the first videos of a run, and for all if a credit cap is "
                    "set. The others are estimated: the price per minute of other videos, or one credit "
                    "per minute of speech."
                }
            }
        }
    }
}

fn spending_row(what: &str, spending: SpendingRecord) -> Markup {
    html! {
        tr {
            th scope="row" { (what) }
            td { (spending.requests) }
            td { (format_credit_number(spending.estimated)) }
            td { @match spending.observed {
                Some(credits) => { (format_credit_number(credits)) " for " (spending.observed_of) },
                None => "–",
            } }
        }
    }
}

/// The script adds the videos; without one, the rows say why nothing is here.
fn videos_section() -> Markup {
    html! {
        section aria-labelledby="videos" id="gallery" hidden {
            h2 id="videos" { "Videos" }
            div .gallery {}
            p .more { button type="button" id="more-videos" hidden {} }
        }
    }
}

fn rows_section() -> Markup {
    html! {
        section aria-labelledby="rows" {
            h2 id="rows" tabindex="-1" { "All videos" }
            noscript { p { "The list needs JavaScript. It is also in results.csv." } }
            div .controls {
                label for="search" { "Search" }
                input type="search" id="search" placeholder="key, message, any cell" autocomplete="off";
                p id="count" role="status" aria-live="polite" {}
            }
            ul .legend aria-hidden="true" {
                @for (class, name) in TIMELINE_LEGEND { li { i class=(class) {} (name) } }
            }
            div .scroll tabindex="0" role="region" aria-label="All videos" {
                table id="table" {
                    thead { tr {
                        th scope="col" aria-sort="ascending" { button type="button" data-sort="0" { "Row" } }
                        th scope="col" { button type="button" data-sort="1" { "Key" } }
                        th scope="col" { button type="button" data-sort="2" { "State" } }
                        th scope="col" .way { "Waiting, rendering, downloading" }
                        th scope="col" { button type="button" data-sort="render" { "Render" } }
                        th scope="col" { button type="button" data-sort="5" { "Plays" } }
                        th scope="col" { button type="button" data-sort="6" { "Credits" } }
                        th scope="col" { "Reason" }
                    } }
                    tbody {}
                }
            }
            p .more { button type="button" id="more" hidden { "Show more" } }
        }
    }
}

/// Returns the name of the time zone of the page.
fn time_zone_name(page: &ReportPage<'_>) -> String {
    page.now.to_zoned(page.time_zone.clone()).strftime("%Z").to_string()
}

/// Returns a time in the time zone of the page, which its end names.
fn format_time(page: &ReportPage<'_>, at: Timestamp) -> String {
    at.to_zoned(page.time_zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

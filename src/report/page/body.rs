//! The page around its rows: what must be seen without scripts, and the frame that they fill.
//!
//! Every text goes through `maud`, which escapes it; what is put in raw is our own style sheet, our
//! own script and the library's plots.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::night::Night;
use super::plots::Plot;
use super::{Page, SCRIPT, STYLE};
use crate::report::run::{Failure, Spending};

/// Where the rows are put in.
pub(super) const ROWS_HERE: &str = "<!--rows-->";

/// Returns the whole page with [`ROWS_HERE`] in it.
pub(super) fn page(page: &Page<'_>, night: &Night, plots: &[Plot], nonce: &str) -> Markup {
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
                style nonce=(nonce) { (PreEscaped(STYLE)) }
            }
            body {
                a .skip href="#rows" { "Skip to the rows" }
                (header(page, night))
                main {
                    (counts(page))
                    (failures(page))
                    (pictures(page, plots, night))
                    (rows())
                }
                footer {
                    "Written by Callsheet " (env!("CARGO_PKG_VERSION")) " on "
                    (moment(page, page.now.as_millisecond())) ". Every row is in results.csv as well."
                }
                script type="application/json" id="data" { (PreEscaped(ROWS_HERE)) }
                script nonce=(nonce) { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn header(page: &Page<'_>, night: &Night) -> Markup {
    let standing = page.standing;
    let jobs = |word| standing.counts.get(word).copied().unwrap_or(0);
    let done = jobs("done") + jobs("reused");
    html! {
        header {
            p .eyebrow { "Callsheet" @if page.rehearsal { " · rehearsal" } }
            h1 { (page.batch.name) }
            p .lead { (done) " of " (counted(standing.rows, "video")) " done" }
            @if let Some(run) = &night.run {
                p .muted {
                    "Last paying run: run " (run.id) ", " (moment(page, night.began)) ", "
                    (span(night.ended - night.began)) ", "
                    (counted(run.submitted.unsigned_abs(), "paid request"))
                    @if let Some(ending) = &run.ending { ", " (ending) }
                }
            }
            @if let Some(next) = page.next {
                p .next { "Next: " code { (next) } }
            }
        }
    }
}

fn counts(page: &Page<'_>) -> Markup {
    let shown = page.standing.counts.iter().filter(|(_, jobs)| **jobs > 0);
    html! {
        section aria-label="Counts" {
            div .tiles role="group" aria-label="Show rows by state" {
                button type="button" .tile data-state="" aria-pressed="true" {
                    span .number { (page.standing.rows) } span .label { "rows" }
                }
                @for (word, jobs) in shown {
                    button type="button" .tile data-state=(word) aria-pressed="false" {
                        span .number { (jobs) }
                        span .label { span class={ "dot " (word) } {} (word) }
                    }
                }
            }
        }
    }
}

fn failures(page: &Page<'_>) -> Markup {
    if page.failures.is_empty() {
        return html! {};
    }
    html! {
        section aria-labelledby="attention" {
            h2 id="attention" { "What needs somebody" }
            @for failure in page.failures { (reason(failure)) }
        }
    }
}

fn reason(failure: &Failure) -> Markup {
    let told: u64 = failure.words.iter().map(|said| said.jobs).sum();
    html! {
        article .reason {
            h3 {
                span class={ "dot " (failure.state) } {}
                (failure.jobs) " " (failure.state)
                @if let Some(cause) = &failure.cause { ": " (cause) }
            }
            ul .words {
                @for said in &failure.words {
                    li {
                        q { (said.words) }
                        span .muted { " · " (counted(said.jobs, "row")) ", such as " (said.key) }
                    }
                }
                @if told < failure.jobs {
                    li .muted { (failure.jobs - told) " more, in other words" }
                }
            }
            @for command in &failure.next { p .command { code { (command) } } }
        }
    }
}

fn pictures(page: &Page<'_>, plots: &[Plot], night: &Night) -> Markup {
    html! {
        section aria-labelledby="run" {
            h2 id="run" {
                @match &night.run { Some(run) => { "Run " (run.id) }, None => "Credits" }
            }
            div .plots {
                @for plot in plots {
                    figure .wide[plot.wide] {
                        figcaption { strong { (plot.title) } " " span .muted { (plot.words) } }
                        @if !plot.legend.is_empty() {
                            ul .legend aria-hidden="true" {
                                @for (class, name) in plot.legend { li { i class=(class) {} (name) } }
                            }
                        }
                        @let label = format!("{}: {}", plot.title, plot.words);
                        div .scroll tabindex="0" role="img" aria-label=(label) {
                            (PreEscaped(&plot.svg))
                        }
                    }
                }
                (credits(page))
            }
        }
    }
}

fn credits(page: &Page<'_>) -> Markup {
    let credits = page.standing.credits;
    html! {
        figure {
            figcaption { strong { "Credits" } " " span .muted { "Estimated, and as AI Studios said." } }
            div .scroll tabindex="0" role="region" aria-label="Credits" {
                table .small {
                    thead { tr {
                        th scope="col" {} th scope="col" { "paid requests" }
                        th scope="col" { "estimated" } th scope="col" { "observed" }
                    } }
                    tbody {
                        @if credits.run.requests > 0 { (spending("this run", credits.run)) }
                        (spending("the whole batch", credits.batch))
                    }
                }
            }
            @if credits.batch.observed_of < credits.batch.requests {
                p .muted {
                    "AI Studios names a price only where it is asked, which happens where credits "
                    "are capped. Until then an estimate stands in: what others cost by the minute, "
                    "or one credit for each begun minute of speech."
                }
            }
        }
    }
}

fn spending(what: &str, spending: Spending) -> Markup {
    html! {
        tr {
            th scope="row" { (what) }
            td { (spending.requests) }
            td { (amount(spending.estimated)) }
            td { @match spending.observed {
                Some(heard) => { (amount(heard)) " for " (spending.observed_of) },
                None => "–",
            } }
        }
    }
}

fn rows() -> Markup {
    html! {
        section aria-labelledby="rows" {
            h2 id="rows" tabindex="-1" { "Rows" }
            noscript { p { "This page shows rows with a script. They are in results.csv, too." } }
            div .controls {
                label for="search" { "Search" }
                input type="search" id="search" placeholder="key, words, any cell" autocomplete="off";
                p id="count" role="status" aria-live="polite" {}
            }
            div .scroll tabindex="0" role="region" aria-label="Rows" {
                table id="table" {
                    thead { tr {
                        th scope="col" aria-sort="ascending" { button type="button" data-sort="0" { "Row" } }
                        th scope="col" { button type="button" data-sort="1" { "Key" } }
                        th scope="col" { button type="button" data-sort="2" { "State" } }
                        th scope="col" .way { "Waiting, rendering, downloading" }
                        th scope="col" { button type="button" data-sort="render" { "Render" } }
                        th scope="col" { button type="button" data-sort="5" { "Plays" } }
                        th scope="col" { button type="button" data-sort="6" { "Credits" } }
                        th scope="col" { "What was said" }
                    } }
                    tbody {}
                }
            }
            p .more { button type="button" id="more" hidden { "Show more" } }
        }
    }
}

/// Returns a time as a clock on the wall shows it.
fn moment(page: &Page<'_>, ms: i64) -> String {
    let at = Timestamp::from_millisecond(ms).unwrap_or(page.now);
    at.to_zoned(page.zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// Returns how long something took, as people say it.
pub(super) fn span(ms: i64) -> String {
    let seconds = ms.max(0) as f64 / 1000.0;
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 90.0 => format!("{s:.0} s"),
        s if s < 5400.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Returns a number with as few digits as it needs, at most two of them behind the point.
pub(super) fn amount(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

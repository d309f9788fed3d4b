//! The rows of the page as JSON: one array per row, in the order of the sheet.
//!
//! Invariant: no cell can end the element around the JSON, and none becomes markup: the script
//! inserts cells as text.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::ReportPage;
use super::timeline::{JobTiming, RunTimeline, millis_between};
use crate::ledger::{JobRow, JobState, Ledger};
use crate::report::results::{ReportError, ReportRows};
use crate::text::{escape_json_for_html, truncate};

/// The most rows on a page. A browser is too slow for more; rows that need attention take
/// precedence.
const PAGE_ROWS_MAX: u64 = 20_000;
/// The most characters of a cell, of all cells of a row, and of a message.
const CELL_CHARS_MAX: usize = 160;
const ROW_CHARS_MAX: usize = 480;
const MESSAGE_CHARS_MAX: usize = 400;

/// Writes the rows as JSON for a script element.
pub(super) async fn write_rows(
    ledger: &Ledger,
    page: &ReportPage<'_>,
    timeline: &RunTimeline,
    out: &mut impl Write,
    path: &Path,
) -> Result<(), ReportError> {
    let failed = |source| ReportError::Io { path: path.to_owned(), source };
    let headings = ledger.headings(page.batch.id).await?;
    let own_columns = own_columns(&page.variant_headings, &headings);
    let head = json!({ "headings": headings, "own": own_columns, "videos": page.videos_folder, "length": millis_between(timeline.started_at, timeline.ended_at) });
    let head = head.to_string();
    let head = escape_json_for_html(&head);
    write!(out, "{},\"rows\":[", head.trim_end_matches('}')).map_err(failed)?;
    let mut timings: Vec<JobTiming> = timeline.jobs.clone();
    timings.sort_unstable_by_key(|timing| timing.position);
    let quiet = ["done", "reused", "ready", "submitting", "rendering", "fetching", "skipped"];
    let quiet: u64 = quiet.iter().filter_map(|word| page.status.counts.get(word)).sum();
    let attention = page.status.rows.saturating_sub(quiet);
    let mut quiet_left = PAGE_ROWS_MAX.saturating_sub(attention);
    let (mut written, mut omitted) = (0u64, 0u64);
    let mut rows = ReportRows::new(ledger, page.batch.id);
    while let Some(row) = rows.next_row().await? {
        let is_quiet = !is_attention_needed(&row);
        if written >= PAGE_ROWS_MAX || (is_quiet && quiet_left == 0) {
            omitted += 1;
            continue;
        }
        quiet_left -= u64::from(is_quiet);
        let comma = if written == 0 { "" } else { "," };
        written += 1;
        let found = timings.binary_search_by_key(&row.position, |timing| timing.position);
        let timing = found.ok().filter(|_| row.state.is_some()).map(|index| timings[index]);
        let own = row.variant.as_ref().and_then(|variant| own_columns.get(variant));
        let cells = clipped_cells(&row, own.map_or(&[], Vec::as_slice));
        let row = page.skip_columns.explain(row, &headings);
        let entry = row_data(&row, cells, timing, timeline.started_at).to_string();
        write!(out, "{comma}\n{}", escape_json_for_html(&entry)).map_err(failed)?;
    }
    write!(out, "],\"left_out\":{omitted}}}").map_err(failed)
}

fn is_attention_needed(row: &JobRow) -> bool {
    match row.state {
        None => !row.skipped,
        Some(JobState::Failed | JobState::Uncertain | JobState::Cancelled) => true,
        Some(
            JobState::Ready
            | JobState::Submitting
            | JobState::Rendering
            | JobState::Fetching
            | JobState::Done
            | JobState::Reused,
        ) => false,
    }
}

/// Row, key, state, version, attempts, length, credits, message, file, project, cells, timing, variant:
/// the script relies on this order.
fn row_data(
    row: &JobRow,
    cells: Vec<Vec<String>>,
    timing: Option<JobTiming>,
    start: Timestamp,
) -> Value {
    let state = match row.state {
        Some(JobState::Rendering) if row.stalled => "stalled",
        Some(_) | None => row.status().as_str(),
    };
    let has_message = is_attention_needed(row) || row.stalled;
    let cause = row.cause.as_deref().filter(|_| has_message);
    // A skipped row needs no attention, but a reason, as in the plan.
    let message = row.message.as_deref().filter(|_| has_message || row.skipped).or(cause);
    let timing = timing.map(|timing| {
        let since = |at| millis_between(start, at);
        json!([
            since(timing.submitted_at),
            timing.rendered_at.map(since),
            timing.done_at.map(since)
        ])
    });
    json!([
        row.row_number,
        row.key,
        state,
        row.version,
        row.attempts,
        row.video_ms.map(|ms| (ms as f64 / 100.0).round() / 10.0),
        row.credits,
        message.map(|message| truncate(message, MESSAGE_CHARS_MAX)),
        row.video_file,
        row.project_id,
        cells,
        timing,
        row.variant,
    ])
}

/// Returns the columns that each variant has of its own, in the order of its headings.
fn own_columns(
    variants: &BTreeMap<String, Vec<String>>,
    headings: &[String],
) -> BTreeMap<String, Vec<usize>> {
    let same = |one: &str, other: &str| one.trim().to_lowercase() == other.trim().to_lowercase();
    let column = |own: &String| headings.iter().position(|heading| same(heading, own));
    let columns = |own: &Vec<String>| own.iter().filter_map(column).collect();
    variants.iter().map(|(name, own)| (name.clone(), columns(own))).collect()
}

/// Returns the truncated cells of each row of the video. Those of its own variant, such as its
/// script, are kept if the others are too long.
fn clipped_cells(row: &JobRow, own: &[usize]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = serde_json::from_str(&row.cells).unwrap_or_default();
    let mut left = ROW_CHARS_MAX;
    for is_own in [true, false] {
        for cells in &mut all {
            let cells = cells.iter_mut().enumerate();
            for (_, cell) in cells.filter(|(column, _)| own.contains(column) == is_own) {
                *cell = truncate(cell, CELL_CHARS_MAX.min(left));
                left = left.saturating_sub(cell.chars().count());
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_a_variant_are_found_by_its_headings() {
        let headings = ["Key", "Sprechertext", "Narration "].map(str::to_owned);
        let variants = BTreeMap::from([
            ("de".to_owned(), vec!["sprechertext".to_owned()]),
            ("en".to_owned(), vec!["Narration".to_owned(), "Gone".to_owned()]),
        ]);
        let own = own_columns(&variants, &headings);
        assert_eq!((&own["de"], &own["en"]), (&vec![1], &vec![2]));
    }
}

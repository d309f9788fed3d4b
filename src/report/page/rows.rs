//! The rows of the page as data: one short list for each, in the sheet's order.
//!
//! Invariant: whatever a cell holds, the data cannot end the element that it stands in, and is
//! never taken for markup: the script puts it into the page as text.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::ReportPage;
use super::timeline::{JobTiming, RunTimeline};
use crate::ledger::{JobRow, JobState, Ledger};
use crate::report::results::{ReportError, ReportRows};
use crate::text::{escape_json_for_html, truncate};

/// Rows in one page. Past this a browser takes too long; those that need somebody come first.
const PAGE_ROWS_MAX: u64 = 20_000;
/// Characters of a cell, and of what was said, that the page shows.
const CELL_CHARS_MAX: usize = 160;
const ROW_CHARS_MAX: usize = 480;
const MESSAGE_CHARS_MAX: usize = 400;

/// Writes the rows as JSON that can stand in a script element.
pub(super) async fn write_rows(
    ledger: &Ledger,
    page: &ReportPage<'_>,
    night: &RunTimeline,
    out: &mut impl Write,
    place: &Path,
) -> Result<(), ReportError> {
    let failed = |source| ReportError::Io { path: place.to_owned(), source };
    let headings = ledger.headings(page.batch.id).await?;
    let head = json!({ "headings": headings, "videos": page.videos_folder, "length": night.ended_at - night.started_at });
    let head = head.to_string();
    let head = escape_json_for_html(&head);
    write!(out, "{},\"rows\":[", head.trim_end_matches('}')).map_err(failed)?;
    let mut passes: Vec<JobTiming> = night.jobs.clone();
    passes.sort_unstable_by_key(|pass| pass.position);
    let quiet = ["done", "reused", "ready", "submitting", "rendering", "fetching", "skipped"];
    let quiet: u64 = quiet.iter().filter_map(|word| page.totals.counts.get(word)).sum();
    let loud = page.totals.rows.saturating_sub(quiet);
    let mut room_for_quiet = PAGE_ROWS_MAX.saturating_sub(loud);
    let (mut shown, mut left_out) = (0u64, 0u64);
    let mut rows = ReportRows::new(ledger, page.batch.id);
    while let Some(row) = rows.next_row().await? {
        let is_quiet = !is_attention_needed(&row);
        if shown >= PAGE_ROWS_MAX || (is_quiet && room_for_quiet == 0) {
            left_out += 1;
            continue;
        }
        room_for_quiet -= u64::from(is_quiet);
        let comma = if shown == 0 { "" } else { "," };
        shown += 1;
        let pass = passes.binary_search_by_key(&row.position, |pass| pass.position);
        let pass = pass.ok().filter(|_| row.state.is_some()).map(|place| passes[place]);
        let entry = row_data(&row, pass, night.started_at).to_string();
        write!(out, "{comma}\n{}", escape_json_for_html(&entry)).map_err(failed)?;
    }
    write!(out, "],\"left_out\":{left_out}}}").map_err(failed)
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

/// Row, key, state, version, attempts, how long it plays, credits, what was said, file, project,
/// cells, way. The script counts on this order.
fn row_data(row: &JobRow, pass: Option<JobTiming>, began: i64) -> Value {
    let state = match row.state {
        Some(JobState::Rendering) if row.stalled => "stalled",
        Some(_) | None => row.status().as_str(),
    };
    let told = is_attention_needed(row) || row.stalled;
    let words = row.message.as_deref().or(row.cause.as_deref()).filter(|_| told);
    let way = pass.map(|pass| {
        let since = |at: i64| at - began;
        json!([since(pass.submitted_at), pass.rendered_at.map(since), pass.done_at.map(since)])
    });
    json!([
        row.row_number,
        row.key,
        state,
        row.version,
        row.attempts,
        row.video_ms.map(|ms| (ms as f64 / 100.0).round() / 10.0),
        row.credits,
        words.map(|words| truncate(words, MESSAGE_CHARS_MAX)),
        row.video_file,
        row.project_id,
        clipped_cells(row),
        way,
    ])
}

/// Returns the cells of each of the sheet's rows that make the video, within reason.
fn clipped_cells(row: &JobRow) -> Vec<Vec<String>> {
    let all: Vec<Vec<String>> = serde_json::from_str(&row.cells).unwrap_or_default();
    let mut left = ROW_CHARS_MAX;
    let mut take = |cell: String| {
        let cell = truncate(&cell, CELL_CHARS_MAX.min(left));
        left = left.saturating_sub(cell.chars().count());
        cell
    };
    all.into_iter().map(|cells| cells.into_iter().map(&mut take).collect()).collect()
}

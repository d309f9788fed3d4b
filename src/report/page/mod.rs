//! `report.html`: the results of a batch as a page. It needs no network and no other file except the
//! videos, which it plays from its own folder.
//!
//! Counts, attention groups and plots need no script. The rows are JSON in the page, and a script
//! adds them to the table on demand, so that ten thousand open at once. Invariant: every text from
//! outside is escaped, the page loads nothing and runs only its own script, and it contains no
//! signed link.

mod body;
mod plots;
mod rows;
mod svg_chart;
mod timeline;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::atomic_file::create_temp_file;
use super::results::ReportError;
use super::run::BatchRecord;
use crate::ledger::{Ledger, StoredBatch};
use crate::report::SkipColumns;
pub use body::exit_code_meaning;
pub use plots::RunPlot;
use timeline::RunTimeline;

const PAGE_STYLE: &str = include_str!("page.css");
const PAGE_SCRIPT: &str = include_str!("page.js");

/// The content of a page, except the rows, which are read from the ledger.
#[derive(Clone, Debug)]
pub struct ReportPage<'p> {
    /// The batch.
    pub batch: &'p StoredBatch,
    /// Its status.
    pub status: &'p BatchRecord,
    /// The limits in the batch file.
    pub limits: SubmitLimits,
    /// The headings that each variant has of its own, such as that of its script, by its name.
    pub variant_headings: BTreeMap<String, Vec<String>>,
    /// The settings that skip rows.
    pub skip_columns: SkipColumns,
    /// The relative path from the page to the videos, without a trailing slash; empty if they are
    /// in the same folder.
    pub videos_folder: &'p str,
    /// Whether it was a rehearsal.
    pub rehearsal: bool,
    /// The current time.
    pub now: Timestamp,
    /// The time zone for all times on the page.
    pub time_zone: &'p TimeZone,
}

/// The limits on submissions in the batch file.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubmitLimits {
    /// Renders in progress at the same time.
    pub in_flight: u32,
    /// Submissions per minute; `None` for no limit.
    pub submits_per_minute: Option<f64>,
}

/// Writes the page to `out`, named `path` in messages.
///
/// # Errors
/// The ledger failed, or `out` could not be written.
pub async fn write_page_to(
    ledger: &Ledger,
    page: &ReportPage<'_>,
    path: &Path,
    out: impl Write,
) -> Result<(), ReportError> {
    let failed = |source| ReportError::Io { path: path.to_owned(), source };
    let mut out = io::BufWriter::new(out);
    let timeline = RunTimeline::load(ledger, page.batch.id, page.now).await?;
    let nonce = csp_nonce(page);
    let plots = draw_timeline(ledger, page, &timeline).await?;
    let html = body::page_markup(page, &timeline, &plots, &nonce).into_string();
    let (before, after) = html.split_once(body::ROWS_PLACEHOLDER).unwrap_or((&html, ""));
    out.write_all(before.as_bytes()).map_err(failed)?;
    rows::write_rows(ledger, page, &timeline, &mut out, path).await?;
    out.write_all(after.as_bytes()).map_err(failed)?;
    out.flush().map_err(failed)
}

/// Draws the plots of the page.
///
/// # Errors
/// The ledger failed.
pub async fn draw_run_plots(
    ledger: &Ledger,
    page: &ReportPage<'_>,
) -> Result<Vec<RunPlot>, ReportError> {
    let timeline = RunTimeline::load(ledger, page.batch.id, page.now).await?;
    draw_timeline(ledger, page, &timeline).await
}

async fn draw_timeline(
    ledger: &Ledger,
    page: &ReportPage<'_>,
    timeline: &RunTimeline,
) -> Result<Vec<RunPlot>, ReportError> {
    let mut keys = BTreeMap::new();
    for job in plots::timeline_lanes(timeline) {
        let rows = ledger.rows(page.batch.id, job.position - 1, 1).await?;
        keys.extend(rows.into_iter().map(|row| (row.position, row.key.unwrap_or_default())));
    }
    Ok(plots::draw_plots(timeline, page.limits, page.time_zone, &keys))
}

/// Writes `report.html` into `folder`, which must exist, and returns its path.
///
/// # Errors
/// As [`write_page_to`]; the previous file is unchanged.
pub async fn write_page(
    ledger: &Ledger,
    page: &ReportPage<'_>,
    folder: &Path,
) -> Result<PathBuf, ReportError> {
    let path = folder.join(super::PAGE_FILE);
    let disk = |source| ReportError::Io { path: path.clone(), source };
    let mut file = create_temp_file(folder).map_err(disk)?;
    write_page_to(ledger, page, &path, file.as_file_mut()).await?;
    file.as_file().sync_all().map_err(disk)?;
    file.persist(&path).map_err(|error| disk(error.error))?;
    Ok(path)
}

/// Returns a nonce that no author of a cell can predict.
fn csp_nonce(page: &ReportPage<'_>) -> String {
    let now = page.now.as_nanosecond();
    let seed = format!("{now}/{}/{}", std::process::id(), page.batch.name);
    blake3::hash(seed.as_bytes()).to_hex()[..24].to_owned()
}

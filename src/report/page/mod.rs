//! `report.html`: one page for people who would rather look. It needs no network and no other file
//! but the videos, which it plays from the folder that it lies in.
//!
//! What must be seen is there without scripts: the counts, why rows need somebody, the plots. The
//! rows are data in the page, of which a script shows as many as are looked at, so that ten
//! thousand of them open at once. Invariants: every text from outside is escaped; the page may
//! fetch nothing and run nothing but its own script; no signed link gets in.

mod body;
mod plots;
mod rows;
mod timeline;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::atomic_file::create_temp_file;
use super::results::ReportError;
use super::run::{AttentionRecord, BatchTotals};
use crate::ledger::{Ledger, StoredBatch};
use timeline::RunTimeline;

const PAGE_STYLE: &str = include_str!("page.css");
const PAGE_SCRIPT: &str = include_str!("page.js");

/// What a page tells, but for what the ledger holds of each row.
#[derive(Clone, Copy, Debug)]
pub struct ReportPage<'p> {
    /// The batch.
    pub batch: &'p StoredBatch,
    /// Where it stands.
    pub totals: &'p BatchTotals,
    /// Why rows need somebody.
    pub attention: &'p [AttentionRecord],
    /// The command to type next.
    pub next_command: Option<&'p str>,
    /// What the batch file allows.
    pub limits: SubmitLimits,
    /// The folder of the videos as seen from the page, without a slash at its end; empty where
    /// the page lies in it.
    pub videos_folder: &'p str,
    /// Whether it was a rehearsal.
    pub rehearsal: bool,
    /// The time.
    pub now: Timestamp,
    /// The time zone in which people read it.
    pub time_zone: &'p TimeZone,
}

/// How fast the batch file lets a run be.
#[derive(Clone, Copy, Debug, Default)]
pub struct SubmitLimits {
    /// Renders under way at once.
    pub in_flight: u32,
    /// Renders begun in a minute; nothing where there is no limit.
    pub submits_per_minute: Option<f64>,
}

/// Writes the page to `out`, which `place` names for people.
///
/// # Errors
/// The ledger did not answer, or `out` could not be written.
pub async fn write_page_to(
    ledger: &Ledger,
    page: &ReportPage<'_>,
    place: &Path,
    out: impl Write,
) -> Result<(), ReportError> {
    let failed = |source| ReportError::Io { path: place.to_owned(), source };
    let mut out = io::BufWriter::new(out);
    let night = RunTimeline::load(ledger, page.batch.id, page.now).await?;
    let nonce = csp_nonce(page);
    let mut keys = BTreeMap::new();
    for job in plots::timeline_lanes(&night) {
        let rows = ledger.rows(page.batch.id, job.position - 1, 1).await?;
        keys.extend(rows.into_iter().map(|row| (row.position, row.key.unwrap_or_default())));
    }
    let plots = plots::draw_plots(&night, page.limits, page.time_zone, &keys);
    let whole = body::page_markup(page, &night, &plots, &nonce).into_string();
    let (before, behind) = whole.split_once(body::ROWS_PLACEHOLDER).unwrap_or((&whole, ""));
    out.write_all(before.as_bytes()).map_err(failed)?;
    rows::write_rows(ledger, page, &night, &mut out, place).await?;
    out.write_all(behind.as_bytes()).map_err(failed)?;
    out.flush().map_err(failed)
}

/// Writes `report.html` into `folder`, which is there, and returns its path.
///
/// # Errors
/// As [`print_page`]; what was there before stays then.
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

/// Returns a word that nobody who wrote a cell could have known.
fn csp_nonce(page: &ReportPage<'_>) -> String {
    let now = page.now.as_nanosecond();
    let seed = format!("{now}/{}/{}", std::process::id(), page.batch.name);
    blake3::hash(seed.as_bytes()).to_hex()[..24].to_owned()
}

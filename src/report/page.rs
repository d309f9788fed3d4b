//! `report.html`: one page for people who would rather look. It needs no network and no other file
//! but the videos, which it plays from the folder that it lies in.
//!
//! What must be seen is there without scripts: the counts, why rows need somebody, the plots. The
//! rows are data in the page, of which a script shows as many as are looked at, so that ten
//! thousand of them open at once. Invariants: every text from outside is escaped; the page may
//! fetch nothing and run nothing but its own script; no signed link gets in.

mod body;
mod night;
mod plots;
mod rows;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::results::ReportError;
use super::run::{Failure, Standing};
use super::whole::begin_file;
use crate::ledger::{Ledger, StoredBatch};
use night::Night;

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// What a page tells, but for what the ledger holds of each row.
#[derive(Clone, Copy, Debug)]
pub struct Page<'p> {
    /// The batch.
    pub batch: &'p StoredBatch,
    /// Where it stands.
    pub standing: &'p Standing,
    /// Why rows need somebody.
    pub failures: &'p [Failure],
    /// The command to type next.
    pub next: Option<&'p str>,
    /// What the batch file allows.
    pub pace: Pace,
    /// The folder of the videos as seen from the page, without a slash at its end; empty where
    /// the page lies in it.
    pub videos: &'p str,
    /// Whether it was a rehearsal.
    pub rehearsal: bool,
    /// The time.
    pub now: Timestamp,
    /// The time zone in which people read it.
    pub zone: &'p TimeZone,
}

/// How fast the batch file lets a run be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Renders under way at once.
    pub in_flight: u32,
    /// Renders begun in a minute; nothing where there is no limit.
    pub submits_per_minute: Option<f64>,
}

/// Writes the page to `out`, which `place` names for people.
///
/// # Errors
/// The ledger did not answer, or `out` could not be written.
pub async fn print_page(
    ledger: &Ledger,
    page: &Page<'_>,
    place: &Path,
    out: impl Write,
) -> Result<(), ReportError> {
    let failed = |source| ReportError::Disk { path: place.to_owned(), source };
    let mut out = io::BufWriter::new(out);
    let night = Night::read(ledger, page.batch.id, page.now).await?;
    let nonce = nonce(page);
    let mut keys = BTreeMap::new();
    for job in plots::lanes(&night) {
        let rows = ledger.rows(page.batch.id, job.position - 1, 1).await?;
        keys.extend(rows.into_iter().map(|row| (row.position, row.key.unwrap_or_default())));
    }
    let plots = plots::draw(&night, page.pace, page.zone, &keys);
    let whole = body::page(page, &night, &plots, &nonce).into_string();
    let (before, behind) = whole.split_once(body::ROWS_HERE).unwrap_or((&whole, ""));
    out.write_all(before.as_bytes()).map_err(failed)?;
    rows::write(ledger, page, &night, &mut out, place).await?;
    out.write_all(behind.as_bytes()).map_err(failed)?;
    out.flush().map_err(failed)
}

/// Writes `report.html` into `folder`, which is there, and returns its path.
///
/// # Errors
/// As [`print_page`]; what was there before stays then.
pub async fn write_page(
    ledger: &Ledger,
    page: &Page<'_>,
    folder: &Path,
) -> Result<PathBuf, ReportError> {
    let path = folder.join(super::PAGE);
    let disk = |source| ReportError::Disk { path: path.clone(), source };
    let mut file = begin_file(folder).map_err(disk)?;
    print_page(ledger, page, &path, file.as_file_mut()).await?;
    file.as_file().sync_all().map_err(disk)?;
    file.persist(&path).map_err(|error| disk(error.error))?;
    Ok(path)
}

/// Returns a word that nobody who wrote a cell could have known.
fn nonce(page: &Page<'_>) -> String {
    let now = page.now.as_nanosecond();
    let seed = format!("{now}/{}/{}", std::process::id(), page.batch.name);
    blake3::hash(seed.as_bytes()).to_hex()[..24].to_owned()
}

//! `results.csv`: the sheet's own columns in the sheet's order, and what came of each row; and
//! `failures.csv`, the same for the rows that can be mended and fed back as a sheet.
//!
//! It replaces the former one whole or not at all. Cells that a spreadsheet would take for a
//! formula are made harmless with a leading apostrophe, which spreadsheets hide.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::whole::begin_file;
use crate::ledger::{BatchId, JobRow, Ledger, LedgerError, State};

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The file could not be written; the former one is untouched.
    #[error("cannot write `{}`: {}", path.display(), disk_words(source))]
    Disk {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// Says why a file could not be written.
pub fn disk_words(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound => "its folder does not exist",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "its folder is a file",
        io::ErrorKind::IsADirectory => "it is a folder",
        io::ErrorKind::StorageFull => "the disk is full; free some space and run again",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only",
        _ => "the disk reported an error",
    }
}

/// Columns behind the sheet's own.
pub(super) const OURS: [&str; 10] = [
    "status",
    "version",
    "project_id",
    "video_file",
    "video_url",
    "attempts",
    "seconds",
    "credits",
    "error",
    "variant",
];
/// Rows read at once.
const PAGE: u32 = 1000;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The account of every row.
    pub results: PathBuf,
    /// The rows that can be mended and fed back; nothing when there are none.
    pub failures: Option<PathBuf>,
}

/// Writes `results.csv` and, where rows can be mended, `failures.csv` into `folder`.
///
/// # Errors
/// See [`ReportError`]; what was there before stays then.
pub async fn write_results(
    ledger: &Ledger,
    batch: BatchId,
    folder: &Path,
) -> Result<Written, ReportError> {
    let headings = ledger.headings(batch).await?;
    let mut results = Table::begin(folder, super::RESULTS, &headings)?;
    let mut failures = Table::begin(folder, super::FAILURES, &headings)?;
    let mut rows = Rows::of(ledger, batch);
    while let Some(row) = rows.next().await? {
        results.write(&row)?;
        if can_be_mended(&row) {
            failures.write(&row)?;
        }
    }
    let results = results.finish()?;
    let failures = if failures.rows > 0 { Some(failures.finish()?) } else { failures.forget()? };
    Ok(Written { results, failures })
}

/// Tells whether a row may be mended and rendered. One that is uncertain may be paid for already:
/// fed back under another batch's name it would be paid for again, so it is not handed out.
fn can_be_mended(row: &JobRow) -> bool {
    match row.state {
        None => !row.skipped,
        Some(State::Failed | State::Cancelled) => true,
        Some(
            State::Uncertain
            | State::Ready
            | State::Submitting
            | State::Rendering
            | State::Fetching
            | State::Done
            | State::Reused,
        ) => false,
    }
}

/// A report on its way: it takes its name only when it is whole.
struct Table {
    path: PathBuf,
    columns: usize,
    rows: u64,
    out: csv::Writer<io::BufWriter<tempfile::NamedTempFile>>,
}

impl Table {
    fn begin(folder: &Path, name: &str, headings: &[String]) -> Result<Self, ReportError> {
        let path = folder.join(name);
        let begin = || {
            std::fs::create_dir_all(folder)?;
            let mut out = csv::Writer::from_writer(io::BufWriter::new(begin_file(folder)?));
            let own = headings.iter().map(|heading| harmless(heading));
            write_record(&mut out, own.chain(OURS.into_iter().map(Cow::Borrowed)))?;
            Ok(out)
        };
        match begin() {
            Ok(out) => Ok(Self { path, columns: headings.len(), rows: 0, out }),
            Err(source) => Err(ReportError::Disk { path, source }),
        }
    }

    fn write(&mut self, row: &JobRow) -> Result<(), ReportError> {
        self.rows += 1;
        write_row(&mut self.out, row, self.columns)
            .map_err(|source| ReportError::Disk { path: self.path.clone(), source })
    }

    fn finish(self) -> Result<PathBuf, ReportError> {
        let Self { path, out, .. } = self;
        let finish = || {
            let buffer = out.into_inner().map_err(csv::IntoInnerError::into_error)?;
            let mut file = buffer.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.flush()?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        match finish() {
            Ok(()) => Ok(path),
            Err(source) => Err(ReportError::Disk { path, source }),
        }
    }

    /// Writes nothing, and takes away what an earlier run left: its rows are mended.
    fn forget(self) -> Result<Option<PathBuf>, ReportError> {
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ReportError::Disk { path: self.path, source })
            }
            Ok(()) | Err(_) => Ok(None),
        }
    }
}

/// Jobs, and rows that make none, in the sheet's order, page by page.
#[derive(Debug)]
pub struct Rows<'l> {
    ledger: &'l Ledger,
    batch: BatchId,
    jobs: Pages,
    jobless: Pages,
}

/// One of two sorted streams, with what is read ahead of it.
#[derive(Debug, Default)]
struct Pages {
    ahead: std::collections::VecDeque<JobRow>,
    after: Option<i64>,
    over: bool,
}

impl<'l> Rows<'l> {
    /// Begins at the top of the sheet.
    pub fn of(ledger: &'l Ledger, batch: BatchId) -> Self {
        Self { ledger, batch, jobs: Pages::default(), jobless: Pages::default() }
    }

    /// Returns the next row; nothing behind the last.
    pub async fn next(&mut self) -> Result<Option<JobRow>, LedgerError> {
        if self.jobs.wants_more() {
            let after = self.jobs.after.unwrap_or(-1);
            self.jobs.take_in(self.ledger.rows(self.batch, after, PAGE).await?);
        }
        if self.jobless.wants_more() {
            let after = self.jobless.after.unwrap_or(-1);
            self.jobless.take_in(self.ledger.rows_without_job(self.batch, after, PAGE).await?);
        }
        let first = match (self.jobs.ahead.front(), self.jobless.ahead.front()) {
            (Some(job), Some(other)) if other.position < job.position => &mut self.jobless,
            (Some(_), _) => &mut self.jobs,
            (None, _) => &mut self.jobless,
        };
        Ok(first.ahead.pop_front())
    }
}

impl Pages {
    fn wants_more(&self) -> bool {
        self.ahead.is_empty() && !self.over
    }

    fn take_in(&mut self, page: Vec<JobRow>) {
        self.over = page.len() < PAGE as usize;
        self.after = page.last().map(|row| row.position).or(self.after);
        self.ahead = page.into();
    }
}

pub(super) fn write_row<W: Write>(
    out: &mut csv::Writer<W>,
    row: &JobRow,
    columns: usize,
) -> io::Result<()> {
    let cells: Vec<Vec<String>> = serde_json::from_str(&row.cells).unwrap_or_default();
    // A group's rows each get a line; a sheet that could not be read on gets one without cells.
    let lines = if cells.is_empty() { vec![Vec::new()] } else { cells };
    let outcome = outcome(row);
    for mut cells in lines {
        cells.resize(columns, String::new());
        let own = cells.iter().map(|cell| harmless(cell));
        write_record(out, own.chain(outcome.iter().map(|cell| harmless(cell))))?;
    }
    Ok(())
}

fn outcome(row: &JobRow) -> [String; OURS.len()] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let state = match row.state {
        Some(State::Rendering) if row.stalled => "stalled",
        Some(State::Ready) if row.generating => "generating",
        Some(_) | None => row.word(),
    };
    let wrong = can_be_mended(row) || row.state == Some(State::Uncertain);
    [
        state.to_owned(),
        if row.state.is_some() { row.version.to_string() } else { String::new() },
        text(&row.project_id),
        text(&row.video_file),
        row.video_url.as_deref().map(without_query).unwrap_or_default().to_owned(),
        row.attempts.to_string(),
        row.video_ms.map(|ms| format!("{:.1}", ms as f64 / 1000.0)).unwrap_or_default(),
        row.credits.map(|credits| credits.to_string()).unwrap_or_default(),
        if wrong {
            row.words.clone().or_else(|| row.cause.clone()).unwrap_or_default()
        } else {
            String::new()
        },
        text(&row.variant),
    ]
}

/// A link's query may hold a signature that opens the file to whoever reads the report.
pub(super) fn without_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

pub(super) fn write_record<'c, W: Write>(
    out: &mut csv::Writer<W>,
    cells: impl Iterator<Item = Cow<'c, str>>,
) -> io::Result<()> {
    for cell in cells {
        out.write_field(cell.as_bytes()).map_err(io_error)?;
    }
    out.write_record(None::<&[u8]>).map_err(io_error)
}

fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

/// Returns a cell as a spreadsheet may see it: never the beginning of a formula. Plain numbers
/// stay numbers.
pub fn harmless(cell: &str) -> Cow<'_, str> {
    // One more apostrophe before those that are there already, so that taking one off restores it.
    let behind = cell.trim_start_matches('\'');
    let formula = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    if behind.starts_with(formula) && behind.parse::<f64>().is_err() {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_become_text_and_numbers_stay_numbers() {
        for (cell, shown) in [
            ("=HYPERLINK(\"x\")", "'=HYPERLINK(\"x\")"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-cmd", "'-cmd"),
            ("-12.5", "-12.5"),
            ("+49 171", "'+49 171"),
            ("007", "007"),
            ("＝1", "'＝1"),
            ("", ""),
        ] {
            assert_eq!(harmless(cell), shown);
        }
    }
}

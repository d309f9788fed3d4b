//! `results.csv`: the columns of the sheet, in its order, with the outcome of each row; and
//! `failures.csv`, the same for rows that can be fixed and used as a sheet.
//!
//! Invariant: a report replaces the previous one completely or not at all, and no cell is read as a
//! formula. The byte order mark makes every spreadsheet program read the file as UTF-8.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::atomic_file::create_temp_file;
use super::skip_reason::SkipColumns;
use crate::ledger::{BatchId, JobRow, JobState, Ledger, LedgerError, ReviewVerdict};
use crate::text::escape_formula;
use crate::text::time_format::format_rfc3339;

/// The reason why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The file could not be written; the previous one is unchanged.
    #[error("cannot write `{}`: {}", path.display(), io_error_message(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// Returns the reason why a file could not be written.
pub fn io_error_message(source: &io::Error) -> &'static str {
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

/// The columns after those of the sheet. `sheet::results_columns` knows them by the same list, so that the
/// user can fix `failures.csv` and run it.
const RESULTS_COLUMNS: [&str; 13] = [
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
    "review",
    "reviewed_by",
    "reviewed_at",
];
/// Rows read at once.
const ROWS_PER_PAGE: u32 = 1000;

/// The paths of the written files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenResults {
    /// The outcome of every row.
    pub results: PathBuf,
    /// The rows that can be fixed; `None` if there are none.
    pub failures: Option<PathBuf>,
    /// Columns of the sheet whose names differ at most in case from columns that were added.
    pub columns_like_ours: Vec<String>,
}

/// Writes `results.csv` and, if rows can be fixed, `failures.csv` into `folder`.
///
/// # Errors
/// [`ReportError`]; the previous files are unchanged.
pub async fn write_results(
    ledger: &Ledger,
    batch: BatchId,
    folder: &Path,
    skip_columns: &SkipColumns,
) -> Result<WrittenResults, ReportError> {
    let headings = ledger.headings(batch).await?;
    let mut results = ResultsFile::create(folder, super::RESULTS_FILE, &headings)?;
    let mut failures = ResultsFile::create(folder, super::FAILURES_FILE, &headings)?;
    let mut rows = ReportRows::new(ledger, batch);
    while let Some(row) = rows.next_row().await? {
        let row = skip_columns.explain(row, &headings);
        results.write_row(&row)?;
        if can_be_fixed(&row) {
            failures.write_row(&row)?;
        }
    }
    let results = results.persist()?;
    let failures =
        if failures.rows > 0 { Some(failures.persist()?) } else { failures.remove_previous()? };
    Ok(WrittenResults { results, failures, columns_like_ours: columns_like_ours(headings) })
}

fn columns_like_ours(mut headings: Vec<String>) -> Vec<String> {
    headings.retain(|heading| RESULTS_COLUMNS.contains(&heading.to_lowercase().as_str()));
    headings
}

/// Returns whether a row may be fixed and rendered. An uncertain row may already be paid for: used
/// in another batch, it would be paid for again.
fn can_be_fixed(row: &JobRow) -> bool {
    match row.state {
        None => !row.skipped,
        Some(JobState::Failed | JobState::Cancelled) => true,
        Some(
            JobState::Uncertain
            | JobState::Ready
            | JobState::Submitting
            | JobState::Rendering
            | JobState::Fetching
            | JobState::Done
            | JobState::Reused,
        ) => false,
    }
}

/// A report being written; it gets its name only when it is complete.
struct ResultsFile {
    path: PathBuf,
    sheet_columns: usize,
    rows: u64,
    writer: csv::Writer<io::BufWriter<tempfile::NamedTempFile>>,
}

impl ResultsFile {
    fn create(folder: &Path, name: &str, headings: &[String]) -> Result<Self, ReportError> {
        let path = folder.join(name);
        let create = || {
            std::fs::create_dir_all(folder)?;
            write_headings(io::BufWriter::new(create_temp_file(folder)?), headings)
        };
        match create() {
            Ok(out) => Ok(Self { path, sheet_columns: headings.len(), rows: 0, writer: out }),
            Err(source) => Err(ReportError::Io { path, source }),
        }
    }

    fn write_row(&mut self, row: &JobRow) -> Result<(), ReportError> {
        self.rows += 1;
        write_row_lines(&mut self.writer, row, self.sheet_columns)
            .map_err(|source| ReportError::Io { path: self.path.clone(), source })
    }

    fn persist(self) -> Result<PathBuf, ReportError> {
        let Self { path, writer: out, .. } = self;
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
            Err(source) => Err(ReportError::Io { path, source }),
        }
    }

    /// Discards this file and removes that of an earlier run, whose rows are fixed.
    fn remove_previous(self) -> Result<Option<PathBuf>, ReportError> {
        match std::fs::remove_file(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ReportError::Io { path: self.path, source })
            }
            Ok(()) | Err(_) => Ok(None),
        }
    }
}

/// All jobs and all rows without a job, in the order of the sheet, read page by page.
#[derive(Debug)]
pub struct ReportRows<'l> {
    ledger: &'l Ledger,
    batch: BatchId,
    jobs: RowPages,
    rows_without_job: RowPages,
    /// Whether verdicts are read; `None` before the first page.
    has_verdicts: Option<bool>,
}

/// One of two sorted streams, with the page read ahead.
#[derive(Debug, Default)]
struct RowPages {
    buffered: std::collections::VecDeque<JobRow>,
    last_position: Option<i64>,
    is_exhausted: bool,
}

impl<'l> ReportRows<'l> {
    /// Starts at the first row of the sheet.
    pub fn new(ledger: &'l Ledger, batch: BatchId) -> Self {
        let (jobs, rows_without_job) = (RowPages::default(), RowPages::default());
        Self { ledger, batch, jobs, rows_without_job, has_verdicts: None }
    }

    /// Returns the next row; `None` after the last one.
    pub async fn next_row(&mut self) -> Result<Option<JobRow>, LedgerError> {
        if self.jobs.should_fetch() {
            let after = self.jobs.last_position.unwrap_or(-1);
            let mut page = self.ledger.rows(self.batch, after, ROWS_PER_PAGE).await?;
            self.read_verdicts(&mut page).await?;
            self.jobs.fill_page(page);
        }
        if self.rows_without_job.should_fetch() {
            let after = self.rows_without_job.last_position.unwrap_or(-1);
            self.rows_without_job
                .fill_page(self.ledger.rows_without_job(self.batch, after, ROWS_PER_PAGE).await?);
        }
        let first = match (self.jobs.buffered.front(), self.rows_without_job.buffered.front()) {
            (Some(job), Some(other)) if other.position < job.position => &mut self.rows_without_job,
            (Some(_), _) => &mut self.jobs,
            (None, _) => &mut self.rows_without_job,
        };
        Ok(first.buffered.pop_front())
    }

    /// Completes a page of jobs with the verdicts on their videos.
    async fn read_verdicts(&mut self, page: &mut [JobRow]) -> Result<(), LedgerError> {
        let has_verdicts = match self.has_verdicts {
            Some(known) => known,
            None => self.ledger.has_verdicts(self.batch).await?,
        };
        self.has_verdicts = Some(has_verdicts);
        let Some(first) = page.first().map(|row| row.position).filter(|_| has_verdicts) else {
            return Ok(());
        };
        let items = self.ledger.review_items(self.batch, first - 1, ROWS_PER_PAGE).await?;
        let mut items = items.into_iter().peekable();
        for row in page {
            while items.next_if(|item| item.position < row.position).is_some() {}
            let item = items.next_if(|item| item.position == row.position);
            row.verdict = item.and_then(|item| item.verdict);
        }
        Ok(())
    }
}

impl RowPages {
    fn should_fetch(&self) -> bool {
        self.buffered.is_empty() && !self.is_exhausted
    }

    fn fill_page(&mut self, page: Vec<JobRow>) {
        self.is_exhausted = page.len() < ROWS_PER_PAGE as usize;
        self.last_position = page.last().map(|row| row.position).or(self.last_position);
        self.buffered = page.into();
    }
}

/// Begins a report: the byte order mark and the headings.
pub(super) fn write_headings<W: Write>(
    mut out: W,
    headings: &[String],
) -> io::Result<csv::Writer<W>> {
    out.write_all("\u{feff}".as_bytes())?;
    let mut out = csv::Writer::from_writer(out);
    let own = headings.iter().map(|heading| escape_formula(heading));
    write_record(&mut out, own.chain(RESULTS_COLUMNS.into_iter().map(Cow::Borrowed)))?;
    Ok(out)
}

pub(super) fn write_row_lines<W: Write>(
    out: &mut csv::Writer<W>,
    row: &JobRow,
    columns: usize,
) -> io::Result<()> {
    let cells: Vec<Vec<String>> = serde_json::from_str(&row.cells).unwrap_or_default();
    // Each row of a group has its own line; a problem of the whole sheet has one without cells.
    let lines = if cells.is_empty() { vec![Vec::new()] } else { cells };
    let outcome = outcome_cells(row);
    for mut cells in lines {
        cells.resize(columns, String::new());
        let own = cells.iter().map(|cell| escape_formula(cell));
        write_record(out, own.chain(outcome.iter().map(|cell| escape_formula(cell))))?;
    }
    Ok(())
}

fn outcome_cells(row: &JobRow) -> [String; RESULTS_COLUMNS.len()] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let state = match row.state {
        Some(JobState::Rendering) if row.stalled => "stalled",
        Some(JobState::Ready) if row.generating => "generating",
        Some(_) | None => row.status().as_str(),
    };
    let verdict = row.verdict.as_ref();
    let has_message = can_be_fixed(row) || row.skipped || row.state == Some(JobState::Uncertain);
    [
        state.to_owned(),
        if row.state.is_some() { row.version.to_string() } else { String::new() },
        text(&row.project_id),
        text(&row.video_file),
        row.video_url.as_deref().map(strip_query).unwrap_or_default().to_owned(),
        row.attempts.to_string(),
        row.video_ms.map(|ms| format!("{:.1}", ms as f64 / 1000.0)).unwrap_or_default(),
        row.credits.map(|credits| credits.to_string()).unwrap_or_default(),
        if has_message {
            row.message.clone().or_else(|| row.cause.clone()).unwrap_or_default()
        } else {
            String::new()
        },
        text(&row.variant),
        verdict.map(|verdict| verdict.kind.as_str().to_owned()).unwrap_or_default(),
        verdict.map(ReviewVerdict::attribution).unwrap_or_default(),
        verdict.map(|verdict| format_rfc3339(verdict.at)).unwrap_or_default(),
    ]
}

/// Returns a URL without its query, which may contain a signature that grants access to the file.
pub(super) fn strip_query(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

fn write_record<'c, W: Write>(
    out: &mut csv::Writer<W>,
    cells: impl Iterator<Item = Cow<'c, str>>,
) -> io::Result<()> {
    for cell in cells {
        out.write_field(cell.as_bytes()).map_err(into_io_error)?;
    }
    out.write_record(None::<&[u8]>).map_err(into_io_error)
}

fn into_io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

//! Finds the rows of a page: reads the fewest rows that can match, in the order of the sheet.
//!
//! Each status is a stream of its own, read by an index; the streams are merged by position. In a large
//! batch, the rows with a text or a cell come from its texts in memory.
//! Invariant: a page reads at most [`SCANNED_MAX`] rows, however large the batch is, and says where
//! it stopped.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::console::pages::rows::row_query::{RowPlace, RowQuery, RowSort};
use crate::console::pages::rows::row_texts::{RowTexts, TextNeedle};
use crate::ledger::{BatchId, JobRow, JobState, Ledger, LedgerError, RowPageStart, RowStatus};

/// Rows on a page.
pub(super) const PAGE_ROWS: usize = 50;
/// Rows that one page may read to sort them.
const SORTED_MAX: usize = 10_000;
/// Rows that one page may read in search of those that match.
const SCANNED_MAX: usize = 4000;
/// A batch with more jobs is searched in its texts.
pub(super) const SEARCHED_MAX: u64 = SCANNED_MAX as u64;
/// Rows read at once.
const CHUNK_ROWS: u32 = 200;
/// Rows with a text that are read at once: a full page of them, and one more.
const CHUNK_FOUND: usize = PAGE_ROWS + 1;
/// Rows whose job was removed from the sheet.
const REMOVED_MAX: u32 = 10_000;

/// One page of matching rows.
#[derive(Debug, Default)]
pub(super) struct FoundRows {
    pub(super) rows: Vec<JobRow>,
    pub(super) earlier: Option<RowPlace>,
    pub(super) later: Option<RowPlace>,
    /// Whether it stopped before the page was full, and `later` goes on searching.
    pub(super) is_cut: bool,
    /// Whether these are the rows with exactly this key or project id, of too many to search all.
    pub(super) is_exact: bool,
    /// Whether messages were left out, because the texts of all rows were searched.
    pub(super) is_by_texts: bool,
    /// Whether there are too many rows to sort, so that they are in the order of the sheet.
    pub(super) is_unsorted: bool,
}

/// A search in progress.
pub(super) struct RowSearch<'s> {
    ledger: &'s Ledger,
    batch: BatchId,
    query: &'s RowQuery,
    /// The texts of all rows and what is to be found in them.
    texts: Option<SearchedTexts>,
    streams: Vec<RowStream>,
    is_backwards: bool,
    scanned: usize,
    scanned_max: usize,
    last_position: Option<i64>,
}

/// The texts of a batch, and what is searched in them.
#[derive(Clone)]
struct SearchedTexts {
    texts: Arc<RowTexts>,
    needle: TextNeedle,
}

/// Where rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowSource {
    /// The rows of the texts that contain what is searched.
    WithText,
    AllJobs,
    JobsIn(JobState),
    WithoutJob,
    Removed,
}

/// The rows of one source that were read ahead.
struct RowStream {
    source: RowSource,
    start: RowPageStart,
    buffered: VecDeque<JobRow>,
    is_exhausted: bool,
}

impl<'s> RowSearch<'s> {
    pub(super) fn new(ledger: &'s Ledger, batch: BatchId, query: &'s RowQuery) -> Self {
        let search = Self {
            ledger,
            batch,
            query,
            texts: None,
            streams: Vec::new(),
            is_backwards: false,
            scanned: 0,
            scanned_max: usize::MAX,
            last_position: None,
        };
        search.starting_at(RowPageStart::After(-1))
    }

    /// Begins at another place, and goes on from there.
    pub(super) fn starting_at(mut self, start: RowPageStart) -> Self {
        self.is_backwards = matches!(start, RowPageStart::Before(_));
        let stream =
            |source| RowStream { source, start, buffered: VecDeque::new(), is_exhausted: false };
        let sources = match &self.texts {
            Some(_) => vec![RowSource::WithText],
            None => sources(&self.query.statuses),
        };
        self.streams = sources.into_iter().map(stream).collect();
        self
    }

    /// Searches the texts of all rows, if the query has a text for them.
    pub(super) fn searching(mut self, texts: Option<Arc<RowTexts>>) -> Self {
        let needle = self.query.needle();
        self.texts = texts.zip(needle).map(|(texts, needle)| SearchedTexts { texts, needle });
        self.starting_at(RowPageStart::After(-1))
    }

    /// Returns the page that the query asks for.
    pub(super) async fn find(self) -> Result<FoundRows, LedgerError> {
        let number = match self.query.place {
            RowPlace::After(after) => {
                return self.starting_at(RowPageStart::After(after)).find_in_order().await;
            }
            RowPlace::Before(before) => {
                return self.starting_at(RowPageStart::Before(before)).find_in_order().await;
            }
            RowPlace::Page(number) => number,
        };
        let (ledger, batch, query) = (self.ledger, self.batch, self.query);
        let texts = self.texts.as_ref().map(|searched| searched.texts.clone());
        match self.find_sorted(number).await? {
            Some(found) => Ok(found),
            None => {
                let search = Self::new(ledger, batch, query).searching(texts);
                let found = search.find_in_order().await?;
                Ok(FoundRows { is_unsorted: true, earlier: None, later: None, ..found })
            }
        }
    }

    /// Returns the rows with exactly the key or project id that is searched, if there are any, in a batch
    /// that is too large to be searched for every cell at once.
    pub(super) async fn find_exact(&self) -> Result<Option<FoundRows>, LedgerError> {
        let Some(text) = &self.query.exact_text else { return Ok(None) };
        let jobs: u64 = self.ledger.state_counts(self.batch).await?.into_values().sum();
        if jobs <= SEARCHED_MAX {
            return Ok(None);
        }
        let mut positions = self.ledger.row_positions(self.batch, text).await?;
        positions.truncate(PAGE_ROWS);
        let mut rows = self.ledger.rows_at(self.batch, &positions).await?;
        rows.retain(|row| self.query.is_match(row));
        let found = FoundRows { rows, is_exact: true, ..FoundRows::default() };
        Ok((!found.rows.is_empty()).then_some(found))
    }

    async fn find_in_order(mut self) -> Result<FoundRows, LedgerError> {
        let mut rows = Vec::new();
        let is_backwards = self.is_backwards;
        self.scanned_max = SCANNED_MAX;
        while rows.len() <= PAGE_ROWS
            && let Some(row) = self.next_match().await?
        {
            rows.push(row);
        }
        let is_cut = rows.len() <= PAGE_ROWS && self.scanned >= SCANNED_MAX;
        let has_more = rows.len() > PAGE_ROWS;
        rows.truncate(PAGE_ROWS);
        let onwards = match (has_more, is_cut) {
            (true, _) => rows.last().map(|row| row.position),
            (false, true) => self.last_position,
            (false, false) => None,
        };
        let first = rows.first().map(|row| row.position);
        let is_sheet_reversed = self.query.is_descending;
        let back = self.start_position().map(|start| first.unwrap_or(start));
        if is_backwards != is_sheet_reversed {
            rows.reverse();
        }
        let (earlier, later) = match is_backwards {
            false => (back.map(RowPlace::Before), onwards.map(RowPlace::After)),
            true => (onwards.map(RowPlace::Before), back.map(RowPlace::After)),
        };
        let (earlier, later) = if is_sheet_reversed { (later, earlier) } else { (earlier, later) };
        let is_by_texts = self.texts.is_some() && self.query.text.is_some();
        Ok(FoundRows { rows, earlier, later, is_cut, is_by_texts, ..FoundRows::default() })
    }

    /// Returns where the page began; `None` at the beginning or the end of the sheet.
    fn start_position(&self) -> Option<i64> {
        match self.query.place {
            RowPlace::After(after) => (after >= 0).then_some(after),
            RowPlace::Before(before) => (before < i64::MAX).then_some(before),
            RowPlace::Page(_) => None,
        }
    }

    /// Returns a page of the sorted rows; `None` if they are too many.
    async fn find_sorted(mut self, number: usize) -> Result<Option<FoundRows>, LedgerError> {
        if self.count_jobs().await? > SORTED_MAX as u64 {
            return Ok(None);
        }
        let mut rows = Vec::new();
        self.scanned_max = SORTED_MAX;
        while let Some(row) = self.next_match().await? {
            rows.push(row);
        }
        if self.scanned >= SORTED_MAX {
            return Ok(None);
        }
        sort_rows(&mut rows, self.query.sort);
        if self.query.is_descending {
            rows.reverse();
        }
        let pages = rows.len().div_ceil(PAGE_ROWS);
        let number = number.min(pages.saturating_sub(1));
        let rows: Vec<_> = rows.into_iter().skip(number * PAGE_ROWS).take(PAGE_ROWS).collect();
        Ok(Some(FoundRows {
            rows,
            earlier: number.checked_sub(1).map(RowPlace::Page),
            later: (number + 1 < pages).then_some(RowPlace::Page(number + 1)),
            is_by_texts: self.texts.is_some() && self.query.text.is_some(),
            ..FoundRows::default()
        }))
    }

    /// Returns the number of jobs in the states that are searched.
    async fn count_jobs(&self) -> Result<u64, LedgerError> {
        let counts = self.ledger.state_counts(self.batch).await?;
        let is_searched = |state: JobState| {
            let mut sources = self.streams.iter().map(|stream| stream.source);
            sources.any(|source| source == RowSource::AllJobs || source == RowSource::JobsIn(state))
        };
        Ok(counts.iter().filter(|(state, _)| is_searched(**state)).map(|(_, jobs)| jobs).sum())
    }

    /// Returns the next row that matches; `None` after the last one, or at the limit of a page.
    pub(super) async fn next_match(&mut self) -> Result<Option<JobRow>, LedgerError> {
        while self.scanned < self.scanned_max
            && let Some(row) = self.next_row().await?
        {
            self.scanned += 1;
            self.last_position = Some(row.position);
            if self.query.is_match(&row) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    async fn next_row(&mut self) -> Result<Option<JobRow>, LedgerError> {
        for stream in &mut self.streams {
            stream.fill(self.ledger, self.batch, self.texts.as_ref()).await?;
        }
        let is_backwards = self.is_backwards;
        let place = |stream: &RowStream| {
            let position = stream.buffered.front().map(|row| row.position)?;
            Some(if is_backwards { -position } else { position })
        };
        let next = self.streams.iter_mut().filter_map(|stream| Some((place(stream)?, stream)));
        let next = next.min_by_key(|(position, _)| *position);
        Ok(next.and_then(|(_, stream)| stream.buffered.pop_front()))
    }
}

impl RowStream {
    async fn fill(
        &mut self,
        ledger: &Ledger,
        batch: BatchId,
        texts: Option<&SearchedTexts>,
    ) -> Result<(), LedgerError> {
        if !self.buffered.is_empty() || self.is_exhausted {
            return Ok(());
        }
        let rows = match self.source {
            RowSource::WithText => return self.fill_from_texts(ledger, batch, texts).await,
            RowSource::AllJobs => ledger.job_rows_from(batch, None, self.start, CHUNK_ROWS).await?,
            RowSource::JobsIn(state) => {
                ledger.job_rows_from(batch, Some(state), self.start, CHUNK_ROWS).await?
            }
            RowSource::WithoutJob => {
                ledger.rows_without_job_from(batch, self.start, CHUNK_ROWS).await?
            }
            RowSource::Removed => removed_rows(ledger, batch, self.start).await?,
        };
        self.is_exhausted = self.source == RowSource::Removed || rows.len() < CHUNK_ROWS as usize;
        if let Some(last) = rows.last() {
            self.start = match self.start {
                RowPageStart::After(_) => RowPageStart::After(last.position),
                RowPageStart::Before(_) => RowPageStart::Before(last.position),
            };
        }
        self.buffered = rows.into();
        Ok(())
    }

    /// Reads the next rows that contain a text. A row that was removed meanwhile is left out.
    async fn fill_from_texts(
        &mut self,
        ledger: &Ledger,
        batch: BatchId,
        texts: Option<&SearchedTexts>,
    ) -> Result<(), LedgerError> {
        let Some(SearchedTexts { texts, needle }) = texts else { return Ok(()) };
        while self.buffered.is_empty() && !self.is_exhausted {
            let positions = texts.find(needle, self.start, CHUNK_FOUND);
            self.is_exhausted = positions.len() < CHUNK_FOUND;
            let Some(last) = positions.last() else { return Ok(()) };
            let mut rows = ledger.rows_at(batch, &positions).await?;
            match self.start {
                RowPageStart::After(_) => self.start = RowPageStart::After(*last),
                RowPageStart::Before(_) => {
                    self.start = RowPageStart::Before(*last);
                    rows.reverse();
                }
            }
            self.buffered = rows.into();
        }
        Ok(())
    }
}

async fn removed_rows(
    ledger: &Ledger,
    batch: BatchId,
    start: RowPageStart,
) -> Result<Vec<JobRow>, LedgerError> {
    let mut rows = ledger.removed_rows(batch, REMOVED_MAX).await?;
    match start {
        RowPageStart::After(after) => rows.retain(|row| row.position > after),
        RowPageStart::Before(before) => {
            rows.retain(|row| row.position < before);
            rows.reverse();
        }
    }
    Ok(rows)
}

/// Returns the sources that have all rows with these statuses, each one once.
fn sources(statuses: &[RowStatus]) -> Vec<RowSource> {
    if statuses.is_empty() {
        return vec![RowSource::AllJobs, RowSource::WithoutJob];
    }
    let mut sources = Vec::new();
    for status in statuses {
        match status {
            RowStatus::State(state) => sources.push(RowSource::JobsIn(*state)),
            RowStatus::Stalled => sources.push(RowSource::JobsIn(JobState::Rendering)),
            RowStatus::Generating => sources.push(RowSource::JobsIn(JobState::Ready)),
            RowStatus::Invalid | RowStatus::Skipped => sources.push(RowSource::WithoutJob),
            RowStatus::Removed => sources.push(RowSource::Removed),
            RowStatus::Open => {
                let open = JobState::ALL.iter().filter(|state| !state.is_final());
                sources.extend(open.map(|state| RowSource::JobsIn(*state)));
            }
        }
    }
    let mut once: Vec<RowSource> = Vec::new();
    for source in sources {
        if !once.contains(&source) {
            once.push(source);
        }
    }
    once
}

/// Sorts rows; equal ones stay in the order of the sheet. Unknown values are last.
fn sort_rows(rows: &mut [JobRow], sort: RowSort) {
    match sort {
        RowSort::Sheet => {}
        RowSort::Key => rows.sort_by(|a, b| {
            let key = |row: &JobRow| (row.key.is_none(), row.key.clone());
            key(a).cmp(&key(b))
        }),
        RowSort::State => rows.sort_by_key(|row| (row.state.is_none(), row.status())),
        RowSort::Length => rows.sort_by_key(|row| Reverse(row.video_ms)),
        RowSort::Credits => {
            rows.sort_by(|a, b| b.credits.unwrap_or(-1.0).total_cmp(&a.credits.unwrap_or(-1.0)));
        }
        RowSort::Attempts => rows.sort_by_key(|row| Reverse(row.attempts)),
    }
}

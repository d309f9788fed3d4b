//! The storyboard of a batch as a file: every row merged, drawn, and compared with the ledger.
//!
//! Sends no request and changes nothing in the ledger. The file is renamed into place when it is
//! complete.

use std::io::{self, Seek, Write};
use std::path::Path;

use crate::batch::{Batch, VideoResolution};
use crate::cli::output::printer::Printer;
use crate::ledger::{BatchId, Ledger, LedgerError};
use crate::payload::PayloadMerger;
use crate::plan;
use crate::plan::{PlanError, PlanInputs, SkipReasons, VariantMapping};
use crate::report::storyboard::{
    ChangeStatus, STORYBOARD_CARDS_MAX, SkippedRows, StoryboardCard, StoryboardCounts,
    StoryboardHead, StoryboardPictures, group_cards, storyboard_foot as page_foot,
};
use crate::report::{create_temp_file, io_error_message};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::sheet::SheetEntry;
use crate::template::{TemplateProblem, TemplateProblemLocation};
use crate::text::pluralize;

/// A storyboard to be written.
pub(crate) struct Storyboard<'a> {
    pub(crate) path: &'a Path,
    pub(crate) batch: &'a Batch,
    /// The ledger with the previous versions; `None` if there is no ledger yet.
    pub(crate) ledger: Option<&'a Ledger>,
    /// Lines about the batch, at the top of the page.
    pub(crate) header_lines: Vec<String>,
    /// How pictures are shown.
    pub(crate) pictures: StoryboardPictures,
    /// Whether unreadable rows are included; their keys are unknown.
    pub(crate) includes_unreadable_rows: bool,
    /// The error if no row is selected; without it, an empty page is written.
    pub(crate) empty_message: Option<String>,
}

/// Returns how pictures are shown, by the option `--pictures`.
pub(crate) fn storyboard_pictures(are_loaded: bool) -> StoryboardPictures {
    if are_loaded { StoryboardPictures::Loaded } else { StoryboardPictures::Placeholders }
}

/// Why a storyboard could not be written.
pub(crate) enum StoryboardError {
    Plan(PlanError),
    Command(CommandError),
}

impl From<LedgerError> for StoryboardError {
    fn from(error: LedgerError) -> Self {
        Self::Command(CommandError::new(ExitReason::Unexpected, error))
    }
}

impl Storyboard<'_> {
    /// Draws the selected rows, prints the path, and returns the number of invalid jobs.
    pub(crate) async fn write(
        &self,
        wanted: impl Fn(&SheetEntry, &str) -> bool,
        printer: &Printer,
    ) -> Result<u64, StoryboardError> {
        let PlanInputs { template, sheet, variants, request_kind: kind, .. } =
            PlanInputs::open(self.batch).map_err(StoryboardError::Plan)?;
        let previous = match self.ledger {
            Some(ledger) => PreviousVersions::find(ledger, self.batch).await?,
            None => None,
        };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let write_error = |error: io::Error| {
            let words =
                format!("cannot write `{}`: {}", self.path.display(), io_error_message(&error));
            StoryboardError::Command(CommandError::new(ExitReason::Unexpected, words))
        };
        let mut cards = io::BufWriter::new(create_temp_file(folder).map_err(write_error)?);
        let mut renderer = StoryboardRenderer {
            mergers: variants
                .iter()
                .map(|edition| {
                    PayloadMerger::new(&template, &edition.columns).with_request_kind(kind)
                })
                .collect(),
            resolution: self.batch.studio.resolution.map(VideoResolution::as_str),
            previous,
            pictures: self.pictures,
            counts: StoryboardCounts::default(),
            skipped: SkippedRows::default(),
            invalid_jobs: 0,
        };
        let reasons = SkipReasons::of_sheet(&sheet);
        let mut jobs = 0;
        let mut put = |html: String| cards.write_all(html.as_bytes()).map_err(write_error);
        for entry in sheet.entries() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(_) if !self.includes_unreadable_rows => continue,
                Err(problem) => {
                    if jobs < STORYBOARD_CARDS_MAX {
                        put(renderer.render_unreadable_row(&problem))?;
                    }
                    jobs += 1;
                    continue;
                }
            };
            let rows: Vec<Vec<String>> = entry.rows.iter().map(|row| row.cells.clone()).collect();
            let mut row_cards = Vec::new();
            for (number, edition) in variants.iter().enumerate() {
                let key = edition.job_key(&entry.key);
                if !wanted(&entry, &key) {
                    continue;
                }
                if !edition.should_make(&entry, &rows) {
                    renderer.skip_video(&reasons, edition, &entry, &rows);
                    continue;
                }
                if jobs < STORYBOARD_CARDS_MAX {
                    let row = entry.rows.first().map_or(1, |row| row.number);
                    row_cards.push(renderer.render_card(&key, row, number, &rows).await?);
                }
                jobs += 1;
            }
            match row_cards.len() {
                0 => {}
                _ if variants.len() > 1 => put(group_cards(&entry.key, &row_cards))?,
                _ => put(row_cards.concat())?,
            }
        }
        if let (0, Some(words)) = (jobs, &self.empty_message) {
            return Err(StoryboardError::Command(CommandError::new(ExitReason::Input, words)));
        }
        let left_out = jobs.saturating_sub(STORYBOARD_CARDS_MAX);
        let mut cards = cards.into_inner().map_err(|error| write_error(error.into_error()))?;
        let foot = page_foot(left_out, &renderer.skipped);
        self.assemble(cards.as_file_mut(), renderer.counts, &foot).map_err(write_error)?;
        let limit = if left_out > 0 {
            format!("; the first {STORYBOARD_CARDS_MAX} drawn")
        } else {
            String::new()
        };
        printer.status(&format!(
            "Storyboard: {} ({}{limit})",
            self.path.display(),
            pluralize(jobs, "video")
        ));
        Ok(renderer.invalid_jobs)
    }
}

impl Storyboard<'_> {
    /// Writes the page: the counts of its filters are known when all cards are written.
    fn assemble(
        &self,
        cards: &mut std::fs::File,
        counts: StoryboardCounts,
        foot: &str,
    ) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut page = create_temp_file(folder.unwrap_or(Path::new(".")))?;
        // A plan has its counts at the top.
        let kind = if self.header_lines.is_empty() { "Storyboard" } else { "Plan" };
        let title = format!("{kind} of {}", self.batch.name);
        let head = StoryboardHead {
            title: &title,
            lines: &self.header_lines,
            counts,
            pictures: self.pictures,
        };
        page.write_all(head.render().as_bytes())?;
        cards.rewind()?;
        io::copy(cards, page.as_file_mut())?;
        page.write_all(foot.as_bytes())?;
        page.persist(self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Renders one row after the other.
struct StoryboardRenderer<'t, 'l> {
    /// One per variant.
    mergers: Vec<PayloadMerger<'t>>,
    resolution: Option<&'static str>,
    previous: Option<PreviousVersions<'l>>,
    pictures: StoryboardPictures,
    counts: StoryboardCounts,
    skipped: SkippedRows,
    invalid_jobs: u64,
}

impl StoryboardRenderer<'_, '_> {
    async fn render_card(
        &mut self,
        key: &str,
        row: u64,
        edition: usize,
        rows: &[Vec<String>],
    ) -> Result<String, LedgerError> {
        let merger = &mut self.mergers[edition];
        let known = match &self.previous {
            Some(previous) => previous.ledger.planned_version(previous.batch, key).await?,
            None => None,
        };
        let change_status = match (&known, &self.previous) {
            (Some(_), _) => ChangeStatus::Changed,
            (None, Some(_)) => ChangeStatus::New,
            (None, None) => ChangeStatus::Unknown,
        };
        let mut card = StoryboardCard { key, row, change_status, ..StoryboardCard::default() };
        let (text, problems, warnings);
        match merger.merge(rows) {
            Ok(payload) => {
                warnings = merger.warnings(&payload);
                problems = Vec::new();
                if let Some(known) = &known
                    && payload.video_hash(self.resolution) == known.payload_hash
                {
                    card.change_status = ChangeStatus::Unchanged;
                }
                text = Some(payload.into_text());
            }
            Err(wrong) => {
                // A payload that cannot be sent can often be drawn, with the problem marked.
                text = merger.merge_pretty(rows).ok();
                (problems, warnings) = (wrong, Vec::new());
                self.invalid_jobs += 1;
            }
        }
        let before = known
            .filter(|_| card.change_status == ChangeStatus::Changed)
            .and_then(|known| Some((known.version, known.payload.text().ok()?)));
        card.text = text.as_deref();
        card.previous_version = before.as_ref().map(|(version, text)| (*version, text.as_str()));
        (card.problems, card.warnings) = (&problems, &warnings);
        card.pictures = self.pictures;
        self.counts.add(&card);
        Ok(card.render())
    }

    /// Records why a video of a row is not made.
    fn skip_video(
        &mut self,
        reasons: &SkipReasons,
        variant: &VariantMapping,
        entry: &SheetEntry,
        rows: &[Vec<String>],
    ) {
        // In a report used as a sheet, a line is about one variant.
        let is_own = entry.variant.is_none() || entry.variant == variant.variant;
        let reason = reasons.reason(variant, rows, entry.skip_mark).filter(|_| is_own);
        if let Some(reason) = reason {
            let row = entry.rows.first().map_or(1, |row| row.number);
            let key =
                if entry.key.is_empty() { String::new() } else { variant.job_key(&entry.key) };
            self.skipped.add(row, &key, reason);
        }
    }

    /// Renders a row that cannot be read.
    fn render_unreadable_row(&mut self, problem: &crate::sheet::SheetProblem) -> String {
        self.invalid_jobs += 1;
        let (row, message) = (problem.row.unwrap_or(1), problem.message.clone());
        let place = TemplateProblemLocation::Column { name: String::new(), origin: None };
        let problems = [TemplateProblem { location: place, message, help: problem.help.clone() }];
        let key = problem.column.as_ref().map(ToString::to_string).unwrap_or_default();
        let card =
            StoryboardCard { key: &key, row, problems: &problems, ..StoryboardCard::default() };
        self.counts.add(&card);
        card.render()
    }
}

/// The versions of the batch in the ledger.
struct PreviousVersions<'l> {
    ledger: &'l Ledger,
    batch: BatchId,
}

impl<'l> PreviousVersions<'l> {
    /// Returns `None` if the batch is not in the ledger.
    async fn find(ledger: &'l Ledger, batch: &Batch) -> Result<Option<Self>, LedgerError> {
        plan::store_missing_payloads(ledger, batch.name.as_str()).await?;
        match ledger.batch(batch.name.as_str()).await {
            Ok(stored) => Ok(Some(Self { ledger, batch: stored.id })),
            Err(LedgerError::BatchNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

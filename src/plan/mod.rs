//! The plan: the rows of a sheet, merged and compared with the ledger before anything is paid.
//!
//! Every row is merged and checked, even if the ledger knows it, and all problems are reported at
//! once. Rows are streamed: a million rows need no more memory than a thousand. This module sends
//! no request to AI Studios. Invariant: nothing is written before the whole plan is committed.

mod approval_hash;
mod catalog_check;
mod cell_check;
mod estimate;
mod former_hash;
mod inputs;
mod payload_change;
mod pipeline;
mod problem;
mod rejected_rows;
mod replaced_keys;
mod review;
mod rewritten_cells;
mod row_filter;
mod row_listing;
mod row_merger;
mod row_replacements;
mod safe_file_name;
mod selected_keys;
mod skip_reason;
mod starter_sheet;
mod stored_payloads;
mod template_files;
mod variant;
mod video_comparison;

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::batch::{Batch, BatchLimits};
use crate::ledger::{
    BatchId, ComparedSheet, FormerFileName, Ledger, LedgerError, PlanCounts, PlanHeader,
    StagedSheet,
};
use crate::payload::CatalogRef;
use crate::sheet;

use payload_change::to_json;
use pipeline::{MergeTotals, SheetSelection};
use replaced_keys::KeyColumns;
use row_listing::ROWS_LISTED_MAX;

pub use approval_hash::sheet_hash;
pub use catalog_check::{AccountCatalog, CatalogUse};
pub use estimate::RenderEstimate;
pub use inputs::PlanInputs;
pub use payload_change::PayloadChange;
pub use problem::{PlanProblem, PlanProblemSource, PlanProblems};
pub use replaced_keys::ReplacedKey;
pub use review::{ConfirmationCause, PlanReview};
pub use row_filter::{
    InvalidCondition, RowCondition, RowFilter, RowSelection, UnknownConditionColumn,
};
pub use row_listing::RowListing;
pub use safe_file_name::video_file_name;
pub use skip_reason::SkipReasons;
pub use starter_sheet::{StarterSheet, build_starter_sheet};
pub use stored_payloads::store_missing_payloads;
pub use template_files::{TemplateFiles, partial_files};
pub use variant::VariantMapping;

/// A plan that can be committed.
#[derive(Debug)]
pub struct Plan {
    /// The rows by their relation to the ledger.
    pub counts: PlanCounts,
    /// The findings that prevent rows from being rendered.
    pub problems: PlanProblems,
    /// The findings that do not: probable mistakes.
    pub warnings: PlanProblems,
    /// The catalogue items that the payloads use, if [`RowSelection`] requests them.
    pub catalog_uses: BTreeMap<CatalogRef, CatalogUse>,
    /// The first rows of each kind, by key; [`Plan::list_all_rows`] has all.
    pub listing: RowListing,
    /// The assumed price of a started minute of speech.
    pub credits_per_minute: f64,
    /// What it would pay for a second time.
    pub review: PlanReview,
    /// The videos of all rows, without those that are skipped.
    pub rows: u64,
    /// The rows of the sheet that make at least one of these videos.
    pub sheet_rows: u64,
    /// The rows selected by the user; `None` without a selection.
    pub selected_rows: Option<u64>,
    /// The headings of columns that neither the template nor the batch file uses.
    pub unused_columns: Vec<String>,
    /// How the sheet was read; guesses should be reported.
    pub sheet_reading: sheet::SheetFormat,
    /// The template's files, to quote lines with problems.
    pub template_files: TemplateFiles,
    /// The time that planning took.
    pub elapsed: Duration,
    columns: KeyColumns,
    /// The hash of the template.
    template_hash: String,
    compared: ComparedSheet,
}

/// The reason why a batch cannot be planned.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The sheet cannot be read at all.
    #[error("the sheet is wrong")]
    Sheet(sheet::SheetProblems),
    /// The template is wrong, independently of the rows.
    #[error("the template is wrong")]
    Template {
        /// Its files.
        files: TemplateFiles,
        /// All problems.
        problems: Vec<crate::template::TemplateProblem>,
    },
    /// A file cannot be read.
    #[error("cannot read {what} `{}`: {why}", path.display())]
    File {
        /// "the template".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// The `file` pattern of the batch file is wrong.
    #[error("`file` in the batch file is wrong")]
    FilePattern(Vec<crate::template::TemplateProblem>),
    /// The user's selection matches nothing in the sheet.
    #[error("{0}")]
    Selection(String),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Plans all rows of a batch for the host at `base_url`.
///
/// # Errors
/// [`PlanError`]. Rows that cannot be merged are not errors; they are the problems of the plan.
pub async fn plan_batch(batch: &Batch, base_url: &str, ledger: &Ledger) -> Result<Plan, PlanError> {
    plan_filtered(batch, Some(base_url), ledger, &RowSelection::default()).await
}

/// Plans a batch of which only the rows in `selection` will be submitted; the others are planned
/// too and keep their state. Without `base_url` the plan cannot be committed.
///
/// # Errors
/// As [`plan_batch`], and [`PlanError::Selection`].
pub async fn plan_filtered(
    batch: &Batch,
    base_url: Option<&str>,
    ledger: &Ledger,
    selection: &RowSelection,
) -> Result<Plan, PlanError> {
    let start = Instant::now();
    store_missing_payloads(ledger, batch.name.as_str()).await?;
    let mut inputs = PlanInputs::open(batch)?;
    let selection = &inputs.replace_rows(batch, selection)?;
    let filters = inputs.row_filters(selection)?;
    let resolve = |keys| selected_keys::resolve_keys(keys, &inputs);
    let keys = selection.keys.as_deref().map(resolve).transpose()?;
    let selection = &RowSelection { keys, ..selection.clone() };
    let header = PlanHeader {
        has_selection: !selection.is_unrestricted(),
        ..staging_header(batch, base_url, &inputs)
    };
    let mut staging = ledger.stage(header).await?;
    let resolution = batch.studio.resolution.map(|resolution| resolution.as_str().to_owned());
    let columns = KeyColumns {
        headings: inputs.sheet.headings().to_vec(),
        key: inputs.sheet.key_columns().to_vec(),
    };
    let (sheet_reading, template_files) =
        (inputs.sheet.format().clone(), inputs.template_files.clone());
    let template_hash = inputs.template.hash().to_owned();
    let unused_columns = inputs.unused_columns(&filters);
    let sheet_warnings = inputs.sheet.warnings().to_vec();
    let selected = SheetSelection { selection, filters };
    let mut totals = pipeline::merge_sheet(inputs, resolution, selected, &mut staging).await?;
    if let Some(message) = unmatched_message(selection, &totals) {
        staging.discard().await;
        return Err(PlanError::Selection(message));
    }
    let shared_files = totals.shared_file_hashes();
    let identical_videos = totals.identical_videos();
    let MergeTotals {
        rows,
        sheet_rows,
        mut problems,
        warnings,
        mut catalog_uses,
        selected_rows,
        ..
    } = totals;
    if let (true, Some(id)) = (selection.should_record_catalog_uses, &batch.studio.workspace_id) {
        let used = CatalogUse { first_row: None, rows };
        catalog_check::record_use(&mut catalog_uses, CatalogRef::Workspace(id.clone()), used);
    }
    add_shared_files(&mut problems, &shared_files, &mut staging).await?;
    let mut compared = staging.classify().await?;
    let share = batch.limits.rerender_share;
    let mut review = PlanReview::new(&mut compared, &columns, share).await?;
    review.identical_videos = identical_videos.filter(|_| compared.counts().to_render > 0);
    let sheet_warnings = sheet_warnings.into_iter().map(PlanProblem::from_sheet_warning);
    let warnings = warnings.after(sheet_warnings);
    Ok(Plan {
        counts: compared.counts().clone(),
        problems,
        warnings,
        catalog_uses,
        listing: RowListing::read(&mut compared, &columns.headings, ROWS_LISTED_MAX).await?,
        credits_per_minute: ledger.credits_per_minute().await?,
        review,
        rows,
        sheet_rows,
        selected_rows: (!selection.is_unrestricted()).then_some(selected_rows),
        unused_columns,
        sheet_reading,
        template_files,
        elapsed: start.elapsed(),
        columns,
        template_hash,
        compared,
    })
}

/// Returns the error message if the user's selection matches nothing that can be submitted.
fn unmatched_message(selection: &RowSelection, totals: &MergeTotals) -> Option<String> {
    if let Some(key) = totals.unknown_keys.first() {
        return Some(selection.unknown_key_message(key));
    }
    let is_unmatched = totals.selected_rows == 0 && !selection.is_unrestricted();
    is_unmatched.then(|| selection.nothing_selected_message(totals.skipped_selection.as_deref()))
}

/// Adds the rows that would be written to one file. `hashes` are those of candidates.
async fn add_shared_files(
    problems: &mut PlanProblems,
    hashes: &HashSet<u64>,
    staging: &mut StagedSheet,
) -> Result<(), LedgerError> {
    if hashes.is_empty() {
        return Ok(());
    }
    let is_shared = |name: &str| hashes.contains(&safe_file_name::collision_hash(name));
    let shared_key = |name: &str| is_shared(name).then(|| safe_file_name::collision_key(name));
    for file in staging.shared_file_names(shared_key).await? {
        problems.add_shared_file(&file);
    }
    Ok(())
}

impl Plan {
    /// Returns whether every row was merged and has a file of its own.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Estimates the videos to render, without retries.
    pub fn estimate(&self, limits: &BatchLimits) -> RenderEstimate {
        RenderEstimate::from_counts(&self.counts, limits, self.credits_per_minute)
    }

    /// Lists every row, for programs.
    ///
    /// # Errors
    /// If the ledger fails.
    pub async fn list_all_rows(&mut self) -> Result<(), LedgerError> {
        let headings = &self.columns.headings;
        self.listing = RowListing::read(&mut self.compared, headings, u32::MAX).await?;
        Ok(())
    }

    /// Returns the finished videos whose files have the name of a former `file` pattern.
    pub async fn list_former_file_names(&mut self) -> Result<Vec<FormerFileName>, LedgerError> {
        self.compared.list_former_file_names().await
    }

    /// Adds a warning for every catalogue item that is used but missing in `catalog`.
    pub fn compare_with_catalog(&mut self, catalog: &AccountCatalog) {
        for warning in catalog_check::catalog_warnings(&self.catalog_uses, catalog) {
            self.warnings.add(warning);
        }
    }

    /// Writes the plan to the ledger in one transaction.
    ///
    /// # Errors
    /// The ledger failed, or the plan has no base URL; the ledger is unchanged.
    pub async fn commit(self, now: Timestamp) -> Result<BatchId, LedgerError> {
        self.compared.commit(now).await
    }

    /// Drops the plan; the ledger is unchanged.
    pub async fn discard(self) {
        self.compared.discard().await;
    }
}

fn staging_header(batch: &Batch, base_url: Option<&str>, inputs: &PlanInputs) -> PlanHeader {
    PlanHeader {
        name: batch.name.as_str().to_owned(),
        file: batch.file.display().to_string(),
        source: batch.source.clone(),
        base_url: base_url.map(str::to_owned),
        template: inputs.template.source().to_owned(),
        template_hash: inputs.template.hash().to_owned(),
        headings: to_json(inputs.sheet.headings()),
        columns: inputs.variants.iter().map(|variant| to_json(&variant.columns)).collect(),
        tool: concat!("callsheet ", env!("CARGO_PKG_VERSION")).to_owned(),
        request: batch.studio.request.name.to_owned(),
        has_selection: false,
    }
}

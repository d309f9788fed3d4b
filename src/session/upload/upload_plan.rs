//! The plan of an uploaded batch: what is wrong at which cell, what would be rendered, and its price.
//!
//! Nothing is written to the ledger. The hash is that to which an approval is bound.

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::{ConsoleBatch, UploadError};
use crate::batch::{self, Batch};
use crate::ledger::{Ledger, PlanCounts};
use crate::payload::PayloadMerger;
use crate::plan::{
    self, Plan, PlanError, PlanInputs, PlanProblem, PlanReview, RenderEstimate, RowListing,
    RowSelection,
};
use crate::session::error::plan_error_messages;
use crate::sheet::{SheetEntry, SheetProblem};

/// A finding about the sheet or the template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadFinding {
    /// The first rows that have it.
    pub(crate) rows: Vec<u64>,
    /// How many rows have it.
    pub(crate) row_count: u64,
    /// The index of its column.
    pub(crate) column: Option<usize>,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// A video as it would be rendered.
pub(crate) struct UploadScene {
    pub(crate) key: String,
    pub(crate) row: u64,
    pub(crate) payload: String,
}

/// A plan for the user.
pub(crate) struct UploadPlan {
    pub(crate) problems: Vec<UploadFinding>,
    pub(crate) warnings: Vec<UploadFinding>,
    /// `None` if the sheet cannot be planned at all.
    pub(crate) offer: Option<PlanOffer>,
}

/// What an approval would start.
pub(crate) struct PlanOffer {
    /// The hash to which the approval is bound.
    pub(crate) hash: String,
    pub(crate) counts: PlanCounts,
    pub(crate) estimate: RenderEstimate,
    pub(crate) review: PlanReview,
    /// Messages about what is paid for a second time.
    pub(crate) review_messages: Vec<String>,
    pub(crate) listing: RowListing,
    /// Whether every row can be rendered.
    pub(crate) is_clean: bool,
}

impl PlanOffer {
    /// Returns what it does in a few words: "3 new, 1 changed".
    pub(crate) fn summary(&self) -> String {
        let counts = &self.counts;
        let parts = [
            (counts.new, "new"),
            (counts.changed, "changed"),
            (counts.unchanged, "unchanged"),
            (counts.removed, "removed"),
            (counts.skipped, "left out"),
            (counts.invalid_rows, "with problems"),
        ];
        let filled = parts.iter().filter(|(count, _)| *count > 0);
        let texts: Vec<String> = filled.map(|(count, label)| format!("{count} {label}")).collect();
        if texts.is_empty() { "no rows".to_owned() } else { texts.join(", ") }
    }
}

impl ConsoleBatch {
    /// Reads the batch file, which was written with the settings.
    pub(super) fn read_batch(&self) -> Result<Batch, UploadError> {
        batch::read(self.batch_file()).map_err(|problems| {
            let first = problems.problems.into_iter().next().map(|problem| problem.message);
            UploadError::Invalid(first.unwrap_or_default())
        })
    }

    /// Plans the batch.
    ///
    /// # Errors
    /// The ledger or the disk failed.
    pub(crate) async fn plan(&self, ledger: &Ledger) -> Result<UploadPlan, UploadError> {
        let (batch, ledger, runtime) = (self.read_batch()?, ledger.clone(), Handle::current());
        // On a thread of its own, because a plan reads and merges the whole sheet.
        let planning = spawn_blocking(move || runtime.block_on(make_plan(&batch, &ledger)));
        planning.await.unwrap_or_else(|_| {
            let message = "the plan could not be made; the log of the console has the reason";
            Err(UploadError::Invalid(message.to_owned()))
        })
    }

    /// Merges the first rows, for their drawing. Rows with problems are left out.
    ///
    /// # Errors
    /// The batch file cannot be read.
    pub(crate) fn first_scenes(&self, max: usize) -> Result<Vec<UploadScene>, UploadError> {
        let batch = self.read_batch()?;
        let Ok(inputs) = PlanInputs::open(&batch) else { return Ok(Vec::new()) };
        let mut mergers: Vec<PayloadMerger<'_>> = inputs
            .variants
            .iter()
            .map(|variant| {
                PayloadMerger::new(&inputs.template, &variant.columns)
                    .with_request_kind(inputs.request_kind)
            })
            .collect();
        let mut scenes = Vec::new();
        for entry in
            inputs.sheet.entries().filter_map(Result::ok).filter(|entry| entry.skip_mark.is_none())
        {
            let rows: Vec<Vec<String>> = entry.rows.iter().map(|row| row.cells.clone()).collect();
            for (variant, merger) in inputs.variants.iter().zip(&mut mergers) {
                if scenes.len() >= max {
                    return Ok(scenes);
                }
                if !variant.should_make(&entry, &rows) {
                    continue;
                }
                let Ok(payload) = merger.merge(&rows) else { continue };
                let row = entry.rows.first().map_or(1, |row| row.number);
                let key = variant.job_key(&entry.key);
                scenes.push(UploadScene { key, row, payload: payload.into_text() });
            }
        }
        Ok(scenes)
    }

    /// Returns the row of a video, as the spreadsheet counts.
    ///
    /// # Errors
    /// The sheet has no such key, or cannot be read.
    pub(crate) fn row_of_key(&self, key: &str) -> Result<u64, UploadError> {
        let batch = self.read_batch()?;
        let missing = || UploadError::Invalid(format!("`{key}` is no longer in the sheet"));
        let inputs = PlanInputs::open(&batch).map_err(|_| missing())?;
        let mut entries = inputs.sheet.entries().filter_map(Result::ok);
        let has_key = |entry: &SheetEntry| {
            inputs.variants.iter().any(|variant| variant.job_key(&entry.key) == key)
        };
        let entry = entries.find(has_key).ok_or_else(missing)?;
        Ok(entry.rows.first().map_or(1, |row| row.number))
    }
}

async fn make_plan(batch: &Batch, ledger: &Ledger) -> Result<UploadPlan, UploadError> {
    match plan::plan_filtered(batch, None, ledger, &RowSelection::default()).await {
        Ok(plan) => describe_plan(plan, batch).await,
        Err(PlanError::Ledger(error)) => Err(error.into()),
        Err(error) => {
            let problems = plan_error_findings(&error);
            Ok(UploadPlan { problems, warnings: Vec::new(), offer: None })
        }
    }
}

async fn describe_plan(mut plan: Plan, batch: &Batch) -> Result<UploadPlan, UploadError> {
    let hash = plan.approval_hash(batch).await;
    let findings = |problems: &[PlanProblem]| problems.iter().map(finding_of_plan).collect();
    let (problems, warnings) = (findings(plan.problems.kept()), findings(plan.warnings.kept()));
    let offer = PlanOffer {
        hash: hash.as_deref().unwrap_or_default().to_owned(),
        counts: plan.counts.clone(),
        estimate: plan.estimate(&batch.limits),
        review: plan.review.clone(),
        review_messages: plan.review.messages(plan.credits_per_minute),
        listing: plan.listing.clone(),
        is_clean: plan.is_clean(),
    };
    plan.discard().await;
    match hash {
        Ok(_) => Ok(UploadPlan { problems, warnings, offer: Some(offer) }),
        Err(PlanError::Ledger(error)) => Err(error.into()),
        Err(error) => Err(UploadError::Changed(error.to_string())),
    }
}

fn finding_of_plan(problem: &PlanProblem) -> UploadFinding {
    let rows = match problem.row_numbers.is_empty() {
        true => problem.row.into_iter().collect(),
        false => problem.row_numbers.clone(),
    };
    UploadFinding {
        rows,
        row_count: problem.rows,
        column: problem.column.as_ref().map(|column| column.index),
        message: problem.message.clone() + &problem.describe_variants(),
        help: problem.help.clone(),
    }
}

fn plan_error_findings(error: &PlanError) -> Vec<UploadFinding> {
    let PlanError::Sheet(problems) = error else {
        let whole = |message| UploadFinding {
            rows: Vec::new(),
            row_count: 0,
            column: None,
            message,
            help: None,
        };
        return plan_error_messages(error).into_iter().map(whole).collect();
    };
    let finding = |problem: &SheetProblem| UploadFinding {
        rows: problem.row.into_iter().collect(),
        row_count: u64::from(problem.row.is_some()),
        column: problem.column.as_ref().map(|column| column.index),
        message: problem.message.clone(),
        help: problem.help.clone(),
    };
    problems.problems.iter().map(finding).collect()
}

//! The plan: what a sheet and a template mean to the ledger, before a credit is spent.
//!
//! Every row is merged and checked, whatever the ledger knows already, and all problems are told
//! at once. Rows stream through: a million of them need no more memory than a thousand. Nothing is
//! asked of AI Studios here, and nothing is written until the plan is taken in, whole.

mod catalog_check;
mod estimate;
mod file_name;
mod pipeline;
mod problem;
mod rejected_rows;
mod row_filter;
mod starter_sheet;
mod template_files;
mod variant;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::batch::Batch;
use crate::ledger::{
    BatchId, ChangedRow, ComparedSheet, Ledger, LedgerError, PlanCounts, PlanHeader,
};
use crate::payload::{CatalogRef, ColumnMapping};
use crate::request::RequestKind;
use crate::sheet;
use crate::template::{FileNamePattern, SceneTemplate};

use pipeline::MergeTotals;

pub use catalog_check::{AccountCatalog, CatalogUse};
pub use estimate::RenderEstimate;
pub use pipeline::MergeContext;
pub use problem::{PlanProblem, PlanProblemSource, PlanProblems};
pub use row_filter::{
    InvalidCondition, RowCondition, RowFilter, RowSelection, UnknownConditionColumn,
};
pub use starter_sheet::{StarterSheet, build_starter_sheet};
pub use template_files::TemplateFiles;
pub use variant::VariantMapping;

/// Changed rows that are told one by one; the rest is counted.
const CHANGES_LISTED_MAX: u32 = 20;

/// A plan that was drawn up and can be taken in.
#[derive(Debug)]
pub struct Plan {
    /// What the sheet means to the ledger.
    pub counts: PlanCounts,
    /// What is wrong, row by row.
    pub problems: PlanProblems,
    /// What is probably not meant, and stands in nobody's way.
    pub warnings: PlanProblems,
    /// What its payloads take from the account's catalogues, where that was asked for.
    pub catalog_uses: BTreeMap<CatalogRef, CatalogUse>,
    /// The first changed rows, and what changed in them.
    pub changes: Vec<PayloadChange>,
    /// Rows read, those that the sheet says to leave out not counted.
    pub rows: u64,
    /// How many of them a person named, where a person named some.
    pub selected_rows: Option<u64>,
    /// Headings of columns that nothing asks for.
    pub unused_columns: Vec<String>,
    /// How the sheet was read: what was guessed should be said.
    pub sheet_reading: sheet::SheetFormat,
    /// The template's files, to show what is wrong in them.
    pub template_files: TemplateFiles,
    /// How long drawing it up took.
    pub elapsed: Duration,
    compared: ComparedSheet,
}

/// A row whose payload is another than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadChange {
    /// Its key.
    pub key: String,
    /// Its row in the sheet.
    pub row_number: i64,
    /// The headings whose cells differ; empty when only the template or the settings do.
    pub columns: Vec<String>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The sheet cannot be read at all.
    #[error("the sheet is wrong")]
    Sheet(sheet::SheetProblems),
    /// The template is wrong before any row is merged.
    #[error("the template is wrong")]
    Template {
        /// Its files.
        files: TemplateFiles,
        /// What is wrong.
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
    /// What a person named is not in the sheet.
    #[error("{0}")]
    Selection(String),
    /// The ledger did not answer.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Everything that is read before the first row.
#[derive(Debug)]
pub struct PlanInputs {
    /// The compiled template.
    pub template: SceneTemplate,
    /// What it was read from.
    pub template_files: TemplateFiles,
    /// The compiled `file` pattern, if the batch file has one.
    pub file_pattern: Option<FileNamePattern>,
    /// The opened sheet.
    pub sheet: sheet::Sheet,
    /// How its cells become fields, in each way in which a row is made; at least one.
    pub variants: Vec<VariantMapping>,
    /// What is asked of AI Studios for each row.
    pub request_kind: &'static RequestKind,
}

impl PlanInputs {
    /// Reads the template and opens the sheet of `batch`.
    ///
    /// # Errors
    /// All problems that show before the first row, of the first file that has any.
    pub fn open(batch: &Batch) -> Result<Self, PlanError> {
        let texts = TemplateFiles::read(&batch.template)?;
        let (template, texts) = texts.compile()?;
        let pattern = batch.video_file.as_deref().map(FileNamePattern::parse).transpose();
        let video_file = pattern.map_err(PlanError::FilePattern)?;
        let wanted = template.required_columns().iter();
        let wanted = wanted.chain(video_file.iter().flat_map(FileNamePattern::required_columns));
        let brought = variant::names_set_by_all_variants(batch);
        let given =
            |name: &&String| batch.defaults.contains_key(*name) || brought.contains(name.as_str());
        let mut required: Vec<String> = wanted.filter(|name| !given(name)).cloned().collect();
        required.sort();
        required.dedup();
        let optional = template.optional_columns().iter();
        let optional =
            optional.chain(video_file.iter().flat_map(FileNamePattern::optional_columns));
        let optional: Vec<String> = optional.chain(batch.defaults.keys()).cloned().collect();
        let lists: Vec<String> = template.list_names().cloned().collect();
        let skip = batch.skip.as_ref();
        let want = sheet::SheetSpec {
            key: &batch.key,
            group_by: batch.group_by.as_deref(),
            columns: &batch.columns,
            required: &required,
            optional: &optional,
            lists: &lists,
            skip: skip.map(|skip| sheet::SkipSpec { column: &skip.column, values: &skip.values }),
            encoding: batch.encoding.as_deref(),
            worksheet: batch.worksheet.as_deref(),
        };
        let sheet = sheet::Sheet::open(&batch.sheet, &want).map_err(PlanError::Sheet)?;
        let columns = ColumnMapping {
            names: sheet.template_names().to_vec(),
            defaults: batch.defaults.clone(),
            grouped: batch.group_by.is_some(),
            lists: sheet.lists().clone(),
            ..ColumnMapping::default()
        };
        let editions = variant::variant_mappings(batch, (&sheet, &template), &columns)
            .map_err(PlanError::Sheet)?;
        let kind = batch.studio.request;
        Ok(Self {
            template,
            template_files: texts,
            file_pattern: video_file,
            sheet,
            variants: editions,
            request_kind: kind,
        })
    }

    /// Returns the headings of columns that nothing asks for: most often one that is misspelt.
    fn unused_columns(&self, sieves: &[RowFilter]) -> Vec<String> {
        if self.template.can_use_any_column() {
            return Vec::new();
        }
        let pattern = self.file_pattern.iter();
        let names: BTreeSet<&String> =
            [self.template.required_columns(), self.template.optional_columns()]
                .into_iter()
                .chain(
                    pattern.flat_map(|pattern| {
                        [pattern.required_columns(), pattern.optional_columns()]
                    }),
                )
                .flatten()
                .collect();
        let mut asked: BTreeSet<usize> = self.sheet.setting_columns().into_iter().collect();
        asked.extend(sieves.iter().flat_map(RowFilter::tested_columns));
        let columns = self.variants.iter().map(|edition| &edition.columns);
        asked.extend(
            columns.flat_map(|one| one.lists.values().flatten().chain(one.assigned.values())),
        );
        let headings = self.sheet.headings().iter().enumerate();
        let idle = headings.filter(|(column, _)| {
            !asked.contains(column) && !names.contains(&self.sheet.template_names()[*column])
        });
        idle.map(|(_, heading)| heading.clone()).collect()
    }
}

/// Merges every row of the batch's sheet and compares it with the ledger.
///
/// # Errors
/// See [`PlanError`]. Rows that cannot be merged are no error; they are the plan's problems.
pub async fn plan_batch(batch: &Batch, base_url: &str, ledger: &Ledger) -> Result<Plan, PlanError> {
    plan_filtered(batch, base_url, ledger, &RowSelection::default()).await
}

/// The same, with only some rows to be submitted now. All others stay what they are.
///
/// # Errors
/// See [`PlanError`]; and a choice of which the sheet knows nothing.
pub async fn plan_filtered(
    batch: &Batch,
    base_url: &str,
    ledger: &Ledger,
    choice: &RowSelection,
) -> Result<Plan, PlanError> {
    let began = Instant::now();
    let materials = PlanInputs::open(batch)?;
    let headings = materials.sheet.headings();
    let sieves = materials.variants.iter();
    let sieves =
        sieves.map(|edition| RowFilter::new(&choice.conditions, headings, &edition.columns));
    let sieves: Vec<RowFilter> = sieves
        .collect::<Result<_, _>>()
        .map_err(|error: UnknownConditionColumn| PlanError::Selection(error.to_string()))?;
    let header = PlanHeader {
        has_selection: !choice.is_unrestricted(),
        ..staging_header(batch, base_url, &materials)
    };
    let mut staging = ledger.stage(header).await?;
    let resolution = batch.studio.resolution.map(|resolution| resolution.word().to_owned());
    let headings = headings.to_vec();
    let (reading, texts) = (materials.sheet.format().clone(), materials.template_files.clone());
    let unused = materials.unused_columns(&sieves);
    let mut ground =
        pipeline::merge_sheet(materials, resolution, (choice, sieves), &mut staging).await?;
    let shared_files = ground.shared_file_hashes();
    let MergeTotals {
        rows,
        mut problems,
        warnings: doubts,
        catalog_uses: mut taken,
        selected_rows: named,
        unknown_keys: strangers,
        ..
    } = ground;
    if let (true, Some(id)) = (choice.should_record_catalog_uses, &batch.studio.workspace_id) {
        catalog_check::record_use(
            &mut taken,
            CatalogRef::Workspace(id.clone()),
            CatalogUse { first_row: None, rows },
        );
    }
    if let Some(words) = choice.unmatched_message(named, strangers.first()) {
        staging.discard().await;
        return Err(PlanError::Selection(words));
    }
    if !shared_files.is_empty() {
        let is_shared = |name: &str| shared_files.contains(&file_name::collision_hash(name));
        let seen_as = |name: &str| is_shared(name).then(|| file_name::collision_key(name));
        for (file, first, last) in staging.shared_file_names(seen_as).await? {
            problems.add_shared_file((&file, first, last));
        }
    }
    let mut compared = staging.classify().await?;
    let changed = compared.changed_rows(CHANGES_LISTED_MAX).await?;
    let changes = changed.into_iter().map(|row| payload_change(row, &headings)).collect();
    let took = began.elapsed();
    let named = (!choice.is_unrestricted()).then_some(named);
    Ok(Plan {
        counts: compared.counts().clone(),
        problems,
        warnings: doubts,
        catalog_uses: taken,
        changes,
        rows,
        selected_rows: named,
        unused_columns: unused,
        sheet_reading: reading,
        template_files: texts,
        elapsed: took,
        compared,
    })
}

impl Plan {
    /// Tells whether every row could be merged and has a file of its own.
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds a doubt about whatever the account does not offer.
    pub fn compare_with_catalog(&mut self, stock: &AccountCatalog) {
        catalog_check::catalog_warnings(&self.catalog_uses, stock)
            .into_iter()
            .for_each(|doubt| self.warnings.add(doubt));
    }

    /// Takes the plan into the ledger: all of it, or nothing.
    pub async fn commit(self, now: Timestamp) -> Result<BatchId, LedgerError> {
        self.compared.commit(now).await
    }

    /// Lets the plan go; the ledger stays as it was.
    pub async fn discard(self) {
        self.compared.discard().await;
    }
}

fn staging_header(batch: &Batch, base_url: &str, materials: &PlanInputs) -> PlanHeader {
    let json = |value: &dyn erased::ToJsonText| value.to_json_text();
    PlanHeader {
        name: batch.name.as_str().to_owned(),
        file: batch.file.display().to_string(),
        source: batch.source.clone(),
        base_url: base_url.to_owned(),
        template: materials.template.source().to_owned(),
        template_hash: materials.template.hash().to_owned(),
        headings: json(&materials.sheet.headings()),
        columns: materials.variants.iter().map(|edition| json(&edition.columns)).collect(),
        tool: concat!("callsheet ", env!("CARGO_PKG_VERSION")).to_owned(),
        request: batch.studio.request.name.to_owned(),
        has_selection: false,
    }
}

mod erased {
    //! Lists and maps of texts as JSON, which cannot fail.

    pub(super) trait ToJsonText {
        fn to_json_text(&self) -> String;
    }

    impl<T: serde::Serialize> ToJsonText for T {
        fn to_json_text(&self) -> String {
            serde_json::to_string(self).expect("texts and maps of texts always make JSON")
        }
    }
}

/// Says which columns differ between two rows, by heading, wherever they stand: a column that moved
/// is the same. One that only one of the two sheets has is told where nothing else explains the
/// change, as when it was renamed.
fn payload_change(row: ChangedRow, headings: &[String]) -> PayloadChange {
    let cells = |text: &str| -> Vec<Vec<String>> { serde_json::from_str(text).unwrap_or_default() };
    let (before, after) = (cells(&row.before.0), cells(&row.after));
    let former: Vec<String> = serde_json::from_str(&row.before.1).unwrap_or_default();
    let column = |rows: &[Vec<String>], place: usize| -> Vec<Option<String>> {
        rows.iter().map(|cells| cells.get(place).cloned()).collect()
    };
    let differs = |(place, heading): &(usize, &String)| {
        let known = former.iter().position(|known| known == *heading);
        known.is_some_and(|known| column(&before, known) != column(&after, *place))
    };
    let mut columns: Vec<String> =
        headings.iter().enumerate().filter(differs).map(|(_, heading)| heading.clone()).collect();
    if columns.is_empty() && !row.template_changed {
        let only_in = |(ours, rows): (&[String], &[Vec<String>]),
                       theirs: &[String]|
         -> Vec<String> {
            let filled = |place| column(rows, place).iter().flatten().any(|cell| !cell.is_empty());
            let own = ours.iter().enumerate().filter(|(_, heading)| !theirs.contains(heading));
            own.filter(|(place, _)| filled(*place)).map(|(_, heading)| heading.clone()).collect()
        };
        columns.extend(only_in((headings, &after), &former));
        columns.extend(only_in((&former, &before), headings));
    }
    PayloadChange { key: row.key, row_number: row.row_number, columns }
}

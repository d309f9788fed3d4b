//! Merges the variants of one entry into staged rows.
//!
//! Each thread of the pipeline has its own [`RowMerger`]. An invalid row is staged with its
//! problems; it prevents no other row.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use super::catalog_check::{self, CatalogUse};
use super::problem::PlanProblem;
use super::rejected_rows::{invalid_row, unknown_variant, unreadable_row};
use super::{RowFilter, VariantMapping, file_name};
use crate::ledger::{MergedRow, StagedRow, UnmergedReason};
use crate::payload::{CatalogRef, Payload, PayloadMerger, catalog_refs};
use crate::request::RequestKind;
use crate::sheet::{SheetEntry, SheetProblem};
use crate::template::{FileNamePattern, SceneTemplate, TemplateProblem, rows_to_json};

/// Everything that the rows of one sheet are merged with.
#[derive(Debug)]
pub(super) struct MergeContext {
    pub(super) template: SceneTemplate,
    pub(super) file_pattern: Option<FileNamePattern>,
    pub(super) variants: Vec<VariantMapping>,
    /// The headings of the sheet, to name its columns in messages.
    pub(super) headings: Vec<String>,
    pub(super) request_kind: &'static RequestKind,
    /// Part of the video's identity besides the payload.
    pub(super) resolution: Option<String>,
    /// The keys selected by the user; all if empty.
    pub(super) selected_keys: HashSet<String>,
    /// The conditions of the user, for each variant.
    pub(super) row_filters: Vec<RowFilter>,
    pub(super) should_record_catalog_uses: bool,
}

/// The findings in some rows.
#[derive(Debug, Default)]
pub(super) struct RowFindings {
    pub(super) problems: Vec<PlanProblem>,
    pub(super) warnings: Vec<PlanProblem>,
    pub(super) catalog_uses: BTreeMap<CatalogRef, CatalogUse>,
}

/// An entry as all of its variants need it.
struct MergeEntry {
    /// The key of its row; empty if the row has none.
    row_key: String,
    /// The rows as the spreadsheet counts them, at least one.
    row_numbers: Vec<u64>,
    rows: Vec<Vec<String>>,
    is_skipped: bool,
}

pub(super) struct RowMerger<'m> {
    mergers: Vec<PayloadMerger<'m>>,
    context: &'m MergeContext,
}

impl MergeContext {
    /// Returns a merger for one thread.
    pub(super) fn row_merger(&self) -> RowMerger<'_> {
        let merger = |variant: &VariantMapping| {
            PayloadMerger::new(&self.template, &variant.columns)
                .with_request_kind(self.request_kind)
        };
        RowMerger { mergers: self.variants.iter().map(merger).collect(), context: self }
    }

    /// Returns whether the user selected this job; the key of a row selects all of its variants.
    fn is_selected(&self, entry: &MergeEntry, key: &str, variant: usize) -> bool {
        let is_named = self.selected_keys.is_empty()
            || self.selected_keys.contains(key)
            || self.selected_keys.contains(&entry.row_key);
        is_named && self.row_filters[variant].is_match(&entry.rows, &self.variants[variant].columns)
    }

    /// Returns the indexes of the variants to make from an entry.
    fn variants_for_entry(&self, entry: &SheetEntry) -> Result<Range<usize>, String> {
        let Some(name) = &entry.variant else { return Ok(0..self.variants.len()) };
        match self.variants.iter().position(|variant| variant.variant.as_ref() == Some(name)) {
            Some(index) => Ok(index..index + 1),
            None => Err(format!(
                "this report line is for the variant `{name}`, which is not in the batch file"
            )),
        }
    }
}

/// Returns the key of the row whose variant has this key.
pub(super) fn row_key<'k>(key: &'k str, variant: Option<&str>) -> &'k str {
    let row = variant.and_then(|variant| key.strip_suffix(variant)?.strip_suffix('/'));
    row.unwrap_or(key)
}

impl RowMerger<'_> {
    /// Stages every variant of an entry, or the problem in its place.
    pub(super) fn merge_entry(
        &mut self,
        position: i64,
        entry: Result<SheetEntry, SheetProblem>,
        staged: &mut Vec<StagedRow>,
        findings: &mut RowFindings,
    ) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(problem) => {
                staged.push(unreadable_row(position, problem, &mut findings.problems));
                return;
            }
        };
        let variants = match self.context.variants_for_entry(&entry) {
            Ok(variants) => variants,
            Err(message) => {
                staged.push(unknown_variant(position, entry, message, &mut findings.problems));
                return;
            }
        };
        let entry = MergeEntry::new(entry);
        let mut cells = rows_to_json(&entry.rows);
        let last = variants.end - 1;
        for (position, variant) in (position..).zip(variants) {
            let cells = if variant == last { std::mem::take(&mut cells) } else { cells.clone() };
            let row = self.stage_variant(&entry, variant, findings);
            staged.push(StagedRow { position, cells, ..row });
        }
    }

    /// Returns the staged row of one variant, without position and cells.
    fn stage_variant(
        &mut self,
        entry: &MergeEntry,
        variant: usize,
        findings: &mut RowFindings,
    ) -> StagedRow {
        let mapping = &self.context.variants[variant];
        let key = match entry.row_key.as_str() {
            "" => String::new(),
            row => mapping.job_key(row),
        };
        let is_skipped = entry.is_skipped || mapping.should_skip(&entry.rows);
        let known_warnings = findings.warnings.len();
        let merged = if is_skipped {
            Err(UnmergedReason::Skipped)
        } else {
            self.merge_variant(entry, &key, variant, findings).map_err(|problems| {
                invalid_row(problems, &entry.row_numbers, &mut findings.problems)
            })
        };
        for warning in &mut findings.warnings[known_warnings..] {
            warning.row = Some(entry.first_row());
        }
        StagedRow {
            position: 0,
            row_number: i64::try_from(entry.first_row()).unwrap_or(i64::MAX),
            selected: !is_skipped && self.context.is_selected(entry, &key, variant),
            variant: mapping.variant.clone(),
            mapping_index: variant,
            key: Some(key).filter(|key| !key.is_empty()),
            cells: String::new(),
            merged,
        }
    }

    fn merge_variant(
        &mut self,
        entry: &MergeEntry,
        key: &str,
        variant: usize,
        findings: &mut RowFindings,
    ) -> Result<MergedRow, Vec<PlanProblem>> {
        let context = self.context;
        let VariantMapping { variant: name, columns, .. } = &context.variants[variant];
        let merger = &mut self.mergers[variant];
        let at_column = |problem: TemplateProblem, column: Option<usize>| {
            let problem = PlanProblem::from_template(problem, column, &context.headings);
            match name {
                Some(name) => problem.with_variant(name),
                None => problem,
            }
        };
        let at_own_column = |problem: TemplateProblem| {
            let name = problem.location.sheet_column();
            let column = name.and_then(|name| columns.column_index(name));
            at_column(problem, column)
        };
        let payload: Payload = merger.merge(&entry.rows).map_err(|problems| {
            let origins = merger.find_problem_origins(&entry.rows, &problems);
            let located = problems.into_iter().zip(origins).map(|(problem, origin)| PlanProblem {
                row: entry.row_numbers.get(origin.row).copied(),
                ..at_column(problem, origin.column)
            });
            located.collect::<Vec<_>>()
        })?;
        findings.warnings.extend(merger.warnings(&payload).into_iter().map(at_own_column));
        if context.should_record_catalog_uses {
            let used = CatalogUse { first_row: Some(entry.first_row()), rows: 1 };
            for item in catalog_refs(payload.text()) {
                catalog_check::record_use(&mut findings.catalog_uses, item, used);
            }
        }
        let wanted_name = match &context.file_pattern {
            Some(pattern) => {
                merger.render_file_name(pattern).map_err(|problem| vec![at_own_column(problem)])?
            }
            None => key.to_owned(),
        };
        Ok(MergedRow {
            payload_hash: payload.video_hash(context.resolution.as_deref()),
            file_name: file_name::safe_file_name(&wanted_name, key),
            spoken_ms: i64::try_from(payload.speech_duration().as_millis()).unwrap_or(i64::MAX),
            exclusive_project: payload.exclusive_project().map(str::to_owned),
            payload: payload.into_text(),
        })
    }
}

impl MergeEntry {
    fn new(entry: SheetEntry) -> Self {
        let mut row_numbers: Vec<u64> = entry.rows.iter().map(|row| row.number).collect();
        if row_numbers.is_empty() {
            row_numbers.push(1);
        }
        Self {
            row_key: row_key(&entry.key, entry.variant.as_deref()).to_owned(),
            row_numbers,
            rows: entry.rows.into_iter().map(|row| row.cells).collect(),
            is_skipped: entry.is_skipped,
        }
    }

    fn first_row(&self) -> u64 {
        self.row_numbers[0]
    }
}

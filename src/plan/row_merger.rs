//! Merges the variants of one entry into staged rows.
//!
//! Each thread of the pipeline has its own [`RowMerger`]. An invalid row is staged with its
//! problems; it prevents no other row.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use super::catalog_check::{self, CatalogUse};
use super::cell_check::{SuspectCell, SuspectKind, check_cell};
use super::problem::{CellFinding, PlanProblem};
use super::rejected_rows::{invalid_row, unknown_variant, unreadable_row};
use super::skip_reason::{SkipReasons, shorten_cell};
use super::video_comparison::{EmptyCells, PriceCurrencies, SkipValues, VideoLikeness, WrittenAs};
use super::{RowFilter, VariantMapping, safe_file_name};
use crate::ledger::{MergedRow, StagedRow, UnmergedReason};
use crate::payload::{CatalogRef, ColumnMapping, Payload, PayloadMerger, catalog_refs};
use crate::request::RequestKind;
use crate::sheet;
use crate::sheet::{SheetColumn, SheetEntry, SheetProblem, SkipDecision, SkipMark};
use crate::template::{
    FileNamePattern, PriceCell, SceneTemplate, TemplateProblem, parse_price_cell, rows_to_json,
};
use crate::text::{is_blank_text, trim_invisible};

/// Everything that the rows of one sheet are merged with.
#[derive(Debug)]
pub(super) struct MergeContext {
    pub(super) template: SceneTemplate,
    pub(super) file_pattern: Option<FileNamePattern>,
    pub(super) variants: Vec<VariantMapping>,
    pub(super) request_kind: &'static RequestKind,
    /// Part of the video's identity besides the payload.
    pub(super) resolution: Option<String>,
    /// The keys selected by the user; `None`: all.
    pub(super) selected_keys: Option<HashSet<String>>,
    /// The conditions of the user, for each variant.
    pub(super) row_filters: Vec<RowFilter>,
    /// The columns whose cells are checked.
    pub(super) checked_columns: Vec<usize>,
    /// The headings of the sheet and its rule for rows to skip.
    pub(super) skip: SkipReasons,
    pub(super) should_record_catalog_uses: bool,
}

/// The findings in some rows.
#[derive(Debug, Default)]
pub(super) struct RowFindings {
    pub(super) problems: Vec<PlanProblem>,
    pub(super) warnings: Vec<PlanProblem>,
    pub(super) catalog_uses: BTreeMap<CatalogRef, CatalogUse>,
    /// Rows of the sheet that are not skipped: each is at least one video, or would be if it were valid.
    pub(super) sheet_rows: u64,
    pub(super) likeness: VideoLikeness,
    pub(super) prices: PriceCurrencies,
    pub(super) empty_cells: EmptyCells,
    pub(super) skip_values: SkipValues,
    /// The first row that the user selected but that is skipped, with the reason.
    pub(super) skipped_selection: Option<String>,
}

/// An entry as all of its variants need it.
struct MergeEntry {
    /// The key of its row; empty if the row has none.
    row_key: String,
    /// The rows as the spreadsheet counts them, at least one.
    row_numbers: Vec<u64>,
    rows: Vec<Vec<String>>,
    skip_mark: Option<SkipMark>,
    /// Problems of its cells, which prevent every variant.
    problems: Vec<PlanProblem>,
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
        let is_named = self
            .selected_keys
            .as_ref()
            .is_none_or(|keys| keys.contains(key) || keys.contains(&entry.row_key));
        is_named && self.row_filters[variant].is_match(&entry.rows, &self.variants[variant].columns)
    }

    pub(super) fn sheet_column(&self, index: usize) -> SheetColumn {
        SheetColumn { index, heading: self.skip.headings.get(index).cloned() }
    }

    /// Warns about rows that are rendered although their `skip` cell is neither "yes" nor "no".
    fn warn_about_unclear_skip(&self, entry: &MergeEntry, findings: &mut RowFindings) {
        let Some(rule) = self.skip.rule.as_ref().filter(|_| !entry.is_skipped()) else { return };
        for (row, number) in entry.rows.iter().zip(&entry.row_numbers) {
            let cell = row.get(rule.column()).map_or("", String::as_str);
            if rule.decide(cell) != SkipDecision::Unclear {
                continue;
            }
            let shown = shorten_cell(rule.text(cell));
            let heading = self.skip.heading(rule.column());
            let finding = CellFinding {
                message: format!("`{shown}` is neither yes nor no, so the row is rendered"),
                help: format!(
                    "to skip such rows, write `skip = {{ column = \"{heading}\", values = \
                     [\"{shown}\"] }}` in the batch file"
                ),
            };
            let column = Some(self.sheet_column(rule.column()));
            findings.warnings.push(PlanProblem::for_cell(*number, column, finding));
        }
    }

    /// Checks the cells of an entry that reach its videos. Adds warnings, and returns problems.
    fn check_cells(&self, entry: &MergeEntry, findings: &mut RowFindings) -> Vec<PlanProblem> {
        let mut problems = Vec::new();
        if entry.is_skipped() {
            return problems;
        }
        for (row, number) in entry.rows.iter().zip(&entry.row_numbers) {
            let cells =
                self.checked_columns.iter().filter_map(|column| Some((*column, row.get(*column)?)));
            for (column, cell) in cells {
                let Some(SuspectCell { kind, finding }) = check_cell(cell) else { continue };
                let column = Some(self.sheet_column(column));
                let found = PlanProblem::for_cell(*number, column, finding);
                match kind {
                    SuspectKind::ControlCharacter => problems.push(found),
                    SuspectKind::NullWord
                    | SuspectKind::SheetError
                    | SuspectKind::Formula
                    | SuspectKind::Markup
                    | SuspectKind::Garbled
                    | SuspectKind::LostLetters => findings.warnings.push(found),
                }
            }
        }
        problems
    }

    /// Warns about cells such as `FALSE` in columns that decide whether a part is kept: they are
    /// filled, so the part is kept.
    fn warn_about_conditions(&self, entry: &MergeEntry, findings: &mut RowFindings) {
        if entry.is_skipped() {
            return;
        }
        let columns = &self.variants[0].columns;
        let tested = self.template.condition_names();
        let tested = tested.filter_map(|name| Some((name, columns.column_index(name)?)));
        for (name, column) in tested {
            for (row, number) in entry.rows.iter().zip(&entry.row_numbers) {
                let Some(no) = row.get(column).map(|cell| trim_invisible(cell)) else { continue };
                let Some(yes) = sheet::opposite_of_no(no) else { continue };
                let finding = CellFinding {
                    message: format!(
                        "`{no}` is filled, so a condition on `{name}` in the template holds"
                    ),
                    help: match no {
                        // A number, more likely than a checkbox.
                        "0" => format!(
                            "write `{{{{#if (and {name} (ne {name} \"0\"))}}}}`, or empty the cell"
                        ),
                        _ => {
                            format!("write `{{{{#if (eq {name} \"{yes}\")}}}}`, or empty the cell")
                        }
                    },
                };
                let column = Some(self.sheet_column(column));
                findings.warnings.push(PlanProblem::for_cell(*number, column, finding));
            }
        }
    }

    /// Records the prices of an entry, to compare them with those of the others.
    fn record_prices(&self, entry: &MergeEntry, findings: &mut RowFindings) {
        if entry.is_skipped() {
            return;
        }
        let columns = self.template.price_names().flat_map(|name| {
            self.variants.iter().filter_map(|variant| variant.columns.column_index(name))
        });
        for column in columns.collect::<BTreeSet<usize>>() {
            for (row, number) in entry.rows.iter().zip(&entry.row_numbers) {
                let cell = row.get(column).map_or("", String::as_str);
                findings.prices.add(column, *number, cell);
            }
        }
    }

    /// Records the cells that the made variants of an entry write as prices and dates. A name with a
    /// default is never empty.
    fn record_empty_cells(&self, entry: &MergeEntry, made: &[usize], findings: &mut RowFindings) {
        let prices = self.template.price_names().map(|name| (name, WrittenAs::Price));
        let dates = self.template.date_names().map(|name| (name, WrittenAs::Date));
        let columns = prices.chain(dates).flat_map(|(name, written_as)| {
            let variants = made.iter().map(|variant| &self.variants[*variant].columns);
            let variants = variants.filter(|columns| !columns.defaults.contains_key(name));
            variants.filter_map(move |columns| Some((columns.column_index(name)?, written_as)))
        });
        for (column, written_as) in columns.collect::<BTreeMap<usize, WrittenAs>>() {
            for (row, number) in entry.rows.iter().zip(&entry.row_numbers) {
                let cell = row.get(column).map_or("", String::as_str);
                findings.empty_cells.add(column, written_as, *number, cell);
            }
        }
    }

    /// Records the cells that decide whether the rows of an entry are skipped.
    fn record_skip_values(&self, entry: &MergeEntry, findings: &mut RowFindings) {
        let Some(rule) = &self.skip.rule else { return };
        for (row, number) in entry.rows.iter().zip(&entry.row_numbers) {
            findings.skip_values.add(*number, row.get(rule.column()).map_or("", String::as_str));
        }
    }

    /// Warns about cells that `money` leaves as they are in the videos of several languages.
    fn warn_about_prices(&self, entry: &MergeEntry, findings: &mut RowFindings) {
        let columns = self.template.price_names().filter_map(|name| self.shared_column(name));
        for column in columns.filter(|_| !entry.is_skipped()) {
            for (row, number) in entry.rows.iter().zip(&entry.row_numbers) {
                let cell = row.get(column).map_or("", String::as_str);
                let is_price = parse_price_cell(cell) != PriceCell::NotOnePrice;
                if is_blank_text(cell) || is_price {
                    continue;
                }
                let finding = CellFinding {
                    message: format!(
                        "`{}` is not one price, so it is the same in every language",
                        shorten_cell(cell)
                    ),
                    help:
                        "write the amount alone, such as 4.90 or € 4.90, or give each language a \
                           column of its own in `[[variants]]`"
                            .to_owned(),
                };
                let column = Some(self.sheet_column(column));
                findings.warnings.push(PlanProblem::for_cell(*number, column, finding));
            }
        }
    }

    /// Returns the column of a name if several variants read it.
    fn shared_column(&self, name: &str) -> Option<usize> {
        let column = self.variants[0].columns.column_index(name)?;
        let is_same = |other: &VariantMapping| other.columns.column_index(name) == Some(column);
        self.variants.iter().skip(1).any(is_same).then_some(column)
    }

    /// Returns a problem for each column of a file name that is empty in an entry: its name would
    /// lack a part, and names of other rows with the same gap would be equal.
    fn blank_name_columns(
        &self,
        pattern: &FileNamePattern,
        columns: &ColumnMapping,
        entry: &MergeEntry,
    ) -> Vec<PlanProblem> {
        let row = entry.rows.first().map_or(&[][..], Vec::as_slice);
        let is_blank = |name: &&String| columns.name_text(name, row).is_some_and(is_blank_text);
        let blank = pattern.required_columns().iter().filter(is_blank);
        let problem = |name: &String| {
            let finding = CellFinding {
                message: format!("empty, and `file` in the batch file uses it: {name}"),
                help: format!("fill it in, or write `{{{{default {name} \"…\"}}}}` in `file`"),
            };
            let column = columns.column_index(name).map(|index| self.sheet_column(index));
            PlanProblem::for_cell(entry.first_row(), column, finding)
        };
        blank.map(problem).collect()
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
                findings.sheet_rows += 1;
                return;
            }
        };
        let variants = match self.context.variants_for_entry(&entry) {
            Ok(variants) => variants,
            Err(message) => {
                staged.push(unknown_variant(position, entry, message, &mut findings.problems));
                findings.sheet_rows += 1;
                return;
            }
        };
        let warnings = entry.warnings.iter().cloned().map(PlanProblem::from_sheet_warning);
        findings.warnings.extend(warnings);
        let mut entry = MergeEntry::new(entry);
        self.context.warn_about_unclear_skip(&entry, findings);
        self.context.warn_about_conditions(&entry, findings);
        self.context.warn_about_prices(&entry, findings);
        self.context.record_prices(&entry, findings);
        self.context.record_skip_values(&entry, findings);
        entry.problems = self.context.check_cells(&entry, findings);
        let mut cells = rows_to_json(&entry.rows);
        let last = variants.end - 1;
        let (mut is_wanted, mut made) = (false, Vec::new());
        for (position, variant) in (position..).zip(variants) {
            let cells = if variant == last { std::mem::take(&mut cells) } else { cells.clone() };
            let row = self.stage_variant(&entry, variant, findings);
            is_wanted |= !matches!(row.merged, Err(UnmergedReason::Skipped(_)));
            made.extend(row.merged.is_ok().then_some(variant));
            staged.push(StagedRow { position, cells, ..row });
        }
        self.context.record_empty_cells(&entry, &made, findings);
        if is_wanted {
            findings.sheet_rows += entry.rows.len() as u64;
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
        let known_warnings = findings.warnings.len();
        let skip_reason = self.context.skip.reason(mapping, &entry.rows, entry.skip_mark);
        let is_selected = self.context.is_selected(entry, &key, variant);
        let is_skipped = skip_reason.is_some();
        if let Some(reason) = skip_reason.as_ref().filter(|_| is_selected) {
            let row = entry.first_row();
            findings.skipped_selection.get_or_insert_with(|| format!("row {row}: {reason}"));
        }
        let merged = match skip_reason {
            Some(reason) => Err(UnmergedReason::Skipped(reason)),
            None => self.merge_variant(entry, &key, variant, findings).map_err(|problems| {
                invalid_row(problems, &entry.row_numbers, &mut findings.problems)
            }),
        };
        for warning in &mut findings.warnings[known_warnings..] {
            warning.row = Some(warning.row.unwrap_or_else(|| entry.first_row()));
            warning.last_row = warning.row;
        }
        StagedRow {
            position: 0,
            row_number: i64::try_from(entry.first_row()).unwrap_or(i64::MAX),
            selected: !is_skipped && is_selected,
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
        if !entry.problems.is_empty() {
            return Err(entry.problems.clone());
        }
        let VariantMapping { variant: name, columns, .. } = &context.variants[variant];
        let merger = &mut self.mergers[variant];
        let at_column = |problem: TemplateProblem, column: Option<usize>| {
            let problem = PlanProblem::from_template(problem, column, &context.skip.headings);
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
            let located = problems.into_iter().zip(origins).map(|(problem, origin)| {
                let problem = at_column(problem, origin.column);
                let is_blank = origin.column.is_some_and(|at| entry.is_blank(origin.row, at));
                PlanProblem {
                    row: entry.row_numbers.get(origin.row).copied(),
                    // Row and column say where nothing stands; a line of the template would not.
                    template_problem: problem.template_problem.filter(|_| !is_blank),
                    ..problem
                }
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
        findings.likeness.add(|| payload.likeness_hash());
        if let Some(pattern) = &context.file_pattern {
            let blank = context.blank_name_columns(pattern, columns, entry);
            if !blank.is_empty() {
                return Err(blank);
            }
        }
        let file_name = safe_file_name::video_file_name(context.file_pattern.as_ref(), merger, key)
            .map_err(|problem| vec![at_own_column(problem)])?;
        Ok(MergedRow {
            payload_hash: payload.video_hash(context.resolution.as_deref()),
            file_name,
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
            skip_mark: entry.skip_mark,
            problems: Vec::new(),
        }
    }

    /// Returns whether the sheet itself marks it to be skipped.
    fn is_skipped(&self) -> bool {
        self.skip_mark.is_some()
    }

    fn is_blank(&self, row: usize, column: usize) -> bool {
        let cell = self.rows.get(row).and_then(|row| row.get(column));
        cell.is_none_or(|cell| is_blank_text(cell))
    }

    fn first_row(&self) -> u64 {
        self.row_numbers[0]
    }
}

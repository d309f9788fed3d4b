//! The files of a batch, read and checked before the first row: template, sheet and file pattern.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::row_replacements::RowReplacements;
use super::{
    PlanError, RowFilter, RowSelection, TemplateFiles, UnknownConditionColumn, VariantMapping,
    variant,
};
use crate::batch::{Batch, SheetSource};
use crate::payload::ColumnMapping;
use crate::request::RequestKind;
use crate::sheet::{
    ReportColumns, Sheet, SheetProblem, SheetProblems, SheetSpec, SkipRule, SkipSpec,
};
use crate::template::{FileNamePattern, SceneTemplate};
use crate::text::canonical_characters;

/// The opened files of a batch.
#[derive(Debug)]
pub struct PlanInputs {
    /// The compiled template.
    pub template: SceneTemplate,
    /// The files it was compiled from.
    pub template_files: TemplateFiles,
    /// The compiled `file` pattern, if the batch file has one.
    pub file_pattern: Option<FileNamePattern>,
    /// The opened sheet.
    pub sheet: Sheet,
    /// The variants of every row, at least one.
    pub variants: Vec<VariantMapping>,
    /// The kind of request sent for each row.
    pub request_kind: &'static RequestKind,
    /// The rows that replace rows of the sheet.
    pub(super) replacements: Option<RowReplacements>,
}

impl PlanInputs {
    /// Reads the template and opens the sheet of `batch`.
    ///
    /// # Errors
    /// All problems of the first file that has any.
    pub fn open(batch: &Batch) -> Result<Self, PlanError> {
        let (template, template_files) = TemplateFiles::read(&batch.template)?.compile()?;
        let pattern = batch.video_file.as_deref().map(FileNamePattern::parse).transpose();
        let file_pattern = pattern.map_err(PlanError::FilePattern)?;
        let sheet = open_sheet(batch, &template, file_pattern.as_ref(), None)?;
        reject_report(batch, &sheet)?;
        reject_hidden_rows_of_text(batch, &sheet)?;
        let columns = ColumnMapping {
            names: sheet.template_names().to_vec(),
            defaults: canonical_values(&batch.defaults),
            grouped: batch.group_by.is_some(),
            lists: sheet.lists().clone(),
            assigned: sheet.shared_names().clone(),
            ..ColumnMapping::default()
        };
        let variants = variant::variant_mappings(batch, &sheet, &template, &columns)
            .map_err(PlanError::Sheet)?;
        let request_kind = batch.studio.request;
        Ok(Self {
            template,
            template_files,
            file_pattern,
            sheet,
            variants,
            request_kind,
            replacements: None,
        })
    }

    /// Reads the file that the selection names, if it names one. Returns the selection of its rows.
    pub(super) fn replace_rows(
        &mut self,
        batch: &Batch,
        selection: &RowSelection,
    ) -> Result<RowSelection, PlanError> {
        let mut selection = selection.clone();
        if let Some(path) = &selection.with_file {
            let pattern = self.file_pattern.as_ref();
            let with = open_sheet(batch, &self.template, pattern, Some(path))?;
            let replacements = RowReplacements::read(path, &with, &self.sheet)?;
            selection.keys = Some(replacements.keys.clone());
            self.replacements = Some(replacements);
        }
        Ok(selection)
    }

    /// Returns the filter of each variant.
    pub(super) fn row_filters(
        &self,
        selection: &RowSelection,
    ) -> Result<Vec<RowFilter>, PlanError> {
        let headings = self.sheet.headings();
        let filters = self
            .variants
            .iter()
            .map(|variant| RowFilter::new(&selection.conditions, headings, &variant.columns));
        filters
            .collect::<Result<_, _>>()
            .map_err(|error: UnknownConditionColumn| PlanError::Selection(error.to_string()))
    }

    /// Returns the headings of unused columns: usually a misspelt one is among them.
    pub(super) fn unused_columns(&self, filters: &[RowFilter]) -> Vec<String> {
        let Some(mut used) = self.rendered_columns() else { return Vec::new() };
        used.extend(self.sheet.setting_columns());
        used.extend(filters.iter().flat_map(RowFilter::tested_columns));
        let columns = self.sheet.headings().iter().enumerate();
        columns
            .filter(|(column, _)| !used.contains(column))
            .map(|(_, heading)| heading.clone())
            .collect()
    }

    /// Returns the columns whose cells reach a payload, a file name or a key.
    pub(super) fn checked_columns(&self) -> Vec<usize> {
        match self.rendered_columns() {
            None => {
                let skip = self.sheet.skip_rule().map(SkipRule::column);
                (0..self.sheet.headings().len()).filter(|column| skip != Some(*column)).collect()
            }
            Some(mut used) => {
                used.extend(self.sheet.key_columns());
                used.into_iter().collect()
            }
        }
    }

    /// Returns the columns that the template, the file pattern and the variants use; `None` if the
    /// template can use any.
    fn rendered_columns(&self) -> Option<BTreeSet<usize>> {
        if self.template.can_use_any_column() {
            return None;
        }
        let of_pattern = self.file_pattern.iter().flat_map(|pattern| {
            pattern.required_columns().iter().chain(pattern.optional_columns())
        });
        let of_template =
            self.template.required_columns().iter().chain(self.template.optional_columns());
        let names: BTreeSet<&String> = of_template.chain(of_pattern).collect();
        let columns = self.sheet.template_names().iter().enumerate();
        let mut used: BTreeSet<usize> =
            columns.filter(|(_, name)| names.contains(name)).map(|(column, _)| column).collect();
        for VariantMapping { columns, .. } in &self.variants {
            used.extend(columns.lists.values().flatten().chain(columns.assigned.values()));
        }
        Some(used)
    }
}

/// Rejects a sheet that is one of our own reports: the rows that it lacks would count as removed.
fn reject_report(batch: &Batch, sheet: &Sheet) -> Result<(), PlanError> {
    match sheet.report_columns() {
        ReportColumns::None => return Ok(()),
        ReportColumns::Some | ReportColumns::All => {}
    }
    let file = batch.sheet.clone();
    let problem = SheetProblem {
        row: None,
        column: None,
        message: "this is a report of Callsheet, which may lack rows of the sheet".to_owned(),
        help: Some(format!(
            "keep the `sheet` from which it was made, and give `run` the option --with {} to run the \
             rows of this file",
            file.display()
        )),
        can_hide_rows: false,
        lost_rows: Box::default(),
    };
    Err(PlanError::Sheet(SheetProblems { file, problems: vec![problem] }))
}

/// Rejects `skip_hidden` for a sheet without hidden rows: a row that the user has hidden would be paid
/// for. A file with replacing rows may be a CSV file all the same.
fn reject_hidden_rows_of_text(batch: &Batch, sheet: &Sheet) -> Result<(), PlanError> {
    if !batch.skip_hidden || sheet.format().worksheet.is_some() {
        return Ok(());
    }
    let problem = SheetProblem {
        row: None,
        column: None,
        message: "`skip_hidden` is set, but a CSV file has no hidden rows".to_owned(),
        help: Some(
            "set `sheet` to the XLSX or ODS file, or mark the rows in a column and name it with \
             `skip`; or remove `skip_hidden` to render every row"
                .to_owned(),
        ),
        can_hide_rows: false,
        lost_rows: Box::default(),
    };
    Err(PlanError::Sheet(SheetProblems { file: batch.sheet.clone(), problems: vec![problem] }))
}

/// Returns texts of the batch file with the characters that cells have, white space at their ends
/// included: it was written there on purpose.
pub(super) fn canonical_values(texts: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let canonical =
        |(name, text): (&String, &String)| (name.clone(), canonical_characters(text).into_owned());
    texts.iter().map(canonical).collect()
}

/// Opens the sheet of the batch, or `with`, a file with rows that replace rows of it.
fn open_sheet(
    batch: &Batch,
    template: &SceneTemplate,
    file_pattern: Option<&FileNamePattern>,
    with: Option<&Path>,
) -> Result<Sheet, PlanError> {
    let from_variants = variant::names_set_by_all_variants(batch);
    let is_given =
        |name: &String| batch.defaults.contains_key(name) || from_variants.contains(name.as_str());
    let required = template.required_columns().iter();
    let required =
        required.chain(file_pattern.into_iter().flat_map(FileNamePattern::required_columns));
    let required: BTreeSet<String> = required.filter(|name| !is_given(name)).cloned().collect();
    let optional = template.optional_columns().iter();
    let optional =
        optional.chain(file_pattern.into_iter().flat_map(FileNamePattern::optional_columns));
    let spec = SheetSpec {
        key: &batch.key,
        group_by: batch.group_by.as_deref(),
        columns: &batch.columns,
        required: &required.into_iter().collect::<Vec<_>>(),
        optional: &optional.chain(batch.defaults.keys()).cloned().collect::<Vec<_>>(),
        lists: &template.list_names().cloned().collect::<Vec<_>>(),
        skip: batch.skip.as_ref().map(|skip| SkipSpec {
            column: &skip.column,
            values: &skip.values,
            defaults: &batch.defaults,
        }),
        encoding: batch.encoding.as_deref(),
        worksheet: batch.worksheet.as_deref().filter(|_| with.is_none()),
        header_row: batch.header_row.map(u64::from).filter(|_| with.is_none()),
        skip_hidden: batch.skip_hidden,
        is_link: matches!(batch.sheet_source, SheetSource::Link(_)) && with.is_none(),
    };
    Sheet::open(with.unwrap_or(&batch.sheet), &spec).map_err(PlanError::Sheet)
}

//! The variants of a row: one for each variant of the batch file, or a single one without a name.
//!
//! A variant maps the cells of a row to the fields of its own video. Invariant: the key of a job
//! ends in `/` and the name of its variant, which contains no `/`, so that keys are unique.

use std::collections::BTreeSet;

use super::inputs;
use crate::batch::{Batch, Variant};
use crate::payload::ColumnMapping;
use crate::sheet::{self, Sheet, SheetEntry};
use crate::template::SceneTemplate;
use crate::text::is_blank_text;

/// The mapping from cells to fields for one variant.
#[derive(Clone, Debug)]
pub struct VariantMapping {
    /// The name of the variant; `None` if the batch file has no variants.
    pub variant: Option<String>,
    /// How cells become fields.
    pub columns: ColumnMapping,
    /// Names that must be filled; otherwise the row is skipped in this variant.
    required_names: Vec<String>,
}

/// The template name that contains the name of the variant.
const VARIANT_NAME: &str = "variant";

impl VariantMapping {
    /// Returns the key of a row's job.
    pub fn job_key(&self, row: &str) -> String {
        match &self.variant {
            Some(variant) => format!("{row}/{variant}"),
            None => row.to_owned(),
        }
    }

    /// Returns whether the entry itself allows this variant to be made.
    pub fn should_make(&self, entry: &SheetEntry, rows: &[Vec<String>]) -> bool {
        let is_own = entry.variant.is_none() || entry.variant == self.variant;
        is_own && entry.skip_mark.is_none() && self.blank_required_name(rows).is_none()
    }

    /// Returns a name that this variant requires and that is empty in all rows, which are skipped
    /// then.
    pub(super) fn blank_required_name(&self, rows: &[Vec<String>]) -> Option<&str> {
        let is_blank = |name: &&String| {
            rows.iter().all(|row| self.columns.name_text(name, row).is_none_or(is_blank_text))
        };
        self.required_names.iter().find(is_blank).map(String::as_str)
    }
}

/// Returns the names that every variant sets itself, so that the sheet need not have them.
pub(super) fn names_set_by_all_variants(batch: &Batch) -> BTreeSet<&str> {
    let names = |variant: &Variant| -> BTreeSet<String> {
        variant.columns.keys().chain(variant.values.keys()).cloned().collect()
    };
    let all = batch.variants.iter().map(names);
    let Some(common) = all.reduce(|one, other| one.intersection(&other).cloned().collect()) else {
        return BTreeSet::new();
    };
    let known = batch.variants.iter().flat_map(|one| one.columns.keys().chain(one.values.keys()));
    known
        .map(String::as_str)
        .chain([VARIANT_NAME])
        .filter(|name| *name == VARIANT_NAME || common.contains(*name))
        .collect()
}

/// Returns the mappings of all variants of the batch.
///
/// # Errors
/// All columns used by variants that the sheet does not have.
pub(super) fn variant_mappings(
    batch: &Batch,
    sheet: &Sheet,
    template: &SceneTemplate,
    columns: &ColumnMapping,
) -> Result<Vec<VariantMapping>, sheet::SheetProblems> {
    if batch.variants.is_empty() {
        let columns = columns.clone();
        return Ok(vec![VariantMapping { variant: None, columns, required_names: Vec::new() }]);
    }
    let mut problems = Vec::new();
    let mut mappings = Vec::new();
    for variant in &batch.variants {
        let mut columns = columns.clone();
        for (name, heading) in &variant.columns {
            columns.lists.remove(name);
            let listed = template.list_names().any(|list| list == name);
            match sheet.find_column(heading) {
                Ok(column) => drop(columns.assigned.insert(name.clone(), column)),
                Err(missing) => match sheet.numbered_columns(heading) {
                    numbered if listed && !numbered.is_empty() => {
                        columns.lists.insert(name.clone(), numbered);
                    }
                    _ => problems.push(missing.into_variant_problem(&variant.name)),
                },
            }
        }
        let known = columns.names.iter().chain(columns.assigned.keys());
        if !known.chain(variant.values.keys()).any(|name| name == VARIANT_NAME) {
            columns.values.insert(VARIANT_NAME.to_owned(), variant.name.clone());
        }
        columns.values.extend(inputs::canonical_values(&variant.values));
        let needs = variant.needs.clone();
        // A name whose column is missing was reported with that column.
        let is_open = |name: &&String| {
            columns.name_text(name, &[]).is_none() && !variant.columns.contains_key(*name)
        };
        for name in needs.iter().filter(is_open) {
            if let Err(missing) = sheet.find_column(name) {
                problems.push(missing.into_variant_problem(&variant.name));
            }
        }
        mappings.push(VariantMapping {
            variant: Some(variant.name.clone()),
            columns,
            required_names: needs,
        });
    }
    if problems.is_empty() {
        return Ok(mappings);
    }
    Err(sheet::SheetProblems { file: batch.sheet.clone(), problems })
}

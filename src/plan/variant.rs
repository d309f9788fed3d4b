//! The ways in which one row is made: one, or one for each variant of the batch file.
//!
//! An edition knows how the cells of a row become the fields of its own video. Keys of editions
//! end in `/` and the variant's name, which has no `/` in it, so no two rows share one.

use std::collections::BTreeSet;

use crate::batch::{Batch, Variant};
use crate::payload::ColumnMapping;
use crate::sheet::{self, Sheet, SheetEntry};
use crate::template::SceneTemplate;

/// One way in which a row is made.
#[derive(Clone, Debug)]
pub struct VariantMapping {
    /// The variant; nothing where the batch file has none.
    pub variant: Option<String>,
    /// How cells become fields.
    pub columns: ColumnMapping,
    /// Names that must be filled, or the row is left out of this edition.
    required_names: Vec<String>,
}

/// The name under which a template sees which variant it is.
const VARIANT_NAME: &str = "variant";

impl VariantMapping {
    /// Returns the key of a row's job.
    pub fn job_key(&self, row: &str) -> String {
        match &self.variant {
            Some(variant) => format!("{row}/{variant}"),
            None => row.to_owned(),
        }
    }

    /// Tells whether this edition of a sheet's row is to be made, as far as the row itself says.
    pub fn should_make(&self, entry: &SheetEntry, rows: &[Vec<String>]) -> bool {
        let meant = entry.variant.is_none() || entry.variant == self.variant;
        meant && !entry.is_skipped && !self.should_skip(rows)
    }

    /// Tells whether something that this edition needs is missing in all of these rows.
    pub(super) fn should_skip(&self, rows: &[Vec<String>]) -> bool {
        let is_blank = |name: &String| {
            rows.iter()
                .all(|row| self.columns.name_text(name, row).is_none_or(|it| it.trim().is_empty()))
        };
        self.required_names.iter().any(is_blank)
    }
}

/// Returns the names that every variant brings itself, so that the sheet need not have them.
pub(super) fn names_set_by_all_variants(batch: &Batch) -> BTreeSet<&str> {
    let of = |variant: &Variant| -> BTreeSet<String> {
        variant.columns.keys().chain(variant.values.keys()).cloned().collect()
    };
    let all = batch.variants.iter().map(of);
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

/// Returns every edition of the batch's rows.
///
/// # Errors
/// All columns of variants that the sheet does not have.
pub(super) fn variant_mappings(
    batch: &Batch,
    (sheet, template): (&Sheet, &SceneTemplate),
    columns: &ColumnMapping,
) -> Result<Vec<VariantMapping>, sheet::SheetProblems> {
    if batch.variants.is_empty() {
        let columns = columns.clone();
        return Ok(vec![VariantMapping { variant: None, columns, required_names: Vec::new() }]);
    }
    let mut problems = Vec::new();
    let mut editions = Vec::new();
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
        columns.values.extend(variant.values.clone());
        let needs = variant.needs.clone();
        for name in needs.iter().filter(|name| columns.name_text(name, &[]).is_none()) {
            if let Err(missing) = sheet.find_column(name) {
                problems.push(missing.into_variant_problem(&variant.name));
            }
        }
        editions.push(VariantMapping {
            variant: Some(variant.name.clone()),
            columns,
            required_names: needs,
        });
    }
    if problems.is_empty() {
        return Ok(editions);
    }
    Err(sheet::SheetProblems { file: batch.sheet.clone(), problems })
}

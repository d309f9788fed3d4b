//! The keys that `--only` names: each text is one key, or a list of keys separated by commas.
//!
//! A key may contain a comma, so a text is tried as a key first.

use std::collections::HashSet;

use super::{PlanError, PlanInputs};
use crate::sheet;

/// Returns the keys that the texts name.
///
/// # Errors
/// A part of a list is empty: a script that fails to fill in its list must not select less than meant.
pub(super) fn resolve_keys(
    texts: &[String],
    inputs: &PlanInputs,
) -> Result<Vec<String>, PlanError> {
    let lists: HashSet<&String> = texts.iter().filter(|text| text.contains(',')).collect();
    let whole = if lists.is_empty() { HashSet::new() } else { known_keys(&lists, inputs) };
    let mut keys = Vec::new();
    for text in texts {
        if !lists.contains(text) || whole.contains(text) {
            keys.push(text.clone());
            continue;
        }
        for part in text.split(',') {
            let key = sheet::normalize_name(part);
            if key.is_empty() {
                let message = format!("--only: a key is missing in `{text}`");
                return Err(PlanError::Selection(message));
            }
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Returns those of the texts that are keys of rows or of their variants.
fn known_keys(texts: &HashSet<&String>, inputs: &PlanInputs) -> HashSet<String> {
    let mut known = HashSet::new();
    for entry in inputs.sheet.entries() {
        let rows: Vec<String> = match entry {
            Ok(entry) => vec![entry.key],
            Err(problem) => {
                problem.lost_rows.iter().filter_map(|row| inputs.sheet.lost_row_key(row)).collect()
            }
        };
        for row in rows {
            let variants = inputs.variants.iter().map(|variant| variant.job_key(&row));
            known.extend(variants.filter(|key| texts.contains(key)));
            known.extend(Some(row).filter(|row| texts.contains(row)));
        }
    }
    known
}

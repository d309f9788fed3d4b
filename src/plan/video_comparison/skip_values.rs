//! Misspelt values of the `skip` column: `On hodl` in one row, where `skip` names `On hold`, would be
//! rendered.
//!
//! Invariant: only a value of a single row is reported, and only if one or two of its letters differ from a
//! value that `skip` names, or that several rows have. Numbers, as in `Week 1`, are no misspelling.

use std::collections::BTreeMap;

use crate::plan::problem::{CellFinding, PlanProblem};
use crate::plan::row_merger::MergeContext;
use crate::plan::skip_reason::shorten_cell;
use crate::sheet::{SkipDecision, SkipRule, normalize_mark};
use crate::text::is_blank_text;

/// A column with more values does not hold a status.
const VALUES_MAX: usize = 100;
/// Shorter words often differ by one letter: `hold` and `sold`.
const LETTERS_MIN: usize = 5;
/// From this length on, two letters may differ.
const LONG_LETTERS_MIN: usize = 8;

/// The values of the `skip` column, in lower case.
#[derive(Debug, Default)]
pub(in crate::plan) struct SkipValues {
    values: BTreeMap<String, ValueRows>,
    has_too_many: bool,
}

#[derive(Debug)]
struct ValueRows {
    /// The cell of the first row, as it is written.
    cell: String,
    first_row: u64,
    rows: u64,
}

impl SkipValues {
    /// Adds the cell of a row, whether the row is skipped or not.
    pub(in crate::plan) fn add(&mut self, row: u64, cell: &str) {
        if is_blank_text(cell) {
            return;
        }
        self.add_value(
            normalize_mark(cell),
            ValueRows { cell: shorten_cell(cell), first_row: row, rows: 1 },
        );
    }

    /// Adds the cells of later rows.
    pub(in crate::plan) fn merge(&mut self, later: Self) {
        self.has_too_many |= later.has_too_many;
        later.values.into_iter().for_each(|(value, rows)| self.add_value(value, rows));
    }

    fn add_value(&mut self, value: String, rows: ValueRows) {
        if let Some(known) = self.values.get_mut(&value) {
            known.rows += rows.rows;
        } else if self.values.len() < VALUES_MAX {
            self.values.insert(value, rows);
        } else {
            self.has_too_many = true;
        }
    }

    /// Returns a warning for each value that is probably another one.
    pub(in crate::plan) fn warnings(self, context: &MergeContext) -> Vec<PlanProblem> {
        let Some(rule) = context.skip.rule.as_ref().filter(|_| !self.has_too_many) else {
            return Vec::new();
        };
        let singles = self.values.iter().filter(|(_, rows)| rows.rows == 1);
        let warnings = singles.filter_map(|(value, rows)| {
            let meant = self.meant_value(value, rule)?;
            let effect = match rule.decide(&rows.cell) {
                SkipDecision::Skip => "skipped",
                SkipDecision::Keep => "rendered",
                // Another warning is about such a cell.
                SkipDecision::Unclear => return None,
            };
            let finding = CellFinding {
                message: format!("`{}`: did you mean `{meant}`? The row is {effect}", rows.cell),
                help: "correct the cell, if it is misspelt".to_owned(),
            };
            let column = Some(context.sheet_column(rule.column()));
            Some(PlanProblem::for_cell(rows.first_row, column, finding))
        });
        let mut warnings: Vec<PlanProblem> = warnings.collect();
        warnings.sort_by_key(|warning| warning.row);
        warnings
    }

    /// Returns the value that was probably meant: one that the batch file names, or one of several rows.
    fn meant_value(&self, value: &str, rule: &SkipRule) -> Option<String> {
        let known = |other: &str| match self.values.get(other) {
            Some(rows) => rows.cell.clone(),
            None => other.to_owned(),
        };
        if rule.values().iter().any(|named| named == value) {
            return None;
        }
        let named = rule.values().iter().find(|named| is_misspelling(value, named));
        if let Some(named) = named {
            return Some(known(named));
        }
        let others = self.values.iter().filter(|(_, rows)| rows.rows > 1);
        let near = others.filter(|(other, _)| is_misspelling(value, other));
        near.max_by_key(|(_, rows)| rows.rows).map(|(_, rows)| rows.cell.clone())
    }
}

/// Returns whether two values differ as a word and its misspelling do.
fn is_misspelling(value: &str, other: &str) -> bool {
    let letters = value.chars().count().min(other.chars().count());
    let without_digits = |text: &str| text.chars().filter(|c| !c.is_numeric()).collect::<String>();
    if value == other || letters < LETTERS_MIN || without_digits(value) == without_digits(other) {
        return false;
    }
    match strsim::damerau_levenshtein(value, other) {
        1 => true,
        // `Approved` and `Unapproved` are different words.
        2 => letters >= LONG_LETTERS_MIN && !value.contains(other) && !other.contains(value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_two_letters_make_a_misspelling_and_numbers_do_not() {
        for (value, other) in [
            ("approvd", "approved"),
            ("on hodl", "on hold"),
            ("onhold", "on hold"),
            ("aproved!", "approved"),
            ("zurückgestelt", "zurückgestellt"),
        ] {
            assert!(is_misspelling(value, other), "{value}");
        }
        for (value, other) in [
            ("approved", "approved"),
            ("hold", "sold"),
            ("week 1", "week 2"),
            ("version 10", "version 2"),
            ("unapproved", "approved"),
            ("inactive", "active"),
            ("draft", "ready"),
            ("reviewed", "renewed"),
        ] {
            assert!(!is_misspelling(value, other), "{value}");
        }
    }
}

//! The selection of rows by key (`--only`) or by cell (`--where`).
//!
//! A selection limits only which rows are submitted: every row is still read, checked, compared and
//! kept. All commands share one grammar: `COLUMN=VALUE` and `COLUMN!=VALUE`.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::payload::ColumnMapping;
use crate::sheet;

/// The rows selected by the user; by default, every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSelection {
    /// Only these keys, possibly none; `None`: all.
    pub keys: Option<Vec<String>>,
    /// Only the rows of this file, which replace those of the sheet with their keys.
    pub with_file: Option<PathBuf>,
    /// Only rows that meet all of these conditions.
    pub conditions: Vec<RowCondition>,
    /// Whether the plan records the catalogue items that its payloads use.
    pub should_record_catalog_uses: bool,
}

/// The value that a cell must have, or must not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowCondition {
    column: String,
    value: String,
    operator: ConditionOperator,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConditionOperator {
    Equals,
    NotEquals,
}

/// A condition that does not follow the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it as COLUMN=VALUE or COLUMN!=VALUE, for example language=ko")]
pub struct InvalidCondition;

/// A condition on a column that the sheet does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--where {condition}: {message}; {help}")]
pub struct UnknownConditionColumn {
    condition: String,
    message: String,
    help: String,
}

impl RowSelection {
    /// Returns whether every row is selected.
    pub fn is_unrestricted(&self) -> bool {
        self.keys.is_none() && self.conditions.is_empty() && self.with_file.is_none()
    }

    /// Returns the error message for a key that the sheet does not have.
    pub(super) fn unknown_key_message(&self, key: &str) -> String {
        format!("{}: no row of the sheet has the key `{key}`", self.key_option())
    }

    /// Returns the error message if nothing is selected: a typing error must not look like a run with
    /// nothing to do. `skipped` is a selected row that is skipped, with the reason.
    pub(super) fn nothing_selected_message(&self, skipped: Option<&str>) -> String {
        let condition = |condition: &RowCondition| format!(" --where {condition}");
        let conditions: String = self.conditions.iter().map(condition).collect();
        let option = self.key_option();
        let example = skipped.map(|row| format!(" ({row})")).unwrap_or_default();
        let keys = match self.keys {
            Some(_) => format!(" with the keys of {option}"),
            None => String::new(),
        };
        match (conditions.is_empty(), skipped) {
            (true, _) => {
                format!("{option}: all rows with these keys are skipped or cannot be read{example}")
            }
            (false, None) => format!("no row of the sheet{keys} matches:{conditions}"),
            (false, Some(_)) => {
                format!("every row{keys} that matches is skipped:{conditions}{example}")
            }
        }
    }

    /// Returns the option that selects keys.
    fn key_option(&self) -> &'static str {
        if self.with_file.is_some() { "--with" } else { "--only" }
    }
}

impl FromStr for RowCondition {
    type Err = InvalidCondition;

    fn from_str(text: &str) -> Result<Self, InvalidCondition> {
        let (column, value) = text.split_once('=').ok_or(InvalidCondition)?;
        let (column, operator) = match column.strip_suffix('!') {
            Some(column) => (column, ConditionOperator::NotEquals),
            None => (column, ConditionOperator::Equals),
        };
        let column = column.trim().to_owned();
        if column.is_empty() {
            return Err(InvalidCondition);
        }
        Ok(Self { column, value: sheet::normalize_name(value), operator })
    }
}

impl fmt::Display for RowCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.operator {
            ConditionOperator::Equals => "=",
            ConditionOperator::NotEquals => "!=",
        };
        write!(f, "{}{sign}{}", self.column, self.value)
    }
}

/// Conditions on the columns of one sheet.
#[derive(Clone, Debug, Default)]
pub struct RowFilter {
    tests: Vec<ColumnTest>,
}

/// The values allowed and excluded in one column.
#[derive(Clone, Debug)]
struct ColumnTest {
    target: ConditionTarget,
    allowed_values: BTreeSet<String>,
    excluded_values: BTreeSet<String>,
}

/// The text that a condition tests.
#[derive(Clone, Debug, PartialEq)]
enum ConditionTarget {
    Column(usize),
    /// A name set by the variant itself.
    Name(String),
}

impl RowFilter {
    /// Resolves the columns of the conditions in a sheet.
    ///
    /// # Errors
    /// A column that the sheet does not have, with the nearest headings.
    pub fn new(
        conditions: &[RowCondition],
        headings: &[String],
        columns: &ColumnMapping,
    ) -> Result<Self, UnknownConditionColumn> {
        let mut tests: Vec<ColumnTest> = Vec::new();
        for condition in conditions {
            let target = resolve_target(condition, headings, columns)?;
            let known = tests.iter_mut().position(|test| test.target == target);
            let known = known.unwrap_or_else(|| {
                tests.push(ColumnTest {
                    target,
                    allowed_values: BTreeSet::new(),
                    excluded_values: BTreeSet::new(),
                });
                tests.len() - 1
            });
            let test = &mut tests[known];
            let values = match condition.operator {
                ConditionOperator::Equals => &mut test.allowed_values,
                ConditionOperator::NotEquals => &mut test.excluded_values,
            };
            values.insert(condition.value.clone());
        }
        Ok(Self { tests })
    }

    /// Returns the columns of the conditions.
    pub(super) fn tested_columns(&self) -> impl Iterator<Item = usize> {
        self.tests.iter().filter_map(|test| match test.target {
            ConditionTarget::Column(column) => Some(column),
            ConditionTarget::Name(_) => None,
        })
    }

    /// Returns the name that one cell of every matching row has, if there is one.
    pub fn required_cell(&self, columns: &ColumnMapping) -> Option<&str> {
        self.tests.iter().find_map(|test| test.required_cell(columns))
    }

    /// Returns whether one of the rows of a video meets all conditions. Cells are tested as the
    /// template receives them: an empty cell has its default.
    pub fn is_match(&self, rows: &[Vec<String>], columns: &ColumnMapping) -> bool {
        self.tests.is_empty()
            || rows.iter().any(|row| self.tests.iter().all(|test| test.is_met(row, columns)))
    }
}

fn resolve_target(
    condition: &RowCondition,
    headings: &[String],
    columns: &ColumnMapping,
) -> Result<ConditionTarget, UnknownConditionColumn> {
    let variant_names: Vec<String> =
        columns.values.keys().chain(columns.assigned.keys()).cloned().collect();
    if let Ok(name) = sheet::find_column(&condition.column, &variant_names, &variant_names) {
        return Ok(ConditionTarget::Name(variant_names[name].clone()));
    }
    let column = sheet::find_column(&condition.column, &columns.names, headings);
    column.map(ConditionTarget::Column).map_err(|sheet::ColumnLookupError { message, help }| {
        UnknownConditionColumn { condition: condition.to_string(), message, help }
    })
}

impl ColumnTest {
    /// Returns the one allowed value, unless a row can have it without a cell: as a default, or as a name
    /// of the variant.
    fn required_cell(&self, columns: &ColumnMapping) -> Option<&str> {
        let ConditionTarget::Column(_) = self.target else { return None };
        let mut values = self.allowed_values.iter();
        let value = values.next().filter(|_| values.next().is_none())?;
        (!self.is_met(&[], columns)).then_some(value)
    }

    fn is_met(&self, row: &[String], columns: &ColumnMapping) -> bool {
        let value = sheet::normalize_name(match &self.target {
            ConditionTarget::Column(column) => columns.cell_text(*column, row),
            ConditionTarget::Name(name) => columns.name_text(name, row).unwrap_or_default(),
        });
        (self.allowed_values.is_empty() || self.allowed_values.contains(&value))
            && !self.excluded_values.contains(&value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> (Vec<String>, ColumnMapping) {
        let headings = ["Sku", "Language", "Head line"].map(str::to_owned).to_vec();
        let names = ["Sku", "language", "Head line"].map(str::to_owned).to_vec();
        let defaults = [("language".to_owned(), "en".to_owned())].into();
        (headings, ColumnMapping { names, defaults, ..ColumnMapping::default() })
    }

    fn selected(conditions: &[&str]) -> String {
        let (headings, columns) = columns();
        let conditions: Vec<RowCondition> =
            conditions.iter().map(|text| text.parse().unwrap()).collect();
        let filter = match RowFilter::new(&conditions, &headings, &columns) {
            Ok(filter) => filter,
            Err(error) => return error.to_string(),
        };
        let rows = [["a", " ko\u{a0}", "x=1"], ["b", "", ""], ["c", "ja", "Cafe\u{301}"]];
        let matching =
            rows.iter().filter(|row| filter.is_match(&[row.map(str::to_owned).to_vec()], &columns));
        matching.map(|row| row[0]).collect()
    }

    #[test]
    fn conditions_test_the_text_that_the_template_receives() {
        for (conditions, keys) in [
            (&["language=ko"][..], "a"),
            (&["LANGUAGE = ko"], "a"),
            (&["language=en"], "b"),
            (&["language!=en"], "ac"),
            (&["language=ko", "language=ja"], "ac"),
            (&["language=ko", "sku=c"], ""),
            (&["headline=x=1"], "a"),
            (&["headline="], "b"),
            (&["head_line=Caf\u{e9}"], "c"),
            (&["language=KO"], ""),
            (&[], "abc"),
        ] {
            assert_eq!(selected(conditions), keys, "{conditions:?}");
        }
    }

    #[test]
    fn a_cell_is_required_only_by_a_single_value_that_no_row_has_by_default() {
        let (headings, columns) = columns();
        for (conditions, required) in [
            (&["language=ko"][..], Some("ko")),
            (&["language=en"], None),
            (&["language=ko", "language=ja"], None),
            (&["language!=ko"], None),
            (&["headline="], None),
            (&["language=en", "sku= Cafe\u{301} "], Some("Caf\u{e9}")),
            (&[], None),
        ] {
            let parsed: Vec<RowCondition> =
                conditions.iter().map(|text| text.parse().unwrap()).collect();
            let filter = RowFilter::new(&parsed, &headings, &columns).unwrap();
            assert_eq!(filter.required_cell(&columns), required, "{conditions:?}");
        }
    }

    #[test]
    fn a_condition_on_a_missing_column_suggests_the_nearest() {
        insta::assert_snapshot!(selected(&["langauge=ko"]), @"--where langauge=ko: there is no column `langauge`; did you mean `Language`?");
        insta::assert_snapshot!(selected(&["price=1"]), @"--where price=1: there is no column `price`; the columns are: `Sku`, `Language`, `Head line`");
        assert_eq!("=x".parse::<RowCondition>(), Err(InvalidCondition));
        assert_eq!("!=x".parse::<RowCondition>(), Err(InvalidCondition));
        assert_eq!("x".parse::<RowCondition>(), Err(InvalidCondition));
    }
}

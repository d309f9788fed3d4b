//! Which rows a person wants now: by key, or by what their cells say.
//!
//! A choice narrows what is submitted, and nothing else: every row is still read, checked, compared
//! and kept. One grammar serves every command: `COLUMN=VALUE` and `COLUMN!=VALUE`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::payload::ColumnMapping;
use crate::sheet;

/// What a person named. Nothing named: every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSelection {
    /// Only these keys; all when empty.
    pub keys: Vec<String>,
    /// Only rows that meet all of these.
    pub conditions: Vec<RowCondition>,
    /// Whether the plan shall say what its payloads take from the account's catalogues.
    pub should_record_catalog_uses: bool,
}

/// What a cell must say, or must not.
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

/// A condition that cannot be understood.
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
    /// Tells whether nothing was named, so that every row is meant.
    pub fn is_unrestricted(&self) -> bool {
        self.keys.is_empty() && self.conditions.is_empty()
    }

    /// Says what is wrong when nothing is like that: a slip of the pen must not look like a night
    /// in which there was nothing to do.
    pub(super) fn unmatched_message(
        &self,
        named: u64,
        stranger: Option<&String>,
    ) -> Option<String> {
        if let Some(key) = stranger {
            return Some(format!("--only: no row of the sheet has the key `{key}`"));
        }
        let one = |condition: &RowCondition| format!(" --where {condition}");
        let all: String = self.conditions.iter().map(one).collect();
        let only = if self.keys.is_empty() { "" } else { " with the keys of --only" };
        let words = || match all.is_empty() {
            true => "--only: every row with these keys says that it is left out, or cannot be read"
                .to_owned(),
            false => format!("no row of the sheet{only} is like that:{all}"),
        };
        (named == 0 && !self.is_unrestricted()).then(words)
    }
}

impl FromStr for RowCondition {
    type Err = InvalidCondition;

    fn from_str(text: &str) -> Result<Self, InvalidCondition> {
        let (column, value) = text.split_once('=').ok_or(InvalidCondition)?;
        let (column, verb) = match column.strip_suffix('!') {
            Some(column) => (column, ConditionOperator::NotEquals),
            None => (column, ConditionOperator::Equals),
        };
        let column = column.trim().to_owned();
        if column.is_empty() {
            return Err(InvalidCondition);
        }
        Ok(Self { column, value: sheet::normalize_name(value), operator: verb })
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

/// What one column must say: one of some values, and none of others.
#[derive(Clone, Debug)]
struct ColumnTest {
    target: ConditionTarget,
    allowed_values: BTreeSet<String>,
    excluded_values: BTreeSet<String>,
}

/// Where a condition looks.
#[derive(Clone, Debug, PartialEq)]
enum ConditionTarget {
    Column(usize),
    /// A name that a variant brings itself.
    Name(String),
}

impl RowFilter {
    /// Finds the conditions' columns in a sheet.
    ///
    /// # Errors
    /// A column that is not there, with the nearest headings.
    pub fn new(
        conditions: &[RowCondition],
        headings: &[String],
        columns: &ColumnMapping,
    ) -> Result<Self, UnknownConditionColumn> {
        let mut tests: Vec<ColumnTest> = Vec::new();
        for condition in conditions {
            let place = resolve_target(condition, headings, columns)?;
            let known = tests.iter_mut().position(|test| test.target == place);
            let known = known.unwrap_or_else(|| {
                tests.push(ColumnTest {
                    target: place,
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

    /// Returns the columns that are asked for.
    pub(super) fn tested_columns(&self) -> impl Iterator<Item = usize> {
        self.tests.iter().filter_map(|test| match test.target {
            ConditionTarget::Column(column) => Some(column),
            ConditionTarget::Name(_) => None,
        })
    }

    /// Tells whether one of these rows, which make one video, meets all conditions. A cell counts
    /// as what the template sees: a default stands in for an empty one.
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
    let brought: Vec<String> =
        columns.values.keys().chain(columns.assigned.keys()).cloned().collect();
    if let Ok(name) = sheet::find_column(&condition.column, &brought, &brought) {
        return Ok(ConditionTarget::Name(brought[name].clone()));
    }
    let column = sheet::find_column(&condition.column, &columns.names, headings);
    column.map(ConditionTarget::Column).map_err(|sheet::ColumnLookupError { message, help }| {
        UnknownConditionColumn { condition: condition.to_string(), message, help }
    })
}

impl ColumnTest {
    fn is_met(&self, row: &[String], columns: &ColumnMapping) -> bool {
        let says = sheet::normalize_name(match &self.target {
            ConditionTarget::Column(column) => columns.cell_text(*column, row),
            ConditionTarget::Name(name) => columns.name_text(name, row).unwrap_or_default(),
        });
        (self.allowed_values.is_empty() || self.allowed_values.contains(&says))
            && !self.excluded_values.contains(&says)
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

    fn chosen(conditions: &[&str]) -> String {
        let (headings, columns) = columns();
        let conditions: Vec<RowCondition> =
            conditions.iter().map(|text| text.parse().unwrap()).collect();
        let sieve = match RowFilter::new(&conditions, &headings, &columns) {
            Ok(sieve) => sieve,
            Err(error) => return error.to_string(),
        };
        let rows = [["a", " ko\u{a0}", "x=1"], ["b", "", ""], ["c", "ja", "Cafe\u{301}"]];
        let through =
            rows.iter().filter(|row| sieve.is_match(&[row.map(str::to_owned).to_vec()], &columns));
        through.map(|row| row[0]).collect()
    }

    #[test]
    fn a_condition_is_met_by_what_the_template_sees() {
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
            assert_eq!(chosen(conditions), keys, "{conditions:?}");
        }
    }

    #[test]
    fn a_condition_on_no_column_names_the_nearest() {
        insta::assert_snapshot!(chosen(&["langauge=ko"]), @"--where langauge=ko: there is no column `langauge`; the nearest: `Language`");
        insta::assert_snapshot!(chosen(&["price=1"]), @"--where price=1: there is no column `price`; the columns are: `Sku`, `Language`, `Head line`");
        assert_eq!("=x".parse::<RowCondition>(), Err(InvalidCondition));
        assert_eq!("!=x".parse::<RowCondition>(), Err(InvalidCondition));
        assert_eq!("x".parse::<RowCondition>(), Err(InvalidCondition));
    }
}

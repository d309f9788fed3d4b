//! Which rows a person wants now: by key, or by what their cells say.
//!
//! A choice narrows what is submitted, and nothing else: every row is still read, checked, compared
//! and kept. One grammar serves every command: `COLUMN=VALUE` and `COLUMN!=VALUE`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::scene::Columns;
use crate::sheet;

/// What a person named. Nothing named: every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Only these keys; all when empty.
    pub keys: Vec<String>,
    /// Only rows that meet all of these.
    pub conditions: Vec<Condition>,
    /// Whether the plan shall say what its payloads take from the account's catalogues.
    pub takes: bool,
}

/// What a cell must say, or must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    column: String,
    value: String,
    verb: Verb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Is,
    IsNot,
}

/// A condition that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write it as COLUMN=VALUE or COLUMN!=VALUE, for example language=ko")]
pub struct NoCondition;

/// A condition on a column that the sheet does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--where {condition}: {message}; {help}")]
pub struct NoSuchColumn {
    condition: String,
    message: String,
    help: String,
}

impl Choice {
    /// Tells whether nothing was named, so that every row is meant.
    pub fn is_everything(&self) -> bool {
        self.keys.is_empty() && self.conditions.is_empty()
    }

    /// Says what is wrong when nothing is like that: a slip of the pen must not look like a night
    /// in which there was nothing to do.
    pub(super) fn unmet(&self, named: u64, stranger: Option<&String>) -> Option<String> {
        if let Some(key) = stranger {
            return Some(format!("--only: no row of the sheet has the key `{key}`"));
        }
        let one = |condition: &Condition| format!(" --where {condition}");
        let all: String = self.conditions.iter().map(one).collect();
        let only = if self.keys.is_empty() { "" } else { " with the keys of --only" };
        let words = || match all.is_empty() {
            true => "--only: every row with these keys says that it is left out, or cannot be read"
                .to_owned(),
            false => format!("no row of the sheet{only} is like that:{all}"),
        };
        (named == 0 && !self.is_everything()).then(words)
    }
}

impl FromStr for Condition {
    type Err = NoCondition;

    fn from_str(text: &str) -> Result<Self, NoCondition> {
        let (column, value) = text.split_once('=').ok_or(NoCondition)?;
        let (column, verb) = match column.strip_suffix('!') {
            Some(column) => (column, Verb::IsNot),
            None => (column, Verb::Is),
        };
        let column = column.trim().to_owned();
        if column.is_empty() {
            return Err(NoCondition);
        }
        Ok(Self { column, value: sheet::name(value), verb })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.verb {
            Verb::Is => "=",
            Verb::IsNot => "!=",
        };
        write!(f, "{}{sign}{}", self.column, self.value)
    }
}

/// Conditions on the columns of one sheet.
#[derive(Clone, Debug, Default)]
pub struct Sieve {
    tests: Vec<Test>,
}

/// What one column must say: one of some values, and none of others.
#[derive(Clone, Debug)]
struct Test {
    place: Place,
    is: BTreeSet<String>,
    is_not: BTreeSet<String>,
}

/// Where a condition looks.
#[derive(Clone, Debug, PartialEq)]
enum Place {
    Column(usize),
    /// A name that a variant brings itself.
    Name(String),
}

impl Sieve {
    /// Finds the conditions' columns in a sheet.
    ///
    /// # Errors
    /// A column that is not there, with the nearest headings.
    pub fn of(
        conditions: &[Condition],
        headings: &[String],
        columns: &Columns,
    ) -> Result<Self, NoSuchColumn> {
        let mut tests: Vec<Test> = Vec::new();
        for condition in conditions {
            let place = place(condition, headings, columns)?;
            let known = tests.iter_mut().position(|test| test.place == place);
            let known = known.unwrap_or_else(|| {
                tests.push(Test { place, is: BTreeSet::new(), is_not: BTreeSet::new() });
                tests.len() - 1
            });
            let test = &mut tests[known];
            let values = match condition.verb {
                Verb::Is => &mut test.is,
                Verb::IsNot => &mut test.is_not,
            };
            values.insert(condition.value.clone());
        }
        Ok(Self { tests })
    }

    /// Returns the columns that are asked for.
    pub(super) fn columns(&self) -> impl Iterator<Item = usize> {
        self.tests.iter().filter_map(|test| match test.place {
            Place::Column(column) => Some(column),
            Place::Name(_) => None,
        })
    }

    /// Tells whether one of these rows, which make one video, meets all conditions. A cell counts
    /// as what the template sees: a default stands in for an empty one.
    pub fn lets_through(&self, rows: &[Vec<String>], columns: &Columns) -> bool {
        self.tests.is_empty()
            || rows.iter().any(|row| self.tests.iter().all(|test| test.holds(row, columns)))
    }
}

fn place(
    condition: &Condition,
    headings: &[String],
    columns: &Columns,
) -> Result<Place, NoSuchColumn> {
    let brought: Vec<String> =
        columns.values.keys().chain(columns.assigned.keys()).cloned().collect();
    if let Ok(name) = sheet::column(&condition.column, &brought, &brought) {
        return Ok(Place::Name(brought[name].clone()));
    }
    let column = sheet::column(&condition.column, &columns.names, headings);
    column.map(Place::Column).map_err(|sheet::NoColumn { message, help }| NoSuchColumn {
        condition: condition.to_string(),
        message,
        help,
    })
}

impl Test {
    fn holds(&self, row: &[String], columns: &Columns) -> bool {
        let says = sheet::name(match &self.place {
            Place::Column(column) => columns.value(*column, row),
            Place::Name(name) => columns.text(name, row).unwrap_or_default(),
        });
        (self.is.is_empty() || self.is.contains(&says)) && !self.is_not.contains(&says)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> (Vec<String>, Columns) {
        let headings = ["Sku", "Language", "Head line"].map(str::to_owned).to_vec();
        let names = ["Sku", "language", "Head line"].map(str::to_owned).to_vec();
        let defaults = [("language".to_owned(), "en".to_owned())].into();
        (headings, Columns { names, defaults, ..Columns::default() })
    }

    fn chosen(conditions: &[&str]) -> String {
        let (headings, columns) = columns();
        let conditions: Vec<Condition> =
            conditions.iter().map(|text| text.parse().unwrap()).collect();
        let sieve = match Sieve::of(&conditions, &headings, &columns) {
            Ok(sieve) => sieve,
            Err(error) => return error.to_string(),
        };
        let rows = [["a", " ko\u{a0}", "x=1"], ["b", "", ""], ["c", "ja", "Cafe\u{301}"]];
        let through = rows
            .iter()
            .filter(|row| sieve.lets_through(&[row.map(str::to_owned).to_vec()], &columns));
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
        assert_eq!("=x".parse::<Condition>(), Err(NoCondition));
        assert_eq!("!=x".parse::<Condition>(), Err(NoCondition));
        assert_eq!("x".parse::<Condition>(), Err(NoCondition));
    }
}

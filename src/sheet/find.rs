//! Which column is meant by a name, and what to say when none is.
//!
//! A column is the one that is called exactly so, by template name or heading, or else the only
//! one that is written like it. Several that are alike are never chosen from.

use super::Sheet;
use super::alike;
use super::invisible::trim;
use super::problem::{Column, Problem, clipped};

/// Less alike than this, two headings are not meant to be the same.
const ALIKE_MIN: f64 = 0.6;
/// So many headings are offered when one is missing.
const OFFERED_MAX: usize = 3;
/// So many headings are listed when none is near.
const LISTED_MAX: usize = 8;

/// What a name may mean.
pub(super) enum Found {
    /// The column that is called so.
    One(usize),
    /// Those that are written like it, which may be none.
    Like(Vec<usize>),
}

/// Why no column was found, for the person who named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoColumn {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl NoColumn {
    /// Tells it of a variant in the batch file.
    pub fn of_variant(self, variant: &str) -> Problem {
        let message = format!("{}, which the variant `{}` names", self.message, clipped(variant));
        Problem::of_sheet(message, self.help)
    }
}

impl Sheet {
    /// Finds the column that `wanted` means.
    ///
    /// # Errors
    ///
    /// There is none, or more than one.
    pub fn column(&self, wanted: &str) -> Result<usize, NoColumn> {
        column(wanted, self.names(), self.headings())
    }

    /// Finds the columns that are called `wanted` and a number, in the order of their numbers.
    pub fn numbered(&self, wanted: &str) -> Vec<usize> {
        repeated(wanted, self.headings())
    }
}

/// Finds the column that `wanted` means; `names` are the template names of `headings`.
///
/// # Errors
///
/// There is none, or more than one.
pub fn column(wanted: &str, names: &[String], headings: &[String]) -> Result<usize, NoColumn> {
    let like = match find(wanted, names, headings) {
        Found::One(column) => return Ok(column),
        Found::Like(like) => like,
    };
    match like[..] {
        [column] => Ok(column),
        [] => Err(NoColumn {
            message: format!("there is no column `{}`", clipped(wanted)),
            help: help_for_missing(headings, wanted, None),
        }),
        [_, _, ..] => Err(NoColumn {
            message: may_be_any(wanted, &like, headings),
            help: "write it as the sheet does".to_owned(),
        }),
    }
}

pub(super) fn find(wanted: &str, names: &[String], headings: &[String]) -> Found {
    let place = |list: &[String]| list.iter().position(|known| known == trim(wanted));
    if let Some(column) = place(names).or_else(|| place(headings)) {
        return Found::One(column);
    }
    let mut like = alike::like(wanted, names);
    like.extend(alike::like(wanted, headings));
    like.sort_unstable();
    like.dedup();
    Found::Like(like)
}

/// Finds the columns that are called `wanted` and a number, such as `script_1` and `Script 2`, in
/// the order of their numbers. None, where two have the same number.
pub(super) fn repeated(wanted: &str, headings: &[String]) -> Vec<usize> {
    let mut found: Vec<(u32, usize)> = headings
        .iter()
        .enumerate()
        .filter_map(|(column, heading)| {
            let name = trim(heading).trim_end_matches(|c: char| c.is_ascii_digit());
            let number = trim(heading)[name.len()..].parse().ok()?;
            alike::are_like(name, wanted).then_some((number, column))
        })
        .collect();
    found.sort_unstable();
    if found.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Vec::new();
    }
    found.into_iter().map(|(_, column)| column).collect()
}

/// Says that more than one column may be meant.
pub(super) fn may_be_any(wanted: &str, like: &[usize], headings: &[String]) -> String {
    let one = |column: &usize| {
        let letter = Column { index: *column, heading: None }.letter();
        format!("`{}` (column {letter})", clipped(&headings[*column]))
    };
    let all: Vec<String> = like.iter().map(one).collect();
    format!("`{}` may be any of {}", clipped(wanted), all.join(", "))
}

/// Says which columns there are instead of the one that is missing.
pub(super) fn help_for_missing(headings: &[String], wanted: &str, way_out: Option<&str>) -> String {
    if let [only] = headings {
        return format!(
            "there is one column only, `{}`; commas, semicolons, tabs or pipes go between cells",
            clipped(only)
        );
    }
    let near = nearest(wanted, headings);
    if !near.is_empty() {
        let way_out = way_out.map(|way| format!("; {way}")).unwrap_or_default();
        return format!("the nearest: {}{way_out}", in_backticks(&near));
    }
    let named = headings.iter().filter(|heading| !heading.is_empty());
    let listed: Vec<&str> = named.map(String::as_str).take(LISTED_MAX).collect();
    let more = if headings.len() > LISTED_MAX { " …" } else { "" };
    format!("the columns are: {}{more}", in_backticks(&listed))
}

fn in_backticks(headings: &[&str]) -> String {
    let each: Vec<_> = headings.iter().map(|heading| format!("`{}`", clipped(heading))).collect();
    each.join(", ")
}

/// Returns the headings that `wanted` may have been meant to be, the likeliest first.
fn nearest<'h>(wanted: &str, headings: &'h [String]) -> Vec<&'h str> {
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let wanted = plain(wanted);
    let alike = |heading: &str| strsim::normalized_damerau_levenshtein(&wanted, &plain(heading));
    let mut near: Vec<_> = headings
        .iter()
        .filter(|heading| !heading.is_empty())
        .map(|heading| (alike(heading), heading.as_str()))
        .filter(|(alike, _)| *alike >= ALIKE_MIN)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.dedup();
    near.into_iter().take(OFFERED_MAX).map(|(_, heading)| heading).collect()
}

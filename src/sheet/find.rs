//! Which column is meant by a name, and what to say when none is.
//!
//! A column is the one that is called exactly so, by template name or heading, or else the only
//! one that is written like it. Several that are alike are never chosen from.

use super::Sheet;
use super::heading_match;
use super::problem::{SheetColumn, SheetProblem, shorten_for_message};
use crate::text::{nearest_names, trim_invisible};

/// So many headings are offered when one is missing.
const SUGGESTIONS_MAX: usize = 3;
/// So many headings are listed when none is near.
const LISTED_MAX: usize = 8;

/// What a name may mean.
pub(super) enum ColumnMatch {
    /// The column that is called so.
    Exact(usize),
    /// Those that are written like it, which may be none.
    Similar(Vec<usize>),
}

/// Why no column was found, for the person who named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnLookupError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl ColumnLookupError {
    /// Tells it of a variant in the batch file.
    pub fn into_variant_problem(self, variant: &str) -> SheetProblem {
        let message =
            format!("{}, which the variant `{}` names", self.message, shorten_for_message(variant));
        SheetProblem::for_sheet(message, self.help)
    }
}

impl Sheet {
    /// Finds the column that `wanted` means.
    ///
    /// # Errors
    ///
    /// There is none, or more than one.
    pub fn find_column(&self, wanted: &str) -> Result<usize, ColumnLookupError> {
        find_column(wanted, self.template_names(), self.headings())
    }

    /// Finds the columns that are called `wanted` and a number, in the order of their numbers.
    pub fn numbered_columns(&self, wanted: &str) -> Vec<usize> {
        numbered_columns(wanted, self.headings())
    }
}

/// Finds the column that `wanted` means; `names` are the template names of `headings`.
///
/// # Errors
///
/// There is none, or more than one.
pub fn find_column(
    wanted: &str,
    names: &[String],
    headings: &[String],
) -> Result<usize, ColumnLookupError> {
    let like = match match_column(wanted, names, headings) {
        ColumnMatch::Exact(column) => return Ok(column),
        ColumnMatch::Similar(like) => like,
    };
    match like[..] {
        [column] => Ok(column),
        [] => Err(ColumnLookupError {
            message: format!("there is no column `{}`", shorten_for_message(wanted)),
            help: missing_column_help(headings, wanted, None),
        }),
        [_, _, ..] => Err(ColumnLookupError {
            message: ambiguous_column_message(wanted, &like, headings),
            help: "write it as the sheet does".to_owned(),
        }),
    }
}

pub(super) fn match_column(wanted: &str, names: &[String], headings: &[String]) -> ColumnMatch {
    let place = |list: &[String]| list.iter().position(|known| known == trim_invisible(wanted));
    if let Some(column) = place(names).or_else(|| place(headings)) {
        return ColumnMatch::Exact(column);
    }
    let mut like = heading_match::matching_headings(wanted, names);
    like.extend(heading_match::matching_headings(wanted, headings));
    like.sort_unstable();
    like.dedup();
    ColumnMatch::Similar(like)
}

/// Finds the columns that are called `wanted` and a number, such as `script_1` and `Script 2`, in
/// the order of their numbers. None, where two have the same number.
pub(super) fn numbered_columns(wanted: &str, headings: &[String]) -> Vec<usize> {
    let mut found: Vec<(u32, usize)> = headings
        .iter()
        .enumerate()
        .filter_map(|(column, heading)| {
            let name = trim_invisible(heading).trim_end_matches(|c: char| c.is_ascii_digit());
            let number = trim_invisible(heading)[name.len()..].parse().ok()?;
            heading_match::is_same_heading(name, wanted).then_some((number, column))
        })
        .collect();
    found.sort_unstable();
    if found.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Vec::new();
    }
    found.into_iter().map(|(_, column)| column).collect()
}

/// Says that more than one column may be meant.
pub(super) fn ambiguous_column_message(
    wanted: &str,
    like: &[usize],
    headings: &[String],
) -> String {
    let one = |column: &usize| {
        let letter = SheetColumn { index: *column, heading: None }.letter();
        format!("`{}` (column {letter})", shorten_for_message(&headings[*column]))
    };
    let all: Vec<String> = like.iter().map(one).collect();
    format!("`{}` may be any of {}", shorten_for_message(wanted), all.join(", "))
}

/// Says which columns there are instead of the one that is missing.
pub(super) fn missing_column_help(
    headings: &[String],
    wanted: &str,
    way_out: Option<&str>,
) -> String {
    if let [only] = headings {
        return format!(
            "there is one column only, `{}`; commas, semicolons, tabs or pipes go between cells",
            shorten_for_message(only)
        );
    }
    let mut near = nearest_names(wanted, headings.iter().map(String::as_str));
    near.dedup();
    near.truncate(SUGGESTIONS_MAX);
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
    let each: Vec<_> =
        headings.iter().map(|heading| format!("`{}`", shorten_for_message(heading))).collect();
    each.join(", ")
}

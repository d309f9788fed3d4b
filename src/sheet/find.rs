//! Finds the column for a name, or explains why there is none.
//!
//! An exact template name or heading wins; otherwise the only heading with equivalent spelling.
//! Invariant: among several equivalent headings none is chosen.

use super::Sheet;
use super::heading_match;
use super::problem::{SheetColumn, SheetProblem, shorten_for_message};
use crate::text::{nearest_names, trim_invisible};

/// Near headings suggested for a missing one.
const SUGGESTIONS_MAX: usize = 3;
/// Headings listed if none is near.
const LISTED_MAX: usize = 8;

/// The columns that match a name.
pub(super) enum ColumnMatch {
    /// The column with exactly this name.
    Exact(usize),
    /// The columns with equivalent spelling, possibly none.
    Similar(Vec<usize>),
}

/// The reason why no column was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnLookupError {
    /// The message.
    pub message: String,
    /// How to fix it.
    pub help: String,
}

impl ColumnLookupError {
    /// Attributes the error to a variant in the batch file.
    pub fn into_variant_problem(self, variant: &str) -> SheetProblem {
        let message =
            format!("{}, which the variant `{}` names", self.message, shorten_for_message(variant));
        SheetProblem::for_sheet(message, self.help)
    }
}

impl Sheet {
    /// Returns the index of the column named `wanted`.
    ///
    /// # Errors
    /// No column matches, or several do.
    pub fn find_column(&self, wanted: &str) -> Result<usize, ColumnLookupError> {
        find_column(wanted, self.template_names(), self.headings())
    }

    /// Returns the columns named `wanted` with a number, in the order of the numbers.
    pub fn numbered_columns(&self, wanted: &str) -> Vec<usize> {
        numbered_columns(wanted, self.headings())
    }
}

/// Returns the index of the column named `wanted`; `names` are the template names of `headings`.
///
/// # Errors
/// No column matches, or several do.
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
            help: missing_column_help(headings, true, wanted, None),
        }),
        [_, _, ..] => Err(ColumnLookupError {
            message: ambiguous_column_message(wanted, &like, headings),
            help: "write it as the sheet does".to_owned(),
        }),
    }
}

pub(super) fn match_column(wanted: &str, names: &[String], headings: &[String]) -> ColumnMatch {
    let exact = |list: &[String]| list.iter().position(|known| known == trim_invisible(wanted));
    if let Some(column) = exact(names).or_else(|| exact(headings)) {
        return ColumnMatch::Exact(column);
    }
    let mut like = heading_match::matching_headings(wanted, names);
    like.extend(heading_match::matching_headings(wanted, headings));
    like.sort_unstable();
    like.dedup();
    ColumnMatch::Similar(like)
}

/// Returns the columns named `wanted` with a number, such as `script_1` and `Script 2`, in the
/// order of the numbers. Empty if two have the same number.
pub fn numbered_columns(wanted: &str, headings: &[String]) -> Vec<usize> {
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

/// Returns the message that several columns match.
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

/// Returns help for a missing column of a text or a workbook: near headings with `way_out`, or a list of all headings.
pub(super) fn missing_column_help(
    headings: &[String],
    is_text: bool,
    wanted: &str,
    way_out: Option<&str>,
) -> String {
    if let [only] = headings
        && is_text
    {
        return format!(
            "there is only one column, `{}`; separate cells by commas, semicolons, tabs or pipes",
            shorten_for_message(only)
        );
    }
    let mut near = nearest_names(wanted, headings.iter().map(String::as_str));
    near.dedup();
    near.truncate(SUGGESTIONS_MAX);
    if !near.is_empty() {
        let way_out = way_out.map(|way| format!(" Or {way}")).unwrap_or_default();
        return format!("did you mean {}?{way_out}", in_backticks(&near));
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

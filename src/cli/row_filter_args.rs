//! `--only` and `--where`: which rows a person wants now, said alike to every command; and numbers.
//!
//! What a condition means is the plan's to say; here it is only taken from the command line.

use std::str::FromStr;

use clap::Args;

use crate::plan::{RowCondition, RowSelection};
use crate::sheet;

/// The options.
#[derive(Clone, Debug, Args)]
pub(super) struct RowFilterArgs {
    /// Submit only the rows with these keys, separated by commas
    #[arg(long, value_name = "KEY", value_delimiter = ',', value_parser = parse_key)]
    only: Vec<String>,
    /// Submit only rows with this cell, such as language=ko, or without it: language!=ko. May be
    /// given again; for one column, any of its values will do
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    conditions: Vec<RowCondition>,
}

impl RowFilterArgs {
    pub(super) fn row_selection(&self) -> RowSelection {
        RowSelection {
            keys: self.only.clone(),
            conditions: self.conditions.clone(),
            should_record_catalog_uses: false,
        }
    }
}

/// Reads a key. An empty one is what a script makes of a list that it could not fill, and must not
/// come to mean every row.
fn parse_key(text: &str) -> Result<String, &'static str> {
    let key = sheet::normalize_name(text);
    if key.is_empty() {
        Err("a key is missing; leave --only out to mean every row")
    } else {
        Ok(key)
    }
}

/// Reads a count, or a row as the spreadsheet counts it.
pub(super) fn parse_number<N: FromStr>(text: &str) -> Result<N, &'static str> {
    text.parse().map_err(|_| "it must be a whole number, such as 3")
}

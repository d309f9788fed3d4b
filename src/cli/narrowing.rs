//! `--only` and `--where`: which rows a person wants now, said alike to every command.
//!
//! What a condition means is the plan's to say; here it is only taken from the command line.

use clap::Args;

use crate::plan::{Choice, Condition};
use crate::sheet;

/// The options.
#[derive(Clone, Debug, Args)]
pub(super) struct Narrowing {
    /// Submit only the rows with these keys, separated by commas
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    only: Vec<String>,
    /// Submit only rows with this cell, such as language=ko, or without it: language!=ko. May be
    /// given again; for one column, any of its values will do
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    conditions: Vec<Condition>,
}

impl Narrowing {
    pub(super) fn choice(&self) -> Choice {
        let keys = self.only.iter().map(|key| sheet::name(key)).filter(|key| !key.is_empty());
        Choice { keys: keys.collect(), conditions: self.conditions.clone(), takes: false }
    }
}

//! Prices without a currency in a column where others name one: the template would give them its own
//! currency, which need not be the right one.
//!
//! Invariant: a column in which all prices name a currency, or none does, has no warning.

use std::collections::BTreeMap;

use crate::plan::problem::{CellFinding, PlanProblem};
use crate::plan::row_merger::MergeContext;
use crate::template::{PriceCell, parse_price_cell};

/// The prices of all columns that the template writes as prices.
#[derive(Debug, Default)]
pub(in crate::plan) struct PriceCurrencies {
    columns: BTreeMap<usize, ColumnPrices>,
}

#[derive(Debug, Default)]
struct ColumnPrices {
    /// The first price that names a currency, with its row.
    with_currency: Option<(u64, String)>,
    /// The first plain number, with its row, and how many there are.
    plain: Option<(u64, String)>,
    plain_count: u64,
}

impl PriceCurrencies {
    /// Adds the cell of a row. A cell that is not one price does not count.
    pub(in crate::plan) fn add(&mut self, column: usize, row: u64, cell: &str) {
        let first = || (row, cell.to_owned());
        match parse_price_cell(cell) {
            PriceCell::WithCurrency => {
                let prices = self.columns.entry(column).or_default();
                prices.with_currency.get_or_insert_with(first);
            }
            PriceCell::PlainNumber => {
                let prices = self.columns.entry(column).or_default();
                prices.plain.get_or_insert_with(first);
                prices.plain_count += 1;
            }
            PriceCell::NotOnePrice => {}
        }
    }

    /// Adds the prices of later rows.
    pub(in crate::plan) fn merge(&mut self, later: Self) {
        for (column, prices) in later.columns {
            let known = self.columns.entry(column).or_default();
            known.with_currency = known.with_currency.take().or(prices.with_currency);
            known.plain = known.plain.take().or(prices.plain);
            known.plain_count += prices.plain_count;
        }
    }

    /// Returns a warning for each column that has prices of both kinds, at the first one without a
    /// currency.
    pub(in crate::plan) fn warnings(self, context: &MergeContext) -> Vec<PlanProblem> {
        let mut warnings = Vec::new();
        for (column, prices) in self.columns {
            let (Some((row, cell)), Some((other_row, other))) =
                (prices.plain, prices.with_currency)
            else {
                continue;
            };
            let more = match prices.plain_count {
                1 => String::new(),
                count => format!(", like {} more", count - 1),
            };
            let finding = CellFinding {
                message: format!(
                    "`{cell}` names no currency{more}, but others do (`{other}` in row {other_row})"
                ),
                help:
                    "a plain number gets the currency that the template gives; if that is another \
                       one, write it into the cell"
                        .to_owned(),
            };
            let column = Some(context.sheet_column(column));
            warnings.push(PlanProblem::for_cell(row, column, finding));
        }
        warnings
    }
}

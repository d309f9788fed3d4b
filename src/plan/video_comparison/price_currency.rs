//! Prices without a currency in a column where others name one: the template would give them its own
//! currency, which need not be the right one.
//!
//! Invariant: a column in which all prices name a currency, or none does, has no warning.

use std::collections::BTreeMap;

use crate::plan::problem::{CellFinding, PlanProblem};
use crate::plan::row_merger::MergeContext;
use crate::template::{PriceCell, parse_price_cell};

/// Cells without a currency that are named in each column.
const NAMED_MAX: usize = 10;

/// The prices of all columns that the template writes as prices.
#[derive(Debug, Default)]
pub(in crate::plan) struct PriceCurrencies {
    columns: BTreeMap<usize, ColumnPrices>,
}

#[derive(Debug, Default)]
struct ColumnPrices {
    /// The first price that names a currency, with its row.
    with_currency: Option<(u64, String)>,
    /// The first plain numbers, with their rows.
    plain: Vec<(u64, String)>,
}

impl PriceCurrencies {
    /// Adds the cell of a row. A cell that is not one price does not count.
    pub(in crate::plan) fn add(&mut self, column: usize, row: u64, cell: &str) {
        let prices = || (row, cell.to_owned());
        match parse_price_cell(cell) {
            PriceCell::WithCurrency => {
                let column = self.columns.entry(column).or_default();
                column.with_currency.get_or_insert_with(prices);
            }
            PriceCell::PlainNumber => {
                let plain = &mut self.columns.entry(column).or_default().plain;
                if plain.len() < NAMED_MAX {
                    plain.push(prices());
                }
            }
            PriceCell::NotOnePrice => {}
        }
    }

    /// Adds the prices of later rows.
    pub(in crate::plan) fn merge(&mut self, later: Self) {
        for (column, prices) in later.columns {
            let known = self.columns.entry(column).or_default();
            known.with_currency = known.with_currency.take().or(prices.with_currency);
            known.plain.extend(prices.plain);
            known.plain.truncate(NAMED_MAX);
        }
    }

    /// Returns a warning for each price without a currency, the first of each column.
    pub(in crate::plan) fn warnings(self, context: &MergeContext) -> Vec<PlanProblem> {
        let mut warnings = Vec::new();
        for (column, ColumnPrices { with_currency, plain }) in self.columns {
            let Some((other_row, other)) = with_currency else { continue };
            for (row, cell) in plain {
                let finding = CellFinding {
                    message: format!(
                        "`{cell}` has no currency, but others in this column do (`{other}` in row \
                         {other_row})"
                    ),
                    help: "write the currency here too: a plain number gets that of the template"
                        .to_owned(),
                };
                let column = Some(context.sheet_column(column));
                warnings.push(PlanProblem::for_cell(row, column, finding));
            }
        }
        warnings
    }
}

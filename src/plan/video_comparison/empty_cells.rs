//! Empty cells in a column that most other rows fill with a price or a date: the video would lack it, or
//! show a text with a gap.
//!
//! Invariant: a column that is empty in half of the rows or more has no warning: there, few rows have a
//! price on purpose.

use std::collections::BTreeMap;

use crate::plan::problem::{CellFinding, PlanProblem};
use crate::plan::row_merger::MergeContext;
use crate::text::is_blank_text;

/// Rows that have a warning; those after them have none.
const ROWS_KEPT_MAX: usize = 1000;

/// What a template writes from the cells of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum WrittenAs {
    Price,
    Date,
}

/// The filled and the empty cells of all columns that the template writes as prices or dates.
#[derive(Debug, Default)]
pub(in crate::plan) struct EmptyCells {
    columns: BTreeMap<usize, ColumnCells>,
}

#[derive(Debug)]
struct ColumnCells {
    written_as: WrittenAs,
    filled: u64,
    empty: u64,
    /// The first rows with an empty cell.
    empty_rows: Vec<u64>,
}

impl EmptyCells {
    /// Adds the cell of a row that is rendered.
    pub(in crate::plan) fn add(
        &mut self,
        column: usize,
        written_as: WrittenAs,
        row: u64,
        cell: &str,
    ) {
        let cells = self.columns.entry(column).or_insert_with(|| ColumnCells::new(written_as));
        match is_blank_text(cell) {
            false => cells.filled += 1,
            true => {
                cells.empty += 1;
                if cells.empty_rows.len() < ROWS_KEPT_MAX {
                    cells.empty_rows.push(row);
                }
            }
        }
    }

    /// Adds the cells of later rows.
    pub(in crate::plan) fn merge(&mut self, later: Self) {
        for (column, cells) in later.columns {
            let known =
                self.columns.entry(column).or_insert_with(|| ColumnCells::new(cells.written_as));
            known.filled += cells.filled;
            known.empty += cells.empty;
            let free = ROWS_KEPT_MAX - known.empty_rows.len();
            known.empty_rows.extend(cells.empty_rows.into_iter().take(free));
        }
    }

    /// Returns a warning for each empty cell of a column that most rows fill.
    pub(in crate::plan) fn warnings(self, context: &MergeContext) -> Vec<PlanProblem> {
        let columns = self.columns.into_iter();
        columns.flat_map(|(column, cells)| cells.warnings(column, context)).collect()
    }
}

impl ColumnCells {
    fn new(written_as: WrittenAs) -> Self {
        Self { written_as, filled: 0, empty: 0, empty_rows: Vec::new() }
    }

    fn warnings(self, column: usize, context: &MergeContext) -> Vec<PlanProblem> {
        if self.filled <= self.empty {
            return Vec::new();
        }
        let noun = match self.written_as {
            WrittenAs::Price => "price",
            WrittenAs::Date => "date",
        };
        let others = match self.filled {
            1 => "1 other row has".to_owned(),
            filled => format!("{filled} other rows have"),
        };
        let warning = |row: u64| {
            let finding = CellFinding {
                message: format!("empty, so the video shows no {noun}; {others} one"),
                help: format!("fill in the {noun}, if it is missing"),
            };
            PlanProblem::for_cell(row, Some(context.sheet_column(column)), finding)
        };
        self.empty_rows.into_iter().map(warning).collect()
    }
}

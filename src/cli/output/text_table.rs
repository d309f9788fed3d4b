//! Tables that fit the terminal: long cells are wrapped there, up to a few lines. Elsewhere every row is one
//! line, so that `grep` finds it and `wc` counts it, and nothing is cut.

use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, presets};

use crate::text::strip_control;

/// Lines of a row on a terminal: enough for the reason why a run ended, in 80 columns.
const ROW_LINES_MAX: usize = 4;

/// A table of text.
pub(crate) struct TextTable {
    table: Table,
    /// Whether each column has a cell that is not empty.
    filled: Vec<bool>,
}

impl TextTable {
    /// Creates a table. A heading that ends in `#` (not shown) marks a column of numbers.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_truncation_indicator("…");
        // A file or another program gets every cell whole.
        match terminal_width() {
            Some(columns) => {
                table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns)
            }
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        table.set_header(headings.iter().map(|heading| heading.trim_end_matches('#')));
        for (index, heading) in headings.iter().enumerate() {
            let Some(column) = table.column_mut(index) else { continue };
            column.set_padding((0, 2));
            if heading.ends_with('#') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self { table, filled: vec![false; headings.len()] }
    }

    /// Adds a row. Control characters are removed.
    pub(crate) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| strip_control(&cell).into_owned());
        let cells: Vec<String> = cells.collect();
        for (filled, cell) in self.filled.iter_mut().zip(&cells) {
            *filled |= !cell.is_empty();
        }
        let mut row = Row::from(cells);
        row.max_height(ROW_LINES_MAX);
        self.table.add_row(row);
    }

    /// Returns the table without trailing blanks; on a terminal, where others need the room, without
    /// empty columns.
    pub(crate) fn render(&self) -> String {
        let mut table = self.table.clone();
        let is_cut = terminal_width().is_some() && self.filled.contains(&true);
        for index in (0..self.filled.len()).filter(|index| is_cut && !self.filled[*index]) {
            if let Some(column) = table.column_mut(index) {
                column.set_constraint(ColumnConstraint::Hidden);
            }
        }
        let text = table.to_string();
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }
}

/// Returns the columns of the terminal, if results go to one.
fn terminal_width() -> Option<u16> {
    let found = terminal_size::terminal_size_of(std::io::stdout());
    found.map(|(terminal_size::Width(columns), _)| columns.max(40))
}

//! Looks for the headings where they are not expected: below a title, or in another worksheet.
//!
//! It only suggests. Invariant: no row is taken for the headings unless the batch file says so, because
//! the rows above it would silently be left out.

use std::io::{Read, Seek};

use super::SheetSpec;
use super::cells::RowCells;
use super::find::numbered_columns;
use super::heading_match;
use super::problem::{SheetProblem, shorten_for_message};
use super::records::{CsvRecord, RecordReader};
use super::workbook::Worksheet;
use crate::text::trim_invisible;

/// Rows that are searched.
pub(super) const ROWS_SEARCHED: u64 = 10;

/// A row that looks like the headings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LikelyHeadings {
    pub(super) row: u64,
    /// How many of the wanted names it has.
    names: usize,
}

/// Returns the row among the first ones with the most wanted names, and with more than half of them.
pub(super) fn find_likely_headings<R: Read + Seek>(
    records: &mut RecordReader<R>,
    want: &SheetSpec<'_>,
) -> Option<LikelyHeadings> {
    let all = wanted_names(want).len();
    let (mut best, mut record): (Option<LikelyHeadings>, _) = (None, CsvRecord::new());
    while records.read_non_blank(&mut record).unwrap_or(false) {
        let row = record.position.row;
        if row > ROWS_SEARCHED {
            break;
        }
        let cells = RowCells::decode(&record).ok().filter(|_| record.damage.is_none());
        let Some(cells) = cells else { continue };
        let cells: Vec<String> =
            cells.iter().map(|cell| trim_invisible(&cell).to_owned()).collect();
        let names = count_wanted_names(&cells, want);
        if names * 2 > all && best.is_none_or(|best| names > best.names) {
            best = Some(LikelyHeadings { row, names });
        }
    }
    best
}

/// Returns the number of wanted names among the cells of a row.
pub(super) fn count_wanted_names(cells: &[String], want: &SheetSpec<'_>) -> usize {
    let is_list = |name: &str| want.lists.iter().any(|list| list == name);
    let is_found = |name: &&str| {
        !heading_match::matching_headings(name, cells).is_empty()
            || is_list(name) && !numbered_columns(name, cells).is_empty()
    };
    wanted_names(want).iter().filter(|name| is_found(name)).count()
}

/// Returns the headings that the batch needs.
fn wanted_names<'w>(want: &SheetSpec<'w>) -> Vec<&'w str> {
    let of_settings = want.key.iter().map(String::as_str);
    let of_settings = of_settings.chain(want.group_by).chain(want.skip.map(|skip| skip.column));
    let heading = |name: &'w str| want.columns.get(name).map_or(name, String::as_str);
    let names = want.required.iter().map(String::as_str).chain(of_settings).map(heading);
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl LikelyHeadings {
    pub(super) fn names(&self) -> usize {
        self.names
    }

    /// Returns whether this row has more of the wanted names.
    pub(super) fn is_better_than(self, names: usize) -> bool {
        self.names > names
    }

    /// Returns the problem that another row than `read_row` looks like the headings.
    pub(super) fn row_problem(self, read_row: u64) -> SheetProblem {
        let row = self.row;
        SheetProblem::for_row(
            read_row,
            format!("this row is read as the headings, but row {row} looks like the headings"),
            format!("set `header_row = {row}` in the batch file"),
        )
    }

    /// Returns the problem that a row of another worksheet looks like the headings.
    pub(super) fn worksheet_problem(self, read: &Worksheet, other: &str) -> SheetProblem {
        let row = self.row;
        let (read, name) = (shorten_for_message(&read.name), shorten_for_message(other));
        let header_row =
            if row == 1 { String::new() } else { format!(" and `header_row = {row}`") };
        SheetProblem::for_sheet(
            format!(
                "the worksheet `{read}` is read, but row {row} of the worksheet `{name}` looks like \
                 the headings"
            ),
            format!("set `worksheet = \"{name}\"`{header_row} in the batch file"),
        )
    }
}

/// Names the worksheet that was read, and the others, in the first problem.
pub(super) fn name_worksheets(problems: &mut [SheetProblem], read: &Worksheet) {
    let Some(first) = problems.first_mut() else { return };
    let names = read.others.iter().map(|name| format!("`{}`", shorten_for_message(name)));
    let others = match names.collect::<Vec<_>>().join(" or ") {
        none if none.is_empty() => String::new(),
        names => format!("; for {names}, set `worksheet`"),
    };
    let place = format!("the worksheet read is `{}`{others}", shorten_for_message(&read.name));
    first.help = Some(match first.help.take() {
        Some(help) => format!("{help}; {place}"),
        None => place,
    });
}

//! The index of grouped rows.
//!
//! With `group_by`, all rows with one value make one entry, wherever they are in the sheet. A first
//! pass records the offset and the group of every row; a second one reads the rows by group. Only
//! the index is in memory. Invariant: a group that may lack a row is not returned, because half a
//! video costs as much as a whole one.

use std::collections::HashMap;

use super::Sheet;
use super::key;
use super::problem::SheetProblem;
use super::records::{CsvRecord, RecordPosition};

/// The rows of a sheet, sorted by group.
#[derive(Debug)]
pub(super) struct RowGroups {
    rows: Vec<GroupedRow>,
    /// Groups to which an unreadable row may belong, with that row.
    suspect_rows: HashMap<usize, u64>,
}

/// The offset of a row, and the number of its group in the order of first appearance.
#[derive(Debug)]
pub(super) struct GroupedRow {
    offset: u64,
    pub(super) row: u64,
    group: usize,
}

impl GroupedRow {
    pub(super) fn position(&self) -> RecordPosition {
        RecordPosition::new(self.row, self.offset)
    }
}

impl RowGroups {
    /// Reads the whole sheet once.
    pub(super) fn build(sheet: &Sheet, group_by: usize) -> Result<Self, SheetProblem> {
        let mut records = sheet.open_records()?;
        let mut record = CsvRecord::new();
        let mut index = GroupIndexBuilder::default();
        while records.read_non_blank(&mut record).map_err(|err| sheet.source.read_problem(&err))? {
            let cells = sheet.shape.decode_row(&record).ok();
            if cells.as_ref().is_some_and(|cells| sheet.skip_mark(cells).is_some()) {
                index.add_alone(record.position);
                continue;
            }
            let value =
                cells.map(|cells| (key::normalize_name(&cells.get(group_by)), cells.variant));
            match value.filter(|(value, _)| !value.is_empty()) {
                Some((value, None)) => index.add(record.position, value),
                // A zero byte separates the two: headings and names contain none.
                Some((value, Some(variant))) => {
                    index.add(record.position, format!("{value}\0{variant}"));
                }
                None => index.add_stray(record.position),
            }
        }
        sheet.source.ensure_unchanged(records.get_ref())?;
        let GroupIndexBuilder { mut rows, suspect_rows, .. } = index;
        rows.sort_unstable_by_key(|row| (row.group, row.row));
        Ok(Self { rows, suspect_rows })
    }

    /// Returns the group whose first row is at `start` in the index, and the start of the next.
    pub(super) fn group_at(&self, start: usize) -> Option<(&[GroupedRow], usize)> {
        let group = self.rows.get(start)?.group;
        let rows = self.rows[start..].iter().take_while(|row| row.group == group).count();
        Some((&self.rows[start..start + rows], start + rows))
    }

    /// Returns the row that may be missing from this group.
    pub(super) fn suspect_row(&self, rows: &[GroupedRow]) -> Option<u64> {
        self.suspect_rows.get(&rows.first()?.group).copied()
    }
}

#[derive(Default)]
struct GroupIndexBuilder {
    rows: Vec<GroupedRow>,
    suspect_rows: HashMap<usize, u64>,
    groups: HashMap<Box<str>, usize>,
    /// The number of groups, including those of stray rows.
    group_count: usize,
    /// The group of the previous row, and the first stray row since.
    previous_group: Option<usize>,
    stray_row: Option<u64>,
}

impl GroupIndexBuilder {
    fn add(&mut self, at: RecordPosition, value: String) {
        let next = self.group_count;
        let group = *self.groups.entry(value.into_boxed_str()).or_insert(next);
        self.group_count = self.group_count.max(group + 1);
        if let Some(row) = self.stray_row.take() {
            self.suspect_rows.entry(group).or_insert(row);
        }
        self.previous_group = Some(group);
        self.rows.push(GroupedRow { offset: at.offset, row: at.row, group });
    }

    /// Adds a row with an unknown group: it is a group of its own, to be reported in its place, and
    /// may belong to either of the neighbouring groups.
    fn add_stray(&mut self, at: RecordPosition) {
        if let Some(before) = self.previous_group {
            self.suspect_rows.entry(before).or_insert(at.row);
        }
        self.stray_row.get_or_insert(at.row);
        self.add_alone(at);
    }

    /// Adds a row as a group of its own.
    fn add_alone(&mut self, at: RecordPosition) {
        self.rows.push(GroupedRow { offset: at.offset, row: at.row, group: self.group_count });
        self.group_count += 1;
    }
}

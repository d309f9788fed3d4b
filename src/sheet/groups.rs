//! The index of grouped rows.
//!
//! With `group_by`, all rows with one value make one entry, wherever they are in the sheet. A first
//! pass records the offset and the group of every row; a second one reads the rows by group. Only
//! the index is in memory. Invariant: a group that may lack a row is not returned, because half a
//! video costs as much as a whole one. A group whose rows are all skipped is one entry, like any other;
//! a skipped row of a group that is rendered is not part of it.

use std::collections::{HashMap, HashSet};

use super::Sheet;
use super::key;
use super::problem::SheetProblem;
use super::records::{CsvRecord, RecordPosition};

/// The rows of a sheet, sorted by group.
#[derive(Debug)]
pub(super) struct RowGroups {
    rows: Vec<GroupedRow>,
    /// Groups to which an unreadable row may belong, with that row.
    suspect_rows: HashMap<u64, u64>,
    /// Skipped rows that belong to no entry but their own.
    lone_skipped: HashSet<u64>,
}

/// The offset of a row, and its group: the number of the first row of its entry.
#[derive(Debug)]
pub(super) struct GroupedRow {
    offset: u64,
    pub(super) row: u64,
    group: u64,
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
            let is_skipped = cells.as_ref().is_some_and(|cells| sheet.skip_mark(cells).is_some());
            let value =
                cells.map(|cells| (key::normalize_name(&cells.get(group_by)), cells.variant));
            let value = value.filter(|(value, _)| !value.is_empty());
            let group = value.map(|(value, variant)| match variant {
                None => value,
                // A zero byte separates the two: headings and names contain none.
                Some(variant) => format!("{value}\0{variant}"),
            });
            match (is_skipped, group) {
                (true, group) => index.add_skipped(record.position, group),
                (false, Some(group)) => index.add(record.position, group),
                (false, None) => index.add_stray(record.position),
            }
        }
        sheet.source.ensure_unchanged(records.get_ref())?;
        Ok(index.finish())
    }

    /// Returns whether a row is skipped in a group that is rendered, or has no group.
    pub(super) fn is_lone_skipped(&self, row: &GroupedRow) -> bool {
        self.lone_skipped.contains(&row.row)
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
    suspect_rows: HashMap<u64, u64>,
    groups: HashMap<Box<str>, u64>,
    /// The groups of skipped rows.
    skipped_groups: HashMap<Box<str>, u64>,
    lone_skipped: HashSet<u64>,
    /// The group of the previous row, and the first stray row since.
    previous_group: Option<u64>,
    stray_row: Option<u64>,
}

impl GroupIndexBuilder {
    fn add(&mut self, at: RecordPosition, value: String) {
        let group = *self.groups.entry(value.into_boxed_str()).or_insert(at.row);
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

    /// Adds a skipped row.
    fn add_skipped(&mut self, at: RecordPosition, group: Option<String>) {
        let Some(value) = group else {
            self.lone_skipped.insert(at.row);
            return self.add_alone(at);
        };
        let group = *self.skipped_groups.entry(value.into_boxed_str()).or_insert(at.row);
        self.rows.push(GroupedRow { offset: at.offset, row: at.row, group });
    }

    /// Adds a row as a group of its own.
    fn add_alone(&mut self, at: RecordPosition) {
        self.rows.push(GroupedRow { offset: at.offset, row: at.row, group: at.row });
    }

    /// Separates skipped rows from groups that are rendered, and sorts the rows.
    fn finish(mut self) -> RowGroups {
        let rendered = &self.groups;
        let skipped = self.skipped_groups.into_iter();
        let split: HashSet<u64> = skipped
            .filter_map(|(value, group)| rendered.contains_key(&value).then_some(group))
            .collect();
        for row in self.rows.iter_mut().filter(|row| split.contains(&row.group)) {
            row.group = row.row;
            self.lone_skipped.insert(row.row);
        }
        self.rows.sort_unstable_by_key(|row| (row.group, row.row));
        let Self { rows, suspect_rows, lone_skipped, .. } = self;
        RowGroups { rows, suspect_rows, lone_skipped }
    }
}

//! Which rows belong together.
//!
//! With `group_by` the rows of one value make one entry, wherever in the sheet they stand. A first
//! reading notes where each row begins and which group it belongs to; a second one goes from place
//! to place. Only the index is kept, never a row.
//!
//! A group that may lack a row is not given out: half a video would be paid for like a whole one.

use std::collections::HashMap;

use super::Sheet;
use super::key;
use super::problem::SheetProblem;
use super::records::{CsvRecord, RecordPosition};

/// The rows of a sheet, sorted by group.
#[derive(Debug)]
pub(super) struct RowGroups {
    rows: Vec<GroupedRow>,
    /// Groups that a row which cannot be read may belong to, with that row.
    suspect_rows: HashMap<usize, u64>,
}

/// Where a row begins, and the number of its group in the order of first appearance.
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
            if cells.as_ref().is_some_and(|cells| sheet.should_skip(cells)) {
                index.add_alone(record.position);
                continue;
            }
            let value =
                cells.map(|cells| (key::normalize_name(cells.get(group_by)), cells.variant));
            match value.filter(|(value, _)| !value.is_empty()) {
                Some((value, None)) => index.add(record.position, value),
                // No cell of a name has a zero byte, for names are told apart by what is seen.
                Some((value, Some(variant))) => {
                    index.add(record.position, format!("{value}\0{variant}"));
                }
                None => index.add_stray(record.position),
            }
        }
        sheet.source.ensure_unchanged(records.get_ref())?;
        let (mut places, suspects) = (index.rows, index.suspect_rows);
        places.sort_unstable_by_key(|place| (place.group, place.row));
        Ok(Self { rows: places, suspect_rows: suspects })
    }

    /// Returns the group whose first row is at `start` in the index, and where the next begins.
    pub(super) fn group_at(&self, start: usize) -> Option<(&[GroupedRow], usize)> {
        let group = self.rows.get(start)?.group;
        let rows = self.rows[start..].iter().take_while(|place| place.group == group).count();
        Some((&self.rows[start..start + rows], start + rows))
    }

    /// Returns the row that may be missing from this group.
    pub(super) fn suspect_row(&self, places: &[GroupedRow]) -> Option<u64> {
        self.suspect_rows.get(&places.first()?.group).copied()
    }
}

#[derive(Default)]
struct GroupIndexBuilder {
    rows: Vec<GroupedRow>,
    suspect_rows: HashMap<usize, u64>,
    groups: HashMap<Box<str>, usize>,
    /// How many groups there are, strays included.
    group_count: usize,
    /// The group of the row before, and a stray row since then.
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

    /// Adds a row whose group cannot be known: it stands alone, to be told of in its turn, and
    /// casts doubt on its neighbours.
    fn add_stray(&mut self, at: RecordPosition) {
        if let Some(before) = self.previous_group {
            self.suspect_rows.entry(before).or_insert(at.row);
        }
        self.stray_row.get_or_insert(at.row);
        self.add_alone(at);
    }

    /// Adds a row that belongs to no other.
    fn add_alone(&mut self, at: RecordPosition) {
        self.rows.push(GroupedRow { offset: at.offset, row: at.row, group: self.group_count });
        self.group_count += 1;
    }
}

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
use super::problem::Problem;
use super::records::{Position, Record};

/// The rows of a sheet, sorted by group.
#[derive(Debug)]
pub(super) struct Groups {
    places: Vec<Place>,
    /// Groups that a row which cannot be read may belong to, with that row.
    suspects: HashMap<usize, u64>,
}

/// Where a row begins, and the number of its group in the order of first appearance.
#[derive(Debug)]
pub(super) struct Place {
    offset: u64,
    pub(super) row: u64,
    group: usize,
}

impl Place {
    pub(super) fn position(&self) -> Position {
        Position::of_row(self.row, self.offset)
    }
}

impl Groups {
    /// Reads the whole sheet once.
    pub(super) fn index(sheet: &Sheet, group_by: usize) -> Result<Self, Problem> {
        let mut records = sheet.records()?;
        let mut record = Record::new();
        let mut index = Index::default();
        while records.read_filled(&mut record).map_err(|err| sheet.source.broken(&err))? {
            let cells = sheet.shape.cells(&record).ok();
            if cells.as_ref().is_some_and(|cells| sheet.leaves_out(cells)) {
                index.add_alone(record.at);
                continue;
            }
            let value = cells.map(|cells| (key::name(cells.get(group_by)), cells.variant));
            match value.filter(|(value, _)| !value.is_empty()) {
                Some((value, None)) => index.add(record.at, value),
                // No cell of a name has a zero byte, for names are told apart by what is seen.
                Some((value, Some(variant))) => {
                    index.add(record.at, format!("{value}\0{variant}"));
                }
                None => index.add_stray(record.at),
            }
        }
        sheet.source.unchanged(records.source())?;
        let (mut places, suspects) = (index.places, index.suspects);
        places.sort_unstable_by_key(|place| (place.group, place.row));
        Ok(Self { places, suspects })
    }

    /// Returns the group whose first row is at `start` in the index, and where the next begins.
    pub(super) fn group_at(&self, start: usize) -> Option<(&[Place], usize)> {
        let group = self.places.get(start)?.group;
        let rows = self.places[start..].iter().take_while(|place| place.group == group).count();
        Some((&self.places[start..start + rows], start + rows))
    }

    /// Returns the row that may be missing from this group.
    pub(super) fn suspect(&self, places: &[Place]) -> Option<u64> {
        self.suspects.get(&places.first()?.group).copied()
    }
}

#[derive(Default)]
struct Index {
    places: Vec<Place>,
    suspects: HashMap<usize, u64>,
    groups: HashMap<Box<str>, usize>,
    /// How many groups there are, strays included.
    count: usize,
    /// The group of the row before, and a stray row since then.
    before: Option<usize>,
    stray: Option<u64>,
}

impl Index {
    fn add(&mut self, at: Position, value: String) {
        let next = self.count;
        let group = *self.groups.entry(value.into_boxed_str()).or_insert(next);
        self.count = self.count.max(group + 1);
        if let Some(row) = self.stray.take() {
            self.suspects.entry(group).or_insert(row);
        }
        self.before = Some(group);
        self.places.push(Place { offset: at.offset, row: at.row, group });
    }

    /// Adds a row whose group cannot be known: it stands alone, to be told of in its turn, and
    /// casts doubt on its neighbours.
    fn add_stray(&mut self, at: Position) {
        if let Some(before) = self.before {
            self.suspects.entry(before).or_insert(at.row);
        }
        self.stray.get_or_insert(at.row);
        self.add_alone(at);
    }

    /// Adds a row that belongs to no other.
    fn add_alone(&mut self, at: Position) {
        self.places.push(Place { offset: at.offset, row: at.row, group: self.count });
        self.count += 1;
    }
}

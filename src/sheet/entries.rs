//! Goes through a sheet and gives its entries, or what is wrong with its rows.
//!
//! A bad row does not stop the reading; a file that cannot be read on does, with one last problem,
//! which says that it hides rows.
//! Every problem is told in the place of the entry that it prevents.

use std::collections::HashMap;

use super::cells::RowCells;
use super::groups::{GroupedRow, RowGroups};
use super::input::CsvInput;
use super::key::{self, KeySource};
use super::problem::{SheetProblem, shorten_for_message};
use super::records::{CsvRecord, RecordReader};
use super::{Sheet, SheetEntry, SheetRow};

/// The entries of a sheet, in its order. Made by [`Sheet::entries`].
pub struct SheetEntries<'s> {
    sheet: &'s Sheet,
    record: CsvRecord,
    state: EntriesState,
}

enum EntriesState {
    /// Nothing has been read.
    NotStarted,
    /// Row by row.
    Rows { records: RecordReader<CsvInput>, keys: FirstRows },
    /// Group by group.
    Groups(GroupReader),
    /// There is nothing more.
    Finished,
}

struct GroupReader {
    records: RecordReader<CsvInput>,
    column: usize,
    groups: RowGroups,
    /// How many places of the index have been visited.
    visited: usize,
    /// `None` if the key is the name of the group, which is unique.
    keys: Option<FirstRows>,
}

/// The keys read so far, with the first row of each: about 80 bytes per row.
#[derive(Default)]
struct FirstRows(HashMap<Box<str>, u64>);

impl FirstRows {
    /// Returns the row that already has this key; otherwise records `row` for it.
    fn insert(&mut self, key: &str, row: u64) -> Option<u64> {
        match self.0.get(key) {
            Some(first) => Some(*first),
            None => {
                self.0.insert(key.into(), row);
                None
            }
        }
    }
}

impl<'s> SheetEntries<'s> {
    pub(super) fn new(sheet: &'s Sheet) -> Self {
        Self { sheet, record: CsvRecord::new(), state: EntriesState::NotStarted }
    }

    fn start(&mut self) -> Result<(), SheetProblem> {
        let sheet = self.sheet;
        self.state = match sheet.group_by {
            None => {
                EntriesState::Rows { records: sheet.open_records()?, keys: FirstRows::default() }
            }
            Some(column) => {
                let groups = RowGroups::build(sheet, column)?;
                let records = sheet.open_records()?;
                let named_by_group = sheet.key_source == KeySource::Columns(vec![column]);
                let keys = (!named_by_group).then(FirstRows::default);
                EntriesState::Groups(GroupReader { records, column, groups, visited: 0, keys })
            }
        };
        Ok(())
    }

    /// The outer error ends the reading; the inner one is about one row or group.
    fn advance(&mut self) -> Result<Option<Result<SheetEntry, SheetProblem>>, SheetProblem> {
        if let EntriesState::NotStarted = self.state {
            self.start()?;
        }
        let (sheet, record) = (self.sheet, &mut self.record);
        match &mut self.state {
            EntriesState::NotStarted | EntriesState::Finished => Ok(None),
            EntriesState::Groups(grouped) => grouped.next_entry(sheet, record),
            EntriesState::Rows { records, keys } => {
                if !records.read_non_blank(record).map_err(|err| sheet.source.read_problem(&err))? {
                    return sheet.source.ensure_unchanged(records.get_ref()).map(|()| None);
                }
                if let Some(left_out) = sheet.skipped_entry(record) {
                    return Ok(Some(Ok(left_out)));
                }
                let (cells, key) = match sheet.keyed_row(record) {
                    Ok(row) => row,
                    Err(problem) => {
                        let lost = vec![sheet.readable_row(record)];
                        return Ok(Some(Err(problem.with_lost_rows(lost))));
                    }
                };
                let number = record.position.row;
                let rows = vec![SheetRow { number, cells: owned_cells(&cells) }];
                if let Some(first) = keys.insert(&key, number) {
                    return Ok(Some(Err(sheet
                        .duplicate_key_problem(&key, number, first)
                        .with_lost_rows(rows))));
                }
                let variant = cells.variant.map(str::to_owned);
                Ok(Some(Ok(SheetEntry { key, variant, rows, is_skipped: false })))
            }
        }
    }
}

impl Iterator for SheetEntries<'_> {
    type Item = Result<SheetEntry, SheetProblem>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.advance() {
            Ok(Some(item)) => Some(item),
            Ok(None) => {
                self.state = EntriesState::Finished;
                None
            }
            Err(problem) => {
                self.state = EntriesState::Finished;
                Some(Err(problem.with_hidden_rows()))
            }
        }
    }
}

impl GroupReader {
    fn next_entry(
        &mut self,
        sheet: &Sheet,
        record: &mut CsvRecord,
    ) -> Result<Option<Result<SheetEntry, SheetProblem>>, SheetProblem> {
        let Some((places, visited)) = self.groups.group_at(self.visited) else {
            return sheet.source.ensure_unchanged(self.records.get_ref()).map(|()| None);
        };
        self.visited = visited;
        let entry = match self.groups.suspect_row(places) {
            Some(row) => {
                let message = format!("this group is left out, since row {row} may belong to it");
                let help = format!("mend row {row} first");
                let problem = SheetProblem::for_row(places[0].row, message, help);
                Err(problem.with_column(self.column, sheet.headings()))
            }
            None => read_group(sheet, &mut self.records, record, (places, self.column))?,
        };
        let entry = entry.and_then(|entry| match &mut self.keys {
            Some(keys) if !entry.is_skipped => {
                let number = places[0].row;
                match keys.insert(&entry.key, number) {
                    None => Ok(entry),
                    Some(first) => Err(sheet.duplicate_key_problem(&entry.key, number, first)),
                }
            }
            Some(_) | None => Ok(entry),
        });
        let Err(problem) = entry else { return Ok(Some(entry)) };
        // All rows of the group are lost with it, also those behind the one that is wrong.
        let mut lost = Vec::with_capacity(places.len());
        for place in places {
            read_record_at(sheet, &mut self.records, record, place)?;
            lost.push(sheet.readable_row(record));
        }
        Ok(Some(Err(problem.with_lost_rows(lost))))
    }
}

fn read_record_at(
    sheet: &Sheet,
    records: &mut RecordReader<CsvInput>,
    record: &mut CsvRecord,
    place: &GroupedRow,
) -> Result<(), SheetProblem> {
    let moved = records.seek_to(place.position());
    moved
        .and_then(|()| records.read(record))
        .map_err(|err| sheet.source.read_problem(&err))
        .map(|_| ())
}

/// Reads the rows of one group.
fn read_group(
    sheet: &Sheet,
    records: &mut RecordReader<CsvInput>,
    record: &mut CsvRecord,
    (places, group_by): (&[GroupedRow], usize),
) -> Result<Result<SheetEntry, SheetProblem>, SheetProblem> {
    let mut key: Option<String> = None;
    let mut variant = None;
    let mut rows = Vec::with_capacity(places.len());
    for place in places {
        read_record_at(sheet, records, record, place)?;
        if let Some(left_out) = sheet.skipped_entry(record) {
            // Such a row is a group of its own, and never the row of another.
            return Ok(Ok(SheetEntry { key: String::new(), ..left_out }));
        }
        let (cells, own) = match sheet.keyed_group_row(record, group_by) {
            Ok(row) => row,
            Err(problem) => return Ok(Err(problem)),
        };
        match &key {
            Some(key) if *key != own => {
                return Ok(Err(sheet.conflicting_key_problem(
                    &own,
                    place.row,
                    (key, places[0].row),
                )));
            }
            Some(_) => {}
            None => key = Some(own),
        }
        variant = cells.variant.map(str::to_owned);
        rows.push(SheetRow { number: place.row, cells: owned_cells(&cells) });
    }
    let key = key.expect("a group is made by its first row");
    Ok(Ok(SheetEntry { key, variant, rows, is_skipped: false }))
}

impl Sheet {
    /// Tells whether a row says that it is to be left out.
    pub(super) fn should_skip(&self, cells: &RowCells<'_>) -> bool {
        self.skip_rule.as_ref().is_some_and(|skip| skip.should_skip(cells))
    }

    /// Returns the entry of a row that says it is to be left out. One that cannot be read is told
    /// of, whatever it may have wanted to say.
    fn skipped_entry(&self, record: &CsvRecord) -> Option<SheetEntry> {
        self.skip_rule.as_ref()?;
        let cells = self.shape.decode_row(record).ok().filter(|cells| self.should_skip(cells))?;
        let key = self.row_key(&cells).unwrap_or_default();
        let variant = cells.variant.map(str::to_owned);
        let rows = vec![SheetRow { number: record.position.row, cells: owned_cells(&cells) }];
        Some(SheetEntry { key, variant, rows, is_skipped: true })
    }

    /// Returns what can be read of a row that makes no video.
    fn readable_row(&self, record: &CsvRecord) -> SheetRow {
        SheetRow { number: record.position.row, cells: self.shape.readable_cells(record) }
    }

    /// Takes a record for a row with a key.
    fn keyed_row<'r>(&self, record: &'r CsvRecord) -> Result<(RowCells<'r>, String), SheetProblem> {
        let cells = self.shape.decode_row(record)?;
        let key = self.row_key(&cells)?;
        Ok((cells, key))
    }

    /// Returns a row's key; in a report, with the variant that it is about.
    pub(super) fn row_key(&self, cells: &RowCells<'_>) -> Result<String, SheetProblem> {
        let key = self.key_source.key(cells, self.headings())?;
        Ok(match cells.variant {
            Some(variant) => format!("{key}/{variant}"),
            None => key,
        })
    }

    fn keyed_group_row<'r>(
        &self,
        record: &'r CsvRecord,
        group_by: usize,
    ) -> Result<(RowCells<'r>, String), SheetProblem> {
        let cells = self.shape.decode_row(record)?;
        if key::normalize_name(cells.get(group_by)).is_empty() {
            return Err(SheetProblem::for_row(
                record.position.row,
                "this cell is empty, so the row belongs to no group",
                "fill in the group's name in every row of it, also where the cells look merged",
            )
            .with_column(group_by, self.headings()));
        }
        self.keyed_row(record)
    }

    fn duplicate_key_problem(&self, key: &str, row: u64, first: u64) -> SheetProblem {
        let key = shorten_for_message(key);
        match self.key_source.first_column() {
            Some(column) => SheetProblem::for_row(
                row,
                format!("the key `{key}` is already that of row {first}"),
                "give each its own: two videos under one key could not be told apart",
            )
            .with_column(column, self.headings()),
            None => SheetProblem::for_row(
                row,
                format!("this row is the same as row {first}, cell by cell"),
                "delete one of the two, or set `key` to a column that tells them apart",
            ),
        }
    }

    fn conflicting_key_problem(
        &self,
        own: &str,
        row: u64,
        (key, first): (&str, u64),
    ) -> SheetProblem {
        let (own, key) = (shorten_for_message(own), shorten_for_message(key));
        let problem = SheetProblem::for_row(
            row,
            format!("the key `{own}` is not the one of the group's first row {first}, `{key}`"),
            "the rows of a group make one video, so they share one key",
        );
        match self.key_source.first_column() {
            Some(column) => problem.with_column(column, self.headings()),
            None => problem,
        }
    }
}

fn owned_cells(cells: &RowCells<'_>) -> Vec<String> {
    cells.iter().map(str::to_owned).collect()
}

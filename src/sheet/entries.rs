//! Iterates over the entries of a sheet, and the problems of its rows.
//!
//! An invalid row does not end the iteration; an unreadable file does, with a last problem that
//! hides rows. Invariant: every problem takes the place of the entry that it prevents.

use std::collections::HashMap;

use super::cells::RowCells;
use super::groups::{GroupedRow, RowGroups};
use super::input::CsvInput;
use super::key::{self, KeySource};
use super::problem::{SheetProblem, shorten_for_message};
use super::records::{CsvRecord, RecordReader};
use super::{Sheet, SheetEntry, SheetRow, SkipMark};

/// The entries of a sheet, in its order. Created by [`Sheet::entries`].
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
    /// There are no more entries.
    Finished,
}

struct GroupReader {
    records: RecordReader<CsvInput>,
    column: usize,
    groups: RowGroups,
    /// The number of rows of the index that have been read.
    visited: usize,
    keys: FirstRows,
}

/// The key of the first row of a group.
struct FirstKey<'k> {
    key: &'k str,
    row: u64,
}

/// The keys read so far, by their look: about 100 bytes per row.
#[derive(Default)]
struct FirstRows(HashMap<Box<str>, FirstRow>);

/// The first row with a key.
#[derive(Clone)]
struct FirstRow {
    row: u64,
    /// Its key, if that differs from its look.
    key: Option<Box<str>>,
}

/// A key that another row has, or one that looks like it.
struct DuplicateKey {
    first: u64,
    is_same: bool,
}

impl FirstRows {
    /// Returns the row that already has this key, or one that looks the same; otherwise records
    /// `row` for it.
    fn insert(&mut self, key: &str, row: u64) -> Option<DuplicateKey> {
        let look = key::look_of_key(key);
        let spelled: Option<Box<str>> = (look != key).then(|| key.into());
        if let Some(first) = self.0.get(look.as_ref()) {
            return Some(DuplicateKey { first: first.row, is_same: first.key == spelled });
        }
        self.0.insert(look.into(), FirstRow { row, key: spelled });
        None
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
                let keys = FirstRows::default();
                EntriesState::Groups(GroupReader { records, column, groups, visited: 0, keys })
            }
        };
        Ok(())
    }

    /// The outer error ends the iteration; the inner one concerns one row or group.
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
                if let Some(skipped) = sheet.skipped_entry(record) {
                    return Ok(Some(Ok(skipped)));
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
                if let Some(duplicate) = keys.insert(&key, number) {
                    return Ok(Some(Err(sheet
                        .duplicate_key_problem(&key, number, &duplicate)
                        .with_lost_rows(rows))));
                }
                let variant = cells.variant.map(str::to_owned);
                let warnings = sheet.key_source.warnings(&cells, sheet.headings());
                Ok(Some(Ok(SheetEntry { key, variant, rows, skip_mark: None, warnings })))
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
        let Some((group, visited)) = self.groups.group_at(self.visited) else {
            return sheet.source.ensure_unchanged(self.records.get_ref()).map(|()| None);
        };
        self.visited = visited;
        let entry = match self.groups.suspect_row(group) {
            Some(row) => {
                let message = format!("this group is skipped, because row {row} may belong to it");
                let help = format!("fix row {row} first");
                let problem = SheetProblem::for_row(group[0].row, message, help);
                Err(problem.with_column(self.column, sheet.headings()))
            }
            None => {
                let entry = read_group(sheet, self.column, &mut self.records, record, group)?;
                match self.groups.is_lone_skipped(&group[0]) {
                    // Its group has that key, and makes a video without this row.
                    true => entry.map(|entry| SheetEntry { key: String::new(), ..entry }),
                    false => entry,
                }
            }
        };
        let number = group[0].row;
        let entry = entry.and_then(|entry| {
            let duplicate = match entry.skip_mark {
                Some(_) => None,
                None => self.keys.insert(&entry.key, number),
            };
            match duplicate {
                None => Ok(entry),
                Some(duplicate) => Err(sheet.duplicate_key_problem(&entry.key, number, &duplicate)),
            }
        });
        let Err(problem) = entry else { return Ok(Some(entry)) };
        // The problem of one row prevents the whole group.
        let mut lost = Vec::with_capacity(group.len());
        for row in group {
            read_record_at(sheet, &mut self.records, record, row)?;
            lost.push(sheet.readable_row(record));
        }
        Ok(Some(Err(problem.with_lost_rows(lost))))
    }
}

fn read_record_at(
    sheet: &Sheet,
    records: &mut RecordReader<CsvInput>,
    record: &mut CsvRecord,
    row: &GroupedRow,
) -> Result<(), SheetProblem> {
    let moved = records.seek_to(row.position());
    moved
        .and_then(|()| records.read(record))
        .map_err(|err| sheet.source.read_problem(&err))
        .map(|_| ())
}

/// Reads the rows of one group; `column` contains its name.
fn read_group(
    sheet: &Sheet,
    column: usize,
    records: &mut RecordReader<CsvInput>,
    record: &mut CsvRecord,
    group: &[GroupedRow],
) -> Result<Result<SheetEntry, SheetProblem>, SheetProblem> {
    let mut key: Option<String> = None;
    let mut skipped: Option<SheetEntry> = None;
    let (mut variant, mut warnings) = (None, Vec::new());
    let mut rows = Vec::with_capacity(group.len());
    for row in group {
        read_record_at(sheet, records, record, row)?;
        if let Some(next) = sheet.skipped_entry(record) {
            // The rows of an entry are all skipped, or none is.
            match &mut skipped {
                None => skipped = Some(next),
                Some(first) => first.rows.extend(next.rows),
            }
            continue;
        }
        let (cells, own) = match sheet.keyed_group_row(record, column) {
            Ok(row) => row,
            Err(problem) => return Ok(Err(problem)),
        };
        match &key {
            Some(key) if *key != own => {
                let first = FirstKey { key, row: group[0].row };
                return Ok(Err(sheet.conflicting_key_problem(&own, row.row, first)));
            }
            Some(_) => {}
            None => {
                key = Some(own);
                warnings = sheet.key_source.warnings(&cells, sheet.headings());
            }
        }
        variant = cells.variant.map(str::to_owned);
        rows.push(SheetRow { number: row.row, cells: owned_cells(&cells) });
    }
    if let Some(skipped) = skipped {
        return Ok(Ok(skipped));
    }
    let key = key.expect("a group has at least one row");
    Ok(Ok(SheetEntry { key, variant, rows, skip_mark: None, warnings }))
}

impl Sheet {
    /// Returns what marks a row to be skipped.
    pub(super) fn skip_mark(&self, cells: &RowCells<'_>) -> Option<SkipMark> {
        let by_cell = self.skip_rule.as_ref().filter(|skip| skip.should_skip(cells));
        match by_cell {
            Some(skip) => Some(SkipMark::Cell { column: skip.column() }),
            None => self.hidden_rows.contains(cells.row).then_some(SkipMark::HiddenRow),
        }
    }

    /// Returns the entry of a row that is marked to be skipped. An unreadable row is never skipped.
    fn skipped_entry(&self, record: &CsvRecord) -> Option<SheetEntry> {
        if self.skip_rule.is_none() && self.hidden_rows.is_empty() {
            return None;
        }
        let cells = self.shape.decode_row(record).ok()?;
        let skip_mark = Some(self.skip_mark(&cells)?);
        let key = self.row_key(&cells).unwrap_or_default();
        let variant = cells.variant.map(str::to_owned);
        let rows = vec![SheetRow { number: record.position.row, cells: owned_cells(&cells) }];
        Some(SheetEntry { key, variant, rows, skip_mark, warnings: Vec::new() })
    }

    /// Returns the readable cells of an invalid row.
    fn readable_row(&self, record: &CsvRecord) -> SheetRow {
        SheetRow { number: record.position.row, cells: self.shape.readable_cells(record) }
    }

    /// Decodes a record as a row with a key.
    fn keyed_row<'r>(&self, record: &'r CsvRecord) -> Result<(RowCells<'r>, String), SheetProblem> {
        let cells = self.shape.decode_row(record)?;
        let key = self.row_key(&cells)?;
        Ok((cells, key))
    }

    /// Returns the key of a row; in a report, with the variant.
    pub(super) fn row_key(&self, cells: &RowCells<'_>) -> Result<String, SheetProblem> {
        let key = self.key_source.key(cells, self.headings())?;
        Ok(match cells.variant {
            Some(variant) => format!("{key}/{variant}"),
            None => key,
        })
    }

    /// Returns the key of a row that has no entry because of a problem.
    pub fn lost_row_key(&self, row: &SheetRow) -> Option<String> {
        match &self.key_source {
            KeySource::Content => None,
            KeySource::Columns(columns) => key::key_of_cells(&row.cells, columns),
        }
    }

    fn keyed_group_row<'r>(
        &self,
        record: &'r CsvRecord,
        group_by: usize,
    ) -> Result<(RowCells<'r>, String), SheetProblem> {
        let cells = self.shape.decode_row(record)?;
        if key::normalize_name(&cells.get(group_by)).is_empty() {
            return Err(SheetProblem::for_row(
                record.position.row,
                "this cell is empty, so the row belongs to no group",
                "fill in the name of the group in every row, also where cells appear merged",
            )
            .with_column(group_by, self.headings()));
        }
        self.keyed_row(record)
    }

    fn duplicate_key_problem(&self, key: &str, row: u64, duplicate: &DuplicateKey) -> SheetProblem {
        let (key, first) = (shorten_for_message(key), duplicate.first);
        match self.key_source.first_column() {
            Some(column) if duplicate.is_same => SheetProblem::for_row(
                row,
                format!("row {first} has the key `{key}`, too"),
                "change one of them, or delete a row: keys must be unique",
            )
            .with_column(column, self.headings()),
            Some(column) => SheetProblem::for_row(
                row,
                format!("the key `{key}` looks like that of row {first}"),
                "the two differ only in invisible characters, or in the kind of a hyphen or a blank: \
                 type one of them again",
            )
            .with_column(column, self.headings()),
            None => SheetProblem::for_row(
                row,
                format!("this row is identical to row {first}"),
                "delete one of the two, or set `key` to a column in which they differ",
            ),
        }
    }

    fn conflicting_key_problem(&self, own: &str, row: u64, first: FirstKey<'_>) -> SheetProblem {
        let (own, key) = (shorten_for_message(own), shorten_for_message(first.key));
        let problem = SheetProblem::for_row(
            row,
            format!(
                "the key `{own}` differs from `{key}` in row {}, the first of this group",
                first.row
            ),
            "all rows of a group need the same key, since they make one video",
        );
        match self.key_source.first_column() {
            Some(column) => problem.with_column(column, self.headings()),
            None => problem,
        }
    }
}

fn owned_cells(cells: &RowCells<'_>) -> Vec<String> {
    cells.iter().map(|cell| key::normalize_cell(&cell).into_owned()).collect()
}

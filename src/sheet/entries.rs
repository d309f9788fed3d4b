//! Goes through a sheet and gives its entries, or what is wrong with its rows.
//!
//! A bad row does not stop the reading; a file that cannot be read on does, with one last problem,
//! which says that it hides rows.
//! Every problem is told in the place of the entry that it prevents.

use std::collections::HashMap;

use super::cells::Cells;
use super::doubles::Doubles;
use super::groups::{Groups, Place};
use super::input::Input;
use super::key::{self, Naming};
use super::problem::{Problem, clipped};
use super::records::{Record, Records};
use super::{Entry, Row, Sheet};

/// The entries of a sheet, in its order. Made by [`Sheet::entries`].
pub struct Entries<'s> {
    sheet: &'s Sheet,
    record: Record,
    stage: Stage,
}

enum Stage {
    /// Nothing has been read.
    Begin,
    /// Row by row.
    Rows { records: Records<Input>, doubles: Doubles },
    /// Group by group.
    Groups(Grouped),
    /// There is nothing more.
    End,
}

struct Grouped {
    records: Records<Input>,
    column: usize,
    groups: Groups,
    /// How many places of the index have been visited.
    visited: usize,
    /// The keys so far, with the first row of each; nothing where the group's own name is the key,
    /// which no other group has.
    keys: Option<HashMap<Box<str>, u64>>,
}

impl<'s> Entries<'s> {
    pub(super) fn new(sheet: &'s Sheet) -> Self {
        Self { sheet, record: Record::new(), stage: Stage::Begin }
    }

    fn begin(&mut self) -> Result<(), Problem> {
        let sheet = self.sheet;
        self.stage = match sheet.group_by {
            None => Stage::Rows { records: sheet.records()?, doubles: Doubles::new() },
            Some(column) => {
                let groups = Groups::index(sheet, column)?;
                let records = sheet.records()?;
                let named_by_group = sheet.naming == Naming::Columns(vec![column]);
                let keys = (!named_by_group).then(HashMap::new);
                Stage::Groups(Grouped { records, column, groups, visited: 0, keys })
            }
        };
        Ok(())
    }

    /// The outer error ends the reading; the inner one is about one row or group.
    fn advance(&mut self) -> Result<Option<Result<Entry, Problem>>, Problem> {
        if let Stage::Begin = self.stage {
            self.begin()?;
        }
        let (sheet, record) = (self.sheet, &mut self.record);
        match &mut self.stage {
            Stage::Begin | Stage::End => Ok(None),
            Stage::Groups(grouped) => grouped.next(sheet, record),
            Stage::Rows { records, doubles } => {
                if !records.read_filled(record).map_err(|err| sheet.source.broken(&err))? {
                    return sheet.source.unchanged(records.source()).map(|()| None);
                }
                if let Some(left_out) = sheet.left_out(record) {
                    return Ok(Some(Ok(left_out)));
                }
                let (cells, key) = match sheet.row(record) {
                    Ok(row) => row,
                    Err(problem) => {
                        let lost = vec![sheet.salvaged(record)];
                        return Ok(Some(Err(problem.costing(lost))));
                    }
                };
                let number = record.at.row;
                let rows = vec![Row { number, cells: owned(&cells) }];
                if let Some(first) = doubles.first(sheet, &key, number)? {
                    return Ok(Some(Err(sheet.doubled(&key, number, first).costing(rows))));
                }
                let variant = cells.variant.map(str::to_owned);
                Ok(Some(Ok(Entry { key, variant, rows, skipped: false })))
            }
        }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.advance() {
            Ok(Some(item)) => Some(item),
            Ok(None) => {
                self.stage = Stage::End;
                None
            }
            Err(problem) => {
                self.stage = Stage::End;
                Some(Err(problem.hiding_rows()))
            }
        }
    }
}

impl Grouped {
    fn next(
        &mut self,
        sheet: &Sheet,
        record: &mut Record,
    ) -> Result<Option<Result<Entry, Problem>>, Problem> {
        let Some((places, visited)) = self.groups.group_at(self.visited) else {
            return sheet.source.unchanged(self.records.source()).map(|()| None);
        };
        self.visited = visited;
        let entry = match self.groups.suspect(places) {
            Some(row) => {
                let message = format!("this group is left out, since row {row} may belong to it");
                let help = format!("mend row {row} first");
                let problem = Problem::of_row(places[0].row, message, help);
                Err(problem.in_column(self.column, sheet.headings()))
            }
            None => gather(sheet, &mut self.records, record, (places, self.column))?,
        };
        let entry = entry.and_then(|entry| match &mut self.keys {
            Some(keys) if !entry.skipped => {
                let number = places[0].row;
                let first = *keys.entry(entry.key.as_str().into()).or_insert(number);
                if first == number {
                    Ok(entry)
                } else {
                    Err(sheet.doubled(&entry.key, number, first))
                }
            }
            Some(_) | None => Ok(entry),
        });
        let Err(problem) = entry else { return Ok(Some(entry)) };
        // All rows of the group are lost with it, also those behind the one that is wrong.
        let mut lost = Vec::with_capacity(places.len());
        for place in places {
            go_to(sheet, &mut self.records, record, place)?;
            lost.push(sheet.salvaged(record));
        }
        Ok(Some(Err(problem.costing(lost))))
    }
}

fn go_to(
    sheet: &Sheet,
    records: &mut Records<Input>,
    record: &mut Record,
    place: &Place,
) -> Result<(), Problem> {
    let moved = records.go_to(place.position());
    moved.and_then(|()| records.read(record)).map_err(|err| sheet.source.broken(&err)).map(|_| ())
}

/// Reads the rows of one group.
fn gather(
    sheet: &Sheet,
    records: &mut Records<Input>,
    record: &mut Record,
    (places, group_by): (&[Place], usize),
) -> Result<Result<Entry, Problem>, Problem> {
    let mut key: Option<String> = None;
    let mut variant = None;
    let mut rows = Vec::with_capacity(places.len());
    for place in places {
        go_to(sheet, records, record, place)?;
        if let Some(left_out) = sheet.left_out(record) {
            // Such a row is a group of its own, and never the row of another.
            return Ok(Ok(Entry { key: String::new(), ..left_out }));
        }
        let (cells, own) = match sheet.row_of_group(record, group_by) {
            Ok(row) => row,
            Err(problem) => return Ok(Err(problem)),
        };
        match &key {
            Some(key) if *key != own => {
                return Ok(Err(sheet.at_odds(&own, place.row, (key, places[0].row))));
            }
            Some(_) => {}
            None => key = Some(own),
        }
        variant = cells.variant.map(str::to_owned);
        rows.push(Row { number: place.row, cells: owned(&cells) });
    }
    let key = key.expect("a group is made by its first row");
    Ok(Ok(Entry { key, variant, rows, skipped: false }))
}

impl Sheet {
    /// Tells whether a row says that it is to be left out.
    pub(super) fn leaves_out(&self, cells: &Cells<'_>) -> bool {
        self.skip.as_ref().is_some_and(|skip| skip.leaves_out(cells))
    }

    /// Returns the entry of a row that says it is to be left out. One that cannot be read is told
    /// of, whatever it may have wanted to say.
    fn left_out(&self, record: &Record) -> Option<Entry> {
        self.skip.as_ref()?;
        let cells = self.shape.cells(record).ok().filter(|cells| self.leaves_out(cells))?;
        let key = self.key(&cells).unwrap_or_default();
        let variant = cells.variant.map(str::to_owned);
        let rows = vec![Row { number: record.at.row, cells: owned(&cells) }];
        Some(Entry { key, variant, rows, skipped: true })
    }

    /// Returns what can be read of a row that makes no video.
    fn salvaged(&self, record: &Record) -> Row {
        Row { number: record.at.row, cells: self.shape.salvaged(record) }
    }

    /// Takes a record for a row with a key.
    fn row<'r>(&self, record: &'r Record) -> Result<(Cells<'r>, String), Problem> {
        let cells = self.shape.cells(record)?;
        let key = self.key(&cells)?;
        Ok((cells, key))
    }

    /// Returns a row's key; in a report, with the variant that it is about.
    pub(super) fn key(&self, cells: &Cells<'_>) -> Result<String, Problem> {
        let key = self.naming.key(cells, self.headings())?;
        Ok(match cells.variant {
            Some(variant) => format!("{key}/{variant}"),
            None => key,
        })
    }

    fn row_of_group<'r>(
        &self,
        record: &'r Record,
        group_by: usize,
    ) -> Result<(Cells<'r>, String), Problem> {
        let cells = self.shape.cells(record)?;
        if key::name(cells.get(group_by)).is_empty() {
            return Err(Problem::of_row(
                record.at.row,
                "this cell is empty, so the row belongs to no group",
                "fill in the group's name in every row of it, also where the cells look merged",
            )
            .in_column(group_by, self.headings()));
        }
        self.row(record)
    }

    fn doubled(&self, key: &str, row: u64, first: u64) -> Problem {
        let key = clipped(key);
        match self.naming.column() {
            Some(column) => Problem::of_row(
                row,
                format!("the key `{key}` is already that of row {first}"),
                "give each its own: two videos under one key could not be told apart",
            )
            .in_column(column, self.headings()),
            None => Problem::of_row(
                row,
                format!("this row is the same as row {first}, cell by cell"),
                "delete one of the two, or set `key` to a column that tells them apart",
            ),
        }
    }

    fn at_odds(&self, own: &str, row: u64, (key, first): (&str, u64)) -> Problem {
        let (own, key) = (clipped(own), clipped(key));
        let problem = Problem::of_row(
            row,
            format!("the key `{own}` is not the one of the group's first row {first}, `{key}`"),
            "the rows of a group make one video, so they share one key",
        );
        match self.naming.column() {
            Some(column) => problem.in_column(column, self.headings()),
            None => problem,
        }
    }
}

fn owned(cells: &Cells<'_>) -> Vec<String> {
    cells.iter().map(str::to_owned).collect()
}

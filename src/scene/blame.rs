//! Which row of a group, and which column of a list, is at fault.
//!
//! A group is merged as one, so what is wrong with it lies in a place of one text. It is merged
//! again with fewer of its rows: the row at fault is the one with which the problem comes. And of
//! the columns of a list it is the one with whose cell mended the problem goes. This is for what is
//! refused already, and costs the others nothing.

use std::collections::HashMap;

use super::check::Weight;
use super::merge::Merger;
use super::problem::{Place, Problem};

/// Problems of one group that are looked for; of more it is said that they are in its first row.
const LOOKED_FOR: usize = 50;

/// What every list takes, also one of numbers.
const ANYTHING: &str = "1";

/// Where a problem comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blame {
    /// The index of the row; the first where that cannot be told.
    pub row: usize,
    /// The index of the column, when a cell is at fault.
    pub column: Option<usize>,
}

/// A problem as it is known again: its pointer or column, and what is wrong.
type Mark = (String, String);

impl Merger<'_> {
    /// Returns for each problem of some rows where it comes from. What was merged last is forgotten.
    pub fn blame(&mut self, rows: &[Vec<String>], problems: &[Problem]) -> Vec<Blame> {
        let mut known = HashMap::new();
        let mut shows = |merger: &mut Self, count: usize, mark: &Mark| -> bool {
            known.entry(count).or_insert_with(|| merger.marks(&rows[..count])).contains(mark)
        };
        let has_lists = !self.columns().lists.is_empty();
        let mut faults = Vec::with_capacity(problems.len());
        for (number, problem) in problems.iter().enumerate() {
            let column = problem.place.cell().and_then(|name| self.columns().place(name));
            let (mut fault, mark) = (Blame { row: 0, column }, mark_of(problem));
            let is_open = rows.len() > 1 || (has_lists && column.is_none());
            if is_open && number < LOOKED_FOR && shows(self, rows.len(), &mark) {
                // With `without` rows it is not there, with `with` rows it is.
                let (mut without, mut with) = (0, rows.len());
                while with - without > 1 {
                    let half = without + (with - without) / 2;
                    if shows(self, half, &mark) { with = half } else { without = half }
                }
                fault.row = with - 1;
                fault.column = column.or_else(|| self.item_at_fault(rows, fault.row, &mark));
            }
            faults.push(fault);
        }
        faults
    }

    /// Returns the column of a list without whose cell the problem would not be there.
    fn item_at_fault(&mut self, rows: &[Vec<String>], row: usize, mark: &Mark) -> Option<usize> {
        let mut places: Vec<usize> = self.columns().lists.values().flatten().copied().collect();
        places.sort_unstable();
        places.into_iter().find(|place| {
            let mut mended = rows.to_vec();
            let Some(cell) = mended.get_mut(row).and_then(|row| row.get_mut(*place)) else {
                return false;
            };
            ANYTHING.clone_into(cell);
            !self.marks(&mended).contains(mark)
        })
    }

    fn marks(&mut self, rows: &[Vec<String>]) -> Vec<Mark> {
        match self.judged(rows) {
            Ok(findings) => {
                let wrong = findings.into_iter().filter(|one| one.weight == Weight::Wrong);
                wrong.map(|finding| (finding.pointer, finding.message)).collect()
            }
            Err(problem) => vec![mark_of(&problem)],
        }
    }
}

fn mark_of(problem: &Problem) -> Mark {
    let place = match &problem.place {
        Place::Merged { pointer, .. } => pointer.clone(),
        Place::Column { name, .. } => name.clone(),
        Place::Template(_) => String::new(),
    };
    (place, problem.message.clone())
}

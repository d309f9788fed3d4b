//! Which row of a group, and which column of a list, is at fault.
//!
//! A group is merged as one, so what is wrong with it lies in a place of one text. It is merged
//! again with fewer of its rows: the row at fault is the one with which the problem comes. And of
//! the columns of a list it is the one with whose cell mended the problem goes. This is for what is
//! refused already, and costs the others nothing.

use std::collections::HashMap;

use crate::payload::check::Severity;
use crate::payload::merge::PayloadMerger;
use crate::template::problem::{TemplateProblem, TemplateProblemLocation};

/// Problems of one group that are looked for; of more it is said that they are in its first row.
const BISECTED_PROBLEMS_MAX: usize = 50;

/// What every list takes, also one of numbers.
const PLACEHOLDER_CELL: &str = "1";

/// Where a problem comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProblemOrigin {
    /// The index of the row; the first where that cannot be told.
    pub row: usize,
    /// The index of the column, when a cell is at fault.
    pub column: Option<usize>,
}

/// A problem as it is known again: its pointer or column, and what is wrong.
type ProblemKey = (String, String);

impl PayloadMerger<'_> {
    /// Returns for each problem of some rows where it comes from. What was merged last is forgotten.
    pub fn find_problem_origins(
        &mut self,
        rows: &[Vec<String>],
        problems: &[TemplateProblem],
    ) -> Vec<ProblemOrigin> {
        let mut known = HashMap::new();
        let mut shows = |merger: &mut Self, count: usize, mark: &ProblemKey| -> bool {
            known.entry(count).or_insert_with(|| merger.problem_keys(&rows[..count])).contains(mark)
        };
        let has_lists = !self.columns().lists.is_empty();
        let mut faults = Vec::with_capacity(problems.len());
        for (number, problem) in problems.iter().enumerate() {
            let column =
                problem.location.sheet_column().and_then(|name| self.columns().column_index(name));
            let (mut fault, mark) = (ProblemOrigin { row: 0, column }, problem_key(problem));
            let is_open = rows.len() > 1 || (has_lists && column.is_none());
            if is_open && number < BISECTED_PROBLEMS_MAX && shows(self, rows.len(), &mark) {
                // With `without` rows it is not there, with `with` rows it is.
                let (mut without, mut with) = (0, rows.len());
                while with - without > 1 {
                    let half = without + (with - without) / 2;
                    if shows(self, half, &mark) { with = half } else { without = half }
                }
                fault.row = with - 1;
                fault.column =
                    column.or_else(|| self.find_faulty_list_column(rows, fault.row, &mark));
            }
            faults.push(fault);
        }
        faults
    }

    /// Returns the column of a list without whose cell the problem would not be there.
    fn find_faulty_list_column(
        &mut self,
        rows: &[Vec<String>],
        row: usize,
        mark: &ProblemKey,
    ) -> Option<usize> {
        let mut places: Vec<usize> = self.columns().lists.values().flatten().copied().collect();
        places.sort_unstable();
        places.into_iter().find(|place| {
            let mut mended = rows.to_vec();
            let Some(cell) = mended.get_mut(row).and_then(|row| row.get_mut(*place)) else {
                return false;
            };
            PLACEHOLDER_CELL.clone_into(cell);
            !self.problem_keys(&mended).contains(mark)
        })
    }

    fn problem_keys(&mut self, rows: &[Vec<String>]) -> Vec<ProblemKey> {
        match self.check_rows(rows) {
            Ok(findings) => {
                let wrong = findings.into_iter().filter(|one| one.severity == Severity::Problem);
                wrong.map(|finding| (finding.pointer, finding.message)).collect()
            }
            Err(problem) => vec![problem_key(&problem)],
        }
    }
}

fn problem_key(problem: &TemplateProblem) -> ProblemKey {
    let place = match &problem.location {
        TemplateProblemLocation::Merged { pointer, .. } => pointer.clone(),
        TemplateProblemLocation::Column { name, .. } => name.clone(),
        TemplateProblemLocation::Template(_) => String::new(),
    };
    (place, problem.message.clone())
}

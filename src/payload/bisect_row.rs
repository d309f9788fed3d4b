//! Finds the row of a group, and the column of a list, that causes a problem.
//!
//! A group is merged as one, so its problems are located in one text. The group is merged again with
//! fewer rows: the faulty row is the one with which the problem appears. Of the columns of a list, the
//! faulty one is that whose replacement removes the problem. Only rejected groups are merged again.

use std::collections::HashMap;

use crate::payload::check::Severity;
use crate::payload::merge::PayloadMerger;
use crate::template::engine;
use crate::template::problem::{TemplateProblem, TemplateProblemLocation};

/// The number of problems of one group that are traced to a row; more are reported in its first row.
const BISECTED_PROBLEMS_MAX: usize = 50;

/// A cell that every list accepts, including one of numbers.
const PLACEHOLDER_CELL: &str = "1";

/// The row and column that cause a problem.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProblemOrigin {
    /// The index of the row; 0 if it is not known.
    pub row: usize,
    /// The index of the column, if a cell is the cause.
    pub column: Option<usize>,
}

/// Identifies a problem in several merges: its pointer or column, and its message.
type ProblemKey = (String, String);

impl PayloadMerger<'_> {
    /// Returns the origin of each problem of some rows. Replaces the payload that was merged last.
    pub fn find_problem_origins(
        &mut self,
        rows: &[Vec<String>],
        problems: &[TemplateProblem],
    ) -> Vec<ProblemOrigin> {
        let mut known = HashMap::new();
        let mut has_problem = |merger: &mut Self, count: usize, key: &ProblemKey| -> bool {
            known.entry(count).or_insert_with(|| merger.problem_keys(&rows[..count])).contains(key)
        };
        let has_lists = !self.columns().lists.is_empty();
        let mut origins = Vec::with_capacity(problems.len());
        for (number, problem) in problems.iter().enumerate() {
            let column =
                problem.location.sheet_column().and_then(|name| self.columns().column_index(name));
            let mut origin = ProblemOrigin { row: 0, column };
            let key = problem_key(problem);
            let is_ambiguous = (rows.len() > 1 || (has_lists && column.is_none()))
                && !engine::is_limit_message(&problem.message);
            if is_ambiguous && number < BISECTED_PROBLEMS_MAX && has_problem(self, rows.len(), &key)
            {
                // With `without` rows the problem is absent, with `with` rows it is present.
                let (mut without, mut with) = (0, rows.len());
                while with - without > 1 {
                    let half = without + (with - without) / 2;
                    if has_problem(self, half, &key) { with = half } else { without = half }
                }
                origin.row = with - 1;
                origin.column =
                    column.or_else(|| self.find_faulty_list_column(rows, origin.row, &key));
            }
            origins.push(origin);
        }
        origins
    }

    /// Returns the column of a list whose cell causes the problem.
    fn find_faulty_list_column(
        &mut self,
        rows: &[Vec<String>],
        row: usize,
        key: &ProblemKey,
    ) -> Option<usize> {
        let mut columns: Vec<usize> = self.columns().lists.values().flatten().copied().collect();
        columns.sort_unstable();
        columns.into_iter().find(|column| {
            let mut changed = rows.to_vec();
            let Some(cell) = changed.get_mut(row).and_then(|row| row.get_mut(*column)) else {
                return false;
            };
            PLACEHOLDER_CELL.clone_into(cell);
            !self.problem_keys(&changed).contains(key)
        })
    }

    fn problem_keys(&mut self, rows: &[Vec<String>]) -> Vec<ProblemKey> {
        match self.check_rows(rows) {
            Ok(findings) => {
                let problems = findings.into_iter().filter(|one| one.severity == Severity::Problem);
                problems.map(|finding| (finding.pointer, finding.message)).collect()
            }
            Err(problem) => vec![problem_key(&problem)],
        }
    }
}

fn problem_key(problem: &TemplateProblem) -> ProblemKey {
    let location = match &problem.location {
        TemplateProblemLocation::Merged { pointer, .. } => pointer.clone(),
        TemplateProblemLocation::Column { name, .. } => name.clone(),
        TemplateProblemLocation::Template(_) => String::new(),
    };
    (location, problem.message.clone())
}

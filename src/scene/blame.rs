//! Which row of a group is at fault.
//!
//! A group is merged as one, so what is wrong with it lies in a place of one text. It is merged
//! again with fewer of its rows: the row at fault is the one with which the problem comes. This is
//! for groups that are refused already, and costs the others nothing.

use std::collections::HashMap;

use super::check::Weight;
use super::merge::Merger;
use super::problem::{Place, Problem};

/// Problems of one group that are looked for; a group with more has its first row to blame.
const LOOKED_FOR: usize = 50;

/// A problem as it is known again: its pointer or column, and what is wrong.
type Mark = (String, String);

impl Merger<'_> {
    /// Returns for each problem of a group the index of the row that it comes with; the first
    /// where that cannot be told. What was merged last is forgotten.
    pub fn rows_at_fault(&mut self, rows: &[Vec<String>], problems: &[Problem]) -> Vec<usize> {
        let mut known = HashMap::new();
        let mut shows = |count: usize, mark: &Mark| -> bool {
            let marks = known.entry(count).or_insert_with(|| self.marks(&rows[..count]));
            marks.contains(mark)
        };
        let mut blamed = vec![0; problems.len()];
        for (blamed, problem) in blamed.iter_mut().zip(problems).take(LOOKED_FOR) {
            let mark = mark_of(problem);
            if !shows(rows.len(), &mark) {
                continue;
            }
            // With `without` rows it is not there, with `with` rows it is.
            let (mut without, mut with) = (0, rows.len());
            while with - without > 1 {
                let half = without + (with - without) / 2;
                if shows(half, &mark) { with = half } else { without = half }
            }
            *blamed = with - 1;
        }
        blamed
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

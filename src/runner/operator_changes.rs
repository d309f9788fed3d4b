//! The jobs that operator requests have changed during this run, and in which order. What a loop knew
//! about such a job before is void. A restart needs none of it.

use std::collections::HashMap;

use crate::ledger::JobId;

/// How many requests had changed jobs at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChangeMark(u64);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OperatorChanges {
    now: ChangeMark,
    changed_at: HashMap<JobId, ChangeMark>,
}

impl OperatorChanges {
    /// Adds the jobs of one request.
    pub(super) fn add(&mut self, jobs: &[JobId]) {
        if !jobs.is_empty() {
            self.now.0 += 1;
            self.changed_at.extend(jobs.iter().map(|job| (*job, self.now)));
        }
    }

    /// Returns this moment.
    pub(super) fn mark(&self) -> ChangeMark {
        self.now
    }

    /// Returns whether a request has changed the job since `mark`.
    pub(super) fn is_changed_since(&self, job: JobId, mark: ChangeMark) -> bool {
        self.changed_at.get(&job).is_some_and(|at| *at > mark)
    }

    /// Returns whether a request of this run has changed the job.
    pub(super) fn is_changed(&self, job: JobId) -> bool {
        self.changed_at.contains_key(&job)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_changed_since_every_mark_before_its_last_change() {
        let (one, two) = (JobId::from(1), JobId::from(2));
        let mut changes = OperatorChanges::default();
        let before = changes.mark();
        changes.add(&[one]);
        let between = changes.mark();
        changes.add(&[]);
        assert_eq!(changes.mark(), between);
        changes.add(&[one, two]);
        assert!(changes.is_changed_since(one, before) && changes.is_changed_since(one, between));
        assert!(!changes.is_changed_since(two, changes.mark()) && changes.is_changed(two));
        assert!(!changes.is_changed(JobId::from(3)));
    }
}

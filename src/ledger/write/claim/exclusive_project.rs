//! Rows that change the same project in place are submitted one after the other: otherwise one
//! row's export would contain another row's change. The schema enforces it as well
//! (`submission_holds`).

use std::collections::HashSet;

use jiff::Timestamp;

use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::claim::{ClaimedSubmission, ReadyJob};
use crate::ledger::{BatchId, JobSelection, Ledger, LedgerError};

/// All jobs of a plan are of one kind, so one of them shows whether they change projects.
static ANY_EXCLUSIVE_PROJECT: Statement = Statement::new(
    "-- ledger::claim_submissions, a project
    select v.subject from job j {by job_due}
    join version v on v.job_id = j.id and v.version = j.version
    where j.batch_id = $1 and j.state = 'ready' limit 1",
);

/// Ready jobs that a run may still submit: their project is unused, or used only by a job that this
/// run is about to submit. A job outside the run's selection stays ready, and so its project stays
/// in use.
static HAS_SUBMITTABLE_JOB: Statement = Statement::new(
    "-- ledger::claim_submissions, free
    select exists (select 1 from job j {by job_due}
        join version v on v.job_id = j.id and v.version = j.version
        where j.batch_id = $1 and j.state = 'ready' and ($2 is null or j.selection = $2)
            and (j.drafted > 0 or v.subject is null
            or not exists (
                select 1 from submission o {by submission_subject}
                join job h on h.id = o.job_id
                where o.subject = v.subject
                    and (o.project_id is null or o.project_id = o.subject)
                    and (o.live = 1 or h.submission_id = o.id
                        or (h.state = 'failed' and h.cause = 'fetch-failed' and h.in_sheet = true
                            and o.outcome = 'rendered'))
                    and (h.batch_id <> j.batch_id or h.state <> 'ready'
                        or ($2 is not null and h.selection is distinct from $2)))))",
);

/// The last time when an edit of a project was found lost that had other content than the given
/// submission.
static LAST_LOST_EDIT: Statement = Statement::new(
    "-- ledger::last_lost_edit
    select max(o.settled_at) from submission o {by submission_subject}
    where o.subject = $1 and o.outcome = 'stray' and o.project_id is null
        and not exists (select 1 from submission mine where mine.id = $2
            and mine.job_id = o.job_id and mine.version = o.version)",
);

/// The statements whose query plans a test asserts.
#[cfg(test)]
pub(in crate::ledger) static STATEMENTS: &[&Statement] =
    &[&ANY_EXCLUSIVE_PROJECT, &HAS_SUBMITTABLE_JOB, &LAST_LOST_EDIT];

impl Ledger {
    /// Returns the last time when another edit of this claim's project was found lost: it may still
    /// arrive, with the content of another row.
    pub async fn last_lost_edit(
        &self,
        claim: &ClaimedSubmission,
    ) -> Result<Option<Timestamp>, LedgerError> {
        let binds = binds![claim.exclusive_project.as_deref(), claim.submission.0];
        Ok(self.readers.fetch_value::<StoredTime>(&LAST_LOST_EDIT, binds).await?.into())
    }
}

/// Returns whether all remaining jobs wait for a project that another job still uses.
pub(in crate::ledger) async fn is_blocked(
    db: &mut StoreConnection,
    batch: BatchId,
    selection: Option<JobSelection>,
) -> Result<bool, sqlx::Error> {
    let any: Option<Option<String>> =
        db.find_value(&ANY_EXCLUSIVE_PROJECT, binds![batch.0]).await?;
    if any.flatten().is_none() {
        return Ok(false);
    }
    let selection = selection.map(|selection| selection.0);
    let is_free: bool = db.fetch_value(&HAS_SUBMITTABLE_JOB, binds![batch.0, selection]).await?;
    Ok(!is_free)
}

/// Keeps the first row of each project.
pub(super) fn keep_first_per_project(queue: &mut Vec<ReadyJob>) {
    let mut taken = HashSet::new();
    queue.retain(|queued| {
        queued.subject.as_ref().is_none_or(|subject| taken.insert(subject.clone()))
    });
}

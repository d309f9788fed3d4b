//! Whether anything that a live page shows has changed. Reads only a few rows, however long the
//! ledger is.

use sqlx::FromRow;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::store::statement::Statement;

/// Differs after every change of jobs, runs, batches, verdicts or the audit trail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromRow)]
pub struct LedgerChangeMark {
    last_event: i64,
    last_run: i64,
    open_runs: i64,
    last_heartbeat: i64,
    paused: i64,
    last_plan: i64,
    last_audit: i64,
    last_verdict: i64,
}

static CHANGE_MARK: Statement = Statement::new(
    "-- ledger::change_mark
    select coalesce((select max(id) from event), 0) as last_event,
        coalesce(max(r.id), 0) as last_run,
        count(*) - count(r.ended_at) as open_runs,
        coalesce(max(r.heartbeat_at), 0) as last_heartbeat,
        (select count(*) from batch where paused) as paused,
        coalesce((select max(planned_at) from batch), 0) as last_plan,
        coalesce((select max(coalesce(done_at, at)) from (
            select at, done_at from audit_entry order by id desc limit 50) a), 0) as last_audit,
        coalesce((select max(id) from review_verdict), 0) as last_verdict
    from (select id, ended_at, heartbeat_at from run order by id desc limit 50) r",
);

impl Ledger {
    /// Returns a mark to compare with an earlier one.
    pub async fn change_mark(&self) -> Result<LedgerChangeMark, LedgerError> {
        Ok(self.readers.fetch_one(&CHANGE_MARK, Vec::new()).await?)
    }
}

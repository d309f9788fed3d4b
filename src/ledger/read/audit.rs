//! The audit trail but for the requests to runs: recorded entries and verdicts, of a batch, of all, or of
//! one job. Reads only.

use crate::ledger::error::LedgerError;
use crate::ledger::model::audit_entry::AuditEntry;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::{Ledger, StoredBatch};

/// The columns of an entry.
macro_rules! entry_columns {
    () => {
        "id, batch, key, action, subject, hash, credits, requester, reason, at, run_id, done_at,
        outcome, words"
    };
}

/// Verdicts in the form of entries, of a table or subquery `r`.
macro_rules! verdict_columns {
    () => {
        "r.id, b.name as batch, j.key, 'verdict' as action, r.verdict as subject,
        r.video_hash as hash, cast(null as double precision) as credits,
        case r.origin when 'cli' then 'cli:' || r.reviewer when 'console' then 'user:' || r.reviewer
            else 'share:' || coalesce(l.label, '') || ' (' || r.reviewer || ')' end as requester,
        r.reason, r.at, cast(null as bigint) as run_id, r.at as done_at, 'done' as outcome,
        cast(null as text) as words"
    };
}

/// The joins of `r`.
macro_rules! verdict_joins {
    () => {
        " r join job j on j.id = r.job_id join batch b on b.id = r.batch_id
        left join share_link l on l.id = r.share_id"
    };
}

static ALL: Statement = Statement::new(concat!(
    "-- ledger::audit, all
    select * from (select * from (select ",
    entry_columns!(),
    " from audit_entry order by id desc limit $1) entries union all select ",
    verdict_columns!(),
    " from (select * from review_verdict order by id desc limit $1)",
    verdict_joins!(),
    ") found order by at desc, id desc limit $1"
));

static OF_BATCH: Statement = Statement::new(concat!(
    "-- ledger::audit, of a batch
    select * from (select * from (select ",
    entry_columns!(),
    " from audit_entry where batch = $2 order by id desc limit $1) entries union all select ",
    verdict_columns!(),
    " from (select * from review_verdict where batch_id = $3 order by id desc limit $1)",
    verdict_joins!(),
    ") found order by at desc, id desc limit $1"
));

static OF_JOB: Statement = Statement::new(concat!(
    "-- ledger::audit, of a job
    select * from (select ",
    entry_columns!(),
    " from audit_entry where batch = $1 and key = $3 union all select ",
    verdict_columns!(),
    " from review_verdict",
    verdict_joins!(),
    " where j.batch_id = $2 and j.key = $3) found order by at, id"
));

static LAST_START: Statement = Statement::new(concat!(
    "-- ledger::audit, last start
    select ",
    entry_columns!(),
    " from audit_entry where batch = $1 and action = 'start' order by id desc limit 1"
));

impl Ledger {
    /// Returns the last `max` entries and verdicts of one batch or of all, latest first.
    pub async fn audit_entries(
        &self,
        batch: Option<&StoredBatch>,
        max: u32,
    ) -> Result<Vec<AuditEntry>, LedgerError> {
        let found = match batch {
            Some(batch) => {
                let values = binds![max, &batch.name, batch.id.0];
                self.readers.fetch_all(&OF_BATCH, values).await
            }
            None => self.readers.fetch_all(&ALL, binds![max]).await,
        };
        Ok(found?)
    }

    /// Returns the entries and verdicts about a job, oldest first.
    pub async fn audit_entries_of_job(
        &self,
        batch: &StoredBatch,
        key: &str,
    ) -> Result<Vec<AuditEntry>, LedgerError> {
        let values = binds![&batch.name, batch.id.0, key];
        Ok(self.readers.fetch_all(&OF_JOB, values).await?)
    }

    /// Returns the last start of an approved run of a batch, which the ledger may not know yet.
    pub async fn last_start(&self, batch: &str) -> Result<Option<AuditEntry>, LedgerError> {
        Ok(self.readers.fetch_optional(&LAST_START, binds![batch]).await?)
    }
}

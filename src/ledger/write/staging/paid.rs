//! What a compared sheet does to videos that are already paid for: which it would have rendered
//! again, which lose their row, and which new rows may be lost rows under another key. A row may be lost
//! with an earlier plan, such as one of a filtered sheet.
//!
//! Reads only, apart from the temporary tables. A video is paid for if the planned version of its
//! job is done, reused, or was or may have been accepted, unless AI Studios reports that the render
//! failed. Invariant: a job whose next version was
//! already confirmed by an earlier plan does not count again.

use std::ops::ControlFlow;

use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::staging::{ComparedSheet, StagedSheet};

/// The paid videos of a batch that a plan concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromRow)]
pub struct PaidTotals {
    /// All of them.
    pub paid: i64,
    /// Those whose changed row would be rendered again.
    pub again: i64,
    /// The started minutes of speech of those.
    pub again_minutes: i64,
    /// Those of them that the user selected.
    pub again_selected: i64,
    /// Those whose row leaves the sheet.
    pub removed: i64,
    /// Those without a row in the sheet, also if it left before.
    pub absent: i64,
    /// Unchanged rows that wait to be rendered again: an earlier plan has confirmed their change.
    pub waiting_again: i64,
}

/// A row that is no longer in the sheet, and whose video is paid for.
#[derive(Clone, Debug, FromRow)]
pub struct RemovedPaidRow {
    /// Its key.
    pub key: String,
    /// Its variant, if the batch has variants.
    pub variant: Option<String>,
    /// The hash of its payload.
    pub payload_hash: String,
    /// Its planned cells.
    pub cells: String,
    /// The headings of its cells.
    pub headings: String,
}

/// A row whose key the ledger does not know.
#[derive(Clone, Debug, FromRow)]
pub struct NewRowContent {
    /// Its key.
    pub key: String,
    /// Its row number.
    pub row_number: i64,
    /// Its variant, if the batch has variants.
    pub variant: Option<String>,
    /// The hash of its payload.
    pub payload_hash: String,
    /// Its cells.
    pub cells: String,
}

static FIND_PAID_JOBS: Statement = Statement::new(
    "-- ledger::paid_jobs
    insert into paid_job
    select j.id from job j where j.batch_id = $1 and j.version = j.wanted_version
        and (j.state in ('done', 'reused') or exists (
            select 1 from submission p where p.job_id = j.id and p.version = j.wanted_version
                and p.paid_at is not null
                and (p.outcome in ('sent', 'uncertain', 'accepted', 'rendered', 'abandoned')
                    or p.outcome = 'render-failed' and (
                        select e.detail from event e
                        where e.job_id = j.id and e.submission_id = p.id
                            and e.event = 'render-failed'
                        order by e.id desc limit 1) like '%may still finish')))",
);

/// A changed row whose new content was rendered before costs nothing.
static MARK_PAID_AGAIN: Statement = Statement::new(
    "-- ledger::paid_again
    update staged set paid_again = true
    where row_change = 'changed' and job_id in (select id from paid_job)
        and not exists (select 1 from version v where v.job_id = staged.job_id
            and v.payload_hash = staged.payload_hash and v.done_at is not null)",
);

static PAID_TOTALS: Statement = Statement::new(
    "-- ledger::paid_totals
    select
        (select count(*) from paid_job p join job j on j.id = p.id
            where j.in_sheet = true
                or j.id in (select job_id from staged where paid_again = true)) as paid,
        (select count(*) from staged where paid_again = true) as again,
        (select cast(coalesce(sum({greatest}(1, (spoken_ms + 59999) / 60000)), 0) as bigint)
            from staged where paid_again = true) as again_minutes,
        (select count(*) from staged where paid_again = true and selected = true) as again_selected,
        (select count(*) from paid_job p join job j on j.id = p.id
            where j.in_sheet = true and j.id not in
                (select job_id from staged where job_id is not null)) as removed,
        (select count(*) from paid_job where id not in
            (select job_id from staged where job_id is not null)) as absent,
        (select count(*) from staged s join job j on j.id = s.job_id
            where s.row_change = 'unchanged' and j.state = 'ready' and j.version > 1 and exists (
                select 1 from submission p where p.job_id = j.id and p.paid_at is not null
                    and p.outcome in ('accepted', 'rendered', 'abandoned'))) as waiting_again",
);

static REMOVED_PAID_ROWS: Statement = Statement::new(
    "-- ledger::removed_paid_rows
    select j.key, j.variant, v.payload_hash, v.cells, l.headings
    from paid_job p join job j on j.id = p.id
    join version v on v.job_id = j.id and v.version = j.wanted_version
    join layout l on l.id = v.layout_id
    where j.id not in (select job_id from staged where job_id is not null)
    order by j.in_sheet desc, j.position limit $1",
);

static NEW_ROWS: Statement = Statement::new(
    "-- ledger::new_rows
    select key, row_number, variant, payload_hash, cells
    from staged where row_change = 'new' order by position",
);

impl StagedSheet {
    /// Records which jobs are paid for, and which changed rows would be paid for again.
    pub(super) async fn mark_paid_jobs(&mut self, batch: i64) -> Result<(), sqlx::Error> {
        self.db.execute(&FIND_PAID_JOBS, binds![batch]).await?;
        self.db.execute(&MARK_PAID_AGAIN, binds![]).await?;
        Ok(())
    }
}

impl ComparedSheet {
    /// Returns the paid videos that the plan concerns; all zero if it adds, changes and
    /// removes no row.
    pub async fn paid_totals(&mut self) -> Result<PaidTotals, LedgerError> {
        if self.staging.batch.is_none() {
            return Ok(PaidTotals::default());
        }
        Ok(self.staging.db.fetch_one(&PAID_TOTALS, binds![]).await?)
    }

    /// Returns up to `max` rows that are not in the sheet and whose video is paid for, those that leave it
    /// with this plan first.
    pub async fn removed_paid_rows(
        &mut self,
        max: u32,
    ) -> Result<Vec<RemovedPaidRow>, LedgerError> {
        Ok(self.staging.db.fetch_all(&REMOVED_PAID_ROWS, binds![max]).await?)
    }

    /// Passes every new row to `visit`, in the order of the sheet.
    pub async fn visit_new_rows(
        &mut self,
        mut visit: impl FnMut(NewRowContent) + Send,
    ) -> Result<(), LedgerError> {
        let each = |row| {
            visit(row);
            ControlFlow::Continue(())
        };
        self.staging.db.fetch_each(&NEW_ROWS, binds![], each).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::ledger::MAY_STILL_FINISH;
    use crate::ledger::store::statement::SqlDialect;
    use crate::ledger::write::staging::paid::*;

    #[test]
    fn a_render_that_may_still_finish_is_known_by_its_message() {
        let pattern = format!("like '%{MAY_STILL_FINISH}'");
        assert!(FIND_PAID_JOBS.expanded(SqlDialect::Sqlite).contains(&pattern));
    }
}

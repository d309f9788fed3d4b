//! Export of the whole ledger, row by row.
//!
//! One read transaction: the rows are consistent, also while a run writes. They are streamed and
//! not kept in memory. Links to videos are exported without their signature, which grants access.

use std::ops::ControlFlow;

use jiff::Timestamp;

use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::column_values::{ColumnValue, ColumnValues};
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::time_from_millis;
use crate::ledger::{BatchId, Ledger, StoredPayload};

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportedValue {
    /// Null.
    Null,
    /// An integer.
    Integer(i64),
    /// A time.
    Time(Timestamp),
    /// A floating-point number.
    Real(f64),
    /// A text.
    Text(String),
}

/// An exported row.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedRow {
    /// Its table.
    pub table: &'static str,
    /// Its columns, in their order.
    pub columns: Vec<(String, ExportedValue)>,
}

/// The exported tables with their statements, for one batch (`$1`) or for all.
static TABLES: [(&str, Statement); 15] = [
    (
        "batch",
        Statement::new("-- ledger::export, batch
        select id, name, file, source, base_url, template_hash, layout_id, sheet_hash, tool,
            planned_at, canary_done, paused
        from batch where $1 is null or id = $1 order by id"),
    ),
    (
        "template",
        Statement::new("-- ledger::export, template
        select hash, source from template
        where $1 is null or hash in (select template_hash from batch where id = $1)
            or hash in (select v.template_hash from version v join job j on j.id = v.job_id
                where j.batch_id = $1)
        order by hash"),
    ),
    (
        "layout",
        Statement::new("-- ledger::export, layout
        select id, headings, columns from layout
        where $1 is null or id in (select layout_id from batch where id = $1)
            or id in (select v.layout_id from version v join job j on j.id = v.job_id
                where j.batch_id = $1)
        order by id"),
    ),
    (
        "run",
        Statement::new("-- ledger::export, run
        select id, batch_id, host, pid, started_at, heartbeat_at, ended_at, ending, submitted
        from run where $1 is null or batch_id = $1 order by id"),
    ),
    (
        "job",
        Statement::new("-- ledger::export, job
        select id, batch_id, key, variant, position, row_number, in_sheet, state, drafted, version,
            wanted_version, due_at, attempts, submit_failures, rerenders, fetch_failures, polls,
            submission_id, rendering_at, progress, moved_at, stalled, video_file, cause, words
        from job where $1 is null or batch_id = $1 order by id"),
    ),
    (
        "version",
        Statement::new("-- ledger::export, version
        select v.job_id, v.version, v.cells, v.layout_id, v.template_hash, v.payload_hash,
            v.request, v.subject, v.file_name, v.spoken_ms, v.planned_at, v.reused_from, v.video_file, v.video_bytes,
            v.video_hash, v.video_ms, v.done_at, v.payload, d.payload as dictionary
        from version v join job j on j.id = v.job_id
        left join payload_dictionary d on d.id = v.dictionary_id
        where $1 is null or j.batch_id = $1 order by v.job_id, v.version"),
    ),
    (
        "submission",
        Statement::new("-- ledger::export, submission
        select s.id, s.job_id, s.version, s.attempt, s.run_id,
            s.tag || coalesce('-' || s.seal, '') as tag, s.way, s.outcome,
            s.project_id, s.render_id, s.subject, s.mark, s.begun_at, s.paid_at, s.settled_at, s.looks,
            substr(s.video_url, 1, {position}(s.video_url || '?', '?') - 1) as video_url, s.credits,
            s.swept_at, s.recheck, s.recheck_since, s.decline
        from submission s join job j on j.id = s.job_id
        where $1 is null or j.batch_id = $1 order by s.id"),
    ),
    (
        "hearsay",
        Statement::new("-- ledger::export, hearsay
        select y.submission_id, y.first_at, y.at, y.progress, y.credits, y.task, y.other_task
        from hearsay y join submission s on s.id = y.submission_id join job j on j.id = s.job_id
        where $1 is null or j.batch_id = $1 order by y.submission_id"),
    ),
    (
        "event",
        Statement::new("-- ledger::export, event
        select e.id, e.job_id, e.version, e.submission_id, e.run_id, e.at, e.event, e.state,
            e.detail, e.request_id
        from event e join job j on j.id = e.job_id
        where $1 is null or j.batch_id = $1 order by e.id"),
    ),
    (
        "operator_request",
        Statement::new("-- ledger::export, requests
        select id, batch_id, action, target, jobs, set_hash, is_bound, job_count, paid_count, credits,
            requester, reason, requested_at, expires_at, run_id, done_at, outcome, words
        from operator_request where $1 is null or batch_id = $1 order by id"),
    ),
    (
        "audit_entry",
        Statement::new("-- ledger::export, audit
        select id, batch, key, action, subject, hash, credits, requester, reason, at, run_id, done_at,
            outcome, words
        from audit_entry where $1 is null or batch = (select name from batch where id = $1)
        order by id"),
    ),
    (
        "row_without_job",
        Statement::new("-- ledger::export, rows without a job
        select batch_id, position, row_number, key, variant, cells, why, problem
        from row_without_job where $1 is null or batch_id = $1 order by batch_id, position"),
    ),
    (
        "review_verdict",
        Statement::new("-- ledger::export, verdicts
        select id, batch_id, job_id, version, video_hash, verdict, reason, reviewer, origin,
            share_id, at
        from review_verdict where $1 is null or batch_id = $1 order by id"),
    ),
    (
        "share_link",
        Statement::new("-- ledger::export, share links
        select id, batch_id, label, keys, created_by, created_at, expires_at, revoked_at
        from share_link where $1 is null or batch_id = $1 order by id"),
    ),
    (
        "delivery",
        Statement::new("-- ledger::export, deliveries
        select d.job_id, d.version, d.video_hash, d.state, d.attempts, d.due_at, d.at, d.failure
        from delivery d join job j on j.id = d.job_id
        where $1 is null or j.batch_id = $1 order by d.job_id, d.version"),
    ),
];

impl Ledger {
    /// Returns the tables that [`Self::export`] exports, in its order.
    pub fn exported_tables() -> impl Iterator<Item = &'static str> {
        TABLES.iter().map(|(table, _)| *table)
    }

    /// Passes every row of every table to `each`, which may stop the export by returning `false`.
    pub async fn export(
        &self,
        batch: Option<BatchId>,
        mut each: impl FnMut(ExportedRow) -> bool + Send,
    ) -> Result<(), LedgerError> {
        let mut reading = self.readers.snapshot().await?;
        for (table, statement) in &TABLES {
            let mut ended = Ok(ControlFlow::Continue(()));
            let visit = |row: ColumnValues| {
                ended = exported_columns(row).map(|columns| {
                    match each(ExportedRow { table, columns }) {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    }
                });
                *ended.as_ref().unwrap_or(&ControlFlow::Break(()))
            };
            let binds = binds![batch.map(|batch| batch.0)];
            reading.fetch_each(statement, binds, visit).await?;
            if ended?.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// Returns whether a column holds a time.
fn is_time_column(name: &str) -> bool {
    name == "at" || name.ends_with("_at")
}

/// Returns the columns for the user. A payload is exported as text, which needs no dictionary.
fn exported_columns(row: ColumnValues) -> Result<Vec<(String, ExportedValue)>, LedgerError> {
    let ColumnValues(values) = row;
    let dictionary = values.iter().find_map(|(name, value)| match value {
        ColumnValue::Text(text) if name == "dictionary" => Some(text.clone()),
        _ => None,
    });
    let kept = values.into_iter().filter(|(name, _)| name != "dictionary");
    kept.map(|(name, value)| {
        let value = match value {
            ColumnValue::Null => ExportedValue::Null,
            ColumnValue::Int(at) if is_time_column(&name) => {
                ExportedValue::Time(time_from_millis(at))
            }
            ColumnValue::Int(number) => ExportedValue::Integer(number),
            ColumnValue::Real(number) => ExportedValue::Real(number),
            ColumnValue::Text(text) => ExportedValue::Text(text),
            ColumnValue::Bytes(payload) => {
                let payload = StoredPayload::new(Some(payload), dictionary.clone()).text();
                ExportedValue::Text(payload.map_err(|_| {
                    LedgerError::Corrupt("a payload that cannot be read".to_owned())
                })?)
            }
        };
        Ok((name, value))
    })
    .collect()
}

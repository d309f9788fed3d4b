//! Export of the whole ledger, row by row.
//!
//! One read transaction: the rows are consistent, also while a run writes. They are streamed and
//! not kept in memory. Links to videos are exported without their signature, which grants access.

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{Column, FromRow, Row, TypeInfo, ValueRef};

use crate::ledger::error::LedgerError;
use crate::ledger::{BatchId, Ledger, StoredPayload};

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportedValue {
    /// Null.
    Null,
    /// An integer; times are milliseconds since 1970.
    Integer(i64),
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

/// The exported tables with their statements, for one batch (`?1`) or for all.
const TABLES: &[(&str, &str)] = &[
    (
        "batch",
        "-- ledger::export, batch
        select id, name, file, source, base_url, template_hash, layout_id, sheet_hash, tool,
            planned_at, canary_done, paused
        from batch where ?1 is null or id = ?1 order by id",
    ),
    (
        "template",
        "-- ledger::export, template
        select hash, source from template
        where ?1 is null or hash in (select template_hash from batch where id = ?1)
            or hash in (select v.template_hash from version v join job j on j.id = v.job_id
                where j.batch_id = ?1)
        order by hash",
    ),
    (
        "layout",
        "-- ledger::export, layout
        select id, headings, columns from layout
        where ?1 is null or id in (select layout_id from batch where id = ?1)
            or id in (select v.layout_id from version v join job j on j.id = v.job_id
                where j.batch_id = ?1)
        order by id",
    ),
    (
        "run",
        "-- ledger::export, run
        select id, batch_id, host, pid, started_at, heartbeat_at, ended_at, ending, submitted
        from run where ?1 is null or batch_id = ?1 order by id",
    ),
    (
        "job",
        "-- ledger::export, job
        select id, batch_id, key, variant, position, row_number, in_sheet, state, drafted, version,
            wanted_version, due_at, attempts, submit_failures, rerenders, fetch_failures, polls,
            submission_id, rendering_at, progress, moved_at, stalled, video_file, cause, words
        from job where ?1 is null or batch_id = ?1 order by id",
    ),
    (
        "version",
        "-- ledger::export, version
        select v.job_id, v.version, v.cells, v.layout_id, v.template_hash, v.payload_hash,
            v.request, v.subject, v.file_name, v.spoken_ms, v.planned_at, v.reused_from, v.video_file, v.video_bytes,
            v.video_hash, v.video_ms, v.done_at, v.payload, d.payload as dictionary
        from version v join job j on j.id = v.job_id
        left join payload_dictionary d on d.id = v.dictionary_id
        where ?1 is null or j.batch_id = ?1 order by v.job_id, v.version",
    ),
    (
        "submission",
        "-- ledger::export, submission
        select s.id, s.job_id, s.version, s.attempt, s.run_id,
            s.tag || ifnull('-' || s.seal, '') as tag, s.way, s.outcome,
            s.project_id, s.render_id, s.subject, s.mark, s.begun_at, s.paid_at, s.settled_at, s.looks,
            substr(s.video_url, 1, instr(s.video_url || '?', '?') - 1) as video_url, s.credits,
            s.swept_at, s.recheck, s.recheck_since, s.decline
        from submission s join job j on j.id = s.job_id
        where ?1 is null or j.batch_id = ?1 order by s.id",
    ),
    (
        "hearsay",
        "-- ledger::export, hearsay
        select y.submission_id, y.first_at, y.at, y.progress, y.credits, y.task, y.other_task
        from hearsay y join submission s on s.id = y.submission_id join job j on j.id = s.job_id
        where ?1 is null or j.batch_id = ?1 order by y.submission_id",
    ),
    (
        "event",
        "-- ledger::export, event
        select e.id, e.job_id, e.version, e.submission_id, e.run_id, e.at, e.event, e.state,
            e.detail
        from event e join job j on j.id = e.job_id
        where ?1 is null or j.batch_id = ?1 order by e.id",
    ),
    (
        "row_without_job",
        "-- ledger::export, rows without a job
        select batch_id, position, row_number, key, variant, cells, why, problem
        from row_without_job where ?1 is null or batch_id = ?1 order by batch_id, position",
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
        let mut reading = self.readers.begin().await?;
        for (table, statement) in TABLES {
            let mut rows =
                sqlx::query(*statement).bind(batch.map(|batch| batch.0)).fetch(&mut *reading);
            while let Some(row) = rows.try_next().await? {
                let columns = read_columns(&row)?;
                if !each(ExportedRow { table, columns }) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn read_columns(row: &SqliteRow) -> Result<Vec<(String, ExportedValue)>, LedgerError> {
    let mut columns = Vec::with_capacity(row.len());
    // A payload is exported as text, which needs no dictionary.
    let exported = row.columns().iter().enumerate().filter(|(_, one)| one.name() != "dictionary");
    for (place, column) in exported {
        let raw = row.try_get_raw(place)?;
        let cell = if raw.is_null() {
            ExportedValue::Null
        } else {
            match raw.type_info().name() {
                "INTEGER" | "BOOLEAN" => ExportedValue::Integer(row.try_get_unchecked(place)?),
                "REAL" => ExportedValue::Real(row.try_get_unchecked(place)?),
                "BLOB" => ExportedValue::Text(read_payload(row)?),
                _ => ExportedValue::Text(row.try_get_unchecked(place)?),
            }
        };
        columns.push((column.name().to_owned(), cell));
    }
    Ok(columns)
}

fn read_payload(row: &SqliteRow) -> Result<String, LedgerError> {
    let payload = StoredPayload::from_row(row)?.text();
    payload.map_err(|_| LedgerError::Corrupt("a payload that cannot be read".to_owned()))
}

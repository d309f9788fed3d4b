//! Copying a whole ledger to another store: every row with its ids, in one transaction of the target,
//! compared by hash before it is committed.
//!
//! Tables are copied in the order of their references. Left out is what belongs to a store or to live
//! processes (leases, commit markers, rates, and the state of the move itself), and the sums of submissions,
//! which the triggers of the target make. Invariant: a target is
//! either empty or complete.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::{BindValue, binds};
use crate::ledger::store::column_values::{ColumnValue, ColumnValues};
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::{SqlDialect, Statement};
use crate::ledger::write::moving::ledger_move::{MoveState, write_move};

/// Rows that are read at a time.
const ROWS_PER_PAGE: i64 = 4000;
/// Values of one statement: `SQLite` takes fewer than PostgreSQL.
const VALUES_MAX: usize = 30_000;

/// A table: how its rows are read, and removed.
struct CopiedTable {
    name: &'static str,
    select: Statement,
    delete: Statement,
}

macro_rules! copied_tables {
    ($($name:literal by $key:literal),* $(,)?) => {
        [$(CopiedTable {
            name: $name,
            select: Statement::new(concat!(
                "select * from ", $name, " order by ", $key, " limit $1 offset $2"
            )),
            delete: Statement::new(concat!("delete from ", $name)),
        }),*]
    };
}

static TABLES: [CopiedTable; 28] = copied_tables![
    "template" by "hash",
    "layout" by "id",
    "batch" by "id",
    "run" by "id",
    "payload_dictionary" by "id",
    "job" by "id",
    "version" by "job_id, version",
    "submission" by "id",
    "hook" by "secret_hash",
    "hearsay" by "submission_id",
    "operator_request" by "id",
    "audit_entry" by "id",
    "event" by "id",
    "row_without_job" by "batch_id, position",
    "floor" by "base_url",
    "catalogue" by "account, kind",
    "tally" by "batch_id, in_sheet, state",
    "identity" by "only_row",
    "console_user" by "name",
    "console_session" by "token_hash",
    "share_link" by "id",
    "review_verdict" by "id",
    "sample_gate" by "batch_id",
    "sample_video" by "batch_id, job_id, version",
    "delivery" by "job_id, version",
    "ledger_gap" by "id",
    "compared_batch" by "gap_id, batch_id",
    "found_project" by "project_id",
];

/// What a copy leaves out; the triggers of the target sum up its submissions.
#[cfg(test)]
const LEFT_OUT: [&str; 6] = [
    "account_rate",
    "account_member",
    "ledger_move",
    "spending",
    "render_time",
    "_sqlx_migrations",
];

static IS_USED: Statement = Statement::new(
    "-- ledger::copy, is used
    select exists (select 1 from batch) or exists (select 1 from console_user)",
);

/// Only of a server: nulls and flags are typed there.
static COLUMN_TYPES: Statement = Statement::new(
    "-- ledger::copy, types
    select table_name || '.' || column_name, data_type from information_schema.columns
    where table_schema = current_schema()",
);

/// Sets the sequence of a table's ids past the largest of them. Only of a server.
macro_rules! raised_sequences {
    ($($table:literal),* $(,)?) => {
        [$(Statement::new(concat!(
            "select setval(pg_get_serial_sequence('", $table, "', 'id'),
                (select coalesce(max(id), 0) + 1 from ", $table, "), false)"
        ))),*]
    };
}

static RAISE_SEQUENCES: [Statement; 12] = raised_sequences![
    "layout",
    "batch",
    "run",
    "payload_dictionary",
    "job",
    "submission",
    "operator_request",
    "audit_entry",
    "event",
    "share_link",
    "review_verdict",
    "ledger_gap",
];

/// The number of rows of a table, and the hash of them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedRows {
    /// The table.
    pub table: &'static str,
    /// Its rows.
    pub rows: u64,
    hash: blake3::Hash,
}

/// The result of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyOutcome {
    /// The target holds every row.
    Copied(Vec<CopiedRows>),
    /// The target holds another ledger.
    TargetInUse,
    /// What was written differs from what was read; nothing was kept.
    Different {
        /// The first table that differs.
        table: &'static str,
    },
}

impl Ledger {
    /// Copies every row to `target`, which must be empty, and marks it as arriving from here. Nothing
    /// else writes to either.
    pub async fn copy_to(&self, target: &Self, now: Timestamp) -> Result<CopyOutcome, LedgerError> {
        let mut source = self.readers.snapshot().await?;
        let mut db = target.open_connection().await?;
        db.begin().await?;
        let copied = copy_tables(&mut source, &mut db).await;
        let outcome = match copied {
            Ok(CopyOutcome::Copied(rows)) => {
                let from = self.address.to_string();
                write_move(&mut db, MoveState::Arriving, &from, now).await?;
                db.commit().await?;
                Ok(CopyOutcome::Copied(rows))
            }
            Ok(refused) => db.rollback().await.map(|()| refused).map_err(LedgerError::from),
            Err(error) => Err(error),
        };
        db.close().await;
        source.close().await;
        outcome
    }
}

async fn copy_tables(
    source: &mut StoreConnection,
    target: &mut StoreConnection,
) -> Result<CopyOutcome, LedgerError> {
    if target.fetch_value::<bool>(&IS_USED, binds![]).await? {
        return Ok(CopyOutcome::TargetInUse);
    }
    let types = column_types(target).await?;
    for table in TABLES.iter().rev() {
        target.execute(&table.delete, binds![]).await?;
    }
    for table in &TABLES {
        let mut offset = 0;
        loop {
            let page = read_page(source, table, offset).await?;
            if page.is_empty() {
                break;
            }
            offset += page.len() as i64;
            insert_page(target, table.name, &types, page).await?;
        }
    }
    if target.dialect() == SqlDialect::Postgres {
        for statement in &RAISE_SEQUENCES {
            target.fetch_value::<i64>(statement, binds![]).await?;
        }
    }
    let mut copied = Vec::new();
    for table in &TABLES {
        let (read, written) = (hash_table(source, table).await?, hash_table(target, table).await?);
        if read != written {
            return Ok(CopyOutcome::Different { table: table.name });
        }
        copied.push(read);
    }
    Ok(CopyOutcome::Copied(copied))
}

/// Prepares the transaction of the target, and returns the types of its columns by `TABLE.COLUMN`.
async fn column_types(
    target: &mut StoreConnection,
) -> Result<BTreeMap<String, String>, LedgerError> {
    match target.dialect() {
        SqlDialect::Sqlite => {
            // A job names its submission, and a submission its job.
            target.execute_script("pragma defer_foreign_keys = on").await?;
            Ok(BTreeMap::new())
        }
        SqlDialect::Postgres => {
            let types: Vec<(String, String)> = target.fetch_all(&COLUMN_TYPES, binds![]).await?;
            Ok(types.into_iter().collect())
        }
    }
}

async fn read_page(
    db: &mut StoreConnection,
    table: &'static CopiedTable,
    offset: i64,
) -> Result<Vec<ColumnValues>, sqlx::Error> {
    let mut rows: Vec<ColumnValues> =
        db.fetch_all(&table.select, binds![ROWS_PER_PAGE, offset]).await?;
    for ColumnValues(values) in &mut rows {
        // Generated from the outcome.
        values.retain(|(name, _)| !(table.name == "submission" && name == "live"));
        values.sort_by(|one, other| one.0.cmp(&other.0));
    }
    Ok(rows)
}

async fn insert_page(
    target: &mut StoreConnection,
    table: &str,
    types: &BTreeMap<String, String>,
    page: Vec<ColumnValues>,
) -> Result<(), sqlx::Error> {
    let Some(ColumnValues(first)) = page.first() else { return Ok(()) };
    let columns: Vec<String> = first.iter().map(|(name, _)| name.clone()).collect();
    let types: Vec<Option<&str>> = columns
        .iter()
        .map(|column| types.get(&format!("{table}.{column}")).map(String::as_str))
        .collect();
    let into = format!("{table} ({})", columns.join(", "));
    for rows in page.chunks(VALUES_MAX / columns.len().max(1)) {
        let values = rows.iter().flat_map(|ColumnValues(values)| values.iter().zip(&types));
        let values = values.map(|((_, value), column)| bind_value(value, *column)).collect();
        target.insert_rows(&into, columns.len(), values, false).await?;
    }
    Ok(())
}

/// Returns a value as a column of this type takes it; the types of a file are not asked for.
fn bind_value(value: &ColumnValue, column: Option<&str>) -> BindValue {
    match (value, column) {
        (ColumnValue::Int(value), Some("boolean")) => BindValue::Flag(*value != 0),
        (ColumnValue::Int(value), Some("double precision")) => BindValue::Real(Some(*value as f64)),
        (ColumnValue::Int(value), _) => BindValue::Int(Some(*value)),
        (ColumnValue::Real(value), _) => BindValue::Real(Some(*value)),
        (ColumnValue::Text(value), _) => BindValue::Text(Some(value.clone())),
        (ColumnValue::Bytes(value), _) => BindValue::Bytes(Some(value.clone())),
        (ColumnValue::Null, Some("bigint")) => BindValue::Int(None),
        (ColumnValue::Null, Some("double precision")) => BindValue::Real(None),
        (ColumnValue::Null, Some("bytea")) => BindValue::Bytes(None),
        (ColumnValue::Null, _) => BindValue::Text(None),
    }
}

/// Returns the number of rows of a table and their hash, the same on both stores.
async fn hash_table(
    db: &mut StoreConnection,
    table: &'static CopiedTable,
) -> Result<CopiedRows, sqlx::Error> {
    let (mut hasher, mut rows) = (blake3::Hasher::new(), 0);
    loop {
        let page = read_page(db, table, rows).await?;
        if page.is_empty() {
            break;
        }
        rows += page.len() as i64;
        for (name, value) in page.iter().flat_map(|ColumnValues(values)| values) {
            hash_bytes(&mut hasher, "c", name.as_bytes());
            hash_value(&mut hasher, value);
        }
    }
    Ok(CopiedRows { table: table.name, rows: rows.unsigned_abs(), hash: hasher.finalize() })
}

fn hash_value(hasher: &mut blake3::Hasher, value: &ColumnValue) {
    match value {
        ColumnValue::Null => hash_bytes(hasher, "n", &[]),
        ColumnValue::Int(number) => hash_bytes(hasher, "i", &number.to_le_bytes()),
        ColumnValue::Real(number) => hash_bytes(hasher, "r", &number.to_le_bytes()),
        // A server takes no NUL; see `postgres_arguments`.
        ColumnValue::Text(text) => {
            hash_bytes(hasher, "t", text.replace('\0', "\u{fffd}").as_bytes());
        }
        ColumnValue::Bytes(bytes) => hash_bytes(hasher, "b", bytes),
    }
}

/// Adds bytes of a kind, with their length.
fn hash_bytes(hasher: &mut blake3::Hasher, kind: &str, bytes: &[u8]) {
    hasher.update(kind.as_bytes()).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Durability;

    static NAMES: Statement = Statement::new(
        "select name from sqlite_schema where type = 'table' and name not like 'sqlite%'",
    );

    #[tokio::test]
    async fn every_table_is_copied_or_left_out_on_purpose() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("l.db");
        let ledger = Ledger::open(&file, Durability::ProcessDeath).await.unwrap();
        let names: Vec<(String,)> = ledger.readers.fetch_all(&NAMES, binds![]).await.unwrap();
        let known =
            |name: &str| TABLES.iter().any(|table| table.name == name) || LEFT_OUT.contains(&name);
        let unknown: Vec<_> = names.iter().filter(|(name,)| !known(name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        assert_eq!(names.len(), TABLES.len() + LEFT_OUT.len());
        ledger.close().await;
    }
}

//! A row whose columns are not known in advance, for the export.

use sqlx::{Column, FromRow, Row, TypeInfo, ValueRef};
use sqlx_postgres::PgRow;
use sqlx_sqlite::SqliteRow;

/// The value of one column.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::ledger) enum ColumnValue {
    /// Null.
    Null,
    /// An integer, or a flag as 0 or 1.
    Int(i64),
    /// A floating-point number.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The columns of a row with their names, in their order.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::ledger) struct ColumnValues(pub(in crate::ledger) Vec<(String, ColumnValue)>);

impl<'r> FromRow<'r, SqliteRow> for ColumnValues {
    fn from_row(row: &'r SqliteRow) -> Result<Self, sqlx::Error> {
        let mut values = Vec::with_capacity(row.len());
        for (index, column) in row.columns().iter().enumerate() {
            let raw = row.try_get_raw(index)?;
            let value = match raw.type_info().name() {
                _ if raw.is_null() => ColumnValue::Null,
                "INTEGER" | "BOOLEAN" => ColumnValue::Int(row.try_get_unchecked(index)?),
                "REAL" => ColumnValue::Real(row.try_get_unchecked(index)?),
                "BLOB" => ColumnValue::Bytes(row.try_get_unchecked(index)?),
                _ => ColumnValue::Text(row.try_get_unchecked(index)?),
            };
            values.push((column.name().to_owned(), value));
        }
        Ok(Self(values))
    }
}

impl<'r> FromRow<'r, PgRow> for ColumnValues {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let mut values = Vec::with_capacity(row.len());
        for (index, column) in row.columns().iter().enumerate() {
            let raw = row.try_get_raw(index)?;
            let value = match raw.type_info().name() {
                _ if raw.is_null() => ColumnValue::Null,
                "INT8" => ColumnValue::Int(row.try_get(index)?),
                "BOOL" => ColumnValue::Int(row.try_get::<bool, _>(index)?.into()),
                "FLOAT8" => ColumnValue::Real(row.try_get(index)?),
                "BYTEA" => ColumnValue::Bytes(row.try_get(index)?),
                _ => ColumnValue::Text(row.try_get(index)?),
            };
            values.push((column.name().to_owned(), value));
        }
        Ok(Self(values))
    }
}

//! Rows for PostgreSQL's `COPY … from stdin`, in its binary format: a plan writes hundreds of thousands
//! of rows, and a statement with as many parameters takes twice the time of both sides.
//!
//! Invariant: every column has the type of its value, which the server does not convert: `bigint`,
//! `double precision`, `boolean`, `text` or `bytea`.

use sqlx_postgres::PgConnection;

use crate::ledger::store::bind_value::{BindValue, without_nul};

/// What every binary copy begins with: its signature, no flags, and no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The number of values that ends it.
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// The length that stands for no value.
const NULL: [u8; 4] = (-1_i32).to_be_bytes();

/// Inserts rows: `into` names the table and its columns, `binds` holds the values of row after row.
pub(super) async fn copy_rows(
    db: &mut PgConnection,
    into: &str,
    columns: usize,
    binds: Vec<BindValue>,
) -> Result<(), sqlx::Error> {
    let bytes = encode_rows(columns, binds)?;
    let mut copy = db.copy_in_raw(&format!("copy {into} from stdin (format binary)")).await?;
    copy.send(bytes).await?;
    copy.finish().await.map(drop)
}

fn encode_rows(columns: usize, binds: Vec<BindValue>) -> Result<Vec<u8>, sqlx::Error> {
    let too_large = |_| sqlx::Error::Encode("a row is too large".into());
    let count = i16::try_from(columns).map_err(too_large)?.to_be_bytes();
    let mut bytes = HEADER.to_vec();
    for (index, value) in binds.into_iter().enumerate() {
        if index % columns == 0 {
            bytes.extend_from_slice(&count);
        }
        let mut push = |value: Option<&[u8]>| -> Result<(), sqlx::Error> {
            match value {
                Some(value) => {
                    let length = i32::try_from(value.len()).map_err(too_large)?;
                    bytes.extend_from_slice(&length.to_be_bytes());
                    bytes.extend_from_slice(value);
                }
                None => bytes.extend_from_slice(&NULL),
            }
            Ok(())
        };
        match value {
            BindValue::Int(value) => push(value.map(i64::to_be_bytes).as_ref().map(|it| &it[..])),
            BindValue::Real(value) => push(value.map(f64::to_be_bytes).as_ref().map(|it| &it[..])),
            BindValue::Flag(value) => push(Some(&[u8::from(value)])),
            BindValue::Text(value) => push(value.map(without_nul).as_ref().map(String::as_bytes)),
            BindValue::Bytes(value) => push(value.as_deref()),
            BindValue::Ints(_) | BindValue::Texts(_) => {
                Err(sqlx::Error::Encode("a list is no value of a column".into()))
            }
        }?;
    }
    bytes.extend_from_slice(&TRAILER);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use crate::ledger::store::bind_value::binds;
    use crate::ledger::store::copy_in::*;

    #[test]
    fn rows_are_written_as_the_server_reads_them() {
        let binds = binds![7_i64, None::<String>, true, "a\0b", None::<i64>, false];
        let bytes = encode_rows(3, binds).unwrap();
        let expected = [
            HEADER,
            &[0, 3, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7],
            &NULL,
            &[0, 0, 0, 1, 1],
            &[0, 3, 0, 0, 0, 5, b'a', 0xef, 0xbf, 0xbd, b'b'],
            &NULL,
            &[0, 0, 0, 1, 0],
            &TRAILER,
        ];
        assert_eq!(bytes, expected.concat());
        assert!(encode_rows(1, binds![vec![1_i64]]).is_err(), "no column is a list");
    }
}

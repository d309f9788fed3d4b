//! The values that are bound to a statement's parameters, of types that both databases have.
//!
//! Nulls keep their type, because PostgreSQL plans a statement by the types of its parameters.

use jiff::Timestamp;
use sqlx::Arguments;
use sqlx_postgres::PgArguments;
use sqlx_sqlite::SqliteArguments;

use crate::ledger::model::outcome::DraftStatus;
use crate::ledger::model::run_ending::RunEnding;

/// One bound value.
#[derive(Clone, Debug)]
pub(in crate::ledger) enum BindValue {
    /// An integer, a time or an id.
    Int(Option<i64>),
    /// A floating-point number.
    Real(Option<f64>),
    /// A flag: 0 or 1 in `SQLite`.
    Flag(bool),
    /// A text.
    Text(Option<String>),
    /// Bytes.
    Bytes(Option<Vec<u8>>),
    /// Integers for `{list}`.
    Ints(Vec<i64>),
    /// Texts for `{list}`.
    Texts(Vec<String>),
}

/// Lists the values of a statement's parameters, from `$1` on.
macro_rules! binds {
    ($($value:expr),* $(,)?) => {
        vec![$($crate::ledger::store::bind_value::BindValue::from($value)),*]
    };
}
pub(in crate::ledger) use binds;

macro_rules! bind_from {
    ($($given:ty => $variant:ident($value:ident => $bound:expr)),* $(,)?) => {
        $(impl From<$given> for BindValue {
            fn from($value: $given) -> Self {
                Self::$variant($bound)
            }
        })*
    };
}

bind_from! {
    i64 => Int(value => Some(value)),
    u32 => Int(value => Some(i64::from(value))),
    Option<i64> => Int(value => value),
    Timestamp => Int(value => Some(value.as_millisecond())),
    Option<Timestamp> => Int(value => value.map(Timestamp::as_millisecond)),
    DraftStatus => Int(value => Some(value as i64)),
    f64 => Real(value => Some(value)),
    Option<f64> => Real(value => value),
    bool => Flag(value => value),
    String => Text(value => Some(value)),
    &String => Text(value => Some(value.clone())),
    &str => Text(value => Some(value.to_owned())),
    Option<String> => Text(value => value),
    &Option<String> => Text(value => value.clone()),
    Option<&str> => Text(value => value.map(str::to_owned)),
    RunEnding => Text(value => Some(value.as_str().to_owned())),
    Vec<u8> => Bytes(value => Some(value)),
    Option<Vec<u8>> => Bytes(value => value),
    Vec<i64> => Ints(value => value),
    Vec<String> => Texts(value => value),
    &[String] => Texts(value => value.to_vec()),
}

/// Returns the values as `SQLite` takes them.
pub(super) fn sqlite_arguments(binds: Vec<BindValue>) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(binds.len(), 0);
    for value in binds {
        match value {
            BindValue::Int(value) => arguments.add(value),
            BindValue::Real(value) => arguments.add(value),
            BindValue::Flag(value) => arguments.add(value),
            BindValue::Text(value) => arguments.add(value),
            BindValue::Bytes(value) => arguments.add(value),
            BindValue::Ints(values) => arguments.add(serde_json::Value::from(values).to_string()),
            BindValue::Texts(values) => arguments.add(serde_json::Value::from(values).to_string()),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// Returns the values as PostgreSQL takes them. It rejects a NUL within a text, which therefore
/// becomes the character for an unknown one.
pub(super) fn postgres_arguments(binds: Vec<BindValue>) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    arguments.reserve(binds.len(), 0);
    for value in binds {
        match value {
            BindValue::Int(value) => arguments.add(value),
            BindValue::Real(value) => arguments.add(value),
            BindValue::Flag(value) => arguments.add(value),
            BindValue::Text(value) => arguments.add(value.map(without_nul)),
            BindValue::Bytes(value) => arguments.add(value),
            BindValue::Ints(values) => arguments.add(values),
            BindValue::Texts(values) => {
                arguments.add(values.into_iter().map(without_nul).collect::<Vec<_>>())
            }
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// Returns a text that PostgreSQL can store.
pub(super) fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text }
}

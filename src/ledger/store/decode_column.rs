//! Columns as our own types: each is decoded from the text or the number that both databases store.
//!
//! A stored value that this version does not know is an error of its row, never a guess.

use std::str::FromStr;

/// Parses a stored text.
pub(in crate::ledger) fn parse_stored<T: FromStr>(text: String) -> Result<T, String> {
    text.parse().map_err(|_| format!("`{text}` is unknown to this version"))
}

/// Decodes a type from a column of type `$column`, with a function whose error displays what is wrong.
macro_rules! decode_column {
    ($type:ty, $column:ty, $convert:expr) => {
        impl<DB: sqlx::Database> sqlx::Type<DB> for $type
        where
            $column: sqlx::Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <$column as sqlx::Type<DB>>::type_info()
            }

            fn compatible(info: &DB::TypeInfo) -> bool {
                <$column as sqlx::Type<DB>>::compatible(info)
            }
        }

        impl<'r, DB: sqlx::Database> sqlx::Decode<'r, DB> for $type
        where
            $column: sqlx::Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                let stored = <$column as sqlx::Decode<'r, DB>>::decode(value)?;
                $convert(stored).map_err(Into::into)
            }
        }
    };
}
pub(in crate::ledger) use decode_column;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::LedgerError;
    use crate::ledger::model::console_role::ConsoleRole;

    #[test]
    fn a_text_that_this_version_does_not_know_is_an_invalid_value_of_its_column() {
        assert_eq!(parse_stored::<ConsoleRole>("viewer".to_owned()), Ok(ConsoleRole::Viewer));
        let unknown = parse_stored::<ConsoleRole>("owner".to_owned()).unwrap_err();
        let index = "\"role\"".to_owned();
        let error = LedgerError::from(sqlx::Error::ColumnDecode { index, source: unknown.into() });
        assert!(matches!(error, LedgerError::Corrupt(_)), "{error:?}");
        let message = error.to_string();
        for part in ["\"role\"", "`owner` is unknown to this version", "callsheet ledger check"] {
            assert!(message.contains(part), "{message}");
        }
    }
}

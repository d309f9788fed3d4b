//! Times as both databases store them: milliseconds since 1970, or null.
//!
//! Rows declare their fields as [`Timestamp`] or `Option<Timestamp>` with `try_from = "StoredTime"`.
//! Invariant: every stored number is a time. One beyond the years that a [`Timestamp`] can express,
//! which only another program may have written, is the first or the last of them.

use std::convert::Infallible;

use jiff::Timestamp;
use sqlx::error::UnexpectedNullError;

use crate::ledger::store::decode_column::decode_column;

/// A time or null, as it is read from a column.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct StoredTime(Option<Timestamp>);

decode_column!(StoredTime, Option<i64>, |millis: Option<i64>| {
    Ok::<_, Infallible>(StoredTime(millis.map(time_from_millis)))
});

impl From<StoredTime> for Option<Timestamp> {
    fn from(time: StoredTime) -> Self {
        time.0
    }
}

impl TryFrom<StoredTime> for Timestamp {
    type Error = UnexpectedNullError;

    fn try_from(time: StoredTime) -> Result<Self, UnexpectedNullError> {
        time.0.ok_or(UnexpectedNullError)
    }
}

/// Returns the time of a stored number.
pub(in crate::ledger) fn time_from_millis(millis: i64) -> Timestamp {
    let nearest = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(millis).unwrap_or(nearest)
}

#[cfg(test)]
mod tests {
    use crate::ledger::store::stored_time::*;

    #[test]
    fn numbers_beyond_all_years_are_the_first_and_the_last_time() {
        assert_eq!(time_from_millis(1_700).as_millisecond(), 1_700);
        assert_eq!(time_from_millis(-1).as_millisecond(), -1);
        assert_eq!(time_from_millis(i64::MAX), Timestamp::MAX);
        assert_eq!(time_from_millis(i64::MIN), Timestamp::MIN);
    }
}

//! What is only seen when the rows of a sheet are compared: that all videos are identical, that the script
//! of one is much longer than the others, that a price lacks the currency which others have, or a row
//! the price itself, and that a status is nearly that of others.

mod empty_cells;
mod likeness;
mod price_currency;
mod script_length;
mod skip_values;

pub(super) use self::empty_cells::{EmptyCells, WrittenAs};
pub(super) use self::likeness::VideoLikeness;
pub(super) use self::price_currency::PriceCurrencies;
pub(super) use self::script_length::ScriptLengths;
pub(super) use self::skip_values::SkipValues;

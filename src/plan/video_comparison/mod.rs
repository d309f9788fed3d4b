//! What is only seen when the videos of a sheet are compared: that all are identical, that the script of
//! one is much longer than the others, and that a price lacks the currency which others have.

mod likeness;
mod price_currency;
mod script_length;

pub(super) use self::likeness::VideoLikeness;
pub(super) use self::price_currency::PriceCurrencies;
pub(super) use self::script_length::ScriptLengths;

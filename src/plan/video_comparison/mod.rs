//! What is only seen when the videos of a sheet are compared: that all are identical, and that the script
//! of one is much longer than the others.

mod likeness;
mod script_length;

pub(super) use self::likeness::VideoLikeness;
pub(super) use self::script_length::ScriptLengths;

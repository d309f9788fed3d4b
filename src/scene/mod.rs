//! From a scene template and cells to a payload that has been checked.
//!
//! A `Template` is read once and refuses, before any row is seen, whatever could let a cell break
//! out of its place. A `Merger` then turns rows into `Payload`s, one after the other, without
//! building a tree: one pass over the merged text, without much of what no row changes and no check
//! asks for, both proves that it is JSON and collects what the checks need. Payloads have no white
//! space between their tokens; only when something is wrong is the text made again as the template
//! lays it out, and read slowly, for exact places.
//!
//! This room does no I/O and reads no clock; of other rooms it knows the kinds of request alone. Its
//! invariant: a `Payload` exists only for a text that AI Studios' documented rules accept, and no
//! cell can change the JSON's shape, except by deciding an `{{#if}}`.

mod blame;
mod check;
mod engine;
mod escape;
mod fault;
mod file_name;
mod helpers;
mod locate;
mod media;
mod merge;
mod outline;
mod payload;
mod problem;
mod seal;
mod sentences;
mod slip;
mod speech;
mod storyboard;
mod takes;
mod template;
mod trace;

/// The JSON Schema of a payload: the documented fields strict in their values, all others open. It is
/// for people and editors; what is checked row by row is `check`, and a test holds the two together.
pub const PAYLOAD_SCHEMA: &str = include_str!("payload.schema.json");

pub use self::blame::Blame;
pub use self::escape::json_of_rows;
pub use self::file_name::FileName;
pub use self::helpers::{HELPERS, HelperDoc};
pub use self::media::media_of;
pub use self::merge::{Columns, Merger};
pub use self::payload::{Hashing, Payload};
pub use self::problem::{Origin, Place, Problem};
pub use self::seal::{NotAPayload, Seal, Sealed};
pub use self::storyboard::{CARDS_MAX, Card, Standing, foot as page_foot, head as page_head};
pub use self::takes::{Take, takes};
pub use self::template::{Partial, Partials, Template};

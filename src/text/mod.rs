//! Text shared by all modules: the one form of a text, suggestions, truncation, plurals, durations, times,
//! escapes, and characters that are invisible or act on a terminal.
//!
//! Wordings that belong to one subject stay in the module of that subject. Invariant: pure; this
//! module imports no other.

mod canonical;
mod control;
mod display_key;
mod duration;
mod escape;
mod formula;
#[cfg(test)]
pub(crate) mod fuzz;
mod invisible;
mod io_error;
#[cfg(all(test, unix))]
pub(crate) mod little_memory;
mod number;
mod plural;
mod shell_quote;
mod suggest;
pub(crate) mod time_format;
mod time_left;
mod truncate;

pub(crate) use canonical::{canonical_characters, canonical_key, canonical_text};
pub(crate) use control::{
    is_terminal_control, keep_only_colors, strip_control, strip_control_from_lines,
};
pub(crate) use display_key::display_key;
pub(crate) use duration::{format_duration, format_exact_duration};
pub(crate) use escape::{escape_json_for_html, escape_json_for_terminal, escape_mrkdwn};
pub(crate) use formula::{escape_formula, unescape_formula};
pub(crate) use invisible::{is_blank_text, is_invisible_mark, is_visible, trim_invisible};
pub(crate) use io_error::describe_io_error;
pub(crate) use number::{format_credit_number, format_credits, format_number};
pub(crate) use plural::pluralize;
pub(crate) use shell_quote::shell_quote;
pub(crate) use suggest::{nearest_name, nearest_names, suggest_name};
pub(crate) use time_left::{WorkDone, estimate_time_left};
pub(crate) use truncate::truncate;

//! The helpers of a scene template: one file per family, each with its table.
//!
//! A helper for text returns a *value*, which the engine escapes for its position; a helper for JSON
//! writes to the output itself and is therefore refused inside quotes. The tables are the only source
//! for the help text, the names that a template may call, and the number of their values.
//!
//! Invariant: the result of a helper depends on its values alone, not on the time, the row or an
//! earlier call.

mod choice;
mod list;
mod locale;
pub(crate) mod price;
mod text;
mod value;

use std::borrow::Cow;

use handlebars::{
    Handlebars, Helper, HelperResult, JsonRender, JsonTruthy, Output, PathAndJson, RenderError,
};
use serde_json::Value;

use crate::template::escape;
use crate::template::render_error::{HelperError, column_in_path};
use crate::text::is_blank_text;

/// One helper, as `docs/reference/helpers.md` lists it and as a template is checked against it.
#[derive(Clone, Copy, Debug)]
pub struct HelperDoc {
    /// The name.
    pub name: &'static str,
    /// The syntax.
    pub usage: &'static str,
    /// The purpose.
    pub purpose: &'static str,
    /// A tag and its result.
    pub example: &'static str,
    /// The fewest and the most values it takes.
    pub(crate) arity: (usize, usize),
    pub(crate) output: TagOutput,
}

/// The output of a tag, which decides where in the JSON it may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagOutput {
    /// Text, for the inside of quotes only.
    Text,
    /// A whole JSON value with quotes of its own, for the outside only.
    Json,
    /// Digits, `true` or `false`: allowed on either side.
    Scalar,
    /// A list, which `each` goes through; it has no text.
    List,
    /// None; it opens a block.
    Block,
}

/// Every helper, by family.
pub const HELPERS: &[HelperDoc] = &[
    value::JSON,
    value::NUMBER,
    value::DEFAULT,
    text::UPPER,
    text::LOWER,
    text::TRUNCATE,
    text::PARAGRAPHS,
    list::SENTENCES,
    locale::MONEY,
    locale::DATE,
    choice::IF,
    choice::UNLESS,
    choice::EACH,
    choice::WITH,
    choice::LOOKUP,
    choice::EQ,
    choice::NE,
    choice::AND,
    choice::OR,
    choice::NOT,
    choice::LEN,
];

/// Returns the helper of this name.
pub(crate) fn find_helper(name: &str) -> Option<&'static HelperDoc> {
    HELPERS.iter().find(|helper| helper.name == name)
}

pub(crate) fn register(engine: &mut Handlebars<'static>) {
    value::register(engine);
    text::register(engine);
    list::register(engine);
    locale::register(engine);
    choice::register(engine);
}

/// Returns the value at `index`. A missing column is a strict error with its name.
fn required_param<'h, 'rc>(
    helper: &'h Helper<'rc>,
    index: usize,
) -> Result<&'h PathAndJson<'rc>, RenderError> {
    match helper.param(index) {
        Some(value) if !value.is_value_missing() => Ok(value),
        Some(value) => Err(RenderError::strict_error(value.relative_path())),
        None => Err(HelperError {
            column: None,
            message: format!("`{}` was given too few values", helper.name()),
            help: None,
        }
        .into()),
    }
}

/// Returns the value at `index` as text.
fn text_param<'h>(helper: &'h Helper<'_>, index: usize) -> Result<Cow<'h, str>, RenderError> {
    let given = required_param(helper, index)?;
    match given.value() {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Null => Ok(Cow::Borrowed("")),
        Value::Bool(_) | Value::Number(_) => Ok(Cow::Owned(given.value().render())),
        Value::Array(_) | Value::Object(_) => Err(HelperError {
            column: param_column(given),
            message: format!("`{}` needs text, and this is a list", helper.name()),
            help: Some("name a column, or write `{{#each …}}` around it".to_owned()),
        }
        .into()),
    }
}

/// Writes a text, escaped by the engine's rules.
fn write_escaped(engine: &Handlebars<'_>, text: &str, out: &mut dyn Output) -> HelperResult {
    // A text that needs no escapes in JSON needs none in plain text either; most texts need none.
    if escape::is_json_safe(text) {
        out.write(text)?;
    } else {
        out.write(&engine.get_escape_fn()(text))?;
    }
    Ok(())
}

/// Returns the column of a value that comes directly from one.
fn param_column(given: &PathAndJson<'_>) -> Option<String> {
    given.relative_path().map(|path| column_in_path(path).to_owned())
}

/// Checks whether a value counts in a condition. A blank text is empty, as in a sheet.
fn is_filled(value: &Value) -> bool {
    match value {
        Value::String(text) => !is_blank_text(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            value.is_truthy(false)
        }
    }
}

/// Checks whether a value is empty. White space and invisible marks alone are empty, as in a sheet.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => is_blank_text(text),
        Value::Array(items) => items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

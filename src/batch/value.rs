//! Parsers from a TOML value to a setting.
//!
//! Each returns the setting, or a [`SettingProblem`] worded to follow the key: "`in_flight` *must
//! be a whole number, not a text*". None knows its key, and none repeats a value in its message
//! unless it is a single name, since the line is shown anyway.

use std::num::NonZeroU32;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::SkipSetting;
use super::duration::parse_duration_text;
use super::rate::Rate;
use super::reader::SettingProblem;
use crate::text::{nearest_name, truncate};

/// Characters of a wrong value in a message.
const GIVEN_CHARS_MAX: usize = 40;

/// Parses a text that is not blank.
pub(super) fn parse_text(value: &DeValue<'_>) -> Result<String, SettingProblem> {
    let text = parse_text_or_empty(value)?;
    if text.trim().is_empty() {
        return Err(SettingProblem::new("is empty").with_help("fill it in, or remove it"));
    }
    Ok(text)
}

/// Parses a path. `~/` at its beginning means the home folder; a variable of the shell would become
/// a folder of that name.
pub(super) fn parse_path(value: &DeValue<'_>) -> Result<String, SettingProblem> {
    let text = parse_text(value)?;
    match text.contains('$') {
        true => Err(SettingProblem::new("contains `$`, and variables are not filled in here")
            .with_help("write the path out; `~/` at its beginning is your home folder")),
        false => Ok(text),
    }
}

/// Parses a text that may be empty.
pub(super) fn parse_text_or_empty(value: &DeValue<'_>) -> Result<String, SettingProblem> {
    match value {
        DeValue::String(text) => Ok(text.as_ref().to_owned()),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            Err(wrong_type("a text", value).with_help("write it in quotes"))
        }
        DeValue::Array(_) | DeValue::Table(_) => Err(wrong_type("a text", value)),
    }
}

/// Parses one text, or a list of different texts.
pub(super) fn parse_text_list(value: &DeValue<'_>) -> Result<Vec<String>, SettingProblem> {
    let DeValue::Array(items) = value else {
        return parse_text(value).map(|only| vec![only]);
    };
    let mut texts = Vec::new();
    for item in items.iter().map(Spanned::get_ref) {
        let text = parse_text(item)?;
        if texts.contains(&text) {
            return Err(SettingProblem::new(format!("contains `{text}` twice")));
        }
        texts.push(text);
    }
    if texts.is_empty() {
        return Err(SettingProblem::new("is an empty list").with_help("fill it in, or remove it"));
    }
    Ok(texts)
}

/// Parses the rows to skip: a column, or a column and its values.
pub(super) fn parse_skip(value: &DeValue<'_>) -> Result<SkipSetting, SettingProblem> {
    let example = "write `skip = \"Status\"`, or `skip = { column = \"Status\", \
                   values = [\"done\"] }`";
    let DeValue::Table(table) = value else {
        let column = parse_text(value).map_err(|problem| problem.with_help(example))?;
        return Ok(SkipSetting { column, values: Vec::new() });
    };
    let (mut column, mut values) = (None, Vec::new());
    let in_key = |key: &str, problem: SettingProblem| SettingProblem {
        predicate: format!("is invalid: its `{key}` {}", problem.predicate),
        ..problem
    };
    for (key, value) in table {
        let (key, value) = (key.get_ref().as_ref(), value.get_ref());
        match key {
            "column" => column = Some(parse_text(value).map_err(|problem| in_key(key, problem))?),
            "values" => values = parse_text_list(value).map_err(|problem| in_key(key, problem))?,
            _ => {
                return Err(SettingProblem::new(format!("has the unknown setting `{key}`"))
                    .with_help(example));
            }
        }
    }
    let column = column.ok_or_else(|| SettingProblem::new("has no `column`").with_help(example))?;
    Ok(SkipSetting { column, values })
}

/// Parses true or false.
pub(super) fn parse_flag(value: &DeValue<'_>) -> Result<bool, SettingProblem> {
    match value {
        DeValue::Boolean(flag) => Ok(*flag),
        other => {
            Err(wrong_type("true or false", other).with_help("write it without quotes: `true`"))
        }
    }
}

/// Parses one of the `choices`.
pub(super) fn parse_choice<T: Clone>(
    choices: &[(&'static str, T)],
) -> impl FnOnce(&DeValue<'_>) -> Result<T, SettingProblem> {
    move |value| {
        let texts = || choices.iter().map(|(text, _)| *text);
        let listed = || texts().map(|text| format!("\"{text}\"")).collect::<Vec<_>>().join(", ");
        let DeValue::String(given) = value else {
            return Err(
                wrong_type("a text in quotes", value).with_help(format!("one of {}", listed()))
            );
        };
        if let Some((_, choice)) = choices.iter().find(|(text, _)| text == given) {
            return Ok(choice.clone());
        }
        let problem =
            SettingProblem::new(format!("cannot be \"{}\"", truncate(given, GIVEN_CHARS_MAX)));
        Err(match nearest_name(given, texts()) {
            Some(near) => {
                problem.with_help(format!("did you mean \"{near}\"? One of {}", listed()))
            }
            None => problem.with_help(format!("one of {}", listed())),
        })
    }
}

/// Parses a whole number, 0 or more.
pub(super) fn parse_count(value: &DeValue<'_>) -> Result<u32, SettingProblem> {
    let DeValue::Integer(number) = value else {
        return Err(wrong_type("a whole number", value));
    };
    u32::from_str_radix(number.as_str(), number.radix())
        .map_err(|_| SettingProblem::new(format!("must be a whole number from 0 to {}", u32::MAX)))
}

/// Parses the number of a row of a sheet.
pub(super) fn parse_row_number(value: &DeValue<'_>) -> Result<u32, SettingProblem> {
    match parse_count(value)? {
        0 => Err(SettingProblem::new("must be at least 1, the first row of the sheet")),
        row => Ok(row),
    }
}

/// Parses a whole number, 1 or more, where zero would wait forever.
pub(super) fn parse_positive_count(value: &DeValue<'_>) -> Result<NonZeroU32, SettingProblem> {
    NonZeroU32::new(parse_count(value)?).ok_or_else(|| {
        SettingProblem::new("must be at least 1: with 0 the batch would wait forever")
    })
}

/// Parses an amount of credits.
pub(super) fn parse_credits(value: &DeValue<'_>) -> Result<f64, SettingProblem> {
    parse_number(value)?
        .filter(|amount| amount.is_finite() && *amount >= 0.0)
        .ok_or_else(|| SettingProblem::new("must be a number of credits, 0 or more"))
}

/// Parses a share of a whole.
pub(super) fn parse_share(value: &DeValue<'_>) -> Result<f64, SettingProblem> {
    parse_number(value)?
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| SettingProblem::new("must be a share from 0 to 1, such as 0.25"))
}

/// Returns a number; `None` if it is out of range.
fn parse_number(value: &DeValue<'_>) -> Result<Option<f64>, SettingProblem> {
    match value {
        DeValue::Float(number) => Ok(number.as_str().parse::<f64>().ok()),
        DeValue::Integer(_) => Ok(parse_count(value).ok().map(f64::from)),
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => Err(wrong_type("a number", value)),
    }
}

/// Parses a duration longer than 0.
pub(super) fn parse_duration(value: &DeValue<'_>) -> Result<Duration, SettingProblem> {
    let example = "write it like \"90s\", \"500ms\", \"20min\" or \"1h 30m\"";
    let DeValue::String(text) = value else {
        return Err(wrong_type("a duration in quotes", value).with_help(example));
    };
    parse_duration_text(text).map_err(|problem| match problem.help {
        Some(_) => problem,
        None => problem.with_help(example),
    })
}

/// Parses a rate.
pub(super) fn parse_rate(value: &DeValue<'_>) -> Result<Rate, SettingProblem> {
    let DeValue::String(text) = value else {
        return Err(wrong_type("a rate in quotes", value)
            .with_help("write it like \"30/min\", \"50/s\", \"10/h\" or \"unlimited\""));
    };
    text.parse().map_err(|err| SettingProblem::new(format!("is invalid: {err}")))
}

fn wrong_type(wanted: &str, value: &DeValue<'_>) -> SettingProblem {
    SettingProblem::new(format!("must be {wanted}, not {}", type_name(value)))
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

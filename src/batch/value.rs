//! From one TOML value to one setting.
//!
//! Each reader takes a value and gives what it means, or a [`Complaint`] that reads on after the
//! key: "`in_flight` *must be a whole number, not a text*". None of them knows which key it reads,
//! and none repeats a value in its complaint unless it is a plain word: the line is shown anyway.

use std::num::NonZeroU32;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::SkipSetting;
use super::duration::parse_duration_text;
use super::rate::Rate;
use super::reader::SettingProblem;
use crate::text::nearest_name;

/// Reads a text that says something.
pub(super) fn parse_text(value: &DeValue<'_>) -> Result<String, SettingProblem> {
    let text = parse_text_or_empty(value)?;
    if text.trim().is_empty() {
        return Err(SettingProblem::new("is empty").with_help("fill it in, or leave it out"));
    }
    Ok(text)
}

/// Reads a text that may be empty.
pub(super) fn parse_text_or_empty(value: &DeValue<'_>) -> Result<String, SettingProblem> {
    match value {
        DeValue::String(text) => Ok(text.as_ref().to_owned()),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            Err(wrong_type("a text", value).with_help("write it in quotes"))
        }
        DeValue::Array(_) | DeValue::Table(_) => Err(wrong_type("a text", value)),
    }
}

/// Reads one text, or a list of different ones.
pub(super) fn parse_text_list(value: &DeValue<'_>) -> Result<Vec<String>, SettingProblem> {
    let DeValue::Array(items) = value else {
        return parse_text(value).map(|only| vec![only]);
    };
    let mut texts = Vec::new();
    for item in items.iter().map(Spanned::get_ref) {
        let text = parse_text(item)?;
        if texts.contains(&text) {
            return Err(SettingProblem::new(format!("names `{text}` twice")));
        }
        texts.push(text);
    }
    if texts.is_empty() {
        return Err(
            SettingProblem::new("is an empty list").with_help("fill it in, or leave it out")
        );
    }
    Ok(texts)
}

/// Reads which rows are left out: a column, or a column and what it says then.
pub(super) fn parse_skip(value: &DeValue<'_>) -> Result<SkipSetting, SettingProblem> {
    let example = "write `skip = \"Status\"`, or `skip = { column = \"Status\", \
                   values = [\"done\"] }`";
    let DeValue::Table(table) = value else {
        let column = parse_text(value).map_err(|complaint| complaint.with_help(example))?;
        return Ok(SkipSetting { column, values: Vec::new() });
    };
    let (mut column, mut values) = (None, Vec::new());
    let within = |key: &str, complaint: SettingProblem| SettingProblem {
        predicate: format!("is wrong: its `{key}` {}", complaint.predicate),
        ..complaint
    };
    for (key, value) in table {
        let (key, value) = (key.get_ref().as_ref(), value.get_ref());
        match key {
            "column" => column = Some(parse_text(value).map_err(|wrong| within(key, wrong))?),
            "values" => values = parse_text_list(value).map_err(|wrong| within(key, wrong))?,
            _ => {
                return Err(
                    SettingProblem::new(format!("has no setting `{key}`")).with_help(example)
                );
            }
        }
    }
    let column =
        column.ok_or_else(|| SettingProblem::new("names no `column`").with_help(example))?;
    Ok(SkipSetting { column, values })
}

/// Reads one of a few words.
pub(super) fn parse_choice<T: Clone>(
    words: &[(&'static str, T)],
) -> impl FnOnce(&DeValue<'_>) -> Result<T, SettingProblem> {
    move |value| {
        let all = || words.iter().map(|(word, _)| *word);
        let listed = || all().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let DeValue::String(given) = value else {
            return Err(
                wrong_type("a word in quotes", value).with_help(format!("one of {}", listed()))
            );
        };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| word == given) {
            return Ok(meaning.clone());
        }
        let complaint = SettingProblem::new("is none of the words that may stand here");
        Err(match nearest_name(given, all()) {
            Some(near) => {
                complaint.with_help(format!("did you mean \"{near}\"? One of {}", listed()))
            }
            None => complaint.with_help(format!("one of {}", listed())),
        })
    }
}

/// Reads a whole number from 0 up.
pub(super) fn parse_count(value: &DeValue<'_>) -> Result<u32, SettingProblem> {
    let DeValue::Integer(number) = value else {
        return Err(wrong_type("a whole number", value));
    };
    u32::from_str_radix(number.as_str(), number.radix())
        .map_err(|_| SettingProblem::new(format!("must be a whole number from 0 to {}", u32::MAX)))
}

/// Reads a whole number from 1 up, where zero would wait for ever.
pub(super) fn parse_positive_count(value: &DeValue<'_>) -> Result<NonZeroU32, SettingProblem> {
    NonZeroU32::new(parse_count(value)?).ok_or_else(|| {
        SettingProblem::new("must be at least 1: with 0 the batch would wait for ever")
    })
}

/// Reads an amount of credits.
pub(super) fn parse_credits(value: &DeValue<'_>) -> Result<f64, SettingProblem> {
    let amount = match value {
        DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
        DeValue::Integer(_) => parse_count(value).ok().map(f64::from),
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => return Err(wrong_type("a number", value)),
    };
    amount
        .filter(|amount| amount.is_finite() && *amount >= 0.0)
        .ok_or_else(|| SettingProblem::new("must be a number of credits from 0 up"))
}

/// Reads a duration in words, longer than nothing.
pub(super) fn parse_duration(value: &DeValue<'_>) -> Result<Duration, SettingProblem> {
    let example = "write it like \"90s\", \"500ms\", \"20min\" or \"1h 30m\"";
    let DeValue::String(words) = value else {
        return Err(wrong_type("a duration in quotes", value).with_help(example));
    };
    parse_duration_text(words).map_err(|complaint| match complaint.help {
        Some(_) => complaint,
        None => complaint.with_help(example),
    })
}

/// Reads a rate.
pub(super) fn parse_rate(value: &DeValue<'_>) -> Result<Rate, SettingProblem> {
    let DeValue::String(words) = value else {
        return Err(wrong_type("a rate in quotes", value)
            .with_help("write it like \"30/min\", \"50/s\", \"10/h\" or \"unlimited\""));
    };
    words.parse().map_err(|err| SettingProblem::new(format!("is wrong: {err}")))
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

//! From one TOML value to one setting.
//!
//! Each reader takes a value and gives what it means, or a [`Complaint`] that reads on after the
//! key: "`in_flight` *must be a whole number, not a text*". None of them knows which key it reads,
//! and none repeats a value in its complaint unless it is a plain word: the line is shown anyway.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::SignedDuration;
use toml::Spanned;
use toml::de::DeValue;

use super::Skip;
use super::keys::nearest;
use super::limits::DURATION_MAX;
use super::rate::Rate;
use super::reader::Complaint;

/// Reads a text that says something.
pub(super) fn text(value: &DeValue<'_>) -> Result<String, Complaint> {
    let text = text_or_nothing(value)?;
    if text.trim().is_empty() {
        return Err(Complaint::new("is empty").help("fill it in, or leave it out"));
    }
    Ok(text)
}

/// Reads a text that may be empty.
pub(super) fn text_or_nothing(value: &DeValue<'_>) -> Result<String, Complaint> {
    match value {
        DeValue::String(text) => Ok(text.as_ref().to_owned()),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            Err(unlike("a text", value).help("write it in quotes"))
        }
        DeValue::Array(_) | DeValue::Table(_) => Err(unlike("a text", value)),
    }
}

/// Reads one text, or a list of different ones.
pub(super) fn texts(value: &DeValue<'_>) -> Result<Vec<String>, Complaint> {
    let DeValue::Array(items) = value else {
        return text(value).map(|only| vec![only]);
    };
    let mut texts = Vec::new();
    for item in items.iter().map(Spanned::get_ref) {
        let text = text(item)?;
        if texts.contains(&text) {
            return Err(Complaint::new(format!("names `{text}` twice")));
        }
        texts.push(text);
    }
    if texts.is_empty() {
        return Err(Complaint::new("is an empty list").help("fill it in, or leave it out"));
    }
    Ok(texts)
}

/// Reads which rows are left out: a column, or a column and what it says then.
pub(super) fn skip(value: &DeValue<'_>) -> Result<Skip, Complaint> {
    let example = "write `skip = \"Status\"`, or `skip = { column = \"Status\", \
                   values = [\"done\"] }`";
    let DeValue::Table(table) = value else {
        let column = text(value).map_err(|complaint| complaint.help(example))?;
        return Ok(Skip { column, values: Vec::new() });
    };
    let (mut column, mut values) = (None, Vec::new());
    let within = |key: &str, complaint: Complaint| Complaint {
        predicate: format!("is wrong: its `{key}` {}", complaint.predicate),
        ..complaint
    };
    for (key, value) in table {
        let (key, value) = (key.get_ref().as_ref(), value.get_ref());
        match key {
            "column" => column = Some(text(value).map_err(|wrong| within(key, wrong))?),
            "values" => values = texts(value).map_err(|wrong| within(key, wrong))?,
            _ => return Err(Complaint::new(format!("has no setting `{key}`")).help(example)),
        }
    }
    let column = column.ok_or_else(|| Complaint::new("names no `column`").help(example))?;
    Ok(Skip { column, values })
}

/// Reads one of a few words.
pub(super) fn choice<T: Clone>(
    words: &[(&'static str, T)],
) -> impl FnOnce(&DeValue<'_>) -> Result<T, Complaint> {
    move |value| {
        let all = || words.iter().map(|(word, _)| *word);
        let listed = || all().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let DeValue::String(given) = value else {
            return Err(unlike("a word in quotes", value).help(format!("one of {}", listed())));
        };
        if let Some((_, meaning)) = words.iter().find(|(word, _)| word == given) {
            return Ok(meaning.clone());
        }
        let complaint = Complaint::new("is none of the words that may stand here");
        Err(match nearest(given, all()) {
            Some(near) => complaint.help(format!("did you mean \"{near}\"? One of {}", listed())),
            None => complaint.help(format!("one of {}", listed())),
        })
    }
}

/// Reads a whole number from 0 up.
pub(super) fn count(value: &DeValue<'_>) -> Result<u32, Complaint> {
    let DeValue::Integer(number) = value else {
        return Err(unlike("a whole number", value));
    };
    u32::from_str_radix(number.as_str(), number.radix())
        .map_err(|_| Complaint::new(format!("must be a whole number from 0 to {}", u32::MAX)))
}

/// Reads a whole number from 1 up, where zero would wait for ever.
pub(super) fn count_from_one(value: &DeValue<'_>) -> Result<NonZeroU32, Complaint> {
    NonZeroU32::new(count(value)?)
        .ok_or_else(|| Complaint::new("must be at least 1: with 0 the batch would wait for ever"))
}

/// Reads an amount of credits.
pub(super) fn credits(value: &DeValue<'_>) -> Result<f64, Complaint> {
    let amount = match value {
        DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
        DeValue::Integer(_) => count(value).ok().map(f64::from),
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => return Err(unlike("a number", value)),
    };
    amount
        .filter(|amount| amount.is_finite() && *amount >= 0.0)
        .ok_or_else(|| Complaint::new("must be a number of credits from 0 up"))
}

/// Reads a duration in words, longer than nothing.
pub(super) fn duration(value: &DeValue<'_>) -> Result<Duration, Complaint> {
    let example = "write it like \"90s\", \"500ms\", \"20min\" or \"1h 30m\"";
    let DeValue::String(words) = value else {
        return Err(unlike("a duration in quotes", value).help(example));
    };
    words_to_duration(words).map_err(|complaint| match complaint.help {
        Some(_) => complaint,
        None => complaint.help(example),
    })
}

/// Reads a duration from its words.
pub(super) fn words_to_duration(words: &str) -> Result<Duration, Complaint> {
    let signed = words
        .trim()
        .parse::<SignedDuration>()
        .map_err(|_| Complaint::new("is not a duration that can be understood"))?;
    match Duration::try_from(signed) {
        Err(_) => Err(Complaint::new("must not be negative")),
        Ok(Duration::ZERO) => Err(Complaint::new("must be longer than nothing")),
        Ok(long) if long > DURATION_MAX => Err(Complaint::new("must not be longer than 31 days")
            .help(format!("31 days are \"{}\"", duration_in_words(DURATION_MAX)))),
        Ok(duration) => Ok(duration),
    }
}

/// Writes a duration in words that [`words_to_duration`] reads.
pub(super) fn duration_in_words(duration: Duration) -> String {
    // More seconds than an i64 holds lie far beyond any duration that was read.
    SignedDuration::try_from(duration)
        .map_or_else(|_| "31d".to_owned(), |signed| format!("{signed:#}"))
}

/// Reads a rate.
pub(super) fn rate(value: &DeValue<'_>) -> Result<Rate, Complaint> {
    let DeValue::String(words) = value else {
        return Err(unlike("a rate in quotes", value)
            .help("write it like \"30/min\", \"50/s\", \"10/h\" or \"unlimited\""));
    };
    words.parse().map_err(|err| Complaint::new(format!("is wrong: {err}")))
}

fn unlike(wanted: &str, value: &DeValue<'_>) -> Complaint {
    Complaint::new(format!("must be {wanted}, not {}", kind(value)))
}

fn kind(value: &DeValue<'_>) -> &'static str {
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

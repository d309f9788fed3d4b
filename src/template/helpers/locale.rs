//! Helpers that write a value as readers of a language expect it: `money`, `date`.
//!
//! Separators, the place of a currency and the names of months are those of the C library's locales;
//! `price` reads and writes prices.
//! Invariant: a value whose meaning is not certain is refused or left as it is displayed, never guessed.

use std::borrow::Cow;

use handlebars::{Context, Handlebars, Helper, HelperDef, RenderContext, RenderError, ScopedJson};
use jiff::civil::Date;
use pure_rust_locales::{Locale, locale_match};
use serde_json::Value;

use crate::template::helpers::{
    HelperDoc, TagOutput, param_column, price, required_param, text_param,
};
use crate::template::render_error::HelperError;

pub(crate) const MONEY: HelperDoc = HelperDoc {
    name: "money",
    usage: "{{money column \"EUR\" language}}",
    purpose: "writes a price as readers of the language expect it; a currency in the cell itself \
              overrides the one given; a cell that is not a price is unchanged",
    example: "{{money price \"EUR\" \"de\"}} gives 1.299,00 € for 1299 and 12,90 $ for $12.90",
    arity: (3, 3),
    output: TagOutput::Text,
};

pub(crate) const DATE: HelperDoc = HelperDoc {
    name: "date",
    usage: "{{date column language}}",
    purpose: "writes a date such as 2026-03-01 or 1.3.2026 in words",
    example: "{{date launch \"de\"}} gives 1. März 2026",
    arity: (2, 2),
    output: TagOutput::Text,
};

pub(crate) fn register(engine: &mut Handlebars<'static>) {
    engine.register_helper(MONEY.name, Box::new(MoneyHelper));
    engine.register_helper(DATE.name, Box::new(DateHelper));
}

struct MoneyHelper;

impl HelperDef for MoneyHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let (cell, currency) = (text_param(helper, 0)?, text_param(helper, 1)?);
        let locale = find_locale(&text_param(helper, 2)?);
        let text = price::format_price(&cell, currency.trim(), locale);
        Ok(ScopedJson::Derived(Value::String(text)))
    }
}

struct DateHelper;

impl HelperDef for DateHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let (cell, language) = (text_param(helper, 0)?, text_param(helper, 1)?);
        let cell = cell.trim();
        if cell.is_empty() {
            return Ok(ScopedJson::Derived(Value::String(String::new())));
        }
        let date = parse_date(cell).ok_or_else(|| HelperError {
            column: required_param(helper, 0).ok().and_then(param_column),
            message: format!(
                "`{}` is not a date that has one meaning",
                crate::text::truncate(cell, 40)
            ),
            help: Some("write the year first, such as 2026-03-01".to_owned()),
        })?;
        Ok(ScopedJson::Derived(Value::String(format_date(date, &language))))
    }
}

/// Returns the locale of a language, such as `de` or `de-AT`; English if it is not known.
pub(super) fn find_locale(language: &str) -> Locale {
    let (language, region) = split_language(language);
    let region = region.unwrap_or_else(|| main_region(&language).into_owned());
    Locale::try_from(format!("{language}_{region}").as_str()).unwrap_or(Locale::en_US)
}

/// Returns the language in lower case, and its region in upper case.
fn split_language(language: &str) -> (String, Option<String>) {
    let mut parts = language.trim().split(['-', '_']);
    let first = parts.next().unwrap_or_default().to_lowercase();
    (first, parts.next().map(str::to_uppercase).filter(|region| region.len() == 2))
}

/// Returns the region whose customs are meant where only a language is given.
fn main_region(language: &str) -> Cow<'static, str> {
    Cow::Borrowed(match language {
        "en" => "US",
        "ja" => "JP",
        "ko" => "KR",
        "zh" => "CN",
        "da" => "DK",
        "sv" => "SE",
        "cs" => "CZ",
        "el" => "GR",
        "uk" => "UA",
        "he" => "IL",
        "hi" => "IN",
        "vi" => "VN",
        "ar" => "EG",
        "nb" => "NO",
        "pt" => "BR",
        "ms" => "MY",
        "sl" => "SI",
        "et" => "EE",
        other => return Cow::Owned(other.to_uppercase()),
    })
}

/// Parses a date with the year first, or with points, which means the day first.
fn parse_date(cell: &str) -> Option<Date> {
    let number = |text: &str| text.trim().parse::<i16>().ok();
    let small = |text: &str| text.trim().parse::<i8>().ok();
    let is_digits = |c: char| c.is_ascii_digit();
    let parts: Vec<&str> = cell.split(['-', '/', '.']).collect();
    let [first, second, third] = parts[..] else { return None };
    let has_year_first = first.len() == 4 && first.chars().all(is_digits);
    let has_points = !cell.contains(['-', '/']) && third.trim().len() == 4;
    match (has_year_first, has_points) {
        (true, _) => Date::new(number(first)?, small(second)?, small(third)?).ok(),
        (false, true) => Date::new(number(third)?, small(second)?, small(first)?).ok(),
        (false, false) => None,
    }
}

fn format_date(date: Date, language: &str) -> String {
    let locale = find_locale(language);
    let (language, region) = split_language(language);
    let (year, month, day) = (date.year(), date.month(), date.day());
    let months = locale_match!(locale => LC_TIME::MON);
    let name = usize::try_from(month - 1).ok().and_then(|index| months.get(index)).unwrap_or(&"");
    let is_american = language == "en" && region.as_deref().is_none_or(|region| region == "US");
    match language.as_str() {
        _ if is_american => format!("{name} {day}, {year}"),
        "ja" | "zh" => format!("{year}年{month}月{day}日"),
        "ko" => format!("{year}년 {month}월 {day}일"),
        "hu" => format!("{year}. {name} {day}."),
        "es" | "pt" => format!("{day} de {name} de {year}"),
        "de" | "da" | "nb" | "no" | "fi" | "cs" | "sk" | "sl" | "et" | "hr" => {
            format!("{day}. {name} {year}")
        }
        _ if locale == Locale::en_US => format!("{name} {day}, {year}"),
        _ => format!("{day} {name} {year}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn date_is_written_in_words_of_the_language() {
        for (cell, language, want) in [
            ("2026-03-01", "en", "March 1, 2026"),
            ("2026-03-01", "en-GB", "1 March 2026"),
            ("1.3.2026", "de", "1. März 2026"),
            ("2026/03/01", "fr", "1 mars 2026"),
            ("2026-03-01", "es", "1 de marzo de 2026"),
            ("2026-03-01", "ja", "2026年3月1日"),
            ("2026-03-01", "ko", "2026년 3월 1일"),
            ("2026-03-01", "xx", "March 1, 2026"),
        ] {
            let date = parse_date(cell).expect("a date");
            assert_eq!(format_date(date, language), want, "{cell} {language}");
        }
        for cell in ["3/1/26", "03/01/2026", "2026-13-01", "soon", "1.3.26"] {
            assert_eq!(parse_date(cell), None, "{cell}");
        }
    }
}

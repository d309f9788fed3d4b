//! Number formats of XLSX, such as `"SKU-"0000` and `#,##0.00\ [$€-407]`.
//!
//! A format is parsed once per style and applied to many cells. No crate does both halves: the ones
//! that exist follow a format, but lose literals beside `General`, or round 1.005 to 1.00. Invariant: the
//! text does not depend on the machine; a format that does is not followed, and the caller reports its
//! column.

mod date;
mod decimal;
mod format_locale;
mod fraction;
mod number;
mod parser;

use date::DateToken;
use format_locale::FormatLocale;

pub(super) use date::DateEpoch;
pub(super) use number::format_general;

/// A parsed format: one to four sections.
#[derive(Debug)]
pub(super) struct NumberFormat {
    sections: Vec<FormatSection>,
}

/// The format for some of the numbers, or for texts.
#[derive(Debug, Default)]
struct FormatSection {
    condition: Option<SectionCondition>,
    locale: FormatLocale,
    tokens: Vec<FormatToken>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct SectionCondition {
    operator: SectionOperator,
    limit: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SectionOperator {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

#[derive(Clone, Debug, PartialEq)]
enum FormatToken {
    Literal(String),
    /// `0`, `#` or `?`.
    Digit(DigitKind),
    Point,
    Comma,
    Percent,
    /// `E+` or `E-`.
    Exponent {
        has_plus: bool,
    },
    Slash,
    General,
    /// `@`.
    Text,
    Date(DateToken),
}

/// What is written where a number has no digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DigitKind {
    Zero,
    Nothing,
    Space,
}

impl SectionCondition {
    fn is_met(self, value: f64) -> bool {
        match self.operator {
            SectionOperator::Less => value < self.limit,
            SectionOperator::LessOrEqual => value <= self.limit,
            SectionOperator::Equal => value == self.limit,
            SectionOperator::NotEqual => value != self.limit,
            SectionOperator::GreaterOrEqual => value >= self.limit,
            SectionOperator::Greater => value > self.limit,
        }
    }

    /// Returns whether only negative numbers meet it, so that its section writes the sign itself.
    fn is_negative_only(self) -> bool {
        match self.operator {
            SectionOperator::Less => self.limit <= 0.0,
            SectionOperator::LessOrEqual | SectionOperator::Equal => self.limit < 0.0,
            SectionOperator::NotEqual
            | SectionOperator::GreaterOrEqual
            | SectionOperator::Greater => false,
        }
    }
}

impl FormatSection {
    fn has(&self, is_wanted: impl Fn(&FormatToken) -> bool) -> bool {
        self.tokens.iter().any(is_wanted)
    }

    fn is_date(&self) -> bool {
        self.has(|token| matches!(token, FormatToken::Date(_)))
    }
}

impl NumberFormat {
    /// Parses a format; `None` if it depends on the machine, or is not understood.
    pub(super) fn parse(code: &str) -> Option<Self> {
        parser::parse_sections(code).map(|sections| Self { sections })
    }

    /// Returns a number as displayed; `None` if the format cannot show it.
    pub(super) fn format_number(&self, value: f64, epoch: DateEpoch) -> Option<String> {
        if !value.is_finite() {
            return None;
        }
        let (section, writes_sign) = self.section_for(value);
        if section.is_date() {
            return date::format_date(section, value, epoch);
        }
        let shown = number::format_section(section, value.abs())?;
        let is_negative = value < 0.0 && !writes_sign && !shown.is_zero;
        Some(if is_negative { format!("-{}", shown.text) } else { shown.text })
    }

    /// Returns a text as displayed; `None` if the format leaves it as it is.
    pub(super) fn format_text(&self, text: &str) -> Option<String> {
        let section = self.sections.get(3).or(self.text_section())?;
        let mut shown = String::new();
        for token in &section.tokens {
            match token {
                FormatToken::Literal(literal) => shown.push_str(literal),
                FormatToken::Text => shown.push_str(text),
                _ => {}
            }
        }
        Some(shown)
    }

    /// Returns the last section if it shows texts and no digits.
    fn text_section(&self) -> Option<&FormatSection> {
        let is_digit = |token: &FormatToken| matches!(token, FormatToken::Digit(_));
        let last = self.sections.last()?;
        let is_for_text = last.has(|token| *token == FormatToken::Text) && !last.has(is_digit);
        is_for_text.then_some(last)
    }

    /// Returns the section for a number, and whether it writes the sign of a negative one itself.
    fn section_for(&self, value: f64) -> (&FormatSection, bool) {
        let is_for_text = self.sections.len() > 1 && self.text_section().is_some();
        let numeric = (self.sections.len() - usize::from(is_for_text)).min(3);
        let implicit = |index: usize| match (index, numeric) {
            (0, 2) => value >= 0.0,
            (0, 3) => value > 0.0,
            (1, 3) => value < 0.0,
            _ => true,
        };
        let has_conditions = self.sections.iter().any(|section| section.condition.is_some());
        let index = (0..numeric).find(|index| match self.sections[*index].condition {
            Some(condition) => condition.is_met(value),
            None => implicit(*index),
        });
        let index = index.unwrap_or(numeric - 1);
        let section = &self.sections[index];
        let writes_sign = match section.condition {
            Some(condition) => condition.is_negative_only(),
            None => index == 1 && !has_conditions,
        };
        (section, writes_sign)
    }
}

#[cfg(test)]
mod tests;

//! Parses the code of a number format into the tokens of its sections.

use super::date::{self, DateToken};
use super::format_locale::FormatLocale;
use super::{DigitKind, FormatSection, FormatToken, SectionCondition, SectionOperator};

/// A longer code is no number format.
const CODE_CHARS_MAX: usize = 1_024;
const SECTIONS_MAX: usize = 4;
const COLORS: &[&str] =
    &["black", "blue", "cyan", "green", "magenta", "red", "white", "yellow", "color"];
/// The formats that a spreadsheet program shows as the settings of its computer say.
const SYSTEM_CODES: &[&str] = &["mm-dd-yy", "m/d/yy h:mm"];

/// Parses all sections; `None` if the code depends on the machine, or is not understood.
pub(super) fn parse_sections(code: &str) -> Option<Vec<FormatSection>> {
    if SYSTEM_CODES.contains(&code) || code.chars().count() > CODE_CHARS_MAX {
        return None;
    }
    let mut parser =
        FormatParser { rest: code, section: FormatSection::default(), sections: Vec::new() };
    while let Some(next) = parser.take_char() {
        parser.parse_char(next)?;
    }
    parser.end_section();
    (parser.sections.len() <= SECTIONS_MAX).then_some(parser.sections)
}

struct FormatParser<'c> {
    rest: &'c str,
    section: FormatSection,
    sections: Vec<FormatSection>,
}

impl<'c> FormatParser<'c> {
    fn take_char(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn take_until(&mut self, end: char) -> &'c str {
        let (text, rest) = self.rest.split_once(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        text
    }

    fn push(&mut self, token: FormatToken) {
        self.section.tokens.push(token);
    }

    fn push_literal(&mut self, text: &str) {
        match self.section.tokens.last_mut() {
            Some(FormatToken::Literal(last)) => last.push_str(text),
            _ => self.push(FormatToken::Literal(text.to_owned())),
        }
    }

    fn parse_char(&mut self, next: char) -> Option<()> {
        match next {
            ';' => self.end_section(),
            '"' => {
                let text = self.take_until('"');
                self.push_literal(text);
            }
            '\\' => {
                let literal = self.take_char()?;
                self.push_literal(literal.encode_utf8(&mut [0; 4]));
            }
            // A blank as wide as the next character.
            '_' => {
                self.take_char();
                self.push_literal(" ");
            }
            // The next character fills the column, so that it is no part of the text.
            '*' => {
                self.take_char();
            }
            '[' => {
                let content = self.take_until(']');
                self.parse_bracket(content)?;
            }
            '0' => self.push(FormatToken::Digit(DigitKind::Zero)),
            '#' => self.push(FormatToken::Digit(DigitKind::Nothing)),
            '?' => self.push(FormatToken::Digit(DigitKind::Space)),
            '.' => self.push(FormatToken::Point),
            ',' => self.push(FormatToken::Comma),
            '%' => self.push(FormatToken::Percent),
            '/' => self.push(FormatToken::Slash),
            '@' => self.push(FormatToken::Text),
            letter if letter.is_ascii_alphabetic() => self.parse_letters(letter)?,
            other => self.push_literal(other.encode_utf8(&mut [0; 4])),
        }
        Some(())
    }

    fn parse_letters(&mut self, first: char) -> Option<()> {
        let starts = |rest: &str, word: &str| {
            rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        };
        if first.eq_ignore_ascii_case(&'g') && starts(self.rest, "eneral") {
            self.rest = &self.rest["eneral".len()..];
            self.push(FormatToken::General);
            return Some(());
        }
        if first.eq_ignore_ascii_case(&'e') && self.rest.starts_with(['+', '-']) {
            let has_plus = self.take_char() == Some('+');
            self.push(FormatToken::Exponent { has_plus });
            return Some(());
        }
        for (word, token) in [("m/pm", DateToken::AmPm), ("/p", DateToken::AmPmLetter)] {
            if first.eq_ignore_ascii_case(&'a') && starts(self.rest, word) {
                self.rest = &self.rest[word.len()..];
                self.push(FormatToken::Date(token));
                return Some(());
            }
        }
        let same = self.rest.chars().take_while(|next| next.eq_ignore_ascii_case(&first)).count();
        self.rest = &self.rest[same..];
        let token = DateToken::parse(first.to_ascii_lowercase(), same + 1)?;
        self.push(FormatToken::Date(token));
        Some(())
    }

    fn parse_bracket(&mut self, content: &str) -> Option<()> {
        let lower = content.to_ascii_lowercase();
        if let Some(currency) = content.strip_prefix('$') {
            let (symbol, locale) = match currency.split_once('-') {
                Some((symbol, tag)) => (symbol, FormatLocale::parse(tag)?),
                None => (currency, FormatLocale::default()),
            };
            if !symbol.is_empty() {
                self.push_literal(symbol);
            }
            if locale != FormatLocale::default() {
                self.section.locale = locale;
            }
            return Some(());
        }
        if COLORS.iter().any(|color| lower.starts_with(color)) {
            return Some(());
        }
        if content.starts_with(['<', '>', '=']) {
            self.section.condition = Some(parse_condition(content)?);
            return Some(());
        }
        let unit = lower.chars().next()?;
        let is_one_letter = lower.chars().all(|letter| letter == unit);
        let token = if is_one_letter { DateToken::parse_elapsed(unit, lower.len()) } else { None };
        self.push(FormatToken::Date(token?));
        Some(())
    }

    fn end_section(&mut self) {
        let mut section = std::mem::take(&mut self.section);
        if section.is_date() {
            date::resolve_minutes(&mut section.tokens);
        }
        self.sections.push(section);
    }
}

fn parse_condition(content: &str) -> Option<SectionCondition> {
    let operators = [
        ("<=", SectionOperator::LessOrEqual),
        (">=", SectionOperator::GreaterOrEqual),
        ("<>", SectionOperator::NotEqual),
        ("<", SectionOperator::Less),
        (">", SectionOperator::Greater),
        ("=", SectionOperator::Equal),
    ];
    operators.iter().find_map(|(sign, operator)| {
        let limit = content.strip_prefix(sign)?.trim().parse().ok()?;
        Some(SectionCondition { operator: *operator, limit })
    })
}

//! Numbers in the sections of a format: digits, separators, percent, exponents.

use super::decimal::{DIGITS, Decimal, RoundedDecimal};
use super::fraction;
use super::{DigitKind, FormatSection, FormatToken};

/// More placeholders than this are no number format.
const PLACEHOLDERS_MAX: usize = 120;

/// A number as a section shows it, without a sign.
pub(super) struct ShownNumber {
    pub(super) text: String,
    /// Whether all its digits are zero; then it has no sign.
    pub(super) is_zero: bool,
}

/// The parts of a section, as indexes of its tokens.
struct NumberLayout {
    /// The placeholders before and behind the point.
    whole: Vec<usize>,
    part: Vec<usize>,
    /// The digits of the exponent.
    exponent: Vec<usize>,
    point: Option<usize>,
    has_groups: bool,
    /// Commas that mean no separator: those that divide by thousand, and those that group.
    commas: Vec<usize>,
    /// The power of ten with which the number is multiplied.
    shift: i32,
}

/// Returns a number without a format.
pub(in super::super) fn format_general(number: f64) -> String {
    let digits = format!("{number:.*e}", DIGITS - 1);
    let rounded: f64 = digits.parse().unwrap_or(number);
    // Zero has no sign in a spreadsheet.
    (rounded + 0.0).to_string()
}

/// Returns a number that is not negative as the section shows it.
pub(super) fn format_section(section: &FormatSection, value: f64) -> Option<ShownNumber> {
    let digits = section.has(|token| matches!(token, FormatToken::Digit(_)));
    if section.has(|token| *token == FormatToken::Slash) && digits {
        return fraction::format_fraction(section, value);
    }
    let layout = NumberLayout::new(&section.tokens)?;
    let decimal = Decimal::from_f64(value).shifted(layout.shift);
    let (decimal, exponent) = match layout.exponent.is_empty() {
        true => (decimal, 0),
        false => layout.scientific(decimal),
    };
    let rounded = decimal.round(layout.part.len());
    let mut shown = vec![String::new(); section.tokens.len()];
    layout.place_whole(section, &rounded, &mut shown);
    layout.place_part(section, &rounded, &mut shown);
    let mut text = String::new();
    for (index, token) in section.tokens.iter().enumerate() {
        match token {
            FormatToken::Literal(literal) => text.push_str(literal),
            FormatToken::Percent => text.push('%'),
            FormatToken::General | FormatToken::Text => text.push_str(&format_general(value)),
            FormatToken::Comma if !layout.commas.contains(&index) => text.push(','),
            FormatToken::Exponent { has_plus } => {
                text.push('E');
                text.push_str(if exponent < 0 {
                    "-"
                } else if *has_plus {
                    "+"
                } else {
                    ""
                });
                let width = layout.exponent.len();
                text.push_str(&format!("{:0width$}", exponent.unsigned_abs()));
            }
            FormatToken::Slash => text.push('/'),
            FormatToken::Digit(_) | FormatToken::Point => text.push_str(&shown[index]),
            FormatToken::Comma | FormatToken::Date(_) => {}
        }
    }
    let has_value = section.has(|token| matches!(token, FormatToken::General | FormatToken::Text));
    let is_zero = if has_value { value == 0.0 } else { digits && rounded.is_zero() };
    Some(ShownNumber { text, is_zero })
}

impl NumberLayout {
    /// Sorts the tokens; `None` if there are too many.
    fn new(tokens: &[FormatToken]) -> Option<Self> {
        let position = |wanted: fn(&FormatToken) -> bool| tokens.iter().position(wanted);
        let point = position(|token| *token == FormatToken::Point);
        let exponent = position(|token| matches!(token, FormatToken::Exponent { .. }));
        let digits: Vec<usize> = (0..tokens.len())
            .filter(|index| matches!(tokens[*index], FormatToken::Digit(_)))
            .collect();
        if digits.len() > PLACEHOLDERS_MAX {
            return None;
        }
        let end = exponent.unwrap_or(tokens.len());
        let split = point.unwrap_or(end).min(end);
        let whole: Vec<usize> = digits.iter().copied().filter(|index| *index < split).collect();
        let part: Vec<usize> =
            digits.iter().copied().filter(|index| (split..end).contains(index)).collect();
        let exponent = digits.into_iter().filter(|index| *index >= end).collect();
        let mut layout =
            Self { whole, part, exponent, point, has_groups: false, commas: Vec::new(), shift: 0 };
        layout.count_commas(tokens);
        let percents = tokens.iter().filter(|token| **token == FormatToken::Percent).count();
        layout.shift += 2 * i32::try_from(percents).ok()?;
        Some(layout)
    }

    /// A comma between placeholders groups the digits, one behind the last of them divides by
    /// thousand.
    fn count_commas(&mut self, tokens: &[FormatToken]) {
        let is_behind = |last: Option<&usize>, index: usize| {
            last.is_some_and(|last| (last + 1..index).all(|at| tokens[at] == FormatToken::Comma))
                && last.is_some_and(|last| *last < index)
        };
        for index in (0..tokens.len()).filter(|index| tokens[*index] == FormatToken::Comma) {
            let is_between = self.whole.first().is_some_and(|first| *first < index)
                && self.whole.last().is_some_and(|last| index < *last);
            if is_between {
                self.has_groups = true;
            } else if is_behind(self.whole.last(), index) || is_behind(self.part.last(), index) {
                self.shift -= 3;
            } else {
                continue;
            }
            self.commas.push(index);
        }
    }

    /// Returns the mantissa and the exponent.
    fn scientific(&self, decimal: Decimal) -> (Decimal, i32) {
        if decimal.is_zero() {
            return (decimal, 0);
        }
        let step = i32::try_from(self.whole.len()).unwrap_or(1).max(1);
        let exponent = |decimal: &Decimal| (decimal.whole_digits() - 1).div_euclid(step) * step;
        let first = exponent(&decimal);
        let mantissa = decimal.shifted(-first);
        // 9.99 in `0.0E+0` becomes 1.0E+1.
        let has_grown = mantissa.round(self.part.len()).whole.len() > self.whole.len().max(1);
        if has_grown { (decimal.shifted(-first - step), first + step) } else { (mantissa, first) }
    }

    fn place_whole(&self, section: &FormatSection, number: &RoundedDecimal, shown: &mut [String]) {
        let mut left = number.whole.clone();
        let mut written = 0;
        for (order, index) in self.whole.iter().enumerate().rev() {
            let mut reversed = String::new();
            loop {
                let (digit, is_digit) = match left.pop() {
                    Some(digit) => (char::from(b'0' + digit), true),
                    None => match section.tokens[*index] {
                        FormatToken::Digit(DigitKind::Zero) => ('0', true),
                        FormatToken::Digit(DigitKind::Space) => (' ', false),
                        _ => break,
                    },
                };
                if self.has_groups && written > 0 && written % 3 == 0 {
                    reversed.push(if is_digit { section.locale.thousands() } else { ' ' });
                }
                reversed.push(digit);
                written += 1;
                // The first placeholder takes all digits that are left.
                if order > 0 || left.is_empty() {
                    break;
                }
            }
            shown[*index] = reversed.chars().rev().collect();
        }
    }

    fn place_part(&self, section: &FormatSection, number: &RoundedDecimal, shown: &mut [String]) {
        let mut is_trailing = true;
        let mut has_part = false;
        for (index, digit) in self.part.iter().zip(&number.part).rev() {
            is_trailing &= *digit == 0;
            shown[*index] = match (is_trailing, &section.tokens[*index]) {
                (true, FormatToken::Digit(DigitKind::Nothing)) => continue,
                (true, FormatToken::Digit(DigitKind::Space)) => " ".to_owned(),
                _ => digit.to_string(),
            };
            is_trailing &= shown[*index] == " ";
            has_part = true;
        }
        if let Some(point) = self.point {
            // A point without digits behind it is shown only if it is all there is.
            let is_shown = has_part || self.whole.is_empty() && self.part.is_empty();
            shown[point] =
                if is_shown { section.locale.decimal().to_string() } else { String::new() };
        }
    }
}

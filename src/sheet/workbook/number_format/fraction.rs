//! Numbers as fractions, such as `# ?/?` and `# ??/16`.

use super::decimal::Decimal;
use super::number::ShownNumber;
use super::{DigitKind, FormatSection, FormatToken};

/// Denominators of more digits are not searched.
const DENOMINATOR_DIGITS_MAX: usize = 3;

/// The parts of the section, as ranges of its tokens.
struct FractionLayout {
    /// Whether a whole number stands before the fraction.
    has_whole: bool,
    /// The index of the first placeholder of the numerator, and of the slash.
    numerator: usize,
    slash: usize,
    /// The first token behind the denominator.
    end: usize,
    denominator: Denominator,
}

#[derive(Clone, Copy)]
enum Denominator {
    Digits(usize),
    Fixed(u32),
}

/// Returns a number that is not negative as the section shows it.
pub(super) fn format_fraction(section: &FormatSection, value: f64) -> Option<ShownNumber> {
    let layout = FractionLayout::new(&section.tokens)?;
    let (whole, rest) =
        if layout.has_whole { (value.trunc(), value.fract()) } else { (0.0, value) };
    let (mut numerator, denominator) = match layout.denominator {
        Denominator::Fixed(fixed) => ((rest * f64::from(fixed)).round(), fixed),
        Denominator::Digits(digits) => {
            nearest_fraction(rest, 10_u32.pow(u32::try_from(digits).ok()?))
        }
    };
    let mut whole = whole;
    if layout.has_whole && numerator >= f64::from(denominator) {
        (whole, numerator) = (whole + 1.0, 0.0);
    }
    let is_blank = numerator == 0.0 && layout.has_whole;
    let before = |tokens: &[FormatToken]| {
        tokens.iter().filter(|token| matches!(token, FormatToken::Digit(_))).count()
    };
    let width = before(&section.tokens[layout.numerator..layout.slash]);
    let mut text = String::new();
    let mut has_written_whole = false;
    for token in &section.tokens[..layout.numerator] {
        match token {
            FormatToken::Literal(literal) => text.push_str(literal),
            FormatToken::Digit(_) if !has_written_whole => {
                has_written_whole = true;
                if whole > 0.0 || is_blank {
                    let digits = Decimal::from_f64(whole).round(0).whole;
                    let digits: String = digits.iter().map(u8::to_string).collect();
                    text.push_str(if digits.is_empty() { "0" } else { &digits });
                }
            }
            _ => {}
        }
    }
    let denominator_width = match layout.denominator {
        Denominator::Digits(digits) => digits,
        Denominator::Fixed(fixed) => fixed.to_string().len(),
    };
    let fraction = format!("{numerator:>width$}/{denominator:<denominator_width$}");
    match is_blank {
        true => text.push_str(&" ".repeat(fraction.len())),
        false => text.push_str(&fraction),
    }
    for token in &section.tokens[layout.end..] {
        if let FormatToken::Literal(literal) = token {
            text.push_str(literal);
        }
    }
    Some(ShownNumber { text, is_zero: whole == 0.0 && numerator == 0.0 })
}

impl FractionLayout {
    fn new(tokens: &[FormatToken]) -> Option<Self> {
        let slash = tokens.iter().position(|token| *token == FormatToken::Slash)?;
        let is_digit = |token: &FormatToken| matches!(token, FormatToken::Digit(_));
        let run = tokens[..slash].iter().rev().take_while(|token| is_digit(token)).count();
        let numerator = slash - run;
        let digits = tokens[slash + 1..].iter().take_while(|token| is_digit(token)).count();
        let (denominator, length) = match tokens.get(slash + 1)? {
            FormatToken::Digit(DigitKind::Zero | DigitKind::Nothing | DigitKind::Space) => {
                (Denominator::Digits(digits), digits)
            }
            FormatToken::Literal(fixed) => (Denominator::Fixed(fixed.trim().parse().ok()?), 1),
            _ => return None,
        };
        // `16` and `100` are a literal with placeholders behind it.
        let zeros = tokens[slash + 2..].iter().take_while(|token| is_digit(token)).count();
        let (denominator, length) = match denominator {
            Denominator::Fixed(fixed) => {
                let power = 10_u32.checked_pow(u32::try_from(zeros).ok()?)?;
                (Denominator::Fixed(fixed.checked_mul(power).filter(|all| *all > 0)?), 1 + zeros)
            }
            Denominator::Digits(digits) if digits > DENOMINATOR_DIGITS_MAX => return None,
            Denominator::Digits(_) => (denominator, length),
        };
        let has_whole = tokens[..numerator].iter().any(is_digit);
        (run > 0).then_some(Self {
            has_whole,
            numerator,
            slash,
            end: slash + 1 + length,
            denominator,
        })
    }
}

/// Returns the nearest fraction with a denominator below `end`, the smallest of equally near ones.
fn nearest_fraction(value: f64, end: u32) -> (f64, u32) {
    let mut best = (f64::INFINITY, 0.0, 1);
    for denominator in 1..end {
        let numerator = (value * f64::from(denominator)).round();
        let distance = (numerator / f64::from(denominator) - value).abs();
        if distance + 1e-12 < best.0 {
            best = (distance, numerator, denominator);
        }
    }
    (best.1, best.2)
}

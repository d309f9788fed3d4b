//! A number as decimal digits, so that it is rounded as a spreadsheet rounds: 1.005 to 1.01.

/// Spreadsheets store and show at most this many digits.
pub(super) const DIGITS: usize = 15;

/// A number that is not negative: `0.D1 D2 D3 …` times ten to the power of `point`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    /// From 0 to 9, without zeros at either end.
    digits: Vec<u8>,
    point: i32,
}

/// A rounded number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RoundedDecimal {
    /// The digits before the point, from 0 to 9; empty for zero.
    pub(super) whole: Vec<u8>,
    /// The digits behind the point, as many as were asked for.
    pub(super) part: Vec<u8>,
}

impl RoundedDecimal {
    pub(super) fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.part.iter().all(|digit| *digit == 0)
    }
}

impl Decimal {
    /// Returns a finite number without its sign.
    pub(super) fn from_f64(value: f64) -> Self {
        let text = format!("{:.*e}", DIGITS - 1, value.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let mut digits: Vec<u8> =
            mantissa.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
        digits.truncate(digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1));
        let point = exponent.parse::<i32>().unwrap_or(0) + 1;
        let point = if digits.is_empty() { 0 } else { point };
        Self { digits, point }
    }

    /// Returns how many digits are before the point; zero or less for numbers below 1.
    pub(super) fn whole_digits(&self) -> i32 {
        self.point
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Multiplies by a power of ten.
    pub(super) fn shifted(&self, places: i32) -> Self {
        let point = if self.is_zero() { 0 } else { self.point + places };
        Self { digits: self.digits.clone(), point }
    }

    /// Rounds half up to this many digits behind the point.
    pub(super) fn round(&self, places: usize) -> RoundedDecimal {
        let places = i32::try_from(places).unwrap_or(i32::MAX);
        let kept = self.point.saturating_add(places);
        let mut digits: Vec<u8> = match usize::try_from(kept) {
            Ok(kept) => self.digits.iter().copied().take(kept).collect(),
            Err(_) => Vec::new(),
        };
        let next = usize::try_from(kept).ok().and_then(|at| self.digits.get(at));
        let mut whole = self.point.max(0);
        // The digits from the first one of the whole part to the last one behind the point.
        let zeros_before = usize::try_from((-self.point).clamp(0, places)).unwrap_or(0);
        digits.splice(0..0, std::iter::repeat_n(0, zeros_before));
        digits.resize(usize::try_from(whole.saturating_add(places)).unwrap_or(0), 0);
        if next.is_some_and(|digit| *digit >= 5) && increment(&mut digits) {
            digits.insert(0, 1);
            whole += 1;
        }
        let part = digits.split_off(usize::try_from(whole).unwrap_or(0));
        RoundedDecimal { whole: digits, part }
    }
}

/// Adds one to the last digit; returns whether a digit must be put in front.
fn increment(digits: &mut [u8]) -> bool {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return false;
        }
        *digit = 0;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_in_decimal() {
        for (value, places, want) in [
            (1.005, 2, "1.01"),
            (0.5, 0, "1."),
            (0.4, 0, "."),
            (0.05, 1, ".1"),
            (0.005, 1, ".0"),
            (0.0009, 3, ".001"),
            (9.96, 1, "10.0"),
            (1234.5, 1, "1234.5"),
            (0.0, 2, ".00"),
            (1e20, 0, "100000000000000000000."),
            (1e-9, 2, ".00"),
        ] {
            let rounded = Decimal::from_f64(value).round(places);
            let text = |digits: &[u8]| digits.iter().map(u8::to_string).collect::<String>();
            assert_eq!(
                format!("{}.{}", text(&rounded.whole), text(&rounded.part)),
                want,
                "{value}"
            );
        }
    }
}

//! The unit or the currency behind a heading: `Price (EUR)`, `Preis €`, `Length [s]`.
//!
//! It says nothing about what the column is for. Pure.

use crate::template::is_currency;

/// Units that a heading may name in brackets.
const UNITS: &[&str] = &[
    "s", "sec", "secs", "seconds", "sek", "min", "h", "px", "mm", "cm", "m", "km", "mg", "g", "kg",
    "ml", "l", "%", "pcs", "stk", "url", "link",
];
/// Between a price and its currency, as in "Price in EUR".
const PREPOSITIONS: &[&str] = &["in", "en"];

/// A heading without its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeadingUnit<'h> {
    /// The heading without it.
    pub(super) name: &'h str,
    /// The currency that it names.
    pub(super) currency: Option<&'h str>,
}

impl<'h> HeadingUnit<'h> {
    pub(super) fn parse(heading: &'h str) -> Self {
        let heading = heading.trim();
        let whole = Self { name: heading, currency: None };
        if let Some((name, unit)) = split_brackets(heading) {
            let currency = Some(unit).filter(|unit| is_currency(unit));
            let is_unit = currency.is_some() || UNITS.contains(&unit.to_lowercase().as_str());
            return if is_unit { Self { name, currency } } else { whole };
        }
        let Some((name, last)) = heading.rsplit_once(char::is_whitespace) else { return whole };
        if !is_currency(last) {
            return whole;
        }
        let name = name.trim_end();
        let without = PREPOSITIONS.iter().find_map(|word| {
            let rest = name.strip_suffix(word)?;
            rest.ends_with(char::is_whitespace).then(|| rest.trim_end())
        });
        Self { name: without.unwrap_or(name), currency: Some(last) }
    }
}

/// Returns what is before brackets at the end, and in them.
fn split_brackets(heading: &str) -> Option<(&str, &str)> {
    let (open, inner) = match (heading.strip_suffix(')'), heading.strip_suffix(']')) {
        (Some(inner), _) => ('(', inner),
        (None, Some(inner)) => ('[', inner),
        (None, None) => return None,
    };
    let (name, unit) = inner.rsplit_once(open)?;
    let unit = unit.trim();
    let unit = PREPOSITIONS
        .iter()
        .find_map(|word| unit.strip_prefix(word)?.strip_prefix(' '))
        .unwrap_or(unit);
    Some((name.trim_end(), unit))
}

/// Returns whether a cell has a currency beside its number, such as `4.90 €` or `CHF 12`.
pub(super) fn names_currency(cell: &str) -> bool {
    let is_of_number = |c: char| c.is_ascii_digit() || c.is_whitespace() || ".,'’-+–".contains(c);
    !cell.chars().all(is_of_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_behind_a_heading_is_no_part_of_its_name() {
        for (heading, name, currency) in [
            ("Price (EUR)", "Price", Some("EUR")),
            ("Preis €", "Preis", Some("€")),
            ("Price [US$]", "Price", Some("US$")),
            ("Price in CHF", "Price", Some("CHF")),
            ("Price (in EUR)", "Price", Some("EUR")),
            ("Length (s)", "Length", None),
            ("Script (EN)", "Script (EN)", None),
            ("Script (status)", "Script (status)", None),
            ("Launch date", "Launch date", None),
            ("€", "€", None),
            ("", "", None),
        ] {
            assert_eq!(HeadingUnit::parse(heading), HeadingUnit { name, currency }, "{heading}");
        }
    }
}

//! Prices: read as spreadsheets display them, and written as readers of a language expect them.
//!
//! A cell with a currency format is displayed with its currency, `€ 12.90`, and the same price reads
//! `12,90 €` in German. Invariant: a cell that is not certainly one price stays as it is.

use std::borrow::Cow;

use pure_rust_locales::{Locale, locale_match};

/// The codes of ISO 4217 that a cell may name.
const CODES: &str = "\
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD \
CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF \
GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK \
LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD \
OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN \
SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XOF XPF YER \
ZAR ZMW";

/// What else a cell may write for a currency.
const SYMBOLS: [&str; 33] = [
    "€", "$", "£", "¥", "￥", "₩", "₹", "₺", "₴", "₪", "₫", "฿", "₽", "₱", "₦", "₸", "₲", "₡",
    "R$", "US$", "A$", "C$", "HK$", "NZ$", "S$", "zł", "Kč", "kr", "kr.", "Fr.", "Ft", "lei",
    "лв.",
];

/// An amount as digits: `1299` and `5`.
#[derive(Debug, PartialEq, Eq)]
struct Amount {
    whole: String,
    fraction: String,
    is_negative: bool,
}

/// A price as a cell displays it.
#[derive(Debug, PartialEq, Eq)]
struct DisplayedPrice<'c> {
    amount: Amount,
    /// The currency that the cell names; `None` for a plain number.
    currency: Option<&'c str>,
}

/// What a cell is as a price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PriceCell {
    /// One price that names its currency.
    WithCurrency,
    /// One number.
    PlainNumber,
    NotOnePrice,
}

/// Returns what a cell is as a price.
pub(crate) fn parse_price_cell(cell: &str) -> PriceCell {
    match DisplayedPrice::parse(cell) {
        Some(DisplayedPrice { currency: Some(_), .. }) => PriceCell::WithCurrency,
        Some(DisplayedPrice { currency: None, .. }) => PriceCell::PlainNumber,
        None => PriceCell::NotOnePrice,
    }
}

impl<'c> DisplayedPrice<'c> {
    fn parse(cell: &'c str) -> Option<Self> {
        let is_digit = |c: char| c.is_ascii_digit();
        let first = cell.find(is_digit)?;
        let end = cell.rfind(is_digit)? + 1;
        let before = cell[..first].trim();
        let (is_negative, before) = match before.strip_prefix(MINUS).or(before.strip_suffix(MINUS))
        {
            Some(rest) => (true, rest.trim()),
            None => (false, before),
        };
        let behind = strip_no_cents(cell[end..].trim());
        let amount = Amount { is_negative, ..Amount::parse(&cell[first..end])? };
        let currency = match (before, behind) {
            ("", "") => None,
            (word, "") | ("", word) => Some(word).filter(|word| is_currency(word)).map(Some)?,
            (_, _) => return None,
        };
        Some(Self { amount, currency })
    }

    /// A format that hides the cents of a currency hides them in each language.
    fn shows_fraction(&self, currency: &str) -> bool {
        let fraction = &self.amount.fraction;
        let has_cents = fraction.bytes().any(|digit| digit != b'0');
        let is_shown = match self.currency {
            Some(own) => has_fraction(own) && !fraction.is_empty(),
            None => has_fraction(currency),
        };
        has_cents || is_shown
    }
}

const MINUS: [char; 2] = ['-', '−'];

/// Removes what stands for "no cents", as in `12.–` and `12,-`.
fn strip_no_cents(behind: &str) -> &str {
    let Some(rest) = behind.strip_prefix(['.', ',']) else { return behind };
    rest.strip_prefix("--").or(rest.strip_prefix(['-', '–', '—'])).map_or(behind, str::trim)
}

/// Checks whether a word is a currency: its code or its symbol.
pub(crate) fn is_currency(word: &str) -> bool {
    SYMBOLS.contains(&word) || CODES.split(' ').any(|code| code == word)
}

impl Amount {
    /// Parses a number as spreadsheets display amounts; `None` for anything else. A single separator
    /// before three digits groups thousands, as no amount has three decimals.
    fn parse(digits: &str) -> Option<Self> {
        let (whole, fraction) = match digits.rsplit_once(['.', ',']) {
            Some((whole, fraction)) if (1..=2).contains(&fraction.len()) => (whole, fraction),
            _ => (digits, ""),
        };
        let groups: Vec<&str> =
            whole.split(['.', ',', ' ', '\u{a0}', '\u{202f}', '\'', '’']).collect();
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_amount = is_number(fraction)
            && groups.iter().all(|group| is_number(group))
            && has_group_sizes(&groups);
        is_amount.then(|| Self {
            whole: groups.concat(),
            fraction: fraction.to_owned(),
            is_negative: false,
        })
    }
}

/// Checks whether digits are grouped as some country groups them: by three, or in India by two
/// before the last three.
fn has_group_sizes(groups: &[&str]) -> bool {
    let Some((first, rest)) = groups.split_first() else { return false };
    let Some((last, middle)) = rest.split_last() else { return !first.is_empty() };
    let is_of_size = |size: usize| {
        (1..=size).contains(&first.len()) && middle.iter().all(|one| one.len() == size)
    };
    // No number of thousands begins with a zero: `0.500` is half, and has three decimals.
    !first.starts_with('0') && last.len() == 3 && (is_of_size(3) || is_of_size(2))
}

/// Returns a price as readers of the locale expect it; a cell that is no price, or whose currency
/// nothing names, as it is. The currency of the cell counts more than `currency`.
pub(super) fn format_price(cell: &str, currency: &str, locale: Locale) -> String {
    let price = DisplayedPrice::parse(cell);
    let Some(price) = price.filter(|price| price.currency.is_some() || !currency.is_empty()) else {
        return cell.trim().to_owned();
    };
    let point = locale_match!(locale => LC_MONETARY::MON_DECIMAL_POINT);
    let separator = locale_match!(locale => LC_MONETARY::MON_THOUSANDS_SEP);
    let mut number = group_thousands(&price.amount.whole, separator);
    if price.shows_fraction(currency) {
        number.push_str(if point.is_empty() { "." } else { point });
        number.push_str(&format!("{:0<2}", price.amount.fraction));
    }
    let sign = if price.amount.is_negative { "-" } else { "" };
    let symbol = currency_symbol(price.currency.unwrap_or(currency));
    // A word is never written against a digit.
    let is_word = symbol.chars().all(|c| c.is_ascii_alphabetic() || c == '.');
    let is_spaced = locale_match!(locale => LC_MONETARY::P_SEP_BY_SPACE) > 0;
    let space = if is_spaced || is_word { "\u{a0}" } else { "" };
    match locale_match!(locale => LC_MONETARY::P_CS_PRECEDES) == 1 {
        true => format!("{sign}{symbol}{space}{number}"),
        false => format!("{sign}{number}{space}{symbol}"),
    }
}

fn group_thousands(digits: &str, separator: &str) -> String {
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push_str(separator);
        }
        grouped.push(digit);
    }
    grouped
}

fn has_fraction(currency: &str) -> bool {
    let whole = ["JPY", "KRW", "VND", "CLP", "ISK", "¥", "￥", "₩", "₫"];
    !whole.contains(&currency.to_uppercase().as_str())
}

/// Returns the symbol of a currency; one without a symbol keeps its code.
fn currency_symbol(currency: &str) -> Cow<'_, str> {
    let symbol = match currency.to_uppercase().as_str() {
        "EUR" => "€",
        "USD" | "AUD" | "CAD" | "NZD" | "MXN" => "$",
        "GBP" => "£",
        "JPY" | "CNY" | "￥" => "¥",
        "KRW" => "₩",
        "INR" => "₹",
        "BRL" => "R$",
        "PLN" => "zł",
        "CZK" => "Kč",
        "SEK" | "NOK" | "DKK" => "kr",
        "TRY" => "₺",
        "UAH" => "₴",
        "ILS" => "₪",
        "VND" => "₫",
        "THB" => "฿",
        _ => return Cow::Borrowed(currency),
    };
    Cow::Borrowed(symbol)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::helpers::locale::find_locale;

    fn assert_prices(table: &[[&str; 4]]) {
        for [cell, currency, language, want] in table {
            let price = format_price(cell, currency, find_locale(language));
            assert_eq!(price, *want, "{cell} {currency} {language}");
        }
    }

    #[test]
    fn plain_number_becomes_a_price_of_the_language() {
        assert_prices(&[
            ["1299", "EUR", "de", "1.299,00\u{a0}€"],
            ["4.9", "EUR", "en", "€4.90"],
            ["4,90", "EUR", "fr", "4,90\u{a0}€"],
            ["1,299.50", "USD", "en", "$1,299.50"],
            ["1.299", "USD", "en", "$1,299.00"],
            ["1\u{202f}299,5", "EUR", "en", "€1,299.50"],
            ["1'299.50", "CHF", "en", "CHF\u{a0}1,299.50"],
            ["1,29,900", "INR", "en", "₹129,900.00"],
            ["12500", "KRW", "ko", "₩12,500"],
            ["980.00", "JPY", "ja", "¥980"],
            ["980.50", "JPY", "ja", "¥980.50"],
            ["5", "CHF", "en", "CHF\u{a0}5.00"],
            ["-3", "USD", "en", "-$3.00"],
        ]);
    }

    #[test]
    fn price_displayed_with_its_currency_is_written_by_the_rules_of_the_language() {
        assert_prices(&[
            ["€ 12.90", "EUR", "de", "12,90\u{a0}€"],
            ["€ 12.90", "EUR", "en", "€12.90"],
            ["€ 12.90", "", "de", "12,90\u{a0}€"],
            [" 4,90\u{a0}€ ", "EUR", "en", "€4.90"],
            ["1.299,00 €", "EUR", "en", "€1,299.00"],
            ["12.90 EUR", "EUR", "de", "12,90\u{a0}€"],
            ["CHF 12.90", "EUR", "de", "12,90\u{a0}CHF"],
            ["$12.90", "EUR", "de", "12,90\u{a0}$"],
            ["US$ 1,299.5", "", "en", "US$1,299.50"],
            ["kr. 25,00", "", "en", "kr.\u{a0}25.00"],
            ["-€5.00", "", "de", "-5,00\u{a0}€"],
            ["€ -5.00", "", "de", "-5,00\u{a0}€"],
            ["￥980", "", "en", "¥980"],
            // The format of the cell hides the cents.
            ["€ 12", "EUR", "de", "12\u{a0}€"],
            ["12.– €", "", "en", "€12"],
            ["CHF 12.-", "", "en", "CHF\u{a0}12"],
        ]);
    }

    #[test]
    fn cell_that_is_not_certainly_one_price_stays_as_it_is() {
        for cell in [
            "",
            "from $5",
            "0.500",
            "€0,005",
            "1.2.3",
            "12 50",
            "5 €/kg",
            "2 for €5",
            "€",
            "5 pcs",
            "€5 $",
            "€ 5–10",
            "12345,678,9",
            "on request",
            "5 €*",
        ] {
            assert_eq!(format_price(cell, "USD", find_locale("de")), cell);
            assert_eq!(parse_price_cell(cell), PriceCell::NotOnePrice, "{cell}");
        }
        assert_eq!(format_price("4.90", "", find_locale("de")), "4.90");
    }
}

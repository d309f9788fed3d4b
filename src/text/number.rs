//! Numbers as text.

/// Returns a number with at most two decimals, without trailing zeros: "2", "0.5", "1.33".
pub(crate) fn format_number(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns an amount of credits with at most one decimal: "1 credit", "2.5 credits".
pub(crate) fn format_credits(credits: f64) -> String {
    let rounded = (credits * 10.0).round() / 10.0;
    if rounded == 1.0 { "1 credit".to_owned() } else { format!("{rounded} credits") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_zeros_are_dropped() {
        let texts = [100.0, 0.5, 4.0 / 3.0, 0.0].map(format_number);
        assert_eq!(texts, ["100", "0.5", "1.33", "0"]);
    }
}

//! Numbers as text.

/// Returns a number with at most two decimals, without trailing zeros: "2", "0.5", "1.33".
pub(crate) fn format_number(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
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

//! Numbers as text.

/// Returns a number with at most two decimals, without trailing zeros: "2", "0.5", "1.33".
pub(crate) fn format_number(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Returns an amount of credits with at most one decimal: "1 credit", "2.5 credits".
pub(crate) fn format_credits(credits: f64) -> String {
    let number = format_credit_number(credits);
    if number == "1" { "1 credit".to_owned() } else { format!("{number} credits") }
}

/// Returns an amount of credits as the figure of a table, rounded like [`format_credits`].
pub(crate) fn format_credit_number(credits: f64) -> String {
    format!("{}", (credits * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_zeros_are_dropped() {
        let texts = [100.0, 0.5, 4.0 / 3.0, 0.0].map(format_number);
        assert_eq!(texts, ["100", "0.5", "1.33", "0"]);
    }

    #[test]
    fn credits_have_one_format_in_sentences_and_tables() {
        let texts = [3.0, 0.96, 4.0 / 3.0, 0.0].map(format_credits);
        assert_eq!(texts, ["3 credits", "1 credit", "1.3 credits", "0 credits"]);
        let figures = [3.0, 0.96, 4.0 / 3.0, 0.0].map(format_credit_number);
        assert_eq!(figures, ["3", "1", "1.3", "0"]);
    }
}

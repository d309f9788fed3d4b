//! Counts with their nouns.

/// Returns `count` with its noun: "1 row", "12 rows", "2 addresses".
pub(crate) fn pluralize(count: u64, noun: &str) -> String {
    let ending = match count {
        1 => "",
        _ if noun.ends_with('s') || noun.ends_with("ch") => "es",
        _ => "s",
    };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        let texts = [(0, "row"), (1, "row"), (2, "media address"), (2, "batch")]
            .map(|(n, s)| pluralize(n, s));
        assert_eq!(texts, ["0 rows", "1 row", "2 media addresses", "2 batches"]);
    }
}

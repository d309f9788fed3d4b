//! "Did you mean": the known names nearest to a wrong one.
//!
//! Case, spaces and punctuation never count. Invariant: one measure for the whole program.

/// Known names listed if none is near; a longer list helps less than the documentation.
const LISTED_NAMES_MAX: usize = 12;

/// Returns the known name that was probably meant by `wrong`; of equally near ones, the first.
pub(crate) fn nearest_name<'n>(
    wrong: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    nearest_names(wrong, known).into_iter().next()
}

/// Returns the known names near to `wrong`, nearest first: at most a third of the letters of the
/// longer name may differ, but always one.
pub(crate) fn nearest_names<'n>(
    wrong: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Vec<&'n str> {
    let wrong = fold(wrong);
    let distance = |name: &'n str| {
        let folded = fold(name);
        if wrong.is_empty() || folded.is_empty() {
            return None;
        }
        let length = wrong.chars().count().max(folded.chars().count());
        let distance = strsim::damerau_levenshtein(&wrong, &folded);
        (distance <= (length / 3).max(1)).then_some((distance, name))
    };
    let mut near: Vec<_> = known.into_iter().filter_map(distance).collect();
    near.sort_by_key(|&(distance, _)| distance);
    near.into_iter().map(|(_, name)| name).collect()
}

/// Returns a hint for the name `wrong`: the nearest known name, or else a list of the known names.
/// `noun` is their plural.
pub(crate) fn suggest_name<'n>(
    wrong: &str,
    known: impl IntoIterator<Item = &'n str> + Clone,
    noun: &str,
) -> String {
    if let Some(name) = nearest_name(wrong, known.clone()) {
        return format!("did you mean `{name}`?");
    }
    let mut names: Vec<String> =
        known.into_iter().take(LISTED_NAMES_MAX + 1).map(|name| format!("`{name}`")).collect();
    if names.is_empty() {
        return format!("there are no {noun}");
    }
    if names.len() > LISTED_NAMES_MAX {
        names[LISTED_NAMES_MAX] = "…".to_owned();
    }
    format!("{noun}: {}", names.join(", "))
}

/// Returns the letters and digits of a name, in lower case.
fn fold(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_its_name_and_another_word_does_not() {
        let known = ["headline", "script", "language", "in_flight", "-"];
        for (wrong, nearest) in [
            ("headlin", Some("headline")),
            ("Script", Some("script")),
            ("langauge", Some("language")),
            ("scri", Some("script")),
            ("in-flight", Some("in_flight")),
            ("price", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest_name(wrong, known), nearest, "{wrong}");
        }
    }

    #[test]
    fn near_names_are_sorted_by_distance() {
        let known = ["transcript", "scripts", "script_en", "SCRIPT"];
        assert_eq!(nearest_names("script", known), ["SCRIPT", "scripts", "script_en"]);
    }

    #[test]
    fn a_hint_lists_the_known_names_if_none_is_near() {
        assert_eq!(suggest_name("price", ["sku", "script"], "columns"), "columns: `sku`, `script`");
        assert_eq!(suggest_name("price", [], "columns"), "there are no columns");
        let many: Vec<String> = (10..40).map(|number| format!("column {number}")).collect();
        let hint = suggest_name("x", many.iter().map(String::as_str), "columns");
        assert!(hint.ends_with("`column 21`, …"), "{hint}");
    }
}

//! Replacement characters, and question marks where another program lost letters.
//!
//! `?` counts within a word, or before a word in lower case. Addresses have queries, and a forgotten
//! space after a question is followed by a capital.

/// Returns the word that lost letters.
pub(super) fn find_lost_letters(cell: &str) -> Option<String> {
    if !cell.contains(['?', '\u{fffd}']) {
        return None;
    }
    if is_all_lost(cell) {
        return Some(cell.to_owned());
    }
    let has_lost = |word: &&str| word.contains('\u{fffd}') || !is_address(word) && is_damaged(word);
    cell.split_whitespace().find(has_lost).map(str::to_owned)
}

/// Nothing but question marks is left of a text in another script.
fn is_all_lost(cell: &str) -> bool {
    let marks = cell.matches('?').count();
    marks > 2 && !cell.chars().any(char::is_alphanumeric)
}

fn is_address(word: &str) -> bool {
    word.contains(['/', '=', '&', '@']) || word.starts_with("www.")
}

fn is_damaged(word: &str) -> bool {
    let chars: Vec<char> = word.chars().collect();
    let is_mark = |index: usize| chars.get(index) == Some(&'?');
    (0..chars.len()).filter(|index| is_mark(*index) && (*index == 0 || !is_mark(index - 1))).any(
        |start| {
            let end = (start..).find(|index| !is_mark(*index)).unwrap_or(chars.len());
            let after = chars.get(end).copied();
            match start.checked_sub(1).map(|before| chars[before]) {
                Some(before) if before.is_alphabetic() => after.is_some_and(|after| {
                    after.is_lowercase() || before.is_uppercase() && after.is_uppercase()
                }),
                Some(_) => false,
                // At the beginning of a word, where an opening mark has another form.
                None => chars[end..].iter().take(2).filter(|c| c.is_lowercase()).count() == 2,
            }
        },
    )
}

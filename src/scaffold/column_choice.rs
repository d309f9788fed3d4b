//! Which of several columns is meant, and how certain that is.
//!
//! Pure.

use super::column_role::CERTAIN_RANK;
use super::sheet_columns::ColumnProfile;

/// How certain a chosen column is.
pub(super) enum ColumnChoice<'s> {
    Certain(&'s ColumnProfile),
    Guess(&'s ColumnProfile),
    None,
}

/// Returns the column of the script. Of several, the longest text is what the presenter says; the others
/// may be texts on the screen.
pub(super) fn choose_script<'s>(candidates: &[&'s ColumnProfile]) -> Option<ColumnChoice<'s>> {
    let longest = candidates.iter().max_by_key(|column| column.chars)?;
    let mut speakable = candidates.iter().filter(|column| column.can_be_script());
    let (Some(column), None) = (speakable.next(), speakable.next()) else {
        return Some(ColumnChoice::Guess(longest));
    };
    let is_named = column.role.is_some_and(|ranked| ranked.rank < CERTAIN_RANK);
    Some(match is_named || column.language.is_some() {
        true => ColumnChoice::Certain(column),
        false => ColumnChoice::Guess(column),
    })
}

//! Finds known keys that were replaced: rows whose paid video lost its row, and new rows that are
//! most likely the same rows under another key. A spreadsheet that drops the zeros of `0071` does
//! this to every row, and each would be paid for again.
//!
//! Two rows are taken for one if their payload is the same, if all cells but the key are, or if the
//! keys differ only in zeros, case and punctuation. Invariant: each row is in at most one pair.

use std::collections::HashMap;
use std::fmt;

use crate::ledger::{ComparedSheet, LedgerError, NewRowContent, RemovedPaidRow};
use crate::text::canonical_text;

/// Removed rows that are compared with new ones; beyond that, the plan removes most rows anyway.
const REMOVED_ROWS_MAX: u32 = 100_000;

/// A key that was replaced by another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplacedKey {
    /// The key in the ledger; its video is paid for.
    pub old: String,
    /// The key in the sheet.
    pub new: String,
    /// The row of the new key.
    pub row_number: i64,
}

impl fmt::Display for ReplacedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is now `{}` (row {})", self.old, self.new, self.row_number)
    }
}

/// The columns of a sheet, as far as keys depend on them.
#[derive(Clone, Debug)]
pub(super) struct KeyColumns {
    /// All headings.
    pub(super) headings: Vec<String>,
    /// The indexes of those that make the key; none if it is a hash of the row.
    pub(super) key: Vec<usize>,
}

/// What is known of a row.
#[derive(Clone, Copy)]
struct RowContent<'r> {
    key: &'r str,
    payload_hash: &'r str,
    variant: Option<&'r str>,
    /// Its cells as JSON.
    cells: &'r str,
}

/// What two rows must share to be taken for one.
#[derive(Debug, PartialEq, Eq, Hash)]
enum RowIdentity {
    Payload(String),
    Cells { variant: Option<String>, cells: Vec<Vec<(String, String)>> },
    Key(String),
}

impl KeyColumns {
    fn is_key(&self, heading: &str) -> bool {
        self.key.iter().any(|index| self.headings.get(*index).is_some_and(|key| key == heading))
    }

    /// Returns what identifies a row besides its exact key, the surest first.
    fn identities(&self, headings: &[String], row: RowContent<'_>) -> Vec<RowIdentity> {
        let RowContent { key, payload_hash, variant, cells } = row;
        let mut identities = vec![RowIdentity::Payload(payload_hash.to_owned())];
        if self.key.is_empty() {
            return identities;
        }
        let rows: Vec<Vec<String>> = serde_json::from_str(cells).unwrap_or_default();
        let content = |row: Vec<String>| -> Vec<(String, String)> {
            let cells = headings.iter().zip(row).filter(|(heading, _)| !self.is_key(heading));
            let cells =
                cells.map(|(heading, cell)| (heading.clone(), canonical_text(&cell).into_owned()));
            let mut cells: Vec<_> = cells.filter(|(_, cell)| !cell.is_empty()).collect();
            cells.sort();
            cells
        };
        let cells: Vec<_> = rows.into_iter().map(content).collect();
        if cells.iter().any(|row| !row.is_empty()) {
            let variant = variant.map(str::to_owned);
            identities.push(RowIdentity::Cells { variant, cells });
        }
        identities.extend(loose_key(key).map(RowIdentity::Key));
        identities
    }
}

/// Finds the replaced keys of a plan.
pub(super) async fn find_replaced_keys(
    compared: &mut ComparedSheet,
    columns: &KeyColumns,
) -> Result<Vec<ReplacedKey>, LedgerError> {
    let mut removed = Vec::new();
    let mut by_identity: HashMap<RowIdentity, Vec<usize>> = HashMap::new();
    for row in compared.removed_paid_rows(REMOVED_ROWS_MAX).await? {
        let RemovedPaidRow { key, variant, payload_hash, cells, headings } = row;
        let headings: Vec<String> = serde_json::from_str(&headings).unwrap_or_default();
        let content = RowContent {
            key: &key,
            payload_hash: &payload_hash,
            variant: variant.as_deref(),
            cells: &cells,
        };
        for identity in columns.identities(&headings, content) {
            by_identity.entry(identity).or_default().push(removed.len());
        }
        removed.push(Some(key));
    }
    let mut replaced = Vec::new();
    if removed.is_empty() {
        return Ok(replaced);
    }
    let mut match_row = |row: NewRowContent| {
        let NewRowContent { key, row_number, variant, payload_hash, cells } = row;
        let content = RowContent {
            key: &key,
            payload_hash: &payload_hash,
            variant: variant.as_deref(),
            cells: &cells,
        };
        let identities = columns.identities(&columns.headings, content);
        let known = identities.iter().filter_map(|identity| by_identity.get(identity)).flatten();
        let old = known.copied().find_map(|index| removed[index].take());
        replaced.extend(old.map(|old| ReplacedKey { old, new: key, row_number }));
    };
    compared.visit_new_rows(&mut match_row).await?;
    Ok(replaced)
}

/// Returns a key without what a spreadsheet changes in it: `0071` and `71`, `90.750` and `90.75`,
/// `8801234500000` and `8.8012345E+12`, `tea-1` and `TEA 1`. `None` if nothing of it remains.
fn loose_key(key: &str) -> Option<String> {
    let is_numeric = key.bytes().next().is_some_and(|first| first.is_ascii_digit());
    if let Some(number) = key.parse::<f64>().ok().filter(|number| is_numeric && number.is_finite())
    {
        return Some(number.to_string());
    }
    let parts = key.split(|c: char| !c.is_alphanumeric());
    let stripped = parts.map(|part| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0".to_owned(),
        rest => rest.to_lowercase(),
    });
    Some(stripped.collect::<String>()).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_a_spreadsheet_changes_are_alike() {
        for (old, new) in [
            ("0071", "71"),
            ("90.750", "90.75"),
            ("8801234500000", "8.8012345E+12"),
            ("tea-1", "TEA 1"),
            ("A-007", "A-7"),
            ("1/en", "01/en"),
        ] {
            assert_eq!(loose_key(old), loose_key(new), "{old} {new}");
        }
        for (one, other) in [("71", "72"), ("A-7", "A-70"), ("inf", "nan"), ("0", "1")] {
            assert_ne!(loose_key(one), loose_key(other), "{one} {other}");
        }
        assert_eq!(loose_key("—"), None);
    }
}

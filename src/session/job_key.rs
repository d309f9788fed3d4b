//! Finds the job that a user names by a part of its key.

use crate::ledger::{JobRow, Ledger, StoredBatch};
use crate::session::error::CommandError;
use crate::text::{display_key, nearest_name, shell_quote};

/// Keys, and rows without a job, among which a named one is searched; more would delay the message.
const KEYS_COMPARED_MAX: u32 = 20_000;
/// Keys that are listed if several contain a part; the ledger returns one more.
const KEYS_LISTED_MAX: usize = 5;

/// Returns the key `part`, or else the only key that contains it.
pub(crate) async fn find_job_key(
    ledger: &Ledger,
    stored: &StoredBatch,
    part: &str,
) -> Result<String, CommandError> {
    let found = ledger.keys_containing(stored.id, part).await?;
    match found.as_slice() {
        [exact, ..] if exact == part => Ok(exact.clone()),
        [only] => Ok(only.clone()),
        [] => Err(unknown_key_error(ledger, stored, part).await?),
        several => Err(ambiguous_key_error(ledger, stored, part, several).await?),
    }
}

/// Returns the keys that `part` may mean. Rows that left the sheet are marked: the user does not see them
/// there.
async fn ambiguous_key_error(
    ledger: &Ledger,
    stored: &StoredBatch,
    part: &str,
    keys: &[String],
) -> Result<CommandError, CommandError> {
    let mut named = Vec::new();
    for key in keys.iter().take(KEYS_LISTED_MAX) {
        let job = ledger.job_history(stored.id, key).await?;
        let is_removed = job.is_some_and(|job| !job.in_sheet);
        let remark = if is_removed { " (removed from the sheet)" } else { "" };
        named.push(format!("{}{remark}", display_key(key)));
    }
    let last = match keys.len() > named.len() {
        true => "more".to_owned(),
        false => named.pop().unwrap_or_default(),
    };
    let message = format!("`{part}` is ambiguous: {} or {last}", named.join(", "));
    Ok(CommandError::usage(message))
}

/// The same, and if `part` is the key of a row with several variants, the keys of them all.
pub(crate) async fn find_row_keys(
    ledger: &Ledger,
    stored: &StoredBatch,
    part: &str,
) -> Result<Vec<String>, CommandError> {
    let is_variant = |key: &String| key.strip_prefix(part).is_some_and(|end| end.starts_with('/'));
    let found = ledger.keys_containing(stored.id, part).await?;
    // A key of its own is not that of a row with variants.
    if found.len() < 2 || !found.iter().all(is_variant) {
        return Ok(vec![find_job_key(ledger, stored, part).await?]);
    }
    let keys = ledger.first_keys(stored.id, KEYS_COMPARED_MAX).await?;
    let variants: Vec<String> = keys.into_iter().filter(is_variant).collect();
    Ok(if variants.len() < found.len() { found } else { variants })
}

/// Returns why no video begins in a row of the spreadsheet.
pub(crate) async fn unknown_row_error(
    ledger: &Ledger,
    stored: &StoredBatch,
    number: u64,
) -> Result<CommandError, CommandError> {
    let rows = ledger.rows_without_job(stored.id, -1, KEYS_COMPARED_MAX).await?;
    let found = rows.iter().find(|row| u64::try_from(row.row_number) == Ok(number));
    Ok(match found {
        Some(row) => row_without_video_error(stored, row, row.key.as_deref()),
        None => CommandError::usage(format!(
            "row {number} has no video in this batch; callsheet jobs {} lists the rows",
            stored.name
        )),
    })
}

/// An invalid row may have no key.
fn row_without_video_error(stored: &StoredBatch, row: &JobRow, key: Option<&str>) -> CommandError {
    let key = key.map(|key| format!("`{key}` has no video: ")).unwrap_or_default();
    let reason = match &row.message {
        Some(reason) => format!(": {reason}"),
        None => format!("; `callsheet plan {}` says why", shell_quote(&stored.file)),
    };
    CommandError::usage(format!("{key}row {} is {}{reason}", row.row_number, row.status().label()))
}

/// Returns why no key contains `part`: its row is skipped or invalid, or it was misspelt.
async fn unknown_key_error(
    ledger: &Ledger,
    stored: &StoredBatch,
    part: &str,
) -> Result<CommandError, CommandError> {
    let rows = ledger.rows_without_job(stored.id, -1, KEYS_COMPARED_MAX).await?;
    // With languages, each of them is a row of its own.
    let is_it = |row: &&JobRow| {
        let end = row.key.as_deref().and_then(|key| key.strip_prefix(part));
        end.is_some_and(|end| end.is_empty() || end.starts_with('/'))
    };
    if let Some(row) = rows.iter().find(is_it) {
        return Ok(row_without_video_error(stored, row, Some(part)));
    }
    let keys = ledger.first_keys(stored.id, KEYS_COMPARED_MAX).await?;
    let hint = nearest_name(part, keys.iter().map(String::as_str))
        .map_or(String::new(), |key| format!("; did you mean `{key}`?"));
    let hint = match hint.as_str() {
        "" => format!("; callsheet jobs {} lists the keys", stored.name),
        _ => hint,
    };
    Ok(CommandError::usage(format!("no key of this batch contains `{part}`{hint}")))
}

//! Finds the job that a user names by a part of its key.

use crate::ledger::{Ledger, StoredBatch};
use crate::session::error::CommandError;
use crate::text::nearest_name;

/// Keys among which a similar one is searched; more would delay the message.
const KEYS_COMPARED_MAX: u32 = 20_000;

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
        [] => {
            let keys = ledger.first_keys(stored.id, KEYS_COMPARED_MAX).await?;
            let hint = nearest_name(part, keys.iter().map(String::as_str))
                .map_or(String::new(), |key| format!("; did you mean `{key}`?"));
            Err(CommandError::usage(format!("no key of this batch contains `{part}`{hint}")))
        }
        [before @ .., last] => {
            let message = format!("`{part}` is ambiguous: {} or {last}", before.join(", "));
            Err(CommandError::usage(message))
        }
    }
}

//! Recording verdicts on the current videos of some keys.
//!
//! Invariant: either all verdicts of a request are recorded or none.

use crate::clock::Clock;
use crate::ledger::{
    Ledger, NewVerdict, ReviewItem, StoredBatch, VerdictKind, VerdictOrigin, VerdictOutcome,
    VerdictSource,
};
use crate::runner;
use crate::session::error::CommandError;
use crate::session::job_key::{find_job_key, find_row_keys};
use crate::text::strip_control;

/// Characters of a reason, or of a reviewer's name.
pub(crate) const REASON_CHARS_MAX: usize = 1000;
pub(crate) const REVIEWER_CHARS_MAX: usize = 100;
/// The environment variables that hold the user's name.
const USER_VARS: [&str; 3] = ["USER", "LOGNAME", "USERNAME"];

/// One decision on the videos of some keys.
#[derive(Clone, Debug)]
pub(crate) struct VerdictRequest {
    pub(crate) kind: VerdictKind,
    pub(crate) keys: Vec<String>,
    pub(crate) reason: Option<String>,
}

/// Returns the user of this process, as the source of verdicts.
pub(crate) fn command_line_source() -> VerdictSource {
    let user = USER_VARS.iter().find_map(|name| std::env::var(name).ok());
    let user = user.filter(|user| !user.is_empty()).unwrap_or_else(|| "unknown".to_owned());
    let reviewer = format!("{user}@{}", runner::host_name());
    VerdictSource { reviewer, origin: VerdictOrigin::Cli, share_link: None }
}

/// Returns a text that a reviewer typed, without control characters and not too long; `None` if nothing
/// is left of it.
pub(crate) fn clean_text(text: &str, chars_max: usize) -> Option<String> {
    let clean: String = strip_control(text.trim()).chars().take(chars_max).collect();
    (!clean.is_empty()).then_some(clean)
}

/// Records decisions on the videos as they are now. Returns the videos.
///
/// # Errors
/// Every key that cannot be decided on, in one message.
pub(crate) async fn record_verdicts(
    ledger: &Ledger,
    stored: &StoredBatch,
    requests: Vec<VerdictRequest>,
    source: VerdictSource,
    clock: &Clock,
) -> Result<Vec<(VerdictKind, ReviewItem)>, CommandError> {
    let (mut decided, mut verdicts, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for VerdictRequest { kind, keys, reason } in requests {
        for key in keys_of_rows(ledger, stored, keys).await {
            match find_video(ledger, stored, &key).await? {
                Ok(item)
                    if decided.iter().any(|(_, other): &(_, ReviewItem)| other.key == item.key) =>
                {
                    problems.push(format!("`{key}` is named twice"));
                }
                Ok(item) => {
                    verdicts.push(new_verdict(kind, &item, reason.clone()));
                    decided.push((kind, item));
                }
                Err(problem) => problems.push(problem),
            }
        }
    }
    if !problems.is_empty() {
        let problems = problems.join("\n");
        return Err(CommandError::usage(format!("{problems}\nno verdict was recorded")));
    }
    match ledger.record_verdicts(stored.id, verdicts, source, clock.now()).await? {
        VerdictOutcome::Recorded => Ok(decided),
        VerdictOutcome::Changed { keys } => Err(CommandError::usage(format!(
            "the video of {} has changed in this moment; no verdict was recorded",
            keys.join(", ")
        ))),
        // Only what comes through a share link is refused.
        VerdictOutcome::Protected { reviewer } => {
            Err(CommandError::usage(format!("{reviewer} has decided; no verdict was recorded")))
        }
    }
}

fn new_verdict(kind: VerdictKind, item: &ReviewItem, reason: Option<String>) -> NewVerdict {
    NewVerdict {
        key: item.key.clone(),
        version: item.version,
        video_hash: item.video_hash.clone(),
        kind,
        reason,
    }
}

/// Returns the keys with those of all variants of a row in place of its own. One that cannot be found is
/// kept: the search for its video says why.
async fn keys_of_rows(ledger: &Ledger, stored: &StoredBatch, parts: Vec<String>) -> Vec<String> {
    let mut keys = Vec::with_capacity(parts.len());
    for part in parts {
        keys.extend(find_row_keys(ledger, stored, &part).await.unwrap_or_else(|_| vec![part]));
    }
    keys
}

/// Returns the finished video of a key, or why it cannot be decided on.
async fn find_video(
    ledger: &Ledger,
    stored: &StoredBatch,
    part: &str,
) -> Result<Result<ReviewItem, String>, CommandError> {
    let key = match find_job_key(ledger, stored, part).await {
        Ok(key) => key,
        Err(error) => return error.message().map(|message| Err(message.to_owned())).ok_or(error),
    };
    if let Some(item) = ledger.review_item(stored.id, &key).await? {
        return Ok(Ok(item));
    }
    let history = ledger.job_history(stored.id, &key).await?;
    let state = match &history {
        Some(history) if !history.in_sheet => {
            "its row makes no video now: it was removed, is skipped or is invalid".to_owned()
        }
        Some(history) => format!("it is {}", history.job.status().label()),
        None => "it is not in the ledger".to_owned(),
    };
    Ok(Err(format!("`{key}` has no video to review: {state}")))
}

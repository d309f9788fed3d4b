//! The videos of a batch with their verdicts as JSON: what `review --json` prints, and what the console
//! answers.

use serde_json::{Value, json};

use crate::ledger::{ReviewCounts, ReviewItem, ReviewVerdict};
use crate::text::time_format::format_rfc3339;

/// Returns a video with its verdict.
pub(crate) fn item_json(item: &ReviewItem) -> Value {
    let verdict = item.verdict.as_ref();
    json!({
        "key": item.key,
        "row": item.row_number,
        "variant": item.variant,
        "version": item.version,
        "video_file": item.video_file,
        "digest": item.video_hash,
        "seconds": item.video_ms as f64 / 1000.0,
        "review": verdict.map(|verdict| verdict.kind.as_str()),
        "review_reason": verdict.and_then(|verdict| verdict.reason.as_deref()),
        "reviewed_by": verdict.map(ReviewVerdict::attribution),
        "reviewed_at": verdict.map(|verdict| format_rfc3339(verdict.at)),
        "origin": verdict.map(|verdict| verdict.origin.as_str()),
    })
}

/// Returns the counts by verdict.
pub(crate) fn counts_json(counts: &ReviewCounts) -> Value {
    json!({
        "waiting": counts.waiting,
        "approved": counts.approved,
        "rejected": counts.rejected,
        "changes": counts.changes,
    })
}

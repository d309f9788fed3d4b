//! The name that was sent for a submission: that of its payload, with its tag.

use crate::ledger::{Ledger, LedgerError, SubmissionId, Tag};
use crate::payload::Payload;

/// Returns the project's name as it was sent for a submission with this tag, if its payload can still
/// be read.
///
/// # Errors
/// Those of the ledger.
pub async fn sent_project_name(
    ledger: &Ledger,
    submission: SubmissionId,
    tag: &Tag,
) -> Result<Option<String>, LedgerError> {
    let payload = ledger.sent_payload(submission).await?;
    let text = payload.and_then(|payload| payload.text().ok());
    Ok(text.and_then(|text| Payload::sent_project_name(&text, tag.as_str()).ok()))
}

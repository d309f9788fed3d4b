//! Whose draft a response names: a cache, a proxy, or two crossed responses may return another row's
//! project, or a former draft of the same row.
//!
//! Reads the project and compares its tag; what follows from the answer is the draft loop's decision.
//! A project is believed to be this draft only if its tag was read. A read that fails concludes
//! nothing and is repeated: the project is free until it is exported.

use std::time::Duration;

use crate::aistudios::{CallError, ProjectDetails, StudioApi};
use crate::batch::ProjectNameHandling;
use crate::ledger::{ClaimedSubmission, Tag};
use crate::request::RequestKind;
use crate::runner::context::RunContext;

/// The pauses between the reads of a project that cannot be read: half a minute together, as long as
/// AI Studios is expected to take until it shows a new project.
const READ_PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(16),
];

/// Whose draft a created project is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DraftOwner {
    /// It carries the tag of this draft, or its kind of request carries none.
    ThisDraft,
    /// It carries another tag.
    OtherDraft,
    /// Its name carries no tag.
    Untagged,
    /// AI Studios has not known it for half a minute.
    NotKnownYet,
    /// It could not be read.
    Unread {
        /// Why.
        message: String,
    },
    /// The run ended before it was read.
    Stopped,
}

/// Reads whose draft a created project is, where projects keep their tags.
pub(super) async fn read_draft_owner<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    id: &str,
) -> DraftOwner {
    let is_tagged = RequestKind::from_name(&claim.request).is_some_and(RequestKind::is_tagged);
    if !is_tagged || run.settings.vendor.names == ProjectNameHandling::Changed {
        return DraftOwner::ThisDraft;
    }
    let mut owner = read_once(run, claim, id).await;
    for pause in READ_PAUSES {
        match owner {
            DraftOwner::NotKnownYet | DraftOwner::Unread { .. } => {}
            DraftOwner::ThisDraft
            | DraftOwner::OtherDraft
            | DraftOwner::Untagged
            | DraftOwner::Stopped => return owner,
        }
        run.sleep_or_stop(run.jitter.apply(pause, 0.1), run.submitting_stopped()).await;
        if !run.can_submit() {
            return DraftOwner::Stopped;
        }
        owner = read_once(run, claim, id).await;
    }
    owner
}

async fn read_once<S: StudioApi>(
    run: &RunContext<S>,
    claim: &ClaimedSubmission,
    id: &str,
) -> DraftOwner {
    match run.call_api(run.studio.read_project(id)).await {
        None => DraftOwner::Stopped,
        Some(Ok(project)) => owner_of_project(&project, &claim.tag),
        Some(Err(CallError::NotFound)) => DraftOwner::NotKnownYet,
        Some(Err(error)) => DraftOwner::Unread { message: error.to_string() },
    }
}

fn owner_of_project(project: &ProjectDetails, tag: &Tag) -> DraftOwner {
    match project.name.as_deref().and_then(Tag::find_in_name) {
        Some(found) if found == *tag => DraftOwner::ThisDraft,
        Some(_) => DraftOwner::OtherDraft,
        None => DraftOwner::Untagged,
    }
}

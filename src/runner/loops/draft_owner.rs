//! Whose draft a response names: a cache, a proxy, or two crossed responses may return another row's
//! project, or a former draft of the same row.
//!
//! Reads the project and compares its tag; what follows from the answer is the draft loop's decision.
//! A read that fails concludes nothing and is repeated: the project is free until it is exported.

use crate::aistudios::{ProjectDetails, StudioApi};
use crate::batch::ProjectNameHandling;
use crate::ledger::{ClaimedSubmission, Tag};
use crate::request::RequestKind;
use crate::runner::context::RunContext;

/// How often a project that cannot be read is read again, by the batch's back-off.
const REREADS: i64 = 5;

/// Whose draft a created project is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DraftOwner {
    /// It carries the tag of this draft, or its kind of request carries none.
    ThisDraft,
    /// It carries another tag.
    OtherDraft,
    /// Its name carries no tag.
    Untagged,
    /// It could not be read, or AI Studios does not know it yet.
    Unread,
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
    for failures in 0..REREADS {
        match owner {
            DraftOwner::Unread => {}
            DraftOwner::ThisDraft
            | DraftOwner::OtherDraft
            | DraftOwner::Untagged
            | DraftOwner::Stopped => return owner,
        }
        run.sleep_or_stop(run.backoff_delay(failures), run.submitting_stopped()).await;
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
        Some(Err(_)) => DraftOwner::Unread,
    }
}

fn owner_of_project(project: &ProjectDetails, tag: &Tag) -> DraftOwner {
    match project.name.as_deref().and_then(Tag::find_in_name) {
        Some(found) if found == *tag => DraftOwner::ThisDraft,
        Some(_) => DraftOwner::OtherDraft,
        None => DraftOwner::Untagged,
    }
}

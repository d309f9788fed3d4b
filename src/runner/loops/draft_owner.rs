//! Whose draft a response names: a cache, a proxy, or two crossed responses may return another row's
//! project, or a former draft of the same row.
//!
//! Reads the project and compares its tag; what follows from the answer is the draft loop's decision.
//! A read that fails concludes nothing and is repeated: the project is free until it is exported. If
//! AI Studios shows no draft at all, which one row finds out, the others do not wait for theirs.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::aistudios::{CallError, ProjectDetails, StudioApi};
use crate::batch::ProjectNameHandling;
use crate::ledger::{ClaimedSubmission, Tag};
use crate::request::RequestKind;
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::text::format_duration;

/// Fewer failed reads conclude nothing, however long they took.
const FAILURES_MIN: i64 = 6;
/// Failed reads of a draft after which a message says why its row waits.
const FAILURES_UNTIL_REPORTED: i64 = 3;

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
    let mut reads = FailedReads { count: 0, begun: run.clock.awake_time() };
    loop {
        let error = match run.call_api(run.studio.read_project(id)).await {
            None => return DraftOwner::Stopped,
            Some(Ok(project)) => {
                run.progress.drafts_are_shown.store(true, Ordering::Relaxed);
                return owner_of_project(&project, &claim.tag);
            }
            Some(Err(error)) => error,
        };
        // A pause that AI Studios asks for is no failed read.
        if !matches!(error, CallError::RateLimited { .. }) {
            reads.count += 1;
            if reads.are_enough(run, &error) {
                return DraftOwner::Unread;
            }
            if reads.count == FAILURES_UNTIL_REPORTED {
                report_wait(run, claim);
            }
        }
        run.sleep_or_stop(run.backoff_delay(reads.count), run.submitting_stopped()).await;
        if !run.can_submit() {
            return DraftOwner::Stopped;
        }
    }
}

/// The failed reads of one draft.
struct FailedReads {
    count: i64,
    /// In awake time.
    begun: Duration,
}

impl FailedReads {
    /// Returns whether the draft is not read again. Remembers whether AI Studios shows drafts at all.
    fn are_enough<S: StudioApi>(&self, run: &RunContext<S>, error: &CallError) -> bool {
        let progress = &run.progress;
        let is_shown = progress.drafts_are_shown.load(Ordering::Relaxed);
        let is_hidden = error.is_about_project() && !is_shown;
        let waited = run.clock.awake_time().saturating_sub(self.begun);
        if waited >= run.unread_wait() && self.count >= FAILURES_MIN {
            progress.drafts_are_hidden.fetch_or(is_hidden, Ordering::Relaxed);
            return true;
        }
        is_hidden && progress.drafts_are_hidden.load(Ordering::Relaxed)
    }
}

fn report_wait<S: StudioApi>(run: &RunContext<S>, claim: &ClaimedSubmission) {
    let message = format!(
        "{}: its draft cannot be read; read again for up to {} before that is accepted",
        claim.key,
        format_duration(run.unread_wait())
    );
    run.observer.notify(RunEvent::Waiting { message });
}

fn owner_of_project(project: &ProjectDetails, tag: &Tag) -> DraftOwner {
    match project.name.as_deref().and_then(Tag::find_in_name) {
        Some(found) if found == *tag => DraftOwner::ThisDraft,
        Some(_) => DraftOwner::OtherDraft,
        None => DraftOwner::Untagged,
    }
}

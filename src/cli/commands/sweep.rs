//! `callsheet sweep`: deletes stray drafts from the AI Studios account.
//!
//! Only drafts with exactly the name that was sent, tag included, created between the request and its
//! reconciliation, whose export never began and which AI Studios does not show as exported; if that is
//! not certain, a project stays. A copy that a user made is kept. If AI Studios reports a different
//! number of deletions than requested, each project is checked.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::aistudios::{AiStudios, CallError, ProjectDetails, StudioApi};
use crate::cli::args::{BatchRef, GlobalArgs, TrustArgs};
use crate::cli::output::printer::Printer;
use crate::cli::output::prompt::confirm;
use crate::ledger::{Ledger, StrayDraft, SubmissionId, Tag};
use crate::runner;
use crate::runner::ProjectIndex;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::locked_batch::LeasedBatch;
use crate::text::{pluralize, strip_control};

/// Reason for keeping a project that may no longer be a draft.
const MAYBE_EXPORTED: &str = "it may have been exported";
/// The clocks of this machine and of AI Studios may differ by this many milliseconds.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(10);

/// Delete leftover drafts from AI Studios
#[derive(Debug, Args)]
#[command(after_help = "\
If the response to a free draft is lost, the draft stays in your account. It is
found by the tag in its name. The drafts are listed before any is deleted.")]
pub(crate) struct SweepArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    #[command(flatten)]
    trust: TrustArgs,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(crate) async fn run(args: SweepArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: SweepArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let leased = args.batch_ref.lease_batch(global).await?;
    let (batch, target) =
        match args.batch_ref.load_target(&leased.ledger, &leased.stored, args.trust).await {
            Ok(found) => found,
            Err(error) => {
                leased.release().await?;
                return Err(error);
            }
        };
    let studio = target.ai_studios(&batch, &leased.clock)?;
    let outcome = sweep_drafts(&args, &leased, &studio, printer).await;
    target.close().await;
    leased.release().await?;
    outcome
}

async fn sweep_drafts(
    args: &SweepArgs,
    leased: &LeasedBatch,
    studio: &AiStudios,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let strays = leased.ledger.stray_drafts(leased.stored.id).await?;
    let list = studio.list_projects().await.map_err(call_error)?;
    let mut plan = SweepPlan::default();
    let now = leased.clock.now();
    for (id, candidate) in find_candidates(&strays, &ProjectIndex::from_list(list)) {
        let sent_name = sent_project_name(&leased.ledger, candidate.stray).await?;
        let check = DraftCheck { stray: candidate.stray, sent_name, now };
        plan.add(id, check, candidate.is_exported, studio, printer).await;
    }
    plan.keep_copies(printer);
    for draft in &plan.to_delete {
        if !printer.is_json() {
            let (id, name) = (&draft.id, strip_control(&draft.name));
            let key = strip_control(&draft.stray.key);
            printer.print_result(&format!("{id}  draft of `{key}`: {name}"));
        }
    }
    let ids: Vec<String> = plan.to_delete.iter().map(|draft| draft.id.clone()).collect();
    let drafts = pluralize(ids.len() as u64, "draft");
    let mut deleted = 0;
    if !ids.is_empty() {
        if !confirm(&format!("Delete {drafts} from AI Studios?"), args.yes, printer) {
            return Ok(ExitReason::Done);
        }
        deleted = studio.delete_projects(&ids).await.map_err(call_error)?;
        plan.record_deleted(deleted, studio).await;
    }
    leased.lease.mark_swept(plan.fully_deleted(), leased.clock.now()).await?;
    if printer.is_json() {
        printer.print_json(&json!({ "asked": ids.len(), "deleted": deleted }));
    } else if ids.is_empty() {
        printer.print_result("No stray drafts");
    } else {
        printer.print_result(&format!("Deleted {deleted} of {drafts}"));
    }
    Ok(if deleted == ids.len() as u64 { ExitReason::Done } else { ExitReason::TransientFailure })
}

fn call_error(error: CallError) -> CommandError {
    CommandError::new(ExitReason::TransientFailure, error)
}

/// The candidates by outcome.
#[derive(Default)]
struct SweepPlan<'s> {
    /// Projects to delete.
    to_delete: Vec<SweptDraft<'s>>,
    /// Submissions with a project that no longer exists.
    deleted: Vec<SubmissionId>,
    /// Submissions with a project that is kept.
    kept: BTreeSet<SubmissionId>,
}

impl<'s> SweepPlan<'s> {
    /// Adds a candidate to those to delete, already deleted, or kept.
    async fn add(
        &mut self,
        id: String,
        check: DraftCheck<'s>,
        is_exported: bool,
        studio: &AiStudios,
        printer: &Printer,
    ) {
        let stray = check.stray;
        // The details of the project decide whether it is still a draft.
        let project = if is_exported { None } else { Some(studio.read_project(&id).await) };
        let reason = match project {
            None => MAYBE_EXPORTED.to_owned(),
            Some(Ok(project)) => match check.keep_reason(&project) {
                None => {
                    let (name, created_at) = (project.name.unwrap_or_default(), project.created_at);
                    return self.to_delete.push(SweptDraft { id, name, created_at, stray });
                }
                Some(reason) => reason.to_owned(),
            },
            Some(Err(CallError::NotFound)) => return self.deleted.push(stray.submission),
            Some(Err(error)) => error.to_string(),
        };
        printer.status(&format!("{id} is kept: {reason}"));
        self.kept.insert(stray.submission);
    }

    /// Keeps all but the oldest project of a draft whose response was lost: a copy is made later.
    fn keep_copies(&mut self, printer: &Printer) {
        self.to_delete.sort_by_key(|draft| (draft.stray.submission, draft.created_at));
        let mut kept = Vec::new();
        let mut last = None;
        self.to_delete.retain(|draft| {
            let is_copy = last.replace(draft.stray.submission) == Some(draft.stray.submission);
            if is_copy {
                kept.push((draft.id.clone(), draft.stray.submission));
            }
            !is_copy
        });
        for (id, submission) in kept {
            printer.status(&format!("{id} is kept: it may be a copy of another project"));
            self.kept.insert(submission);
        }
    }

    /// Records the deletions. If their number differs from the request, it does not show which
    /// projects remain, so each is checked.
    async fn record_deleted(&mut self, deleted: u64, studio: &AiStudios) {
        for SweptDraft { id, stray, .. } in &self.to_delete {
            let is_gone = deleted == self.to_delete.len() as u64
                || studio.read_project(id).await == Err(CallError::NotFound);
            if is_gone {
                self.deleted.push(stray.submission);
            } else {
                self.kept.insert(stray.submission);
            }
        }
    }

    /// Returns the submissions without any remaining project.
    fn fully_deleted(self) -> Vec<SubmissionId> {
        let Self { mut deleted, kept, .. } = self;
        deleted.retain(|submission| !kept.contains(submission));
        deleted
    }
}

/// A draft that will be deleted.
struct SweptDraft<'s> {
    id: String,
    name: String,
    created_at: Option<Timestamp>,
    stray: &'s StrayDraft,
}

/// What is known of a stray draft, to compare a project with it.
struct DraftCheck<'s> {
    stray: &'s StrayDraft,
    sent_name: Option<String>,
    now: Timestamp,
}

impl DraftCheck<'_> {
    /// Returns the reason for keeping a project; `None` if it may be deleted.
    fn keep_reason(&self, project: &ProjectDetails) -> Option<&'static str> {
        let tag = project.name.as_deref().and_then(Tag::find_in_name);
        if project.export_evidence().is_some() {
            Some(MAYBE_EXPORTED)
        } else if tag.is_none_or(|tag| tag.as_str() != self.stray.tag) {
            Some("its name no longer has the tag of this draft; it may be in use")
        } else if self.sent_name.is_none() {
            Some("the name that was sent for it is no longer known")
        } else if project.name != self.sent_name {
            Some("its name is not the one that was sent; it may be a copy, or in use")
        } else if !self.is_of_that_time(project) {
            Some("it was not created when this draft was; it may be a copy")
        } else {
            None
        }
    }

    /// Returns whether the project was created between the draft's request and its reconciliation,
    /// as far as that is known. If it is from the future, the clocks cannot be compared.
    fn is_of_that_time(&self, project: &ProjectDetails) -> bool {
        let Some(created_at) = project.created_at else { return true };
        let age_at = |at: Timestamp| at.duration_since(created_at);
        let settled_at = self.stray.settled_at.unwrap_or(self.now);
        let is_from_future = age_at(self.now) < -CLOCK_SKEW;
        age_at(self.stray.begun_at) <= CLOCK_SKEW
            && (is_from_future || age_at(settled_at) >= -CLOCK_SKEW)
    }
}

/// Returns the name that was sent for a draft, if its payload can still be read.
async fn sent_project_name(
    ledger: &Ledger,
    stray: &StrayDraft,
) -> Result<Option<String>, CommandError> {
    let tag = Tag::find_in_name(&format!("[cs:{}]", stray.tag));
    let Some(tag) = tag else { return Ok(None) };
    Ok(runner::sent_project_name(ledger, stray.submission, &tag).await?)
}

/// A project with the tag of a stray draft.
struct SweepCandidate<'s> {
    stray: &'s StrayDraft,
    /// Whether the project list shows it as exported.
    is_exported: bool,
}

/// Returns the projects of stray drafts, from the ledger and the project list.
fn find_candidates<'s>(
    strays: &'s [StrayDraft],
    list: &ProjectIndex,
) -> BTreeMap<String, SweepCandidate<'s>> {
    let mut found = BTreeMap::new();
    for stray in strays {
        if let Some(id) = &stray.project_id {
            found.insert(id.clone(), SweepCandidate { stray, is_exported: false });
        }
        let Some(tag) = Tag::find_in_name(&format!("[cs:{}]", stray.tag)) else { continue };
        for listed in list.with_tag(&tag) {
            let candidate = SweepCandidate { stray, is_exported: listed.is_exported() };
            found.insert(listed.id.to_string(), candidate);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::aistudios::ProjectId;
    use crate::cli::commands::sweep::*;

    const NAME: &str = "Ann [cs:aaaaaaaaaaaaa]";

    fn hour(number: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(number)
    }

    #[test]
    fn only_the_draft_with_the_sent_name_and_of_its_time_may_be_deleted() {
        let stray = StrayDraft {
            submission: 1.into(),
            tag: "aaaaaaaaaaaaa".to_owned(),
            project_id: None,
            key: "ann".to_owned(),
            begun_at: hour(100),
            settled_at: Some(hour(101)),
        };
        for (name, created_at, sent_name, reason) in [
            (NAME, hour(100), Some(NAME), None),
            ("Copy of Ann [cs:aaaaaaaaaaaaa]", hour(100), Some(NAME), Some("not the one")),
            ("Ann", hour(100), Some(NAME), Some("no longer has the tag")),
            (NAME, hour(100), None, Some("no longer known")),
            (NAME, hour(98), Some(NAME), Some("not created when")),
            (NAME, hour(103), Some(NAME), Some("not created when")),
        ] {
            let project = ProjectDetails {
                id: ProjectId::parse("d1").unwrap(),
                name: Some(name.to_owned()),
                state: None,
                percent: None,
                task_id: None,
                credit_subtracted: None,
                price: None,
                video_url: None,
                created_at: Some(created_at),
            };
            let sent_name = sent_name.map(str::to_owned);
            let check = DraftCheck { stray: &stray, sent_name, now: hour(200) };
            let kept = check.keep_reason(&project);
            let expected = match (kept, reason) {
                (Some(kept), Some(reason)) => kept.contains(reason),
                (kept, reason) => kept == reason,
            };
            assert!(expected, "{name} of {created_at}: {kept:?}");
            let video_url = Some("https://v.example/a.mp4".to_owned());
            assert!(check.keep_reason(&ProjectDetails { video_url, ..project }).is_some());
        }
    }
}

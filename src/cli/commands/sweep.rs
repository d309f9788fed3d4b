//! `callsheet sweep`: deletes stray drafts from the AI Studios account.
//!
//! Only drafts with a tag of this ledger, whose export never began and which AI Studios does not
//! show as exported; if that is not certain, a project stays. If AI Studios reports a different number of
//! deletions than requested, each project is checked.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde_json::json;

use crate::aistudios::{AiStudios, CallError, ProjectDetails, StudioApi};
use crate::cli::args::{BatchRef, GlobalArgs, TrustArgs};
use crate::cli::output::printer::Printer;
use crate::cli::output::prompt::confirm;
use crate::ledger::{StrayDraft, SubmissionId, Tag};
use crate::runner::ProjectIndex;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::locked_batch::LeasedBatch;
use crate::text::{pluralize, strip_control};

/// Reason for keeping a project that may no longer be a draft.
const MAYBE_EXPORTED: &str = "it may have been exported";

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
    let (batch, target) = match args.batch_ref.load_target(&leased, args.trust).await {
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
    for (id, candidate) in find_candidates(&strays, &ProjectIndex::from_list(list)) {
        plan.add(id, candidate, studio, printer).await;
    }
    for (id, stray) in &plan.to_delete {
        if !printer.is_json() {
            printer.print_result(&format!("{id}  draft of `{}`", strip_control(&stray.key)));
        }
    }
    let ids: Vec<String> = plan.to_delete.iter().map(|(id, _)| id.clone()).collect();
    let drafts = pluralize(ids.len() as u64, "draft");
    let mut deleted = 0;
    if !ids.is_empty() {
        if !confirm(&format!("delete {drafts} from AI Studios?"), args.yes, printer) {
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
    to_delete: Vec<(String, &'s StrayDraft)>,
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
        candidate: SweepCandidate<'s>,
        studio: &AiStudios,
        printer: &Printer,
    ) {
        let SweepCandidate { stray, is_exported } = candidate;
        // The details of the project decide whether it is still a draft.
        let project = if is_exported { None } else { Some(studio.read_project(&id).await) };
        let reason = match project {
            None => MAYBE_EXPORTED.to_owned(),
            Some(Ok(project)) => match keep_reason(&project, stray) {
                None => return self.to_delete.push((id, stray)),
                Some(reason) => reason.to_owned(),
            },
            Some(Err(CallError::NotFound)) => return self.deleted.push(stray.submission),
            Some(Err(error)) => error.to_string(),
        };
        printer.status(&format!("{id} is kept: {reason}"));
        self.kept.insert(stray.submission);
    }

    /// Records the deletions. If their number differs from the request, it does not show which
    /// projects remain, so each is checked.
    async fn record_deleted(&mut self, deleted: u64, studio: &AiStudios) {
        for (id, stray) in &self.to_delete {
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

/// Returns the reason for keeping a project; `None` if it may be deleted.
fn keep_reason(project: &ProjectDetails, stray: &StrayDraft) -> Option<&'static str> {
    let tag = project.name.as_deref().and_then(Tag::find_in_name);
    if project.export_evidence().is_some() {
        Some(MAYBE_EXPORTED)
    } else if tag.is_none_or(|tag| tag.as_str() != stray.tag) {
        Some("its name no longer has the tag of this draft; it may be in use")
    } else {
        None
    }
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

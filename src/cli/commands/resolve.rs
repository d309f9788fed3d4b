//! `callsheet resolve`: the operator decides about one uncertain job.
//!
//! AI Studios is checked first: evidence takes precedence over the operator's statement.

use clap::{ArgGroup, Args};
use serde_json::json;

use crate::aistudios::{CallError, StudioApi};
use crate::cli::args::{BatchRef, GlobalArgs};
use crate::cli::output::printer::Printer;
use crate::ledger::{CallbackReport, DueJob, JobUpdate, Ledger};
use crate::runner::{
    ProjectIndex, SubmissionEvidence, assess_submission, combine_with_callback,
    profile_keeps_export_id,
};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::job_key::find_job_key;
use crate::session::locked_batch::LeasedBatch;
use crate::text::strip_control;

/// Decide about a video that may have been paid for
#[derive(Debug, Args)]
#[command(override_usage = "\
callsheet resolve <BATCH> <KEY> --adopt <PROJECT>
       callsheet resolve <BATCH> <KEY> --not-submitted
       callsheet resolve <BATCH> <KEY> --abandon")]
#[command(group = ArgGroup::new("verdict").required(true))]
#[command(after_help = "\
Examples:
  callsheet resolve spring TEA-001 --adopt 66f1a0…
  callsheet resolve spring TEA-001 --not-submitted --because \"not in the account\"

AI Studios is checked first; what it shows takes precedence over the options.
`callsheet show BATCH KEY` shows the tag to search for in your account.")]
pub(crate) struct ResolveArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    /// Key, or an unambiguous part of it
    key: String,
    /// It was accepted as this project
    #[arg(long, value_name = "PROJECT", group = "verdict")]
    adopt: Option<String>,
    /// It was not accepted: the next run submits it (paid)
    #[arg(long, group = "verdict")]
    not_submitted: bool,
    /// Give up; it may have been paid for
    #[arg(long, group = "verdict")]
    abandon: bool,
    /// Reason, for the job's history
    #[arg(long, value_name = "TEXT", default_value = "")]
    because: String,
}

pub(crate) async fn run(args: ResolveArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: ResolveArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let hold = args.batch_ref.lease_batch(global).await?;
    let key = find_job_key(&hold.ledger, &hold.stored, &args.key).await?;
    let found = hold.ledger.uncertain_job(hold.stored.id, &key).await?;
    let Some(due) = found else {
        let words = format!("`{key}` is not uncertain: nothing to resolve");
        hold.release().await?;
        return Err(CommandError::new(ExitReason::Usage, words));
    };
    let heard = hold.ledger.callback_report(due.submission).await?;
    let seen = gather_evidence(&args, (&hold, &due), heard.as_ref(), printer).await;
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => {
            hold.release().await?;
            return Err(error);
        }
    };
    let (news, said) = match decide_update(&args, (&seen, heard.is_some()), &hold) {
        Ok(verdict) => verdict,
        Err(words) => {
            hold.release().await?;
            return Err(CommandError::new(ExitReason::Uncertain, words));
        }
    };
    let now = hold.clock.now();
    let recorded = hold.lease.record_update(due.job, due.submission, news, now).await;
    let state = recorded?.state;
    if printer.is_json() {
        printer.print_json(&json!({ "key": key, "state": state.as_str(), "words": said }));
    } else {
        printer.print_result(&format!(
            "{}: {state}: {}",
            strip_control(&key),
            strip_control(&said)
        ));
        let commands =
            global.command_hints(args.batch_ref.sandbox, &hold.stored.name, &hold.stored.file);
        printer.status(&format!("Next: {}", commands.run_command()));
    }
    hold.release().await?;
    Ok(ExitReason::Done)
}

/// Gathers evidence once, like the reconcile loop of a run.
async fn gather_evidence(
    args: &ResolveArgs,
    (hold, due): (&LeasedBatch, &DueJob),
    heard: Option<&CallbackReport>,
    printer: &Printer,
) -> Result<SubmissionEvidence, CommandError> {
    let (batch, account) = args.batch_ref.load_target(hold).await?;
    let studio = account.ai_studios(&batch, &hold.clock)?;
    let draft = match &due.project_id {
        Some(id) => Some(studio.read_project(id).await.map_err(|trouble| trouble.to_string())),
        None => None,
    };
    let list = match studio.list_projects().await {
        Ok(list) => {
            let mut tagged = ProjectIndex::from_list(list).with_profile(&batch.vendor);
            tagged.shows_known_projects = hold.ledger.has_any_project(&tagged.tagged_ids).await?;
            let told = profile_keeps_export_id(&batch.vendor);
            let keeps_ids = hold.ledger.has_stable_export_ids(hold.stored.id, told).await;
            tagged.keeps_ids = keeps_ids?;
            Ok(tagged)
        }
        Err(trouble) => Err(trouble.to_string()),
    };
    let keeps_ids = list.as_ref().is_ok_and(|list: &ProjectIndex| list.keeps_ids);
    let seen =
        combine_with_callback(due, assess_submission(due, &list, draft.as_ref()), heard, keeps_ids);
    let adopted = match (&args.adopt, &seen) {
        // Evidence of acceptance takes precedence over the options.
        (None, _) | (_, SubmissionEvidence::Accepted { .. }) => Ok(()),
        (Some(project), _) => {
            ensure_adoptable(project, due, (&hold.ledger, &studio), printer).await
        }
    };
    account.close().await;
    adopted.map(|()| seen)
}

/// Returns an error if the project does not exist or belongs to another row. A wrong adoption could
/// only be corrected by paying again.
async fn ensure_adoptable(
    project: &str,
    due: &DueJob,
    (ledger, studio): (&Ledger, &impl StudioApi),
    printer: &Printer,
) -> Result<(), CommandError> {
    let refused = |words: String| Err(CommandError::new(ExitReason::Usage, words));
    let owner = ledger.project_owner(project, due.submission).await?;
    if let Some((batch, key)) = owner {
        return refused(format!("`{project}` belongs to `{key}` of the batch `{batch}`"));
    }
    match studio.read_project(project).await {
        Ok(_) => Ok(()),
        Err(CallError::NotFound) => {
            refused(format!("AI Studios has no project `{project}`: copy the id from your account"))
        }
        Err(trouble) => {
            let words = trouble.to_string();
            printer.status(&format!("could not check that AI Studios has `{project}` ({words})"));
            Ok(())
        }
    }
}

/// Combines the evidence with the options into an update of the job, and its message.
fn decide_update(
    args: &ResolveArgs,
    (seen, was_called_about): (&SubmissionEvidence, bool),
    hold: &LeasedBatch,
) -> Result<(JobUpdate, String), String> {
    let because =
        if args.because.is_empty() { String::new() } else { format!(": {}", args.because) };
    let due_at = hold.clock.now();
    if let SubmissionEvidence::Accepted { project_id, render_id, message: words, .. } = seen {
        let said = format!("it was accepted, as {project_id}: {words}");
        let (project_id, render_id) = (project_id.clone(), render_id.clone());
        let news = JobUpdate::Accepted { project_id, render_id, due_at, message: words.clone() };
        return Ok((news, said));
    }
    if let Some(project_id) = &args.adopt {
        let said = format!("adopted as {project_id} by the operator{because}");
        let project_id = project_id.clone();
        let words = said.clone();
        return Ok((
            JobUpdate::Accepted { project_id, render_id: None, due_at, message: words },
            said,
        ));
    }
    if args.abandon {
        let said = format!("given up by the operator; it may have been paid for{because}");
        return Ok((JobUpdate::Abandoned { message: said.clone() }, said));
    }
    if was_called_about {
        return Err("AI Studios sent a callback for this request, so it was accepted: find its \
                    project in your account and use --adopt, or use --abandon"
            .to_owned());
    }
    match seen {
        SubmissionEvidence::Absent => {
            let said = format!("marked as not submitted by the operator{because}");
            Ok((JobUpdate::ProvenAbsent { due_at, message: said.clone() }, said))
        }
        SubmissionEvidence::Inconclusive { message: words } if !args.because.is_empty() => {
            let said = format!("marked as not submitted by the operator{because} ({words})");
            Ok((JobUpdate::ProvenAbsent { due_at, message: said.clone() }, said))
        }
        SubmissionEvidence::Inconclusive { message: words } => Err(format!(
            "could not check whether AI Studios has this job ({words}); if it is not in your \
             account, add --because \"…\""
        )),
        SubmissionEvidence::Accepted { .. } => Err("the job was accepted".to_owned()),
    }
}

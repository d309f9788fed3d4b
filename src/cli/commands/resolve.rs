//! `callsheet resolve`: the operator decides about one uncertain job.
//!
//! AI Studios is checked first: evidence takes precedence over the operator's statement.

use clap::{ArgGroup, Args};
use serde_json::json;

use crate::aistudios::{CallError, ProjectDetails, StudioApi};
use crate::cli::args::{BatchRef, GlobalArgs, TrustArgs};
use crate::cli::commands::retry::print_next;
use crate::cli::output::printer::Printer;
use crate::ledger::{
    CallbackReport, DueJob, JobResolution, JobState, Ledger, OperatorRequest, RequestedAction,
    SubmissionId, UncertainDecision,
};
use crate::runner::{
    Observation, ProjectIndex, SubmissionEvidence, assess_submission, combine_with_callback,
    profile_keeps_export_id, sent_project_name,
};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::job_key::find_job_key;
use crate::session::operator::operator_batch::{CommandRequest, OperatorBatch};
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
    #[command(flatten)]
    trust: TrustArgs,
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
    let batch = args.batch_ref.open_for_operator(global).await?;
    let outcome = resolve_job(&args, &batch, global, printer).await;
    let released = batch.release().await;
    outcome?;
    released.map(|()| ExitReason::Done)
}

async fn resolve_job(
    args: &ResolveArgs,
    batch: &OperatorBatch,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<(), CommandError> {
    let OperatorBatch { ledger, stored, .. } = batch;
    let key = find_job_key(ledger, stored, &args.key).await?;
    let Some(due) = ledger.uncertain_job(stored.id, &key).await? else {
        return Err(CommandError::usage(format!("`{key}` is not uncertain: nothing to resolve")));
    };
    if let (Some(holder), true) = (batch.live_holder(), args.batch_ref.sandbox) {
        let message = format!(
            "the rehearsal is running ({holder}), and its virtual AI Studios with it: resolve \
             `{key}` when it has ended"
        );
        return Err(CommandError::new(ExitReason::BatchLocked, message));
    }
    let callback = ledger.callback_report(due.submission).await?;
    let evidence = gather_evidence(args, batch, &due, callback.as_ref(), printer).await?;
    let resolution = decide(args, &key, &evidence, callback.as_ref())
        .map_err(|message| CommandError::new(ExitReason::Uncertain, message))?;
    let message = resolution.message.clone();
    let request = request_resolution(batch, &due, resolution, &args.because).await?;
    let state = ledger.job_history(stored.id, &key).await?.and_then(|history| history.job.state);
    let state = state.map_or("", JobState::as_str);
    if printer.is_json() {
        printer.print_json(&json!({
            "key": key, "state": state, "words": message, "request": request.id,
        }));
    } else {
        let (key, message) = (strip_control(&key), strip_control(&message));
        printer.print_result(&format!("{key}: {state}: {message}"));
        let commands = global.command_hints(args.batch_ref.sandbox, &stored.name, &stored.file);
        print_next(batch, &commands.run_command(), printer);
    }
    Ok(())
}

/// Has the decision recorded about the request that the evidence is about, and about no later one.
async fn request_resolution(
    batch: &OperatorBatch,
    due: &DueJob,
    resolution: JobResolution,
    because: &str,
) -> Result<OperatorRequest, CommandError> {
    let action = RequestedAction::Resolve(resolution);
    let set = batch.ledger.target_set(batch.stored.id, &action).await?;
    let is_same = set.jobs().iter().any(|target| {
        SubmissionId::from(target.submission) == due.submission
            && Some(target.paid_at) == due.paid_at
    });
    if !is_same {
        let message = "the job has changed meanwhile: nothing was changed; run the command again";
        return Err(CommandError::new(ExitReason::TransientFailure, message));
    }
    let shown = Some(set.to_shown_set());
    batch.execute_request(CommandRequest { action, shown, reason: because.to_owned() }).await
}

/// Gathers evidence once, like the reconcile loop of a run.
async fn gather_evidence(
    args: &ResolveArgs,
    operated: &OperatorBatch,
    due: &DueJob,
    callback: Option<&CallbackReport>,
    printer: &Printer,
) -> Result<SubmissionEvidence, CommandError> {
    let OperatorBatch { ledger, stored, clock, .. } = operated;
    let (batch, target) = args.batch_ref.load_target(ledger, stored, args.trust).await?;
    let studio = target.ai_studios(&batch, clock)?;
    let own_id = due.render_id.as_ref().or(due.project_id.as_ref());
    let mut observation = Observation::default();
    if let Some(id) = own_id {
        let read = studio.read_project(id).await;
        observation.draft = Some(read.map_err(|error| error.to_string()));
    }
    observation.sent_name = sent_project_name(ledger, due.submission, &due.tag).await?;
    let list = match studio.list_projects().await {
        Ok(list) => {
            let mut index = ProjectIndex::from_list(list).with_profile(&batch.vendor);
            index.shows_known_projects = ledger.has_any_project(&index.tagged_ids).await?;
            let profile_setting = profile_keeps_export_id(&batch.vendor);
            let keeps_ids = ledger.has_stable_export_ids(stored.id, profile_setting).await;
            index.keeps_ids = keeps_ids?;
            let finished = ledger.finished_projects(stored.id).await?;
            index.hides_known_projects = !index.compare_with(&finished).is_empty();
            observation.others = read_others(due, &index, &studio).await;
            Ok(index)
        }
        Err(error) => Err(error.to_string()),
    };
    let keeps_ids = list.as_ref().is_ok_and(|list: &ProjectIndex| list.keeps_ids);
    let evidence = combine_with_callback(
        due,
        assess_submission(due, &list, &observation),
        callback,
        keeps_ids,
    );
    let adoptable = match (&args.adopt, &evidence) {
        // Evidence of acceptance takes precedence over the options.
        (None, _) | (_, SubmissionEvidence::Accepted { .. }) => Ok(()),
        (Some(project), _) => ensure_adoptable(project, due, ledger, &studio, printer).await,
    };
    target.close().await;
    adoptable.map(|()| evidence)
}

/// Reads the other projects with the job's tag, as far as possible.
async fn read_others(
    due: &DueJob,
    index: &ProjectIndex,
    studio: &impl StudioApi,
) -> Vec<ProjectDetails> {
    let mut others = Vec::new();
    for listed in index.with_tag(&due.tag) {
        if due.project_id.as_deref() != Some(listed.id.as_str()) {
            others.extend(studio.read_project(listed.id.as_str()).await.ok());
        }
    }
    others
}

/// Returns an error if the project does not exist or belongs to another row. A wrong adoption could
/// only be corrected by paying again.
async fn ensure_adoptable(
    project: &str,
    due: &DueJob,
    ledger: &Ledger,
    studio: &impl StudioApi,
    printer: &Printer,
) -> Result<(), CommandError> {
    let refused = |message: String| Err(CommandError::new(ExitReason::Usage, message));
    let owner = ledger.project_owner(project, due.submission).await?;
    if let Some((batch, key)) = owner {
        return refused(format!("`{project}` belongs to `{key}` of the batch `{batch}`"));
    }
    match studio.read_project(project).await {
        Ok(_) => Ok(()),
        Err(CallError::NotFound) => {
            refused(format!("AI Studios has no project `{project}`: copy the id from your account"))
        }
        Err(error) => {
            let message = error.to_string();
            printer.status(&format!("could not check that AI Studios has `{project}` ({message})"));
            Ok(())
        }
    }
}

/// Combines the evidence with the options. The error is a message for the operator.
fn decide(
    args: &ResolveArgs,
    key: &str,
    evidence: &SubmissionEvidence,
    callback: Option<&CallbackReport>,
) -> Result<JobResolution, String> {
    let because =
        if args.because.is_empty() { String::new() } else { format!(": {}", args.because) };
    let resolution =
        |decision, message| Ok(JobResolution { key: key.to_owned(), decision, message });
    if let SubmissionEvidence::Accepted { project_id, render_id, message: cause, .. } = evidence {
        let (project_id, render_id) = (project_id.clone(), render_id.clone());
        let message = format!("it was accepted, as {project_id}: {cause}");
        return resolution(UncertainDecision::Accepted { project_id, render_id }, message);
    }
    if let Some(project_id) = &args.adopt {
        let message = format!("adopted as {project_id} by the operator{because}");
        let project_id = project_id.clone();
        return resolution(UncertainDecision::Adopt { project_id }, message);
    }
    if args.abandon {
        let message = format!("given up by the operator; it may have been paid for{because}");
        return resolution(UncertainDecision::Abandon, message);
    }
    if callback.is_some() {
        return Err("AI Studios sent a callback for this request, so it was accepted: find its \
                    project in your account and use --adopt, or use --abandon"
            .to_owned());
    }
    let message = match evidence {
        SubmissionEvidence::Absent => format!("marked as not submitted by the operator{because}"),
        SubmissionEvidence::Inconclusive { message } if !args.because.is_empty() => {
            format!("marked as not submitted by the operator{because} ({message})")
        }
        SubmissionEvidence::Inconclusive { message } => {
            return Err(format!(
                "could not check whether AI Studios has this job ({message}); if it is not in \
                 your account, add --because \"…\""
            ));
        }
        SubmissionEvidence::Accepted { .. } => return Err("the job was accepted".to_owned()),
    };
    resolution(UncertainDecision::NotSubmitted, message)
}

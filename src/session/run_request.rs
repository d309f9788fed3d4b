//! `run`: from batch files to batches that are ready to run.

use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::batch;
use crate::ledger::{RequestedAction, TargetFilter};
use crate::plan::RowSelection;
use crate::runner::RunOptions;
use crate::session::account::batch_trust;
use crate::session::account::target::RehearsalOptions;
use crate::session::batch_run::BatchRun;
use crate::session::error::CommandError;
use crate::session::event::SessionEvent;
use crate::session::exit_code::ExitReason;
use crate::session::files::{media_check, output_dir, overwrite_guard, shared_output, sheet_input};
use crate::session::ledger_location::{LedgerLocation, open_ledger};
use crate::session::ledger_match::MatchOverrides;
use crate::session::prepare::{
    BatchOverrides, HeldBatch, LockedBatch, ParsedBatch, PlannedBatch, ReadyBatch, SessionContext,
    SessionTarget,
};
use crate::session::run_forecast::ExpectedSpending;
use crate::session::time_window::WindowOptions;
use crate::session::upload::plan_approval::PlanApproval;
use crate::session::{PreparedRuns, Session, prepare, run_forecast, webhooks};

/// The arguments of `run`.
#[derive(Clone, Debug)]
pub(crate) struct RunRequest {
    /// The batch files.
    pub(crate) files: Vec<PathBuf>,
    pub(crate) location: LedgerLocation,
    /// What the user confirms about the ledger and the batch file.
    pub(crate) match_overrides: MatchOverrides,
    /// The options of the sandbox, for a rehearsal.
    pub(crate) rehearsal: Option<RehearsalOptions>,
    pub(crate) selection: RowSelection,
    /// The options of each run; its selection and end time are determined here.
    pub(crate) options: RunOptions,
    pub(crate) overrides: BatchOverrides,
    pub(crate) window: WindowOptions,
    /// Skips invalid rows instead of stopping.
    pub(crate) skip_invalid: bool,
    /// Accepts a plan that renders or replaces a large part of the paid videos.
    pub(crate) accepts_changes: bool,
    /// The hash of the plan that was approved in the console: another plan is not run.
    pub(crate) approved_plan: Option<String>,
    /// Checks media URLs first.
    pub(crate) check_media: bool,
    /// Receives webhooks in this process.
    pub(crate) has_receiver: bool,
    /// Asks before credits are spent.
    pub(crate) asks: bool,
}

/// The question before credits are spent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SpendingQuestion {
    /// What is submitted at most.
    pub(crate) spending: ExpectedSpending,
    /// Whether standard input is a sheet, and so cannot answer.
    pub(crate) is_stdin_used: bool,
}

impl Session {
    /// Prepares the runs of `run`. `None` if the user declines.
    pub(super) async fn prepare_run(
        &self,
        request: RunRequest,
        confirm: impl AsyncFnOnce(SpendingQuestion) -> bool,
    ) -> Result<Option<PreparedRuns>, CommandError> {
        let mut batches = self.parse_files(&request)?;
        let mut spooled = Vec::new();
        for parsed in &mut batches {
            spooled.push(sheet_input::spool_sheet(&mut parsed.batch).await?);
        }
        if request.check_media {
            self.check_media(&batches).await?;
        }
        // Settings are checked before anything is created on disk.
        let target = prepare::resolve_targets(&batches, request.rehearsal.as_ref()).await?;
        let (location, overrides) = (&request.location, request.match_overrides);
        prepare::ensure_ledger_not_missing(&batches, location, overrides)
            .inspect_err(|_| self.reports.leave_no_record())?;
        if request.rehearsal.is_none() {
            batches.iter().for_each(|parsed| batch_trust::remember(&parsed.batch));
        }
        let ledger = open_ledger(&location.address).await?;
        let context = self.context(&ledger);
        prepare::ensure_ledger_matches(&batches, location, overrides, context)
            .await
            .inspect_err(|_| self.reports.leave_no_record())?;
        let planned = plan_batches(&request, batches, target, context).await?;
        // The plans contain the sheets now.
        drop(spooled);
        let spending = match run_forecast::forecast_all(&planned, &request, context).await {
            Ok(spending) => spending,
            Err(error) => {
                prepare::discard_all(planned).await;
                return Err(error);
            }
        };
        let is_stdin_used = planned.iter().any(PlannedBatch::has_stdin_sheet);
        let asks = spending.videos > 0 && request.asks;
        let question = SpendingQuestion { spending, is_stdin_used };
        if asks && !confirm(question).await {
            self.observer.notify(SessionEvent::Declined);
            prepare::discard_all(planned).await;
            return Ok(None);
        }
        let approved = request.approved_plan.as_deref();
        if let Some(hash) = approved
            && let Err(error) = PlanApproval::begin(hash, &planned, context).await
        {
            prepare::discard_all(planned).await;
            return Err(error);
        }
        let ready = prepare::commit_all(planned, context).await?;
        if let Some(hash) = approved {
            PlanApproval::record_run(hash, &ready, context).await?;
        }
        if request.options.retry_failed {
            report_retries(&ready, context).await?;
        }
        let runs = ready.into_iter().map(|ready| self.batch_run(ready, &request)).collect();
        self.connect(ledger, runs, request.has_receiver).await.map(Some)
    }

    /// Reads all batch files and reports the problems of all of them.
    fn parse_files(&self, request: &RunRequest) -> Result<Vec<ParsedBatch>, CommandError> {
        let is_rehearsal = request.location.options.is_rehearsal;
        let (mut batches, mut exits) = (Vec::new(), Vec::new());
        for file in &request.files {
            let batch = match batch::read(file) {
                Ok(batch) => batch,
                Err(problems) => {
                    self.observer.notify(SessionEvent::BatchFileInvalid { problems: &problems });
                    self.reports.add_unreadable(problems, &request.location);
                    exits.push(ExitReason::Input);
                    continue;
                }
            };
            if request.files.len() == 1 {
                self.observer.notify(SessionEvent::OnlyBatch { name: batch.name.as_str() });
            }
            let report = self.reports.add_batch(&batch, &request.location);
            let batch = request.overrides.apply(batch, is_rehearsal)?;
            let output = output_dir::output_dir(&batch, is_rehearsal);
            overwrite_guard::ensure_inputs_are_not_reports(&batch, &output)?;
            shared_output::ensure_own_output(&batch, &output)
                .inspect_err(|_| self.reports.leave_no_record())?;
            if let Some(message) = &shared_output::overwritten_reports_warning(&batch, &output) {
                self.observer.notify(SessionEvent::OutputShared { message });
            }
            if let Some(with) = &request.selection.with_file {
                overwrite_guard::keep_replacement_file(with, &output)?;
            }
            if request.has_receiver && !is_rehearsal {
                webhooks::require_webhook(&batch)?;
            }
            batches.push(ParsedBatch { batch, report });
        }
        if !exits.is_empty() {
            return Err(CommandError::Reported(ExitReason::most_severe(exits)));
        }
        prepare::ensure_distinct(&batches).inspect_err(|_| self.reports.discard_all())?;
        Ok(batches)
    }

    async fn check_media(&self, batches: &[ParsedBatch]) -> Result<(), CommandError> {
        let mut is_ok = true;
        for ParsedBatch { batch, .. } in batches {
            let Some(report) = media_check::check_media(batch).await? else { continue };
            self.observer.notify(SessionEvent::MediaChecked { report: &report });
            is_ok &= report.is_ok();
        }
        if is_ok { Ok(()) } else { Err(CommandError::Reported(ExitReason::Input)) }
    }

    fn batch_run(&self, ready: ReadyBatch, request: &RunRequest) -> BatchRun {
        let ReadyBatch { locked, id, lease, selection } = ready;
        let LockedBatch { batch, lock, target, report } = locked;
        let now = self.clock.now().to_zoned(TimeZone::system());
        let until = request.window.resolve(batch.window.as_ref(), &now).until;
        let options = RunOptions { only: selection, until, ..request.options.clone() };
        BatchRun { batch, id, lease, options, lock, target, report }
    }
}

/// Locks and plans the batches. A plan that was approved has to be the approved one still.
async fn plan_batches(
    request: &RunRequest,
    batches: Vec<ParsedBatch>,
    target: SessionTarget,
    context: SessionContext<'_>,
) -> Result<Vec<PlannedBatch>, CommandError> {
    let overrides = request.match_overrides;
    let Some(hash) = request.approved_plan.as_deref() else {
        let locked = prepare::lock_all(batches, target, HeldBatch::Reject, context).await?;
        return prepare::plan_all(locked, &request.selection, overrides, context).await;
    };
    let locked = prepare::lock_all(batches, target, HeldBatch::WaitFor, context).await?;
    let approval = PlanApproval::new(hash, &locked);
    let mut planned = prepare::plan_all(locked, &request.selection, overrides, context).await?;
    if approval.covers(&mut planned).await {
        return Ok(planned);
    }
    let name = planned.first().map(|batch| batch.name().to_owned()).unwrap_or_default();
    prepare::discard_all(planned).await;
    Err(approval.reject(&name, context).await)
}

/// Reports how many jobs will be retried. The run queues them itself, after checking whether their
/// video has arrived.
async fn report_retries(
    batches: &[ReadyBatch],
    context: SessionContext<'_>,
) -> Result<(), CommandError> {
    let mut jobs = 0;
    for batch in batches {
        let filter = TargetFilter { selection: batch.selection, ..TargetFilter::default() };
        let retry = RequestedAction::Retry(filter);
        jobs += context.ledger.target_set(batch.id, &retry).await?.totals().jobs;
    }
    context.observer.notify(SessionEvent::Retrying { jobs });
    Ok(())
}

//! From batch files to a night: every sheet is read and compared before anything is spent in any
//! batch, and all problems of all of them are told at once.
//!
//! Between [`draw_up`] and [`take_in`] nothing of the plans is in the ledger; [`let_go`] leaves it
//! as it was.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;

use crate::batch::{Batch, SheetSource, VendorProfile};
use crate::cli::commands::plan;
use crate::cli::output::printer::Printer;
use crate::cli::output::{diagnostics, sheet_remarks};
use crate::clock::Clock;
use crate::ledger::{
    BatchId, BatchLease, JobSelection, Ledger, LedgerError, RunEnding, StoredBatch,
};
use crate::plan as planning;
use crate::plan::{Plan, PlanError, RenderEstimate, RowSelection};
use crate::runner::BatchLock;
use crate::sandbox;
use crate::session::account_catalog;
use crate::session::exit_code::ExitReason;
use crate::session::locked_batch::ledger_error;
use crate::session::open_batch;
use crate::session::open_batch::CommandError;
use crate::session::run_report::RunReport;
use crate::session::target::RunTarget;
use crate::session::time_window::WindowArgs;

/// A batch whose file was read, and what is done when its run is over.
pub(crate) type ParsedBatch = (Batch, Arc<RunReport>);

/// A batch whose lock is held, and whom it talks to.
pub(crate) struct LockedBatch {
    pub(crate) batch: Batch,
    pub(crate) lock: BatchLock,
    pub(crate) target: Arc<RunTarget>,
    pub(crate) report: Arc<RunReport>,
}

/// A batch whose sheet was read and compared.
pub(crate) struct PlannedBatch {
    locked: LockedBatch,
    lease: Option<BatchLease>,
    plan: Plan,
    /// Whether a person holds the batch back.
    paused: bool,
}

/// A batch that is in the ledger as its sheet says.
pub(crate) struct ReadyBatch {
    pub(crate) locked: LockedBatch,
    pub(crate) id: BatchId,
    pub(crate) lease: BatchLease,
    /// The jobs that a person named, where a person named some.
    pub(crate) selection: Option<JobSelection>,
}

/// What became of reading one batch's sheet: a plan, or an exit code whose reason was said.
type PlanAttempt = Result<PlannedBatch, ExitReason>;

/// Returns every batch's account; batches of one account have the same.
pub(crate) fn resolve_targets(
    batches: &[ParsedBatch],
) -> Result<Vec<Arc<RunTarget>>, CommandError> {
    let mut accounts: Vec<Arc<RunTarget>> = Vec::new();
    for (batch, _) in batches {
        let account = RunTarget::for_batch(batch)?;
        let known = accounts.iter().find(|known| known.is_same_account(&account)).cloned();
        accounts.push(known.unwrap_or_else(|| Arc::new(account)));
    }
    Ok(accounts)
}

/// Takes every batch's lock; when one is held by another run, none is begun.
pub(crate) async fn lock_all(
    batches: Vec<ParsedBatch>,
    (mut accounts, studio): (Vec<Arc<RunTarget>>, sandbox::SandboxSettings),
    ledger: &Path,
    clock: &Clock,
) -> Result<Vec<LockedBatch>, CommandError> {
    let mut locks = Vec::new();
    for (batch, _) in &batches {
        locks.push(open_batch::lock_batch(ledger, batch.name.as_str(), clock)?);
    }
    if accounts.is_empty() {
        let virtual_one = Arc::new(RunTarget::start_rehearsal(ledger, studio).await?);
        accounts = vec![virtual_one; batches.len()];
    }
    let all = batches.into_iter().zip(locks).zip(accounts);
    let taken = |(((mut batch, wrap), lock), account): ((ParsedBatch, _), Arc<RunTarget>)| {
        if account.is_rehearsal() {
            // What was measured of the real service does not hold for the virtual one.
            batch.vendor = VendorProfile::default();
        }
        LockedBatch { batch, lock, target: account, report: wrap }
    };
    Ok(all.map(taken).collect())
}

/// Reads and compares every sheet. When one cannot be, all are let go.
pub(crate) async fn plan_all(
    all: Vec<LockedBatch>,
    choice: &RowSelection,
    (ledger, clock): (&Ledger, &Clock),
    talk: &Printer,
) -> Result<Result<Vec<PlannedBatch>, ExitReason>, CommandError> {
    let together = all.len() > 1;
    let (mut drawn, mut exits) = (Vec::new(), Vec::new());
    for taken in all {
        match plan_one(taken, choice, (ledger, clock), talk).await {
            Ok(Ok(one)) => drawn.push(one),
            Ok(Err(exit)) => exits.push(exit),
            Err(early) if together => exits.push(early.report(talk)),
            Err(early) => return Err(early),
        }
    }
    if exits.is_empty() {
        return Ok(Ok(drawn));
    }
    discard_all(drawn, clock).await?;
    Ok(Err(ExitReason::most_severe(exits)))
}

async fn plan_one(
    taken: LockedBatch,
    choice: &RowSelection,
    (ledger, clock): (&Ledger, &Clock),
    talk: &Printer,
) -> Result<PlanAttempt, CommandError> {
    let former = find_stored_batch(ledger, &taken.batch, &taken.target).await?;
    let (mut lease, mut paused) = (None, false);
    if let Some(former) = &former {
        paused = ledger.is_paused(former.id).await.map_err(ledger_error)?;
        // What a former run left in the air is taken over before anything is compared with it.
        let begun = open_batch::begin_run(ledger, former.id, clock).await?;
        taken.report.set_ledger_batch(ledger, former.id, Some(begun.clone()));
        lease = Some(begun);
    }
    let (name, shop) = (&taken.target.stored_host, &taken.target.catalog_key);
    let takes = !taken.target.is_rehearsal() && account_catalog::has_catalog(ledger, shop).await?;
    let choice = RowSelection { should_record_catalog_uses: takes, ..choice.clone() };
    let drawn = planning::plan_filtered(&taken.batch, Some(name), ledger, &choice).await;
    match drawn {
        Ok(mut plan) => {
            account_catalog::compare_plan(&mut plan, None, (ledger, shop, clock), talk).await?;
            Ok(Ok(PlannedBatch { locked: taken, lease, plan, paused }))
        }
        Err(PlanError::Selection(words)) => {
            end_unstarted_run(lease, clock).await?;
            Err(CommandError::new(ExitReason::Usage, words))
        }
        Err(error) => {
            end_unstarted_run(lease, clock).await?;
            taken.report.record_problems(diagnostics::plan_error_messages(&error));
            Ok(Err(diagnostics::print_plan_error(talk, &error, &taken.batch)))
        }
    }
}

/// Returns the batch as the ledger knows it. A batch belongs to one host for ever: its open
/// renders could not be found at another, and would be paid for again.
async fn find_stored_batch(
    ledger: &Ledger,
    batch: &Batch,
    account: &RunTarget,
) -> Result<Option<StoredBatch>, CommandError> {
    match ledger.batch(batch.name.as_str()).await {
        Ok(stored) if stored.base_url == account.stored_host => Ok(Some(stored)),
        Ok(stored) => Err(CommandError::new(
            ExitReason::Usage,
            format!(
                "batch `{}` was begun at {} and cannot go on at {}: give it another name, or \
                 choose another ledger",
                batch.name, stored.base_url, account.stored_host
            ),
        )),
        Err(LedgerError::BatchNotFound { .. }) => Ok(None),
        Err(error) => Err(CommandError::new(ExitReason::Unexpected, error)),
    }
}

/// What a person asks of a run, as far as it decides what a plan comes to.
pub(crate) struct RunPreviewOptions<'a> {
    pub(crate) skip_invalid: bool,
    pub(crate) retry_failed: bool,
    pub(crate) limit: Option<u32>,
    pub(crate) window: &'a WindowArgs,
}

/// Shows a plan and its problems. Returns how many videos the run would submit at most, or says that
/// it ends here.
pub(crate) fn preview_run(
    drawn: &PlannedBatch,
    asked: &RunPreviewOptions<'_>,
    talk: &Printer,
) -> Result<u64, ExitReason> {
    let (plan, batch) = (&drawn.plan, &drawn.locked.batch);
    drawn.locked.report.record_problems(plan.problems.kept().iter().map(ToString::to_string));
    if !plan.is_clean() {
        let in_sheet =
            diagnostics::print_row_problems(talk, &plan.problems, &plan.template_files, batch);
        let hide_rows = plan.problems.has_hidden_rows();
        let share_files = plan.problems.has_shared_files();
        if !asked.skip_invalid || hide_rows || share_files || plan.counts.invalid == 0 {
            // Two rows with one file are both right: neither would be left out.
            let can_skip = plan.counts.invalid > 0 && !share_files && !asked.skip_invalid;
            match (hide_rows, in_sheet, can_skip) {
                (true, ..) => {
                    talk.status("mend the sheet: rows that cannot be seen cannot be left out");
                }
                (false, true, true) => {
                    talk.status("mend the rows, or run with --skip-invalid to leave them out");
                }
                (false, true, false) => talk.status("mend the rows, or `file` in the batch file"),
                (false, false, _) => {}
            }
            return Err(ExitReason::Input);
        }
    }
    diagnostics::print_warnings(talk, &plan.warnings, &plan.template_files);
    let retries = asked.retry_failed.then(|| plan.counts.with_retries());
    let estimate =
        RenderEstimate::from_counts(retries.as_ref().unwrap_or(&plan.counts), &batch.limits);
    if talk.is_json() {
        talk.print_event(json!({ "type": "plan", "plan": plan::plan_json(plan, batch) }));
    } else {
        sheet_remarks::sheet_remarks(plan)
            .iter()
            .for_each(|line| talk.status(&talk.with_batch_prefix(line)));
        talk.status(&plan::headline(plan, batch));
    }
    if drawn.paused {
        // The run says so itself; nobody needs to be asked whether it may spend.
        return Ok(0);
    }
    if let Some(words) =
        asked.window.resolve(batch.window.as_ref(), &jiff::Zoned::now()).closed_reason
    {
        talk.status(&talk.with_batch_prefix(&words));
        return Ok(0);
    }
    let submits = cap_videos(estimate.videos, [asked.limit, batch.limits.max_videos]);
    if estimate.videos + estimate.under_way > 0 {
        let is_rehearsal = drawn.locked.target.is_rehearsal();
        let of = if is_rehearsal { " of a real night" } else { "" };
        let expectation = open_batch::describe_estimate(&estimate, of);
        let most = match submits < estimate.videos {
            true => format!("; this run submits {submits} at most"),
            false => String::new(),
        };
        talk.status(&talk.with_batch_prefix(&format!("{expectation}{most}")));
    }
    Ok(submits)
}

/// Returns how many of so many videos one run may submit.
fn cap_videos(videos: u64, limits: [Option<u32>; 2]) -> u64 {
    limits.into_iter().flatten().map(u64::from).fold(videos, u64::min)
}

impl PlannedBatch {
    /// Tells whether standard input was its sheet, and so can answer no question.
    pub(crate) fn has_stdin_sheet(&self) -> bool {
        self.locked.batch.sheet_source == SheetSource::Stdin
    }

    pub(crate) fn name(&self) -> &str {
        self.locked.batch.name.as_str()
    }
}

/// Takes every plan into the ledger.
pub(crate) async fn commit_all(
    all: Vec<PlannedBatch>,
    ledger: &Ledger,
    clock: &Clock,
) -> Result<Vec<ReadyBatch>, CommandError> {
    let mut ready = Vec::new();
    for PlannedBatch { locked: taken, lease, plan, .. } in all {
        let narrowed = plan.selected_rows.is_some();
        let id = plan
            .commit(clock.now())
            .await
            .map_err(|error| CommandError::new(ExitReason::Unexpected, error))?;
        let lease = match lease {
            Some(lease) => lease,
            None => open_batch::begin_run(ledger, id, clock).await?,
        };
        taken.report.set_ledger_batch(ledger, id, Some(lease.clone()));
        let only = match narrowed {
            true => Some(ledger.last_selection(id).await.map_err(ledger_error)?),
            false => None,
        };
        ready.push(ReadyBatch { locked: taken, id, lease, selection: only });
    }
    Ok(ready)
}

/// Lets plans go; the ledger stays as it was.
pub(crate) async fn discard_all(all: Vec<PlannedBatch>, clock: &Clock) -> Result<(), CommandError> {
    for PlannedBatch { lease, plan, .. } in all {
        plan.discard().await;
        end_unstarted_run(lease, clock).await?;
    }
    Ok(())
}

async fn end_unstarted_run(lease: Option<BatchLease>, clock: &Clock) -> Result<(), CommandError> {
    let Some(lease) = lease else { return Ok(()) };
    let ended = lease.end_run(RunEnding::NotBegun, clock.now()).await;
    ended.map_err(|error| CommandError::new(ExitReason::Unexpected, error))
}

#[cfg(test)]
mod tests {
    use crate::session::prepare::*;

    #[test]
    fn no_more_is_asked_for_than_a_run_may_submit() {
        for (limits, videos) in [
            ([None, None], 12),
            ([Some(2), None], 2),
            ([None, Some(3)], 3),
            ([Some(5), Some(3)], 3),
            ([Some(20), None], 12),
            ([Some(0), Some(3)], 0),
        ] {
            assert_eq!(cap_videos(12, limits), videos, "{limits:?}");
        }
    }
}

//! The steps from batch files to runs: target, lock, plan, commit.
//!
//! Every sheet is planned before anything is spent in any batch, and the problems of all batches are
//! reported together. Between [`plan_all`] and [`commit_all`] nothing of the plans is in the ledger;
//! [`discard_all`] leaves it unchanged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::batch::{Batch, SheetSource, VendorProfile};
use crate::clock::Clock;
use crate::ledger::{BatchId, BatchLease, JobSelection, Ledger, LedgerError, StoredBatch};
use crate::plan;
use crate::plan::{Plan, PlanError, RowSelection};
use crate::runner::BatchLock;
use crate::sandbox::SandboxSettings;
use crate::session::account::account_catalog;
use crate::session::account::account_catalog::CatalogSource;
use crate::session::account::target;
use crate::session::account::target::{RehearsalOptions, RunTarget};
use crate::session::delivery::ensure_command_exists;
use crate::session::error::{
    CommandError, cause_of_plan_error, exit_for_plan_error, plan_error_messages,
};
use crate::session::event::{SessionEvent, SessionObserver};
use crate::session::exit_code::ExitReason;
use crate::session::files::former_machine::FormerMachine;
use crate::session::ledger_location::LedgerLocation;
use crate::session::ledger_match::{LedgerMatch, MatchOverrides, stored_batch};
use crate::session::locked_batch::{begin_run, describe_former_death, lock_batch};
use crate::session::reports::run_report::RunReport;

/// The shortest quiet wait with a ledger on a server: the time limit of a paid request, the delay of the
/// project list, and some slack.
const SERVER_QUIET_WAIT_MIN: Duration = Duration::from_secs(300);
/// How often a batch that another run holds is tried again.
const HELD_BATCH_PERIOD: Duration = Duration::from_millis(500);

/// What the steps of a session share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionContext<'s> {
    pub(crate) ledger: &'s Ledger,
    pub(crate) clock: &'s Clock,
    pub(crate) observer: &'s SessionObserver,
}

/// A batch whose file was read.
pub(crate) struct ParsedBatch {
    pub(crate) batch: Batch,
    pub(crate) report: Arc<RunReport>,
}

/// Where the batches of a session are rendered.
pub(crate) enum SessionTarget {
    /// At AI Studios, with the target of each batch. Batches of one account have the same.
    Live(Vec<Arc<RunTarget>>),
    /// In a sandbox that is yet to be started.
    Rehearsal(Box<SandboxSettings>),
}

/// What a command does while another run holds its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeldBatch {
    /// It ends.
    Reject,
    /// It waits for the end of that run: someone approved the plan and relies on it.
    WaitFor,
}

/// A batch whose lock is held.
pub(crate) struct LockedBatch {
    pub(crate) batch: Batch,
    pub(crate) lock: BatchLock,
    pub(crate) target: Arc<RunTarget>,
    pub(crate) report: Arc<RunReport>,
}

/// A batch whose sheet was compared with the ledger.
pub(crate) struct PlannedBatch {
    pub(crate) locked: LockedBatch,
    pub(crate) plan: Plan,
    pub(crate) is_paused: bool,
    /// The lease, acquired already if the ledger knew the batch before.
    lease: Option<BatchLease>,
}

/// A batch whose plan is committed to the ledger.
pub(crate) struct ReadyBatch {
    pub(crate) locked: LockedBatch,
    pub(crate) id: BatchId,
    pub(crate) lease: BatchLease,
    /// The selected jobs, if the user selected rows.
    pub(crate) selection: Option<JobSelection>,
}

/// Options of the command line that replace settings of the batch file.
#[derive(Clone, Debug, Default)]
pub(crate) struct BatchOverrides {
    pub(crate) max_videos: Option<u32>,
    /// The host of AI Studios. Not used in rehearsals.
    pub(crate) base_url: Option<String>,
}

impl BatchOverrides {
    pub(crate) fn apply(
        &self,
        mut batch: Batch,
        is_rehearsal: bool,
    ) -> Result<Batch, CommandError> {
        batch.limits.max_videos = self.max_videos.or(batch.limits.max_videos);
        if !is_rehearsal {
            target::override_host(&mut batch, self.base_url.as_deref())?;
        }
        Ok(batch)
    }
}

/// Rejects two batches of one name, which are one batch to the ledger, and two batches in one
/// folder, which would overwrite each other's reports.
pub(crate) fn ensure_distinct(batches: &[ParsedBatch]) -> Result<(), CommandError> {
    let (mut names, mut folders) = (BTreeMap::new(), BTreeMap::new());
    for ParsedBatch { batch, .. } in batches {
        let file = batch.file.display();
        if let Some(other) = names.insert(batch.name.as_str(), &batch.file) {
            return Err(CommandError::usage(format!(
                "`{}` and `{file}` are the same batch, `{}`",
                other.display(),
                batch.name
            )));
        }
        let folder = std::path::absolute(&batch.output).unwrap_or_else(|_| batch.output.clone());
        if let Some(other) = folders.insert(folder, &batch.file) {
            let message = format!(
                "`{}` and `{file}` both write to `{}`: give one of them another `output`",
                other.display(),
                batch.output.display()
            );
            return Err(CommandError::new(ExitReason::Input, message));
        }
    }
    Ok(())
}

/// Returns the target of every batch. Reads credentials and sends nothing.
pub(crate) async fn resolve_targets(
    batches: &[ParsedBatch],
    rehearsal: Option<&RehearsalOptions>,
) -> Result<SessionTarget, CommandError> {
    if let Some(options) = rehearsal {
        return Ok(SessionTarget::Rehearsal(Box::new(target::sandbox_settings(options)?)));
    }
    let mut targets: Vec<Arc<RunTarget>> = Vec::new();
    for ParsedBatch { batch, .. } in batches {
        ensure_command_exists(batch)?;
        let target = RunTarget::for_batch(batch).await?;
        let known = targets.iter().find(|known| known.is_same_account(&target)).cloned();
        targets.push(known.unwrap_or_else(|| Arc::new(target)));
    }
    Ok(SessionTarget::Live(targets))
}

/// Rejects batches whose ledger would be a new one although their output folders name another.
pub(crate) fn ensure_ledger_not_missing(
    batches: &[ParsedBatch],
    location: &LedgerLocation,
    overrides: MatchOverrides,
) -> Result<(), CommandError> {
    batches.iter().try_for_each(|parsed| {
        LedgerMatch::new(&parsed.batch, location, overrides).ensure_not_missing()
    })
}

/// Rejects batches that were begun with another ledger or another batch file, or whose ledger may lack
/// records. That it may is recorded: from then on, no process pays for anything.
pub(crate) async fn ensure_ledger_matches(
    batches: &[ParsedBatch],
    location: &LedgerLocation,
    overrides: MatchOverrides,
    context: SessionContext<'_>,
) -> Result<(), CommandError> {
    let ledger = context.ledger;
    for ParsedBatch { batch, .. } in batches {
        let matching = LedgerMatch::new(batch, location, overrides);
        if !overrides.new_ledger
            && let Some(detail) = matching.find_older_copy(ledger).await?
        {
            ledger.record_older_copy(detail, context.clock.now()).await?;
        }
        matching.ensure_same_ledger(ledger).await?;
        if let Some(detail) = ledger.gap_of_batch(batch.name.as_str()).await? {
            ledger.notice_backup(context.clock.now()).await?;
            return Err(LedgerError::Behind { detail }.into());
        }
        if let Some(stored) = stored_batch(ledger, batch.name.as_str()).await? {
            matching.ensure_same_file(&stored, ledger)?;
        }
    }
    Ok(())
}

/// Rejects a quiet wait that may end while the last request of a machine that was taken over is still
/// under way.
fn ensure_long_quiet_wait(batch: &Batch) -> Result<(), CommandError> {
    if batch.limits.settle_after >= SERVER_QUIET_WAIT_MIN {
        return Ok(());
    }
    let message = format!(
        "`{}`: `settle_after` under [limits] is shorter than 5 minutes, which is too short for a ledger \
         on a server: the last request of another machine may take that long; nothing was spent",
        batch.file.display()
    );
    Err(CommandError::new(ExitReason::Input, message))
}

/// Locks all batches; unless `held` says otherwise, no batch is begun if another run holds one of
/// them. Then starts the sandbox of a rehearsal.
pub(crate) async fn lock_all(
    batches: Vec<ParsedBatch>,
    target: SessionTarget,
    held: HeldBatch,
    context: SessionContext<'_>,
) -> Result<Vec<LockedBatch>, CommandError> {
    let ledger = context.ledger;
    if let (SessionTarget::Live(_), Some(_)) = (&target, ledger.address().as_server()) {
        batches.iter().try_for_each(|parsed| ensure_long_quiet_wait(&parsed.batch))?;
    }
    let (locks, targets) = acquire_all(&batches, target, held, context).await?;
    let mut locked = Vec::new();
    for ((parsed, lock), target) in batches.into_iter().zip(locks).zip(targets) {
        let ParsedBatch { mut batch, report } = parsed;
        if target.is_rehearsal() {
            // Measurements of the real service do not apply to the sandbox.
            batch.vendor = VendorProfile::default();
        }
        locked.push(LockedBatch { batch, lock, target, report });
    }
    Ok(locked)
}

/// Acquires the locks and the targets. A rehearsal that waits for the sandbox of another one gives its
/// locks back meanwhile, so that its batches can be used.
async fn acquire_all(
    batches: &[ParsedBatch],
    target: SessionTarget,
    held: HeldBatch,
    context: SessionContext<'_>,
) -> Result<(Vec<BatchLock>, Vec<Arc<RunTarget>>), CommandError> {
    let mut is_reported = false;
    loop {
        let mut locks = Vec::new();
        for ParsedBatch { batch, .. } in batches {
            locks.push(lock_one(batch, held, context).await?);
        }
        let settings = match target {
            SessionTarget::Live(targets) => return Ok((locks, targets)),
            SessionTarget::Rehearsal(ref settings) => (**settings).clone(),
        };
        match (RunTarget::start_rehearsal(context.ledger.address(), settings).await, held) {
            (Err(error), HeldBatch::WaitFor) if error.exit() == ExitReason::BatchLocked => {
                drop(locks);
                report_wait(ANOTHER_REHEARSAL, &mut is_reported, context);
                tokio::time::sleep(HELD_BATCH_PERIOD).await;
            }
            (started, HeldBatch::WaitFor | HeldBatch::Reject) => {
                let sandbox = Arc::new(started?);
                return Ok((locks, vec![sandbox; batches.len()]));
            }
        }
    }
}

/// What a rehearsal waits for.
const ANOTHER_REHEARSAL: &str = "another rehearsal uses the virtual AI Studios of this ledger";

/// Reports once what a session waits for.
fn report_wait(message: &str, is_reported: &mut bool, context: SessionContext<'_>) {
    if !*is_reported {
        context.observer.notify(SessionEvent::WaitingForRun { message });
    }
    *is_reported = true;
}

async fn lock_one(
    batch: &Batch,
    held: HeldBatch,
    context: SessionContext<'_>,
) -> Result<BatchLock, CommandError> {
    let mut is_reported = false;
    loop {
        let locked = lock_batch(context.ledger, batch.name.as_str(), context.clock).await;
        match (locked, held) {
            (Err(error), HeldBatch::WaitFor) if error.exit() == ExitReason::BatchLocked => {
                let message = error.message().unwrap_or_default();
                report_wait(message, &mut is_reported, context);
                tokio::time::sleep(HELD_BATCH_PERIOD).await;
            }
            (locked, HeldBatch::WaitFor | HeldBatch::Reject) => return locked,
        }
    }
}

/// Plans all batches. If one cannot be planned, all plans are discarded.
pub(crate) async fn plan_all(
    batches: Vec<LockedBatch>,
    selection: &RowSelection,
    overrides: MatchOverrides,
    context: SessionContext<'_>,
) -> Result<Vec<PlannedBatch>, CommandError> {
    let is_single = batches.len() == 1;
    let (mut planned, mut exits) = (Vec::new(), Vec::new());
    for locked in batches {
        let report = locked.report.clone();
        match plan_one(locked, selection, overrides, context).await {
            Ok(batch) => planned.push(batch),
            Err(error) if is_single => return Err(error),
            Err(error) => {
                report.record_error(&error);
                if let Some(message) = error.message() {
                    context.observer.notify(SessionEvent::Failed { message });
                }
                exits.push(error.exit());
            }
        }
    }
    if exits.is_empty() {
        return Ok(planned);
    }
    discard_all(planned).await;
    Err(CommandError::Reported(ExitReason::most_severe(exits)))
}

async fn plan_one(
    locked: LockedBatch,
    selection: &RowSelection,
    overrides: MatchOverrides,
    context: SessionContext<'_>,
) -> Result<PlannedBatch, CommandError> {
    let SessionContext { ledger, clock, observer } = context;
    let (mut lease, mut is_paused, mut former) = (None, false, None);
    if let Some(stored) = find_stored_batch(ledger, &locked.batch, &locked.target).await? {
        is_paused = ledger.is_paused(stored.id).await?;
        former = FormerMachine::find(ledger, &stored).await?;
        if let Some(former) = &former {
            observer.notify(SessionEvent::FormerRun { message: &former.message() });
        }
        if let Some(message) = &describe_former_death(ledger, stored.id).await? {
            observer.notify(SessionEvent::FormerRun { message });
        }
        // Work that an earlier run left unfinished is recovered before the plan compares with it.
        lease = Some(begin_run(ledger, stored.id, clock).await?);
        locked.report.set_ledger_batch(ledger, stored.id, lease.clone());
    }
    let (host, account) = (&locked.target.stored_host, &locked.target.catalog_key);
    let should_record_catalog_uses =
        !locked.target.is_rehearsal() && account_catalog::has_catalog(ledger, account).await?;
    let selection = RowSelection { should_record_catalog_uses, ..selection.clone() };
    match plan::plan_filtered(&locked.batch, Some(host), ledger, &selection).await {
        Ok(mut plan) => {
            if let Some(former) = former.filter(|_| !overrides.new_file)
                && let Err(error) = former.ensure_same_rows(&locked.batch, &plan.counts)
            {
                plan.discard().await;
                return Err(error);
            }
            let source = CatalogSource { ledger, clock, account, access: None };
            for notice in account_catalog::compare_plan(&mut plan, source).await? {
                observer.notify(SessionEvent::Catalog(&notice));
            }
            Ok(PlannedBatch { locked, plan, is_paused, lease })
        }
        Err(PlanError::Selection(message)) => Err(CommandError::usage(message)),
        Err(error) => {
            let problems = plan_error_messages(&error);
            locked.report.record_problems(problems, cause_of_plan_error(&error));
            observer.notify(SessionEvent::PlanFailed { batch: &locked.batch, error: &error });
            Err(CommandError::Reported(exit_for_plan_error(&error)))
        }
    }
}

/// Returns the batch as the ledger stores it.
///
/// A batch belongs to one host permanently, once a request was sent there: its open renders could
/// not be found at another one, and would be paid for again.
async fn find_stored_batch(
    ledger: &Ledger,
    batch: &Batch,
    target: &RunTarget,
) -> Result<Option<StoredBatch>, CommandError> {
    let Some(stored) = stored_batch(ledger, batch.name.as_str()).await? else { return Ok(None) };
    // A host to which nothing was sent, such as a misspelled one, is replaced by the next plan.
    if ledger.has_requests(stored.id).await? {
        ensure_same_host(&stored, target).map_err(|error| {
            error.with_context(": give it another name, or choose another ledger")
        })?;
    }
    Ok(Some(stored))
}

/// Rejects a target that is not the batch's host.
pub(crate) fn ensure_same_host(
    stored: &StoredBatch,
    target: &RunTarget,
) -> Result<(), CommandError> {
    if stored.base_url == target.stored_host {
        return Ok(());
    }
    Err(CommandError::usage(format!(
        "batch `{}` belongs to {} and cannot continue at {}",
        stored.name, stored.base_url, target.stored_host
    )))
}

impl PlannedBatch {
    /// Returns whether its sheet came from standard input, so that this cannot answer a prompt.
    pub(crate) fn has_stdin_sheet(&self) -> bool {
        self.locked.batch.sheet_source == SheetSource::Stdin
    }

    pub(crate) fn name(&self) -> &str {
        self.locked.batch.name.as_str()
    }
}

/// Commits all plans to the ledger and begins the runs that are not begun yet.
pub(crate) async fn commit_all(
    batches: Vec<PlannedBatch>,
    context: SessionContext<'_>,
) -> Result<Vec<ReadyBatch>, CommandError> {
    let SessionContext { ledger, clock, .. } = context;
    let mut ready = Vec::new();
    for PlannedBatch { locked, plan, lease, .. } in batches {
        let has_selection = plan.selected_rows.is_some();
        let id = plan.commit(clock.now()).await.map_err(CommandError::unexpected)?;
        let lease = match lease {
            Some(lease) => {
                lease.recheck_due_jobs(clock.now()).await?;
                lease
            }
            None => begin_run(ledger, id, clock).await?,
        };
        locked.report.set_ledger_batch(ledger, id, Some(lease.clone()));
        let selection = match has_selection {
            true => Some(ledger.last_selection(id).await?),
            false => None,
        };
        ready.push(ReadyBatch { locked, id, lease, selection });
    }
    Ok(ready)
}

/// Discards all plans. The ledger stays unchanged; the caller ends the runs.
pub(crate) async fn discard_all(batches: Vec<PlannedBatch>) {
    for batch in batches {
        batch.plan.discard().await;
    }
}

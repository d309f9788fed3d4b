//! `resume`: batches that continue from the ledger alone, without sheet and template.

use std::path::PathBuf;

use jiff::tz::TimeZone;

use crate::batch;
use crate::ledger::{JobState, Ledger, StoredBatch};
use crate::plan;
use crate::runner::RunOptions;
use crate::session::account::batch_trust;
use crate::session::account::batch_trust::TrustQuestion;
use crate::session::account::target::RehearsalOptions;
use crate::session::batch_run::BatchRun;
use crate::session::error::CommandError;
use crate::session::event::SessionEvent;
use crate::session::exit_code::ExitReason;
use crate::session::files::former_machine::FormerMachine;
use crate::session::ledger_location::{LedgerLocation, open_ledger};
use crate::session::ledger_match::MatchOverrides;
use crate::session::locked_batch::{begin_run, describe_former_death};
use crate::session::prepare::{BatchOverrides, HeldBatch, LockedBatch, ParsedBatch};
use crate::session::review::review_status::ReviewStatus;
use crate::session::time_window::WindowOptions;
use crate::session::{PreparedRuns, Session, prepare, webhooks};

/// The arguments of `resume`.
#[derive(Clone, Debug)]
pub(crate) struct ResumeRequest {
    /// The batch's name; `None` for every batch with work left.
    pub(crate) batch: Option<String>,
    pub(crate) location: LedgerLocation,
    /// What the user confirms about the ledger.
    pub(crate) match_overrides: MatchOverrides,
    /// The options of the sandbox, for a rehearsal.
    pub(crate) rehearsal: Option<RehearsalOptions>,
    /// The options of each run; its end time is determined here.
    pub(crate) options: RunOptions,
    pub(crate) overrides: BatchOverrides,
    pub(crate) window: WindowOptions,
    /// Receives webhooks in this process.
    pub(crate) has_receiver: bool,
    /// Trusts batch files that this user has not run here.
    pub(crate) trusts: bool,
}

impl Session {
    /// Prepares the runs of `resume`. `None` if no batch has work left.
    pub(super) async fn prepare_resume(
        &self,
        request: ResumeRequest,
        confirm: impl AsyncFn(TrustQuestion) -> bool,
    ) -> Result<Option<PreparedRuns>, CommandError> {
        let location = &request.location;
        if !location.address.may_exist() {
            let message = format!("there is no ledger `{}` to resume from", location.address);
            return Err(CommandError::usage(message).with_context(&location.hint));
        }
        let ledger = open_ledger(&location.address).await?;
        let stored = select_batches(&ledger, request.batch.as_deref()).await;
        let stored = stored.map_err(|error| error.with_context(&location.hint))?;
        match stored.as_slice() {
            [] => {
                self.observer.notify(SessionEvent::NothingToResume);
                return Ok(None);
            }
            [only] => self.observer.notify(SessionEvent::OnlyBatch { name: &only.name }),
            [_, _, ..] => {}
        }
        if request.rehearsal.is_none() {
            ensure_trusted(&stored, &request, confirm).await?;
        }
        let batches = self.parse_stored(&stored, &request, &ledger)?;
        let overrides = request.match_overrides;
        prepare::ensure_ledger_matches(&batches, location, overrides, self.context(&ledger))
            .await
            .inspect_err(|_| self.reports.leave_no_record())?;
        let target = prepare::resolve_targets(&batches, request.rehearsal.as_ref()).await?;
        let locked =
            prepare::lock_all(batches, target, HeldBatch::Reject, self.context(&ledger)).await?;
        for (stored, locked) in stored.iter().zip(&locked) {
            prepare::ensure_same_host(stored, &locked.target)?;
            if let Some(former) = FormerMachine::find(&ledger, stored).await? {
                let message = former.message();
                self.observer.notify(SessionEvent::FormerRun { message: &message });
            }
        }
        let mut runs = Vec::new();
        for (stored, locked) in stored.iter().zip(locked) {
            runs.push(self.resume_batch(stored, locked, &request, &ledger).await?);
        }
        self.connect(ledger, runs, request.has_receiver).await.map(Some)
    }

    /// Parses the batch files as the ledger stores them.
    fn parse_stored(
        &self,
        stored: &[StoredBatch],
        request: &ResumeRequest,
        ledger: &Ledger,
    ) -> Result<Vec<ParsedBatch>, CommandError> {
        let is_rehearsal = request.location.options.is_rehearsal;
        let (mut batches, mut exits) = (Vec::new(), Vec::new());
        for stored in stored {
            match batch::parse(&PathBuf::from(&stored.file), stored.source.clone()) {
                Ok(batch) => {
                    let report = self.reports.add_batch(&batch, &request.location);
                    report.set_ledger_batch(ledger, stored.id, None);
                    if request.has_receiver && !is_rehearsal {
                        webhooks::require_webhook(&batch)?;
                    }
                    let batch = request.overrides.apply(batch, is_rehearsal)?;
                    batches.push(ParsedBatch { batch, report });
                }
                Err(problems) => {
                    self.observer.notify(SessionEvent::BatchFileInvalid { problems: &problems });
                    exits.push(ExitReason::Input);
                }
            }
        }
        if exits.is_empty() {
            return Ok(batches);
        }
        Err(CommandError::Reported(ExitReason::most_severe(exits)))
    }

    async fn resume_batch(
        &self,
        stored: &StoredBatch,
        locked: LockedBatch,
        request: &ResumeRequest,
        ledger: &Ledger,
    ) -> Result<BatchRun, CommandError> {
        let LockedBatch { batch, lock, target, report } = locked;
        let now = self.clock.now().to_zoned(TimeZone::system());
        let window = request.window.resolve(batch.window.as_ref(), &now);
        if let Some(reason) = &window.closed_reason {
            let observer = self.observer.for_batch(batch.name.as_str());
            observer.notify(SessionEvent::WindowClosed { reason });
        }
        if let Some(message) = &describe_former_death(ledger, stored.id).await? {
            let observer = self.observer.for_batch(batch.name.as_str());
            observer.notify(SessionEvent::FormerRun { message });
        }
        let lease = begin_run(ledger, stored.id, &self.clock).await?;
        plan::store_missing_payloads(ledger, &stored.name).await?;
        report.set_ledger_batch(ledger, stored.id, Some(lease.clone()));
        let options = RunOptions { until: window.until, ..request.options.clone() };
        Ok(BatchRun { batch, id: stored.id, lease, options, lock, target, report })
    }
}

/// Asks about every batch file that this user has not run here, before any report or notification of
/// the batches exists.
async fn ensure_trusted(
    stored: &[StoredBatch],
    request: &ResumeRequest,
    confirm: impl AsyncFn(TrustQuestion) -> bool,
) -> Result<(), CommandError> {
    for stored in stored {
        // An invalid file is reported later; nothing of it is used.
        let Ok(batch) = batch::parse(&PathBuf::from(&stored.file), stored.source.clone()) else {
            continue;
        };
        let Some(question) = TrustQuestion::about(&batch, &request.location.address) else {
            continue;
        };
        let message = question.message();
        if !request.trusts && !confirm(question).await {
            let help = "; look at it with `callsheet ledger export`, then confirm with --trust";
            return Err(CommandError::usage(message).with_context(help));
        }
        batch_trust::remember(&batch);
    }
    Ok(())
}

/// Returns the named batch, or all batches with work left.
async fn select_batches(
    ledger: &Ledger,
    name: Option<&str>,
) -> Result<Vec<StoredBatch>, CommandError> {
    if let Some(name) = name {
        let stored = ledger.batch(name).await.map_err(CommandError::usage)?;
        if !stored.is_planned() {
            let message = format!("batch `{name}` was never planned: use `callsheet run`");
            return Err(CommandError::usage(message));
        }
        return Ok(vec![stored]);
    }
    let mut batches = ledger.batches().await.map_err(CommandError::usage)?;
    batches.retain(|batch| batch.planned_at.is_some());
    if batches.is_empty() {
        return Err(CommandError::usage("this ledger has no batch yet: use `callsheet run`"));
    }
    let mut open = Vec::new();
    for batch in &batches {
        let counts = ledger.state_counts(batch.id).await.map_err(CommandError::usage)?;
        let review = ReviewStatus::read(ledger, batch).await.map_err(CommandError::usage)?;
        let is_undelivered = review.is_some_and(|review| review.count_undelivered() > 0);
        let is_open = counts.keys().any(|state| is_resumable(*state)) || is_undelivered;
        if is_open || batches.len() == 1 {
            open.push(ledger.batch(&batch.name).await.map_err(CommandError::usage)?);
        }
    }
    Ok(open)
}

/// Returns whether a run can continue a job in this state.
fn is_resumable(state: JobState) -> bool {
    match state {
        JobState::Ready
        | JobState::Submitting
        | JobState::Uncertain
        | JobState::Rendering
        | JobState::Fetching => true,
        JobState::Done | JobState::Reused | JobState::Failed | JobState::Cancelled => false,
    }
}

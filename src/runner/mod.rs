//! Driving a batch forward: submit, settle, watch, fetch.
//!
//! Each is a loop that claims what is due in the ledger, acts, and records the outcome. The loops
//! hold no state that matters and talk to each other only through the ledger and a bell. So
//! resuming is not a feature: it is starting the loops. Time, chance and the studio are handed in.

mod files;
mod limits;
mod loops;
use crate::runner::loops::download;
use crate::runner::loops::generation;
use crate::runner::loops::poll;
use crate::runner::loops::reconcile;
use crate::runner::loops::submit;
mod context;
mod event;
mod evidence;
mod in_flight;
mod lock;
mod pause;
mod payload;
mod quiescence;
mod shutdown;
mod wake_timer;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::aistudios::StudioApi;
use crate::batch::{BatchLimits, OnUncertain, SubmissionMode, VendorProfile};
use crate::clock::Clock;
use crate::ledger::{
    BatchId, BatchLease, ClaimBlock, JobSelection, JobState, Ledger, LedgerError, RunEnding,
};
use crate::runner::limits::halt::CircuitBreakers;
use crate::runner::loops::poll_schedule::RenderTimes;
use context::{RunContext, Wakeups};
use in_flight::InFlightSet;
use payload::Payloads;
use quiescence::QuiescenceTracker;
use webhook::CallbackHealth;

pub use crate::runner::limits::account_limits::AccountLimits;
pub use crate::runner::limits::backoff::Jitter;
pub use crate::runner::limits::halt::Halt;
pub use event::{RunEvent, RunObserver};
pub use evidence::{
    ProjectIndex, SubmissionEvidence, assess_submission, combine_with_callback,
    profile_keeps_export_id,
};
pub use lock::{BatchLock, LockError, host_name, lock_holder};
pub use shutdown::StopSignal;
pub use webhook::WebhookUrls;

/// What the batch file says of a run.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Rates, caps, pauses and budgets.
    pub limits: BatchLimits,
    /// How a job is submitted.
    pub submission_mode: SubmissionMode,
    /// What may happen when no evidence comes.
    pub on_uncertain: OnUncertain,
    /// The resolution asked for, in the vendor's word.
    pub resolution: Option<String>,
    /// The workspace asked for.
    pub workspace_id: Option<String>,
    /// Where the videos go.
    pub output_dir: PathBuf,
    /// What AI Studios does where its documents are silent.
    pub vendor: VendorProfile,
    /// Where AI Studios may call about what it renders.
    pub webhook_urls: Option<WebhookUrls>,
}

/// What a person asked of this run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Only these jobs are submitted.
    pub only: Option<JobSelection>,
    /// At most so many videos are submitted.
    pub limit: Option<u32>,
    /// Whether the first videos go ahead of the rest.
    pub canary: bool,
    /// Whether finished videos are fetched.
    pub download: bool,
    /// Whether the run stays for its uncertain jobs.
    pub wait: bool,
    /// Nothing is submitted after this time; what is under way is still brought home.
    pub until: Option<Timestamp>,
    /// Whether failed and cancelled jobs, of those that are wanted, are tried again.
    pub retry_failed: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            only: None,
            limit: None,
            canary: true,
            download: true,
            wait: true,
            until: None,
            retry_failed: false,
        }
    }
}

/// Everything that is handed to a run.
#[derive(Debug)]
pub struct RunInput<S> {
    /// AI Studios, or somebody who plays it.
    pub studio: S,
    /// The open ledger.
    pub ledger: Ledger,
    /// The batch, planned.
    pub batch: BatchId,
    /// What the account allows; shared with every other run of it.
    pub account_limits: AccountLimits,
    /// Its lease.
    pub lease: BatchLease,
    /// The account's host, to which a floor belongs.
    pub base_url: String,
    /// What the batch file says.
    pub settings: RunSettings,
    /// What a person asked.
    pub options: RunOptions,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub jitter: Jitter,
    /// How to stop.
    pub stop: StopSignal,
    /// Who listens.
    pub observer: RunObserver,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct RunOutcome {
    /// Jobs of the sheet by state.
    pub counts: BTreeMap<JobState, u64>,
    /// Why it stopped spending, if it did.
    pub halt: Option<Halt>,
    /// Whether it was asked to stop.
    pub interrupted: bool,
    /// What held the last paid request back.
    pub claim_block: ClaimBlock,
    /// Uncertain jobs that only a person can settle.
    pub jobs_for_operator: u64,
    /// Whether the time window was over before everything was submitted.
    pub window_closed: bool,
}

/// How long open requests may take to end once the run was asked to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// How soon after one another a busy run looks whether it is over.
const COUNT_INTERVAL: Duration = Duration::from_millis(20);
/// How often the run says that it lives.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);

/// Drives a batch forward until nothing is left to do, or nothing more may be done.
///
/// The caller holds the batch's lock. Whatever ends the run, the ledger says what is to be done
/// next, and the next run does it.
///
/// # Errors
/// Only when the ledger cannot be read at the end; a ledger that fails earlier is a [`Halt`].
pub async fn run_batch<S: StudioApi>(shift: RunInput<S>) -> Result<RunOutcome, LedgerError> {
    let _busy = shift.clock.busy();
    let desk = Arc::new(new_run_context(shift).await?);
    if let Some(until) = desk.options.until {
        if until <= desk.clock.now() {
            // Before the first claim: outside of its window a run begins nothing at all.
            desk.window_closed.cancel();
        }
        desk.spawn(close_time_window(desk.clone(), until));
    }
    match desk.settings.submission_mode {
        SubmissionMode::TwoStep => desk.spawn(submit::draft_loop(desk.clone())),
        SubmissionMode::OneStep => {}
    }
    desk.spawn(submit::paid_submit_loop(desk.clone()));
    desk.spawn(generation::generation_loop(desk.clone()));
    desk.spawn(poll::poll_loop(desk.clone()));
    desk.spawn(download::download_loop(desk.clone()));
    desk.spawn(reconcile::reconcile_loop(desk.clone()));
    desk.spawn(heartbeat_loop(desk.clone()));
    desk.spawn(wake_when_submitting_ends(desk.clone()));
    desk.spawn(pause::pause_loop(desk.clone()));
    desk.spawn(webhook::callback_loop(desk.clone()));
    poll::recheck_late_renders(&desk).await;
    wait_until_over(&desk).await;
    desk.finished.cancel();
    desk.tasks.close();
    drain_open_requests(&desk).await;
    // Whoever was taken over must not report as if the batch were still his.
    record_heartbeat(&desk).await;
    let counts = desk.ledger.state_counts(desk.batch).await?;
    let ending = RunOutcome {
        counts,
        halt: desk.breakers.current_halt(),
        interrupted: desk.stop.is_draining(),
        claim_block: desk.quiescence.last_claim_block(),
        jobs_for_operator: desk.jobs_for_operator().len() as u64,
        window_closed: desk.window_closed.is_cancelled(),
    };
    let run_ending = if ending.interrupted { RunEnding::Interrupted } else { RunEnding::Ended };
    desk.lease.end_run(run_ending, desk.clock.now()).await?;
    Ok(ending)
}

async fn new_run_context<S: StudioApi>(shift: RunInput<S>) -> Result<RunContext<S>, LedgerError> {
    let RunInput { studio, ledger, batch, lease, base_url, settings, .. } = shift;
    let clock = shift.clock;
    let found = lease.recovered_work();
    if let Some(until) = ledger.retry_after_floor(&base_url, clock.now()).await? {
        let left = Duration::try_from(until.duration_since(clock.now())).unwrap_or_default();
        shift.account_limits.request_limiter().raise_retry_after_floor(left);
        shift.account_limits.submit_limiter().raise_retry_after_floor(left);
    }
    let began_paused = ledger.is_paused(batch).await?;
    shift.observer.notify(RunEvent::Started {
        run: lease.run_id(),
        drafts_lost: found.drafts_lost,
        uncertain: found.uncertain,
    });
    if began_paused {
        shift.observer.notify(RunEvent::Paused);
    }
    let heard_at = i64::try_from(clock.awake_time().as_millis()).unwrap_or(i64::MAX);
    Ok(RunContext {
        studio,
        ledger,
        jitter: shift.jitter,
        lease,
        batch,
        base_url,
        breakers: CircuitBreakers::new(
            settings.limits.halt_after.get(),
            shift.account_limits.clone(),
        ),
        settings,
        options: shift.options,
        account_limits: shift.account_limits,
        stop: shift.stop,
        tasks: TaskTracker::new(),
        wakeups: Wakeups::default(),
        payloads: Payloads::default(),
        observer: shift.observer,
        render_times: Mutex::new(RenderTimes::default()),
        throttle: Mutex::default(),
        callback_health: CallbackHealth::default(),
        unrecorded_projects: InFlightSet::default(),
        last_response_ms: AtomicI64::new(heard_at),
        quiescence: QuiescenceTracker::default(),
        claim_lock: tokio::sync::Mutex::default(),
        started_at: clock.awake_time(),
        started_paused: began_paused,
        jobs_for_operator: Mutex::new(BTreeSet::new()),
        finished: CancellationToken::new(),
        window_closed: CancellationToken::new(),
        clock,
    })
}

/// Says that this run lives, until it ends or is told that it no longer does.
async fn heartbeat_loop<S: StudioApi>(desk: Arc<RunContext<S>>) {
    while desk.can_follow() {
        record_heartbeat(&desk).await;
        desk.clock
            .idle(async {
                tokio::select! {
                    () = desk.clock.sleep(desk.clock.recheck_interval(HEARTBEAT_INTERVAL)) => {}
                    () = desk.following_stopped() => {}
                }
            })
            .await;
    }
}

/// Ends submitting when the time window is over. The wall clock is asked again and again, so that
/// one that is set while the run lasts is obeyed.
async fn close_time_window<S: StudioApi>(desk: Arc<RunContext<S>>, until: Timestamp) {
    while desk.can_submit() {
        if desk.clock.now() >= until {
            desk.window_closed.cancel();
            desk.wakeups.run_end.notify_one();
            return;
        }
        desk.wait_for_work(&Notify::new(), Some(until), desk.submitting_stopped()).await;
    }
}

/// What ends submitting may come from outside, as when another batch of the account halts it: then
/// nobody of this batch would look whether its run is over.
async fn wake_when_submitting_ends<S: StudioApi>(desk: Arc<RunContext<S>>) {
    desk.clock.idle(desk.submitting_stopped()).await;
    desk.wakeups.run_end.notify_one();
}

async fn record_heartbeat<S: StudioApi>(desk: &RunContext<S>) {
    match desk.lease.record_heartbeat(desk.clock.now()).await {
        Ok(true) => {}
        Ok(false) => desk.halt_on_ledger_error(&LedgerError::LeaseLost),
        Err(error) => desk.halt_on_ledger_error(&error),
    }
}

async fn wait_until_over<S: StudioApi>(desk: &RunContext<S>) {
    let mut told = false;
    loop {
        if let (Some(halt), false) = (desk.breakers.current_halt(), told) {
            told = true;
            desk.observer.notify(RunEvent::Halted { words: halt.message().to_owned() });
        }
        if !desk.can_follow() {
            break;
        }
        match is_over(desk).await {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => desk.halt_on_ledger_error(&error),
        }
        desk.wait_for_work(&desk.wakeups.run_end, None, desk.following_stopped()).await;
        // A busy run rings many times a millisecond, and counting each time would slow it down.
        desk.sleep_or_stop(COUNT_INTERVAL, desk.following_stopped()).await;
    }
    if desk.stop.is_draining() {
        desk.observer.notify(RunEvent::Draining);
    }
}

/// Tells whether nothing is left that this run could do.
async fn is_over<S: StudioApi>(desk: &RunContext<S>) -> Result<bool, LedgerError> {
    let seen = desk.quiescence.change_count();
    let only = desk.options.only;
    let (counts, ready) = desk.ledger.remaining_work(desk.batch, only).await?;
    let jobs = |state| counts.get(&state).copied().unwrap_or(0);
    let fetching = if desk.can_download() { jobs(JobState::Fetching) } else { 0 };
    if jobs(JobState::Submitting) + jobs(JobState::Rendering) + fetching > 0 {
        return Ok(false);
    }
    let settled_by_nobody = desk.jobs_for_operator().len() as u64;
    let uncertain = jobs(JobState::Uncertain).saturating_sub(settled_by_nobody);
    let one_is_looked_at = jobs(JobState::Uncertain) > 0 && desk.quiescence.is_changing();
    if desk.options.wait && (uncertain > 0 || one_is_looked_at) {
        return Ok(false);
    }
    if jobs(JobState::Ready) == 0 || !desk.can_submit() {
        return Ok(true);
    }
    // What held the last claim back counts only if nothing has changed since.
    let Some(held) = desk.quiescence.claim_block_since(seen) else { return Ok(false) };
    Ok(match held {
        ClaimBlock::NothingDue => !ready,
        ClaimBlock::PerRun | ClaimBlock::Credits => true,
        // Paused under way, it stays and waits; begun while paused, it brings home and goes.
        ClaimBlock::Paused => desk.started_paused,
        // Nothing is under way, so only a row that waits for a person, or another batch, holds it.
        ClaimBlock::ProjectInUse => true,
        // Nothing is under way, so only jobs that wait for a person can hold these up.
        ClaimBlock::Canary => jobs(JobState::Uncertain) > 0 || jobs(JobState::Fetching) > 0,
        ClaimBlock::InFlight => false,
    })
}

/// Waits for requests that are in the air, as long as they may take; a second request to stop, or
/// the end of patience, leaves them to the next run.
async fn drain_open_requests<S: StudioApi>(desk: &RunContext<S>) {
    let patience = desk.clock.sleep(DRAIN_TIMEOUT);
    desk.clock
        .idle(async {
            tokio::select! {
                () = desk.tasks.wait() => {}
                () = patience => {}
                () = desk.stop.abandoned() => {}
            }
        })
        .await;
}

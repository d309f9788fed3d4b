//! Driving a batch forward: submit, settle, watch, fetch.
//!
//! Each is a loop that claims what is due in the ledger, acts, and records the outcome. The loops
//! hold no state that matters and talk to each other only through the ledger and a bell. So
//! resuming is not a feature: it is starting the loops. Time, chance and the studio are handed in.

mod alarm;
mod allowance;
mod changes;
mod desk;
mod dice;
mod draft;
mod evidence;
mod fetch;
mod generation;
mod halt;
mod happening;
mod hooks;
mod in_hand;
mod limiter;
mod lock;
mod pace;
mod part;
mod pause;
mod payload;
mod port;
mod repeat;
mod second_look;
mod settle;
mod slow;
mod stop;
mod submit;
mod vendor;
mod video;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::batch::{Limits, OnUncertain, Submission, VendorProfile};
use crate::clock::Clock;
use crate::ledger::{BatchId, Held, Lease, Ledger, LedgerError, Selection, State, TakenOver};
use changes::Changes;
use desk::{Bells, Desk};
use halt::Halts;
use hooks::Ears;
use in_hand::InHand;
use pace::Learned;
use payload::Payloads;

pub use allowance::Allowance;
pub use dice::Dice;
pub use evidence::{Seen, Tagged, judge, told_to_keep_ids, weigh};
pub use halt::Halt;
pub use happening::{Happening, Observer};
pub use hooks::Hooks;
pub use lock::{BatchLock, LockError, holder_of, host};
pub use port::{
    Download, Export, FetchTrouble, Generation, List, Listed, Make, Project, Render, Studio,
    Submitted, Trouble,
};
pub use stop::Stop;
pub use vendor::Vendor;

/// What the batch file says of a run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Rates, caps, pauses and budgets.
    pub limits: Limits,
    /// How a job is submitted.
    pub submission: Submission,
    /// What may happen when no evidence comes.
    pub on_uncertain: OnUncertain,
    /// The resolution asked for, in the vendor's word.
    pub resolution: Option<String>,
    /// The workspace asked for.
    pub workspace_id: Option<String>,
    /// Where the videos go.
    pub output: PathBuf,
    /// What AI Studios does where its documents are silent.
    pub vendor: VendorProfile,
    /// Where AI Studios may call about what it renders.
    pub hooks: Option<Hooks>,
}

/// What a person asked of this run.
#[derive(Clone, Debug)]
pub struct Orders {
    /// Only these jobs are submitted.
    pub only: Option<Selection>,
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
    pub again: bool,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            only: None,
            limit: None,
            canary: true,
            download: true,
            wait: true,
            until: None,
            again: false,
        }
    }
}

/// Everything that is handed to a run.
#[derive(Debug)]
pub struct Shift<S> {
    /// AI Studios, or somebody who plays it.
    pub studio: S,
    /// The open ledger.
    pub ledger: Ledger,
    /// The batch, planned.
    pub batch: BatchId,
    /// What the account allows; shared with every other run of it.
    pub allowance: Allowance,
    /// Its lease, and what was found when it was taken.
    pub lease: (Lease, TakenOver),
    /// The account's host, to which a floor belongs.
    pub base_url: String,
    /// What the batch file says.
    pub settings: Settings,
    /// What a person asked.
    pub orders: Orders,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub dice: Dice,
    /// How to stop.
    pub stop: Stop,
    /// Who listens.
    pub observer: Observer,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Jobs of the sheet by state.
    pub counts: BTreeMap<State, u64>,
    /// Why it stopped spending, if it did.
    pub halt: Option<Halt>,
    /// Whether it was asked to stop.
    pub interrupted: bool,
    /// What held the last paid request back.
    pub held: Held,
    /// Uncertain jobs that only a person can settle.
    pub for_people: u64,
    /// Whether the time window was over before everything was submitted.
    pub window_over: bool,
}

/// How long open requests may take to end once the run was asked to stop.
const DRAIN: Duration = Duration::from_secs(20);
/// How soon after one another a busy run looks whether it is over.
const BETWEEN_COUNTS: Duration = Duration::from_millis(20);
/// How often the run says that it lives.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Drives a batch forward until nothing is left to do, or nothing more may be done.
///
/// The caller holds the batch's lock. Whatever ends the run, the ledger says what is to be done
/// next, and the next run does it.
///
/// # Errors
/// Only when the ledger cannot be read at the end; a ledger that fails earlier is a [`Halt`].
pub async fn run<S: Studio>(shift: Shift<S>) -> Result<Ending, LedgerError> {
    let _busy = shift.clock.busy();
    let desk = Arc::new(sit_down(shift).await?);
    if let Some(until) = desk.orders.until {
        if until <= desk.clock.now() {
            // Before the first claim: outside of its window a run begins nothing at all.
            desk.window_over.cancel();
        }
        desk.spawn(close_window(desk.clone(), until));
    }
    match desk.settings.submission {
        Submission::TwoStep => desk.spawn(submit::draft_loop(desk.clone())),
        Submission::OneStep => {}
    }
    desk.spawn(submit::pay_loop(desk.clone()));
    desk.spawn(generation::generation_loop(desk.clone()));
    desk.spawn(watch::watch_loop(desk.clone()));
    desk.spawn(fetch::fetch_loop(desk.clone()));
    desk.spawn(settle::settle_loop(desk.clone()));
    desk.spawn(beat(desk.clone()));
    desk.spawn(ring_when_submitting_ends(desk.clone()));
    desk.spawn(pause::heed_pause(desk.clone()));
    desk.spawn(hooks::heed_calls(desk.clone()));
    watch::look_at_late_ones(&desk).await;
    wait_for_the_end(&desk).await;
    desk.finished.cancel();
    desk.tasks.close();
    finish_what_is_open(&desk).await;
    // Whoever was taken over must not report as if the batch were still his.
    beat_once(&desk).await;
    let counts = desk.ledger.counts(desk.batch).await?;
    let ending = Ending {
        counts,
        halt: desk.halts.standing(),
        interrupted: desk.stop.is_draining(),
        held: desk.changes.held(),
        for_people: desk.for_people().len() as u64,
        window_over: desk.window_over.is_cancelled(),
    };
    let word = if ending.interrupted { "interrupted" } else { "ended" };
    desk.ledger.end_run(desk.lease, word, desk.clock.now()).await?;
    Ok(ending)
}

async fn sit_down<S: Studio>(shift: Shift<S>) -> Result<Desk<S>, LedgerError> {
    let Shift { studio, ledger, batch, lease, base_url, settings, .. } = shift;
    let clock = shift.clock;
    let (lease, found) = lease;
    if let Some(until) = ledger.floor(&base_url, clock.now()).await? {
        let left = Duration::try_from(until.duration_since(clock.now())).unwrap_or_default();
        shift.allowance.requests().raise_floor(left);
        shift.allowance.submits().raise_floor(left);
    }
    let began_paused = ledger.is_paused(batch).await?;
    shift.observer.tell(Happening::Started {
        run: lease.run(),
        drafts_lost: found.drafts_lost,
        uncertain: found.uncertain,
    });
    if began_paused {
        shift.observer.tell(Happening::Paused);
    }
    let heard_at = i64::try_from(clock.awake().as_millis()).unwrap_or(i64::MAX);
    Ok(Desk {
        studio,
        ledger,
        dice: shift.dice,
        lease,
        batch,
        base_url,
        halts: Halts::new(settings.limits.halt_after.get(), shift.allowance.clone()),
        settings,
        orders: shift.orders,
        allowance: shift.allowance,
        stop: shift.stop,
        tasks: TaskTracker::new(),
        bells: Bells::default(),
        payloads: Payloads::default(),
        observer: shift.observer,
        learned: Mutex::new(Learned::default()),
        slow_downs: Mutex::default(),
        ears: Ears::default(),
        drafts: InHand::default(),
        heard_at: AtomicI64::new(heard_at),
        changes: Changes::default(),
        repeating: tokio::sync::Mutex::default(),
        began: clock.awake(),
        began_paused,
        for_people: Mutex::new(BTreeSet::new()),
        finished: CancellationToken::new(),
        window_over: CancellationToken::new(),
        clock,
    })
}

/// Says that this run lives, until it ends or is told that it no longer does.
async fn beat<S: Studio>(desk: Arc<Desk<S>>) {
    while desk.may_follow() {
        beat_once(&desk).await;
        desk.clock
            .idle(async {
                tokio::select! {
                    () = desk.clock.sleep(desk.clock.watch(HEARTBEAT)) => {}
                    () = desk.no_more_following() => {}
                }
            })
            .await;
    }
}

/// Ends submitting when the time window is over. The wall clock is asked again and again, so that
/// one that is set while the run lasts is obeyed.
async fn close_window<S: Studio>(desk: Arc<Desk<S>>, until: Timestamp) {
    while desk.may_submit() {
        if desk.clock.now() >= until {
            desk.window_over.cancel();
            desk.bells.end.notify_one();
            return;
        }
        desk.rest(&Notify::new(), Some(until), desk.no_more_submitting()).await;
    }
}

/// What ends submitting may come from outside, as when another batch of the account halts it: then
/// nobody of this batch would look whether its run is over.
async fn ring_when_submitting_ends<S: Studio>(desk: Arc<Desk<S>>) {
    desk.clock.idle(desk.no_more_submitting()).await;
    desk.bells.end.notify_one();
}

async fn beat_once<S: Studio>(desk: &Desk<S>) {
    match desk.ledger.heartbeat(desk.lease, desk.clock.now()).await {
        Ok(true) => {}
        Ok(false) => desk.ledger_failed(&LedgerError::LeaseLost),
        Err(error) => desk.ledger_failed(&error),
    }
}

async fn wait_for_the_end<S: Studio>(desk: &Desk<S>) {
    let mut told = false;
    loop {
        if let (Some(halt), false) = (desk.halts.standing(), told) {
            told = true;
            desk.observer.tell(Happening::Halted { words: halt.words().to_owned() });
        }
        if !desk.may_follow() {
            break;
        }
        match is_over(desk).await {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => desk.ledger_failed(&error),
        }
        desk.rest(&desk.bells.end, None, desk.no_more_following()).await;
        // A busy run rings many times a millisecond, and counting each time would slow it down.
        desk.nap(BETWEEN_COUNTS, desk.no_more_following()).await;
    }
    if desk.stop.is_draining() {
        desk.observer.tell(Happening::Draining);
    }
}

/// Tells whether nothing is left that this run could do.
async fn is_over<S: Studio>(desk: &Desk<S>) -> Result<bool, LedgerError> {
    let seen = desk.changes.made();
    let only = desk.orders.only;
    let (counts, ready) = desk.ledger.left_to_do(desk.batch, only).await?;
    let jobs = |state| counts.get(&state).copied().unwrap_or(0);
    let fetching = if desk.may_fetch() { jobs(State::Fetching) } else { 0 };
    if jobs(State::Submitting) + jobs(State::Rendering) + fetching > 0 {
        return Ok(false);
    }
    let settled_by_nobody = desk.for_people().len() as u64;
    let uncertain = jobs(State::Uncertain).saturating_sub(settled_by_nobody);
    let one_is_looked_at = jobs(State::Uncertain) > 0 && desk.changes.is_open();
    if desk.orders.wait && (uncertain > 0 || one_is_looked_at) {
        return Ok(false);
    }
    if jobs(State::Ready) == 0 || !desk.may_submit() {
        return Ok(true);
    }
    // What held the last claim back counts only if nothing has changed since.
    let Some(held) = desk.changes.held_since(seen) else { return Ok(false) };
    Ok(match held {
        Held::NothingDue => !ready,
        Held::PerRun | Held::Credits => true,
        // Paused under way, it stays and waits; begun while paused, it brings home and goes.
        Held::Paused => desk.began_paused,
        // Nothing is under way, so only a row that waits for a person, or another batch, holds it.
        Held::Subject => true,
        // Nothing is under way, so only jobs that wait for a person can hold these up.
        Held::Canary => jobs(State::Uncertain) > 0 || jobs(State::Fetching) > 0,
        Held::InFlight => false,
    })
}

/// Waits for requests that are in the air, as long as they may take; a second request to stop, or
/// the end of patience, leaves them to the next run.
async fn finish_what_is_open<S: Studio>(desk: &Desk<S>) {
    let patience = desk.clock.sleep(DRAIN);
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

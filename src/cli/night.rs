//! A night: one batch or several, driven side by side until each has come to its end.
//!
//! Batches of one account share its client (and so its token) and its allowance; each has its own
//! lock, lease, halts, canaries and report. Everything here was planned and checked before; only
//! one thing is still asked first, for free: whether every account answers. Until then nothing is
//! spent in any batch.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::advice::Commands;
use super::drive::{self, Early};
use super::ending::{account_of, advice, exit_of, exit_of_halt};
use super::exit::Exit;
use super::folder;
use super::hooks::Ears;
use super::screen::{self, Screen};
use super::signals::{Signals, Vigil};
use super::talk::Talk;
use super::whom::{self, Account};
use super::wrap::Wrap;
use super::wraps::named;
use crate::batch::{Batch, Rate};
use crate::clock::Clock;
use crate::ledger::{BatchId, Lease, Ledger, LedgerError, State, TakenOver};
use crate::report::{self, Written};
use crate::runner::{
    self, Allowance, BatchLock, Dice, Ending, Halt, Observer, Orders, Settings, Shift, Stop, Vendor,
};
use crate::studio::Client;

/// See the module's words.
pub(super) struct Night {
    pub(super) ledger: Ledger,
    pub(super) clock: Clock,
    pub(super) drives: Vec<Drive>,
    /// Whether the calls of AI Studios are taken in this process.
    pub(super) receives: bool,
}

/// A batch that is ready to be driven.
pub(super) struct Drive {
    pub(super) batch: Batch,
    pub(super) id: BatchId,
    pub(super) lease: (Lease, TakenOver),
    pub(super) orders: Orders,
    pub(super) lock: BatchLock,
    pub(super) account: Arc<Account>,
    pub(super) commands: Commands,
    pub(super) wrap: Arc<Wrap>,
}

/// What the batches of one account share.
struct Line {
    account: Arc<Account>,
    client: Arc<Client>,
    allowance: Allowance,
}

/// How the driving of one batch ended.
struct Ended {
    batch: String,
    exit: Exit,
    /// The last line for programs.
    line: Value,
}

/// What all batches of a night have at hand.
struct Company<'n> {
    ledger: &'n Ledger,
    clock: &'n Clock,
    stop: &'n Stop,
    signals: &'n Signals,
    screen: &'n Screen,
    ears: &'n Ears,
    /// Whether there is more than one batch, so that each must be named.
    together: bool,
}

impl Night {
    /// Drives all batches to their ends, writes their reports and says how each ended.
    pub(super) async fn go(self, talk: &Talk, vigil: &Vigil) -> Result<Exit, Early> {
        // Not before: until here a person may have said no.
        for drive in &self.drives {
            drive.wrap.begins();
        }
        if let Err(early) = self.make_folders() {
            self.not_begun().await?;
            return Err(early);
        }
        let lines = self.lines(talk)?;
        for line in &lines {
            let studio = Vendor::new(line.client.clone(), None, None);
            if let Err(halt) = greet(&studio, &self.clock, talk).await {
                self.not_begun().await?;
                return Err(Early::new(exit_of_halt(&halt), line.account.not_begun(&halt)));
            }
        }
        let heard = (self.drives.as_slice(), self.receives);
        let ears = match Ears::open(heard, (&self.ledger, &self.clock)).await {
            Ok(ears) => ears,
            Err(early) => {
                self.not_begun().await?;
                return Err(early);
            }
        };
        let ids: Vec<BatchId> = self.drives.iter().map(|drive| drive.id).collect();
        let counts = screen::counts(&self.ledger, &ids).await;
        let counts = counts.map_err(|error| Early::new(Exit::Unexpected, error))?;
        let screen = Screen::new(talk, self.drives.len(), counts);
        let (stop, signals) = vigil.drives();
        let company = Company {
            ledger: &self.ledger,
            clock: &self.clock,
            stop,
            signals,
            screen: &screen,
            ears: &ears,
            together: self.drives.len() > 1,
        };
        let driven = self.drives.into_iter().map(|drive| {
            let line = lines.iter().find(|line| Arc::ptr_eq(&line.account, &drive.account));
            let line = line.expect("every batch's account has a line");
            drive.go(line, &company, talk)
        });
        let ended = tokio::select! {
            ended = join_all(driven) => ended,
            never = screen.beat(&self.ledger, &ids) => match never {},
        };
        ears.close().await;
        self.ledger.close().await;
        for line in lines {
            if let Some(account) = Arc::into_inner(line.account) {
                account.close().await;
            }
        }
        Ok(sum_up(ended, talk))
    }

    /// Returns one line for each account, as wide as the most careful of its batches allows.
    fn lines(&self, talk: &Talk) -> Result<Vec<Line>, Early> {
        let mut lines: Vec<Line> = Vec::new();
        for drive in &self.drives {
            if lines.iter().any(|line| Arc::ptr_eq(&line.account, &drive.account)) {
                continue;
            }
            let sharing: Vec<&Drive> = self
                .drives
                .iter()
                .filter(|other| Arc::ptr_eq(&other.account, &drive.account))
                .collect();
            let slowest = |rate: fn(&Drive) -> Rate| {
                sharing.iter().map(|drive| rate(drive)).fold(Rate::Unlimited, Rate::slower)
            };
            let requests = slowest(|drive| drive.batch.limits.requests);
            let submits = slowest(|drive| drive.batch.limits.submits);
            if sharing.len() > 1 {
                let names: Vec<_> = sharing.iter().map(|one| one.batch.name.as_str()).collect();
                talk.say(&format!(
                    "{} share one account, and the lowest of their rates: {requests} for all \
                     calls, {submits} for those that start a render",
                    names.join(", ")
                ));
            }
            let patience = sharing.iter().map(|one| one.batch.limits.request_timeout).max();
            let account = drive.account.clone();
            let client = account.client(patience.unwrap_or_default(), &self.clock)?;
            let allowance = Allowance::new(requests, submits, &self.clock);
            lines.push(Line { account, client, allowance });
        }
        Ok(lines)
    }

    fn make_folders(&self) -> Result<(), Early> {
        let outputs = self.drives.iter().map(|drive| drive::output(&drive.batch, &drive.account));
        outputs.into_iter().try_for_each(|output| folder::make(&output))
    }

    async fn not_begun(&self) -> Result<(), Early> {
        for drive in &self.drives {
            let ended =
                self.ledger.end_run(drive.lease.0, drive::NOT_BEGUN, self.clock.now()).await;
            ended.map_err(|error| Early::new(Exit::Unexpected, error))?;
        }
        Ok(())
    }
}

/// Writes the last event, and returns how all of it ended.
fn sum_up(mut ended: Vec<Ended>, talk: &Talk) -> Exit {
    if let [_] = ended.as_slice() {
        let only = ended.remove(0);
        talk.sum_up(only.line);
        return only.exit;
    }
    let exit = Exit::gravest(ended.iter().map(|one| one.exit));
    let batches: Vec<Value> = ended.into_iter().map(|one| named(one.line, &one.batch)).collect();
    talk.sum_up(json!({ "exit": exit.code(), "error": null, "batches": batches }));
    exit
}

impl Drive {
    /// Drives the batch until nothing is left to do, writes its report and says how it ended.
    async fn go(self, line: &Line, company: &Company<'_>, talk: &Talk) -> Ended {
        let batch = self.batch.name.as_str().to_owned();
        let talk = if company.together { &talk.of(&batch) } else { talk };
        let (exit, error) = match self.carry_out(line, company, talk).await {
            Ok(exit) => (exit, None),
            Err(early) => {
                let words = early.words.clone();
                (early.tell(talk), Some(words))
            }
        };
        let line = self.wrap.up(exit, error, talk).await.unwrap_or_default();
        if company.together && talk.is_json() {
            let mut event = line.clone();
            event["type"] = json!("run.ended");
            talk.event(event);
        }
        // From here on a person may act on this batch, though others go on.
        drop(self.lock);
        Ended { batch, exit, line }
    }

    async fn carry_out(
        &self,
        line: &Line,
        company: &Company<'_>,
        talk: &Talk,
    ) -> Result<Exit, Early> {
        let unexpected = |error: &dyn std::fmt::Display| Early::new(Exit::Unexpected, error);
        let output = drive::output(&self.batch, &self.account);
        let stays = self.orders.wait.then_some(self.batch.limits.settle_after);
        let observer = company.screen.observer(talk, stays);
        let ended = runner::run(self.shift(line, company, (output.clone(), observer))).await;
        company.screen.ended();
        let ending = ended.map_err(|error| unexpected(&error))?;
        if let Some(Halt::Ledger { words }) = &ending.halt {
            // Nothing to report from, or a successor's to write. What there is stays.
            return Err(Early::new(Exit::Unexpected, words));
        }
        let written = report::write_results(company.ledger, self.id, &output).await;
        let written = written.map_err(|error| unexpected(&error))?;
        let invalid = company.ledger.count_invalid(self.id).await;
        let invalid = invalid.map_err(|error| unexpected(&error))?;
        let skipped = company.ledger.count_skipped(self.id).await;
        let skipped = skipped.map_err(|error| unexpected(&error))?;
        let without_job = (invalid, skipped);
        let left =
            self.is_left(&ending, company.ledger).await.map_err(|error| unexpected(&error))?;
        let exit = exit_of(&ending, left, company.signals.terminated());
        let wrapped = self.wrap.ended(&ending, &written).await;
        wrapped.map_err(|error| unexpected(&error))?;
        let page = self.wrap.page();
        self.wrap.sums_up(summary(&ending, (exit, without_job), (&written, page)));
        if !talk.is_json() {
            self.conclude(&ending, (exit, without_job), (&written, &output), talk);
        }
        Ok(exit)
    }

    /// Tells whether a job that was asked for was not submitted.
    async fn is_left(&self, ending: &Ending, ledger: &Ledger) -> Result<bool, LedgerError> {
        match self.orders.only {
            Some(_) => Ok(ledger.left_to_do(self.id, self.orders.only).await?.1),
            None => Ok(ending.counts.get(&State::Ready).is_some_and(|jobs| *jobs > 0)),
        }
    }

    fn shift(
        &self,
        line: &Line,
        company: &Company<'_>,
        (output, observer): (PathBuf, Observer),
    ) -> Shift<Vendor> {
        Shift {
            studio: whom::vendor(line.client.clone(), &self.batch),
            ledger: company.ledger.clone(),
            batch: self.id,
            allowance: line.allowance.clone(),
            lease: self.lease,
            base_url: self.account.name.clone(),
            settings: Settings {
                hooks: company.ears.of(self.batch.name.as_str()),
                ..settings(&self.batch, output)
            },
            orders: self.orders.clone(),
            clock: company.clock.clone(),
            dice: Dice::new(),
            stop: company.stop.clone(),
            observer,
        }
    }

    /// Says how it ended, where everything is, and what to type next.
    fn conclude(
        &self,
        ending: &Ending,
        (exit, without_job): (Exit, (u64, u64)),
        (written, output): (&Written, &Path),
        talk: &Talk,
    ) {
        talk.result(&talk.named(&account_of(ending, without_job)));
        let results = written.results.display();
        let place = format!("videos in {}, results in {results}", output.display());
        talk.result(&talk.named(&place));
        if let Some(page) = self.wrap.page() {
            talk.result(&talk.named(&format!("a page to look at is {page}")));
        }
        if let Some(failures) = &written.failures {
            let place = format!("what can be mended is in {}", failures.display());
            talk.result(&talk.named(&place));
        }
        if let Some(halt) = &ending.halt {
            // Said before, among much else; and to nobody who asked for silence.
            talk.error(&talk.named(halt.words()));
        }
        if let Some(advice) = advice(exit, ending, &self.commands) {
            talk.say(&talk.named(&advice));
        }
    }
}

fn summary(
    ending: &Ending,
    (exit, without_job): (Exit, (u64, u64)),
    (written, page): (&Written, Option<String>),
) -> Value {
    let counts: serde_json::Map<_, _> =
        ending.counts.iter().map(|(state, jobs)| (state.word().to_owned(), json!(jobs))).collect();
    json!({
        "exit": exit.code(),
        "counts": counts,
        "invalid": without_job.0,
        "skipped": without_job.1,
        "halt": ending.halt.as_ref().map(Halt::words),
        "results": written.results.display().to_string(),
        "failures": written.failures.as_ref().map(|path| path.display().to_string()),
        "report": page,
    })
}

fn settings(batch: &Batch, output: PathBuf) -> Settings {
    Settings {
        limits: batch.limits.clone(),
        submission: batch.studio.submission,
        on_uncertain: batch.studio.on_uncertain,
        resolution: batch.studio.resolution.map(|resolution| resolution.word().to_owned()),
        workspace_id: batch.studio.workspace_id.clone(),
        output,
        vendor: batch.vendor.clone(),
        hooks: None,
    }
}

/// Tries of the first call, a few seconds apart: a network that is just waking up is no trouble.
const GREETINGS: u32 = 3;

/// Asks once, for free, whether the host is there and the credentials are good.
async fn greet(studio: &Vendor, clock: &Clock, talk: &Talk) -> Result<(), Halt> {
    let mut left = GREETINGS;
    loop {
        left -= 1;
        match studio.greet().await {
            Err(Halt::Silence { words }) if left > 0 => {
                talk.say(&format!("{words}; trying again"));
                clock.sleep(Duration::from_secs(2)).await;
            }
            answer => return answer,
        }
    }
}

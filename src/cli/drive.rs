//! What `run` and `resume` share: a lock, a lease, the loops, a report, and how it ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use url::Url;

use super::account;
use super::ending::{account_of, advice, exit_of, exit_of_halt};
use super::exit::Exit;
use super::screen::Screen;
use super::signals::Signals;
use super::talk::{Talk, counted, span};
use super::wrap::Wrap;
use crate::batch::{Batch, Host};
use crate::clock::Clock;
use crate::ledger::{BatchId, Durability, Lease, Ledger, Owner, State, TakenOver};
use crate::report::{self, Written};
use crate::runner::{
    self, BatchLock, Dice, Ending, Halt, LockError, Orders, Settings, Shift, Stop, Vendor,
};
use crate::sandbox::{self, Sandbox};
use crate::studio::{Client, Credentials};

/// Virtual seconds that pass in one second of a rehearsal: minutes of rendering take seconds.
pub(super) const REHEARSAL_SPEED: f64 = 60.0;
/// What the ledger keeps as a rehearsal's host: its port is another each time.
const REHEARSAL_HOST: &str = "rehearsal";

/// A batch that is ready to be driven.
pub(super) struct Drive<'w> {
    pub(super) batch: Batch,
    pub(super) orders: Orders,
    pub(super) ledger: Ledger,
    pub(super) lock: BatchLock,
    pub(super) account: Account,
    pub(super) clock: Clock,
    pub(super) wrap: &'w Wrap,
}

/// Whom a run talks to, and as whom.
pub(super) struct Account {
    /// What the ledger knows the host by.
    pub(super) name: String,
    base_url: Url,
    credentials: Credentials,
    /// The virtual AI Studios of a rehearsal; it ends with the run.
    sandbox: Option<Sandbox>,
}

/// Why a command ended before it began: what to say, and the exit code. Nothing to say when it
/// has been said.
pub(super) struct Early {
    pub(super) words: String,
    pub(super) exit: Exit,
}

impl Early {
    pub(super) fn new(exit: Exit, words: impl std::fmt::Display) -> Self {
        Self { words: words.to_string(), exit }
    }

    /// Says it and returns the exit code.
    pub(super) fn tell(self, talk: &Talk) -> Exit {
        if !self.words.is_empty() {
            talk.error(&self.words);
        }
        self.exit
    }
}

impl Account {
    /// The real AI Studios, as the batch file and the environment say.
    pub(super) fn real(batch: &Batch) -> Result<Self, Early> {
        let base_url = batch.studio.host.base_url();
        let credentials = account::credentials(batch.studio.user_key_command.as_deref());
        let credentials = credentials.map_err(|error| Early::new(Exit::Usage, error))?;
        let name = base_url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { name, base_url, credentials, sandbox: None })
    }

    /// The host that a batch was begun at, whatever its file says of hosts.
    pub(super) fn at(name: &str, batch: &Batch) -> Result<Self, Early> {
        let mut batch = batch.clone();
        at_base_url(&mut batch, Some(name))?;
        Self::real(&batch)
    }

    /// A virtual AI Studios inside this process. It remembers what it was asked beside the
    /// ledger, so that a rehearsal that was killed goes on like a real night.
    pub(super) async fn rehearsal(
        ledger: &Path,
        mut settings: sandbox::Settings,
    ) -> Result<Self, Early> {
        settings.state = Some(ledger.with_added_extension("studio.jsonl"));
        let sandbox = Sandbox::start(settings).await.map_err(|error| match error.kind() {
            // The batch's own lock is held by now, so this is another batch of the same ledger.
            std::io::ErrorKind::ResourceBusy => Early::new(
                Exit::Held,
                format!(
                    "another rehearsal uses the ledger `{}`: wait for it, or choose another \
                     --ledger",
                    ledger.display()
                ),
            ),
            _ => Early::new(
                Exit::Unexpected,
                format!("the rehearsal's studio cannot start: {error}"),
            ),
        })?;
        let base_url =
            Url::parse(&sandbox.base_url()).map_err(|error| Early::new(Exit::Unexpected, error))?;
        let credentials = Credentials::new(sandbox::APP_ID, sandbox::USER_KEY)
            .map_err(|error| Early::new(Exit::Unexpected, error))?;
        let name = REHEARSAL_HOST.to_owned();
        Ok(Self { name, base_url, credentials, sandbox: Some(sandbox) })
    }

    /// Says why a run did not begin. What only says that nobody answered does not say who.
    fn not_begun(&self, halt: &Halt) -> String {
        let (host, words) = (self.base_url.authority(), halt.words());
        match halt {
            Halt::Silence { .. } if !words.contains(host) => format!(
                "`{host}` does not answer ({words}): check the network and `base_url`, then run \
                 the same command again"
            ),
            _ => words.to_owned(),
        }
    }

    /// Tells whether nothing of this costs anything.
    pub(super) fn is_rehearsal(&self) -> bool {
        self.sandbox.is_some()
    }

    /// Returns AI Studios, ready to be asked.
    pub(super) fn vendor(&self, batch: &Batch, clock: &Clock) -> Result<Vendor, Early> {
        let mut settings =
            crate::studio::Settings::new(self.base_url.clone(), self.credentials.clone());
        settings.request_timeout = batch.limits.request_timeout;
        let client = Client::new(settings, clock.clone());
        let client = client.map_err(|error| Early::new(Exit::Usage, error))?;
        let resolution = batch.studio.resolution.map(|resolution| resolution.word().to_owned());
        Ok(Vendor::new(client, resolution, batch.studio.workspace_id.clone()))
    }

    /// Ends a rehearsal's studio; what it did is in its state file.
    pub(super) async fn close(self) {
        if let Some(sandbox) = self.sandbox {
            sandbox.stop().await;
        }
    }
}

/// Returns the output folder: a rehearsal never mixes its videos with real ones.
pub(super) fn output(batch: &Batch, account: &Account) -> PathBuf {
    if !account.is_rehearsal() {
        return batch.output.clone();
    }
    rehearsal_output(&batch.output)
}

/// Returns the output folder of rehearsals beside the real one.
pub(super) fn rehearsal_output(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push("-rehearsal");
    output.with_file_name(name)
}

/// Opens the ledger.
pub(super) async fn open(path: &Path) -> Result<Ledger, Early> {
    let opened = Ledger::open(path, Durability::PowerLoss).await;
    opened.map_err(|error| Early::new(Exit::Unexpected, error))
}

/// Opens a ledger that must be there already: whoever only looks makes none.
pub(super) async fn existing(path: &Path) -> Result<Ledger, Early> {
    if !path.exists() {
        let words = format!("there is no ledger `{}` yet: use `callsheet run`", path.display());
        return Err(Early::new(Exit::Usage, words));
    }
    open(path).await
}

/// Takes the batch's lock, or says who has it.
pub(super) fn lock(ledger: &Path, batch: &str, clock: &Clock) -> Result<BatchLock, Early> {
    BatchLock::take(ledger, batch, clock.now()).map_err(|error| {
        let exit = match &error {
            LockError::Held { .. } => Exit::Held,
            LockError::Lies { .. } => Exit::Usage,
            LockError::Io { .. } => Exit::Unexpected,
        };
        Early::new(exit, error)
    })
}

/// Opens a run on the batch.
pub(super) async fn begin(
    ledger: &Ledger,
    batch: BatchId,
    clock: &Clock,
) -> Result<(Lease, TakenOver), Early> {
    let owner = Owner { host: runner::host(), pid: std::process::id() };
    let begun = ledger.begin_run(batch, owner, clock.now()).await;
    begun.map_err(|error| Early::new(Exit::Unexpected, error))
}

impl Drive<'_> {
    /// Drives the batch until nothing is left to do, writes its report and says how it ended.
    pub(super) async fn go(
        self,
        batch: BatchId,
        lease: (Lease, TakenOver),
        talk: &Talk,
    ) -> Result<Exit, Early> {
        let unexpected = |error: &dyn std::fmt::Display| Early::new(Exit::Unexpected, error);
        let output = output(&self.batch, &self.account);
        let studio = self.account.vendor(&self.batch, &self.clock)?;
        let settings = settings(&self.batch, output.clone());
        if let Err(halt) = greet(&studio, &self.clock, talk).await {
            let exit = exit_of_halt(&halt);
            let ended = self.ledger.end_run(lease.0, "not begun", self.clock.now()).await;
            ended.map_err(|error| unexpected(&error))?;
            return Err(Early::new(exit, self.account.not_begun(&halt)));
        }
        let counts = self.ledger.counts(batch).await.map_err(|error| unexpected(&error))?;
        let done =
            counts.get(&State::Done).unwrap_or(&0) + counts.get(&State::Reused).unwrap_or(&0);
        let total = counts.values().sum();
        let screen = Screen::new(talk, (done, total));
        let stop = Stop::default();
        let signals = Signals::listen(stop.clone());
        let ended = runner::run(Shift {
            studio,
            ledger: self.ledger.clone(),
            batch,
            lease,
            base_url: self.account.name.clone(),
            settings,
            orders: self.orders.clone(),
            clock: self.clock.clone(),
            dice: Dice::new(),
            stop,
            observer: screen.observer(),
        })
        .await;
        screen.clear();
        let ending = ended.map_err(|error| unexpected(&error))?;
        if let Some(Halt::Ledger { words }) = &ending.halt {
            // Nothing to report from, or a successor's to write. What there is stays.
            self.ledger.close().await;
            return Err(Early::new(Exit::Unexpected, words));
        }
        let written = report::write_results(&self.ledger, batch, &output).await;
        let written = written.map_err(|error| unexpected(&error))?;
        let invalid = self.ledger.count_invalid(batch).await.map_err(|error| unexpected(&error))?;
        let exit = exit_of(&ending, &self.orders, signals.terminated());
        self.wrap.ended(&ending, &written).await;
        self.conclude(&ending, (exit, invalid), (&written, &output), talk);
        let Self { ledger, lock, account, .. } = self;
        ledger.close().await;
        drop(lock);
        account.close().await;
        Ok(exit)
    }

    /// Says how it ended, where everything is, and what to type next.
    fn conclude(
        &self,
        ending: &Ending,
        (exit, invalid): (Exit, u64),
        (written, output): (&Written, &Path),
        talk: &Talk,
    ) {
        if talk.is_json() {
            let counts: serde_json::Map<_, _> = ending
                .counts
                .iter()
                .map(|(state, jobs)| (state.word().to_owned(), json!(jobs)))
                .collect();
            self.wrap.sums_up(json!({
                "exit": exit.code(),
                "counts": counts,
                "invalid": invalid,
                "halt": ending.halt.as_ref().map(Halt::words),
                "results": written.results.display().to_string(),
                "failures": written.failures.as_ref().map(|path| path.display().to_string()),
            }));
            return;
        }
        talk.result(&account_of(ending, invalid));
        let results = written.results.display();
        talk.result(&format!("videos in {}, results in {results}", output.display()));
        if let Some(failures) = &written.failures {
            talk.result(&format!("what can be mended is in {}", failures.display()));
        }
        if let Some(halt) = &ending.halt {
            // Said before, among much else; and to nobody who asked for silence.
            talk.error(halt.words());
        }
        if let Some(advice) = advice(exit, ending, self.batch.name.as_str()) {
            talk.say(&advice);
        }
    }
}

fn settings(batch: &Batch, output: PathBuf) -> Settings {
    Settings {
        limits: batch.limits.clone(),
        submission: batch.studio.submission,
        on_uncertain: batch.studio.on_uncertain,
        resolution: batch.studio.resolution.map(|resolution| resolution.word().to_owned()),
        workspace_id: batch.studio.workspace_id.clone(),
        output,
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

/// Where another address of the API may stand in the environment.
const BASE_URL: &str = "AISTUDIOS_BASE_URL";

/// Replaces the host of a batch, where a flag or else the environment says so.
pub(super) fn at_base_url(batch: &mut Batch, flag: Option<&str>) -> Result<(), Early> {
    let said = std::env::var(BASE_URL).ok().filter(|value| !value.trim().is_empty());
    let (source, base_url) = match (flag, said) {
        (Some(flag), _) => ("--base-url", flag.to_owned()),
        (None, Some(said)) => (BASE_URL, said),
        (None, None) => return Ok(()),
    };
    batch.studio.host = Host::at(&base_url)
        .map_err(|error| Early::new(Exit::Usage, format!("{source}: {error}")))?;
    Ok(())
}

/// Reads a time of day, such as `06:00`.
pub(super) fn time_of_day(text: &str) -> Result<jiff::civil::Time, String> {
    jiff::civil::Time::strptime("%H:%M", text)
        .map_err(|_| "write it as HH:MM, for example 06:00".to_owned())
}

/// Returns when it will be `time` next, after `now` and in its time zone.
pub(super) fn next_time(time: jiff::civil::Time, now: &jiff::Zoned) -> jiff::Timestamp {
    let on = |date: jiff::civil::Date| date.to_datetime(time).to_zoned(now.time_zone().clone());
    let today = on(now.date()).ok().filter(|today| today > now);
    let next = today.or_else(|| on(now.date().tomorrow().ok()?).ok());
    next.map_or(jiff::Timestamp::MAX, |next| next.timestamp())
}

/// Says what is to be expected.
pub(super) fn expectation(estimate: &crate::plan::Estimate) -> String {
    if estimate.videos == 0 {
        return "nothing new to render".to_owned();
    }
    let (least, most) = (span(estimate.least), span(estimate.most));
    let time = if least == most { least } else { format!("{least} to {most}") };
    format!(
        "{} to render, about {} of speech; within the limits this takes {time}",
        counted(estimate.videos, "video"),
        span(estimate.spoken),
    )
}

//! `callsheet status [BATCH]`: what stands where, and what to type next.
//!
//! Every row of the sheet is in exactly one of the counts; jobs whose row left the sheet are told
//! apart from them.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Map, Value, json};

use super::Global;
use super::advice::Commands;
use super::drive::{self, Early};
use super::exit::Exit;
use super::hold::{Which, unexpected};
use super::moment::{lasted, local};
use super::runs;
use super::table::Sheet;
use super::talk::{Talk, counted};
use super::troubles::{self, Trouble};
use crate::ledger::{BatchId, BatchRow, Ledger, RunOf, State};
use crate::runner::holder_of;

/// Show what stands where, and what to do next
///
/// Without a name, every batch of the ledger; with one, also what needs somebody, grouped by its
/// reason, with the command for each.
#[derive(Debug, Args)]
#[command(after_help = "\
`open` are jobs that go on by themselves in the next run: ready, submitting,
rendering, fetching. done + open + uncertain + failed + cancelled + invalid is
always rows.

With --json, {\"batches\": […]} with batch, file, base_url, rows, counts (by
state), invalid, stalled, generating, removed (by state), credits, paused,
planned, live (who holds it), last_run (as `callsheet runs --json`), troubles
(state, cause, jobs, next), next.")]
pub(super) struct Status {
    /// The batch's name, or its batch file
    batch: Option<String>,
    /// Look into the ledger of rehearsals
    #[arg(long)]
    sandbox: bool,
}

pub(super) async fn run(args: Status, global: &Global, talk: &Talk) -> Exit {
    match carry_out(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

/// A batch and everything that is counted of it.
struct Standing {
    batch: BatchRow,
    counts: BTreeMap<State, u64>,
    removed: BTreeMap<State, u64>,
    invalid: u64,
    /// Ready jobs whose draft AI Studios is still making.
    generating: u64,
    credits: Option<f64>,
    last_run: Option<RunOf>,
    /// Who drives it at this moment.
    live: Option<String>,
    troubles: Vec<Trouble>,
    commands: Commands,
}

async fn carry_out(args: Status, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let path = global.ledger(args.sandbox);
    if args.batch.is_none() && !path.exists() {
        return Ok(nothing_yet(&path, talk));
    }
    let which = args.batch.map(|batch| Which { batch, sandbox: args.sandbox });
    let (ledger, only) = match &which {
        Some(which) => {
            let (ledger, stored) = which.find(global).await?;
            (ledger, Some(stored.id))
        }
        None => (drive::existing(&path).await?, None),
    };
    let mut standings = Vec::new();
    for batch in ledger.batches().await.map_err(unexpected)? {
        if only.is_none_or(|id| id == batch.id) {
            let commands = Commands::named(global, args.sandbox, (&batch.name, &batch.file));
            standings.push(Standing::read(&ledger, batch, commands).await?);
        }
    }
    if talk.is_json() {
        let batches: Vec<_> = standings.iter().map(|standing| standing.document(&ledger)).collect();
        talk.document(&json!({ "batches": batches }));
    } else if standings.is_empty() {
        talk.result("no batch yet: begin with callsheet run jobs/NAME.toml");
    } else {
        talk.result(&table(&standings));
        for standing in &standings {
            standing.tell(&ledger, only, talk).await?;
        }
    }
    ledger.close().await;
    Ok(Exit::Done)
}

fn nothing_yet(path: &std::path::Path, talk: &Talk) -> Exit {
    if talk.is_json() {
        talk.document(&json!({ "batches": [] }));
    } else {
        talk.result(&format!(
            "nothing has run here yet: the first run makes the ledger `{}`",
            path.display()
        ));
        talk.say("rehearse, which costs nothing: callsheet run jobs/NAME.toml --sandbox");
    }
    Exit::Done
}

/// Runs that are looked through for the last one that drove the batch.
const RUNS_READ: u32 = 50;

async fn last_run(ledger: &Ledger, batch: BatchId) -> Result<Option<RunOf>, Early> {
    let runs = ledger.runs(Some(batch), RUNS_READ).await.map_err(unexpected)?;
    // What a person did in between drove nothing.
    let drove = |of: &RunOf| !matches!(of.run.ending.as_deref(), Some("by hand" | "not begun"));
    Ok(runs.into_iter().find(drove))
}

impl Standing {
    async fn read(ledger: &Ledger, batch: BatchRow, commands: Commands) -> Result<Self, Early> {
        let id = batch.id;
        let invalid = ledger.count_invalid(id).await.map_err(unexpected)?;
        Ok(Self {
            counts: ledger.counts(id).await.map_err(unexpected)?,
            removed: ledger.counts_removed(id).await.map_err(unexpected)?,
            credits: ledger.credits_heard(id).await.map_err(unexpected)?,
            last_run: last_run(ledger, id).await?,
            live: holder_of(ledger.path(), &batch.name),
            troubles: troubles::of(ledger.reasons(id).await.map_err(unexpected)?, invalid),
            generating: ledger.count_generating(id).await.map_err(unexpected)?,
            invalid,
            batch,
            commands,
        })
    }

    fn jobs(&self, state: State) -> u64 {
        self.counts.get(&state).copied().unwrap_or(0)
    }

    fn done(&self) -> u64 {
        self.jobs(State::Done) + self.jobs(State::Reused)
    }

    fn open(&self) -> u64 {
        [State::Ready, State::Submitting, State::Rendering, State::Fetching]
            .into_iter()
            .map(|state| self.jobs(state))
            .sum()
    }

    fn rows(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.invalid
    }

    fn stalled(&self) -> u64 {
        let stalled =
            self.troubles.iter().filter(|trouble| trouble.state == Some(State::Rendering));
        stalled.map(|trouble| trouble.jobs).sum()
    }

    /// Returns the command to type next; nothing when all is done, or is being done.
    fn next(&self) -> Option<String> {
        if self.batch.paused {
            Some(self.commands.unpause())
        } else if self.live.is_some() {
            None
        } else if self.jobs(State::Failed) + self.invalid > 0 {
            // It names the command for each reason; a run alone would mend none of them.
            Some(self.commands.status())
        } else if self.open() > 0 || self.jobs(State::Uncertain) > 0 {
            Some(self.commands.run())
        } else {
            None
        }
    }

    async fn tell(&self, ledger: &Ledger, only: Option<BatchId>, talk: &Talk) -> Result<(), Early> {
        talk.result(&format!("\n{}: {}", self.batch.name, self.history()));
        for line in self.remarks() {
            talk.result(&format!("  {line}"));
        }
        if only.is_none() {
            match self.next() {
                Some(command) => talk.result(&format!("  next: {command}")),
                None if self.live.is_none() => talk.result("  nothing to do"),
                None => {}
            }
            return Ok(());
        }
        for trouble in &self.troubles {
            talk.result("");
            talk.result(&trouble.told(ledger, self.batch.id, &self.commands).await?);
        }
        let failed = |trouble: &&Trouble| trouble.state == Some(State::Failed);
        if self.troubles.iter().filter(failed).count() > 1 {
            let all = self.commands.retry_all();
            talk.result(&format!(
                "\nall that failed or was taken out, whatever the reason:\n    {all}"
            ));
        }
        if self.batch.paused {
            talk.result(&format!("\nto let it go on:\n    {}", self.commands.unpause()));
        } else if self.open() > self.stalled() && self.live.is_none() {
            let open = counted(self.open(), "job");
            talk.result(&format!("\n{open} to go on with:\n    {}", self.commands.run()));
        }
        Ok(())
    }

    /// Says when it was last driven, by whom, and how that ended.
    fn history(&self) -> String {
        if let Some(holder) = &self.live {
            return format!("a run is live ({holder})");
        }
        let Some(of) = &self.last_run else { return "planned, never run".to_owned() };
        let run = &of.run;
        let ended = run.ended_at.unwrap_or(run.heartbeat_at);
        let (began, took) = (local(run.started_at), lasted(run.started_at, ended));
        let submitted = counted(run.submitted.unsigned_abs(), "paid request");
        let ending = match run.ending.as_deref() {
            Some("died") | None => "died (killed, or the power went)",
            Some(ending) => ending,
        };
        format!(
            "last run {began}, {took}, {submitted}, {ending}; process {} on {}",
            run.pid, run.host
        )
    }

    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.batch.paused {
            remarks.push("paused by a person: nothing is submitted".to_owned());
        }
        if self.generating > 0 {
            let jobs = counted(self.generating, "job");
            remarks.push(format!("{jobs} still being written by AI Studios, and rendered then"));
        }
        let removed: u64 = self.removed.values().sum();
        if removed > 0 {
            let each: Vec<_> =
                self.removed.iter().map(|(state, jobs)| format!("{jobs} {state}")).collect();
            let jobs = counted(removed, "job");
            remarks
                .push(format!("{jobs} not counted, whose row left the sheet: {}", each.join(", ")));
        }
        if let Some(credits) = self.credits {
            remarks.push(format!("{credits} credits, as far as AI Studios said"));
        }
        remarks
    }

    fn document(&self, ledger: &Ledger) -> Value {
        let words = |counts: &BTreeMap<State, u64>| -> Map<String, Value> {
            let jobs = |state| json!(counts.get(&state).copied().unwrap_or(0));
            State::ALL.into_iter().map(|state| (state.word().to_owned(), jobs(state))).collect()
        };
        let troubles: Vec<_> =
            self.troubles.iter().map(|trouble| trouble.document(&self.commands)).collect();
        json!({
            "batch": self.batch.name,
            "file": self.batch.file,
            "base_url": self.batch.base_url,
            "rows": self.rows(),
            "counts": words(&self.counts),
            "invalid": self.invalid,
            "stalled": self.stalled(),
            "generating": self.generating,
            "removed": words(&self.removed),
            "credits": self.credits,
            "paused": self.batch.paused,
            "planned": self.batch.planned_at.map(super::moment::iso),
            "live": self.live,
            "last_run": self.last_run.as_ref().map(|of| runs::document(of, ledger)),
            "troubles": troubles,
            "next": self.next(),
        })
    }
}

fn table(standings: &[Standing]) -> String {
    let mut table = Sheet::new(&[
        "batch",
        "rows#",
        "done#",
        "open#",
        "uncertain#",
        "failed#",
        "cancelled#",
        "invalid#",
    ]);
    for standing in standings {
        table.add([
            standing.batch.name.clone(),
            standing.rows().to_string(),
            standing.done().to_string(),
            standing.open().to_string(),
            standing.jobs(State::Uncertain).to_string(),
            standing.jobs(State::Failed).to_string(),
            standing.jobs(State::Cancelled).to_string(),
            standing.invalid.to_string(),
        ]);
    }
    table.shown()
}

//! `callsheet runs [BATCH]`: who drove which batch, when, and how that ended.

use clap::Args;
use serde_json::{Value, json};

use super::Global;
use super::drive::{self, Early};
use super::exit::Exit;
use super::hold::{Which, unexpected};
use super::moment::{iso, lasted, lived, local};
use super::narrowing::number;
use super::table::Sheet;
use super::talk::Talk;
use crate::clock::Clock;
use crate::ledger::{Ledger, RunOf};
use crate::runner::holder_of;

/// List the runs, the latest first
#[derive(Debug, Args)]
#[command(after_help = "\
How it ended: `ended` by itself, `interrupted` by Ctrl-C or a signal, `by hand`
(retry, resolve and the like), `not begun` (nothing was submitted), `died`
(killed, or the power went), or `live`.

With --json, {\"runs\": […]} with run, batch, host, pid, started, heartbeat, ended,
ending, live, submitted (paid requests that were begun). Times are RFC 3339.")]
pub(super) struct Runs {
    /// Only runs of this batch, by its name or batch file
    batch: Option<String>,
    /// Look into the ledger of rehearsals
    #[arg(long)]
    sandbox: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = number::<u32>)]
    limit: u32,
}

pub(super) async fn run(args: Runs, global: &Global, talk: &Talk) -> Exit {
    match carry_out(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn carry_out(args: Runs, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let (ledger, batch) = match args.batch {
        Some(batch) => {
            let which = Which { batch, sandbox: args.sandbox };
            let (ledger, stored) = which.find(global).await?;
            (ledger, Some(stored.id))
        }
        None => {
            let ledger = drive::existing(&global.ledger(args.sandbox)).await;
            (ledger.map_err(|early| early.and(&global.elsewhere(args.sandbox)))?, None)
        }
    };
    let runs = ledger.runs(batch, args.limit).await.map_err(unexpected)?;
    if talk.is_json() {
        let runs: Vec<_> = runs.iter().map(|run| document(run, &ledger)).collect();
        talk.document(&json!({ "runs": runs }));
    } else if runs.is_empty() {
        talk.say(&format!("no run yet{}", global.elsewhere(args.sandbox)));
    } else {
        talk.result(&table(&runs, &ledger));
    }
    ledger.close().await;
    Ok(Exit::Done)
}

/// How a run ended, or what is known of one that did not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate<'r> {
    /// It said so.
    Ended(&'r str),
    /// It holds the batch's lock.
    Live,
    /// It said nothing, and nobody holds the lock.
    Died,
}

impl<'r> Fate<'r> {
    /// Returns what became of a run.
    pub(super) fn of(of: &'r RunOf, ledger: &Ledger) -> Self {
        match of.run.ending.as_deref() {
            Some("died") => Self::Died,
            Some(ending) => Self::Ended(ending),
            None if holder_of(ledger.path(), &of.batch).is_some() => Self::Live,
            None => Self::Died,
        }
    }

    /// Returns the word for it.
    pub(super) fn word(self) -> &'r str {
        match self {
            Self::Ended(word) => word,
            Self::Live => "live",
            Self::Died => "died",
        }
    }
}

fn table(runs: &[RunOf], ledger: &Ledger) -> String {
    let mut table =
        Sheet::new(&["run#", "batch", "began", "lasted", "submitted#", "ending", "process"]);
    for of in runs {
        let fate = Fate::of(of, ledger);
        let (began, seen) = (of.run.started_at, of.run.heartbeat_at);
        let lasted = match fate {
            Fate::Live => lasted(began, Clock::real().now().as_millisecond()),
            Fate::Ended(_) => lasted(began, of.run.ended_at.unwrap_or(seen)),
            Fate::Died => lived(began, seen),
        };
        table.add([
            of.run.id.to_string(),
            of.batch.clone(),
            local(of.run.started_at),
            lasted,
            of.run.submitted.to_string(),
            fate.word().to_owned(),
            format!("{} on {}", of.run.pid, of.run.host),
        ]);
    }
    table.shown()
}

/// Returns a run as programs see it.
pub(super) fn document(of: &RunOf, ledger: &Ledger) -> Value {
    let fate = Fate::of(of, ledger);
    json!({
        "run": of.run.id,
        "batch": of.batch,
        "host": of.run.host,
        "pid": of.run.pid,
        "started": iso(of.run.started_at),
        "heartbeat": iso(of.run.heartbeat_at),
        "ended": of.run.ended_at.map(iso),
        "ending": (fate != Fate::Live).then(|| fate.word()),
        "live": fate == Fate::Live,
        "submitted": of.run.submitted,
    })
}

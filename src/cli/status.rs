//! `callsheet status [BATCH]`: what stands where, and what to type next.
//!
//! What it counts is the standing's; here it becomes a table, or a screen that stays.

use clap::Args;
use serde_json::json;

use super::Global;
use super::advice::Commands;
use super::drive::{self, Early};
use super::exit::Exit;
use super::hold::{Which, unexpected};
use super::standing::Standing;
use super::table::Sheet;
use super::talk::{Talk, counted};
use super::troubles::Trouble;
use super::watch;
use crate::ledger::{BatchId, Ledger, State};

/// Show what stands where, and what to do next
///
/// Without a name, every batch of the ledger; with one, also what needs somebody, grouped by its
/// reason, with the command for each.
#[derive(Debug, Args)]
#[command(after_help = "\
`open` are jobs that go on by themselves in the next run: ready, submitting,
rendering, fetching. done + open + uncertain + failed + cancelled + invalid +
skipped is always rows.

With --json, {\"batches\": […]} with batch, file, base_url, rows, counts (by
state), invalid, skipped, stalled, generating, removed (by state), credits (as AI
Studios said them), spent (requests, estimated, observed, observed_of), tempo
(videos, seconds, per_hour: of the last run, in its last hour), paused, planned,
live (who holds it), last_run (as `callsheet runs --json`), troubles (state,
cause, jobs, next), next. With --watch as well, one such batch per line whenever
its counts change, and at least once a minute.")]
pub(super) struct Status {
    /// The batch's name, or its batch file
    batch: Option<String>,
    /// Look into the ledger of rehearsals
    #[arg(long)]
    sandbox: bool,
    /// Stay, and show one batch as it goes; Ctrl-C leaves, and the run goes on
    #[arg(long, requires = "batch")]
    watch: bool,
}

pub(super) async fn run(args: Status, global: &Global, talk: &Talk) -> Exit {
    match carry_out(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn carry_out(args: Status, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let path = global.ledger(args.sandbox);
    if args.batch.is_none() && !path.exists() {
        return Ok(nothing_yet(&path, &global.elsewhere(args.sandbox), talk));
    }
    let which = args.batch.map(|batch| Which { batch, sandbox: args.sandbox });
    let (ledger, only) = match &which {
        Some(which) => {
            let (ledger, stored) = which.find(global).await?;
            (ledger, Some(stored.id))
        }
        None => (drive::existing(&path).await?, None),
    };
    if let (true, Some(id)) = (args.watch, only) {
        return watch::watch(&ledger, (id, global, args.sandbox), talk).await;
    }
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
        let elsewhere = global.elsewhere(args.sandbox);
        talk.result(&format!("no batch yet: begin with callsheet run jobs/NAME.toml{elsewhere}"));
    } else {
        talk.result(&table(&standings));
        for standing in &standings {
            tell(standing, &ledger, only, talk).await?;
        }
    }
    ledger.close().await;
    Ok(Exit::Done)
}

fn nothing_yet(path: &std::path::Path, elsewhere: &str, talk: &Talk) -> Exit {
    if talk.is_json() {
        talk.document(&json!({ "batches": [] }));
    } else {
        talk.result(&format!(
            "nothing has run here yet: the first run makes the ledger `{}`{elsewhere}",
            path.display()
        ));
        talk.say("rehearse, which costs nothing: callsheet run jobs/NAME.toml --sandbox");
    }
    Exit::Done
}

async fn tell(
    standing: &Standing,
    ledger: &Ledger,
    only: Option<BatchId>,
    talk: &Talk,
) -> Result<(), Early> {
    talk.result(&format!("\n{}: {}", standing.batch.name, standing.history()));
    for line in standing.remarks() {
        talk.result(&format!("  {line}"));
    }
    if only.is_none() {
        match standing.next() {
            Some(command) => talk.result(&format!("  next: {command}")),
            None if standing.live.is_none() => talk.result("  nothing to do"),
            None => {}
        }
        return Ok(());
    }
    for trouble in &standing.troubles {
        talk.result("");
        talk.result(&trouble.told(ledger, standing.batch.id, &standing.commands).await?);
    }
    let failed = |trouble: &&Trouble| trouble.state == Some(State::Failed);
    if standing.troubles.iter().filter(failed).count() > 1 {
        let all = standing.commands.retry_all();
        talk.result(&format!(
            "\nall that failed or was taken out, whatever the reason:\n    {all}"
        ));
    }
    if standing.batch.paused {
        talk.result(&format!("\nto let it go on:\n    {}", standing.commands.unpause()));
    } else if standing.open() > standing.stalled() && standing.live.is_none() {
        let open = counted(standing.open(), "job");
        talk.result(&format!("\n{open} to go on with:\n    {}", standing.commands.run()));
    }
    Ok(())
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
        "skipped#",
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
            standing.skipped.to_string(),
        ]);
    }
    table.shown()
}

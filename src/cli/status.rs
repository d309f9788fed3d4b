//! `callsheet status [BATCH]`: what stands where, and what to type next.

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value, json};

use super::Global;
use super::drive::{self, Early};
use super::exit::Exit;
use super::talk::{COLUMNS, Talk, plain};
use crate::ledger::{BatchId, BatchRow, JobRow, Ledger, State};

/// Failed and uncertain jobs that are shown one by one.
const TROUBLES_MAX: usize = 20;

/// Show what stands where, and what to do next
///
/// Without a name, every batch of the ledger; with one, also the jobs that need attention.
#[derive(Debug, Args)]
pub(super) struct Status {
    /// The batch's name
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

/// A batch with its counts.
struct Standing {
    batch: BatchRow,
    counts: std::collections::BTreeMap<State, u64>,
    invalid: u64,
}

impl Standing {
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

    /// Says what to type next.
    fn next(&self) -> String {
        let file = &self.batch.file;
        if self.open() > 0 {
            format!("callsheet run {file}")
        } else if self.jobs(State::Uncertain) > 0 {
            format!("callsheet run {file}  (looks for evidence again)")
        } else if self.jobs(State::Failed) + self.invalid > 0 {
            format!("callsheet status {}", self.batch.name)
        } else {
            "nothing: all done".to_owned()
        }
    }
}

async fn carry_out(args: Status, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let path = global.ledger(args.sandbox);
    if !path.exists() {
        let words = format!("there is no ledger `{}` yet: use `callsheet run`", path.display());
        return Err(Early::new(Exit::Usage, words));
    }
    let ledger = drive::open(&path).await?;
    let mut standings = Vec::new();
    for batch in ledger.batches().await.map_err(unexpected)? {
        if args.batch.as_ref().is_some_and(|name| *name != batch.name) {
            continue;
        }
        let counts = ledger.counts(batch.id).await.map_err(unexpected)?;
        let invalid = ledger.count_invalid(batch.id).await.map_err(unexpected)?;
        standings.push(Standing { batch, counts, invalid });
    }
    if let (Some(name), true) = (&args.batch, standings.is_empty()) {
        let error = ledger.batch(name).await.map(drop).map_err(|error| error.to_string());
        return Err(Early::new(Exit::Usage, error.err().unwrap_or_default()));
    }
    if talk.is_json() {
        talk.document(&json!({ "batches": standings.iter().map(document).collect::<Vec<_>>() }));
        return Ok(Exit::Done);
    }
    if standings.is_empty() {
        talk.result("no batch yet");
        return Ok(Exit::Done);
    }
    talk.result(&table(&standings));
    if args.batch.is_some() {
        for standing in &standings {
            for line in troubles(&ledger, standing.batch.id).await? {
                talk.result(&line);
            }
        }
    }
    ledger.close().await;
    Ok(Exit::Done)
}

fn unexpected(error: crate::ledger::LedgerError) -> Early {
    Early::new(Exit::Unexpected, error)
}

fn table(standings: &[Standing]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(COLUMNS as u16);
    table.set_header(["batch", "rows", "done", "open", "uncertain", "failed", "next"]);
    for standing in standings {
        table.add_row([
            standing.batch.name.clone(),
            standing.rows().to_string(),
            standing.done().to_string(),
            standing.open().to_string(),
            standing.jobs(State::Uncertain).to_string(),
            (standing.jobs(State::Failed) + standing.jobs(State::Cancelled) + standing.invalid)
                .to_string(),
            standing.next(),
        ]);
    }
    // Padding to the right of the last column would wrap on a narrow terminal.
    let lines = table.lines().map(|line| line.trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

fn document(standing: &Standing) -> Value {
    let counts: Map<String, Value> = State::ALL
        .into_iter()
        .map(|state| (state.word().to_owned(), json!(standing.jobs(state))))
        .collect();
    json!({
        "batch": standing.batch.name,
        "file": standing.batch.file,
        "rows": standing.rows(),
        "counts": counts,
        "invalid": standing.invalid,
        "next": standing.next(),
    })
}

/// Returns a line for each job that needs attention.
async fn troubles(ledger: &Ledger, batch: BatchId) -> Result<Vec<String>, Early> {
    let mut lines = Vec::new();
    let mut after = -1;
    loop {
        let rows = ledger.rows(batch, after, 1000).await.map_err(unexpected)?;
        let Some(last) = rows.last() else { break };
        after = last.position;
        lines.extend(rows.iter().filter(|row| needs_attention(row)).map(line_of));
        if lines.len() > TROUBLES_MAX {
            lines.truncate(TROUBLES_MAX);
            lines.push("…".to_owned());
            return Ok(lines);
        }
    }
    let invalid = ledger.invalid_rows(batch, -1, 20).await.map_err(unexpected)?;
    lines.extend(invalid.iter().map(line_of));
    Ok(lines)
}

fn needs_attention(row: &JobRow) -> bool {
    matches!(row.state, Some(State::Failed | State::Uncertain | State::Cancelled)) || row.stalled
}

fn line_of(row: &JobRow) -> String {
    let state = row.state.map_or("invalid", State::word);
    let key = row.key.as_deref().unwrap_or("-");
    let words = row.words.as_deref().or(row.cause.as_deref()).unwrap_or("");
    format!("row {} {}: {state}: {}", row.row_number, plain(key), plain(words))
}

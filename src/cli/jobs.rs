//! `callsheet jobs BATCH`: every job of a batch, or those that are meant.

use clap::Args;

use super::Global;
use super::advice::Commands;
use super::drive::Early;
use super::exit::Exit;
use super::hold::{Which, unexpected};
use super::narrowing::number;
use super::table::Sheet;
use super::talk::{Talk, counted};
use crate::ledger::{JobRow, Ledger, State, StoredBatch};
use crate::plan::{Condition, Sieve};
use crate::report::{self, Rows};
use crate::scene::Columns;

/// Rows of a table, unless more are asked for: what a person can still scroll through.
const TABLE_ROWS: u64 = 500;
/// What may stand for a state beside the states themselves.
const STALLED: &str = "stalled";
const GENERATING: &str = "generating";
const INVALID: &str = "invalid";
const SKIPPED: &str = "skipped";
const REMOVED: &str = "removed";
const OPEN: &str = "open";

/// List the jobs of a batch
///
/// A table, in the order of the sheet. All conditions that are given must hold.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  callsheet jobs spring --state failed,uncertain
  callsheet jobs spring --cause render-failed
  callsheet jobs spring --where language=ko --state open

States: ready, submitting, uncertain, rendering, fetching, done, reused, failed,
cancelled; and stalled (a render without progress), generating (ready, and AI
Studios is still making what will be rendered), invalid (a row that cannot
become a video), skipped (a row that says it is left out), open (whatever may
still become one by itself), removed (the
row left the sheet; listed only when asked for).

With --json, one object per line: row, key, state, stalled, generating, version,
attempts, progress (0 to 100), cause, words, project_id, video_file, video_url
(without its signature), seconds, credits, cells (for each row of the sheet that
makes the video, its cells by heading). What is not known is null. Fields may be
added.")]
pub(super) struct Jobs {
    #[command(flatten)]
    which: Which,
    /// Only jobs in one of these states, separated by commas
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = known_state)]
    state: Vec<String>,
    /// Only jobs that failed for this cause, such as render-failed or refused
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// Only rows with this cell, or without it: language!=ko. May be given again; for one column,
    /// any of its values will do
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    conditions: Vec<Condition>,
    /// At most so many [default: 500 in a table, all with --json]
    #[arg(long, value_name = "N", value_parser = number::<u64>)]
    limit: Option<u64>,
}

fn known_state(word: &str) -> Result<String, String> {
    let word = word.trim().to_lowercase();
    let others = [STALLED, INVALID, SKIPPED, REMOVED, OPEN];
    if State::parse(&word).is_some() || others.contains(&word.as_str()) {
        return Ok(word);
    }
    let states = State::ALL.map(State::word);
    let all = states.into_iter().chain(others);
    let near = all
        .max_by(|a, b| strsim::jaro_winkler(a, &word).total_cmp(&strsim::jaro_winkler(b, &word)));
    Err(format!("there is no such state; did you mean `{}`?", near.unwrap_or_default()))
}

pub(super) async fn run(args: Jobs, global: &Global, talk: &Talk) -> Exit {
    match carry_out(args, global, talk).await {
        Ok(exit) => exit,
        Err(early) => early.tell(talk),
    }
}

async fn carry_out(args: Jobs, global: &Global, talk: &Talk) -> Result<Exit, Early> {
    let (ledger, stored) = args.which.find(global).await?;
    let headings = ledger.headings(stored.id).await.map_err(unexpected)?;
    let columns = columns(&ledger, &stored).await?;
    let meant = Meant::of(&args, &headings, columns)?;
    let most = args.limit.unwrap_or(if talk.is_json() { u64::MAX } else { TABLE_ROWS });
    let mut listing = Listing { most, shown: 0, untold: 0, table: table(), headings, talk };
    let mut rows = Rows::of(&ledger, stored.id);
    while let Some(row) = rows.next().await.map_err(unexpected)? {
        if meant.includes(&row) {
            listing.add(&row);
        }
    }
    if meant.removed {
        for row in removed(&ledger, &stored).await? {
            if meant.has_its_marks(&row) {
                listing.add(&row);
            }
        }
    }
    ledger.close().await;
    let commands = Commands::of(global, args.which.sandbox, &stored);
    listing.end(&commands);
    Ok(Exit::Done)
}

/// Jobs that left the sheet and are read at once; who has more of them has other troubles.
const REMOVED_MAX: u32 = 100_000;

async fn removed(ledger: &Ledger, stored: &StoredBatch) -> Result<Vec<JobRow>, Early> {
    ledger.removed_rows(stored.id, REMOVED_MAX).await.map_err(unexpected)
}

/// Returns how the sheet's cells become fields, as last planned.
async fn columns(ledger: &Ledger, stored: &StoredBatch) -> Result<Columns, Early> {
    let Some(layout) = stored.layout_id else { return Ok(Columns::default()) };
    let layout = ledger.layout(layout).await.map_err(unexpected)?;
    // A layout that cannot be read leaves the headings to look for.
    Ok(serde_json::from_str(&layout.columns).unwrap_or_default())
}

/// Which jobs are meant.
struct Meant<'a> {
    states: &'a [String],
    cause: Option<&'a str>,
    sieve: Sieve,
    columns: Columns,
    removed: bool,
}

impl<'a> Meant<'a> {
    fn of(args: &'a Jobs, headings: &[String], columns: Columns) -> Result<Self, Early> {
        let sieve = Sieve::of(&args.conditions, headings, &columns);
        let sieve = sieve.map_err(|error| Early::new(Exit::Usage, error))?;
        let removed = args.state.iter().any(|word| word == REMOVED);
        Ok(Self { states: &args.state, cause: args.cause.as_deref(), sieve, columns, removed })
    }

    /// Tells whether a row of the sheet is meant.
    fn includes(&self, row: &JobRow) -> bool {
        let fits = self.states.is_empty() || self.states.iter().any(|word| is_in(row, word));
        fits && self.has_its_marks(row)
    }

    fn has_its_marks(&self, row: &JobRow) -> bool {
        if self.cause.is_some_and(|cause| row.cause.as_deref() != Some(cause)) {
            return false;
        }
        let cells: Vec<Vec<String>> = serde_json::from_str(&row.cells).unwrap_or_default();
        self.sieve.lets_through(&cells, &self.columns)
    }
}

fn is_in(row: &JobRow, word: &str) -> bool {
    match word {
        INVALID => row.state.is_none() && !row.skipped,
        SKIPPED => row.skipped,
        STALLED => row.stalled,
        GENERATING => row.generating,
        OPEN => row.state.is_some_and(|state| !state.is_final()),
        word => row.state.is_some_and(|state| state.word() == word),
    }
}

/// What is listed so far.
struct Listing<'t> {
    most: u64,
    shown: u64,
    untold: u64,
    table: Sheet,
    headings: Vec<String>,
    talk: &'t Talk,
}

fn table() -> Sheet {
    Sheet::new(&["key", "row#", "state", "%#", "version#", "attempts#", "words"])
}

impl Listing<'_> {
    fn add(&mut self, row: &JobRow) {
        if self.shown >= self.most {
            self.untold += 1;
            return;
        }
        self.shown += 1;
        if self.talk.is_json() {
            self.talk.document(&report::entry(row, &self.headings));
            return;
        }
        let state = row.word();
        let is_made = row.generating || row.state == Some(State::Rendering);
        let progress = row.progress.filter(|_| is_made);
        self.table.add([
            row.key.clone().unwrap_or_else(|| "-".to_owned()),
            row.row_number.to_string(),
            match (row.stalled, row.generating) {
                (true, _) => STALLED,
                (false, true) => GENERATING,
                (false, false) => state,
            }
            .to_owned(),
            progress.map(|percent| format!("{percent:.0}")).unwrap_or_default(),
            if row.state.is_some() { row.version.to_string() } else { String::new() },
            row.attempts.to_string(),
            words_of(row),
        ]);
    }

    fn end(self, commands: &Commands) {
        if self.talk.is_json() {
            return;
        }
        if self.shown == 0 {
            self.talk.say("no job is like that");
            return;
        }
        self.talk.result(&self.table.shown());
        if self.untold > 0 {
            let more = commands.jobs(&format!("--limit {}", self.shown + self.untold));
            self.talk.say(&format!("and {}: {more}", counted(self.untold, "more job")));
        }
    }
}

fn words_of(row: &JobRow) -> String {
    if let Some(file) = &row.video_file {
        return file.clone();
    }
    let cause = row.cause.as_deref().filter(|_| row.state.is_some());
    match (cause, row.words.as_deref()) {
        (Some(cause), Some(words)) => format!("{cause}: {words}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => String::new(),
    }
}

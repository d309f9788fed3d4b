//! Rows through the mill: one thread reads, every core merges, one hand stages, in order.
//!
//! Channels are bounded, so a sheet of a million rows is never in memory: reading waits for
//! merging, and merging for the ledger.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::problem::{Problem, Problems, Source};
use super::stock::{self, Taken};
use super::{Choice, Materials, PlanError, Sieve, file_name};
use crate::ledger::{Merged, StagedRow, Staging};
use crate::request::Kind;
use crate::scene::{self, Columns, FileName, Merger, Payload, Take, Template};
use crate::sheet::{self, Entry, Sheet};

/// Entries that travel together.
const CHUNK: usize = 256;
/// Chunks waiting before and behind the mergers: enough that nobody idles.
const CHUNKS_WAITING: usize = 4;

/// What one row is merged with.
#[derive(Debug)]
pub struct Merging {
    /// The compiled template.
    pub template: Template,
    /// The compiled `file` pattern.
    pub video_file: Option<FileName>,
    /// How cells become fields.
    pub columns: Columns,
    /// The sheet's own headings, to speak of its columns.
    pub headings: Vec<String>,
    /// What is asked for.
    pub kind: &'static Kind,
    /// What is part of the video's identity besides its payload.
    pub resolution: Option<String>,
    /// The keys that a person named; all when empty.
    pub keys: HashSet<String>,
    /// What a person wants of the cells.
    pub sieve: Sieve,
    /// Whether it is counted what the payloads take from the account's catalogues.
    pub takes: bool,
}

type Chunk = (usize, Vec<Result<Entry, sheet::Problem>>);
type GroundChunk = (usize, Vec<StagedRow>, Found);

/// What was found in some rows.
#[derive(Debug, Default)]
struct Found {
    wrong: Vec<Problem>,
    doubts: Vec<Problem>,
    taken: BTreeMap<Take, Taken>,
}

/// What came out of the mill, besides the staged rows.
pub(super) struct Ground {
    /// Rows, or groups of them, that are in the plan.
    pub(super) rows: u64,
    /// Rows that the sheet says to leave out.
    pub(super) skipped: u64,
    pub(super) problems: Problems,
    /// What is probably not meant, in rows that can be rendered.
    pub(super) doubts: Problems,
    pub(super) taken: BTreeMap<Take, Taken>,
    /// How many of `rows` a person named.
    pub(super) named: u64,
    /// Keys that a person named and no row has.
    pub(super) strangers: BTreeSet<String>,
}

/// Merges every row of the sheet into `staging`.
pub(super) async fn run(
    materials: Materials,
    resolution: Option<String>,
    (choice, sieve): (&Choice, Sieve),
    staging: &mut Staging,
) -> Result<Ground, PlanError> {
    let Materials { template, video_file, sheet, columns, texts: _, kind } = materials;
    let headings = sheet.headings().to_vec();
    let (keys, takes) = (choice.keys.iter().cloned().collect(), choice.takes);
    let merging =
        Merging { template, video_file, columns, headings, kind, resolution, keys, sieve, takes };
    let merging = Arc::new(merging);
    let (raw, queue) = sync_channel::<Chunk>(CHUNKS_WAITING);
    let (ground, mut arriving) = mpsc::channel::<GroundChunk>(CHUNKS_WAITING);
    let queue = Arc::new(Mutex::new(queue));
    let reader = std::thread::spawn(move || read(sheet, &raw));
    let mut threads = Vec::new();
    for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
        let (merging, queue, ground) = (merging.clone(), queue.clone(), ground.clone());
        threads.push(std::thread::spawn(move || merge(&merging, &queue, &ground)));
    }
    drop(ground);
    drop(queue);
    let strangers = choice.keys.iter().cloned().collect();
    let (problems, doubts) = (Problems::default(), Problems::default());
    let taken = BTreeMap::new();
    let mut all = Ground { rows: 0, skipped: 0, problems, doubts, taken, named: 0, strangers };
    let mut early = BTreeMap::new();
    let mut next = 0;
    while let Some((place, staged, found)) = arriving.recv().await {
        early.insert(place, (staged, found));
        while let Some((staged, found)) = early.remove(&next) {
            next += 1;
            all.take(&staged, found);
            staging.push(&staged).await?;
        }
    }
    for thread in threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
    all.skipped = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    Ok(all)
}

impl Ground {
    fn take(&mut self, staged: &[StagedRow], found: Found) {
        self.rows += staged.len() as u64;
        self.named += staged.iter().filter(|row| row.selected).count() as u64;
        found.wrong.into_iter().for_each(|problem| self.problems.add(problem));
        found.doubts.into_iter().for_each(|doubt| self.doubts.add(doubt));
        for (take, taken) in found.taken {
            stock::count(&mut self.taken, take, taken);
        }
        if !self.strangers.is_empty() {
            for key in staged.iter().filter_map(|row| row.key.as_deref()) {
                self.strangers.remove(key);
            }
        }
    }
}

/// Reads all entries. Returns how many rows the sheet says to leave out.
fn read(sheet: Sheet, raw: &SyncSender<Chunk>) -> u64 {
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut place = 0;
    let mut entries = sheet.entries();
    for entry in entries.by_ref() {
        chunk.push(entry);
        if chunk.len() == CHUNK {
            // An error means that staging has failed and nobody reads any more.
            if raw.send((place, std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)))).is_err()
            {
                return entries.skipped();
            }
            place += 1;
        }
    }
    let _ = raw.send((place, chunk));
    entries.skipped()
}

fn merge(merging: &Merging, queue: &Mutex<Receiver<Chunk>>, ground: &mpsc::Sender<GroundChunk>) {
    let mut mill = merging.mill();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((place, entries)) = next else { return };
        let mut staged = Vec::with_capacity(entries.len());
        let mut found = Found::default();
        for (offset, entry) in entries.into_iter().enumerate() {
            let position = i64::try_from(place * CHUNK + offset).unwrap_or(i64::MAX);
            staged.push(match entry {
                Ok(entry) => mill.grind(position, entry, &mut found),
                Err(problem) => refused(position, problem, &mut found.wrong),
            });
        }
        if ground.blocking_send((place, staged, found)).is_err() {
            return;
        }
    }
}

impl Merging {
    /// Returns one thread's tools.
    fn mill(&self) -> Mill<'_> {
        Mill { merger: self.template.merger(&self.columns).of_kind(self.kind), merging: self }
    }

    /// Tells whether a person wants this row now.
    fn means(&self, key: &str, rows: &[Vec<String>]) -> bool {
        (self.keys.is_empty() || self.keys.contains(key))
            && self.sieve.lets_through(rows, &self.columns)
    }
}

struct Mill<'m> {
    merger: Merger<'m>,
    merging: &'m Merging,
}

impl Mill<'_> {
    fn grind(&mut self, position: i64, entry: Entry, found: &mut Found) -> StagedRow {
        let row = entry.rows.first().map_or(1, |row| row.number);
        let rows: Vec<Vec<String>> = entry.rows.into_iter().map(|row| row.cells).collect();
        let known_doubts = found.doubts.len();
        let merged = self.merge(&rows, (&entry.key, row), found);
        found.doubts[known_doubts..].iter_mut().for_each(|doubt| doubt.row = Some(row));
        let selected = self.merging.means(&entry.key, &rows);
        let cells = serde_json::to_string(&rows).expect("lists of texts always make JSON");
        let merged = merged.map_err(|problems| {
            let words: Vec<String> = problems.iter().map(|one| one.words.clone()).collect();
            found.wrong.extend(problems.into_iter().map(|one| Problem { row: Some(row), ..one }));
            words.join("; ")
        });
        let row_number = i64::try_from(row).unwrap_or(i64::MAX);
        StagedRow { position, row_number, key: Some(entry.key), cells, merged, selected }
    }

    fn merge(
        &mut self,
        rows: &[Vec<String>],
        (key, row): (&str, u64),
        found: &mut Found,
    ) -> Result<Merged, Vec<Problem>> {
        let Merging { columns, headings, .. } = self.merging;
        let scene = |problem| Problem::of_scene(problem, columns, headings);
        let payload = self.merger.merge(rows);
        let payload: Payload =
            payload.map_err(|problems| problems.into_iter().map(scene).collect::<Vec<_>>())?;
        found.doubts.extend(self.merger.doubts(&payload).into_iter().map(scene));
        if self.merging.takes {
            for take in scene::takes(payload.text()) {
                stock::count(&mut found.taken, take, Taken { first: Some(row), rows: 1 });
            }
        }
        let wish = match &self.merging.video_file {
            Some(pattern) => {
                let fields = self.merger.fields(rows);
                pattern.render(fields).map_err(|problem| vec![scene(problem)])?
            }
            None => key.to_owned(),
        };
        Ok(Merged {
            payload_hash: payload.video_hash(self.merging.resolution.as_deref()),
            file_name: file_name::safe(&wish, key),
            spoken_ms: i64::try_from(payload.spoken().as_millis()).unwrap_or(i64::MAX),
            subject: payload.subject().map(str::to_owned),
        })
    }
}

fn refused(position: i64, problem: sheet::Problem, wrong: &mut Vec<Problem>) -> StagedRow {
    let words = problem.to_string();
    let row = problem.row;
    wrong.push(Problem {
        source: Source::Sheet,
        row,
        rows: 1,
        words: words.clone(),
        help: problem.help,
        column: None,
        scene: None,
    });
    StagedRow {
        position,
        row_number: row.and_then(|row| i64::try_from(row).ok()).unwrap_or(1).max(1),
        key: None,
        cells: "[]".to_owned(),
        merged: Err(words),
        selected: false,
    }
}

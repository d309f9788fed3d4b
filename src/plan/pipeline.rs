//! Rows through the mill: one thread reads, every core merges, one hand stages, in order.
//!
//! Channels are bounded, so a sheet of a million rows is never in memory: reading waits for
//! merging, and merging for the ledger.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::problem::{Problem, Problems};
use super::refused::{invalid, refused, stranger};
use super::stock::{self, Taken};
use super::{Choice, Edition, Materials, PlanError, Sieve, file_name};
use crate::ledger::{Merged, StagedRow, Staging, Unmerged};
use crate::request::Kind;
use crate::scene::{self, FileName, Hashing, Merger, Payload, Take, Template};
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
    /// How cells become fields, in each way in which a row is made.
    pub editions: Vec<Edition>,
    /// The sheet's own headings, to speak of its columns.
    pub headings: Vec<String>,
    /// What is asked for.
    pub kind: &'static Kind,
    /// What is part of the video's identity besides its payload.
    pub resolution: Option<String>,
    /// How the batch's payloads are hashed.
    pub hashing: Hashing,
    /// The keys that a person named; all when empty.
    pub keys: HashSet<String>,
    /// What a person wants of the cells, for each edition.
    pub sieves: Vec<Sieve>,
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
    pub(super) problems: Problems,
    /// What is probably not meant, in rows that can be rendered.
    pub(super) doubts: Problems,
    pub(super) taken: BTreeMap<Take, Taken>,
    /// How many of `rows` a person named.
    pub(super) named: u64,
    /// Keys that a person named and no row has.
    pub(super) strangers: BTreeSet<String>,
    /// Hashes of all file names, for names that differ in case alone are one file on many disks.
    files: Vec<u64>,
}

/// Merges every row of the sheet into `staging`.
pub(super) async fn run(
    materials: Materials,
    resolution: Option<String>,
    (choice, sieves): (&Choice, Vec<Sieve>),
    staging: &mut Staging,
) -> Result<Ground, PlanError> {
    let Materials { template, video_file, sheet, editions, texts: _, kind } = materials;
    let headings = sheet.headings().to_vec();
    let (keys, takes) = (choice.keys.iter().cloned().collect(), choice.takes);
    let merging = Arc::new(Merging {
        template,
        video_file,
        editions,
        headings,
        kind,
        resolution,
        hashing: staging.known_hash().map(Hashing::of).unwrap_or_default(),
        keys,
        sieves,
        takes,
    });
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
    let mut all =
        Ground { rows: 0, problems, doubts, taken, named: 0, strangers, files: Vec::new() };
    let mut early = BTreeMap::new();
    let mut next = 0;
    while let Some((place, staged, found)) = arriving.recv().await {
        early.insert(place, (staged, found));
        while let Some((staged, found)) = early.remove(&next) {
            next += 1;
            all.take(&staged, found);
            staging.push(staged).await?;
        }
    }
    for thread in threads {
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
    reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    Ok(all)
}

impl Ground {
    /// Returns the hashes of file names that two rows may be written to: none that is one file is
    /// missed. Which they are, if any, is for the ledger's staging to say.
    pub(super) fn shared_files(&mut self) -> HashSet<u64> {
        self.files.sort_unstable();
        self.files.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
    }

    fn take(&mut self, staged: &[StagedRow], found: Found) {
        let made = |row: &&StagedRow| row.merged != Err(Unmerged::Skipped);
        self.rows += staged.iter().filter(made).count() as u64;
        self.named += staged.iter().filter(|row| row.selected).count() as u64;
        found.wrong.into_iter().for_each(|problem| self.problems.add(problem));
        found.doubts.into_iter().for_each(|doubt| self.doubts.add(doubt));
        for (take, taken) in found.taken {
            stock::count(&mut self.taken, take, taken);
        }
        let names = staged.iter().filter_map(|row| row.merged.as_ref().ok());
        self.files.extend(names.map(|merged| file_name::hash(&merged.file_name)));
        if !self.strangers.is_empty() {
            for row in staged {
                let Some(key) = row.key.as_deref() else { continue };
                self.strangers.remove(key);
                self.strangers.remove(row_of(key, row.variant.as_deref()));
            }
        }
    }
}

/// Reads all entries.
fn read(sheet: Sheet, raw: &SyncSender<Chunk>) {
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut place = 0;
    for entry in sheet.entries() {
        chunk.push(entry);
        if chunk.len() == CHUNK {
            // An error means that staging has failed and nobody reads any more.
            if raw.send((place, std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)))).is_err()
            {
                return;
            }
            place += 1;
        }
    }
    let _ = raw.send((place, chunk));
}

fn merge(merging: &Merging, queue: &Mutex<Receiver<Chunk>>, ground: &mpsc::Sender<GroundChunk>) {
    let mut mill = merging.mill();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((place, entries)) = next else { return };
        let mut staged = Vec::with_capacity(entries.len());
        let mut found = Found::default();
        for (offset, entry) in entries.into_iter().enumerate() {
            // Every edition of every row has a place of its own, also where it is not made.
            let position = (place * CHUNK + offset) * merging.editions.len();
            let position = i64::try_from(position).unwrap_or(i64::MAX);
            match entry {
                Ok(entry) => mill.grind(position, entry, (&mut staged, &mut found)),
                Err(problem) => staged.push(refused(position, problem, &mut found.wrong)),
            }
        }
        if ground.blocking_send((place, staged, found)).is_err() {
            return;
        }
    }
}

impl Merging {
    /// Returns one thread's tools.
    fn mill(&self) -> Mill<'_> {
        let merger = |edition: &Edition| self.template.merger(&edition.columns).of_kind(self.kind);
        Mill { mergers: self.editions.iter().map(merger).collect(), merging: self }
    }

    /// Tells whether a person wants this row now; a row's own key means all of its editions.
    fn means(&self, key: &str, (row, number): (&str, usize), rows: &[Vec<String>]) -> bool {
        let named = self.keys.is_empty() || self.keys.contains(key) || self.keys.contains(row);
        named && self.sieves[number].lets_through(rows, &self.editions[number].columns)
    }

    /// Returns the editions that an entry is to be made in, by number.
    fn editions_of(&self, entry: &Entry) -> Result<std::ops::Range<usize>, String> {
        let Some(variant) = &entry.variant else { return Ok(0..self.editions.len()) };
        let same = |edition: &Edition| edition.variant.as_ref() == Some(variant);
        match self.editions.iter().position(same) {
            Some(number) => Ok(number..number + 1),
            None => Err(format!(
                "this line of a report is about the variant `{variant}`, which is not in the batch file"
            )),
        }
    }
}

/// Returns the key of the row whose edition has this key.
fn row_of<'k>(key: &'k str, variant: Option<&str>) -> &'k str {
    let row = variant.and_then(|variant| key.strip_suffix(variant)?.strip_suffix('/'));
    row.unwrap_or(key)
}

struct Mill<'m> {
    mergers: Vec<Merger<'m>>,
    merging: &'m Merging,
}

impl Mill<'_> {
    /// Makes every edition of an entry.
    fn grind(
        &mut self,
        position: i64,
        entry: Entry,
        (staged, found): (&mut Vec<StagedRow>, &mut Found),
    ) {
        let row = entry.rows.first().map_or(1, |row| row.number);
        let of_group: Vec<u64>;
        let row_numbers = match &entry.rows[..] {
            [] | [_] => std::slice::from_ref(&row),
            rows => {
                of_group = rows.iter().map(|row| row.number).collect();
                &of_group
            }
        };
        let numbers = self.merging.editions_of(&entry);
        let Entry { key, variant, rows, skipped } = entry;
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.cells).collect();
        let mut cells = scene::json_of_rows(&rows);
        let numbers = match numbers {
            Ok(numbers) => numbers,
            Err(words) => {
                let line = (key, variant, cells);
                staged.push(stranger((position, row), line, words, &mut found.wrong));
                return;
            }
        };
        let (own, last) = (row_of(&key, variant.as_deref()), numbers.end - 1);
        for (place, number) in numbers.enumerate() {
            let edition = &self.merging.editions[number];
            let key = if own.is_empty() { String::new() } else { edition.key(own) };
            let is_left_out = skipped || edition.leaves_out(&rows);
            let known_doubts = found.doubts.len();
            let merged = match is_left_out {
                true => Err(Unmerged::Skipped),
                false => {
                    let merged = self.merge((&rows, number), (&key, row_numbers), found);
                    merged.map_err(|problems| invalid(problems, row_numbers, &mut found.wrong))
                }
            };
            found.doubts[known_doubts..].iter_mut().for_each(|doubt| doubt.row = Some(row));
            staged.push(StagedRow {
                position: position + place as i64,
                row_number: i64::try_from(row).unwrap_or(i64::MAX),
                selected: !is_left_out && self.merging.means(&key, (own, number), &rows),
                variant: edition.variant.clone(),
                layout: number,
                key: Some(key).filter(|key| !key.is_empty()),
                cells: if number == last { std::mem::take(&mut cells) } else { cells.clone() },
                merged,
            });
        }
    }

    fn merge(
        &mut self,
        (rows, number): (&[Vec<String>], usize),
        (key, row_numbers): (&str, &[u64]),
        found: &mut Found,
    ) -> Result<Merged, Vec<Problem>> {
        let Merging { editions, headings, resolution, hashing, .. } = self.merging;
        let Edition { variant, columns, .. } = &editions[number];
        let merger = &mut self.mergers[number];
        let at = |problem: scene::Problem, column: Option<usize>| {
            let problem = Problem::of_scene(problem, column, headings);
            match variant {
                Some(variant) => problem.of_variant(variant),
                None => problem,
            }
        };
        let scene = |problem: scene::Problem| {
            let column = problem.place.cell().and_then(|name| columns.place(name));
            at(problem, column)
        };
        let payload: Payload = merger.merge(rows).map_err(|problems| {
            let faults = merger.blame(rows, &problems);
            let placed = |(problem, fault): (scene::Problem, scene::Blame)| Problem {
                row: row_numbers.get(fault.row).copied(),
                ..at(problem, fault.column)
            };
            problems.into_iter().zip(faults).map(placed).collect::<Vec<_>>()
        })?;
        found.doubts.extend(merger.doubts(&payload).into_iter().map(scene));
        if self.merging.takes {
            for take in scene::takes(payload.text()) {
                let first = row_numbers.first().copied();
                stock::count(&mut found.taken, take, Taken { first, rows: 1 });
            }
        }
        let wish = match &self.merging.video_file {
            Some(pattern) => merger.file_name(pattern).map_err(|problem| vec![scene(problem)])?,
            None => key.to_owned(),
        };
        Ok(Merged {
            payload_hash: payload.video_hash(resolution.as_deref(), *hashing),
            file_name: file_name::safe(&wish, key),
            spoken_ms: i64::try_from(payload.spoken().as_millis()).unwrap_or(i64::MAX),
            subject: payload.subject().map(str::to_owned),
        })
    }
}

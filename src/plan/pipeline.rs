//! Rows through the mill: one thread reads, every core merges, one hand stages, in order.
//!
//! Channels are bounded, so a sheet of a million rows is never in memory: reading waits for
//! merging, and merging for the ledger.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::catalog_check::{self, CatalogUse};
use super::problem::{PlanProblem, PlanProblems};
use super::rejected_rows::{invalid_row, unknown_variant, unreadable_row};
use super::{PlanError, PlanInputs, RowFilter, RowSelection, VariantMapping, file_name};
use crate::ledger::{MergedRow, StagedRow, StagedSheet, UnmergedReason};
use crate::payload::{CatalogRef, HashAlgorithm, Payload, PayloadMerger};
use crate::request::RequestKind;
use crate::sheet::{self, Sheet, SheetEntry};
use crate::template::{FileNamePattern, SceneTemplate};
use crate::{payload, template};

/// Entries that travel together.
const CHUNK_ENTRIES: usize = 256;
/// Chunks waiting before and behind the mergers: enough that nobody idles.
const CHUNKS_QUEUED_MAX: usize = 4;

/// What one row is merged with.
#[derive(Debug)]
pub struct MergeContext {
    /// The compiled template.
    pub template: SceneTemplate,
    /// The compiled `file` pattern.
    pub file_pattern: Option<FileNamePattern>,
    /// How cells become fields, in each way in which a row is made.
    pub variants: Vec<VariantMapping>,
    /// The sheet's own headings, to speak of its columns.
    pub headings: Vec<String>,
    /// What is asked for.
    pub request_kind: &'static RequestKind,
    /// What is part of the video's identity besides its payload.
    pub resolution: Option<String>,
    /// How the batch's payloads are hashed.
    pub hashing: HashAlgorithm,
    /// The keys that a person named; all when empty.
    pub selected_keys: HashSet<String>,
    /// What a person wants of the cells, for each edition.
    pub row_filters: Vec<RowFilter>,
    /// Whether it is counted what the payloads take from the account's catalogues.
    pub should_record_catalog_uses: bool,
}

type EntryChunk = (usize, Vec<Result<SheetEntry, sheet::SheetProblem>>);
type MergedChunk = (usize, Vec<StagedRow>, RowFindings);

/// What was found in some rows.
#[derive(Debug, Default)]
struct RowFindings {
    problems: Vec<PlanProblem>,
    warnings: Vec<PlanProblem>,
    catalog_uses: BTreeMap<CatalogRef, CatalogUse>,
}

/// What came out of the mill, besides the staged rows.
pub(super) struct MergeTotals {
    /// Rows, or groups of them, that are in the plan.
    pub(super) rows: u64,
    pub(super) problems: PlanProblems,
    /// What is probably not meant, in rows that can be rendered.
    pub(super) warnings: PlanProblems,
    pub(super) catalog_uses: BTreeMap<CatalogRef, CatalogUse>,
    /// How many of `rows` a person named.
    pub(super) selected_rows: u64,
    /// Keys that a person named and no row has.
    pub(super) unknown_keys: BTreeSet<String>,
    /// Hashes of all file names, for names that differ in case alone are one file on many disks.
    file_hashes: Vec<u64>,
}

/// Merges every row of the sheet into `staging`.
pub(super) async fn merge_sheet(
    materials: PlanInputs,
    resolution: Option<String>,
    (choice, sieves): (&RowSelection, Vec<RowFilter>),
    staging: &mut StagedSheet,
) -> Result<MergeTotals, PlanError> {
    let PlanInputs {
        template,
        file_pattern: video_file,
        sheet,
        variants: editions,
        template_files: _,
        request_kind: kind,
    } = materials;
    let headings = sheet.headings().to_vec();
    let (keys, takes) = (choice.keys.iter().cloned().collect(), choice.should_record_catalog_uses);
    let merging = Arc::new(MergeContext {
        template,
        file_pattern: video_file,
        variants: editions,
        headings,
        request_kind: kind,
        resolution,
        hashing: staging.known_hash().map(HashAlgorithm::from_hash).unwrap_or_default(),
        selected_keys: keys,
        row_filters: sieves,
        should_record_catalog_uses: takes,
    });
    let (raw, queue) = sync_channel::<EntryChunk>(CHUNKS_QUEUED_MAX);
    let (ground, mut arriving) = mpsc::channel::<MergedChunk>(CHUNKS_QUEUED_MAX);
    let queue = Arc::new(Mutex::new(queue));
    let reader = std::thread::spawn(move || read_entries(sheet, &raw));
    let mut threads = Vec::new();
    for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
        let (merging, queue, ground) = (merging.clone(), queue.clone(), ground.clone());
        threads.push(std::thread::spawn(move || merge_chunks(&merging, &queue, &ground)));
    }
    drop(ground);
    drop(queue);
    let strangers = choice.keys.iter().cloned().collect();
    let (problems, doubts) = (PlanProblems::default(), PlanProblems::default());
    let taken = BTreeMap::new();
    let mut all = MergeTotals {
        rows: 0,
        problems,
        warnings: doubts,
        catalog_uses: taken,
        selected_rows: 0,
        unknown_keys: strangers,
        file_hashes: Vec::new(),
    };
    let mut early = BTreeMap::new();
    let mut next = 0;
    while let Some((place, staged, found)) = arriving.recv().await {
        early.insert(place, (staged, found));
        while let Some((staged, found)) = early.remove(&next) {
            next += 1;
            all.add_chunk(&staged, found);
            staging.push_rows(staged).await?;
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

impl MergeTotals {
    /// Returns the hashes of file names that two rows may be written to: none that is one file is
    /// missed. Which they are, if any, is for the ledger's staging to say.
    pub(super) fn shared_file_hashes(&mut self) -> HashSet<u64> {
        self.file_hashes.sort_unstable();
        self.file_hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
    }

    fn add_chunk(&mut self, staged: &[StagedRow], found: RowFindings) {
        let made = |row: &&StagedRow| row.merged != Err(UnmergedReason::Skipped);
        self.rows += staged.iter().filter(made).count() as u64;
        self.selected_rows += staged.iter().filter(|row| row.selected).count() as u64;
        found.problems.into_iter().for_each(|problem| self.problems.add(problem));
        found.warnings.into_iter().for_each(|doubt| self.warnings.add(doubt));
        for (take, taken) in found.catalog_uses {
            catalog_check::record_use(&mut self.catalog_uses, take, taken);
        }
        let names = staged.iter().filter_map(|row| row.merged.as_ref().ok());
        self.file_hashes.extend(names.map(|merged| file_name::collision_hash(&merged.file_name)));
        if !self.unknown_keys.is_empty() {
            for row in staged {
                let Some(key) = row.key.as_deref() else { continue };
                self.unknown_keys.remove(key);
                self.unknown_keys.remove(row_key(key, row.variant.as_deref()));
            }
        }
    }
}

/// Reads all entries.
fn read_entries(sheet: Sheet, raw: &SyncSender<EntryChunk>) {
    let mut chunk = Vec::with_capacity(CHUNK_ENTRIES);
    let mut place = 0;
    for entry in sheet.entries() {
        chunk.push(entry);
        if chunk.len() == CHUNK_ENTRIES {
            // An error means that staging has failed and nobody reads any more.
            if raw
                .send((place, std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK_ENTRIES))))
                .is_err()
            {
                return;
            }
            place += 1;
        }
    }
    let _ = raw.send((place, chunk));
}

fn merge_chunks(
    merging: &MergeContext,
    queue: &Mutex<Receiver<EntryChunk>>,
    ground: &mpsc::Sender<MergedChunk>,
) {
    let mut mill = merging.row_merger();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((place, entries)) = next else { return };
        let mut staged = Vec::with_capacity(entries.len());
        let mut found = RowFindings::default();
        for (offset, entry) in entries.into_iter().enumerate() {
            // Every edition of every row has a place of its own, also where it is not made.
            let position = (place * CHUNK_ENTRIES + offset) * merging.variants.len();
            let position = i64::try_from(position).unwrap_or(i64::MAX);
            match entry {
                Ok(entry) => mill.merge_entry(position, entry, (&mut staged, &mut found)),
                Err(problem) => staged.push(unreadable_row(position, problem, &mut found.problems)),
            }
        }
        if ground.blocking_send((place, staged, found)).is_err() {
            return;
        }
    }
}

impl MergeContext {
    /// Returns one thread's tools.
    fn row_merger(&self) -> RowMerger<'_> {
        let merger = |edition: &VariantMapping| {
            self.template.merger(&edition.columns).with_request_kind(self.request_kind)
        };
        RowMerger { mergers: self.variants.iter().map(merger).collect(), context: self }
    }

    /// Tells whether a person wants this row now; a row's own key means all of its editions.
    fn is_selected(&self, key: &str, (row, number): (&str, usize), rows: &[Vec<String>]) -> bool {
        let named = self.selected_keys.is_empty()
            || self.selected_keys.contains(key)
            || self.selected_keys.contains(row);
        named && self.row_filters[number].is_match(rows, &self.variants[number].columns)
    }

    /// Returns the editions that an entry is to be made in, by number.
    fn variants_for_entry(&self, entry: &SheetEntry) -> Result<std::ops::Range<usize>, String> {
        let Some(variant) = &entry.variant else { return Ok(0..self.variants.len()) };
        let same = |edition: &VariantMapping| edition.variant.as_ref() == Some(variant);
        match self.variants.iter().position(same) {
            Some(number) => Ok(number..number + 1),
            None => Err(format!(
                "this line of a report is about the variant `{variant}`, which is not in the batch file"
            )),
        }
    }
}

/// Returns the key of the row whose edition has this key.
fn row_key<'k>(key: &'k str, variant: Option<&str>) -> &'k str {
    let row = variant.and_then(|variant| key.strip_suffix(variant)?.strip_suffix('/'));
    row.unwrap_or(key)
}

struct RowMerger<'m> {
    mergers: Vec<PayloadMerger<'m>>,
    context: &'m MergeContext,
}

impl RowMerger<'_> {
    /// Makes every edition of an entry.
    fn merge_entry(
        &mut self,
        position: i64,
        entry: SheetEntry,
        (staged, found): (&mut Vec<StagedRow>, &mut RowFindings),
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
        let numbers = self.context.variants_for_entry(&entry);
        let SheetEntry { key, variant, rows, is_skipped: skipped } = entry;
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.cells).collect();
        let mut cells = template::rows_to_json(&rows);
        let numbers = match numbers {
            Ok(numbers) => numbers,
            Err(words) => {
                let line = (key, variant, cells);
                staged.push(unknown_variant((position, row), line, words, &mut found.problems));
                return;
            }
        };
        let (own, last) = (row_key(&key, variant.as_deref()), numbers.end - 1);
        for (place, number) in numbers.enumerate() {
            let edition = &self.context.variants[number];
            let key = if own.is_empty() { String::new() } else { edition.job_key(own) };
            let is_left_out = skipped || edition.should_skip(&rows);
            let known_doubts = found.warnings.len();
            let merged = match is_left_out {
                true => Err(UnmergedReason::Skipped),
                false => {
                    let merged = self.merge_row((&rows, number), (&key, row_numbers), found);
                    merged
                        .map_err(|problems| invalid_row(problems, row_numbers, &mut found.problems))
                }
            };
            found.warnings[known_doubts..].iter_mut().for_each(|doubt| doubt.row = Some(row));
            staged.push(StagedRow {
                position: position + place as i64,
                row_number: i64::try_from(row).unwrap_or(i64::MAX),
                selected: !is_left_out && self.context.is_selected(&key, (own, number), &rows),
                variant: edition.variant.clone(),
                mapping_index: number,
                key: Some(key).filter(|key| !key.is_empty()),
                cells: if number == last { std::mem::take(&mut cells) } else { cells.clone() },
                merged,
            });
        }
    }

    fn merge_row(
        &mut self,
        (rows, number): (&[Vec<String>], usize),
        (key, row_numbers): (&str, &[u64]),
        found: &mut RowFindings,
    ) -> Result<MergedRow, Vec<PlanProblem>> {
        let MergeContext { variants: editions, headings, resolution, hashing, .. } = self.context;
        let VariantMapping { variant, columns, .. } = &editions[number];
        let merger = &mut self.mergers[number];
        let at = |problem: template::TemplateProblem, column: Option<usize>| {
            let problem = PlanProblem::from_template(problem, column, headings);
            match variant {
                Some(variant) => problem.with_variant(variant),
                None => problem,
            }
        };
        let scene = |problem: template::TemplateProblem| {
            let column =
                problem.location.sheet_column().and_then(|name| columns.column_index(name));
            at(problem, column)
        };
        let payload: Payload = merger.merge(rows).map_err(|problems| {
            let faults = merger.find_problem_origins(rows, &problems);
            let placed = |(problem, fault): (template::TemplateProblem, payload::ProblemOrigin)| {
                PlanProblem {
                    row: row_numbers.get(fault.row).copied(),
                    ..at(problem, fault.column)
                }
            };
            problems.into_iter().zip(faults).map(placed).collect::<Vec<_>>()
        })?;
        found.warnings.extend(merger.warnings(&payload).into_iter().map(scene));
        if self.context.should_record_catalog_uses {
            for take in payload::catalog_refs(payload.text()) {
                let first = row_numbers.first().copied();
                catalog_check::record_use(
                    &mut found.catalog_uses,
                    take,
                    CatalogUse { first_row: first, rows: 1 },
                );
            }
        }
        let wish = match &self.context.file_pattern {
            Some(pattern) => {
                merger.render_file_name(pattern).map_err(|problem| vec![scene(problem)])?
            }
            None => key.to_owned(),
        };
        Ok(MergedRow {
            payload_hash: payload.video_hash(resolution.as_deref(), *hashing),
            file_name: file_name::safe_file_name(&wish, key),
            spoken_ms: i64::try_from(payload.speech_duration().as_millis()).unwrap_or(i64::MAX),
            exclusive_project: payload.exclusive_project().map(str::to_owned),
        })
    }
}

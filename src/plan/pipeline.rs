//! The merge pipeline: one thread reads entries, one thread per core merges them, and the caller
//! stages the rows in the order of the sheet.
//!
//! Invariant: channels are bounded, so that a sheet of any length needs the same memory: reading
//! waits for merging, and merging for the ledger.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use super::catalog_check::{self, CatalogUse};
use super::problem::PlanProblems;
use super::row_merger::{MergeContext, RowFindings, row_key};
use super::row_replacements::RowReplacements;
use super::skip_reason::SkipReasons;
use super::video_comparison::{
    EmptyCells, PriceCurrencies, ScriptLengths, SkipValues, VideoLikeness,
};
use super::{PlanError, PlanInputs, RowFilter, RowSelection, safe_file_name};
use crate::ledger::{StagedRow, StagedSheet, UnmergedReason};
use crate::payload::CatalogRef;
use crate::sheet::{Sheet, SheetEntry, SheetProblem};

/// Entries that are passed on together.
const CHUNK_ENTRIES: usize = 256;
/// Chunks queued before and behind the mergers: enough that no thread waits for another.
const CHUNKS_QUEUED_MAX: usize = 4;

/// The rows selected by the user, resolved for one sheet.
pub(super) struct SheetSelection<'s> {
    pub(super) selection: &'s RowSelection,
    /// The conditions, for each variant.
    pub(super) filters: Vec<RowFilter>,
}

/// Where entries come from.
struct EntrySource {
    sheet: Sheet,
    replacements: Option<RowReplacements>,
}

/// Consecutive entries of the sheet.
struct EntryChunk {
    /// Its position among the chunks.
    index: usize,
    entries: Vec<Result<SheetEntry, SheetProblem>>,
}

/// The staged rows of one chunk.
struct MergedChunk {
    index: usize,
    rows: Vec<StagedRow>,
    findings: RowFindings,
}

/// The result of merging a sheet, besides the staged rows.
#[derive(Default)]
pub(super) struct MergeTotals {
    /// Rows, or groups of rows, that are in the plan.
    pub(super) rows: u64,
    /// Rows of the sheet that make at least one video.
    pub(super) sheet_rows: u64,
    likeness: VideoLikeness,
    script_lengths: ScriptLengths,
    prices: PriceCurrencies,
    empty_cells: EmptyCells,
    skip_values: SkipValues,
    pub(super) problems: PlanProblems,
    pub(super) warnings: PlanProblems,
    pub(super) catalog_uses: BTreeMap<CatalogRef, CatalogUse>,
    /// The number of `rows` selected by the user.
    pub(super) selected_rows: u64,
    /// Selected keys that no row has.
    pub(super) unknown_keys: BTreeSet<String>,
    /// The first selected row that is skipped, with the reason.
    pub(super) skipped_selection: Option<String>,
    /// Hashes of all file names, equal for names that are one file on a case-insensitive disk.
    file_hashes: Vec<u64>,
}

/// Merges every row of the sheet into `staging`.
pub(super) async fn merge_sheet(
    inputs: PlanInputs,
    resolution: Option<String>,
    selected: SheetSelection<'_>,
    staging: &mut StagedSheet,
) -> Result<MergeTotals, PlanError> {
    let keys = &selected.selection.keys;
    let checked_columns = inputs.checked_columns();
    let context = Arc::new(MergeContext {
        template: inputs.template,
        file_pattern: inputs.file_pattern,
        variants: inputs.variants,
        request_kind: inputs.request_kind,
        resolution,
        selected_keys: keys.as_ref().map(|keys| keys.iter().cloned().collect()),
        row_filters: selected.filters,
        checked_columns,
        skip: SkipReasons::of_sheet(&inputs.sheet),
        should_record_catalog_uses: selected.selection.should_record_catalog_uses,
    });
    let source = EntrySource { sheet: inputs.sheet, replacements: inputs.replacements };
    let (threads, mut chunks) = start_threads(source, &context);
    let unknown_keys = keys.iter().flatten().cloned().collect();
    let problems = || PlanProblems::for_variants(context.variants.len());
    let mut totals = MergeTotals {
        unknown_keys,
        problems: problems(),
        warnings: problems(),
        ..MergeTotals::default()
    };
    let mut early = BTreeMap::new();
    let mut next = 0;
    while let Some(chunk) = chunks.recv().await {
        early.insert(chunk.index, chunk);
        while let Some(chunk) = early.remove(&next) {
            next += 1;
            totals.add_chunk(&chunk.rows, chunk.findings);
            staging.push_rows(chunk.rows).await?;
        }
    }
    let long_scripts = std::mem::take(&mut totals.script_lengths).warnings(&context);
    let prices = std::mem::take(&mut totals.prices).warnings(&context);
    let empty_cells = std::mem::take(&mut totals.empty_cells).warnings(&context);
    let skip_values = std::mem::take(&mut totals.skip_values).warnings(&context);
    let compared = [long_scripts, prices, empty_cells, skip_values];
    compared.into_iter().flatten().for_each(|warning| totals.warnings.add(warning));
    for thread in threads {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
    Ok(totals)
}

/// Starts the reader and the mergers. They end with the sheet, or when the receiver is dropped.
fn start_threads(
    source: EntrySource,
    context: &Arc<MergeContext>,
) -> (Vec<JoinHandle<()>>, mpsc::Receiver<MergedChunk>) {
    let (entry_sender, entries) = sync_channel::<EntryChunk>(CHUNKS_QUEUED_MAX);
    let (row_sender, rows) = mpsc::channel::<MergedChunk>(CHUNKS_QUEUED_MAX);
    let entries = Arc::new(Mutex::new(entries));
    let mut threads = vec![std::thread::spawn(move || read_entries(&source, &entry_sender))];
    for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
        let (context, entries, rows) = (context.clone(), entries.clone(), row_sender.clone());
        threads.push(std::thread::spawn(move || merge_chunks(&context, &entries, &rows)));
    }
    (threads, rows)
}

fn read_entries(source: &EntrySource, chunks: &SyncSender<EntryChunk>) {
    let mut index = 0;
    let mut entries = Vec::with_capacity(CHUNK_ENTRIES);
    for entry in source.sheet.entries() {
        entries.push(match &source.replacements {
            Some(replacements) => replacements.replace(&source.sheet, entry),
            None => entry,
        });
        if entries.len() == CHUNK_ENTRIES {
            let full = std::mem::replace(&mut entries, Vec::with_capacity(CHUNK_ENTRIES));
            // An error means that staging has failed and dropped the receiver.
            if chunks.send(EntryChunk { index, entries: full }).is_err() {
                return;
            }
            index += 1;
        }
    }
    let _ = chunks.send(EntryChunk { index, entries });
}

fn merge_chunks(
    context: &MergeContext,
    chunks: &Mutex<Receiver<EntryChunk>>,
    merged: &mpsc::Sender<MergedChunk>,
) {
    let mut merger = context.row_merger();
    loop {
        let next = chunks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(EntryChunk { index, entries }) = next else { return };
        let mut chunk = MergedChunk {
            index,
            rows: Vec::with_capacity(entries.len()),
            findings: RowFindings::default(),
        };
        for (offset, entry) in entries.into_iter().enumerate() {
            // Every variant of every entry has its own position, even if it is not made.
            let position = (index * CHUNK_ENTRIES + offset) * context.variants.len();
            let position = i64::try_from(position).unwrap_or(i64::MAX);
            merger.merge_entry(position, entry, &mut chunk.rows, &mut chunk.findings);
        }
        if merged.blocking_send(chunk).is_err() {
            return;
        }
    }
}

impl MergeTotals {
    /// Returns the hashes of file names that several rows share. Different names may have one hash,
    /// so the names themselves must still be compared.
    pub(super) fn shared_file_hashes(&mut self) -> HashSet<u64> {
        self.file_hashes.sort_unstable();
        self.file_hashes.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
    }

    /// Returns the number of videos if all are identical and there are several.
    pub(super) fn identical_videos(&self) -> Option<u64> {
        self.likeness.identical_videos()
    }

    fn add_chunk(&mut self, rows: &[StagedRow], findings: RowFindings) {
        let is_planned = |row: &&StagedRow| !matches!(row.merged, Err(UnmergedReason::Skipped(_)));
        self.rows += rows.iter().filter(is_planned).count() as u64;
        self.selected_rows += rows.iter().filter(|row| row.selected).count() as u64;
        self.sheet_rows += findings.sheet_rows;
        rows.iter().for_each(|row| self.script_lengths.add(row));
        self.likeness.merge(findings.likeness);
        self.prices.merge(findings.prices);
        self.empty_cells.merge(findings.empty_cells);
        self.skip_values.merge(findings.skip_values);
        self.skipped_selection = self.skipped_selection.take().or(findings.skipped_selection);
        findings.problems.into_iter().for_each(|problem| self.problems.add(problem));
        findings.warnings.into_iter().for_each(|warning| self.warnings.add(warning));
        for (item, used) in findings.catalog_uses {
            catalog_check::record_use(&mut self.catalog_uses, item, used);
        }
        let merged = rows.iter().filter_map(|row| row.merged.as_ref().ok());
        self.file_hashes.extend(merged.map(|row| safe_file_name::collision_hash(&row.file_name)));
        if !self.unknown_keys.is_empty() {
            for row in rows {
                let Some(key) = row.key.as_deref() else { continue };
                self.unknown_keys.remove(key);
                self.unknown_keys.remove(row_key(key, row.variant.as_deref()));
            }
        }
    }
}

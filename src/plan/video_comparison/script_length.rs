//! Scripts that are much longer than the others of their sheet: often a briefing in the wrong column, or
//! a quote that swallowed rows. A long video costs more.
//!
//! Invariant: the memory for each video is four bytes, and most sheets have no warning.

use crate::ledger::StagedRow;
use crate::plan::problem::{CellFinding, PlanProblem};
use crate::plan::row_merger::MergeContext;
use crate::sheet::SheetColumn;
use crate::text::{display_key, format_duration};
use std::time::Duration;

/// A script is long if it takes so many times as long as the median of the sheet,
const MEDIAN_FACTOR: u32 = 5;
/// and at least this long,
const LONG_MIN: Duration = Duration::from_secs(60);
/// in a sheet of at least so many videos.
const VIDEOS_MIN: usize = 4;
/// Scripts that are named.
const NAMED_MAX: usize = 10;

/// The lengths of all scripts, and the longest of them.
#[derive(Debug, Default)]
pub(in crate::plan) struct ScriptLengths {
    /// Milliseconds, without videos that say nothing.
    spoken_ms: Vec<u32>,
    /// The longest scripts, the longest first.
    longest: Vec<LongScript>,
}

#[derive(Debug)]
struct LongScript {
    spoken_ms: u32,
    row: u64,
    key: String,
    mapping_index: usize,
    /// The cells of its rows, as JSON.
    cells: String,
}

impl ScriptLengths {
    pub(in crate::plan) fn add(&mut self, row: &StagedRow) {
        let Ok(merged) = &row.merged else { return };
        let spoken_ms = u32::try_from(merged.spoken_ms).unwrap_or(u32::MAX);
        if spoken_ms == 0 {
            return;
        }
        self.spoken_ms.push(spoken_ms);
        let at = self.longest.partition_point(|long| long.spoken_ms >= spoken_ms);
        if as_duration(spoken_ms) < LONG_MIN || at >= NAMED_MAX {
            return;
        }
        let long = LongScript {
            spoken_ms,
            row: row.row_number.unsigned_abs(),
            key: row.key.clone().unwrap_or_default(),
            mapping_index: row.mapping_index,
            cells: row.cells.clone(),
        };
        self.longest.insert(at, long);
        self.longest.truncate(NAMED_MAX);
    }

    /// Returns a warning for each script that is unusually long, in the order of the sheet.
    pub(in crate::plan) fn warnings(mut self, context: &MergeContext) -> Vec<PlanProblem> {
        let videos = self.spoken_ms.len();
        if videos < VIDEOS_MIN {
            return Vec::new();
        }
        let (_, median, _) = self.spoken_ms.select_nth_unstable(videos / 2);
        let median = *median;
        let is_long = |long: &LongScript| long.spoken_ms / MEDIAN_FACTOR >= median;
        self.longest.retain(is_long);
        self.longest.sort_by_key(|long| long.row);
        let warning = |long: &LongScript| {
            let finding = CellFinding {
                message: format!(
                    "`{}` takes about {} to speak, most others of the sheet about {}",
                    display_key(&long.key),
                    format_duration(as_duration(long.spoken_ms)),
                    format_duration(as_duration(median))
                ),
                help: "check that the cell has the script alone: a longer video costs more"
                    .to_owned(),
            };
            PlanProblem::for_cell(long.row, long.column(context), finding)
        };
        self.longest.iter().map(warning).collect()
    }
}

impl LongScript {
    /// Returns the column of the longest text that its template uses.
    fn column(&self, context: &MergeContext) -> Option<SheetColumn> {
        let rows: Vec<Vec<String>> = serde_json::from_str(&self.cells).ok()?;
        let row = rows.first()?;
        let mapping = &context.variants.get(self.mapping_index)?.columns;
        let template = &context.template;
        let names = template.required_columns().iter().chain(template.optional_columns());
        let columns = names.filter_map(|name| mapping.column_index(name));
        let longest = columns.max_by_key(|column| row.get(*column).map_or(0, String::len))?;
        Some(context.sheet_column(longest))
    }
}

fn as_duration(milliseconds: u32) -> Duration {
    Duration::from_millis(u64::from(milliseconds))
}

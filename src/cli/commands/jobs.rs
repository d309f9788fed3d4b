//! `callsheet jobs BATCH`: lists the jobs of a batch, filtered by state, cause and cells.
//!
//! Reads only the ledger.

use clap::Args;

use crate::cli::args::{BatchRef, GlobalArgs, parse_number};
use crate::cli::output::printer::Printer;
use crate::cli::output::text_table::TextTable;
use crate::ledger::{JobRow, JobState, Ledger, RowStatus, StoredBatch};
use crate::payload::ColumnMapping;
use crate::plan::{RowCondition, RowFilter};
use crate::report;
use crate::report::ReportRows;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::next_steps::CommandHints;
use crate::text::{nearest_name, pluralize};

/// Rows of the table without `--limit`: as many as a user can scroll through.
const TABLE_ROWS_MAX: u64 = 500;

/// List the videos (jobs) of a batch
#[derive(Debug, Args)]
#[command(after_help = "\
States: ready (shown as waiting), submitting, uncertain (may be paid for),
rendering, fetching (shown as downloading), done, reused (the same video was
made before; free), failed, cancelled; and stalled (rendering without progress),
generating (waiting: AI Studios is making the draft), invalid (row not usable),
skipped (row excluded by the sheet), open (not final, uncertain included),
removed (row no longer in the sheet).
JSON fields, one object per line: callsheet help json jobs

Examples:
  callsheet jobs spring --state failed,uncertain
  callsheet jobs spring --cause render-failed
  callsheet jobs spring --where language=ko --state open")]
pub(crate) struct JobsArgs {
    #[command(flatten)]
    batch_ref: BatchRef,
    /// Only videos in these states (comma-separated)
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = parse_row_status)]
    state: Vec<RowStatus>,
    /// Only videos that failed for this cause, such as refused
    #[arg(long, value_name = "CAUSE")]
    cause: Option<String>,
    /// Only rows where COLUMN is VALUE (`!=`: is not);
    /// repeatable: the same column is OR, others AND
    #[arg(long = "where", value_name = "COLUMN=VALUE")]
    conditions: Vec<RowCondition>,
    /// At most N videos [default: 500; with --json: all]
    #[arg(long, value_name = "N", value_parser = parse_number::<u64>)]
    limit: Option<u64>,
}

/// What users call a state.
const SYNONYMS: [(&str, &str); 5] = [
    ("finished", "done"),
    ("ok", "done"),
    ("error", "failed"),
    ("pending", "ready"),
    ("running", "rendering"),
];

fn parse_row_status(text: &str) -> Result<RowStatus, String> {
    let text = text.trim().to_lowercase();
    if let Some(status) = RowStatus::parse(&text) {
        return Ok(status);
    }
    let meant = SYNONYMS.iter().find(|(synonym, _)| *synonym == text).map(|(_, state)| *state);
    let near = || nearest_name(&text, RowStatus::all().map(RowStatus::as_str));
    let hint =
        meant.or_else(near).map_or(String::new(), |state| format!("did you mean `{state}`? "));
    Err(format!("there is no such state\n  help: {hint}All states: callsheet jobs --help"))
}

pub(crate) async fn run(args: JobsArgs, global: &GlobalArgs, printer: &Printer) -> ExitReason {
    match execute(args, global, printer).await {
        Ok(exit) => exit,
        Err(error) => error.report(printer),
    }
}

async fn execute(
    args: JobsArgs,
    global: &GlobalArgs,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let (ledger, stored) = args.batch_ref.open_batch(global).await?;
    let headings = ledger.headings(stored.id).await?;
    let columns = read_columns(&ledger, &stored).await?;
    let filter = JobListFilter::from_args(&args, &headings, columns)?;
    let limit = args.limit.unwrap_or(if printer.is_json() { u64::MAX } else { TABLE_ROWS_MAX });
    let mut listing =
        JobListing { limit, printed: 0, omitted: 0, table: jobs_table(), headings, printer };
    let mut rows = ReportRows::new(&ledger, stored.id);
    while let Some(row) = rows.next_row().await? {
        if filter.is_included(&row) {
            listing.add(&row);
        }
    }
    if filter.include_removed {
        for row in read_removed_rows(&ledger, &stored).await? {
            if filter.matches_cause_and_cells(&row) {
                listing.add(&row);
            }
        }
    }
    ledger.close().await;
    let commands = global.command_hints(args.batch_ref.sandbox, &stored.name, &stored.file);
    listing.finish(&commands);
    Ok(ExitReason::Done)
}

/// Removed jobs read at once; far more than a batch has in practice.
const REMOVED_ROWS_MAX: u32 = 100_000;

async fn read_removed_rows(
    ledger: &Ledger,
    stored: &StoredBatch,
) -> Result<Vec<JobRow>, CommandError> {
    Ok(ledger.removed_rows(stored.id, REMOVED_ROWS_MAX).await?)
}

/// Returns how the sheet's cells become fields, as last planned.
async fn read_columns(
    ledger: &Ledger,
    stored: &StoredBatch,
) -> Result<ColumnMapping, CommandError> {
    let Some(variant) = stored.layout_id else { return Ok(ColumnMapping::default()) };
    let variant = ledger.variant_mapping(variant).await?;
    // Without a readable mapping, conditions are matched against the headings.
    Ok(serde_json::from_str(&variant.columns).unwrap_or_default())
}

/// The filter given on the command line.
struct JobListFilter<'a> {
    states: &'a [RowStatus],
    cause: Option<&'a str>,
    row_filter: RowFilter,
    columns: ColumnMapping,
    include_removed: bool,
}

impl<'a> JobListFilter<'a> {
    fn from_args(
        args: &'a JobsArgs,
        headings: &[String],
        columns: ColumnMapping,
    ) -> Result<Self, CommandError> {
        let row_filter = RowFilter::new(&args.conditions, headings, &columns);
        let row_filter = row_filter.map_err(|error| CommandError::new(ExitReason::Usage, error))?;
        let removed = args.state.contains(&RowStatus::Removed);
        Ok(Self {
            states: &args.state,
            cause: args.cause.as_deref(),
            row_filter,
            columns,
            include_removed: removed,
        })
    }

    /// Returns whether a row of the sheet matches the filter.
    fn is_included(&self, row: &JobRow) -> bool {
        let has_status =
            self.states.is_empty() || self.states.iter().any(|status| row.has_status(*status));
        has_status && self.matches_cause_and_cells(row)
    }

    fn matches_cause_and_cells(&self, row: &JobRow) -> bool {
        if self.cause.is_some_and(|cause| row.cause.as_deref() != Some(cause)) {
            return false;
        }
        let cells: Vec<Vec<String>> = serde_json::from_str(&row.cells).unwrap_or_default();
        self.row_filter.is_match(&cells, &self.columns)
    }
}

/// The output so far.
struct JobListing<'t> {
    limit: u64,
    printed: u64,
    omitted: u64,
    table: TextTable,
    headings: Vec<String>,
    printer: &'t Printer,
}

fn jobs_table() -> TextTable {
    TextTable::new(&["key", "row#", "state", "progress#", "version#", "attempts#", "result"])
}

impl JobListing<'_> {
    fn add(&mut self, row: &JobRow) {
        if self.printed >= self.limit {
            self.omitted += 1;
            return;
        }
        self.printed += 1;
        if self.printer.is_json() {
            self.printer.print_json(&report::row_to_json(row, &self.headings));
            return;
        }
        let state = row.status();
        let is_made = row.generating || row.state == Some(JobState::Rendering);
        let progress = row.progress.filter(|_| is_made);
        self.table.add([
            row.key.clone().unwrap_or_else(|| "-".to_owned()),
            row.row_number.to_string(),
            match (row.stalled, row.generating) {
                (true, _) => RowStatus::Stalled,
                (false, true) => RowStatus::Generating,
                (false, false) => state,
            }
            .label()
            .to_owned(),
            progress.map(|percent| format!("{percent:.0} %")).unwrap_or_default(),
            if row.state.is_some() { row.version.to_string() } else { String::new() },
            row.attempts.to_string(),
            result_message(row),
        ]);
    }

    fn finish(self, commands: &CommandHints) {
        if self.printer.is_json() {
            return;
        }
        if self.printed == 0 {
            self.printer.status("No matching videos");
            return;
        }
        self.printer.print_result(&self.table.render());
        if self.omitted > 0 {
            let more = commands.jobs_command(&format!("--limit {}", self.printed + self.omitted));
            self.printer.status(&format!("and {}: {more}", pluralize(self.omitted, "more video")));
        }
    }
}

fn result_message(row: &JobRow) -> String {
    if let Some(file) = &row.video_file {
        return file.clone();
    }
    let cause = row.cause.as_deref().filter(|_| row.state.is_some());
    match (cause, row.message.as_deref()) {
        // AI Studios' refusal says so itself.
        (Some("refused"), Some(message)) => message.to_owned(),
        (Some(cause), Some(message)) => format!("{cause}: {message}"),
        (Some(text), None) | (None, Some(text)) => text.to_owned(),
        (None, None) => String::new(),
    }
}

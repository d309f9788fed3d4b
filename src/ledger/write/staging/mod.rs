//! Comparing a whole sheet with the ledger, and committing it: all of it or nothing.
//!
//! Rows stream into a temporary table of a separate connection, so that a million rows need little
//! memory and no lock. Only [`ComparedSheet::commit`] writes to the ledger, in one transaction:
//! after a crash while planning, the previous plan is intact.

pub(in crate::ledger) mod commit;
mod compare;
mod paid;
mod row_lists;

use crate::ledger::error::LedgerError;
use crate::ledger::model::stored_payload::PayloadCompressor;
use crate::ledger::store::bind_value::{BindValue, binds};
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::{SqlDialect, Statement};
use crate::ledger::{BatchId, Ledger};

use crate::ledger::write::server_lease::HeldLeases;
pub use crate::ledger::write::staging::compare::ComparedSheet;
pub use crate::ledger::write::staging::paid::{NewRowContent, PaidTotals, RemovedPaidRow};
pub use crate::ledger::write::staging::row_lists::{
    FormerFileName, ListedRow, RemovedRow, SharedFileName, SkipReason, SkippedRow,
};

/// The properties of a plan that apply to the whole batch.
#[derive(Clone, Debug)]
pub struct PlanHeader {
    /// The batch's name.
    pub name: String,
    /// The path of its batch file.
    pub file: String,
    /// The text of the batch file, so that a run can continue without it.
    pub source: String,
    /// The host of AI Studios. A batch never moves to another host.
    pub base_url: Option<String>,
    /// The template's text.
    pub template: String,
    /// The template's hash.
    pub template_hash: String,
    /// The sheet's headings, as a JSON list.
    pub headings: String,
    /// The mapping of cells to fields, as JSON: one, or one for each variant.
    pub columns: Vec<String>,
    /// The program version that plans.
    pub tool: String,
    /// The kind of request of every row, as text.
    pub request: String,
    /// Whether the user selected some of the rows: those with [`StagedRow::selected`].
    pub has_selection: bool,
}

/// A row, or a group of rows, merged or rejected.
#[derive(Clone, Debug)]
pub struct StagedRow {
    /// Its position in the sheet, from 0.
    pub position: i64,
    /// Its row number as the spreadsheet shows it.
    pub row_number: i64,
    /// Its key; a rejected row may have none.
    pub key: Option<String>,
    /// The variant of its row, if the batch has variants.
    pub variant: Option<String>,
    /// The index of its mapping in [`PlanHeader::columns`].
    pub mapping_index: usize,
    /// Its cells as JSON: a list of rows, each a list of texts.
    pub cells: String,
    /// The result of merging it.
    pub merged: Result<MergedRow, UnmergedReason>,
    /// Whether the user selected it; true for all rows without a selection.
    pub selected: bool,
}

/// The reason why a row makes no video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnmergedReason {
    /// It could not be merged; the message says why.
    Invalid(String),
    /// One of its cells excludes it; the message says which.
    Skipped(String),
}

/// The jobs that the user selected in one plan: a run submits only these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JobSelection(pub(in crate::ledger) i64);

/// A row that merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedRow {
    /// The checked payload.
    pub payload: String,
    /// 32 characters over everything that determines the video.
    pub payload_hash: String,
    /// The video's file name.
    pub file_name: String,
    /// The script's estimated duration in milliseconds.
    pub spoken_ms: i64,
    /// The project that it changes in place, if any.
    pub exclusive_project: Option<String>,
}

/// The totals of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanCounts {
    /// Rows that are not in the ledger.
    pub new: u64,
    /// Rows whose payload differs from the planned one.
    pub changed: u64,
    /// Rows whose payload is the planned one.
    pub unchanged: u64,
    /// Jobs of the ledger without a row in the sheet.
    pub removed: u64,
    /// Videos that could not be merged: each variant of a row counts.
    pub invalid: u64,
    /// Rows of the sheet that have one of those.
    pub invalid_rows: u64,
    /// Rows that their own `skip` cell excludes.
    pub skipped: u64,
    /// Selected rows whose video is done.
    pub done: u64,
    /// Estimated speech of the rows to be rendered now, in milliseconds.
    pub spoken_ms: u64,
    /// The started minutes of those, each row by itself: what is charged for.
    pub minutes: u64,
    /// Selected rows that still have to be submitted; renders in flight, pending downloads and
    /// failed rows do not count.
    pub to_render: u64,
    /// Selected rows that are submitted and whose video is not done yet.
    pub under_way: u64,
    /// Those of `under_way` whose response was lost.
    pub uncertain: u64,
    /// Selected rows that failed or were cancelled: they are submitted again only with a retry.
    pub given_up: u64,
    /// Those of `given_up` that the operator cancelled.
    pub cancelled: u64,
    /// Estimated speech of those, in milliseconds.
    pub given_up_ms: u64,
    /// The started minutes of those.
    pub given_up_minutes: u64,
    /// Selected rows whose rendered video is still to be downloaded, with a retry.
    pub to_fetch: u64,
    /// Selected changed rows whose content was rendered before: their old video is used.
    pub reused: u64,
    /// Unchanged rows that keep the file name of an earlier plan, although `file` changed.
    pub old_names: u64,
    /// Selected rows that could be merged.
    pub selected: u64,
}

/// The classification of a staged row, as stored in the temporary table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowChange {
    New,
    Changed,
    Unchanged,
    Invalid,
    Skipped,
    /// Skipped, but its video is done.
    Kept,
}

impl RowChange {
    const ALL: [Self; 6] =
        [Self::New, Self::Changed, Self::Unchanged, Self::Invalid, Self::Skipped, Self::Kept];

    fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Invalid => "invalid",
            Self::Skipped => "skipped",
            Self::Kept => "kept",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|row_change| row_change.as_str() == word)
    }
}

impl PlanCounts {
    /// Returns the totals if failed and cancelled rows are retried.
    #[must_use]
    pub fn with_retries(&self) -> Self {
        Self {
            to_render: self.to_render + self.given_up,
            spoken_ms: self.spoken_ms + self.given_up_ms,
            minutes: self.minutes + self.given_up_minutes,
            given_up: 0,
            cancelled: 0,
            given_up_ms: 0,
            given_up_minutes: 0,
            ..self.clone()
        }
    }

    /// Subtracts rows that are not submitted now.
    fn exclude_from_render(&mut self, excluded: RowTotals) {
        self.to_render -= excluded.rows;
        self.spoken_ms -= excluded.spoken_ms;
        self.minutes -= excluded.minutes;
    }

    /// Adds rows of one classification.
    fn add_rows(&mut self, row_change: RowChange, rows: u64, selected: RowTotals) {
        match row_change {
            RowChange::New => self.new += rows,
            RowChange::Changed => self.changed += rows,
            RowChange::Unchanged => self.unchanged += rows,
            RowChange::Invalid => self.invalid += rows,
            RowChange::Skipped | RowChange::Kept => self.skipped += rows,
        }
        match row_change {
            RowChange::New | RowChange::Changed | RowChange::Unchanged => {
                self.selected += selected.rows;
                self.to_render += selected.rows;
                self.spoken_ms += selected.spoken_ms;
                self.minutes += selected.minutes;
            }
            RowChange::Invalid | RowChange::Skipped | RowChange::Kept => {}
        }
    }
}

/// A number of rows and their estimated speech, in milliseconds and in started minutes.
#[derive(Clone, Copy, Debug)]
struct RowTotals {
    rows: u64,
    spoken_ms: u64,
    minutes: u64,
}

/// A row whose payload differs from the planned one.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct ChangedRow {
    /// Its key.
    pub key: String,
    /// Its row number.
    pub row_number: i64,
    /// Its planned cells.
    pub before: String,
    /// Their headings.
    pub headings: String,
    /// Its cells now.
    pub after: String,
    /// Whether the template changed as well.
    pub template_changed: bool,
    /// Whether the planned video is paid for, and the changed one is still to be rendered.
    pub is_paid_again: bool,
    /// Whether the user selected it, as all rows without a selection are.
    pub is_selected: bool,
}

/// A sheet on its way into the ledger.
#[derive(Debug)]
pub struct StagedSheet {
    db: StoreConnection,
    /// A process whose batch was taken over commits no plan.
    leases: HeldLeases,
    header: PlanHeader,
    batch: Option<i64>,
    payloads: PayloadCompressor,
    /// The totals without a comparison with the ledger.
    counts: PlanCounts,
}

/// Rows in one statement; its parameters stay far below `SQLite`'s limit.
const ROWS_PER_STATEMENT: usize = 256;

/// The columns that every staged row has.
const BASE_COLUMNS: &str = "staged (position, row_number, key, cells, payload, payload_hash, \
    file_name, spoken_ms, selected)";
const BASE_COUNT: usize = 9;
/// With those that only some rows have; all other rows have the defaults of the table.
const WIDE_COLUMNS: &str = "staged (position, row_number, key, cells, payload, payload_hash, \
    file_name, spoken_ms, selected, row_change, problem, variant, layout, subject)";
const WIDE_COUNT: usize = 14;

/// Unlike elsewhere, the temporary data is as large as the sheet and belongs in a file. Parent rows
/// are written or read in the same transaction as their children, so foreign keys need no check for
/// every row; `ledger check` checks all. A committed plan is on disk in the log, and the next
/// commit of the writer copies it into the file, for which the user need not wait. Large pages suit
/// data that is written once and read in order.
const CREATE_TABLES: &str = "-- ledger::stage
    pragma temp_store = file;
    pragma temp.page_size = 16384;
    pragma foreign_keys = off;
    pragma wal_autocheckpoint = 0;
    create temp table staged (
        position     integer primary key,
        row_number   integer not null,
        key          text,
        cells        text not null,
        payload      blob,
        payload_hash text,
        file_name    text,
        spoken_ms    integer,
        problem      text,
        row_change      text not null default 'new',
        selected     integer not null,
        variant      text,
        layout       integer not null default 0,
        subject      text,
        job_id       integer,
        paid_again   integer not null default 0
    ) strict;
    create temp table paid_job (id integer primary key) strict;
    create temp table layout_of (layout integer primary key, id integer not null) strict;
    create temp table change (
        position     integer primary key,
        job_id       integer not null,
        state        text not null,
        next_version integer not null,
        same_as      integer
    ) strict;
    begin";

/// The same at a server, within the transaction that the plan is one of: it ends with the user's
/// decision.
const CREATE_SERVER_TABLES: &str = "begin;
    set local synchronous_commit = on;
    set local statement_timeout = 0;
    set local work_mem = '64MB';
    set local lock_timeout = 0;
    set local idle_in_transaction_session_timeout = 0;
    create temp table staged (
        position     bigint primary key,
        row_number   bigint not null,
        key          text collate \"C\",
        cells        text not null,
        payload      bytea,
        payload_hash text,
        file_name    text,
        spoken_ms    bigint,
        problem      text,
        row_change      text not null default 'new',
        selected     boolean not null,
        variant      text,
        layout       bigint not null default 0,
        subject      text,
        job_id       bigint,
        paid_again   boolean not null default false
    ) on commit drop;
    create temp table paid_job (id bigint primary key) on commit drop;
    create temp table layout_of (layout bigint primary key, id bigint not null) on commit drop;
    create temp table change (
        position     bigint primary key,
        job_id       bigint not null,
        state        text not null,
        next_version bigint not null,
        same_as      bigint
    ) on commit drop";

pub(in crate::ledger) static DICTIONARY: Statement = Statement::new(
    "-- ledger::stage, dictionary
    select id, payload from payload_dictionary where template_hash = $1 order by id limit 1",
);

static FIND_BATCH: Statement = Statement::new(
    "-- ledger::stage, batch
    select id from batch where name = $1",
);

static LAST_SELECTION: Statement = Statement::new(
    "-- ledger::last_selection
    select selection from batch where id = $1",
);

impl Ledger {
    /// Begins to compare a sheet with its batch in the ledger.
    pub async fn stage(&self, header: PlanHeader) -> Result<StagedSheet, LedgerError> {
        let mut db = self.open_connection().await?;
        let batch = db.find_value(&FIND_BATCH, binds![&header.name]).await?;
        let dictionary = db.fetch_optional(&DICTIONARY, binds![&header.template_hash]).await?;
        db.execute_script(match db.dialect() {
            SqlDialect::Sqlite => CREATE_TABLES,
            SqlDialect::Postgres => CREATE_SERVER_TABLES,
        })
        .await?;
        let payloads = PayloadCompressor::new(dictionary);
        let (leases, counts) = (self.writer.leases().clone(), PlanCounts::default());
        Ok(StagedSheet { db, leases, header, batch, payloads, counts })
    }

    /// Returns the selection of the last plan that had one.
    pub async fn last_selection(&self, batch: BatchId) -> Result<JobSelection, LedgerError> {
        Ok(JobSelection(self.readers.fetch_value(&LAST_SELECTION, binds![batch.0]).await?))
    }
}

impl StagedSheet {
    /// Adds rows in the order of the sheet.
    pub async fn push_rows(&mut self, rows: Vec<StagedRow>) -> Result<(), LedgerError> {
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let count = rows.len().min(ROWS_PER_STATEMENT);
            let wide = !rows.as_slice()[..count].iter().all(StagedRow::has_base_columns_only);
            let (into, columns) = match wide {
                true => (WIDE_COLUMNS, WIDE_COUNT),
                false => (BASE_COLUMNS, BASE_COUNT),
            };
            let mut binds = Vec::with_capacity(count * columns);
            for row in rows.by_ref().take(count) {
                self.counts.add_rows(row.change(), 1, row.selected_totals());
                self.bind_row(row, wide, &mut binds)?;
            }
            let is_repeated = count == ROWS_PER_STATEMENT;
            self.db.insert_rows(into, columns, binds, is_repeated).await?;
        }
        Ok(())
    }
}

impl StagedSheet {
    /// Appends the values of a row. Texts are moved: copying them would cost more than all the rest.
    fn bind_row(
        &mut self,
        row: StagedRow,
        wide: bool,
        binds: &mut Vec<BindValue>,
    ) -> Result<(), LedgerError> {
        let row_change = row.change();
        binds.extend(binds![row.position, row.row_number, row.key, row.cells]);
        let (mut exclusive_project, mut problem) = (None, None);
        match row.merged {
            Ok(merged) => {
                exclusive_project = merged.exclusive_project;
                let payload = self.payloads.compress(&merged.payload)?;
                binds.extend(binds![payload, merged.payload_hash, merged.file_name]);
                binds.push(merged.spoken_ms.into());
            }
            Err(UnmergedReason::Invalid(words) | UnmergedReason::Skipped(words)) => {
                problem = Some(words);
                binds.extend(binds![None::<Vec<u8>>, None::<String>, None::<String>, None::<i64>]);
            }
        }
        binds.push(row.selected.into());
        if wide {
            let mapping = i64::try_from(row.mapping_index).unwrap_or(i64::MAX);
            binds.extend(binds![row_change.as_str(), problem, row.variant, mapping]);
            binds.push(exclusive_project.into());
        }
        Ok(())
    }
}

impl StagedRow {
    fn change(&self) -> RowChange {
        match &self.merged {
            Ok(_) => RowChange::New,
            Err(UnmergedReason::Invalid(_)) => RowChange::Invalid,
            Err(UnmergedReason::Skipped(_)) => RowChange::Skipped,
        }
    }

    /// Returns the row and its speech if it is selected.
    fn selected_totals(&self) -> RowTotals {
        let merged = self.merged.as_ref().ok().filter(|_| self.selected);
        let spoken_ms = merged.map_or(0, |merged| merged.spoken_ms.unsigned_abs());
        let minutes = if merged.is_some() { spoken_ms.div_ceil(60_000).max(1) } else { 0 };
        RowTotals { rows: self.selected.into(), spoken_ms, minutes }
    }

    /// Returns whether it needs only [`BASE_COLUMNS`].
    fn has_base_columns_only(&self) -> bool {
        let merged = self.merged.as_ref();
        let is_merged = merged.is_ok_and(|merged| merged.exclusive_project.is_none());
        is_merged && self.variant.is_none() && self.mapping_index == 0
    }
}

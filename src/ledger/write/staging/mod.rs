//! Comparing a whole sheet with the ledger, and then taking it in: all of it, or nothing.
//!
//! Rows stream into a temporary table of a connection of its own, so a million of them cost no
//! memory and no lock. Only [`Compared::commit`] writes to the ledger, in one transaction: a crash
//! while planning leaves the plan before it, whole.

mod commit;
mod compare;

use std::sync::LazyLock;

use sqlx::{AssertSqlSafe, SqliteConnection};

use crate::ledger::error::LedgerError;
use crate::ledger::store::open;
use crate::ledger::{BatchId, Ledger};

pub use crate::ledger::write::staging::compare::ComparedSheet;

/// What a plan knows of the batch as a whole.
#[derive(Clone, Debug)]
pub struct PlanHeader {
    /// The batch's name.
    pub name: String,
    /// Where its batch file is.
    pub file: String,
    /// The batch file's text, so that a run can continue without it.
    pub source: String,
    /// The host it talks to. One batch never moves from one host to another.
    pub base_url: Option<String>,
    /// The template's text.
    pub template: String,
    /// The template's hash.
    pub template_hash: String,
    /// The sheet's headings, as a JSON list.
    pub headings: String,
    /// How cells become fields, as JSON: once, or for each variant.
    pub columns: Vec<String>,
    /// The program that plans.
    pub tool: String,
    /// Which kind of request every row is, by its word.
    pub request: String,
    /// Whether a person named some of the rows: those that are [`StagedRow::selected`].
    pub has_selection: bool,
}

/// A row, or a group of rows, as merged or as refused.
#[derive(Clone, Debug)]
pub struct StagedRow {
    /// Its place in the sheet, from 0.
    pub position: i64,
    /// Its row as the spreadsheet shows it.
    pub row_number: i64,
    /// Its key; a refused row may have none.
    pub key: Option<String>,
    /// Which variant of its row it is, where there are any.
    pub variant: Option<String>,
    /// Which of [`Header::columns`] made fields of its cells.
    pub mapping_index: usize,
    /// Its cells as JSON: a list of rows, each a list of texts.
    pub cells: String,
    /// What came of merging it.
    pub merged: Result<MergedRow, UnmergedReason>,
    /// Whether it is among those that a person named; all are, where nobody named any.
    pub selected: bool,
}

/// Why a row makes no video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnmergedReason {
    /// It could not be merged, in words.
    Invalid(String),
    /// It says itself that it is to be left out.
    Skipped,
}

/// The jobs that one plan named, where a person named some: what a run may submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobSelection(pub(in crate::ledger) i64);

/// A row that merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedRow {
    /// 32 hex digits over everything that makes the video what it is.
    pub payload_hash: String,
    /// The video's file name.
    pub file_name: String,
    /// The script's estimated length in milliseconds.
    pub spoken_ms: i64,
    /// The project that it changes, where that is not ours alone.
    pub exclusive_project: Option<String>,
}

/// What a plan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanCounts {
    /// Rows that the ledger does not know.
    pub new: u64,
    /// Rows whose payload is another than before.
    pub changed: u64,
    /// Rows whose payload is as before.
    pub unchanged: u64,
    /// Jobs of the ledger that the sheet no longer has.
    pub removed: u64,
    /// Rows that could not be merged.
    pub invalid: u64,
    /// Rows that say themselves that they are to be left out.
    pub skipped: u64,
    /// Jobs of the selected rows that are done already.
    pub done: u64,
    /// Estimated speech of the rows that are to be rendered now, in milliseconds.
    pub spoken_ms: u64,
    /// Videos that still have to be submitted, among those that are selected: what is under way, what
    /// is only to be fetched and what was given up is not among them.
    pub to_render: u64,
    /// Selected rows that were submitted already, and whose video is not there yet.
    pub under_way: u64,
    /// Selected rows that were given up, or taken out by a person: they are submitted again only if a
    /// person asks for that.
    pub given_up: u64,
    /// Estimated speech of those, in milliseconds.
    pub given_up_ms: u64,
    /// Rows that are selected and could be merged: all, where nobody named any.
    pub selected: u64,
}

/// What a staged row is to the ledger, as its table says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowChange {
    New,
    Changed,
    Unchanged,
    Invalid,
    Skipped,
    /// Skipped, but its video is there.
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
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == word)
    }
}

impl PlanCounts {
    /// Returns what there is to do when what was given up is tried again.
    #[must_use]
    pub fn with_retries(&self) -> Self {
        Self {
            to_render: self.to_render + self.given_up,
            spoken_ms: self.spoken_ms + self.given_up_ms,
            given_up: 0,
            given_up_ms: 0,
            ..self.clone()
        }
    }

    /// Takes rows out that are not to be submitted now.
    fn exclude_from_render(&mut self, (rows, spoken_ms): (u64, u64)) {
        self.to_render -= rows;
        self.spoken_ms -= spoken_ms;
    }

    /// Adds rows of one verdict, and of those that a person wants now: how many, and their speech.
    fn add_rows(&mut self, verdict: RowChange, rows: i64, (selected, spoken_ms): (i64, i64)) {
        let rows = rows.unsigned_abs();
        match verdict {
            RowChange::New => self.new += rows,
            RowChange::Changed => self.changed += rows,
            RowChange::Unchanged => self.unchanged += rows,
            RowChange::Invalid => self.invalid += rows,
            RowChange::Skipped | RowChange::Kept => self.skipped += rows,
        }
        match verdict {
            RowChange::New | RowChange::Changed | RowChange::Unchanged => {
                self.selected += selected.unsigned_abs();
                self.to_render += selected.unsigned_abs();
                self.spoken_ms += spoken_ms.unsigned_abs();
            }
            RowChange::Invalid | RowChange::Skipped | RowChange::Kept => {}
        }
    }
}

/// A row whose payload is another than before.
#[derive(Clone, Debug)]
pub struct ChangedRow {
    /// Its key.
    pub key: String,
    /// Its row.
    pub row_number: i64,
    /// Its cells as the ledger has them, and their headings.
    pub before: (String, String),
    /// Its cells now.
    pub after: String,
    /// Whether the template changed as well.
    pub template_changed: bool,
}

/// A sheet on its way into the ledger.
#[derive(Debug)]
pub struct StagedSheet {
    db: SqliteConnection,
    header: PlanHeader,
    batch: Option<i64>,
    known_hash: Option<String>,
    /// What the rows are by themselves, before the ledger is asked.
    counts: PlanCounts,
}

/// Rows in one statement; its binds stay far below `SQLite`'s limit.
const ROWS_PER_STATEMENT: usize = 256;

/// The columns that every staged row has.
const BASE_COLUMNS: &str =
    "position, row_number, key, cells, payload_hash, file_name, spoken_ms, selected";
/// What else some rows have; of all others it is what the table says by itself.
const EXTRA_COLUMNS: &str = "verdict, problem, variant, layout, subject";

/// One statement for as many rows as go into one, in each of both widths.
static INSERT_ROWS: LazyLock<[String; 2]> =
    LazyLock::new(|| [false, true].map(|wide| insert_statement(ROWS_PER_STATEMENT, wide)));

/// Unlike elsewhere, what is temporary here is as large as the sheet, and belongs into a file.
/// Parents are written or read in the very transaction that writes their children, so none is
/// looked up again for every row; `ledger check` looks at all. A sheet that is taken in is on disk
/// in the log, and whoever commits next folds it into the file: nobody waits for that here. What is
/// written once and read in order goes by large pages.
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
        payload_hash text,
        file_name    text,
        spoken_ms    integer,
        problem      text,
        verdict      text not null default 'new',
        selected     integer not null,
        variant      text,
        layout       integer not null default 0,
        subject      text,
        job_id       integer
    ) strict;
    create temp table layout_of (layout integer primary key, id integer not null) strict;
    begin";

const KNOWN_HASH: &str = "-- ledger::known_hash
    select payload_hash from version
    where job_id = (select id from job indexed by job_position where batch_id = ?1 limit 1) limit 1";

impl Ledger {
    /// Begins to compare a sheet with what the ledger knows of its batch.
    pub async fn stage(&self, header: PlanHeader) -> Result<StagedSheet, LedgerError> {
        let mut db = open::open_staging(&self.path, self.durability).await?;
        let batch = sqlx::query_scalar("select id from batch where name = ?1")
            .bind(&header.name)
            .fetch_optional(&mut db)
            .await?;
        let known_hash = sqlx::query_scalar(KNOWN_HASH).bind(batch).fetch_optional(&mut db).await?;
        sqlx::raw_sql(CREATE_TABLES).execute(&mut db).await?;
        Ok(StagedSheet { db, header, batch, known_hash, counts: PlanCounts::default() })
    }

    /// Returns the jobs that the last plan which named any named.
    pub async fn last_selection(&self, batch: BatchId) -> Result<JobSelection, LedgerError> {
        Ok(sqlx::query_scalar(
            "-- ledger::last_selection\n select selection from batch where id = ?1",
        )
        .bind(batch.0)
        .fetch_one(&self.readers)
        .await
        .map(JobSelection)?)
    }
}

impl StagedSheet {
    /// Returns a payload's hash as the ledger has it, if it knows the batch: the new ones must be
    /// made like it.
    pub fn known_hash(&self) -> Option<&str> {
        self.known_hash.as_deref()
    }

    /// Adds rows, in the sheet's order.
    pub async fn push_rows(&mut self, rows: Vec<StagedRow>) -> Result<(), LedgerError> {
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            let count = rows.len().min(ROWS_PER_STATEMENT);
            let wide = !rows.as_slice()[..count].iter().all(StagedRow::has_base_columns_only);
            let mut query = match count == ROWS_PER_STATEMENT {
                true => sqlx::query(INSERT_ROWS[usize::from(wide)].as_str()),
                false => {
                    sqlx::query(AssertSqlSafe(insert_statement(count, wide))).persistent(false)
                }
            };
            for row in rows.by_ref().take(count) {
                let verdict = row.change();
                self.counts.add_rows(
                    verdict,
                    1,
                    (i64::from(row.selected), row.selected_speech_ms()),
                );
                let (merged, problem) = match row.merged {
                    Ok(merged) => (Some(merged), None),
                    Err(UnmergedReason::Invalid(words)) => (None, Some(words)),
                    Err(UnmergedReason::Skipped) => (None, None),
                };
                // Texts are given away: a copy of each would cost more than the rest.
                let (hash, file, spoken_ms, subject) = match merged {
                    Some(MergedRow {
                        payload_hash,
                        file_name,
                        spoken_ms,
                        exclusive_project: subject,
                    }) => (Some(payload_hash), Some(file_name), Some(spoken_ms), subject),
                    None => (None, None, None, None),
                };
                query = query.bind(row.position).bind(row.row_number).bind(row.key);
                query = query.bind(row.cells).bind(hash).bind(file).bind(spoken_ms);
                query = query.bind(row.selected);
                if wide {
                    query = query.bind(verdict.as_str()).bind(problem).bind(row.variant);
                    query = query
                        .bind(i64::try_from(row.mapping_index).unwrap_or(i64::MAX))
                        .bind(subject);
                }
            }
            query.execute(&mut self.db).await?;
        }
        Ok(())
    }
}

impl StagedRow {
    fn change(&self) -> RowChange {
        match &self.merged {
            Ok(_) => RowChange::New,
            Err(UnmergedReason::Invalid(_)) => RowChange::Invalid,
            Err(UnmergedReason::Skipped) => RowChange::Skipped,
        }
    }

    /// Returns how long it speaks, in milliseconds, if a person wants it now.
    fn selected_speech_ms(&self) -> i64 {
        let merged = self.merged.as_ref().ok().filter(|_| self.selected);
        merged.map_or(0, |merged| merged.spoken_ms)
    }

    /// Tells whether it has nothing but what every row has.
    fn has_base_columns_only(&self) -> bool {
        let merged = self.merged.as_ref();
        let is_merged = merged.is_ok_and(|merged| merged.exclusive_project.is_none());
        is_merged && self.variant.is_none() && self.mapping_index == 0
    }
}

fn insert_statement(rows: usize, wide: bool) -> String {
    let (columns, binds) = match wide {
        true => (format!("{BASE_COLUMNS}, {EXTRA_COLUMNS}"), "(?,?,?,?,?,?,?,?,?,?,?,?,?)"),
        false => (BASE_COLUMNS.to_owned(), "(?,?,?,?,?,?,?,?)"),
    };
    let values = vec![binds; rows].join(",");
    format!("-- ledger::push\ninsert into temp.staged ({columns}) values {values}")
}

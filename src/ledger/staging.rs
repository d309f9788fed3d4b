//! Comparing a whole sheet with the ledger, and then taking it in: all of it, or nothing.
//!
//! Rows stream into a temporary table of a connection of its own, so a million of them cost no
//! memory and no lock. Only [`Staging::commit`] writes to the ledger, in one transaction: a crash
//! while planning leaves the plan before it, whole.

mod take_in;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};

use super::error::LedgerError;
use super::state::State;
use super::{BatchId, Ledger, open};

/// What a plan knows of the batch as a whole.
#[derive(Clone, Debug)]
pub struct Header {
    /// The batch's name.
    pub name: String,
    /// Where its batch file is.
    pub file: String,
    /// The batch file's text, so that a run can continue without it.
    pub source: String,
    /// The host it talks to. One batch never moves from one host to another.
    pub base_url: String,
    /// The template's text.
    pub template: String,
    /// The template's hash.
    pub template_hash: String,
    /// The sheet's headings, as a JSON list.
    pub headings: String,
    /// How cells become fields, as JSON.
    pub columns: String,
    /// The program that plans.
    pub tool: String,
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
    /// Its cells as JSON: a list of rows, each a list of texts.
    pub cells: String,
    /// What came of merging it, or the problem.
    pub merged: Result<Merged, String>,
}

/// A row that merged.
#[derive(Clone, Debug)]
pub struct Merged {
    /// 32 hex digits over everything that makes the video what it is.
    pub payload_hash: String,
    /// The video's file name.
    pub file_name: String,
    /// The script's estimated length in milliseconds.
    pub spoken_ms: i64,
}

/// What a plan found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
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
    /// Jobs of the sheet that are done already.
    pub done: u64,
    /// Estimated speech of the rows that still have to be rendered, in milliseconds.
    pub spoken_ms: u64,
    /// Rows that still have to be rendered.
    pub to_render: u64,
}

/// A row whose payload is another than before.
#[derive(Clone, Debug)]
pub struct Changed {
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
pub struct Staging {
    db: SqliteConnection,
    header: Header,
    batch: Option<i64>,
}

/// Rows in one statement; its binds stay far below `SQLite`'s limit.
const ROWS_AT_ONCE: usize = 256;

static INSERT_FULL: LazyLock<String> = LazyLock::new(|| insert_statement(ROWS_AT_ONCE));

const TABLES: &str = "-- ledger::stage
    create temp table staged (
        position     integer primary key,
        row_number   integer not null,
        key          text,
        cells        text not null,
        payload_hash text,
        file_name    text,
        spoken_ms    integer,
        problem      text,
        verdict      text not null,
        job_id       integer
    ) strict;
    begin";

const FIND_JOBS: &str = "-- ledger::classify, jobs
    update temp.staged set job_id = (select id from job where batch_id = ?1 and key = staged.key)
    where key is not null";

/// Rows that no job is known for were staged as new, or as invalid, and stay what they are.
const JUDGE: &str = "-- ledger::classify, verdicts
    update temp.staged set verdict = case
        when payload_hash = (
            select v.payload_hash from job j
            join version v on v.job_id = j.id and v.version = j.wanted_version
            where j.id = staged.job_id) then 'unchanged'
        else 'changed' end
    where job_id is not null and problem is null";

const COUNT: &str = "-- ledger::classify, counts
    select verdict, count(*) as jobs, sum(spoken_ms) as spoken_ms from temp.staged group by 1";

const COUNT_DONE: &str = "-- ledger::classify, done
    select count(*) as jobs, coalesce(sum(s.spoken_ms), 0) as spoken_ms
    from temp.staged s join job j on j.id = s.job_id
    where s.verdict = 'unchanged' and j.state in ('done', 'reused')";

const COUNT_REMOVED: &str = "-- ledger::classify, removed
    select count(*) from job indexed by job_position
    where batch_id = ?1 and in_sheet = 1
        and id not in (select job_id from temp.staged where job_id is not null)";

const CHANGED: &str = "-- ledger::changed
    select s.key, s.row_number, v.cells as before, l.headings, s.cells as after,
           v.template_hash <> ?1 as template_changed
    from temp.staged s join job j on j.id = s.job_id
    join version v on v.job_id = j.id and v.version = j.wanted_version
    join layout l on l.id = v.layout_id
    where s.verdict = 'changed' and s.position > ?2 order by s.position limit ?3";

const SAME_FILES: &str = "-- ledger::same_files
    select min(row_number) as first, max(row_number) as last, min(file_name) as file_name
    from temp.staged where problem is null
    group by lower(file_name) having count(*) > 1 order by 1 limit 100";

impl Ledger {
    /// Begins to compare a sheet with what the ledger knows of its batch.
    pub async fn stage(&self, header: Header) -> Result<Staging, LedgerError> {
        let mut db = open::writer(&self.path, self.durability).await?;
        let sql = |source| LedgerError::sql("begin a plan", source);
        let batch = sqlx::query_scalar("select id from batch where name = ?1")
            .bind(&header.name)
            .fetch_optional(&mut db)
            .await
            .map_err(sql)?;
        sqlx::raw_sql(TABLES).execute(&mut db).await.map_err(sql)?;
        Ok(Staging { db, header, batch })
    }
}

impl Staging {
    /// Adds rows, in the sheet's order.
    pub async fn push(&mut self, rows: &[StagedRow]) -> Result<(), LedgerError> {
        for chunk in rows.chunks(ROWS_AT_ONCE) {
            let full = chunk.len() == ROWS_AT_ONCE;
            let mut query = match full {
                true => sqlx::query(INSERT_FULL.as_str()),
                false => {
                    sqlx::query(AssertSqlSafe(insert_statement(chunk.len()))).persistent(false)
                }
            };
            for row in chunk {
                let merged = row.merged.as_ref().ok();
                query = query
                    .bind(row.position)
                    .bind(row.row_number)
                    .bind(row.key.as_deref())
                    .bind(row.cells.as_str())
                    .bind(merged.map(|merged| merged.payload_hash.as_str()))
                    .bind(merged.map(|merged| merged.file_name.as_str()))
                    .bind(merged.map(|merged| merged.spoken_ms))
                    .bind(row.merged.as_ref().err().map(String::as_str))
                    .bind(if merged.is_some() { "new" } else { "invalid" });
            }
            query
                .execute(&mut self.db)
                .await
                .map_err(|source| LedgerError::sql("take in the sheet's rows", source))?;
        }
        Ok(())
    }

    /// Says what every row is to the ledger: new, changed, unchanged, removed or invalid.
    pub async fn classify(&mut self) -> Result<Counts, LedgerError> {
        let sql = |source| LedgerError::sql("compare the sheet with the ledger", source);
        let db = &mut self.db;
        if let Some(batch) = self.batch {
            sqlx::query(FIND_JOBS).bind(batch).execute(&mut *db).await.map_err(sql)?;
            sqlx::query(JUDGE).execute(&mut *db).await.map_err(sql)?;
        }
        let mut counts = Counts::default();
        let rows = sqlx::query(COUNT).fetch_all(&mut *db).await.map_err(sql)?;
        for row in rows {
            let verdict: String = row.try_get("verdict").map_err(sql)?;
            let jobs: i64 = row.try_get("jobs").map_err(sql)?;
            let spoken: Option<i64> = row.try_get("spoken_ms").map_err(sql)?;
            let jobs = jobs.unsigned_abs();
            match verdict.as_str() {
                "new" => counts.new = jobs,
                "changed" => counts.changed = jobs,
                "unchanged" => counts.unchanged = jobs,
                _ => counts.invalid = jobs,
            }
            if verdict != "invalid" {
                counts.spoken_ms += spoken.unwrap_or(0).unsigned_abs();
                counts.to_render += jobs;
            }
        }
        let row = sqlx::query(COUNT_DONE).fetch_one(&mut *db).await.map_err(sql)?;
        counts.done = row.try_get::<i64, _>("jobs").map_err(sql)?.unsigned_abs();
        counts.to_render -= counts.done;
        counts.spoken_ms -= row.try_get::<i64, _>("spoken_ms").map_err(sql)?.unsigned_abs();
        if let Some(batch) = self.batch {
            let removed: i64 =
                sqlx::query_scalar(COUNT_REMOVED).bind(batch).fetch_one(db).await.map_err(sql)?;
            counts.removed = removed.unsigned_abs();
        }
        Ok(counts)
    }

    /// Returns up to `max` changed rows in the sheet's order.
    pub async fn changed(&mut self, max: u32) -> Result<Vec<Changed>, LedgerError> {
        let sql = |source| LedgerError::sql("compare the sheet with the ledger", source);
        let rows = sqlx::query(CHANGED)
            .bind(&self.header.template_hash)
            .bind(-1)
            .bind(i64::from(max))
            .fetch_all(&mut self.db)
            .await
            .map_err(sql)?;
        let changed = |row: sqlx::sqlite::SqliteRow| {
            Ok(Changed {
                key: row.try_get("key")?,
                row_number: row.try_get("row_number")?,
                before: (row.try_get("before")?, row.try_get("headings")?),
                after: row.try_get("after")?,
                template_changed: row.try_get("template_changed")?,
            })
        };
        rows.into_iter().map(changed).collect::<Result<_, _>>().map_err(sql)
    }

    /// Returns file names that more than one row would be written to, with the first and the last
    /// of those rows. Names that differ only in case are one file on many disks.
    pub async fn same_files(&mut self) -> Result<Vec<(String, i64, i64)>, LedgerError> {
        let sql = |source| LedgerError::sql("compare file names", source);
        let rows = sqlx::query(SAME_FILES).fetch_all(&mut self.db).await.map_err(sql)?;
        let same = |row: sqlx::sqlite::SqliteRow| {
            Ok((row.try_get("file_name")?, row.try_get("first")?, row.try_get("last")?))
        };
        rows.into_iter().map(same).collect::<Result<_, _>>().map_err(sql)
    }

    /// Returns the states of the jobs that the sheet still has, by count.
    pub async fn standing(&mut self) -> Result<BTreeMap<State, u64>, LedgerError> {
        let sql = |source| LedgerError::sql("count jobs", source);
        let rows: Vec<(String, i64)> = sqlx::query_as(
            "-- ledger::standing
             select state, jobs from tally where batch_id = ?1 and in_sheet = 1 and jobs > 0",
        )
        .bind(self.batch)
        .fetch_all(&mut self.db)
        .await
        .map_err(sql)?;
        let known = |(word, jobs): (String, i64)| Some((State::parse(&word)?, jobs.unsigned_abs()));
        Ok(rows.into_iter().filter_map(known).collect())
    }

    /// Takes the sheet in: after this the ledger's batch is what the sheet says. All or nothing.
    ///
    /// The caller holds the batch's lock, so nobody submits meanwhile.
    pub async fn commit(mut self, now: Timestamp) -> Result<BatchId, LedgerError> {
        let sql = |source| LedgerError::sql("take the plan in", source);
        sqlx::raw_sql("commit; begin immediate").execute(&mut self.db).await.map_err(sql)?;
        let taken = self.take_in(now.as_millisecond()).await;
        let end = if taken.is_ok() { "commit" } else { "rollback" };
        let ended = sqlx::query(end).execute(&mut self.db).await.map_err(sql);
        let batch = taken?;
        ended?;
        open::close(self.db).await;
        Ok(BatchId(batch))
    }

    /// Lets go of a plan that is not wanted. The ledger stays as it was.
    pub async fn discard(self) {
        // An error leaves nothing behind either: the rows were in a temporary table.
        drop(self.db.close().await);
    }

    async fn take_in(&mut self, now: i64) -> Result<i64, LedgerError> {
        let sql = |source| LedgerError::sql("take the plan in", source);
        let (batch, layout) = self.take_in_header(now).await.map_err(sql)?;
        let first_job: i64 = sqlx::query_scalar("select coalesce(max(id), 0) + 1 from job")
            .fetch_one(&mut self.db)
            .await
            .map_err(sql)?;
        let hash = self.header.template_hash.clone();
        for (text, what) in take_in::STATEMENTS {
            let mut query = sqlx::query(*text);
            for bind in *what {
                query = match bind {
                    take_in::Bind::Batch => query.bind(batch),
                    take_in::Bind::Layout => query.bind(layout),
                    take_in::Bind::Template => query.bind(hash.as_str()),
                    take_in::Bind::Now => query.bind(now),
                    take_in::Bind::FirstJob => query.bind(first_job),
                };
            }
            query.execute(&mut self.db).await.map_err(sql)?;
        }
        Ok(batch)
    }

    async fn take_in_header(&mut self, now: i64) -> Result<(i64, i64), sqlx::Error> {
        let header = &self.header;
        sqlx::query("insert into template (hash, source) values (?1, ?2) on conflict do nothing")
            .bind(&header.template_hash)
            .bind(&header.template)
            .execute(&mut self.db)
            .await?;
        sqlx::query(
            "insert into layout (headings, columns) values (?1, ?2) on conflict do nothing",
        )
        .bind(&header.headings)
        .bind(&header.columns)
        .execute(&mut self.db)
        .await?;
        let layout: i64 =
            sqlx::query_scalar("select id from layout where headings = ?1 and columns = ?2")
                .bind(&header.headings)
                .bind(&header.columns)
                .fetch_one(&mut self.db)
                .await?;
        let batch = sqlx::query_scalar(take_in::BATCH)
            .bind(&header.name)
            .bind(&header.file)
            .bind(&header.source)
            .bind(&header.base_url)
            .bind(&header.template_hash)
            .bind(layout)
            .bind(&header.tool)
            .bind(now)
            .fetch_one(&mut self.db)
            .await?;
        Ok((batch, layout))
    }
}

fn insert_statement(rows: usize) -> String {
    let mut text = "-- ledger::push\ninsert into temp.staged (position, row_number, key, cells, \
         payload_hash, file_name, spoken_ms, problem, verdict) values "
        .to_owned();
    for row in 0..rows {
        text.push_str(if row == 0 { "(?,?,?,?,?,?,?,?,?)" } else { ",(?,?,?,?,?,?,?,?,?)" });
    }
    text
}

//! One connection to either database, and the pool of those that read.
//!
//! A closed enum instead of generics or a trait: callers see one type, and one implementation of
//! every operation. Invariant: only `ledger/store` names the types of a database.

use std::ops::ControlFlow;

use futures_util::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Connection, FromRow, Transaction};
use sqlx_postgres::{PgArguments, PgConnection, PgRow, Postgres};
use sqlx_sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqlitePool, SqliteRow};

use crate::ledger::store::bind_value::{BindValue, postgres_arguments, sqlite_arguments};
use crate::ledger::store::copy_in::copy_rows;
use crate::ledger::store::server_readers::{ServerReaders, is_temporary};
use crate::ledger::store::statement::{BoundStatement, SqlDialect, Statement, join_statements};

/// A row that can be read from both databases: every `#[derive(FromRow)]`, and every tuple of
/// columns.
pub(in crate::ledger) trait StoreRow:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> StoreRow for T where
    T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

const COMMIT: &str = "commit";
const ROLLBACK: &str = "rollback";

const BEGIN_SQLITE: &str = "begin immediate";

/// A commit waits for the server's disk, whatever the session's defaults are, and no statement is
/// ended by a time-out of the server: its result would be unknown. A process that vanished within a
/// transaction must not hold its locks for hours.
const BEGIN_POSTGRES: &str = "begin;
    set local synchronous_commit = on;
    set local statement_timeout = 0;
    set local lock_timeout = 0;
    set local idle_in_transaction_session_timeout = '30s'";

/// A connection.
#[derive(Debug)]
pub(in crate::ledger) enum StoreConnection {
    /// `SQLite`.
    Sqlite(SqliteConnection),
    /// One of the readers of a file.
    SqliteReader(PoolConnection<Sqlite>),
    /// One of the readers of a file, in a read transaction.
    SqliteSnapshot(Transaction<'static, Sqlite>),
    /// PostgreSQL.
    Postgres(PgConnection),
    /// One of the readers of a server.
    PostgresReader(PoolConnection<Postgres>),
}

/// What a connection is made of.
enum OpenSession<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PgConnection),
}

fn sqlite_query(
    statement: &'static Statement,
    binds: Vec<BindValue>,
) -> Result<Query<'static, Sqlite, SqliteArguments>, sqlx::Error> {
    Ok(sqlx::query_with(statement.expanded(SqlDialect::Sqlite), sqlite_arguments(binds)?))
}

fn postgres_query(
    statement: &'static Statement,
    binds: Vec<BindValue>,
) -> Result<Query<'static, Postgres, PgArguments>, sqlx::Error> {
    Ok(sqlx::query_with(statement.expanded(SqlDialect::Postgres), postgres_arguments(binds)?))
}

impl StoreConnection {
    fn session(&mut self) -> OpenSession<'_> {
        match self {
            Self::Sqlite(db) => OpenSession::Sqlite(db),
            Self::SqliteReader(db) => OpenSession::Sqlite(db),
            Self::SqliteSnapshot(db) => OpenSession::Sqlite(db),
            Self::Postgres(db) => OpenSession::Postgres(db),
            Self::PostgresReader(db) => OpenSession::Postgres(db),
        }
    }

    /// Returns the file's connection, for tests of the file itself.
    #[cfg(test)]
    pub(in crate::ledger) fn sqlite(&mut self) -> &mut SqliteConnection {
        match self.session() {
            OpenSession::Sqlite(db) => db,
            OpenSession::Postgres(_) => panic!("this ledger is at a server"),
        }
    }

    /// Returns which database it is.
    pub(in crate::ledger) fn dialect(&self) -> SqlDialect {
        match self {
            Self::Sqlite(_) | Self::SqliteReader(_) | Self::SqliteSnapshot(_) => SqlDialect::Sqlite,
            Self::Postgres(_) | Self::PostgresReader(_) => SqlDialect::Postgres,
        }
    }

    /// Executes a statement and returns the number of rows that it changed.
    pub(in crate::ledger) async fn execute(
        &mut self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
    ) -> Result<u64, sqlx::Error> {
        match self.session() {
            OpenSession::Sqlite(db) => {
                Ok(sqlite_query(statement, binds)?.execute(db).await?.rows_affected())
            }
            OpenSession::Postgres(db) => {
                Ok(postgres_query(statement, binds)?.execute(db).await?.rows_affected())
            }
        }
    }

    /// Executes statements that share their values, one after the other.
    pub(in crate::ledger) async fn execute_each(
        &mut self,
        statements: &'static [Statement],
        binds: &[BindValue],
    ) -> Result<(), sqlx::Error> {
        for statement in statements {
            self.execute(statement, binds.to_vec()).await?;
        }
        Ok(())
    }

    /// Executes statements one after the other; those of a file as one text, because each round trip
    /// to `SQLite`'s thread takes as long as a small change itself.
    pub(in crate::ledger) async fn execute_together(
        &mut self,
        joined: Vec<BoundStatement>,
    ) -> Result<(), sqlx::Error> {
        match self.session() {
            OpenSession::Sqlite(db) => {
                let text = join_statements(&joined);
                let binds = joined.into_iter().flat_map(|bound| bound.binds).collect();
                let query = sqlx::query_with(AssertSqlSafe(text), sqlite_arguments(binds)?);
                query.execute(db).await.map(drop)
            }
            OpenSession::Postgres(db) => {
                for BoundStatement { statement, binds } in joined {
                    postgres_query(statement, binds)?.execute(&mut *db).await?;
                }
                Ok(())
            }
        }
    }

    /// Returns the first row, if there is one.
    pub(in crate::ledger) async fn fetch_optional<T: StoreRow>(
        &mut self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
    ) -> Result<Option<T>, sqlx::Error> {
        match self.session() {
            OpenSession::Sqlite(db) => {
                let row = sqlite_query(statement, binds)?.fetch_optional(db).await?;
                row.as_ref().map(T::from_row).transpose()
            }
            OpenSession::Postgres(db) => {
                let row = postgres_query(statement, binds)?.fetch_optional(db).await?;
                row.as_ref().map(T::from_row).transpose()
            }
        }
    }

    /// Returns the first row.
    pub(in crate::ledger) async fn fetch_one<T: StoreRow>(
        &mut self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
    ) -> Result<T, sqlx::Error> {
        self.fetch_optional(statement, binds).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// Returns all rows.
    pub(in crate::ledger) async fn fetch_all<T: StoreRow>(
        &mut self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
    ) -> Result<Vec<T>, sqlx::Error> {
        let mut rows = Vec::new();
        self.fetch_each(statement, binds, |row| {
            rows.push(row);
            ControlFlow::Continue(())
        })
        .await?;
        Ok(rows)
    }

    /// Passes each row to `visit`, which may stop.
    pub(in crate::ledger) async fn fetch_each<T: StoreRow>(
        &mut self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
        mut visit: impl FnMut(T) -> ControlFlow<()> + Send,
    ) -> Result<(), sqlx::Error> {
        match self.session() {
            OpenSession::Sqlite(db) => {
                let mut rows = sqlite_query(statement, binds)?.fetch(db);
                while let Some(row) = rows.try_next().await? {
                    if visit(T::from_row(&row)?).is_break() {
                        break;
                    }
                }
            }
            OpenSession::Postgres(db) => {
                let mut rows = postgres_query(statement, binds)?.fetch(db);
                while let Some(row) = rows.try_next().await? {
                    if visit(T::from_row(&row)?).is_break() {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Returns the only value of the first row.
    pub(in crate::ledger) async fn fetch_value<T: Send + Unpin>(
        &mut self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
    ) -> Result<T, sqlx::Error>
    where
        (T,): StoreRow,
    {
        self.fetch_one::<(T,)>(statement, binds).await.map(|(value,)| value)
    }

    /// Returns the only value of the first row, if there is one.
    pub(in crate::ledger) async fn find_value<T: Send + Unpin>(
        &mut self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
    ) -> Result<Option<T>, sqlx::Error>
    where
        (T,): StoreRow,
    {
        Ok(self.fetch_optional::<(T,)>(statement, binds).await?.map(|(value,)| value))
    }

    /// Executes texts of this program that take no values, one after the other.
    pub(in crate::ledger) async fn execute_script(
        &mut self,
        script: &'static str,
    ) -> Result<(), sqlx::Error> {
        match self.session() {
            OpenSession::Sqlite(db) => sqlx::raw_sql(script).execute(db).await.map(drop),
            OpenSession::Postgres(db) => sqlx::raw_sql(script).execute(db).await.map(drop),
        }
    }

    /// Inserts rows with one statement: `into` names the table and its columns, `binds` holds the
    /// values of row after row. In a file, statements that are `repeated` with as many rows stay prepared.
    pub(in crate::ledger) async fn insert_rows(
        &mut self,
        into: &str,
        columns: usize,
        binds: Vec<BindValue>,
        repeated: bool,
    ) -> Result<(), sqlx::Error> {
        let rows = binds.len() / columns.max(1);
        match self.session() {
            OpenSession::Sqlite(db) => {
                let row = format!("({})", vec!["?"; columns].join(","));
                let text = format!("insert into {into} values {}", vec![row; rows].join(","));
                let query = sqlx::query_with(AssertSqlSafe(text), sqlite_arguments(binds)?);
                query.persistent(repeated).execute(db).await.map(drop)
            }
            OpenSession::Postgres(db) => copy_rows(db, into, columns, binds).await,
        }
    }

    /// Begins a transaction that writes; on a file it waits for every other one.
    pub(in crate::ledger) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        match self.session() {
            OpenSession::Sqlite(db) => sqlx::query(BEGIN_SQLITE).execute(db).await.map(drop),
            OpenSession::Postgres(db) => sqlx::raw_sql(BEGIN_POSTGRES).execute(db).await.map(drop),
        }
    }

    /// Commits the transaction: it is on disk when this returns.
    pub(in crate::ledger) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        match self.session() {
            OpenSession::Sqlite(db) => sqlx::query(COMMIT).execute(db).await.map(drop),
            OpenSession::Postgres(db) => sqlx::raw_sql(COMMIT).execute(db).await.map(drop),
        }
    }

    /// Undoes the transaction.
    pub(in crate::ledger) async fn rollback(&mut self) -> Result<(), sqlx::Error> {
        match self.session() {
            OpenSession::Sqlite(db) => sqlx::query(ROLLBACK).execute(db).await.map(drop),
            OpenSession::Postgres(db) => sqlx::raw_sql(ROLLBACK).execute(db).await.map(drop),
        }
    }

    /// Closes it. A file's log is copied into the file by its last connection.
    pub(in crate::ledger) async fn close(self) {
        let closed = match self {
            Self::Sqlite(db) => db.close().await,
            Self::SqliteReader(db) => db.close().await,
            Self::SqliteSnapshot(db) => db.rollback().await,
            Self::Postgres(db) => db.close().await,
            Self::PostgresReader(db) => db.close().await,
        };
        if let Err(source) = closed {
            tracing::warn!(error = %source, "the ledger did not close cleanly; nothing is lost");
        }
    }
}

/// Reads once from a file; from a server, until it responds or the patience is over.
macro_rules! read_again {
    ($readers:expr, $binds:ident, $db:ident => $read:expr) => {
        match $readers {
            Self::Sqlite(_) => {
                let mut $db = $readers.acquire().await?;
                $read
            }
            Self::Postgres(server) => {
                let mut wait = server.patience.begin();
                loop {
                    let read = async {
                        let $binds = $binds.clone();
                        let mut $db = $readers.acquire().await?;
                        $read
                    };
                    match server.attempt(read).await {
                        Err(error) if is_temporary(&error) => {
                            if !wait.has_next_attempt().await {
                                break Err(error);
                            }
                        }
                        ended => break ended,
                    }
                }
            }
        }
    };
}

/// The connections that read.
#[derive(Clone, Debug)]
pub(in crate::ledger) enum StoreReaders {
    /// Of a file.
    Sqlite(SqlitePool),
    /// Of a server.
    Postgres(ServerReaders),
}

impl StoreReaders {
    /// Waits for a free connection.
    pub(in crate::ledger) async fn acquire(&self) -> Result<StoreConnection, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => pool.acquire().await.map(StoreConnection::SqliteReader),
            Self::Postgres(readers) => {
                readers.pool.acquire().await.map(StoreConnection::PostgresReader)
            }
        }
    }

    /// Returns a connection whose statements all see the ledger at one moment. That of a server is
    /// not used again: a transaction whose caller is cancelled would stay open in the pool.
    pub(in crate::ledger) async fn snapshot(&self) -> Result<StoreConnection, sqlx::Error> {
        match self {
            Self::Sqlite(pool) => pool.begin().await.map(StoreConnection::SqliteSnapshot),
            Self::Postgres(readers) => {
                let mut db = readers.pool.acquire().await?.detach();
                sqlx::raw_sql("begin isolation level repeatable read read only")
                    .execute(&mut db)
                    .await?;
                Ok(StoreConnection::Postgres(db))
            }
        }
    }

    /// See [`StoreConnection::fetch_optional`].
    pub(in crate::ledger) async fn fetch_optional<T: StoreRow>(
        &self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
    ) -> Result<Option<T>, sqlx::Error> {
        read_again!(self, binds, db => db.fetch_optional(statement, binds).await)
    }

    /// See [`StoreConnection::fetch_one`].
    pub(in crate::ledger) async fn fetch_one<T: StoreRow>(
        &self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
    ) -> Result<T, sqlx::Error> {
        read_again!(self, binds, db => db.fetch_one(statement, binds).await)
    }

    /// See [`StoreConnection::fetch_all`].
    pub(in crate::ledger) async fn fetch_all<T: StoreRow>(
        &self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
    ) -> Result<Vec<T>, sqlx::Error> {
        read_again!(self, binds, db => db.fetch_all(statement, binds).await)
    }

    /// See [`StoreConnection::fetch_each`].
    pub(in crate::ledger) async fn fetch_each<T: StoreRow>(
        &self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
        visit: impl FnMut(T) -> ControlFlow<()> + Send,
    ) -> Result<(), sqlx::Error> {
        self.acquire().await?.fetch_each(statement, binds, visit).await
    }

    /// See [`StoreConnection::fetch_value`].
    pub(in crate::ledger) async fn fetch_value<T: Send + Unpin>(
        &self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
    ) -> Result<T, sqlx::Error>
    where
        (T,): StoreRow,
    {
        read_again!(self, binds, db => db.fetch_value(statement, binds).await)
    }

    /// See [`StoreConnection::find_value`].
    pub(in crate::ledger) async fn find_value<T: Send + Unpin>(
        &self,
        statement: &'static Statement,
        binds: Vec<BindValue>,
    ) -> Result<Option<T>, sqlx::Error>
    where
        (T,): StoreRow,
    {
        read_again!(self, binds, db => db.find_value(statement, binds).await)
    }

    /// Closes them all.
    pub(in crate::ledger) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(readers) => readers.pool.close().await,
        }
    }
}

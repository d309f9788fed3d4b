//! The writer's session with a server: connecting again with back-off, finding a connection that is
//! silently cut, and whether a commit whose response was lost took place.
//!
//! Every write group updates the writer's own row of `commit_marker`. After a lost connection that row is
//! read with a lock: a plain read would report a commit that is still under way as not committed.
//! Invariant: no decision about money depends on a time-out here. A time-out only closes a connection.

use std::time::Duration;

use sqlx::Connection;

use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::postgres::ServerConnector;
use crate::ledger::store::server_readers::ServerPatience;
use crate::ledger::store::statement::Statement;

/// How long a server may be unavailable before its run ends.
pub const SERVER_PATIENCE: Duration = Duration::from_secs(300);

/// How long a group may take before its connection is examined, and the pause between two examinations.
const EXAMINE_AFTER: Duration = Duration::from_secs(5);
/// The limit of one examination.
const EXAMINE_TIMEOUT: Duration = Duration::from_secs(10);

/// A failover may have lost the row.
static SET_MARKER: Statement = Statement::new(
    "-- ledger::server, marker
    insert into commit_marker (writer_id, write_group, written_at)
    values ($1, $2, cast(extract(epoch from clock_timestamp()) * 1000 as bigint))
    on conflict (writer_id) do update set write_group = excluded.write_group,
        written_at = excluded.written_at",
);

static READ_MARKER: Statement = Statement::new(
    "-- ledger::server, read the marker
    select write_group from commit_marker where writer_id = $1 for update",
);

static DELETE_MARKER: Statement = Statement::new(
    "-- ledger::server, marker
    delete from commit_marker where writer_id = $1",
);

static BACKEND: Statement = Statement::new("select pg_backend_pid()");

/// The server's process of a connection, as another connection sees it.
const EXAMINE_BACKEND: &str = "-- ledger::server, examine
    select state = 'active', cast(extract(epoch from state_change) * 1000000 as bigint)
    from pg_stat_activity where pid = $1 and state is not null";

/// The writer's session.
#[derive(Debug)]
pub(in crate::ledger) struct ServerSession {
    connector: ServerConnector,
    patience: ServerPatience,
    writer_id: String,
    write_group: i64,
    open: Option<OpenConnection>,
}

#[derive(Debug)]
struct OpenConnection {
    db: StoreConnection,
    backend: i32,
}

impl ServerSession {
    /// Begins the session of a new writer with an open connection.
    pub(in crate::ledger) async fn begin(
        connector: ServerConnector,
        mut db: StoreConnection,
        patience: ServerPatience,
    ) -> Result<Self, LedgerError> {
        let id: u128 = rand::random();
        let writer_id = format!("{id:032x}");
        db.execute(&SET_MARKER, binds![&writer_id, 0_i64]).await?;
        let backend = db.fetch_value(&BACKEND, binds![]).await?;
        let open = Some(OpenConnection { db, backend });
        Ok(Self { connector, patience, writer_id, write_group: 0, open })
    }

    /// Returns the number of the next group.
    pub(in crate::ledger) fn next_group(&mut self) -> i64 {
        self.write_group += 1;
        self.write_group
    }

    /// Returns the connection; connects first if it was lost.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] after the patience with the server.
    pub(in crate::ledger) async fn connection(
        &mut self,
    ) -> Result<&mut StoreConnection, LedgerError> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.connect_again().await?,
        };
        Ok(&mut self.open.insert(open).db)
    }

    /// Forgets a connection that is lost.
    pub(in crate::ledger) fn drop_connection(&mut self) {
        self.open = None;
    }

    /// Marks the group in the transaction that is open.
    pub(in crate::ledger) fn marker(&self, group: i64) -> CommitMarker {
        CommitMarker { writer_id: self.writer_id.clone(), group }
    }

    /// Returns whether the group was committed by a connection that was lost.
    pub(in crate::ledger) async fn has_committed(
        &mut self,
        group: i64,
    ) -> Result<bool, LedgerError> {
        let mut wait = self.patience.begin();
        loop {
            let id = self.writer_id.clone();
            let db = self.connection().await?;
            match db.find_value::<i64>(&READ_MARKER, binds![id]).await.map_err(LedgerError::from) {
                // A server that has lost the row has lost the group as well.
                Ok(committed) => return Ok(committed.is_some_and(|committed| committed >= group)),
                Err(error) if error.is_unavailable() && wait.has_next_attempt().await => {
                    self.drop_connection();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns what watches the connection while a group uses it.
    pub(in crate::ledger) fn watch(&self) -> ConnectionWatch {
        let backend = self.open.as_ref().map(|open| open.backend);
        ConnectionWatch { connector: self.connector.clone(), backend }
    }

    async fn connect_again(&self) -> Result<OpenConnection, LedgerError> {
        let mut wait = self.patience.begin();
        loop {
            match self.try_connect().await {
                Ok(open) => {
                    self.patience.renew();
                    return Ok(open);
                }
                Err(error) if error.is_unavailable() => {
                    tracing::warn!(%error, "the ledger is unavailable");
                    if !wait.has_next_attempt().await {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_connect(&self) -> Result<OpenConnection, LedgerError> {
        let mut db = StoreConnection::Postgres(self.connector.open_primary().await?);
        let backend = db.fetch_value(&BACKEND, binds![]).await?;
        Ok(OpenConnection { db, backend })
    }

    /// Ends the session.
    pub(in crate::ledger) async fn close(mut self) {
        if let Some(mut open) = self.open.take() {
            // A marker that stays is a row of a few bytes.
            if let Err(error) = open.db.execute(&DELETE_MARKER, binds![&self.writer_id]).await {
                tracing::debug!(%error, "the writer's marker");
            }
            open.db.close().await;
        }
    }
}

/// The row that shows whether a group was committed.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct CommitMarker {
    writer_id: String,
    group: i64,
}

impl CommitMarker {
    /// Writes the marker within the open transaction.
    pub(in crate::ledger) async fn write(
        &self,
        db: &mut StoreConnection,
    ) -> Result<(), LedgerError> {
        db.execute(&SET_MARKER, binds![&self.writer_id, self.group]).await?;
        Ok(())
    }
}

/// Watches the connection of a group that takes long: packets may be dropped without an error.
#[derive(Debug)]
pub(in crate::ledger) struct ConnectionWatch {
    connector: ServerConnector,
    backend: Option<i32>,
}

impl ConnectionWatch {
    /// Returns when the connection is lost; never while the server works for it.
    pub(in crate::ledger) async fn until_lost(self) {
        let mut idle_since = None;
        loop {
            tokio::time::sleep(EXAMINE_AFTER).await;
            match tokio::time::timeout(EXAMINE_TIMEOUT, self.examine()).await {
                // Idle for the second time without a statement in between: the response is lost.
                Ok(Ok(Some((false, since)))) if idle_since == Some(since) => return,
                Ok(Ok(Some((false, since)))) => idle_since = Some(since),
                Ok(Ok(Some((true, _)))) => idle_since = None,
                // The server has ended it, or cannot be reached at all.
                Ok(Ok(None) | Err(_)) | Err(_) => return,
            }
        }
    }

    /// Returns whether the server works for the connection, and since when it is in this state.
    async fn examine(&self) -> Result<Option<(bool, i64)>, LedgerError> {
        let mut db = self.connector.connect().await?;
        let state = sqlx::query_as(EXAMINE_BACKEND).bind(self.backend);
        let state = state.fetch_optional(&mut db).await?;
        db.close().await?;
        Ok(state)
    }
}

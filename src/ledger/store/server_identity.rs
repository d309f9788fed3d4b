//! Which server a connection leads to: its system identifier and its timeline, which a failover and a
//! restored backup change.
//!
//! The timeline is that of the current log position: the last checkpoint's still shows the former one
//! after a promotion. A change is recorded in the ledger as a gap, in one transaction, before anything
//! else is written there. A process never goes back to a timeline that it has left.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx_postgres::PgConnection;

use crate::ledger::error::LedgerError;
use crate::ledger::model::gap_reason::GapReason;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::time_from_millis;
use crate::ledger::write::catch_up::ledger_gap::{GapFinding, record_gap};

static CURRENT: Statement = Statement::new(
    "-- ledger::server, identity
    select cast(system_identifier as text) as system_id,
        cast(cast('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as bit(32)) as bigint)
            as timeline
    from pg_control_system()",
);

static RECORDED: Statement = Statement::new(
    "-- ledger::server, recorded identity
    select system_id, timeline from ledger_server where only_row = 1 {lock}",
);

static RECORD: Statement = Statement::new(
    "-- ledger::server, record identity
    insert into ledger_server (only_row, system_id, timeline) values (1, $1, $2)
    on conflict (only_row) do update set system_id = excluded.system_id, timeline = excluded.timeline",
);

static NOW: Statement = Statement::new(
    "-- ledger::server, time
    select cast(extract(epoch from clock_timestamp()) * 1000 as bigint)",
);

/// A server at one of its timelines.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct ServerTimeline {
    /// The system identifier, which its standbys share.
    pub system_id: String,
    /// The number of its timeline, which grows with each promotion.
    pub timeline: i64,
}

impl ServerTimeline {
    /// Parses the text of one.
    pub fn parse(text: &str) -> Option<Self> {
        let (system_id, timeline) = text.rsplit_once('/')?;
        Some(Self { system_id: system_id.to_owned(), timeline: timeline.parse().ok()? })
    }

    /// Returns whether this server was left for `later`, by a failover.
    pub fn is_former_of(&self, later: &Self) -> bool {
        self.system_id == later.system_id && self.timeline < later.timeline
    }
}

impl fmt::Display for ServerTimeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.system_id, self.timeline)
    }
}

/// The latest timeline that this process has seen. Cloning gives another handle.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenTimeline(Arc<Mutex<Option<ServerTimeline>>>);

impl SeenTimeline {
    pub(super) fn get(&self) -> Option<ServerTimeline> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Compares a new connection with what the ledger and this process know of its server.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`] if it leads to a former primary server.
    pub(super) async fn check(
        &self,
        db: PgConnection,
        address: &str,
    ) -> Result<PgConnection, LedgerError> {
        let mut db = StoreConnection::Postgres(db);
        let current: ServerTimeline = db.fetch_one(&CURRENT, binds![]).await?;
        if self.get().is_some_and(|seen| current.is_former_of(&seen)) {
            return Err(LedgerError::Unavailable {
                reason: format!("`{address}` leads to a former primary server"),
            });
        }
        record_change(&mut db, &current).await?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(current);
        match db {
            StoreConnection::Postgres(db) => Ok(db),
            _ => Err(LedgerError::Closed),
        }
    }
}

/// Records the server's identity, and a gap if it is another one than before.
async fn record_change(
    db: &mut StoreConnection,
    current: &ServerTimeline,
) -> Result<(), LedgerError> {
    db.begin().await?;
    let recorded: Option<ServerTimeline> = db.fetch_optional(&RECORDED, binds![]).await?;
    if recorded.as_ref() != Some(current) {
        if let Some(recorded) = recorded {
            let detail = format!(
                "its server is another one since a failover or a restored backup (before: {recorded}, \
                 now: {current})"
            );
            let at = time_from_millis(db.fetch_value(&NOW, binds![]).await?);
            record_gap(db, GapReason::Failover, GapFinding { detail: &detail, at }).await?;
        }
        db.execute(&RECORD, binds![&current.system_id, current.timeline]).await?;
    }
    Ok(db.commit().await?)
}

//! Committing a write group at a server: applied exactly once, whatever happens to the connection.
//!
//! A group whose connection is lost before its commit is applied again; one whose commit was sent is
//! applied again only after its marker shows that it was not committed. A group that conflicts with
//! another process is applied again as well. While the server is unavailable the group waits here, and
//! with it everything that asks for a write: nothing is claimed, and so nothing is sent.

use std::time::Duration;

use crate::ledger::error::LedgerError;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::server_session::{CommitMarker, ServerSession};
use crate::ledger::write::writer::{QueuedOp, apply_group};

/// How often a group that conflicts with other processes is applied again.
const CONFLICTS_MAX: u32 = 8;
const CONFLICT_PAUSE: Duration = Duration::from_millis(20);

/// Applies and commits the group.
pub(super) async fn commit_at_server(
    server: &mut ServerSession,
    group: &mut [Box<dyn QueuedOp>],
) -> Result<(), LedgerError> {
    let number = server.next_group();
    let marker = server.marker(number);
    let mut conflicts = 0;
    loop {
        let mut is_commit_sent = false;
        match attempt_commit(server, group, &marker, &mut is_commit_sent).await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_unavailable() => {
                tracing::warn!(%error, "the ledger's connection is lost");
                server.drop_connection();
                if is_commit_sent && server.has_committed(number).await? {
                    return Ok(());
                }
                // Waits for the server; fails after the patience with it.
                server.connection().await?;
            }
            Err(error) => {
                roll_back(server).await;
                conflicts += 1;
                if !error.is_conflict() || conflicts > CONFLICTS_MAX {
                    return Err(error);
                }
                tokio::time::sleep(CONFLICT_PAUSE * conflicts).await;
            }
        }
    }
}

async fn attempt_commit(
    server: &mut ServerSession,
    group: &mut [Box<dyn QueuedOp>],
    marker: &CommitMarker,
    is_commit_sent: &mut bool,
) -> Result<(), LedgerError> {
    server.connection().await?;
    let watch = server.watch();
    let db = server.connection().await?;
    tokio::select! {
        biased;
        ended = apply_and_commit(db, group, marker, is_commit_sent) => ended,
        () = watch.until_lost() => {
            Err(LedgerError::Unavailable { reason: "its server does not respond".to_owned() })
        }
    }
}

async fn apply_and_commit(
    db: &mut StoreConnection,
    group: &mut [Box<dyn QueuedOp>],
    marker: &CommitMarker,
    is_commit_sent: &mut bool,
) -> Result<(), LedgerError> {
    db.begin().await?;
    marker.write(db).await?;
    apply_group(db, group).await?;
    *is_commit_sent = true;
    Ok(db.commit().await?)
}

/// Undoes the transaction. A connection that cannot do that is not used again.
async fn roll_back(server: &mut ServerSession) {
    let undone = match server.connection().await {
        Ok(db) => db.rollback().await.map_err(LedgerError::from),
        Err(error) => Err(error),
    };
    if let Err(error) = undone {
        tracing::debug!(%error, "rollback");
        server.drop_connection();
    }
}

//! The single writer. Operations queue here, and those that wait at the same time are committed in
//! one transaction (group commit).
//!
//! An operation is acknowledged only after its transaction is on disk. A caller that is cancelled
//! while it waits loses the result, never the write. There is no time-out: in measurements, all
//! writes that a time-out had cancelled were found committed.
//!
//! Invariant: if one operation of a group fails, the group is rolled back and each operation is
//! tried alone, so that an operation never fails because of its neighbours.

use std::io;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use crate::ledger::error::LedgerError;
use crate::ledger::store::connection::{StoreConnection, StoreReaders};
use crate::ledger::store::server_session::ServerSession;
use crate::ledger::write::catch_up::ledger_gap::gap_as_cause;
use crate::ledger::write::server_group::commit_at_server;
use crate::ledger::write::server_lease::HeldLeases;
use crate::ledger::write::write_op::WriteOp;

/// Operations that wait for the writer. Each caller waits for its result, so this bounds callers;
/// with a full queue they wait for a free slot.
const QUEUED_WRITES_MAX: usize = 1024;
/// Operations in one transaction: enough to hide the disk's latency, few enough that the log stays
/// short for its readers.
const WRITE_GROUP_MAX: usize = 256;

/// A handle that sends operations to the writer.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct LedgerWriter {
    queue: mpsc::Sender<WriterMessage>,
    leases: HeldLeases,
}

enum WriterMessage {
    Write(Box<dyn QueuedOp>),
    Close(oneshot::Sender<()>),
}

impl std::fmt::Debug for WriterMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Write(_) => "Write",
            Self::Close(_) => "Close",
        })
    }
}

impl LedgerWriter {
    /// Starts the writer, which owns `db` from now on, on a thread of its own: every statement
    /// makes a round trip to `SQLite`'s thread, which must not queue behind the requests of a run.
    ///
    /// With a `turn`, the writer works only while it holds a connection of that pool, and as a
    /// task of the caller's runtime, so that simulated time knows which task has work.
    ///
    /// # Errors
    /// If the system cannot start another thread.
    pub(in crate::ledger) fn start(
        store: WriterStore,
        turn: Option<StoreReaders>,
    ) -> io::Result<Self> {
        let (queue, inbox) = mpsc::channel(QUEUED_WRITES_MAX);
        let is_at_server = matches!(store, WriterStore::Server(_));
        if turn.is_some() || is_at_server {
            tokio::spawn(run_writer(store, inbox, turn));
        } else {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let thread = std::thread::Builder::new().name("ledger".to_owned());
            thread.spawn(move || runtime.block_on(run_writer(store, inbox, turn)))?;
        }
        Ok(Self { queue, leases: HeldLeases::default() })
    }

    /// Commits `op` and returns its output once it is on disk.
    pub(in crate::ledger) async fn execute<O: WriteOp>(
        &self,
        op: O,
    ) -> Result<O::Output, LedgerError> {
        let (reply, output) = oneshot::channel();
        let leases = self.leases.clone();
        let queued = Box::new(QueuedWrite { op, leases, output: None, reply });
        self.queue.send(WriterMessage::Write(queued)).await.map_err(|_| LedgerError::Closed)?;
        output.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Returns the leases of this process, which every operation is fenced by.
    pub(in crate::ledger) fn leases(&self) -> &HeldLeases {
        &self.leases
    }

    /// Waits for the queued operations, then closes the file.
    pub(in crate::ledger) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(WriterMessage::Close(done)).await.is_ok() {
            // An error means that the writer has stopped, which is the purpose of this call.
            drop(closed.await);
        }
    }
}

/// What the writer commits to.
#[derive(Debug)]
pub(in crate::ledger) enum WriterStore {
    /// A file, which it is the only one to write.
    File(StoreConnection),
    /// A server, which other processes write as well.
    Server(Box<ServerSession>),
}

/// An operation and the caller that waits for it.
pub(super) trait QueuedOp: Send {
    fn apply<'a>(
        &'a mut self,
        db: &'a mut StoreConnection,
    ) -> BoxFuture<'a, Result<(), LedgerError>>;
    fn acknowledge(self: Box<Self>);
    fn fail(self: Box<Self>, error: LedgerError);
}

struct QueuedWrite<O: WriteOp> {
    op: O,
    leases: HeldLeases,
    output: Option<O::Output>,
    reply: oneshot::Sender<Result<O::Output, LedgerError>>,
}

impl<O: WriteOp> QueuedOp for QueuedWrite<O> {
    fn apply<'a>(
        &'a mut self,
        db: &'a mut StoreConnection,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        async move {
            let applied = match self.leases.check(db).await {
                Ok(()) => self.op.apply(db).await,
                Err(error) => Err(error),
            };
            match applied {
                Ok(output) => self.output = Some(output),
                Err(error) => return Err(gap_as_cause(db, error).await),
            }
            Ok(())
        }
        .boxed()
    }

    fn acknowledge(self: Box<Self>) {
        // The caller may have been cancelled; its change is committed all the same.
        drop(self.reply.send(self.output.ok_or(LedgerError::Closed)));
    }

    fn fail(self: Box<Self>, error: LedgerError) {
        drop(self.reply.send(Err(error)));
    }
}

async fn run_writer(
    mut store: WriterStore,
    mut inbox: mpsc::Receiver<WriterMessage>,
    turn: Option<StoreReaders>,
) {
    // The size of a group depends on the machine's speed; in a simulation it must not.
    let group_max = if turn.is_some() { 1 } else { WRITE_GROUP_MAX };
    let mut closing = None;
    while closing.is_none() {
        let Some(message) = inbox.recv().await else { break };
        let mut group = Vec::new();
        let mut next = Some(message);
        while let Some(message) = next.take() {
            match message {
                WriterMessage::Write(op) => group.push(op),
                WriterMessage::Close(done) => closing = Some(done),
            }
            if group.len() < group_max && closing.is_none() {
                next = inbox.try_recv().ok();
            }
        }
        let holding = match &turn {
            Some(turn) => turn.acquire().await.ok(),
            None => None,
        };
        commit_group(&mut store, group).await;
        drop(holding);
    }
    match store {
        WriterStore::File(db) => db.close().await,
        WriterStore::Server(session) => session.close().await,
    }
    if let Some(done) = closing {
        // The caller may have been cancelled; the file is closed all the same.
        let _ = done.send(());
    }
}

/// Commits the group, or each of its operations alone if the group fails.
async fn commit_group(store: &mut WriterStore, mut group: Vec<Box<dyn QueuedOp>>) {
    match try_commit_group(store, &mut group).await {
        Ok(()) => group.into_iter().for_each(QueuedOp::acknowledge),
        // No operation alone would reach the server either.
        Err(LedgerError::Unavailable { reason }) => {
            for op in group {
                op.fail(LedgerError::Unavailable { reason: reason.clone() });
            }
        }
        Err(error) => match group.len() {
            0 => {}
            1 => group.remove(0).fail(error),
            2.. => {
                for op in group {
                    Box::pin(commit_group(store, vec![op])).await;
                }
            }
        },
    }
}

async fn try_commit_group(
    store: &mut WriterStore,
    group: &mut [Box<dyn QueuedOp>],
) -> Result<(), LedgerError> {
    if group.is_empty() {
        return Ok(());
    }
    match store {
        WriterStore::File(db) => commit_to_file(db, group).await,
        WriterStore::Server(session) => commit_at_server(session, group).await,
    }
}

async fn commit_to_file(
    db: &mut StoreConnection,
    group: &mut [Box<dyn QueuedOp>],
) -> Result<(), LedgerError> {
    db.begin().await?;
    let ended = match apply_group(db, group).await {
        Ok(()) => db.commit().await.map_err(LedgerError::from),
        Err(error) => Err(error),
    };
    if let Err(error) = ended {
        // After some errors `SQLite` has already rolled back, and this statement fails; in both
        // cases no transaction is open when the next group begins.
        if let Err(error) = db.rollback().await {
            tracing::debug!(%error, "rollback");
        }
        return Err(error);
    }
    Ok(())
}

/// Applies the operations in their order.
pub(super) async fn apply_group(
    db: &mut StoreConnection,
    group: &mut [Box<dyn QueuedOp>],
) -> Result<(), LedgerError> {
    for op in group {
        op.apply(db).await?;
    }
    Ok(())
}

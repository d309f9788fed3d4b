//! The one writer. Changes queue here, and those that wait together are committed together.
//!
//! A change is acknowledged only after its transaction is on disk. It cannot be cut off by its
//! caller: a caller that goes away loses the answer, never the write. (Of writes that a time-out
//! had "cut off", all were found committed when this was measured, so no time-out exists here.)
//!
//! When one change of a group fails, the whole group is rolled back and each is tried alone, so a
//! bad change never takes its neighbours with it. A change may therefore be applied twice, but is
//! never committed twice, and must keep nothing between two applications.

use std::future::Future;
use std::io;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot};

use crate::ledger::error::LedgerError;
use crate::ledger::store::open;
use crate::ledger::write::record;
use crate::ledger::write::record::RecordUpdate;

/// Something that is written to the ledger, whole or not at all.
pub(in crate::ledger) trait WriteOp: Send + 'static {
    /// What the caller learns once the change is on disk.
    type Output: Send + 'static;

    /// Makes the change within the transaction that `db` is in.
    fn apply(
        &mut self,
        db: &mut SqliteConnection,
    ) -> impl Future<Output = Result<Self::Output, LedgerError>> + Send;
}

/// Changes waiting for the writer. Each caller waits for its answer, so this bounds callers, not
/// work; a full queue makes them wait their turn.
const QUEUED_WRITES_MAX: usize = 1024;
/// Changes in one transaction: enough to hide the disk's latency, few enough that a reader of the
/// log is never far behind.
const WRITE_GROUP_MAX: usize = 256;

/// Hands changes to the writer.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct LedgerWriter {
    queue: mpsc::Sender<WriterMessage>,
}

enum WriterMessage {
    Write(GroupItem),
    Close(oneshot::Sender<()>),
}

impl std::fmt::Debug for WriterMessage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Write(_) => "Item",
            Self::Close(_) => "Close",
        })
    }
}

impl LedgerWriter {
    /// Starts the writer on `db`, which it owns from here on, on a thread of its own: every
    /// statement goes to `SQLite`'s thread and back, and must not queue behind a night's requests
    /// each time. With a `turn`, it writes only while it holds a connection of that pool, and among
    /// its caller's tasks, so that simulated time can tell who is at work.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(in crate::ledger) fn start(
        db: SqliteConnection,
        turn: Option<SqlitePool>,
    ) -> io::Result<Self> {
        let (queue, inbox) = mpsc::channel(QUEUED_WRITES_MAX);
        if turn.is_some() {
            tokio::spawn(run_writer(db, inbox, turn));
        } else {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let thread = std::thread::Builder::new().name("ledger".to_owned());
            thread.spawn(move || runtime.block_on(run_writer(db, inbox, turn)))?;
        }
        Ok(Self { queue })
    }

    /// Makes `change` and returns its answer once it is on disk.
    pub(in crate::ledger) async fn execute<C: WriteOp>(
        &self,
        change: C,
    ) -> Result<C::Output, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let item = GroupItem::Op(Box::new(QueuedWrite { op: change, output: None, reply }));
        self.queue.send(WriterMessage::Write(item)).await.map_err(|_| LedgerError::Closed)?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Records news, together with what else waits, and returns its answer once it is on disk.
    pub(in crate::ledger) async fn record_update(
        &self,
        news: RecordUpdate,
    ) -> Result<record::RecordOutput, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let item = GroupItem::Update(Box::new(QueuedWrite { op: news, output: None, reply }));
        self.queue.send(WriterMessage::Write(item)).await.map_err(|_| LedgerError::Closed)?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Lets the queued changes finish, then closes the file.
    pub(in crate::ledger) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(WriterMessage::Close(done)).await.is_ok() {
            // An error means that the writer is gone, which is what was asked for.
            drop(closed.await);
        }
    }
}

/// What is committed as one: any change, or a piece of news, of which neighbours are written
/// together.
enum GroupItem {
    Op(Box<dyn QueuedOp>),
    Update(Box<QueuedWrite<RecordUpdate, record::RecordOutput>>),
}

impl GroupItem {
    fn update(&self) -> Option<&RecordUpdate> {
        match self {
            Self::Update(news) => Some(&news.op),
            Self::Op(_) => None,
        }
    }

    fn acknowledge(self) {
        match self {
            Self::Op(change) => change.acknowledge(),
            Self::Update(news) => news.send_output(),
        }
    }

    fn fail(self, error: LedgerError) {
        match self {
            Self::Op(change) => change.fail(error),
            // A caller that went away wants no answer.
            Self::Update(news) => drop(news.reply.send(Err(error))),
        }
    }
}

/// A change with somebody waiting for it.
trait QueuedOp: Send {
    fn apply<'a>(
        &'a mut self,
        db: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), LedgerError>>;
    fn acknowledge(self: Box<Self>);
    fn fail(self: Box<Self>, error: LedgerError);
}

struct QueuedWrite<C, A> {
    op: C,
    output: Option<A>,
    reply: oneshot::Sender<Result<A, LedgerError>>,
}

impl<C, A> QueuedWrite<C, A> {
    fn send_output(self) {
        // A caller that went away wants no answer; what it asked for is done all the same.
        drop(self.reply.send(self.output.ok_or(LedgerError::Closed)));
    }
}

impl<C: WriteOp> QueuedOp for QueuedWrite<C, C::Output> {
    fn apply<'a>(
        &'a mut self,
        db: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        async move {
            self.output = Some(self.op.apply(db).await?);
            Ok(())
        }
        .boxed()
    }

    fn acknowledge(self: Box<Self>) {
        self.send_output();
    }

    fn fail(self: Box<Self>, error: LedgerError) {
        drop(self.reply.send(Err(error)));
    }
}

async fn run_writer(
    mut db: SqliteConnection,
    mut inbox: mpsc::Receiver<WriterMessage>,
    turn: Option<SqlitePool>,
) {
    // What waits together depends on the machine's pace; a simulation must not.
    let group_max = if turn.is_some() { 1 } else { WRITE_GROUP_MAX };
    let mut closing = None;
    while closing.is_none() {
        let Some(message) = inbox.recv().await else { break };
        let mut group = Vec::new();
        let mut next = Some(message);
        while let Some(message) = next.take() {
            match message {
                WriterMessage::Write(item) => group.push(item),
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
        commit_group(&mut db, group).await;
        drop(holding);
    }
    open::close_connection(db).await;
    if let Some(done) = closing {
        // Whoever asked may be gone; the file is closed all the same.
        let _ = done.send(());
    }
}

/// Commits the group, or each of its changes alone when the group as a whole will not do.
async fn commit_group(db: &mut SqliteConnection, mut group: Vec<GroupItem>) {
    match try_commit_group(db, &mut group).await {
        Ok(()) => group.into_iter().for_each(GroupItem::acknowledge),
        Err(error) => match group.len() {
            0 => {}
            1 => group.remove(0).fail(error),
            2.. => {
                for one in group {
                    Box::pin(commit_group(db, vec![one])).await;
                }
            }
        },
    }
}

async fn try_commit_group(
    db: &mut SqliteConnection,
    group: &mut [GroupItem],
) -> Result<(), LedgerError> {
    if group.is_empty() {
        return Ok(());
    }
    execute_statement(db, "begin immediate", "begin a change").await?;
    let made = apply_group(db, group).await;
    let ended = match made {
        Ok(()) => execute_statement(db, "commit", "write its changes").await,
        Err(error) => Err(error),
    };
    if ended.is_err() {
        // After some errors `SQLite` has rolled back by itself, and this one says so; either way
        // no transaction is open when the next group begins.
        if let Err(error) = execute_statement(db, "rollback", "take a change back").await {
            tracing::debug!(%error, "rollback");
        }
    }
    ended
}

/// Makes the changes in their order, with neighbouring news as one.
async fn apply_group(
    db: &mut SqliteConnection,
    group: &mut [GroupItem],
) -> Result<(), LedgerError> {
    let both_news = |one: &GroupItem, other: &GroupItem| {
        matches!((one, other), (GroupItem::Update(_), GroupItem::Update(_)))
    };
    for run in group.chunk_by_mut(both_news) {
        if let [GroupItem::Op(change)] = run {
            change.apply(db).await?;
            continue;
        }
        let news: Vec<&RecordUpdate> = run.iter().filter_map(GroupItem::update).collect();
        let answers = record::record_all(db, &news).await?;
        for (item, answer) in run.iter_mut().zip(answers) {
            if let GroupItem::Update(news) = item {
                news.output = Some(answer);
            }
        }
    }
    Ok(())
}

async fn execute_statement(
    db: &mut SqliteConnection,
    text: &'static str,
    doing: &'static str,
) -> Result<(), LedgerError> {
    let ran = sqlx::query(text).execute(db).await;
    ran.map(|_| ()).map_err(|source| LedgerError::from_sqlx(doing, source))
}

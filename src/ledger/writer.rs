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

use super::error::LedgerError;
use super::open;
use super::record::{self, Record};

/// Something that is written to the ledger, whole or not at all.
pub(super) trait Change: Send + 'static {
    /// What the caller learns once the change is on disk.
    type Answer: Send + 'static;

    /// Makes the change within the transaction that `db` is in.
    fn apply(
        &mut self,
        db: &mut SqliteConnection,
    ) -> impl Future<Output = Result<Self::Answer, LedgerError>> + Send;
}

/// Changes waiting for the writer. Each caller waits for its answer, so this bounds callers, not
/// work; a full queue makes them wait their turn.
const QUEUE_MAX: usize = 1024;
/// Changes in one transaction: enough to hide the disk's latency, few enough that a reader of the
/// log is never far behind.
const GROUP_MAX: usize = 256;

/// Hands changes to the writer.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
}

enum Message {
    Item(Item),
    Close(oneshot::Sender<()>),
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Item(_) => "Item",
            Self::Close(_) => "Close",
        })
    }
}

impl Writer {
    /// Starts the writer on `db`, which it owns from here on, on a thread of its own: every
    /// statement goes to `SQLite`'s thread and back, and must not queue behind a night's requests
    /// each time. With a `turn`, it writes only while it holds a connection of that pool, and among
    /// its caller's tasks, so that simulated time can tell who is at work.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start(db: SqliteConnection, turn: Option<SqlitePool>) -> io::Result<Self> {
        let (queue, inbox) = mpsc::channel(QUEUE_MAX);
        if turn.is_some() {
            tokio::spawn(write(db, inbox, turn));
        } else {
            let runtime = tokio::runtime::Builder::new_current_thread().build()?;
            let thread = std::thread::Builder::new().name("ledger".to_owned());
            thread.spawn(move || runtime.block_on(write(db, inbox, turn)))?;
        }
        Ok(Self { queue })
    }

    /// Makes `change` and returns its answer once it is on disk.
    pub(super) async fn make<C: Change>(&self, change: C) -> Result<C::Answer, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let item = Item::Change(Box::new(Waiting { change, answer: None, reply }));
        self.queue.send(Message::Item(item)).await.map_err(|_| LedgerError::Closed)?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Records news, together with what else waits, and returns its answer once it is on disk.
    pub(super) async fn record(&self, news: Record) -> Result<record::Answer, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let item = Item::News(Box::new(Waiting { change: news, answer: None, reply }));
        self.queue.send(Message::Item(item)).await.map_err(|_| LedgerError::Closed)?;
        answer.await.unwrap_or(Err(LedgerError::Closed))
    }

    /// Lets the queued changes finish, then closes the file.
    pub(super) async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.queue.send(Message::Close(done)).await.is_ok() {
            // An error means that the writer is gone, which is what was asked for.
            drop(closed.await);
        }
    }
}

/// What is committed as one: any change, or a piece of news, of which neighbours are written
/// together.
enum Item {
    Change(Box<dyn Queued>),
    News(Box<Waiting<Record, record::Answer>>),
}

impl Item {
    fn news(&self) -> Option<&Record> {
        match self {
            Self::News(news) => Some(&news.change),
            Self::Change(_) => None,
        }
    }

    fn acknowledge(self) {
        match self {
            Self::Change(change) => change.acknowledge(),
            Self::News(news) => news.answer_now(),
        }
    }

    fn fail(self, error: LedgerError) {
        match self {
            Self::Change(change) => change.fail(error),
            // A caller that went away wants no answer.
            Self::News(news) => drop(news.reply.send(Err(error))),
        }
    }
}

/// A change with somebody waiting for it.
trait Queued: Send {
    fn apply<'a>(
        &'a mut self,
        db: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), LedgerError>>;
    fn acknowledge(self: Box<Self>);
    fn fail(self: Box<Self>, error: LedgerError);
}

struct Waiting<C, A> {
    change: C,
    answer: Option<A>,
    reply: oneshot::Sender<Result<A, LedgerError>>,
}

impl<C, A> Waiting<C, A> {
    fn answer_now(self) {
        // A caller that went away wants no answer; what it asked for is done all the same.
        drop(self.reply.send(self.answer.ok_or(LedgerError::Closed)));
    }
}

impl<C: Change> Queued for Waiting<C, C::Answer> {
    fn apply<'a>(
        &'a mut self,
        db: &'a mut SqliteConnection,
    ) -> BoxFuture<'a, Result<(), LedgerError>> {
        async move {
            self.answer = Some(self.change.apply(db).await?);
            Ok(())
        }
        .boxed()
    }

    fn acknowledge(self: Box<Self>) {
        self.answer_now();
    }

    fn fail(self: Box<Self>, error: LedgerError) {
        drop(self.reply.send(Err(error)));
    }
}

async fn write(
    mut db: SqliteConnection,
    mut inbox: mpsc::Receiver<Message>,
    turn: Option<SqlitePool>,
) {
    // What waits together depends on the machine's pace; a simulation must not.
    let group_max = if turn.is_some() { 1 } else { GROUP_MAX };
    let mut closing = None;
    while closing.is_none() {
        let Some(message) = inbox.recv().await else { break };
        let mut group = Vec::new();
        let mut next = Some(message);
        while let Some(message) = next.take() {
            match message {
                Message::Item(item) => group.push(item),
                Message::Close(done) => closing = Some(done),
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
    open::close(db).await;
    if let Some(done) = closing {
        // Whoever asked may be gone; the file is closed all the same.
        let _ = done.send(());
    }
}

/// Commits the group, or each of its changes alone when the group as a whole will not do.
async fn commit_group(db: &mut SqliteConnection, mut group: Vec<Item>) {
    match commit(db, &mut group).await {
        Ok(()) => group.into_iter().for_each(Item::acknowledge),
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

async fn commit(db: &mut SqliteConnection, group: &mut [Item]) -> Result<(), LedgerError> {
    if group.is_empty() {
        return Ok(());
    }
    statement(db, "begin immediate", "begin a change").await?;
    let made = make(db, group).await;
    let ended = match made {
        Ok(()) => statement(db, "commit", "write its changes").await,
        Err(error) => Err(error),
    };
    if ended.is_err() {
        // After some errors `SQLite` has rolled back by itself, and this one says so; either way
        // no transaction is open when the next group begins.
        if let Err(error) = statement(db, "rollback", "take a change back").await {
            tracing::debug!(%error, "rollback");
        }
    }
    ended
}

/// Makes the changes in their order, with neighbouring news as one.
async fn make(db: &mut SqliteConnection, group: &mut [Item]) -> Result<(), LedgerError> {
    let both_news =
        |one: &Item, other: &Item| matches!((one, other), (Item::News(_), Item::News(_)));
    for run in group.chunk_by_mut(both_news) {
        if let [Item::Change(change)] = run {
            change.apply(db).await?;
            continue;
        }
        let news: Vec<&Record> = run.iter().filter_map(Item::news).collect();
        let answers = record::record(db, &news).await?;
        for (item, answer) in run.iter_mut().zip(answers) {
            if let Item::News(news) = item {
                news.answer = Some(answer);
            }
        }
    }
    Ok(())
}

async fn statement(
    db: &mut SqliteConnection,
    text: &'static str,
    doing: &'static str,
) -> Result<(), LedgerError> {
    let ran = sqlx::query(text).execute(db).await;
    ran.map(|_| ()).map_err(|source| LedgerError::sql(doing, source))
}

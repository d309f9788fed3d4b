//! The ledger: the `SQLite` file that knows every batch, job, version and paid request.
//!
//! All SQL of the program lives in this room, behind operations named for what they mean, so that
//! another database can stand beside it later. It knows nothing of HTTP, sheets or terminals; time
//! is handed in. Invariants: what was acknowledged is on disk; a job has at most one unsettled
//! paid render; nothing that tells what was paid for is ever deleted.

mod aftermath;
mod catalogue;
mod check;
mod claim;
mod credits;
mod due;
mod error;
mod export;
mod floor;
mod former;
mod generation;
mod hook;
mod job;
mod jobless;
mod news;
mod open;
mod outcome;
mod pause;
mod people;
mod place;
mod prune;
mod record;
mod room;
mod runs;
mod staging;
mod state;
mod story;
mod tag;
mod tempo;
#[cfg(test)]
mod tests;
mod view;
mod writer;

use std::path::{Path, PathBuf};

use sqlx::SqlitePool;

pub use aftermath::{Passage, Spent, Wording};
pub use catalogue::{Article, Shelf};
pub use claim::{Claim, Claimed};
pub use credits::Caps;
pub use due::Due;
pub use error::LedgerError;
pub use export::{Cell, Exported};
pub use former::Planned;
pub use generation::Making;
pub use hook::{Call, Heard, Hearsay, Secret};
pub use news::{News, Video};
pub use open::Durability;
pub use outcome::Outcome;
pub use people::{Again, Chosen, Stray};
pub use prune::Pruned;
pub use record::Recorded;
pub use room::{Held, Room, Way};
pub use runs::{Lease, Owner, TakenOver};
pub use staging::{
    Changed, Compared, Counts, Header, Merged, Selection, StagedRow, Staging, Unmerged,
};
pub use state::{Event, IllegalStep, State, Step};
pub use story::{EventRow, Reason, RunOf, Story, SubmissionRow, VersionRow};
pub use tag::Tag;
pub use tempo::Lately;
pub use view::{BatchRow, JobRow, RunRow, StoredBatch, StoredLayout};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(i64);

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }
    };
}
id!(
    /// A batch's number in this ledger.
    BatchId
);
id!(
    /// A job's number in this ledger.
    JobId
);
id!(
    /// A submission's number in this ledger.
    SubmissionId
);

/// An open ledger. Cloning gives another handle on the same one.
#[derive(Clone, Debug)]
pub struct Ledger {
    path: PathBuf,
    durability: Durability,
    writer: writer::Writer,
    readers: SqlitePool,
}

impl Ledger {
    /// Opens the ledger at `path`, making it when it does not exist.
    ///
    /// # Errors
    /// When the file cannot be opened, is not a ledger, is damaged, or is newer than this program.
    pub async fn open(path: &Path, durability: Durability) -> Result<Self, LedgerError> {
        let db = open::writer(path, durability).await?;
        let readers = open::readers(path, durability).await?;
        let turn = (durability == Durability::ProcessDeath).then(|| readers.clone());
        let writer = writer::Writer::start(db, turn)
            .map_err(|source| open::cannot_open(path, &open::io_words(&source)))?;
        Ok(Self { path: path.to_owned(), durability, writer, readers })
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for what is being written and closes the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

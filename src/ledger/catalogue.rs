//! What an account offered when it was last asked, with the time of that.
//!
//! A memory for people: nothing that is submitted depends on it. A shelf is replaced whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

use super::Ledger;
use super::error::LedgerError;
use super::writer::Change;

/// One of the catalogues that an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// Models, with their clothes where those are known.
    Models,
    /// Workspaces.
    Workspaces,
    /// Templates of both kinds.
    Templates,
}

/// Something on a shelf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Article {
    /// What a payload calls it.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// What kind of it.
    pub kind: Option<String>,
    /// A model's clothes, where they are known.
    pub clothes: Option<Vec<Self>>,
}

impl Shelf {
    /// Returns the word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Workspaces => "workspaces",
            Self::Templates => "templates",
        }
    }
}

struct Keep {
    account: String,
    shelf: Shelf,
    items: String,
    heard_at: Timestamp,
}

impl Change for Keep {
    type Answer = ();

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<(), LedgerError> {
        sqlx::query(
            "-- ledger::keep_catalogue
             insert into catalogue (account, kind, items, heard_at) values (?1, ?2, ?3, ?4)
             on conflict do update set items = excluded.items, heard_at = excluded.heard_at",
        )
        .bind(&self.account)
        .bind(self.shelf.word())
        .bind(&self.items)
        .bind(self.heard_at.as_millisecond())
        .execute(db)
        .await
        .map_err(|source| LedgerError::sql("keep the catalogue", source))?;
        Ok(())
    }
}

impl Ledger {
    /// Keeps what an account offers, in place of what was known before.
    pub async fn keep_catalogue(
        &self,
        (account, shelf): (&str, Shelf),
        articles: &[Article],
        heard_at: Timestamp,
    ) -> Result<(), LedgerError> {
        let items = serde_json::to_string(articles).expect("texts always make JSON");
        self.writer.make(Keep { account: account.to_owned(), shelf, items, heard_at }).await
    }

    /// Returns what an account offered when it was last asked, and when that was.
    pub async fn catalogue(
        &self,
        account: &str,
        shelf: Shelf,
    ) -> Result<Option<(Vec<Article>, Timestamp)>, LedgerError> {
        let row: Option<(String, i64)> = sqlx::query_as(
            "-- ledger::catalogue
             select items, heard_at from catalogue where account = ?1 and kind = ?2",
        )
        .bind(account)
        .bind(shelf.word())
        .fetch_optional(&self.readers)
        .await
        .map_err(|source| LedgerError::sql("read the catalogue", source))?;
        // What an older program may have kept in other words is asked for again.
        Ok(row.and_then(|(items, at)| {
            Some((serde_json::from_str(&items).ok()?, Timestamp::from_millisecond(at).ok()?))
        }))
    }
}

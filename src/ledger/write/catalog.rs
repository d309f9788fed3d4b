//! What an account offered when it was last asked, with the time of that.
//!
//! A memory for people: nothing that is submitted depends on it. A shelf is replaced whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::SqliteConnection;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::write::write_op::WriteOp;

/// One of the catalogues that an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogKind {
    /// Models, with their clothes where those are known.
    Models,
    /// Workspaces.
    Workspaces,
    /// Templates of both kinds.
    Templates,
}

/// Something on a shelf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogItem {
    /// What a payload calls it.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
    /// What kind of it.
    pub kind: Option<String>,
    /// A model's clothes, where they are known.
    pub clothes: Option<Vec<Self>>,
}

impl CatalogKind {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Workspaces => "workspaces",
            Self::Templates => "templates",
        }
    }
}

struct SaveCatalog {
    account: String,
    kind: CatalogKind,
    items: String,
    fetched_at: Timestamp,
}

impl WriteOp for SaveCatalog {
    type Output = ();

    async fn apply(&mut self, db: &mut SqliteConnection) -> Result<(), LedgerError> {
        sqlx::query(
            "-- ledger::keep_catalogue
             insert into catalogue (account, kind, items, heard_at) values (?1, ?2, ?3, ?4)
             on conflict do update set items = excluded.items, heard_at = excluded.heard_at",
        )
        .bind(&self.account)
        .bind(self.kind.as_str())
        .bind(&self.items)
        .bind(self.fetched_at.as_millisecond())
        .execute(db)
        .await?;
        Ok(())
    }
}

impl Ledger {
    /// Keeps what an account offers, in place of what was known before.
    pub async fn save_catalog(
        &self,
        (account, shelf): (&str, CatalogKind),
        articles: &[CatalogItem],
        heard_at: Timestamp,
    ) -> Result<(), LedgerError> {
        let items = serde_json::to_string(articles).expect("texts always make JSON");
        self.writer
            .execute(SaveCatalog {
                account: account.to_owned(),
                kind: shelf,
                items,
                fetched_at: heard_at,
            })
            .await
    }

    /// Returns what an account offered when it was last asked, and when that was.
    pub async fn catalog(
        &self,
        account: &str,
        shelf: CatalogKind,
    ) -> Result<Option<(Vec<CatalogItem>, Timestamp)>, LedgerError> {
        let row: Option<(String, i64)> = sqlx::query_as(
            "-- ledger::catalogue
             select items, heard_at from catalogue where account = ?1 and kind = ?2",
        )
        .bind(account)
        .bind(shelf.as_str())
        .fetch_optional(&self.readers)
        .await?;
        // What an older program may have kept in other words is asked for again.
        Ok(row.and_then(|(items, at)| {
            Some((serde_json::from_str(&items).ok()?, Timestamp::from_millisecond(at).ok()?))
        }))
    }
}

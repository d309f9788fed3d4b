//! The catalogue of an account as it was last fetched, with the time.
//!
//! A hint for users: no submission depends on it. Each kind is replaced as a whole.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::write_op::WriteOp;

/// One of the catalogues of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogKind {
    /// Models, with their clothes if known.
    Models,
    /// Workspaces.
    Workspaces,
    /// Templates of both kinds.
    Templates,
}

/// One item of a catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogItem {
    /// Its id in a payload.
    pub id: String,
    /// Its name for users.
    pub name: Option<String>,
    /// Its type, if AI Studios gives one.
    pub kind: Option<String>,
    /// A model's clothes, if known.
    pub clothes: Option<Vec<Self>>,
}

impl CatalogKind {
    /// Returns its text in SQL and in commands.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Models => "models",
            Self::Workspaces => "workspaces",
            Self::Templates => "templates",
        }
    }
}

static SAVE_CATALOG: Statement = Statement::new(
    "-- ledger::save_catalog
    insert into catalogue (account, kind, items, heard_at) values ($1, $2, $3, $4)
    on conflict (account, kind) do update set items = excluded.items, heard_at = excluded.heard_at",
);

static CATALOG: Statement = Statement::new(
    "-- ledger::catalog
    select items, heard_at from catalogue where account = $1 and kind = $2",
);

struct SaveCatalog {
    account: String,
    kind: CatalogKind,
    items: String,
    fetched_at: Timestamp,
}

impl WriteOp for SaveCatalog {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        let (kind, at) = (self.kind.as_str(), self.fetched_at);
        db.execute(&SAVE_CATALOG, binds![&self.account, kind, &self.items, at]).await?;
        Ok(())
    }
}

impl Ledger {
    /// Saves an account's catalogue in place of the stored one.
    pub async fn save_catalog(
        &self,
        account: &str,
        kind: CatalogKind,
        items: &[CatalogItem],
        fetched_at: Timestamp,
    ) -> Result<(), LedgerError> {
        let items = serde_json::to_string(items).expect("texts always make JSON");
        self.writer
            .execute(SaveCatalog { account: account.to_owned(), kind, items, fetched_at })
            .await
    }

    /// Returns an account's catalogue and the time when it was fetched.
    pub async fn catalog(
        &self,
        account: &str,
        kind: CatalogKind,
    ) -> Result<Option<(Vec<CatalogItem>, Timestamp)>, LedgerError> {
        let row: Option<(String, StoredTime)> =
            self.readers.fetch_optional(&CATALOG, binds![account, kind.as_str()]).await?;
        // A catalogue in the format of an earlier version is fetched again.
        Ok(row
            .and_then(|(items, at)| Some((serde_json::from_str(&items).ok()?, Option::from(at)?))))
    }
}

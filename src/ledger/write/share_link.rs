//! Share links: through which reviewers without an account review one batch, or some of its videos.
//!
//! Invariant: the ledger holds no token, only its hash; an expired or revoked link finds nothing.

use jiff::Timestamp;
use sqlx::FromRow;

use crate::ledger::error::LedgerError;
use crate::ledger::model::audit_entry::{AuditAction, AuditSource, NewAuditEntry};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::audit::insert_entry;
use crate::ledger::write::write_op::WriteOp;
use crate::ledger::{BatchId, Ledger};
use crate::text::pluralize;

/// A share link to be made.
#[derive(Clone, Debug)]
pub struct NewShareLink {
    /// The hash of its token, 64 hexadecimal digits.
    pub token_hash: String,
    /// For which it is, such as `Agency`.
    pub label: String,
    /// The keys of the videos that it shows; `None` for all of the batch.
    pub keys: Option<Vec<String>>,
    /// The user who makes it.
    pub created_by: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// A share link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareLink {
    /// Its id.
    pub id: i64,
    /// Its batch.
    pub batch: BatchId,
    /// The name of its batch.
    pub batch_name: String,
    /// For which it is.
    pub label: String,
    /// The keys of the videos that it shows; `None` for all of the batch.
    pub keys: Option<Vec<String>>,
    /// The user who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

#[derive(FromRow)]
struct ShareLinkRow {
    id: i64,
    batch_id: i64,
    batch_name: String,
    label: String,
    keys: Option<String>,
    created_by: String,
    #[sqlx(try_from = "StoredTime")]
    created_at: Timestamp,
    #[sqlx(try_from = "StoredTime")]
    expires_at: Timestamp,
    #[sqlx(try_from = "StoredTime")]
    revoked_at: Option<Timestamp>,
}

macro_rules! share_links {
    ($what:literal, $filter:literal) => {
        concat!(
            "-- ledger::share_links, ",
            $what,
            "
    select l.id, l.batch_id, b.name as batch_name, l.label, l.keys, l.created_by, l.created_at,
        l.expires_at, l.revoked_at
    from share_link l join batch b on b.id = l.batch_id",
            $filter
        )
    };
}

static ALL_LINKS: Statement = Statement::new(share_links!("all", " order by l.id desc"));
static LIVE_LINK: Statement = Statement::new(share_links!(
    "by token",
    " where l.token_hash = $1 and l.revoked_at is null and l.expires_at > $2"
));

static INSERT_LINK: Statement = Statement::new(
    "-- ledger::create_share_link
    insert into share_link
        (batch_id, token_hash, label, keys, created_by, created_at, expires_at)
    values ($1, $2, $3, $4, $5, $6, $7)",
);

static REVOKE_LINK: Statement = Statement::new(
    "-- ledger::revoke_share_link
    update share_link set revoked_at = $2 where id = $1 and revoked_at is null",
);

impl ShareLinkRow {
    /// A list of keys that cannot be read shows nothing, and not everything.
    fn into_link(self) -> ShareLink {
        let keys = |text: String| serde_json::from_str(&text).unwrap_or_default();
        ShareLink {
            id: self.id,
            batch: self.batch_id.into(),
            batch_name: self.batch_name,
            label: self.label,
            keys: self.keys.map(keys),
            created_by: self.created_by,
            created_at: self.created_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
        }
    }
}

impl ShareLink {
    /// Returns whether it shows the video of this job.
    pub fn has_key(&self, key: &str) -> bool {
        self.keys.as_ref().is_none_or(|keys| keys.iter().any(|shown| shown == key))
    }

    /// Returns whether it can be used.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at > now
    }
}

static LINK_LABEL: Statement = Statement::new(
    "-- ledger::revoke_share_link, label
    select l.label, b.name from share_link l join batch b on b.id = l.batch_id
    where l.id = $1 and l.revoked_at is null",
);

static BATCH_NAME: Statement = Statement::new(
    "-- ledger::create_share_link, batch
    select name from batch where id = $1",
);

struct CreateShareLink {
    batch: BatchId,
    link: NewShareLink,
    source: AuditSource,
}

impl WriteOp for CreateShareLink {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        let keys = self.link.keys.as_ref().map(|keys| serde_json::json!(keys).to_string());
        let values = binds![
            self.batch.0,
            &self.link.token_hash,
            &self.link.label,
            keys,
            &self.link.created_by,
            self.source.now,
            self.link.expires_at,
        ];
        db.execute(&INSERT_LINK, values).await?;
        let batch: String = db.fetch_value(&BATCH_NAME, binds![self.batch.0]).await?;
        let subject = match &self.link.keys {
            Some(keys) => format!("{}, {}", self.link.label, pluralize(keys.len() as u64, "video")),
            None => format!("{}, all videos", self.link.label),
        };
        let source = self.source.clone();
        let entry = NewAuditEntry::new(AuditAction::CreateShareLink, subject, source);
        insert_entry(db, &entry.with_batch(&batch)).await
    }
}

struct RevokeShareLink {
    id: i64,
    source: AuditSource,
}

impl WriteOp for RevokeShareLink {
    type Output = bool;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<bool, LedgerError> {
        let found: Option<(String, String)> =
            db.fetch_optional(&LINK_LABEL, binds![self.id]).await?;
        let Some((label, batch)) = found else { return Ok(false) };
        let values = binds![self.id, self.source.now];
        db.execute(&REVOKE_LINK, values).await?;
        let source = self.source.clone();
        let entry = NewAuditEntry::new(AuditAction::RevokeShareLink, label, source);
        insert_entry(db, &entry.with_batch(&batch)).await?;
        Ok(true)
    }
}

impl Ledger {
    /// Makes a share link of a batch.
    pub async fn create_share_link(
        &self,
        batch: BatchId,
        link: NewShareLink,
        source: AuditSource,
    ) -> Result<(), LedgerError> {
        self.writer.execute(CreateShareLink { batch, link, source }).await
    }

    /// Revokes a share link. Returns whether that changed anything.
    pub async fn revoke_share_link(
        &self,
        id: i64,
        source: AuditSource,
    ) -> Result<bool, LedgerError> {
        self.writer.execute(RevokeShareLink { id, source }).await
    }

    /// Returns all share links, the newest first.
    pub async fn share_links(&self) -> Result<Vec<ShareLink>, LedgerError> {
        let rows: Vec<ShareLinkRow> = self.readers.fetch_all(&ALL_LINKS, binds![]).await?;
        Ok(rows.into_iter().map(ShareLinkRow::into_link).collect())
    }

    /// Returns the link whose token has this hash, if it can be used.
    pub async fn live_share_link(
        &self,
        token_hash: &str,
        now: Timestamp,
    ) -> Result<Option<ShareLink>, LedgerError> {
        let values = binds![token_hash, now];
        let row: Option<ShareLinkRow> = self.readers.fetch_optional(&LIVE_LINK, values).await?;
        Ok(row.map(ShareLinkRow::into_link))
    }
}

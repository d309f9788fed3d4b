//! Recording the audit trail: what was done, and how the start of an approved run ended.
//!
//! No lease is needed: nothing here touches a job. Invariant: of a withdrawal and the beginning of a
//! run, whichever is recorded first counts, and the other one does nothing.

use jiff::Timestamp;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::model::audit_entry::{AuditEnd, NewAuditEntry};
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::write::write_op::WriteOp;
use crate::text::truncate;

/// Characters of a subject, a message or a reason.
const TEXT_CHARS_MAX: usize = 2000;
/// Characters of a requester.
const REQUESTER_CHARS_MAX: usize = 300;

static INSERT: Statement = Statement::new(
    "-- ledger::record_audit
    insert into audit_entry (batch, key, action, subject, hash, credits, requester, reason, at, run_id,
        done_at, outcome, words)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
);

static END_STARTS: Statement = Statement::new(
    "-- ledger::end_starts
    update audit_entry set done_at = $3, outcome = $4, words = $5, run_id = $6
    where batch = $1 and action = 'start' and done_at is null and ($2 is null or hash = $2)",
);

static HAS_START: Statement = Statement::new(
    "-- ledger::begin_start, any
    select exists (select 1 from audit_entry where batch = $1 and action = 'start' and hash = $2)",
);

static SET_START_RUN: Statement = Statement::new(
    "-- ledger::set_start_run
    update audit_entry set run_id = $3, words = $4
    where batch = $1 and action = 'start' and hash = $2 and outcome = 'done' and run_id is null",
);

/// The end of starts that wait.
#[derive(Clone, Debug)]
pub struct StartEnd {
    /// The name of their batch.
    pub batch: String,
    /// The hash of their plan; `None` for all of the batch.
    pub hash: Option<String>,
    /// How they end.
    pub end: AuditEnd,
    /// When.
    pub at: Timestamp,
}

struct RecordAudit {
    entries: Vec<NewAuditEntry>,
}

impl WriteOp for RecordAudit {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        for entry in &self.entries {
            insert_entry(db, entry).await?;
        }
        Ok(())
    }
}

struct EndStarts {
    ended: StartEnd,
    /// Recorded if a start waited.
    entry: Option<NewAuditEntry>,
}

impl WriteOp for EndStarts {
    type Output = bool;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<bool, LedgerError> {
        let has_waited = end_starts(db, &self.ended).await?;
        if has_waited && let Some(entry) = &self.entry {
            insert_entry(db, entry).await?;
        }
        Ok(has_waited)
    }
}

struct BeginStart {
    begun: StartEnd,
}

impl WriteOp for BeginStart {
    type Output = bool;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<bool, LedgerError> {
        let (batch, hash) = (&self.begun.batch, &self.begun.hash);
        let is_known: bool = db.fetch_value(&HAS_START, binds![batch, hash]).await?;
        Ok(end_starts(db, &self.begun).await? || !is_known)
    }
}

struct SetStartRun {
    batch: String,
    hash: String,
    run: i64,
}

impl WriteOp for SetStartRun {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        let message = format!("run {} began", self.run);
        let values = binds![&self.batch, &self.hash, self.run, message];
        db.execute(&SET_START_RUN, values).await?;
        Ok(())
    }
}

async fn end_starts(db: &mut StoreConnection, ended: &StartEnd) -> Result<bool, LedgerError> {
    let values = binds![
        &ended.batch,
        &ended.hash,
        ended.at,
        ended.end.outcome.as_str(),
        ended.end.message.as_deref().map(|text| truncate(text, TEXT_CHARS_MAX)),
        ended.end.run,
    ];
    Ok(db.execute(&END_STARTS, values).await? > 0)
}

/// Inserts an entry in the transaction of what it is about.
pub(super) async fn insert_entry(
    db: &mut StoreConnection,
    entry: &NewAuditEntry,
) -> Result<(), LedgerError> {
    let end = entry.end.as_ref();
    let at = entry.source.now;
    let cut = |text: &str| truncate(text, TEXT_CHARS_MAX);
    let values = binds![
        &entry.batch,
        &entry.key,
        entry.action.as_str(),
        cut(&entry.subject),
        &entry.hash,
        entry.credits,
        truncate(&entry.source.requester, REQUESTER_CHARS_MAX),
        entry.reason.as_deref().filter(|reason| !reason.is_empty()).map(cut),
        at,
        end.and_then(|end| end.run),
        end.map(|_| at),
        end.map(|end| end.outcome.as_str()),
        end.and_then(|end| end.message.as_deref()).map(cut),
    ];
    db.execute(&INSERT, values).await?;
    Ok(())
}

impl Ledger {
    /// Records what was done.
    pub async fn record_audit(&self, entries: Vec<NewAuditEntry>) -> Result<(), LedgerError> {
        self.writer.execute(RecordAudit { entries }).await
    }

    /// Ends starts that wait, and records by what. Returns whether there was one.
    pub async fn end_starts(
        &self,
        ended: StartEnd,
        entry: Option<NewAuditEntry>,
    ) -> Result<bool, LedgerError> {
        self.writer.execute(EndStarts { ended, entry }).await
    }

    /// Records that the run of an approved plan begins. Returns `false`, and records nothing, if its
    /// start has ended, because it was withdrawn.
    pub async fn begin_start(&self, begun: StartEnd) -> Result<bool, LedgerError> {
        self.writer.execute(BeginStart { begun }).await
    }

    /// Records which run an approved plan has.
    pub async fn set_start_run(
        &self,
        batch: &str,
        hash: &str,
        run: i64,
    ) -> Result<(), LedgerError> {
        let (batch, hash) = (batch.to_owned(), hash.to_owned());
        self.writer.execute(SetStartRun { batch, hash, run }).await
    }
}

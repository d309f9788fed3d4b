//! The lease row of a batch on a server: which process, on whichever machine, has its exclusive use.
//!
//! All times are the server's: no machine's clock decides. A token is drawn for each acquisition and only
//! grows, so an unchanged token proves that no other process held the lease in between; that is why a
//! lease may be renewed even after its time. The fence reads the row with a lock before every operation: a
//! takeover waits for the transactions that are under way, and none writes after it. Invariant:
//! a process whose lease was taken over writes nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::ledger::Ledger;
use crate::ledger::error::LedgerError;
use crate::ledger::store::bind_value::binds;
use crate::ledger::store::connection::StoreConnection;
use crate::ledger::store::statement::Statement;
use crate::ledger::store::stored_time::StoredTime;
use crate::ledger::write::catch_up::ledger_gap::find_gap;
use crate::ledger::write::write_op::WriteOp;

/// How long a lease lasts without renewal, in milliseconds.
const LEASE_TIME_MS: i64 = 60_000;

/// `excluded` is not used in the condition: with it, any process could take a live lease.
static ACQUIRE: Statement = Statement::new(
    "-- ledger::server, acquire a lease
    insert into batch_lease as l (batch_name, token, host, pid, since, until)
    select $1, nextval('batch_lease_token'), $2, $3, t.now, t.now + $4
    from (select cast(extract(epoch from clock_timestamp()) * 1000 as bigint) as now) t
    on conflict (batch_name) do update set token = excluded.token, host = excluded.host,
        pid = excluded.pid, since = excluded.since, until = excluded.until
    where l.until < excluded.since
    returning token",
);

static FIND_HOLDER: Statement = Statement::new(
    "-- ledger::server, holder of a lease
    select host, pid, since from batch_lease
    where batch_name = $1
        and until >= cast(extract(epoch from clock_timestamp()) * 1000 as bigint)",
);

static RENEW: Statement = Statement::new(
    "-- ledger::server, renew a lease
    update batch_lease
    set until = $3 + cast(extract(epoch from clock_timestamp()) * 1000 as bigint)
    where batch_name = $1 and token = $2",
);

static RELEASE: Statement = Statement::new(
    "-- ledger::server, release a lease
    delete from batch_lease where batch_name = $1 and token = $2",
);

static FENCE: Statement = Statement::new(
    "-- ledger::server, fence
    select token from batch_lease where batch_name = $1 and token = $2 for share",
);

static CHECK: Statement = Statement::new(
    "-- ledger::server, lease before a payment
    select token from batch_lease
    where batch_name = $1 and token = $2
        and until >= cast(extract(epoch from clock_timestamp()) * 1000 as bigint)
    for share",
);

/// The process that holds a lease.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct LeaseHolder {
    /// Its machine.
    pub host: String,
    /// Its process id.
    pub pid: i64,
    /// Since when, by the server's clock.
    #[sqlx(try_from = "StoredTime")]
    pub since: Timestamp,
}

/// The result of an acquisition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// It is acquired, with this token.
    Acquired(i64),
    /// Another process holds it.
    Held(LeaseHolder),
}

/// The leases of this process, which the fence of every write checks.
#[derive(Clone, Debug, Default)]
pub(in crate::ledger) struct HeldLeases(Arc<Mutex<BTreeMap<String, i64>>>);

impl HeldLeases {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn token(&self, batch: &str) -> Option<i64> {
        self.lock().get(batch).copied()
    }

    fn all(&self) -> Vec<(String, i64)> {
        self.lock().iter().map(|(batch, token)| (batch.clone(), *token)).collect()
    }

    /// Checks the leases before an operation, and keeps them until its transaction ends.
    ///
    /// # Errors
    /// [`LedgerError::LeaseLost`]
    pub(in crate::ledger) async fn check(
        &self,
        db: &mut StoreConnection,
    ) -> Result<(), LedgerError> {
        for (batch, token) in self.all() {
            let found: Option<i64> = db.find_value(&FENCE, binds![batch, token]).await?;
            found.ok_or(LedgerError::LeaseLost)?;
        }
        Ok(())
    }
}

struct AcquireLease {
    batch: String,
    host: String,
    pid: u32,
}

impl WriteOp for AcquireLease {
    type Output = LeaseOutcome;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<LeaseOutcome, LedgerError> {
        let binds = binds![&self.batch, &self.host, self.pid, LEASE_TIME_MS];
        if let Some(token) = db.find_value(&ACQUIRE, binds).await? {
            return Ok(LeaseOutcome::Acquired(token));
        }
        let holder = db.fetch_optional(&FIND_HOLDER, binds![&self.batch]).await?;
        // It has expired in this instant; the next attempt gets it.
        let unknown = || LeaseHolder {
            host: "another machine".to_owned(),
            pid: 0,
            since: Timestamp::UNIX_EPOCH,
        };
        Ok(LeaseOutcome::Held(holder.unwrap_or_else(unknown)))
    }
}

struct RenewLease {
    batch: String,
    token: i64,
}

impl WriteOp for RenewLease {
    type Output = bool;

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<bool, LedgerError> {
        let binds = binds![&self.batch, self.token, LEASE_TIME_MS];
        Ok(db.execute(&RENEW, binds).await? == 1)
    }
}

struct ReleaseLease {
    batch: String,
    token: i64,
}

impl WriteOp for ReleaseLease {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        db.execute(&RELEASE, binds![&self.batch, self.token]).await?;
        Ok(())
    }
}

struct CheckLeases {
    leases: Vec<(String, i64)>,
}

impl WriteOp for CheckLeases {
    type Output = ();

    async fn apply(&mut self, db: &mut StoreConnection) -> Result<(), LedgerError> {
        for (batch, token) in &self.leases {
            let found: Option<i64> = db.find_value(&CHECK, binds![batch, *token]).await?;
            found.ok_or(LedgerError::LeaseLost)?;
            // The intent of the request itself may be lost.
            if let Some(behind) = find_gap(db, batch).await? {
                return Err(behind);
            }
        }
        Ok(())
    }
}

impl Ledger {
    /// Acquires the lease of a batch, which need not be in the ledger yet. Only for a ledger on a server.
    pub async fn acquire_lease(
        &self,
        batch: &str,
        host: &str,
        pid: u32,
    ) -> Result<LeaseOutcome, LedgerError> {
        let (batch, host) = (batch.to_owned(), host.to_owned());
        let outcome = self.writer.execute(AcquireLease { batch: batch.clone(), host, pid }).await?;
        if let LeaseOutcome::Acquired(token) = outcome {
            self.writer.leases().lock().insert(batch, token);
        }
        Ok(outcome)
    }

    /// Renews a lease of this process. Returns `false` if another process has taken it over.
    pub async fn renew_lease(&self, batch: &str) -> Result<bool, LedgerError> {
        let Some(token) = self.writer.leases().token(batch) else { return Ok(false) };
        let renew = RenewLease { batch: batch.to_owned(), token };
        match self.writer.execute(renew).await {
            Err(LedgerError::LeaseLost) => Ok(false),
            renewed => renewed,
        }
    }

    /// Releases a lease of this process.
    pub async fn release_lease(&self, batch: &str) -> Result<(), LedgerError> {
        let token = self.writer.leases().lock().remove(batch);
        let Some(token) = token else { return Ok(()) };
        self.writer.execute(ReleaseLease { batch: batch.to_owned(), token }).await
    }

    /// Releases all leases of this process. One that cannot be released expires.
    pub(in crate::ledger) async fn release_leases(&self) {
        for (batch, _) in self.writer.leases().all() {
            if let Err(error) = self.release_lease(&batch).await {
                tracing::warn!(%error, batch, "the lease is not released, and expires in a minute");
            }
        }
    }

    /// Returns the process that holds the lease of a batch.
    pub async fn lease_holder(&self, batch: &str) -> Result<Option<LeaseHolder>, LedgerError> {
        Ok(self.readers.fetch_optional(&FIND_HOLDER, binds![batch]).await?)
    }

    /// Checks that the leases of this process are still its own: called right before each paid request.
    /// A ledger in a file has none, because its locks end with their process.
    ///
    /// # Errors
    /// [`LedgerError::LeaseLost`], or the server cannot be asked; then nothing is sent.
    pub async fn ensure_leases_held(&self) -> Result<(), LedgerError> {
        let leases = self.writer.leases().all();
        match leases.is_empty() {
            true => Ok(()),
            false => self.writer.execute(CheckLeases { leases }).await,
        }
    }
}

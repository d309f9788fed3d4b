//! Reading from a server that may be unavailable: a read is made again until the patience is over.
//!
//! A read changes nothing, so it may also be given up after a time and made again.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx_postgres::PgPool;
use tokio::time::Instant;

use crate::ledger::store::server_fault::{ServerFault, server_fault};

/// The pauses between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A read that takes longer waits for a connection that is silently cut.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the handles of one ledger wait together for its server.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct ServerPatience {
    limit: Duration,
    is_over: Arc<AtomicBool>,
}

impl ServerPatience {
    /// Returns a patience of `limit`.
    pub(in crate::ledger) fn new(limit: Duration) -> Self {
        Self { limit, is_over: Arc::default() }
    }

    /// Begins to wait for the server.
    pub(in crate::ledger) fn begin(&self) -> ServerWait {
        ServerWait { patience: self.clone(), began: Instant::now(), pause: FIRST_PAUSE }
    }

    /// Records that the server responds.
    pub(in crate::ledger) fn renew(&self) {
        self.is_over.store(false, Ordering::Relaxed);
    }
}

/// One wait for the server.
#[derive(Debug)]
pub(in crate::ledger) struct ServerWait {
    patience: ServerPatience,
    began: Instant,
    pause: Duration,
}

impl ServerWait {
    /// Waits before the next attempt. Returns `false` if there is none: once the patience was over,
    /// each request has one attempt, so that the end of a run takes no further minutes.
    pub(in crate::ledger) async fn has_next_attempt(&mut self) -> bool {
        let ends = self.began.elapsed() + self.pause >= self.patience.limit;
        if ends || self.patience.is_over.load(Ordering::Relaxed) {
            self.patience.is_over.store(true, Ordering::Relaxed);
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        true
    }
}

/// The connections that read from a server.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct ServerReaders {
    pub(super) pool: PgPool,
    pub(super) patience: ServerPatience,
}

impl ServerReaders {
    /// Returns the readers of a pool.
    pub(in crate::ledger) fn new(pool: PgPool, patience: ServerPatience) -> Self {
        Self { pool, patience }
    }

    /// Makes one attempt to read, within the limit.
    pub(super) async fn attempt<T>(
        &self,
        read: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        let result = tokio::time::timeout(READ_TIMEOUT, read).await;
        let result = result.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        if result.is_ok() {
            self.patience.renew();
        }
        result
    }
}

/// Returns whether the read may succeed when it is made again.
pub(super) fn is_temporary(error: &sqlx::Error) -> bool {
    match server_fault(error) {
        Some(
            ServerFault::Unavailable | ServerFault::TooManyConnections | ServerFault::Conflict,
        ) => true,
        Some(ServerFault::DiskFull | ServerFault::NotPermitted) | None => false,
    }
}

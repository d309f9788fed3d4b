//! The interface between the writer and the operations that it commits.

use std::future::Future;

use crate::ledger::error::LedgerError;
use crate::ledger::store::connection::StoreConnection;

/// A change to the ledger that is written completely or not at all.
///
/// The writer commits several operations in one transaction and applies them again one by one if
/// that transaction fails. An operation may therefore be applied twice, although it is committed
/// only once, and must keep no state between two applications.
pub(in crate::ledger) trait WriteOp: Send + 'static {
    /// The result that the caller receives once the change is on disk.
    type Output: Send + 'static;

    /// Makes the change within the transaction that is open on `db`.
    ///
    /// An error rolls back the whole transaction. An operation that rejects its input without
    /// writing anything returns the rejection as its output instead.
    fn apply(
        &mut self,
        db: &mut StoreConnection,
    ) -> impl Future<Output = Result<Self::Output, LedgerError>> + Send;
}

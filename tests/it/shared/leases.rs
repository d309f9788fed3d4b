//! A ledger on a server that several machines use: one of them at a time has a batch, and a machine
//! that has lost it writes and sends nothing.

use std::ffi::OsStr;

use callsheet::ledger::{Durability, Ledger, LedgerAddress, LedgerError, RetryAfterFloor};
use callsheet::runner::{self, BatchLock, LockError, RunOptions, lock_holder};
use jiff::Timestamp;

use crate::support::postgres_server::TestDatabase;
use crate::support::{TestBatch, ai_studios, run_input};

/// The wall clock of a machine decides nothing here.
const WRONG_CLOCK: Timestamp = Timestamp::UNIX_EPOCH;

/// Opens the ledger as another machine would.
async fn open_ledger(database: &TestDatabase) -> Ledger {
    let address = LedgerAddress::parse(OsStr::new(&database.url())).unwrap();
    Ledger::open(address, Durability::PowerLoss).await.unwrap()
}

/// Lets the time of all leases pass, as while their machines are down.
fn expire_leases(database: &TestDatabase) {
    database.query("update callsheet.batch_lease set until = 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_has_one_holder_on_all_machines_until_its_lease_expires() {
    let Some(database) = TestDatabase::create() else { return };
    let (first, second) = (open_ledger(&database).await, open_ledger(&database).await);
    let held = BatchLock::acquire(&first, "spring", WRONG_CLOCK).await.unwrap();
    let error = BatchLock::acquire(&second, "spring", WRONG_CLOCK).await.unwrap_err();
    let process = format!("process {}", std::process::id());
    assert!(matches!(&error, LockError::Held { holder } if holder.contains(&process)), "{error}");
    assert!(lock_holder(&second, "spring").await.unwrap().contains(&process));
    assert_eq!(lock_holder(&second, "autumn").await, None);
    drop(BatchLock::acquire(&second, "autumn", WRONG_CLOCK).await.unwrap());
    expire_leases(&database);
    assert!(first.renew_lease("spring").await.unwrap(), "no other process had it in between");
    BatchLock::acquire(&second, "spring", WRONG_CLOCK).await.unwrap_err();
    drop(held);
    first.close().await;
    let taken = BatchLock::acquire(&second, "spring", WRONG_CLOCK).await.unwrap();
    drop(taken);
    second.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn process_whose_batch_was_taken_over_writes_nothing() {
    let Some(database) = TestDatabase::create() else { return };
    let (first, second) = (open_ledger(&database).await, open_ledger(&database).await);
    let _held = BatchLock::acquire(&first, "spring", WRONG_CLOCK).await.unwrap();
    expire_leases(&database);
    let _taken = BatchLock::acquire(&second, "spring", WRONG_CLOCK).await.unwrap();
    assert!(!first.renew_lease("spring").await.unwrap());
    let lost = first.ensure_leases_held().await.unwrap_err();
    assert!(matches!(lost, LedgerError::LeaseLost), "{lost}");
    let floor = RetryAfterFloor { until: Timestamp::MAX, raised_at: WRONG_CLOCK };
    let lost = first.raise_retry_after_floor("http://x", floor).await.unwrap_err();
    assert!(matches!(lost, LedgerError::LeaseLost), "{lost}");
    second.ensure_leases_held().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn lease_that_has_expired_pays_for_nothing_before_it_is_renewed() {
    let Some(database) = TestDatabase::create() else { return };
    let ledger = open_ledger(&database).await;
    let _held = BatchLock::acquire(&ledger, "spring", WRONG_CLOCK).await.unwrap();
    ledger.ensure_leases_held().await.unwrap();
    expire_leases(&database);
    ledger.ensure_leases_held().await.unwrap_err();
    assert!(ledger.renew_lease("spring").await.unwrap());
    ledger.ensure_leases_held().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_processes_that_start_one_batch_at_once_one_runs_it() {
    let Some(database) = TestDatabase::create() else { return };
    let (first, second) = (open_ledger(&database).await, open_ledger(&database).await);
    for round in 0..20 {
        let batch = format!("batch-{round}");
        let (one, other) = tokio::join!(
            BatchLock::acquire(&first, &batch, WRONG_CLOCK),
            BatchLock::acquire(&second, &batch, WRONG_CLOCK)
        );
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machine_that_lost_its_batch_sends_nothing_and_the_other_one_finishes_it() {
    let Some(database) = TestDatabase::create() else { return };
    let mut test = TestBatch::new(3).await;
    test.ledger = open_ledger(&database).await;
    let _held = BatchLock::acquire(&test.ledger, "promo", WRONG_CLOCK).await.unwrap();
    let id = test.plan_and_commit().await;
    let (batch, base_url) = (test.batch(), test.sandbox.base_url());
    let studio = ai_studios(&batch, &base_url);
    let input = run_input(&batch, id, &test.ledger, &base_url, studio).await;
    expire_leases(&database);
    let other = open_ledger(&database).await;
    let _taken = BatchLock::acquire(&other, "promo", WRONG_CLOCK).await.unwrap();
    let lost = runner::run_batch(input).await.unwrap_err();
    assert!(matches!(lost, LedgerError::LeaseLost), "{lost}");
    assert_eq!(test.sandbox.render_count(), 0);
    test.ledger = other;
    test.resume(id, RunOptions::default()).await;
    assert_eq!(test.sandbox.render_count(), 3);
    test.assert_guarantees(3).await;
}

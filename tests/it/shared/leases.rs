//! A ledger on a server that several machines use: one of them at a time has a batch, and a machine
//! that has lost it writes and sends nothing.

use std::ffi::OsStr;
use std::time::Duration;

use callsheet::ledger::{
    Durability, Ledger, LedgerAddress, LedgerError, RateKind, RateSpanRequest, RetryAfterFloor,
};
use callsheet::runner::{self, BatchLock, LockError, RunOptions, lock_holder};
use jiff::{SignedDuration, Timestamp};

use super::{PATIENCE, SharedLedger, claim_one, keys};
use crate::support::postgres_server::TestDatabase;
use crate::support::tcp_proxy::ProxyMode;
use crate::support::{TestBatch, ai_studios, run_input};

/// The wall clock of a machine decides nothing here.
pub(super) const WRONG_CLOCK: Timestamp = Timestamp::UNIX_EPOCH;

/// Opens the ledger as another machine would.
pub(super) async fn open_ledger(database: &TestDatabase) -> Ledger {
    let address = LedgerAddress::parse(OsStr::new(&database.url())).unwrap();
    Ledger::open(address, Durability::PowerLoss).await.unwrap()
}

/// Lets the time of all leases pass, as while their machines are down.
pub(super) fn expire_leases(database: &TestDatabase) {
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
async fn takeover_waits_for_a_change_that_is_under_way_and_none_is_made_after_it() {
    let Some(shared) = SharedLedger::open(PATIENCE).await else { return };
    let batch = shared.plan(&keys(2)).await.unwrap();
    let _held = BatchLock::acquire(&shared.ledger, "spring", WRONG_CLOCK).await.unwrap();
    let lease = shared.begin_run(batch).await;
    expire_leases(&shared.database);
    shared.proxy.set_mode(ProxyMode::HoldCommit);
    let claim = tokio::spawn({
        let lease = lease.clone();
        async move { claim_one(&lease).await }
    });
    shared.proxy.commit_is_held().await;
    let other = open_ledger(&shared.database).await;
    let takeover =
        tokio::spawn(async move { BatchLock::acquire(&other, "spring", WRONG_CLOCK).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!takeover.is_finished(), "another machine has the batch before the change is made");
    shared.proxy.set_mode(ProxyMode::Pass);
    assert_eq!(claim.await.unwrap().unwrap().submissions.len(), 1);
    let _taken = takeover.await.unwrap().unwrap();
    let lost = claim_one(&lease).await.unwrap_err();
    assert!(matches!(lost, LedgerError::LeaseLost), "{lost}");
    assert_eq!(shared.count("submission"), 1);
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

/// Each machine reserves the time of three requests.
#[tokio::test(flavor = "multi_thread")]
async fn machines_with_different_clocks_share_the_rate_of_an_account() {
    let Some(database) = TestDatabase::create() else { return };
    let ledgers = [open_ledger(&database).await, open_ledger(&database).await];
    let clocks = [Timestamp::now(), WRONG_CLOCK, Timestamp::now() + SignedDuration::from_secs(30)];
    let mut waits = Vec::new();
    for (machine, clock) in clocks.into_iter().enumerate() {
        let request = RateSpanRequest {
            account: "0123456789abcdef0123456789abcdef".to_owned(),
            kind: RateKind::Submits,
            member: format!("machine-{machine}"),
            interval: Duration::from_secs(10),
            slots: 3,
            earliest: Duration::ZERO,
            last_end_us: 0,
            unused_from_us: 0,
        };
        let span = ledgers[machine % 2].reserve_rate_span(request, clock).await.unwrap();
        waits.push(span.wait.as_secs_f64().round());
    }
    // The server's own clock advances in between.
    let is_after = |wait: f64, spans: f64| wait <= spans * 30.0 && wait > spans * 30.0 - 15.0;
    assert!(waits[0] == 0.0 && is_after(waits[1], 1.0) && is_after(waits[2], 2.0), "{waits:?}");
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

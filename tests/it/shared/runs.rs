//! Runs whose ledger cannot be reached for a while: nothing is sent meanwhile, and nothing is paid twice.

use std::time::Duration;

use callsheet::ledger::JobState;
use callsheet::runner::{Halt, RunOptions};

use super::{PATIENCE, SharedLedger};
use crate::support::TestBatch;
use crate::support::tcp_proxy::ProxyMode;

const ROWS: usize = 12;

/// A batch whose ledger leads through the proxy.
async fn proxied_batch(patience: Duration) -> Option<(SharedLedger, TestBatch)> {
    let shared = SharedLedger::open(patience).await?;
    let mut test = TestBatch::with_settings(ROWS, "[limits]\nin_flight = 1", |_| ()).await;
    test.ledger = shared.ledger.clone();
    Some((shared, test))
}

#[tokio::test(flavor = "multi_thread")]
async fn run_goes_on_when_its_ledger_is_back_and_sends_nothing_before() {
    for fault in [ProxyMode::Reset, ProxyMode::Silent] {
        let Some((shared, test)) = proxied_batch(PATIENCE).await else { return };
        let cut = async {
            test.sandbox.wait_until(|sandbox| sandbox.render_count() >= 3).await;
            shared.proxy.set_mode(fault);
            // A request whose intent was committed before may still be on its way.
            tokio::time::sleep(Duration::from_millis(500)).await;
            let before = test.sandbox.render_count();
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert_eq!(test.sandbox.render_count(), before, "{fault:?}: nothing is sent");
            shared.proxy.set_mode(ProxyMode::Pass);
            before
        };
        let (outcome, before) = tokio::join!(test.run(), cut);
        assert!(before < ROWS as u64, "{fault:?}: the run was not finished");
        assert_eq!(outcome.counts.get(&JobState::Done), Some(&(ROWS as u64)), "{outcome:?}");
        let bill = test.sandbox.bill();
        assert_eq!((bill.render_count(), bill.paid_twice().len()), (ROWS as u64, 0), "{fault:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_ends_when_the_patience_with_its_ledger_is_over_and_the_next_one_finishes() {
    let Some((shared, test)) = proxied_batch(Duration::from_secs(1)).await else { return };
    let id = test.plan_and_commit().await;
    let cut = async {
        test.sandbox.wait_until(|sandbox| sandbox.render_count() >= 3).await;
        shared.proxy.set_mode(ProxyMode::Reset);
    };
    let (ended, ()) = tokio::join!(test.try_resume(id, RunOptions::default()), cut);
    match ended {
        Ok(outcome) => {
            assert!(matches!(outcome.halt, Some(Halt::LedgerUnavailable { .. })), "{outcome:?}");
        }
        Err(error) => assert!(error.is_unavailable(), "{error:?}"),
    }
    shared.proxy.set_mode(ProxyMode::Pass);
    let outcome = test.run().await;
    assert_eq!(outcome.counts.get(&JobState::Done), Some(&(ROWS as u64)), "{outcome:?}");
    let bill = test.sandbox.bill();
    assert_eq!((bill.render_count(), bill.paid_twice().len()), (ROWS as u64, 0));
}

//! The payload that was checked is the one that is sent.

use callsheet::ledger::JobState;
use callsheet::runner::RunOptions;

use super::count_in_state;
use crate::support::TestBatch;

#[tokio::test(flavor = "multi_thread")]
async fn payload_is_sent_as_checked_and_never_merged_again() {
    let test = TestBatch::new(4).await;
    let id = test.plan_and_commit().await;
    test.store
        .execute(
            "update template set source = '{\"other\": \"{{missing}}\"}';
         update version set cells = '[[\"k\",\"Other words\"]]'; update layout set columns = '{}'",
        )
        .await;
    let outcome = test.resume(id, RunOptions::default()).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 4, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_payload_fails_its_own_row_before_anything_is_sent() {
    let test = TestBatch::new(4).await;
    let id = test.plan_and_commit().await;
    test.store
        .execute("update version set payload = substr(payload, 1, 12) where job_id = 2")
        .await;
    let outcome = test.resume(id, RunOptions::default()).await;
    assert_eq!(count_in_state(&outcome, JobState::Done), 3, "{outcome:?}");
    let failed = test.rows().await.into_iter().find(|row| row.state == Some(JobState::Failed));
    let failed = failed.unwrap();
    assert_eq!(failed.key.as_deref(), Some("k001"));
    assert!(failed.message.as_deref().unwrap().contains("ledger check"), "{:?}", failed.message);
    assert_eq!(test.sandbox.counters().request_count("create"), 3);
    assert_eq!(test.ledger.find_defects().await.unwrap(), ["1 payload cannot be read"]);
}

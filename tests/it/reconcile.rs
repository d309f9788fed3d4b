//! Jobs whose state no response reports: they reach a final state or wait for the operator, and are
//! never misjudged.

use callsheet::ledger::JobState;
use callsheet::runner::{Halt, RunOutcome};
use callsheet::sandbox::FaultRules;
use sqlx::{ConnectOptions, Connection};

use super::support::TestBatch;

fn count_in_state(outcome: &RunOutcome, state: JobState) -> u64 {
    outcome.counts.get(&state).copied().unwrap_or(0)
}

/// Found by the simulation: all renders were given up without having been polled.
#[tokio::test(flavor = "multi_thread")]
async fn account_blocked_for_a_day_fails_no_render() {
    let test = TestBatch::with_settings(3, "", |settings| settings.switches.time_scale = 0.0).await;
    let id = test.plan_and_commit().await;
    let stop = test.stop.clone();
    let interrupt = async {
        test.sandbox.wait_until(|sandbox| sandbox.render_count() == 3).await;
        stop.escalate();
    };
    tokio::join!(test.resume(id, Default::default()), interrupt);
    age_renders_by_a_day(&test).await;
    let mut faults = FaultRules::default();
    faults.add("refused-token=token:always").unwrap();
    test.sandbox.set_faults(faults);
    let test = TestBatch { stop: callsheet::runner::StopSignal::default(), ..test };
    let outcome = test.resume(id, Default::default()).await;
    assert!(matches!(outcome.halt, Some(Halt::Account { .. })), "{outcome:?}");
    assert_eq!(count_in_state(&outcome, JobState::Failed), 0, "{outcome:?}");

    test.sandbox.set_faults(FaultRules::default());
    test.sandbox.advance(std::time::Duration::from_secs(3600));
    assert_eq!(count_in_state(&test.run().await, JobState::Done), 3);
    assert_eq!(test.sandbox.render_count(), 3);
}

/// Moves renders in progress into the past, as a day without a run would.
async fn age_renders_by_a_day(test: &TestBatch) {
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(test.path("l.db"));
    let mut db = file.connect().await.unwrap();
    let updated = sqlx::query("update job set rendering_at = rendering_at - 86400000, due_at = 0")
        .execute(&mut db)
        .await
        .unwrap();
    assert_eq!(updated.rows_affected(), 3);
    db.close().await.unwrap();
}

/// Found by the simulation: each new link had already expired, and was requested again endlessly.
#[tokio::test(flavor = "multi_thread")]
async fn link_that_always_expires_fails_the_download() {
    let test = TestBatch::with_settings(1, "[limits]\nfetch_retries = 3", |settings| {
        settings.switches.download.ttl_hours = 1e-9;
    })
    .await;
    let outcome = test.run().await;
    assert_eq!(count_in_state(&outcome, JobState::Failed), 1, "{outcome:?}");
    assert_eq!(test.rows().await[0].cause.as_deref(), Some("fetch-failed"));
    test.sandbox.update_switches(|switches| switches.download.ttl_hours = 24.0);
    assert_eq!(test.sandbox.render_count(), 1);
}

//! What becomes of jobs that no answer tells about: settled by evidence, brought to an end, or
//! left to a person, and never mistaken for what they are not.

use callsheet::ledger::JobState;
use callsheet::runner::{Halt, RunOutcome};
use callsheet::sandbox::FaultRules;
use sqlx::{ConnectOptions, Connection};

use super::support::TestBatch;

fn count_in_state(ending: &RunOutcome, state: JobState) -> u64 {
    ending.counts.get(&state).copied().unwrap_or(0)
}

/// Found by the simulation: the whole night's renders were given up without having been asked about.
#[tokio::test(flavor = "multi_thread")]
async fn account_blocked_for_a_day_fails_no_render() {
    let night =
        TestBatch::with_settings(3, "", |settings| settings.switches.time_scale = 0.0).await;
    let id = night.plan_and_commit().await;
    let stop = night.stop.clone();
    let begun = async {
        night.sandbox.wait_until(|sandbox| sandbox.render_count() == 3).await;
        stop.escalate();
    };
    tokio::join!(night.resume(id, Default::default()), begun);
    age_renders_by_a_day(&night).await;
    let mut faults = FaultRules::default();
    faults.add("refused-token=token:always").unwrap();
    night.sandbox.set_faults(faults);
    let night = TestBatch { stop: callsheet::runner::StopSignal::default(), ..night };
    let ending = night.resume(id, Default::default()).await;
    assert!(matches!(ending.halt, Some(Halt::Account { .. })), "{ending:?}");
    assert_eq!(count_in_state(&ending, JobState::Failed), 0, "{ending:?}");

    night.sandbox.set_faults(FaultRules::default());
    night.sandbox.advance(std::time::Duration::from_secs(3600));
    assert_eq!(count_in_state(&night.run().await, JobState::Done), 3);
    assert_eq!(night.sandbox.render_count(), 3);
}

/// Moves what is rendering into the past, as a day without a run would.
async fn age_renders_by_a_day(night: &TestBatch) {
    let file = sqlx::sqlite::SqliteConnectOptions::new().filename(night.path("l.db"));
    let mut db = file.connect().await.unwrap();
    let moved = sqlx::query("update job set rendering_at = rendering_at - 86400000, due_at = 0")
        .execute(&mut db)
        .await
        .unwrap();
    assert_eq!(moved.rows_affected(), 3);
    db.close().await.unwrap();
}

/// Found by the simulation: each fresh link was expired on arrival, and asked for anew for ever.
#[tokio::test(flavor = "multi_thread")]
async fn link_that_always_expires_fails_the_download() {
    let night = TestBatch::with_settings(1, "[limits]\nfetch_retries = 3", |settings| {
        settings.switches.download.ttl_hours = 1e-9;
    })
    .await;
    let ending = night.run().await;
    assert_eq!(count_in_state(&ending, JobState::Failed), 1, "{ending:?}");
    assert_eq!(night.rows().await[0].cause.as_deref(), Some("fetch-failed"));
    night.sandbox.update_switches(|switches| switches.download.ttl_hours = 24.0);
    assert_eq!(night.sandbox.render_count(), 1);
}

//! What becomes of jobs that no answer tells about: settled by evidence, brought to an end, or
//! left to a person, and never mistaken for what they are not.

use callsheet::ledger::State;
use callsheet::runner::{Ending, Halt};
use callsheet::sandbox::Faults;
use sqlx::{ConnectOptions, Connection};

use super::support::Night;

fn count(ending: &Ending, state: State) -> u64 {
    ending.counts.get(&state).copied().unwrap_or(0)
}

/// Found by the simulation: the whole night's renders were given up without having been asked about.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_shut_overnight_fails_no_render() {
    let night = Night::with(3, "", |settings| settings.switches.time_scale = 0.0).await;
    let id = night.plan().await;
    let stop = night.stop.clone();
    let begun = async {
        night.sandbox.until(|sandbox| sandbox.renders() == 3).await;
        stop.escalate();
    };
    tokio::join!(night.resume(id, Default::default()), begun);
    a_day_passes(&night).await;
    let mut faults = Faults::default();
    faults.add("refused-token=token:always").unwrap();
    night.sandbox.set_faults(faults);
    let night = Night { stop: callsheet::runner::Stop::default(), ..night };
    let ending = night.resume(id, Default::default()).await;
    assert!(matches!(ending.halt, Some(Halt::Account { .. })), "{ending:?}");
    assert_eq!(count(&ending, State::Failed), 0, "{ending:?}");

    night.sandbox.set_faults(Faults::default());
    night.sandbox.advance(std::time::Duration::from_secs(3600));
    assert_eq!(count(&night.run().await, State::Done), 3);
    assert_eq!(night.sandbox.renders(), 3);
}

/// Moves what is rendering into the past, as a day without a run would.
async fn a_day_passes(night: &Night) {
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
async fn a_link_that_never_holds_comes_to_an_end() {
    let night = Night::with(1, "[limits]\nfetch_retries = 3", |settings| {
        settings.switches.download.ttl_hours = 1e-9;
    })
    .await;
    let ending = night.run().await;
    assert_eq!(count(&ending, State::Failed), 1, "{ending:?}");
    assert_eq!(night.rows().await[0].cause.as_deref(), Some("fetch-failed"));
    night.sandbox.set(|switches| switches.download.ttl_hours = 24.0);
    assert_eq!(night.sandbox.renders(), 1);
}

//! Connections that are cut at any time: every change is made once, and none is lost.

use std::time::Duration;

use callsheet::ledger::{LedgerError, RunEnding};

use super::{NOW, PATIENCE, SharedLedger, claim_one, keys};
use crate::support::postgres_server::PostgresServer;
use crate::support::tcp_proxy::ProxyMode;

#[tokio::test(flavor = "multi_thread")]
async fn commit_whose_response_is_lost_is_made_once() {
    let Some(shared) = SharedLedger::open(PATIENCE).await else { return };
    let batch = shared.plan(&keys(4)).await.unwrap();
    let lease = shared.begin_run(batch).await;
    for (number, fault) in [ProxyMode::LoseCommitResponse, ProxyMode::LoseCommit]
        .into_iter()
        .cycle()
        .take(4)
        .enumerate()
    {
        shared.proxy.set_mode(fault);
        let claimed = claim_one(&lease).await.unwrap();
        shared.proxy.commit_was_lost().await;
        assert_eq!(claimed.submissions.len(), 1, "{fault:?}");
        let claims = number as i64 + 1;
        assert_eq!(
            (shared.count("submission"), shared.count("event")),
            (claims, claims),
            "{fault:?}"
        );
    }
    lease.end_run(RunEnding::Ended, NOW).await.unwrap();
    let run = shared.ledger.last_run(batch).await.unwrap().unwrap();
    assert_eq!(run.submitted, 4, "each is counted once");
}

/// The commit takes two seconds at the server, and its connection is cut at once.
#[tokio::test(flavor = "multi_thread")]
async fn commit_that_is_under_way_when_its_connection_is_cut_is_made_once() {
    let Some(shared) = SharedLedger::open(PATIENCE).await else { return };
    let batch = shared.plan(&keys(3)).await.unwrap();
    let lease = shared.begin_run(batch).await;
    shared.database.query(
        "create function callsheet.wait() returns trigger language plpgsql
             as $$ begin perform pg_sleep(2); return null; end $$;
         create constraint trigger slow_commit after insert or update on callsheet.commit_marker
             deferrable initially deferred for each row execute function callsheet.wait()",
    );
    shared.proxy.set_mode(ProxyMode::CutAfterCommit);
    let claimed = claim_one(&lease).await.unwrap();
    shared.proxy.commit_was_lost().await;
    assert_eq!(claimed.submissions.len(), 1);
    assert_eq!((shared.count("submission"), shared.count("event")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connection_is_noticed_and_the_change_is_made_once() {
    let Some(shared) = SharedLedger::open(PATIENCE).await else { return };
    let batch = shared.plan(&keys(2)).await.unwrap();
    let lease = shared.begin_run(batch).await;
    shared.proxy.set_mode(ProxyMode::Silent);
    let claim = tokio::spawn({
        let lease = lease.clone();
        async move { claim_one(&lease).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(shared.count("submission"), 0);
    assert!(!claim.is_finished(), "the claim waits, and nothing is sent");
    shared.proxy.set_mode(ProxyMode::Pass);
    assert_eq!(claim.await.unwrap().unwrap().submissions.len(), 1);
    assert_eq!((shared.count("submission"), shared.count("event")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn change_fails_as_unavailable_when_the_patience_is_over() {
    let Some(shared) = SharedLedger::open(Duration::from_secs(1)).await else { return };
    let batch = shared.plan(&keys(2)).await.unwrap();
    let lease = shared.begin_run(batch).await;
    shared.proxy.set_mode(ProxyMode::Reset);
    let claimed = claim_one(&lease).await;
    assert!(matches!(claimed, Err(LedgerError::Unavailable { .. })), "{claimed:?}");
    let read = shared.ledger.rows(batch, -1, 10).await;
    assert!(matches!(read, Err(LedgerError::Unavailable { .. })), "{read:?}");
    // The server is back: the same ledger goes on.
    shared.proxy.set_mode(ProxyMode::Pass);
    assert_eq!(claim_one(&lease).await.unwrap().submissions.len(), 1);
    assert_eq!(shared.ledger.rows(batch, -1, 10).await.unwrap().len(), 2);
    assert_eq!(shared.count("submission"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn primary_that_became_a_replica_is_waited_for() {
    let Some(shared) = SharedLedger::open(PATIENCE).await else { return };
    let batch = shared.plan(&keys(2)).await.unwrap();
    let lease = shared.begin_run(batch).await;
    let set = |value: &str| {
        let name = &shared.database.query("select current_database()")[0];
        shared
            .database
            .query(&format!("alter database {name} set default_transaction_read_only = {value}"));
        shared.database.query(
            "select pg_terminate_backend(pid) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()",
        );
    };
    set("on");
    let claim = tokio::spawn({
        let lease = lease.clone();
        async move { claim_one(&lease).await }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!claim.is_finished());
    shared.database.query(
        "set transaction read write;
         do $$ begin execute format('alter database %I reset default_transaction_read_only',
            current_database()); end $$",
    );
    assert_eq!(claim.await.unwrap().unwrap().submissions.len(), 1);
    assert_eq!(shared.count("submission"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_whose_connection_is_cut_leaves_the_previous_plan_whole() {
    let Some(shared) = SharedLedger::open(PATIENCE).await else { return };
    let former = keys(3);
    let batch = shared.plan(&former).await.unwrap();
    let later: Vec<String> = (0..3_000).map(|index| format!("later{index}")).collect();
    shared.proxy.set_mode(ProxyMode::LoseCommit);
    let planned = shared.plan(&later).await;
    assert!(matches!(planned, Err(LedgerError::Unavailable { .. })), "{planned:?}");
    let rows = shared.ledger.rows(batch, -1, 10).await.unwrap();
    assert_eq!(rows.iter().filter_map(|row| row.key.clone()).collect::<Vec<_>>(), former);
    assert_eq!(shared.ledger.find_defects().await.unwrap(), Vec::<String>::new());
    shared.plan(&later).await.unwrap();
    assert_eq!(shared.ledger.state_counts(batch).await.unwrap().values().sum::<u64>(), 3_000);
    assert_eq!(shared.ledger.find_defects().await.unwrap(), Vec::<String>::new());
}

/// Killing one of its processes makes the whole server crash and recover.
#[tokio::test(flavor = "multi_thread")]
async fn server_that_crashes_again_and_again_loses_and_repeats_no_change() {
    const JOBS: usize = 60;
    let Some(server) = PostgresServer::start_another("-crashing") else { return };
    let shared = SharedLedger::open_in(server.create_database(), PATIENCE).await;
    let batch = shared.plan(&keys(JOBS)).await.unwrap();
    let lease = shared.begin_run(batch).await;
    let claims = tokio::spawn({
        let lease = lease.clone();
        async move {
            let mut claimed = Vec::new();
            loop {
                let next = claim_one(&lease).await.unwrap().submissions;
                if next.is_empty() {
                    return claimed;
                }
                claimed.extend(next.into_iter().map(|claim| claim.key));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    while !claims.is_finished() {
        let backends = shared.database.query(
            "select pid from pg_stat_activity
             where application_name = 'callsheet' and datname = current_database() limit 1",
        );
        if let Some(pid) = backends.first() {
            let killed = std::process::Command::new("kill").args(["-9", pid]).status();
            assert!(killed.is_ok());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        server.wait_until_ready();
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let mut claimed = claims.await.unwrap();
    claimed.sort();
    let mut expected = keys(JOBS);
    expected.sort();
    assert_eq!(claimed, expected, "each row is claimed once");
    assert_eq!(shared.count("submission"), JOBS as i64);
    assert_eq!(shared.count("event"), JOBS as i64);
    assert_eq!(shared.ledger.find_defects().await.unwrap(), Vec::<String>::new());
}

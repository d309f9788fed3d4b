//! A server that fails, and whose standby takes its place: nothing is paid until the ledger was compared
//! with the account, and nothing is paid twice.

use std::time::Duration;

use callsheet::ledger::{LedgerError, RetryAfterFloor};
use callsheet::sandbox::{ListFilter, SandboxSettings};
use jiff::Timestamp;

use super::leases::open_ledger;
use super::{NOW, SharedLedger, begin_run, claim_one, keys, plan_rows};
use crate::support::postgres_server::{PostgresServer, TestDatabase};
use crate::support::tcp_proxy::{ProxyMode, TcpProxy};
use crate::support::test_cli::{CommandOutput, LIMITS, TestCli};

const ROWS: usize = 12;

/// A batch whose ledger is reached through a proxy, first on a primary server.
struct FailoverTest {
    office: TestCli,
    primary: &'static PostgresServer,
    standby: &'static PostgresServer,
    database: TestDatabase,
    proxy: TcpProxy,
    url: String,
}

impl FailoverTest {
    /// Returns `None` where PostgreSQL is not installed.
    async fn start(name: &str) -> Option<Self> {
        let primary = PostgresServer::start_another(&format!("-{name}1"))?;
        let database = primary.create_database();
        let standby = primary.start_standby(&format!("-{name}2"));
        let proxy = TcpProxy::start(primary.socket()).await;
        let name = &database.query("select current_database()")[0];
        let url = format!("postgres://callsheet@{}/{name}?sslmode=disable", proxy.address());
        let studio = "submission = 'one-step'";
        let lists_all =
            |settings: &mut SandboxSettings| settings.switches.list.include = ListFilter::All;
        let office = TestCli::with_settings(ROWS, studio, lists_all).await;
        let limits = LIMITS
            .replace("settle_after = '1s'", "settle_after = '5m'")
            .replace("in_flight = 32", "in_flight = 1");
        office.write_batch(studio, &format!("{limits}\n[vendor]\nlist = 'everything'\n"));
        Some(Self { office, primary, standby, database, proxy, url })
    }

    fn run(&self, args: &[&str]) -> CommandOutput {
        self.office.run(&[&["--ledger", self.url.as_str()], args].concat())
    }

    /// Runs the batch, and makes the primary fail after some more renders. Returns how the run ended.
    async fn run_through_failover(&self) -> CommandOutput {
        let before = self.office.sandbox.render_count();
        let args = ["--ledger", self.url.as_str(), "run", "b.toml", "--yes"];
        let run = self.office.start(&mut self.office.command(&args));
        self.office.sandbox.wait_until(|sandbox| sandbox.render_count() >= before + 4).await;
        self.primary.kill();
        self.standby.promote();
        self.proxy.set_server(self.standby.socket());
        run.wait()
    }

    /// Lets the quiet wait of five minutes pass.
    fn pass_quiet_wait(&self) {
        let replicated = self.standby.replicated(&self.database);
        replicated.query("update callsheet.ledger_gap set found_at = found_at - 300000");
        std::mem::forget(replicated);
    }

    fn renders(&self) -> u64 {
        self.office.sandbox.render_count()
    }

    fn assert_paid_once(&self) {
        assert_eq!(self.office.sandbox.bill().paid_twice(), []);
    }
}

#[track_caller]
fn assert_ended(ended: &CommandOutput, code: i32, message: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(format!("{}{}", ended.stdout, ended.stderr).contains(message), "{message}: {ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn standby_that_lost_intents_pays_for_nothing_before_catch_up_and_for_nothing_twice_after() {
    let Some(test) = FailoverTest::start("async").await else { return };
    assert_ended(&test.run(&["run", "b.toml", "--yes", "--limit", "2"]), 8, "");
    test.standby.stop_receiving();
    assert_ended(&test.run_through_failover().await, 6, "callsheet ledger catch-up");
    let renders = test.renders();
    assert!(renders < ROWS as u64, "the run was over before the failover");
    for command in ["run", "run"] {
        assert_ended(&test.run(&[command, "b.toml", "--yes"]), 6, "callsheet ledger catch-up");
    }
    assert_eq!(test.renders(), renders, "paid before the comparison");
    test.pass_quiet_wait();
    let caught_up = test.run(&["ledger", "catch-up"]);
    let lost = renders - 2;
    assert_ended(&caught_up, 0, &format!("{lost} videos found at AI Studios"));
    assert_ended(&test.run(&["run", "b.toml", "--yes"]), 0, "");
    assert_eq!(test.renders(), ROWS as u64);
    test.assert_paid_once();
    assert_eq!(test.office.assert_guarantees(ROWS), ["done"; ROWS]);
    // The former primary returns, and would accept writes.
    let former = test.primary.restart();
    test.proxy.set_server(former.socket());
    assert_ended(&test.run(&["run", "b.toml", "--yes"]), 2, "former primary server");
    assert_eq!(test.renders(), ROWS as u64);
    test.proxy.set_server(test.standby.socket());
    assert_ended(&test.run(&["run", "b.toml", "--yes"]), 0, "");
    std::mem::forget(test.database);
}

#[tokio::test(flavor = "multi_thread")]
async fn synchronous_standby_has_lost_nothing_and_pays_for_nothing_before_that_is_known() {
    let Some(test) = FailoverTest::start("sync").await else { return };
    test.primary.wait_for_standbys();
    assert_ended(&test.run_through_failover().await, 6, "callsheet ledger catch-up");
    let renders = test.renders();
    assert_ended(&test.run(&["run", "b.toml", "--yes"]), 6, "callsheet ledger catch-up");
    assert_eq!(test.renders(), renders);
    test.pass_quiet_wait();
    assert_ended(&test.run(&["ledger", "catch-up"]), 0, "0 videos found at AI Studios");
    // An intent that was not sent waits for its quiet wait; all other rows are finished.
    let ended = test.run(&["run", "b.toml", "--yes", "--no-wait"]);
    assert!(matches!(ended.code, Some(0 | 6)), "{ended:?}");
    assert!(test.renders() >= ROWS as u64 - 1, "{ended:?}");
    test.assert_paid_once();
    std::mem::forget(test.database);
}

#[tokio::test(flavor = "multi_thread")]
async fn process_never_goes_back_to_a_primary_server_that_it_has_left() {
    let Some(primary) = PostgresServer::start_another("-left1") else { return };
    let shared = SharedLedger::open_in(primary.create_database(), Duration::from_secs(2)).await;
    let standby = primary.start_standby("-left2");
    let write = async || {
        let floor = RetryAfterFloor { until: Timestamp::MAX, raised_at: NOW };
        shared.ledger.raise_retry_after_floor("http://x", floor).await
    };
    write().await.unwrap();
    primary.kill();
    standby.promote();
    shared.proxy.set_server(standby.socket());
    write().await.unwrap();
    shared.proxy.set_server(primary.restart().socket());
    shared.proxy.set_mode(ProxyMode::Reset);
    write().await.unwrap_err();
    shared.proxy.set_mode(ProxyMode::Pass);
    let left = write().await.unwrap_err();
    assert!(left.to_string().contains("former primary server"), "{left}");
    shared.proxy.set_server(standby.socket());
    write().await.unwrap();
    std::mem::forget(shared);
}

#[tokio::test(flavor = "multi_thread")]
async fn ledger_that_was_restored_on_another_server_pays_for_nothing_before_catch_up() {
    let Some(database) = TestDatabase::create() else { return };
    let ledger = open_ledger(&database).await;
    let batch = plan_rows(&ledger, "spring", &keys(1)).await.unwrap();
    ledger.close().await;
    database.query("update callsheet.ledger_server set system_id = 'another'");
    let restored = open_ledger(&database).await;
    let behind = claim_one(&begin_run(&restored, batch).await).await.unwrap_err();
    assert!(matches!(behind, LedgerError::Behind { .. }), "{behind}");
}

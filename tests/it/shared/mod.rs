//! A ledger on a server: leases, and a connection, disk or rights that fail.

mod failover;
mod held_transactions;
mod leases;
mod lost_connections;
mod messages;
mod processes;
mod runs;
mod takeover_model;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use callsheet::ledger::{
    BatchId, BatchLease, Capacity, ClaimOutcome, Durability, Ledger, LedgerAddress, LedgerError,
    MergedRow, PlanHeader, RunOwner, ServerAddress, StagedRow,
};
use callsheet::request::SubmissionMode;
use jiff::Timestamp;

use crate::support::postgres_server::TestDatabase;
use crate::support::tcp_proxy::TcpProxy;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;
/// Longer than any fault of these tests, and than a read that waits for a connection which is silently cut.
const PATIENCE: Duration = Duration::from_secs(180);

fn server_address(url: &str) -> ServerAddress {
    LedgerAddress::parse(OsStr::new(url)).unwrap().as_server().unwrap().clone()
}

/// A ledger whose connections lead through a proxy.
struct SharedLedger {
    database: TestDatabase,
    proxy: TcpProxy,
    ledger: Ledger,
}

impl SharedLedger {
    /// Returns `None` where PostgreSQL is not installed.
    async fn open(patience: Duration) -> Option<Self> {
        Some(Self::open_in(TestDatabase::create()?, patience).await)
    }

    async fn open_in(database: TestDatabase, patience: Duration) -> Self {
        let proxy = TcpProxy::start(socket_of(&database)).await;
        let server = server_address(&proxied_url(&database, &proxy));
        let ledger = Ledger::open_server(server, Durability::PowerLoss, patience).await.unwrap();
        Self { database, proxy, ledger }
    }

    /// Plans rows with these keys.
    async fn plan(&self, keys: &[String]) -> Result<BatchId, LedgerError> {
        plan_rows(&self.ledger, "spring", keys).await
    }

    async fn begin_run(&self, batch: BatchId) -> BatchLease {
        begin_run(&self.ledger, batch).await
    }

    /// Returns the number that a query returns.
    fn count(&self, table: &str) -> i64 {
        let rows = self.database.query(&format!("select count(*) from callsheet.{table}"));
        rows[0].parse().unwrap()
    }
}

/// Plans a batch with rows of these keys.
async fn plan_rows(ledger: &Ledger, name: &str, keys: &[String]) -> Result<BatchId, LedgerError> {
    let mut staging = ledger.stage(plan_header(name)).await?;
    let rows = keys.iter().enumerate().map(|(index, key)| staged_row(index as i64, key));
    staging.push_rows(rows.collect()).await?;
    staging.classify().await?.commit(NOW).await
}

async fn begin_run(ledger: &Ledger, batch: BatchId) -> BatchLease {
    let owner = RunOwner { host: "here".to_owned(), pid: 7 };
    ledger.begin_run(batch, owner, NOW).await.unwrap()
}

async fn claim_one(lease: &BatchLease) -> Result<ClaimOutcome, LedgerError> {
    lease.claim_paid(SubmissionMode::OneStep, one_claim(), NOW).await
}

/// Room for one claim after the other.
fn one_claim() -> Capacity {
    Capacity {
        in_flight_max: 100,
        canary_count: 0,
        sample_count: 0,
        per_run_max: None,
        claim_max: 1,
        credit_caps: None,
        selection: None,
        new_secret: None,
    }
}

fn keys(count: usize) -> Vec<String> {
    (0..count).map(|index| format!("k{index}")).collect()
}

fn socket_of(database: &TestDatabase) -> PathBuf {
    let url = database.url();
    let (_, folder) = url.split_once("host=").unwrap();
    let (folder, _) = folder.split_once('&').unwrap();
    PathBuf::from(folder).join(".s.PGSQL.5432")
}

fn proxied_url(database: &TestDatabase, proxy: &TcpProxy) -> String {
    let url = database.url();
    let (name, _) = url.trim_start_matches("postgres:///").split_once('?').unwrap();
    format!("postgres://callsheet@{}/{name}?sslmode=disable", proxy.address())
}

fn plan_header(name: &str) -> PlanHeader {
    PlanHeader {
        name: name.to_owned(),
        file: format!("jobs/{name}.toml"),
        source: "sheet = 'spring.csv'".to_owned(),
        base_url: Some("http://127.0.0.1:1".to_owned()),
        template: "{}".to_owned(),
        template_hash: "t".repeat(64),
        headings: "[\"sku\",\"script\"]".to_owned(),
        columns: vec!["{}".to_owned()],
        tool: "callsheet 0".to_owned(),
        request: "project".to_owned(),
        has_selection: false,
    }
}

fn staged_row(position: i64, key: &str) -> StagedRow {
    StagedRow {
        position,
        row_number: position + 2,
        key: Some(key.to_owned()),
        cells: format!("[[\"{key}\",\"Hello\"]]"),
        merged: Ok(MergedRow {
            payload: format!("{{\"script\":\"{key}\"}}"),
            payload_hash: format!("{position:032}"),
            file_name: format!("{key}.mp4"),
            spoken_ms: 1500,
            exclusive_project: None,
        }),
        selected: true,
        variant: None,
        mapping_index: 0,
    }
}

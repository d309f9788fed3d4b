//! Several processes that use one account through one ledger: one rate, and one cap on
//! credits, whichever store holds the ledger.

use std::time::Duration;

use callsheet::sandbox::RequestLogEntry;

use crate::support::postgres_server::TestDatabase;
use crate::support::test_cli::{LIMITS, RunningCommand, TestCli};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TestStore {
    Sqlite,
    Postgres,
}

/// Batches of one account, each for a process of its own.
struct SharedAccount {
    office: TestCli,
    database: Option<TestDatabase>,
    store: TestStore,
}

impl SharedAccount {
    /// Prepares `batches` batches of `rows` rows. Returns `None` where the store is not installed.
    async fn new(store: TestStore, batches: usize, rows: usize, limits: &str) -> Option<Self> {
        let database = match store {
            TestStore::Sqlite => None,
            TestStore::Postgres => Some(TestDatabase::create()?),
        };
        let office = TestCli::new(1).await;
        // A ledger on a server needs a long quiet wait.
        let limits = limits.replace("settle_after = '1s'", "settle_after = '5min'");
        let studio = "submission = 'one-step'";
        for batch in 0..batches {
            let sheet: String = (0..rows).map(|n| format!("b{batch}-{n:04},Hello {n}\n")).collect();
            office.write(&format!("s{batch}.csv"), &format!("key,script\n{sheet}"));
            office.write_batch(studio, &limits);
            let text = std::fs::read_to_string(office.path("b.toml")).unwrap();
            let text = text.replace("'promo'", &format!("'promo{batch}'"));
            let text = text.replace("'s.csv'", &format!("'s{batch}.csv'"));
            let text = text.replace("'out'", &format!("'out{batch}'"));
            office.write(&format!("b{batch}.toml"), &text);
        }
        Some(Self { office, database, store })
    }

    fn command(&self, verb: &str, batch: usize) -> RunningCommand {
        let file = format!("b{batch}.toml");
        let mut command = self.office.command(&[verb, &file]);
        if verb == "run" {
            command.arg("--yes");
        }
        if let Some(database) = &self.database {
            command.args(["--ledger", &database.url()]);
        }
        self.office.start(&mut command)
    }

    /// Plans all batches, so that their runs begin together.
    fn plan(&self, batches: usize) {
        for batch in 0..batches {
            let planned = self.command("plan", batch).wait();
            assert_eq!(planned.code, Some(0), "{planned:?}");
        }
    }

    fn creates(&self) -> Vec<RequestLogEntry> {
        let requests = self.office.sandbox.requests();
        requests.into_iter().filter(|request| request.endpoint == "create").collect()
    }

    /// Runs all batches until `count` requests that start a render have arrived, and returns when they did,
    /// in milliseconds.
    async fn create_times(&self, batches: usize, count: usize) -> Vec<i64> {
        self.plan(batches);
        let runs: Vec<_> = (0..batches).map(|batch| self.command("run", batch)).collect();
        self.office
            .sandbox
            .wait_until(|sandbox| sandbox.counters().request_count("create") >= count as u64)
            .await;
        drop(runs);
        let mut times: Vec<i64> = self.creates().iter().map(|request| request.at_ms).collect();
        times.sort_unstable();
        times
    }
}

fn most_in_a_window(times: &[i64], window: Duration) -> usize {
    let window = window.as_millis() as i64;
    let until = |time: i64| times.partition_point(|at| *at < time);
    times.iter().map(|at| until(at + window) - until(*at)).max().unwrap_or(0)
}

fn limits(submits: &str) -> String {
    let limits = LIMITS.replace("requests = 'unlimited'", "requests = '500/s'");
    let limits = limits.replace("submits = 'unlimited'", &format!("submits = '{submits}'"));
    limits
        .replace("in_flight = 32", "in_flight = 10000")
        .replace("'20ms'", "'1h'")
        .replace("'100ms'", "'1h'")
}

const STORES: [TestStore; 2] = [TestStore::Sqlite, TestStore::Postgres];

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_one_account_together_never_exceed_its_rate_at_ai_studios() {
    for store in STORES {
        let (processes, count) = (3, 60);
        let Some(account) = SharedAccount::new(store, processes, count, &limits("40/5s")).await
        else {
            return;
        };
        let times = account.create_times(processes, count).await;
        // On a busy machine one request may be a tenth of a second longer on its way than another.
        let most = most_in_a_window(&times, Duration::from_millis(4900));
        assert!(most <= 40, "{store:?}: {most} in a window");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn daily_cap_on_credits_is_spent_exactly_by_two_processes_at_once() {
    for store in STORES {
        let limits = LIMITS.replace("[limits]", "[limits]\nmax_credits_per_day = 5");
        let Some(account) = SharedAccount::new(store, 2, 12, &limits).await else { return };
        account.plan(2);
        let runs = [account.command("run", 0), account.command("run", 1)];
        let ended = runs.map(RunningCommand::wait);
        assert_eq!(ended.each_ref().map(|run| run.code), [Some(8); 2], "{store:?}: {ended:?}");
        let bill = account.office.sandbox.bill();
        assert_eq!((bill.render_count(), bill.paid_twice().len()), (5, 0), "{store:?}");
    }
}

/// Prints how much of a rate is used at AI Studios. `CALLSHEET_RATES=sqlite:3:120/min:300` chooses a
/// store, the number of processes, the rate and the number of requests; several are separated by commas.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes and asserts nothing"]
#[expect(clippy::print_stdout, reason = "it is a measurement")]
async fn used_part_of_a_rate() {
    let default = "sqlite:1:30/min:60,sqlite:1:20/s:200,sqlite:1:100/s:1000,sqlite:3:120/min:240,\
                   postgres:1:20/s:200,postgres:1:100/s:1000,postgres:3:120/min:240";
    let chosen = std::env::var("CALLSHEET_RATES").unwrap_or_else(|_| default.to_owned());
    for measurement in chosen.split(',') {
        let fields: Vec<&str> = measurement.split(':').collect();
        let &[store, processes, rate, count] = fields.as_slice() else {
            panic!("store:processes:rate:requests, not {measurement}")
        };
        let store = if store == "sqlite" { TestStore::Sqlite } else { TestStore::Postgres };
        let (processes, count) = (processes.parse().unwrap(), count.parse::<usize>().unwrap());
        let account = SharedAccount::new(store, processes, count, &limits(rate)).await;
        let Some(account) = account else { continue };
        let times = account.create_times(processes, count).await;
        let (allowed, period) = rate.split_once('/').unwrap();
        let period = Duration::from_secs(if period == "min" { 60 } else { 1 });
        let per_ms = allowed.parse::<f64>().unwrap() / period.as_millis() as f64;
        let lasted_ms = (times[times.len() - 1] - times[0]) as f64;
        let used = 100.0 * (times.len() - 1) as f64 / (lasted_ms * per_ms);
        let most = most_in_a_window(&times, period);
        println!(
            "{:?}, processes {processes}, {rate}: {used:.2} % used, at most {most} of {allowed} in a window",
            account.store
        );
    }
}

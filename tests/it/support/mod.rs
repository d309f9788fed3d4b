//! Test harnesses: [`TestBatch`] runs the program in this process, with real files and sockets against
//! the sandbox; `test_cli::TestCli` runs the binary.

pub(crate) mod crash_injection;
pub(crate) mod postgres_failover;
pub(crate) mod postgres_server;
pub(crate) mod tcp_proxy;
pub(crate) mod terminal_session;
pub(crate) mod test_cli;
pub(crate) mod tls_server;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use callsheet::aistudios::{AiStudios, ApiClient, Credentials, StateWords, StudioApi};
use callsheet::batch::{self, Batch, VendorProfile};
use callsheet::clock::Clock;
use callsheet::ledger::{
    BatchId, BatchLease, Durability, JobRow, JobState, Ledger, LedgerAddress, LedgerError,
    NewOperatorRequest, OperatorRequest, RequestedAction, RunOwner,
};
use callsheet::plan;
use callsheet::runner::{
    self, AccountLimits, FIRST_POLL_DELAY, Jitter, RunInput, RunObserver, RunOptions, RunOutcome,
    RunSettings, StopSignal,
};
use callsheet::sandbox::{self, DuplicateBasis, Sandbox};
use jiff::Timestamp;
use sqlx::{ConnectOptions, Connection, FromRow};
use sqlx_postgres::{PgConnectOptions, PgRow};
use sqlx_sqlite::{SqliteConnectOptions, SqliteRow};
use tempfile::TempDir;
use url::Url;

use self::postgres_server::TestDatabase;

/// Simulated seconds per real second: a render of ten minutes takes a fifth of a second.
pub(crate) const TIME_SCALE: f64 = 3000.0;

/// Where the ledger of a test is: a file in its folder, or a database of a server if
/// `CALLSHEET_TEST_LEDGER=postgres` is set.
pub(crate) struct TestStore {
    address: LedgerAddress,
    database: Option<TestDatabase>,
}

impl TestStore {
    pub(crate) fn new(folder: &Path) -> Self {
        let is_on_server =
            std::env::var("CALLSHEET_TEST_LEDGER").is_ok_and(|store| store == "postgres");
        let database = is_on_server.then(TestDatabase::create).flatten();
        let address = match &database {
            Some(database) => LedgerAddress::parse(OsStr::new(&database.url())).unwrap(),
            None => LedgerAddress::File(folder.join("l.db")),
        };
        Self { address, database }
    }

    pub(crate) fn address(&self) -> LedgerAddress {
        self.address.clone()
    }

    pub(crate) fn is_on_server(&self) -> bool {
        self.database.is_some()
    }

    /// Waits until no process of an earlier run has the ledger open.
    pub(crate) fn wait_until_closed(&self) {
        match (&self.database, self.address.as_file()) {
            (Some(database), _) => wait_until(|| {
                let open = "select count(*) from pg_stat_activity
                    where datname = current_database() and pid <> pg_backend_pid()";
                database.query(open) == ["0"]
            }),
            (None, Some(file)) => wait_until(|| !is_open_here(file)),
            (None, None) => {}
        }
    }

    /// Returns the rows of a query of the ledger's tables.
    pub(crate) async fn fetch_all<T>(&self, query: &'static str) -> Vec<T>
    where
        T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        match (&self.database, self.address.as_file()) {
            (Some(database), _) => {
                let options: PgConnectOptions = database.url().parse().unwrap();
                let mut db =
                    options.options([("search_path", "callsheet")]).connect().await.unwrap();
                let rows = sqlx::query_as(query).fetch_all(&mut db).await.unwrap();
                db.close().await.unwrap();
                rows
            }
            (None, Some(file)) => {
                let options = SqliteConnectOptions::new().filename(file).read_only(true);
                let mut db = options.connect().await.unwrap();
                let rows = sqlx::query_as(query).fetch_all(&mut db).await.unwrap();
                db.close().await.unwrap();
                rows
            }
            (None, None) => Vec::new(),
        }
    }

    /// Executes statements behind the back of the program.
    pub(crate) async fn execute(&self, statements: &'static str) {
        match (&self.database, self.address.as_file()) {
            (Some(database), _) => {
                database.query(&format!("set search_path to callsheet; {statements}"));
            }
            (None, Some(file)) => {
                let options = SqliteConnectOptions::new().filename(file).foreign_keys(false);
                let mut db = options.connect().await.unwrap();
                sqlx::raw_sql(statements).execute(&mut db).await.unwrap();
                db.close().await.unwrap();
            }
            (None, None) => {}
        }
    }
}

/// A file of this process stays open until its threads have ended.
fn is_open_here(file: &Path) -> bool {
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else { return false };
    open.flatten().any(|one| {
        std::fs::read_link(one.path())
            .is_ok_and(|path| path.to_string_lossy().starts_with(&*file.to_string_lossy()))
    })
}

fn wait_until(is_closed: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !is_closed() {
        assert!(began.elapsed().as_secs() < 60, "the ledger was never closed");
        std::thread::yield_now();
    }
}

/// A folder with a batch and a ledger, and a sandbox.
pub(crate) struct TestBatch {
    pub(crate) dir: TempDir,
    pub(crate) sandbox: Sandbox,
    pub(crate) ledger: Ledger,
    pub(crate) store: TestStore,
    pub(crate) stop: StopSignal,
    pub(crate) extra_settings: String,
}

/// A template small enough to read in a failing test.
pub(crate) const TEMPLATE: &str = r#"{
  "name": "{{key}}",
  "scenes": [{
    "scripts": [{"org": "{{script}}", "isTTS": false, "tts": null, "modelId": "M1",
      "clothId": "B1"}],
    "clips": [{"id": "a", "type": "aiModel", "layer": 1, "top": 0, "left": 0, "width": 9,
      "height": 9, "model": {"ai_name": "M1", "emotion": "B1"}}]
  }]
}
"#;

/// Limits under which a test takes no time.
const LIMITS: &str = "
[limits]
requests = 'unlimited'
submits = 'unlimited'
in_flight = 8
canary = 0
poll_min = '5ms'
poll_max = '40ms'
backoff_min = '5ms'
backoff_max = '40ms'
settle_after = '300ms'
confirm_after = '30ms'
request_timeout = '2s'
";

impl TestBatch {
    /// A batch of `rows` rows against a sandbox with the documented behavior.
    pub(crate) async fn new(rows: usize) -> Self {
        Self::with_settings(rows, "", |_| ()).await
    }

    /// Adds lines under `[studio]` and `[limits]`, and changes the sandbox's behavior.
    pub(crate) async fn with_settings(
        rows: usize,
        more: &str,
        change: impl FnOnce(&mut sandbox::SandboxSettings),
    ) -> Self {
        let mut settings = sandbox::SandboxSettings::default();
        settings.switches.time_scale = TIME_SCALE;
        change(&mut settings);
        let sandbox = Sandbox::start(settings).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let store = TestStore::new(dir.path());
        let ledger = Ledger::open(store.address(), Durability::PowerLoss).await.unwrap();
        let test = Self {
            dir,
            sandbox,
            ledger,
            store,
            stop: StopSignal::default(),
            extra_settings: more.to_owned(),
        };
        std::fs::write(test.path("t.json.hbs"), TEMPLATE).unwrap();
        let rows: Vec<_> = (0..rows).map(|n| (format!("k{n:03}"), format!("Hello {n}"))).collect();
        test.write_sheet(&rows);
        test
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write_sheet(&self, rows: &[(String, String)]) {
        let mut out = csv::Writer::from_path(self.path("s.csv")).unwrap();
        out.write_record(["key", "script"]).unwrap();
        for (key, script) in rows {
            out.write_record([key, script]).unwrap();
        }
        out.flush().unwrap();
    }

    pub(crate) fn batch(&self) -> Batch {
        let (studio, limits) =
            self.extra_settings.split_once("[limits]").unwrap_or((&self.extra_settings, ""));
        let mut lines: Vec<&str> = LIMITS.lines().collect();
        for line in limits.lines() {
            let name = line.split('=').next().unwrap().trim();
            lines
                .retain(|known| name.is_empty() || known.split('=').next().unwrap().trim() != name);
        }
        let source = format!(
            "name = 'promo'\nsheet = 's.csv'\ntemplate = 't.json.hbs'\nkey = 'key'\n\
             output = 'out'\n[studio]\nbase_url = '{}'\n{studio}\n{}\n{limits}\n",
            self.sandbox.base_url(),
            lines.join("\n")
        );
        let file = self.path("b.toml");
        std::fs::write(&file, &source).unwrap();
        batch::parse(&file, source).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// Plans the batch and commits the plan, as `run` does.
    pub(crate) async fn plan_and_commit(&self) -> BatchId {
        let batch = self.batch();
        let plan = plan::plan_batch(&batch, &self.sandbox.base_url(), &self.ledger).await.unwrap();
        assert!(plan.is_clean(), "{:?}", plan.problems);
        plan.commit(Clock::real().now()).await.unwrap()
    }

    /// Plans and runs until nothing is left to do.
    pub(crate) async fn run(&self) -> RunOutcome {
        self.run_with(RunOptions::default()).await
    }

    pub(crate) async fn run_with(&self, options: RunOptions) -> RunOutcome {
        let id = self.plan_and_commit().await;
        self.resume(id, options).await
    }

    /// Runs from the ledger alone.
    pub(crate) async fn resume(&self, id: BatchId, options: RunOptions) -> RunOutcome {
        self.try_resume(id, options).await.unwrap()
    }

    /// Runs with a ledger that may become unavailable.
    pub(crate) async fn try_resume(
        &self,
        id: BatchId,
        options: RunOptions,
    ) -> Result<RunOutcome, LedgerError> {
        let (batch, base_url) = (self.batch(), self.sandbox.base_url());
        let input =
            run_input(&batch, id, &self.ledger, &base_url, ai_studios(&batch, &base_url)).await;
        runner::run_batch(RunInput { options, stop: self.stop.clone(), ..input }).await
    }

    pub(crate) async fn rows(&self) -> Vec<JobRow> {
        let batch = self.ledger.batch("promo").await.unwrap();
        self.ledger.rows(batch.id, -1, 10_000).await.unwrap()
    }

    /// Returns the names of the videos in the output folder.
    pub(crate) fn videos(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path("out")) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".mp4"))
            .collect();
        names.sort();
        names
    }

    /// Checks the guarantees: nothing was paid twice, and no row was lost.
    pub(crate) async fn assert_guarantees(&self, rows: usize) {
        let bill = self.sandbox.bill();
        let twice: Vec<_> =
            bill.paid_twice().iter().filter(|twice| twice.by == DuplicateBasis::Name).collect();
        assert!(twice.is_empty(), "paid twice: {twice:?}");
        assert_eq!(self.rows().await.len(), rows, "rows were lost");
        for row in self.rows().await {
            if row.state == Some(JobState::Done) {
                let file = self.path("out").join(row.video_file.unwrap());
                assert!(file.metadata().unwrap().len() > 0);
            }
        }
        assert_eq!(self.sandbox.counters().leaked_tokens, 0, "the token went to a download host");
    }
}

/// Returns a client of the sandbox with the batch's settings.
pub(crate) fn ai_studios(batch: &Batch, base_url: &str) -> AiStudios {
    let credentials = Credentials::new(sandbox::APP_ID, sandbox::USER_KEY).unwrap();
    let mut settings =
        callsheet::aistudios::ClientSettings::new(Url::parse(base_url).unwrap(), credentials);
    settings.request_timeout = batch.limits.request_timeout;
    settings.paid_timeout = batch.limits.request_timeout;
    let client = ApiClient::new(settings, Clock::real()).unwrap();
    AiStudios::new(client, resolution(batch), None).with_state_words(state_words(&batch.vendor))
}

fn resolution(batch: &Batch) -> Option<String> {
    batch.studio.resolution.map(|resolution| resolution.as_str().to_owned())
}

/// Starts a run of a committed batch, and returns its input with default options.
pub(crate) async fn run_input<S: StudioApi>(
    batch: &Batch,
    id: BatchId,
    ledger: &Ledger,
    base_url: &str,
    studio: S,
) -> RunInput<S> {
    let clock = Clock::real();
    let owner = RunOwner { host: "test".to_owned(), pid: std::process::id() };
    let lease = ledger.begin_run(id, owner, clock.now()).await.unwrap();
    RunInput {
        studio,
        ledger: ledger.clone(),
        batch: id,
        lease,
        base_url: base_url.to_owned(),
        account_limits: AccountLimits::new(batch.limits.requests, batch.limits.submits, &clock),
        settings: RunSettings {
            limits: batch.limits.clone(),
            first_poll_delay: FIRST_POLL_DELAY,
            submission_mode: batch.studio.submission,
            on_uncertain: batch.studio.on_uncertain,
            resolution: resolution(batch),
            workspace_id: None,
            sample: false,
            output_dir: batch.output.clone(),
            vendor: batch.vendor.clone(),
            webhook_urls: None,
        },
        options: RunOptions::default(),
        clock,
        jitter: Jitter::from_seed(7),
        stop: StopSignal::default(),
        observer: RunObserver::noop(),
        marker: None,
    }
}

/// Copies the demo batch into a folder of its own.
pub(crate) fn copy_demo_batch(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (from, to) in [
        ("jobs/demo.toml", "jobs/demo.toml"),
        ("jobs/demo.csv", "jobs/demo.csv"),
        ("templates/presenter.json.hbs", "templates/presenter.json.hbs"),
    ] {
        let to = folder.join(to);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(root.join(from), to).unwrap();
    }
}

/// Returns the state words that the batch file adds to the built-in ones.
pub(crate) fn state_words(vendor: &VendorProfile) -> StateWords {
    StateWords {
        done: vendor.done_words.clone(),
        failed: vendor.failed_words.clone(),
        draft: vendor.draft_words.clone(),
    }
}

/// Has a request of an operator carried out under a lease, for whatever matches.
pub(crate) async fn carry_out_request(
    lease: &BatchLease,
    action: RequestedAction,
    now: Timestamp,
) -> OperatorRequest {
    let request = NewOperatorRequest {
        action,
        shown: None,
        requester: "cli:ann@desk".to_owned(),
        reason: None,
        token: None,
        credits_per_minute: 1.0,
    };
    let request = lease.ledger().submit_request(lease.batch(), request, now).await.unwrap();
    lease.carry_out_request(request.id, now).await.unwrap().request
}

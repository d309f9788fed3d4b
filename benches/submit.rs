//! Submissions per second without limits.
//!
//! The whole runner, the real client and a durable ledger on loopback, with one-step submissions,
//! against two servers: one that only returns ids, which shows our own cost, and the sandbox, which
//! reads and checks every project as AI Studios must. The baselines send the same body to the same
//! server: `reqwest` with kept connections, and `wrk` if it is installed. Server and client share the
//! cores of the machine in all of them. Ratios are printed and nothing is asserted, because machines
//! and the disk of the temporary folder differ.
//!
//! `cargo bench --bench submit -- 5000` sets the number of submissions (default 20,000).
#![expect(clippy::print_stdout, reason = "a bench is its output")]

mod large_batch;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{any, post};
use callsheet::aistudios::{AiStudios, ApiClient, Credentials};
use callsheet::batch::Batch;
use callsheet::clock::Clock;
use callsheet::ledger::{Durability, Ledger, RunOwner};
use callsheet::plan;
use callsheet::runner::{
    self, AccountLimits, FIRST_POLL_DELAY, Jitter, RunEvent, RunInput, RunObserver, RunOptions,
    RunSettings, StopSignal,
};
use callsheet::sandbox::{self, Sandbox};

/// The program's own, because it is the program that is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Open requests of the baselines; the runner claims as many together.
const CONNECTIONS: usize = 64;
const PROJECT_PATH: &str = "/api/odin/v3/editor/project";

#[tokio::main]
async fn main() {
    let count = large_batch::count_argument(20_000);
    // The body of all requests: the first project received.
    let body = Arc::new(Mutex::new(Bytes::new()));
    let target = BenchTarget {
        base_url: start_id_server(body.clone()).await,
        token: "t".to_owned(),
        credentials: Credentials::new("bench", "bench").expect("credentials"),
    };
    println!("{count} submissions to a server that only returns ids");
    print_comparison(&target, count, &body).await;
    let studio =
        Sandbox::start(sandbox::SandboxSettings::default()).await.expect("the sandbox starts");
    let target = BenchTarget {
        base_url: studio.base_url(),
        token: fetch_token(&studio.base_url()).await,
        credentials: Credentials::new(sandbox::APP_ID, sandbox::USER_KEY).expect("credentials"),
    };
    println!("{count} submissions to the sandbox");
    print_comparison(&target, count, &body).await;
    studio.stop().await;
}

/// The server and the credentials of all clients.
struct BenchTarget {
    base_url: String,
    token: String,
    credentials: Credentials,
}

/// Prints the rates of this program and of the baselines.
async fn print_comparison(target: &BenchTarget, count: usize, body: &Arc<Mutex<Bytes>>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = format!(
        "[studio]\nbase_url = '{}'\nsubmission = 'one-step'\n[limits]\nrequests = 'unlimited'\n\
         submits = 'unlimited'\nin_flight = {count}\ncanary = 0\npoll_min = '1h'\n\
         poll_max = '1h'\n",
        target.base_url
    );
    let batch = large_batch::write_batch(folder.path(), count, &settings);
    let ours = submissions_per_second(&batch, folder.path(), target, count).await;
    let body = body.lock().expect("no task panics").clone();
    let line = |name: &str, rate: f64| {
        println!("  {name:<38} {rate:>9.0}/s   callsheet reaches {:.2} of it", ours / rate);
    };
    println!("  {:<38} {ours:>9.0}/s", "callsheet, intents and responses durable");
    line("reqwest with kept connections", baseline_requests_per_second(target, &body, count).await);
    match wrk_requests_per_second(target, &body, folder.path()).await {
        Some(wrk) => line("wrk (target 0.50)", wrk),
        None => println!("  wrk is not installed"),
    }
}

/// Returns the submissions per second of the runner, from its first claim to the commit of the last
/// response.
async fn submissions_per_second(
    batch: &Batch,
    folder: &Path,
    target: &BenchTarget,
    count: usize,
) -> f64 {
    let clock = Clock::real();
    let file = folder.join("l.db");
    let ledger = Ledger::open(&file, Durability::PowerLoss).await.expect("a new ledger");
    let plan =
        plan::plan_batch(batch, &target.base_url, &ledger).await.expect("the sheet is valid");
    let id = plan.commit(clock.now()).await.expect("the plan is committed");
    let owner = RunOwner { host: "bench".to_owned(), pid: std::process::id() };
    let lease = ledger.begin_run(id, owner, clock.now()).await.expect("the batch is there");
    let url = target.base_url.parse().expect("a URL");
    let settings = callsheet::aistudios::ClientSettings::new(url, target.credentials.clone());
    let client = ApiClient::new(settings, clock.clone()).expect("a client");
    let (stop, left) = (StopSignal::default(), AtomicU64::new(count as u64));
    let (began, ended) = (Instant::now(), Arc::new(OnceLock::new()));
    let observer = RunObserver::new({
        let (stop, ended) = (stop.clone(), ended.clone());
        move |event| {
            if let RunEvent::Halted { message } = &event {
                println!("halted: {message}");
            }
            let accepted = matches!(event, RunEvent::Rendering { .. });
            if accepted && left.fetch_sub(1, Ordering::Relaxed) == 1 {
                ended.set(Instant::now()).expect("it ends once");
                stop.escalate();
            }
        }
    });
    let account_limits = AccountLimits::new(batch.limits.requests, batch.limits.submits, &clock);
    runner::run_batch(RunInput {
        account_limits,
        studio: AiStudios::new(client, None, None),
        ledger: ledger.clone(),
        batch: id,
        lease,
        base_url: target.base_url.clone(),
        settings: RunSettings {
            limits: batch.limits.clone(),
            first_poll_delay: FIRST_POLL_DELAY,
            submission_mode: batch.studio.submission,
            on_uncertain: batch.studio.on_uncertain,
            resolution: None,
            workspace_id: None,
            sample: false,
            output_dir: folder.join("out"),
            vendor: batch.vendor.clone(),
            webhook_urls: None,
        },
        options: RunOptions { canary: false, ..RunOptions::default() },
        clock,
        jitter: Jitter::from_seed(7),
        stop,
        observer,
        marker: None,
    })
    .await
    .expect("the ledger can be read");
    ledger.close().await;
    let ended = *ended.get().expect("every row was accepted");
    count as f64 / (ended - began).as_secs_f64()
}

async fn baseline_requests_per_second(target: &BenchTarget, body: &Bytes, count: usize) -> f64 {
    let builder = reqwest::Client::builder().no_proxy().http1_only().tls_certs_only([]);
    let client = builder.build().expect("a client");
    let left = Arc::new(AtomicU64::new(count as u64));
    let began = Instant::now();
    let senders = (0..CONNECTIONS).map(|_| {
        let request = client
            .post(format!("{}{PROJECT_PATH}", target.base_url))
            .header("content-type", "application/json")
            .header("authorization", &target.token)
            .body(body.clone());
        let left = left.clone();
        tokio::spawn(async move {
            let take = |left: u64| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                let request = request.try_clone().expect("the body is in memory");
                let response = request.send().await.expect("loopback works");
                assert!(response.status().is_success(), "{response:?}");
                response.bytes().await.expect("loopback works");
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.expect("no task panics");
    }
    count as f64 / began.elapsed().as_secs_f64()
}

/// Measures `wrk` with two threads for three seconds.
async fn wrk_requests_per_second(target: &BenchTarget, body: &Bytes, folder: &Path) -> Option<f64> {
    std::fs::write(folder.join("body.json"), body).ok()?;
    let script = format!(
        "local file = io.open('{}')\nwrk.method = 'POST'\nwrk.body = file:read('*a')\n\
         wrk.headers['content-type'] = 'application/json'\nwrk.headers['authorization'] = '{}'\n",
        folder.join("body.json").display(),
        target.token
    );
    let path = folder.join("wrk.lua");
    std::fs::write(&path, script).ok()?;
    let url = format!("{}{PROJECT_PATH}", target.base_url);
    let run = move || {
        let mut wrk = Command::new("wrk");
        wrk.args(["-t2", &format!("-c{CONNECTIONS}"), "-d3s", "-s"]).arg(path).arg(url).output()
    };
    let out = tokio::task::spawn_blocking(run).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(!text.contains("Non-2xx"), "the server rejected requests: {text}");
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"))?;
    line.trim().parse().ok()
}

/// Requests a token from the sandbox.
async fn fetch_token(base_url: &str) -> String {
    let client =
        reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
    let credentials =
        format!(r#"{{"appId":"{}","userKey":"{}"}}"#, sandbox::APP_ID, sandbox::USER_KEY);
    let request = client.post(format!("{base_url}/api/odin/v3/auth/token")).body(credentials);
    let request = request.header("content-type", "application/json");
    let body = request.send().await.expect("loopback works").bytes().await;
    let body: serde_json::Value =
        serde_json::from_slice(&body.expect("loopback works")).expect("it is JSON");
    body["data"]["token"].as_str().expect("it contains a token").to_owned()
}

/// Starts a server that returns an id for every project and keeps the first body; returns its URL.
async fn start_id_server(first: Arc<Mutex<Bytes>>) -> String {
    let token = r#"{"success":true,"data":{"token":"bench","expiresIn":3600}}"#;
    let router = Router::new()
        .route("/api/odin/v3/auth/token", any(move || async move { token }))
        .route(PROJECT_PATH, post(create_project))
        .fallback(any(|| async { "{}" }))
        .with_state((Arc::new(AtomicU64::new(0)), first));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base_url = format!("http://{}", listener.local_addr().expect("it listens"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    base_url
}

type ServerState = (Arc<AtomicU64>, Arc<Mutex<Bytes>>);

async fn create_project(
    State((count, first)): State<ServerState>,
    body: Bytes,
) -> ([(&'static str, &'static str); 1], String) {
    let number = count.fetch_add(1, Ordering::Relaxed);
    if number == 0 {
        *first.lock().expect("no task panics") = body;
    }
    let response = format!(r#"{{"success":true,"data":{{"projectId":"project{number:08}"}}}}"#);
    ([("content-type", "application/json")], response)
}

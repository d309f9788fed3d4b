//! How fast paid requests leave when nothing but this program holds them back.
//!
//! The whole runner, the real client and a durable ledger against a server on loopback that does
//! nothing but answer ids, one-step and without limits. The rivals send the same body to the same
//! server in the same run: `reqwest` with kept connections and nothing else, and `wrk` where it is
//! installed. Server and client share the machine's cores in all of them. Prints ratios and asserts
//! nothing: machines differ, and the figures depend on the disk that the temporary folder is on.
//!
//! `cargo bench --bench submit -- 5000` takes another number of submissions than 20,000.
#![expect(clippy::print_stdout, reason = "a bench is its output")]

mod night;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{any, post};
use callsheet::batch::Batch;
use callsheet::clock::Clock;
use callsheet::ledger::{Durability, Ledger, Owner};
use callsheet::plan;
use callsheet::runner::{self, Dice, Happening, Observer, Orders, Settings, Shift, Stop, Vendor};
use callsheet::studio::{Client, Credentials};

/// Requests that the bare client has open at once, as many as the runner claims together.
const OPEN: usize = 64;
const PATH: &str = "/api/odin/v3/editor/project";

#[tokio::main]
async fn main() {
    let count = night::asked(20_000);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::start().await;
    let settings = format!(
        "[studio]\nbase_url = '{}'\nsubmission = 'one-step'\n[limits]\nrequests = 'unlimited'\n\
         submits = 'unlimited'\nin_flight = {count}\ncanary = 0\npoll_min = '1h'\n\
         poll_max = '1h'\n",
        server.base_url
    );
    let batch = night::batch(folder.path(), count, &settings);
    let ours = submitted(&batch, folder.path(), &server, count).await;
    let body = server.seen.body.lock().expect("nobody panics").clone();
    println!("{count} submissions of {} bytes", body.len());
    println!("{:<40} {ours:>9.0}/s", "callsheet, intents and answers durable");
    let bare = bare(&server, &body, count).await;
    println!("{:<40} {bare:>9.0}/s", "reqwest alone, connections kept");
    println!("{:<40} {:>9.2}   (target 0.50)", "ratio to it", ours / bare);
    match wrk(&server, &body, folder.path()).await {
        Some(wrk) => {
            println!("{:<40} {wrk:>9.0}/s", "wrk");
            println!("{:<40} {:>9.2}", "ratio to it", ours / wrk);
        }
        None => println!("wrk is not installed here"),
    }
}

/// Returns how many submissions a second the runner reaches, from the first request's arrival to
/// the last answer's commit.
async fn submitted(batch: &Batch, folder: &Path, server: &Server, count: usize) -> f64 {
    let clock = Clock::real();
    let file = folder.join("l.db");
    let ledger = Ledger::open(&file, Durability::PowerLoss).await.expect("a new ledger");
    let plan = plan::draw_up(batch, &server.base_url, &ledger).await.expect("a right sheet");
    let id = plan.take_in(clock.now()).await.expect("the ledger takes it");
    let owner = Owner { host: "bench".to_owned(), pid: std::process::id() };
    let lease = ledger.begin_run(id, owner, clock.now()).await.expect("the batch is there");
    let url = server.base_url.parse().expect("an address");
    let credentials = Credentials::new("bench", "bench").expect("credentials");
    let settings = callsheet::studio::Settings::new(url, credentials);
    let client = Client::new(settings, clock.clone()).expect("a client");
    let (stop, left) = (Stop::default(), AtomicU64::new(count as u64));
    let ended = Arc::new(Mutex::new(None));
    let observer = Observer::new({
        let (stop, ended) = (stop.clone(), ended.clone());
        move |happening| {
            if let Happening::Halted { words } = &happening {
                println!("halted: {words}");
            }
            let accepted = matches!(happening, Happening::Rendering { .. });
            if accepted && left.fetch_sub(1, Ordering::Relaxed) == 1 {
                *ended.lock().expect("nobody panics") = Some(Instant::now());
                stop.escalate();
            }
        }
    });
    runner::run(Shift {
        studio: Vendor::new(client, None, None),
        ledger: ledger.clone(),
        batch: id,
        lease,
        base_url: server.base_url.clone(),
        settings: Settings {
            limits: batch.limits.clone(),
            submission: batch.studio.submission,
            on_uncertain: batch.studio.on_uncertain,
            resolution: None,
            workspace_id: None,
            output: folder.join("out"),
        },
        orders: Orders { canary: false, ..Orders::default() },
        clock,
        dice: Dice::seeded(7),
        stop,
        observer,
    })
    .await
    .expect("the ledger can be read");
    ledger.close().await;
    let ended = ended.lock().expect("nobody panics").expect("every row was accepted");
    let began = server.seen.first.lock().expect("nobody panics").expect("a request arrived");
    assert_eq!(server.seen.count.load(Ordering::Relaxed), count as u64, "one request each");
    count as f64 / (ended - began).as_secs_f64()
}

async fn bare(server: &Server, body: &Bytes, count: usize) -> f64 {
    let builder = reqwest::Client::builder().no_proxy().http1_only().tls_certs_only([]);
    let client = builder.build().expect("a client");
    let url = format!("{}{PATH}", server.base_url);
    let left = Arc::new(AtomicU64::new(count as u64));
    let began = Instant::now();
    let senders = (0..OPEN).map(|_| {
        let (client, url, body, left) = (client.clone(), url.clone(), body.clone(), left.clone());
        tokio::spawn(async move {
            let take = |left: u64| left.checked_sub(1);
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
                let request = client.post(&url).header("content-type", "application/json");
                let answer = request.header("authorization", "t").body(body.clone()).send();
                answer.await.expect("loopback works").bytes().await.expect("loopback works");
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.expect("nobody panics");
    }
    count as f64 / began.elapsed().as_secs_f64()
}

/// Lets `wrk` do the same, with two threads, for three seconds.
async fn wrk(server: &Server, body: &Bytes, folder: &Path) -> Option<f64> {
    std::fs::write(folder.join("body.json"), body).ok()?;
    let script = format!(
        "local file = io.open('{}')\nwrk.method = 'POST'\nwrk.body = file:read('*a')\n\
         wrk.headers['content-type'] = 'application/json'\nwrk.headers['authorization'] = 't'\n",
        folder.join("body.json").display()
    );
    let path = folder.join("wrk.lua");
    std::fs::write(&path, script).ok()?;
    let url = format!("{}{PATH}", server.base_url);
    let run = move || {
        let mut wrk = Command::new("wrk");
        wrk.args(["-t2", &format!("-c{OPEN}"), "-d3s", "-s"]).arg(path).arg(url).output()
    };
    let out = tokio::task::spawn_blocking(run).await.ok()?.ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let line = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"))?;
    line.trim().parse().ok()
}

/// Answers every project with an id, and remembers no more than the bench must know.
struct Server {
    base_url: String,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    count: AtomicU64,
    first: Mutex<Option<Instant>>,
    body: Mutex<Bytes>,
}

impl Server {
    async fn start() -> Self {
        let seen = Arc::new(Seen::default());
        let token = r#"{"success":true,"data":{"token":"bench","expiresIn":3600}}"#;
        let router = Router::new()
            .route("/api/odin/v3/auth/token", any(move || async move { token }))
            .route(PATH, post(answer))
            .fallback(any(|| async { "{}" }))
            .with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}", listener.local_addr().expect("it listens"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base_url, seen }
    }
}

async fn answer(
    State(seen): State<Arc<Seen>>,
    body: Bytes,
) -> ([(&'static str, &'static str); 1], String) {
    let number = seen.count.fetch_add(1, Ordering::Relaxed);
    if number == 0 {
        *seen.first.lock().expect("nobody panics") = Some(Instant::now());
        *seen.body.lock().expect("nobody panics") = body;
    }
    let answer = format!(r#"{{"success":true,"data":{{"projectId":"project{number:08}"}}}}"#);
    ([("content-type", "application/json")], answer)
}

//! Callbacks from AI Studios: in any form, the run has the same result.
//!
//! The real program and the sandbox, with a relay between them where a test needs the secret
//! callback URLs, as a tunnel would see them.

mod callback_formats;
mod callback_path;
mod forged;
mod lost_responses;
mod relay;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use callsheet::sandbox::{self, Sandbox};
use serde_json::Value;

use crate::support::test_cli::{CommandOutput, TestCli};
use relay::CallbackRelay;

/// Polls so rare that a run which ends in this test's time was called.
pub(super) const RARE_POLLS: &str = "
[limits]
requests = 'unlimited'
submits = 'unlimited'
in_flight = 32
canary = 0
poll_min = '60s'
poll_max = '10min'
backoff_min = '20ms'
backoff_max = '100ms'
settle_after = '8s'
confirm_after = '50ms'
request_timeout = '2s'
";

/// Returns a free port. Not an ephemeral one: thousands of connections use those while the tests
/// run, and the receiver binds it only later.
pub(super) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number =
            std::process::id().wrapping_mul(31).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(20_000 + number % 10_000).unwrap();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// An office whose batch is called back through a relay.
struct CallbackTest {
    pub(super) cli: TestCli,
    relay: CallbackRelay,
}

impl CallbackTest {
    pub(super) async fn new(
        rows: usize,
        (studio, limits): (&str, &str),
        change: impl FnOnce(&mut sandbox::SandboxSettings),
    ) -> Self {
        let office = TestCli::with_settings(rows, studio, change).await;
        let port = free_port();
        let relay = CallbackRelay::start(port).await;
        let url = relay.url();
        let webhook = format!("[webhook]\npublic_url = '{url}'\nlisten = '127.0.0.1:{port}'\n");
        office.write_batch(studio, &format!("{limits}\n{webhook}"));
        Self { cli: office, relay }
    }

    pub(super) async fn run(&self) -> CommandOutput {
        let running = self.cli.start(&mut self.cli.command(&["run", "b.toml", "--webhook"]));
        tokio::task::spawn_blocking(move || running.wait()).await.unwrap()
    }
}

/// Returns the highest number of polls of any project.
pub(super) fn polls_per_project_max(sandbox: &Sandbox) -> usize {
    let mut polls = std::collections::BTreeMap::new();
    for seen in sandbox.requests().iter().filter(|seen| seen.endpoint == "progress") {
        *polls.entry(seen.path.clone()).or_insert(0) += 1;
    }
    polls.into_values().max().unwrap_or(0)
}

/// Everything of the ledger that does not name a time, a run or an id, in the ledger's order.
pub(super) fn ledger_content(office: &TestCli) -> Vec<String> {
    let keys = office.run(&["jobs", "b.toml", "--json"]);
    let mut told = Vec::new();
    for line in keys.stdout.lines() {
        let job: Value = serde_json::from_str(line).unwrap();
        let key = job["key"].as_str().unwrap().to_owned();
        let shown = office.run(&["show", "b.toml", &key, "--json"]);
        let story: Value = serde_json::from_str(&shown.stdout).unwrap();
        let pick = |value: &Value, fields: &[&str]| -> String {
            fields.iter().map(|field| value[field].to_string()).collect::<Vec<_>>().join(" ")
        };
        told.push(pick(&story, &["key", "state", "version", "attempts", "video_file"]));
        for one in story["submissions"].as_array().unwrap() {
            told.push(pick(one, &["attempt", "version", "way", "outcome", "looks"]));
            // The second part belongs to the ledger.
            told.push(one["tag"].as_str().unwrap().split('-').next().unwrap().to_owned());
        }
        for one in story["events"].as_array().unwrap() {
            told.push(pick(one, &["event", "state", "version"]));
        }
    }
    told
}

/// As long as any render of the virtual AI Studios may take.
pub(super) const LONG_TIMEOUT: Duration = Duration::from_secs(3600);

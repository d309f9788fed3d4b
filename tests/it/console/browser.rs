//! The console in a real browser, headless Chromium, where one is installed.
//!
//! The browser is driven over its own pipe; no driver and no network is needed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::TestConsole;
use crate::support::test_cli::TestCli;

const CHROMIUM: &str = "/usr/bin/chromium";
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A browser, and the commands that were sent to it.
struct TestBrowser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    commands: u64,
    /// Errors that pages have logged.
    errors: Vec<String>,
    _profile: tempfile::TempDir,
}

impl TestBrowser {
    /// Starts the browser; `None` where none is installed.
    #[expect(clippy::print_stderr, reason = "a skipped test must not look like one that passed")]
    fn start() -> Option<Self> {
        if !std::path::Path::new(CHROMIUM).exists() {
            eprintln!("skipped: there is no {CHROMIUM}");
            return None;
        }
        let profile = tempfile::tempdir().unwrap();
        let options = format!(
            "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
             --remote-debugging-pipe --user-data-dir={}",
            profile.path().display()
        );
        // The browser reads commands from descriptor 3 and writes to 4.
        let script = format!("exec {CHROMIUM} {options} 3<&0 4>&1 >/dev/null 2>&1");
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, to, from, commands: 0, errors: Vec::new(), _profile: profile })
    }

    /// Sends a command and returns its result.
    fn call(&mut self, session: Option<&str>, method: &str, params: &Value) -> Value {
        self.commands += 1;
        let id = self.commands;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut bytes = Vec::new();
            let read = self.from.read_until(0, &mut bytes).unwrap();
            assert!(read > 0, "the browser ended");
            let message: Value = serde_json::from_slice(&bytes[..bytes.len() - 1]).unwrap();
            self.note_error(&message);
            if message["id"] == id {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
        }
    }

    fn note_error(&mut self, message: &Value) {
        let entry = &message["params"]["entry"];
        let is_error = entry["level"] == "error" || message["method"] == "Runtime.exceptionThrown";
        if is_error {
            self.errors.push(message["params"].to_string());
        }
    }

    /// Opens a tab.
    fn open(&mut self, url: &str) -> String {
        let target = self.call(None, "Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.call(None, "Target.attachToTarget", &attach)["sessionId"].clone();
        let session = session.as_str().unwrap().to_owned();
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            self.call(Some(&session), domain, &json!({}));
        }
        self.call(Some(&session), "Page.navigate", &json!({ "url": url }));
        session
    }

    /// Evaluates an expression in a tab until it is true.
    fn wait_for(&mut self, session: &str, expression: &str) {
        let begun = Instant::now();
        let params = json!({ "expression": expression, "returnByValue": true });
        loop {
            let value = self.call(Some(session), "Runtime.evaluate", &params);
            if value["result"]["value"] == true {
                return;
            }
            assert!(begun.elapsed() < WAIT_MAX, "never true: {expression}\n{value}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for TestBrowser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_tabs_load_without_errors_and_follow_a_run() {
    let Some(mut browser) = TestBrowser::start() else { return };
    let cli = TestCli::new(5).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let console = TestConsole::start(&cli, &[]).await;
    let first = browser.open(&console.link.clone().unwrap());
    browser.wait_for(
        &first,
        "document.title.startsWith('Batches') && document.readyState == 'complete'",
    );
    let address = format!("{}/batches/promo", console.url);
    let tabs: Vec<String> = (0..8).map(|_| browser.open(&address)).collect();
    for tab in &tabs {
        browser.wait_for(
            tab,
            "document.title.startsWith('promo') && document.readyState == 'complete'",
        );
    }
    cli.write_rows(6);
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let last = tabs.last().unwrap();
    let done = "document.querySelector('#now .lead').textContent.startsWith('6 of 6')";
    browser.wait_for(last, done);
    browser.wait_for(last, "document.querySelectorAll('#runs .chip').length == 2");
    let row = browser.open(&format!("{address}/rows/k000"));
    browser.wait_for(&row, "document.querySelector('video')?.readyState >= 1");
    assert_eq!(browser.errors, Vec::<String>::new());
    console.stop();
}

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
/// More elements than a page has for the Tab key.
const TABS_MAX: usize = 60;

/// A browser, and the commands that were sent to it.
pub(super) struct TestBrowser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    commands: u64,
    /// Errors that pages have logged.
    pub(super) errors: Vec<String>,
    _profile: tempfile::TempDir,
}

impl TestBrowser {
    /// Starts the browser; `None` where none is installed.
    #[expect(clippy::print_stderr, reason = "a skipped test must not look like one that passed")]
    pub(super) fn start() -> Option<Self> {
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
    pub(super) fn call(&mut self, session: Option<&str>, method: &str, params: &Value) -> Value {
        let answer = self.send(session, method, params);
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Sends a command and returns the answer, which may be an error.
    fn send(&mut self, session: Option<&str>, method: &str, params: &Value) -> Value {
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
                return message;
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
    pub(super) fn open(&mut self, url: &str) -> String {
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

    /// Presses keys one after the other: a letter, or a name such as `Tab`.
    pub(super) fn press(&mut self, session: &str, keys: &[&str]) {
        for key in keys {
            let (code, text) = match *key {
                "Tab" => (9, None),
                "Enter" => (13, Some("\r".to_owned())),
                letter => {
                    (u32::from(letter.as_bytes()[0].to_ascii_uppercase()), Some(letter.to_owned()))
                }
            };
            let mut params =
                json!({ "type": "keyDown", "key": key, "windowsVirtualKeyCode": code });
            if let Some(text) = text {
                params["text"] = json!(text);
            }
            self.call(Some(session), "Input.dispatchKeyEvent", &params);
            params["type"] = json!("keyUp");
            self.call(Some(session), "Input.dispatchKeyEvent", &params);
        }
    }

    /// Presses Tab until the focus is on the element with this text.
    pub(super) fn tab_to(&mut self, session: &str, text: &str) {
        let script =
            format!("document.activeElement.textContent.trim().startsWith({})", json!(text));
        let params = json!({ "expression": script, "returnByValue": true });
        for _ in 0..TABS_MAX {
            self.press(session, &["Tab"]);
            let value = self.call(Some(session), "Runtime.evaluate", &params);
            if value["result"]["value"] == true {
                return;
            }
        }
        panic!("no key leads to {text}");
    }

    /// Signs in with the link of a console and opens a page of it.
    pub(super) fn sign_in(&mut self, console: &TestConsole, path: &str) -> String {
        let tab = self.open(&console.link.clone().unwrap());
        self.wait_for(
            &tab,
            "document.title.startsWith('Batches') && document.readyState == 'complete'",
        );
        self.go(&tab, &format!("{}{path}", console.url));
        tab
    }

    /// Opens another page in a tab, and returns when it is there.
    pub(super) fn go(&mut self, session: &str, url: &str) {
        self.call(Some(session), "Page.navigate", &json!({ "url": url }));
        let is_there =
            format!("location.href == {} && document.readyState == 'complete'", json!(url));
        self.wait_for(session, &is_there);
    }

    /// Opens a page in a tab and returns the time from its request to its first text or picture.
    pub(super) fn first_paint_ms(&mut self, session: &str, url: &str) -> f64 {
        self.go(session, url);
        let paint = "performance.getEntriesByName('first-contentful-paint')";
        self.wait_for(session, &format!("{paint}.length == 1"));
        let params =
            json!({ "expression": format!("{paint}[0].startTime"), "returnByValue": true });
        let value = self.call(Some(session), "Runtime.evaluate", &params);
        value["result"]["value"].as_f64().unwrap()
    }

    /// Evaluates an expression in a tab.
    pub(super) fn evaluate(&mut self, session: &str, expression: &str) -> Value {
        let params = json!({ "expression": expression, "returnByValue": true });
        self.call(Some(session), "Runtime.evaluate", &params)["result"]["value"].take()
    }

    /// Makes a tab a phone with a touch screen.
    pub(super) fn use_phone(&mut self, session: &str) {
        let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true });
        self.call(Some(session), "Emulation.setDeviceMetricsOverride", &phone);
        let touch = json!({ "enabled": true });
        self.call(Some(session), "Emulation.setTouchEmulationEnabled", &touch);
    }

    /// Taps the element that a selector finds, where it is on the screen.
    pub(super) fn tap(&mut self, session: &str, selector: &str) {
        let place = format!(
            "(() => {{ const one = document.querySelector({}); one.scrollIntoView({{block: 'center'}}); \
             const box = one.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            json!(selector)
        );
        let place = self.evaluate(session, &place);
        let points = json!([{ "x": place[0], "y": place[1] }]);
        let begun = json!({ "type": "touchStart", "touchPoints": points });
        self.call(Some(session), "Input.dispatchTouchEvent", &begun);
        let ended = json!({ "type": "touchEnd", "touchPoints": [] });
        self.call(Some(session), "Input.dispatchTouchEvent", &ended);
    }

    /// Types a text where the focus is.
    pub(super) fn type_text(&mut self, session: &str, text: &str) {
        self.call(Some(session), "Input.insertText", &json!({ "text": text }));
    }

    /// Chooses a file in the field that a selector finds.
    pub(super) fn choose_file(&mut self, session: &str, selector: &str, file: &std::path::Path) {
        let field = json!({ "expression": format!("document.querySelector({})", json!(selector)) });
        let field = self.call(Some(session), "Runtime.evaluate", &field);
        let chosen = json!({ "files": [file], "objectId": field["result"]["objectId"] });
        self.call(Some(session), "DOM.setFileInputFiles", &chosen);
    }

    /// Evaluates an expression in a tab until it is true.
    pub(super) fn wait_for(&mut self, session: &str, expression: &str) {
        let begun = Instant::now();
        let params = json!({ "expression": expression, "returnByValue": true });
        loop {
            // A page that goes away while it is asked answers with an error.
            let value = self.send(Some(session), "Runtime.evaluate", &params);
            if value["result"]["result"]["value"] == true {
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

/// Lets a tab believe that another one is in front of it, or none any more.
fn set_hidden(browser: &mut TestBrowser, tab: &str, is_hidden: bool) {
    let script = format!(
        "Object.defineProperty(document, 'hidden', {{ value: {is_hidden}, configurable: true }}); \
         document.dispatchEvent(new Event('visibilitychange'))"
    );
    browser.evaluate(tab, &script);
}

/// Waits until so many tabs of the browser hold the stream.
fn wait_for_streams(browser: &mut TestBrowser, tab: &str, streams: usize) {
    let count = "navigator.locks.query().then((locks) => { window.streams = locks.held.length; })";
    browser.wait_for(tab, &format!("({count}, window.streams === {streams})"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_visible_tab_of_a_browser_holds_the_stream_and_hidden_ones_hold_none() {
    let Some(mut browser) = TestBrowser::start() else { return };
    let cli = TestCli::new(1).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let console = TestConsole::start(&cli, &[]).await;
    let first = browser.sign_in(&console, "/batches/promo");
    let second = browser.open(&format!("{}/batches/promo", console.url));
    for tab in [&first, &second] {
        wait_for_streams(&mut browser, tab, 1);
    }
    set_hidden(&mut browser, &second, true);
    set_hidden(&mut browser, &first, true);
    wait_for_streams(&mut browser, &first, 0);
    set_hidden(&mut browser, &second, false);
    wait_for_streams(&mut browser, &second, 1);
    cli.write_rows(2);
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let done = "document.querySelector('#now .lead').textContent.startsWith('2 of 2')";
    browser.wait_for(&second, done);
    assert_eq!(browser.errors, Vec::<String>::new());
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_is_sent_once_however_often_its_button_is_pressed() {
    let Some(mut browser) = TestBrowser::start() else { return };
    let cli = TestCli::new(1).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let console = TestConsole::start(&cli, &[]).await;
    let tab = browser.sign_in(&console, "/batches/promo/actions/pause");
    browser.wait_for(&tab, "document.documentElement.classList.contains('js')");
    let sent = browser.evaluate(
        &tab,
        "[1, 2].map(() => document.querySelector('form[method=post]:has([name=token])')
            .dispatchEvent(new SubmitEvent('submit', { bubbles: true, cancelable: true })))",
    );
    assert_eq!(sent, json!([true, false]));
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn videos_are_judged_and_taken_back_with_the_keyboard_alone() {
    let Some(mut browser) = TestBrowser::start() else { return };
    let cli = TestCli::new(3).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let console = TestConsole::start(&cli, &[]).await;
    let tab = browser.sign_in(&console, "/batches/promo/review");
    browser.tab_to(&tab, "Review one by one");
    browser.press(&tab, &["Enter"]);
    let shows = |key: &str| {
        format!(
            "document.readyState == 'complete' && !document.querySelector('[data-guarded]') \
             && document.querySelector('figcaption .key')?.textContent == '{key}'"
        )
    };
    browser.wait_for(&tab, &shows("k000"));
    browser.press(&tab, &["j"]);
    browser.wait_for(&tab, &shows("k001"));
    browser.press(&tab, &["k"]);
    browser.wait_for(&tab, &shows("k000"));
    browser.press(&tab, &["a"]);
    browser.wait_for(&tab, &shows("k001"));
    // The letters of a reason are no commands.
    browser.press(&tab, &["r"]);
    browser.wait_for(&tab, "document.activeElement.name == 'reason'");
    browser.press(&tab, &["j", "a", "k", "u"]);
    browser.tab_to(&tab, "Reject");
    browser.press(&tab, &["Enter"]);
    browser.wait_for(&tab, &shows("k002"));
    browser.press(&tab, &["u"]);
    browser.wait_for(&tab, &shows("k001"));
    let judged = cli.run(&["runs", "promo", "--json"]);
    let document: Value = serde_json::from_str(&judged.stdout).unwrap();
    let entries = document["audit"].as_array().unwrap().iter().rev();
    let verdicts: Vec<String> = entries
        .map(|entry| {
            format!("{} {} {}", entry["key"], entry["subject"], entry["reason"]).replace('"', "")
        })
        .collect();
    assert_eq!(verdicts, ["k000 approved null", "k001 rejected jaku", "k001 withdrawn null"]);
    assert_eq!(browser.errors, Vec::<String>::new());
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn actions_work_without_a_script_and_with_the_keyboard_alone() {
    let Some(mut browser) = TestBrowser::start() else { return };
    let cli = TestCli::new(2).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes", "--limit", "1"]).code, Some(8));
    let console = TestConsole::start(&cli, &[]).await;
    let tab = browser.sign_in(&console, "/batches/promo");
    let off = json!({ "value": true });
    browser.call(Some(&tab), "Emulation.setScriptExecutionDisabled", &off);
    browser.go(&tab, &format!("{}/batches/promo", console.url));
    browser.wait_for(&tab, "!document.documentElement.classList.contains('js')");
    // The page before lost its script in the middle of a wait.
    browser.errors.clear();
    browser.tab_to(&tab, "Pause…");
    browser.press(&tab, &["Enter"]);
    browser.wait_for(&tab, "document.title.startsWith('Pause the batch')");
    browser.tab_to(&tab, "Pause");
    browser.press(&tab, &["Enter"]);
    browser.wait_for(&tab, "document.querySelector('#request .chip')?.textContent == 'done'");
    browser.go(&tab, &format!("{}/batches/promo", console.url));
    browser.tab_to(&tab, "Continue…");
    assert_eq!(browser.errors, Vec::<String>::new());
    console.stop();
}

/// No page is wider than a phone, in either colour scheme, whatever it shows.
#[tokio::test(flavor = "multi_thread")]
async fn no_page_is_wider_than_a_phone_and_every_field_has_a_name() {
    let Some(mut browser) = TestBrowser::start() else { return };
    let cli = TestCli::with_settings(4, "", |settings| {
        settings.faults.add("400=create:1").unwrap();
    })
    .await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(3));
    let console = TestConsole::start(&cli, &[]).await;
    let tab = browser.sign_in(&console, "/");
    let phone = json!({ "width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": true });
    browser.call(Some(&tab), "Emulation.setDeviceMetricsOverride", &phone);
    for path in [
        "/",
        "/new",
        "/audit",
        "/settings?batch=promo",
        "/batches/promo",
        "/batches/promo/rows",
        "/batches/promo/rows/k001",
        "/batches/promo/timeline",
        "/batches/promo/review",
        "/batches/promo/review?show=all&key=k001",
        "/batches/promo/share",
        "/batches/promo/actions/retry",
    ] {
        browser.go(&tab, &format!("{}{path}", console.url));
        let fits = "document.documentElement.scrollWidth <= 360";
        let params = json!({ "expression": fits, "returnByValue": true });
        let value = browser.call(Some(&tab), "Runtime.evaluate", &params);
        assert_eq!(value["result"]["value"], true, "{path} is too wide");
        let named = "[...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
            .every((one) => one.labels?.length > 0 || one.ariaLabel)";
        let params = json!({ "expression": named, "returnByValue": true });
        let value = browser.call(Some(&tab), "Runtime.evaluate", &params);
        assert_eq!(value["result"]["value"], true, "{path} has a field without a name");
    }
    assert_eq!(browser.errors, Vec::<String>::new());
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_whole_on_a_phone() {
    let Some(mut browser) = TestBrowser::start() else { return };
    let cli = TestCli::new(1).await;
    let key = "SPRING-2026-limited-edition-teapot-with-two-cups-017";
    cli.write("s.csv", &format!("key,script\n{key},Hello\n"));
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    let console = TestConsole::start(&cli, &[]).await;
    let tab = browser.sign_in(&console, "/batches/promo");
    browser.use_phone(&tab);
    for (path, keys) in [
        ("", ".events .key"),
        ("/rows", ".rows .key"),
        (&format!("/review?key={key}"), "figcaption .key"),
    ] {
        browser.go(&tab, &format!("{}/batches/promo{path}", console.url));
        let is_whole = format!(
            "(() => {{ const keys = [...document.querySelectorAll('{keys}')];
            return keys.length > 0 && keys.every((one) => one.scrollWidth <= one.clientWidth + 1
                && getComputedStyle(one).whiteSpace != 'nowrap'); }})()"
        );
        assert_eq!(browser.evaluate(&tab, &is_whole), true, "{path}");
        let fits = "document.documentElement.scrollWidth <= 360";
        assert_eq!(browser.evaluate(&tab, fits), true, "{path}");
    }
    console.stop();
}

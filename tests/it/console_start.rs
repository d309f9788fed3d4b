//! From a spreadsheet to videos in a browser: upload, columns, cells, approval, run, change of a row.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use serde_json::Value;

use crate::support::test_cli::{LIMITS, RunningCommand, TestCli};

/// A run of a test ends within this time.
const RUN_TIMEOUT: Duration = Duration::from_secs(90);
const SHEET: &str = "\
Spring campaign,,
SKU,Product,Script
TEA-001,Spring tea,\"Our first spring harvest has arrived, light and floral.\"
MUG-014,Monday mug,\"It holds 400 ml, and it survives the dishwasher.\"
";

/// A console, and a browser that is signed in.
struct Browser {
    console: RunningCommand,
    base: String,
    cookie: String,
    http: reqwest::Client,
}

/// An answer of the console.
struct Answer {
    status: u16,
    location: String,
    text: String,
}

impl Browser {
    async fn open(office: &TestCli) -> Self {
        let mut command = office.command(&["serve", "--console", "127.0.0.1:0"]);
        command.env("AISTUDIOS_BASE_URL", office.sandbox.base_url());
        let console = office.start(&mut command);
        let link = wait_for(|| find_link(&console)).await;
        let (base, token) = link.split_once("/welcome?token=").unwrap();
        // Fails if another test has installed a provider, which is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only(std::iter::empty())
            .build()
            .unwrap();
        let response = http
            .post(format!("{base}/welcome"))
            .header(ORIGIN, base)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={token}"))
            .send()
            .await
            .unwrap();
        let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self { base: base.to_owned(), cookie, http, console }
    }

    async fn get(&self, path: &str) -> Answer {
        let request = self.http.get(format!("{}{path}", self.base)).header(COOKIE, &self.cookie);
        read_answer(request.send().await.unwrap()).await
    }

    async fn json(&self, path: &str) -> Value {
        let request = self.http.get(format!("{}{path}", self.base)).header(COOKIE, &self.cookie);
        let response = request.header("accept", "application/json").send().await.unwrap();
        serde_json::from_str(&response.text().await.unwrap()).unwrap()
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let request = self.http.post(format!("{}{path}", self.base)).header(COOKIE, &self.cookie);
        let request = request.header(ORIGIN, &self.base).body(form.finish());
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        read_answer(request.send().await.unwrap()).await
    }

    /// Sends a form with a file, whose name leads elsewhere.
    async fn upload(&self, path: &str, fields: &[(&str, &str)], file: &[u8]) -> Answer {
        let boundary = "----boundary";
        let mut body = Vec::new();
        for (name, text) in fields {
            let part = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n"
            );
            body.extend(part.into_bytes());
        }
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"sheet\"; \
             filename=\"../../../evil.sh\"\r\nContent-Type: text/csv\r\n\r\n"
        );
        body.extend(head.into_bytes());
        body.extend(file);
        body.extend(format!("\r\n--{boundary}--\r\n").into_bytes());
        let request = self.http.post(format!("{}{path}", self.base)).header(COOKIE, &self.cookie);
        let request = request.header(ORIGIN, &self.base).body(body);
        let kind = format!("multipart/form-data; boundary={boundary}");
        read_answer(request.header("content-type", kind).send().await.unwrap()).await
    }

    /// Creates the batch of [`SHEET`]. Returns its address.
    async fn create(&self, title: &str) -> String {
        let made = self
            .upload("/new", &[("title", title), ("template", "automatic")], SHEET.as_bytes())
            .await;
        assert_eq!(made.status, 303, "{}", made.text);
        made.location
    }

    /// Waits until the approval of a batch is in this state.
    async fn wait_for_state(&self, address: &str, state: &str) {
        let begun = Instant::now();
        loop {
            let shown = self.json(&format!("{address}/started")).await;
            if shown["state"] == state {
                return;
            }
            assert!(begun.elapsed() < RUN_TIMEOUT, "it never {state}: {shown}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the audit trail of a batch, oldest first: action, outcome, reason.
    async fn audit_trail(&self, batch: &str) -> Vec<String> {
        let document = self.json(&format!("/audit?batch={batch}")).await;
        let line = |entry: &Value| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            let line = format!("{} {} {}", text("action"), text("outcome"), text("reason"));
            line.trim_end().to_owned()
        };
        document["audit"].as_array().unwrap().iter().rev().map(line).collect()
    }

    /// Approves the plan that the page shows.
    async fn approve(&self, address: &str) -> Answer {
        let shown = self.json(address).await;
        let hash = shown["plan"]["hash"].as_str().unwrap().to_owned();
        self.post(&format!("{address}/start"), &[("hash", &hash), ("shown", "2 new")]).await
    }
}

async fn read_answer(response: reqwest::Response) -> Answer {
    let status = response.status().as_u16();
    let location = response.headers().get(LOCATION).map(|value| value.to_str().unwrap().to_owned());
    Answer { status, location: location.unwrap_or_default(), text: response.text().await.unwrap() }
}

fn find_link(console: &RunningCommand) -> Option<String> {
    let printed = console.stdout() + &console.stderr();
    let link = printed.split_whitespace().find(|word| word.contains("/welcome?token="))?;
    // The line is complete.
    printed.contains(&format!("{link}\n")).then(|| link.to_owned())
}

/// Returns the first result.
async fn wait_for<T>(mut ready: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(begun.elapsed() < RUN_TIMEOUT, "it never happened");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a batch has this many finished videos.
async fn wait_for_videos(office: &TestCli, batch: &str, videos: usize) {
    wait_for(|| {
        let listed = office.run(&["jobs", batch, "--json"]);
        let done = listed.stdout.matches("\"state\":\"done\"").count();
        (done >= videos).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spreadsheet_becomes_videos_without_a_terminal_and_a_changed_cell_one_new_version() {
    let office = TestCli::new(0).await;
    let browser = Browser::open(&office).await;
    let address = browser.create("Spring Launch").await;
    assert_eq!(address, "/new/spring-launch");
    let page = browser.get(&address).await;
    assert!(page.text.contains("Our first spring harvest"), "{}", page.text);
    assert!(page.text.contains("2 new"), "{}", page.text);
    assert_eq!(office.sandbox.render_count(), 0, "nothing is paid before the approval");

    let started = browser.approve(&address).await;
    assert_eq!((started.status, started.location.as_str()), (303, "/new/spring-launch/started"));
    wait_for_videos(&office, "spring-launch", 2).await;
    assert_eq!(office.sandbox.render_count(), 2);

    let shown = browser.json(&address).await;
    assert_eq!(shown["plan"]["unchanged"], 2, "{shown}");
    let row = browser.get("/batches/spring-launch/rows/MUG-014/edit").await;
    assert_eq!(row.location, "/new/spring-launch?row=4#cells", "{}", row.text);
    let page = browser.get("/new/spring-launch?row=4").await;
    let hash = hidden_field(&page.text, "sheet");
    let cells = [("sheet", hash.as_str()), ("c.4.2", "It holds 500 ml, and it survives anything.")];
    let saved = browser.post("/new/spring-launch/save", &cells).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let shown = browser.json(&address).await;
    assert_eq!(shown["plan"]["changed"], 1, "{shown}");
    assert_eq!(shown["plan"]["to_render"], 1, "{shown}");
    let again = browser.post("/new/spring-launch/save", &cells).await;
    assert_eq!(again.status, 409, "the sheet is another one by now");
    assert_eq!(browser.approve(&address).await.status, 303);
    wait_for(|| (office.sandbox.render_count() == 3).then_some(())).await;
    wait_for_videos(&office, "spring-launch", 2).await;
    assert_eq!(office.sandbox.bill().paid_twice(), []);
}

fn hidden_field(page: &str, name: &str) -> String {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_of_a_plan_that_changed_starts_nothing_and_shows_the_difference() {
    let office = TestCli::new(0).await;
    let browser = Browser::open(&office).await;
    let address = browser.create("Spring").await;
    let shown = browser.json(&address).await;
    let hash = shown["plan"]["hash"].as_str().unwrap().to_owned();
    let more = format!("{SHEET}BAG-207,Sail bag,\"One bag, three pockets, and no logo on it.\"\n");
    let replaced = browser.upload("/new/spring/sheet", &[], more.as_bytes()).await;
    assert_eq!(replaced.status, 303, "{}", replaced.text);
    let refused = browser.post("/new/spring/start", &[("hash", &hash), ("shown", "2 new")]).await;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("you approved 2 new; now it is 3 new"), "{}", refused.text);
    assert_eq!(office.sandbox.render_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn run_of_a_plan_that_changed_after_its_approval_renders_nothing() {
    let office = TestCli::new(0).await;
    let browser = Browser::open(&office).await;
    let address = browser.create("Spring").await;
    let shown = browser.json(&address).await;
    let hash = shown["plan"]["hash"].as_str().unwrap();
    let changed = SHEET.replace("400 ml", "500 ml");
    let replaced = browser.upload(&format!("{address}/sheet"), &[], changed.as_bytes()).await;
    assert_eq!(replaced.status, 303, "{}", replaced.text);
    let file = batch_file(&office, "spring");
    let args = ["run", file.to_str().unwrap(), "--yes", "--approved-plan", hash];
    let mut command = office.command(&args);
    command.env("AISTUDIOS_BASE_URL", office.sandbox.base_url());
    let ended = office.start(&mut command).wait();
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert!(ended.stderr.contains("changed since the plan was approved"), "{ended:?}");
    assert_eq!(office.sandbox.render_count(), 0);
}

/// The sheet is a pipe until the run has opened it once: what it reads before it plans is another sheet
/// than the approved one, which it plans.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn run_of_a_sheet_that_changes_while_it_is_planned_renders_nothing() {
    use std::os::unix::fs::OpenOptionsExt;
    let office = TestCli::new(0).await;
    let browser = Browser::open(&office).await;
    let address = browser.create("Spring").await;
    let shown = browser.json(&address).await;
    let hash = shown["plan"]["hash"].as_str().unwrap();
    let file = batch_file(&office, "spring");
    let sheet = file.with_file_name("sheet.csv");
    let approved = file.with_file_name("approved.csv");
    std::fs::rename(&sheet, &approved).unwrap();
    let other = std::fs::read_to_string(&approved).unwrap().replace("400 ml", "500 ml");
    assert!(std::process::Command::new("mkfifo").arg(&sheet).status().unwrap().success());
    let args = ["run", file.to_str().unwrap(), "--yes", "--approved-plan", hash];
    let mut command = office.command(&args);
    command.env("AISTUDIOS_BASE_URL", office.sandbox.base_url());
    let mut run = office.start(&mut command);
    // Without waiting, a pipe opens only if the run reads it.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
    let mut pipe = loop {
        let opened = std::fs::OpenOptions::new().write(true).custom_flags(flags).open(&sheet);
        if let Ok(pipe) = opened {
            break pipe;
        }
        assert!(run.is_running(), "{}", run.stderr());
        tokio::task::yield_now().await;
    };
    std::fs::rename(&approved, &sheet).unwrap();
    std::io::Write::write_all(&mut pipe, other.as_bytes()).unwrap();
    drop(pipe);
    let ended = run.wait();
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert!(ended.stderr.contains("changed since the plan was approved"), "{ended:?}");
    assert_eq!(office.sandbox.render_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_during_a_live_run_begins_when_that_run_has_ended() {
    let office = TestCli::new(0).await;
    let browser = Browser::open(&office).await;
    let address = browser.create("Spring").await;
    assert_eq!(browser.approve(&address).await.status, 303);
    wait_for(|| (office.sandbox.render_count() > 0).then_some(())).await;
    let more = format!("{SHEET}BAG-207,Sail bag,\"One bag, three pockets, and no logo on it.\"\n");
    let replaced = browser.upload("/new/spring/sheet", &[], more.as_bytes()).await;
    assert_eq!(replaced.status, 303, "{}", replaced.text);
    let approved = browser.approve(&address).await;
    assert_eq!(approved.status, 303, "{}", approved.text);
    browser.wait_for_state(&address, "waits-for-run").await;
    let page = browser.get(&format!("{address}/started")).await.text;
    assert!(page.contains("It waits for the run of"), "{page}");
    let page = browser.get("/batches/spring").await.text;
    assert!(page.contains("It waits for the run of"), "{page}");
    wait_for_videos(&office, "spring", 3).await;
    assert_eq!(office.sandbox.render_count(), 3);
    let log = office.path("callsheet-console/spring/run.log");
    wait_for(|| {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let line = said.lines().rfind(|line| line.starts_with("This run:"))?;
        // The former run made the other two.
        line.contains("1 video in").then_some(())
    })
    .await;
    let runs = office.run(&["runs", "spring", "--json"]);
    assert_eq!(runs.stdout.matches("\"started\"").count(), 2, "{runs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_for_later_begins_at_its_time_and_renders_nothing_once_it_is_withdrawn() {
    let office = TestCli::new(0).await;
    let browser = Browser::open(&office).await;
    let address = browser.create("Spring").await;
    let shown = browser.json(&address).await;
    let hash = shown["plan"]["hash"].as_str().unwrap().to_owned();
    let start = format!("{address}/start");
    let later = [("hash", hash.as_str()), ("shown", "2 new"), ("at", "2099-01-01T22:00")];
    assert_eq!(browser.post(&start, &later).await.status, 303);
    assert_eq!(browser.json(&format!("{address}/started")).await["state"], "waits-until");
    for path in [address.clone(), format!("{address}/started")] {
        let page = browser.get(&path).await.text;
        assert!(page.contains("The run begins <time"), "{path}: {page}");
        assert!(page.contains("Withdraw the approval"), "{path}: {page}");
        assert!(!page.contains("Approve and render"), "{path}: {page}");
    }
    let withdraw = format!("{address}/withdraw");
    assert_eq!(browser.post(&withdraw, &[]).await.status, 303);
    assert_eq!(browser.post(&withdraw, &[]).await.status, 409, "there is none any more");
    let page = browser.get(&format!("{address}/started")).await.text;
    assert!(page.contains("withdrawn by user:console"), "{page}");
    assert_eq!(office.sandbox.render_count(), 0);

    let soon = jiff::Zoned::now().datetime().saturating_add(jiff::SignedDuration::from_secs(2));
    let soon = soon.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let fields =
        [("hash", hash.as_str()), ("shown", "2 new"), ("at", &soon), ("because", "tonight")];
    assert_eq!(browser.post(&start, &fields).await.status, 303);
    wait_for_videos(&office, "spring", 2).await;
    assert_eq!(office.sandbox.render_count(), 2);
    let trail = browser.audit_trail("spring").await;
    assert_eq!(
        trail,
        [
            "create-batch done",
            "approve-plan done",
            "start expired",
            "withdraw done",
            "approve-plan done tonight",
            "start done tonight"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn audit_trail_has_every_change_with_its_requester_object_and_outcome() {
    let office = TestCli::new(0).await;
    let browser = Browser::open(&office).await;
    let address = browser.create("Spring").await;
    let page = browser.get(&address).await.text;
    let hash = hidden_field(&page, "sheet");
    let cells = [("sheet", hash.as_str()), ("c.4.2", "It holds 500 ml, and it survives anything.")];
    assert_eq!(browser.post(&format!("{address}/save"), &cells).await.status, 303);
    let replaced = browser.upload(&format!("{address}/sheet"), &[], SHEET.as_bytes()).await;
    assert_eq!(replaced.status, 303, "{}", replaced.text);
    let outdated = [("hash", "0123"), ("shown", "9 new")];
    assert_eq!(browser.post(&format!("{address}/start"), &outdated).await.status, 409);
    assert_eq!(browser.approve(&address).await.status, 303);
    wait_for_videos(&office, "spring", 2).await;
    let link = [("label", "Agency"), ("days", "3")];
    assert_eq!(browser.post("/batches/spring/share", &link).await.status, 200);
    assert_eq!(browser.post("/settings/share-links/1/revoke", &[]).await.status, 303);
    let judged = office.run(&["review", "spring", "--reject", "MUG-014", "--reason", "too fast"]);
    assert_eq!(judged.code, Some(0), "{judged:?}");
    assert_eq!(
        browser.audit_trail("spring").await,
        [
            "create-batch done",
            "edit done",
            "replace-sheet done",
            "approve-plan refused",
            "approve-plan done",
            "start done",
            "create-share-link done",
            "revoke-share-link done",
            "verdict done too fast"
        ]
    );
    let printed = office.run(&["runs", "spring", "--json"]);
    let document: Value = serde_json::from_str(&printed.stdout).unwrap();
    let entry = |action: &str| {
        let entries = document["audit"].as_array().unwrap();
        entries.iter().find(|entry| entry["action"] == action).unwrap().clone()
    };
    let (edit, approval, start) = (entry("edit"), entry("approve-plan"), entry("start"));
    assert_eq!((&edit["key"], &edit["requester"]), (&"MUG-014".into(), &"user:console".into()));
    assert!(edit["subject"].as_str().unwrap().contains("is now “It holds 500 ml"), "{edit}");
    assert_eq!(
        (&approval["subject"], &approval["estimated_credits"]),
        (&"2 new".into(), &2.0.into())
    );
    assert_eq!((&start["run"], &start["hash"]), (&document["runs"][0]["run"], &approval["hash"]));
    let shown = office.run(&["show", "spring", "MUG-014", "--json"]);
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    let actions = shown["audit"].as_array().unwrap().iter().map(|entry| entry["action"].clone());
    assert_eq!(actions.collect::<Vec<_>>(), ["edit", "verdict"]);
    let page = browser.get("/audit").await.text;
    for words in ["spreadsheet replaced", "you approved 9 new", "Agency", "too fast", "cli:"] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_are_shown_at_their_cells_and_prevent_an_approval() {
    let office = TestCli::new(0).await;
    let browser = Browser::open(&office).await;
    let sheet = format!("{SHEET}BAG-207,Sail bag,\n");
    let made = browser.upload("/new", &[("title", "Bad")], sheet.as_bytes()).await;
    assert_eq!(made.status, 303, "{}", made.text);
    let page = browser.get("/new/bad").await;
    assert!(page.text.contains("aria-invalid=\"true\""), "{}", page.text);
    assert!(!page.text.contains("Approve and render"), "{}", page.text);
    let refused = browser.approve("/new/bad").await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.text.contains("Fix the problems first"), "{}", refused.text);
    let hash = hidden_field(&page.text, "sheet");
    let cells = [("sheet", hash.as_str()), ("c.5.2", "One bag, three pockets, and no logo on it.")];
    assert_eq!(browser.post("/new/bad/save", &cells).await.status, 303);
    let page = browser.get("/new/bad").await;
    assert!(page.text.contains("Approve and render 3 videos"), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_that_pays_for_videos_again_starts_only_with_its_confirmation() {
    let office = TestCli::new(0).await;
    let browser = Browser::open(&office).await;
    let more = "BAG-207,Sail bag,\"One bag, three pockets, and no logo on it.\"\n\
                CUP-001,Cup,\"A cup for the office, and for the garden.\"\n";
    let sheet = format!("{SHEET}{more}");
    let made = browser.upload("/new", &[("title", "Spring")], sheet.as_bytes()).await;
    let address = made.location;
    write_test_limits(&office, "spring");
    assert_eq!(browser.approve(&address).await.status, 303);
    wait_for_videos(&office, "spring", 4).await;
    let changed = sheet.replace(".\"\n", ", every day.\"\n");
    let replaced = browser.upload(&format!("{address}/sheet"), &[], changed.as_bytes()).await;
    assert_eq!(replaced.status, 303, "{}", replaced.text);
    let shown = browser.json(&address).await;
    assert_eq!((&shown["plan"]["changed"], &shown["plan"]["paid_again"]), (&4.into(), &4.into()));
    let refused = browser.approve(&address).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.text.contains("Confirm that videos"), "{}", refused.text);
    let trail = browser.audit_trail("spring").await;
    let expected = ["replace-sheet done", "approve-plan refused"];
    assert_eq!(trail[trail.len() - 2..], expected, "{trail:?}");
    assert_eq!(office.sandbox.render_count(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_approvals_at_once_start_one_run() {
    let office = TestCli::new(0).await;
    let browser = Browser::open(&office).await;
    let address = browser.create("Twice").await;
    let shown = browser.json(&address).await;
    let hash = shown["plan"]["hash"].as_str().unwrap();
    let path = format!("{address}/start");
    let fields = [("hash", hash), ("shown", "2 new")];
    let (one, other) = tokio::join!(browser.post(&path, &fields), browser.post(&path, &fields));
    assert_eq!((one.status, other.status), (303, 303), "{} {}", one.text, other.text);
    wait_for_videos(&office, "twice", 2).await;
    let runs = office.run(&["runs", "twice", "--json"]);
    assert_eq!(runs.stdout.matches("\"started\"").count(), 1, "{runs:?}");
    assert_eq!(office.sandbox.render_count(), 2);
    let trail = browser.audit_trail("twice").await;
    assert_eq!(trail, ["create-batch done", "approve-plan done", "start done"]);
}

/// Returns the batch file of a batch that the console made.
fn batch_file(office: &TestCli, batch: &str) -> PathBuf {
    let folder = office.path("callsheet-console").join(batch);
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files = files.filter(|file| file.extension().is_some_and(|ending| ending == "toml"));
    files.next().unwrap()
}

/// Lets the runs of a batch that the console made poll and settle without the pauses of a real account.
fn write_test_limits(office: &TestCli, batch: &str) {
    let file = batch_file(office, batch);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, format!("{text}\n{LIMITS}")).unwrap();
}

/// Kills the console at some moment of an approval, and then does what a user does.
async fn kill_during_approval(office: &TestCli, round: u64) {
    let mut browser = Browser::open(office).await;
    // Each round has videos of its own, so that none counts as another one's.
    let sheet = SHEET.replace("TEA", &format!("TEA{round}")).replace("MUG", &format!("MUG{round}"));
    let title = format!("Round {round}");
    let made = browser.upload("/new", &[("title", title.as_str())], sheet.as_bytes()).await;
    let address = made.location;
    write_test_limits(office, &format!("round-{round}"));
    let shown = browser.json(&address).await;
    let hash = shown["plan"]["hash"].as_str().unwrap().to_owned();
    let post = browser
        .http
        .post(format!("{}{address}/start", browser.base))
        .header(COOKIE, &browser.cookie)
        .header(ORIGIN, &browser.base)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("hash={hash}&shown=2+new"));
    let sending = tokio::spawn(post.send());
    tokio::time::sleep(Duration::from_millis(round * 17)).await;
    browser.console.child.kill().unwrap();
    browser.console.child.wait().unwrap();
    let _ = sending.await;
    // The user looks again, and approves unless the run has begun.
    let browser = Browser::open(office).await;
    let shown = browser.json(&address).await;
    if shown["plan"]["to_render"] == 2 {
        let _ = browser.approve(&address).await;
    }
    wait_for_videos(office, &format!("round-{round}"), 2).await;
}

/// The rounds run at the same time, because their runs wait most of the time.
#[tokio::test(flavor = "multi_thread")]
async fn console_killed_at_any_moment_of_an_approval_loses_nothing_and_pays_nothing_twice() {
    let office = TestCli::new(0).await;
    let rounds = (0..5).map(|round| kill_during_approval(&office, round));
    futures_util::future::join_all(rounds).await;
    assert_eq!(office.sandbox.render_count(), 10);
    assert_eq!(office.sandbox.bill().paid_twice(), []);
}

/// Returns the command lines and nothing else of this user's processes.
fn command_lines() -> String {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn password_of_a_server_reaches_the_run_that_an_approval_starts_and_nothing_else() {
    let password = "s3cret-of-the-ledger";
    let mut office = TestCli::new(0).await;
    if !office.use_server_with_password(password) {
        return;
    }
    let browser = Browser::open(&office).await;
    let address = browser.create("Spring").await;
    let approved = browser.approve(&address).await;
    assert_eq!(approved.status, 303, "{}", approved.text);
    wait_for(|| command_lines().contains("--approved-plan").then_some(())).await;
    assert!(!command_lines().contains(password), "it is in a command line");
    wait_for_videos(&office, "spring", 2).await;
    for path in
        ["/", "/settings", "/audit", "/batches/spring", "/new/spring", "/new/spring/started"]
    {
        let page = browser.get(path).await;
        assert!(!page.text.contains(password), "{path}");
    }
    assert_eq!(office.sandbox.render_count(), 2);
    office.assert_absent_from_files(&[password]);
    let database = office.database().unwrap();
    assert_eq!(
        database.query("select count(*) from audit_entry where words like '%s3cret%'"),
        ["0"]
    );
}

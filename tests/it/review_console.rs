//! Review in the console and through share links, as a browser sees it.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::support::test_cli::{LIMITS, RunningCommand, TestCli};

/// A console in its own process, and the cookie of its operator.
struct TestConsole {
    address: String,
    cookie: String,
    _process: RunningCommand,
}

struct PageResponse {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl PageResponse {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value)
    }
}

impl TestConsole {
    async fn start(office: &TestCli) -> Self {
        let args = ["serve", "--json", "--console", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
        let process = office.start(&mut office.command(&args));
        let console = loop {
            let lines = process.stdout();
            let documents =
                lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            match documents.into_iter().find(|document| document["link"].is_string()) {
                Some(console) => break console,
                None => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
            }
        };
        let link = url::Url::parse(console["link"].as_str().unwrap()).unwrap();
        let address = format!("{}:{}", link.host_str().unwrap(), link.port().unwrap());
        let token = link.query_pairs().find(|(name, _)| name == "token").unwrap().1.into_owned();
        let mut console = Self { address, cookie: String::new(), _process: process };
        let welcome = console.post("/welcome", &format!("token={token}"));
        let cookie = welcome.header("set-cookie").unwrap_or_else(|| panic!("{}", welcome.head));
        console.cookie = cookie.split(';').next().unwrap().to_owned();
        console
    }

    fn send(&self, head: &str, body: &str) -> PageResponse {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let (host, length) = (&self.address, body.len());
        let request = format!(
            "{head}\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        let end = response.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8(response[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        PageResponse { status, head, body: response[end + 4..].to_vec() }
    }

    fn get(&self, path: &str) -> PageResponse {
        self.send(&format!("GET {path} HTTP/1.1\r\nCookie: {}", self.cookie), "")
    }

    fn get_as_stranger(&self, path: &str) -> PageResponse {
        self.send(&format!("GET {path} HTTP/1.1"), "")
    }

    fn post(&self, path: &str, form: &str) -> PageResponse {
        self.post_with(&format!("Cookie: {}", self.cookie), path, form)
    }

    fn post_as_stranger(&self, path: &str, form: &str) -> PageResponse {
        self.post_with("Accept: text/html", path, form)
    }

    fn post_with(&self, header: &str, path: &str, form: &str) -> PageResponse {
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let head =
            format!("POST {path} HTTP/1.1\r\n{header}\r\n{kind}\r\nSec-Fetch-Site: same-origin");
        self.send(&head, form)
    }
}

/// Returns the videos as `review --json` lists them.
fn videos(office: &TestCli) -> Vec<Value> {
    let list = office.run(&["review", "promo", "--json"]);
    let list: Value = serde_json::from_str(&list.stdout).unwrap();
    list["videos"].as_array().unwrap().clone()
}

/// Returns the form that binds a verdict to a video.
fn form(video: &Value, verdict: &str) -> String {
    let text = |name: &str| video[name].as_str().unwrap().to_owned();
    format!(
        "key={}&version={}&digest={}&verdict={verdict}",
        text("key"),
        video["version"],
        text("digest")
    )
}

async fn reviewed_batch() -> (TestCli, TestConsole) {
    let office = TestCli::new(3).await;
    office.write_batch("", LIMITS);
    assert_eq!(office.run(&["run", "b.toml"]).code, Some(0));
    let console = TestConsole::start(&office).await;
    (office, console)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reviewer_judges_in_the_browser_what_was_seen_and_exports_only_what_is_approved() {
    let (office, console) = reviewed_batch().await;
    let grid = console.get("/batches/promo/review").text();
    for key in ["k000", "k001", "k002"] {
        assert!(grid.contains(key), "{grid}");
    }
    let player = console.get("/batches/promo/review?key=k000").text();
    assert!(player.contains("Hello 0") && player.contains("<video"), "{player}");
    let place = |words: &str| player.find(words).unwrap_or_else(|| panic!("{words}: {player}"));
    assert!(place("Spoken text") < place("<details><summary>Cells of row 2"), "{player}");
    assert!(place("Your verdict on <b class=\"key\">k000</b>") < place("Approve k000"), "{player}");
    assert!(!player.contains("placeholders of the virtual"), "{player}");
    let video = console.get("/batches/promo/review/videos/k000");
    assert_eq!((video.status, video.header("content-type")), (200, Some("video/mp4")));

    let all = videos(&office);
    let page = "/batches/promo/review";
    let approved = console.post(page, &form(&all[0], "approved"));
    assert_eq!(approved.status, 303, "{}", approved.text());
    assert!(approved.header("location").unwrap().contains("key=k001"), "the next one waits");
    let next = console.get(approved.header("location").unwrap()).text();
    assert!(
        next.contains("k000</b> approved") && next.contains("Undo the verdict on k000"),
        "{next}"
    );
    let reason = format!("{}&reason=wrong+%3Cprice%3E", form(&all[1], "rejected"));
    assert_eq!(console.post(page, &reason).status, 303);
    let shown = console.get("/batches/promo/review?key=k001").text();
    assert!(shown.contains("wrong &lt;price&gt;"), "{shown}");
    for (request, status) in [
        (form(&all[2], "approved").replace("digest=", "digest=0"), 409),
        (form(&all[2], "rejected"), 400),
        (form(&all[2], "good"), 400),
    ] {
        assert_eq!(console.post(page, &request).status, status, "{request}");
    }
    let query = format!("{page}?{}", form(&all[2], "approved"));
    assert_eq!(console.get(&query).status, 200, "reading changes nothing");
    let stranger = console.post_as_stranger(page, &form(&all[2], "approved"));
    assert_eq!(stranger.status, 401);
    let given: Vec<Value> =
        videos(&office).into_iter().map(|video| video["review"].clone()).collect();
    assert_eq!(given, [Value::from("approved"), Value::from("rejected"), Value::Null]);

    let csv = console.get("/batches/promo/review/approved.csv").text();
    assert!(csv.contains("k000") && !csv.contains("k001") && !csv.contains("k002"), "{csv}");
    let zip = console.get("/batches/promo/review/approved.zip");
    assert_eq!(zip.header("content-type"), Some("application/zip"));
    let zip = String::from_utf8_lossy(&zip.body).into_owned();
    let file = all[0]["video_file"].as_str().unwrap();
    assert!(zip.contains(file) && !zip.contains(all[1]["video_file"].as_str().unwrap()));
    let metrics = console.get("/metrics").text();
    assert!(metrics.contains("callsheet_jobs{batch=\"promo\",state=\"done\"} 3"), "{metrics}");
    assert_ne!(console.get_as_stranger("/metrics").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_link_shows_its_videos_alone_until_it_is_revoked() {
    let (office, console) = reviewed_batch().await;
    let made = console.post("/batches/promo/share", "label=Agency&days=2&keys=k001");
    assert_eq!(made.status, 200, "{}", made.text());
    let text = made.text();
    let (_, rest) = text.split_once("href=\"/share/").unwrap();
    let token = rest.split('"').next().unwrap().to_owned();
    let shared = format!("/share/{token}");
    let page = console.get_as_stranger(&shared).text();
    assert!(page.contains("k001") && !page.contains("k000"), "{page}");
    assert_eq!(console.get_as_stranger(&format!("{shared}/videos/k001")).status, 200);
    assert_eq!(console.get_as_stranger(&format!("{shared}/videos/k000")).status, 404);
    assert_ne!(console.get_as_stranger("/batches/promo/review").status, 200);

    let all = videos(&office);
    let nameless = console.post_as_stranger(&shared, &form(&all[1], "approved"));
    assert_eq!(nameless.status, 400);
    let judged = format!("{}&name=Ann", form(&all[1], "approved"));
    assert_eq!(console.post_as_stranger(&shared, &judged).status, 303);
    let foreign = format!("{}&name=Ann", form(&all[0], "approved"));
    assert_eq!(console.post_as_stranger(&shared, &foreign).status, 404);
    let now = videos(&office);
    assert_eq!(now[1]["reviewed_by"], "Ann (Agency)");
    assert_eq!(now[1]["origin"], "share");
    assert_eq!(now[0]["review"], Value::Null);
    office.assert_absent_from_files(&[&token]);

    let settings = console.get("/settings").text();
    assert!(settings.contains("Agency"), "{settings}");
    assert_eq!(console.post_as_stranger("/settings/share-links/1/revoke", "").status, 401);
    assert_eq!(console.get_as_stranger(&shared).status, 200);
    assert_eq!(console.post("/settings/share-links/1/revoke", "").status, 303);
    for path in [shared.clone(), format!("{shared}/videos/k001"), "/share/unknown".to_owned()] {
        assert_eq!(console.get_as_stranger(&path).status, 404, "{path}");
    }
    assert_eq!(console.post_as_stranger(&shared, &judged).status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_link_shows_nothing_after_its_days() {
    let (office, console) = reviewed_batch().await;
    let shared = share_all(&console, "Agency");
    let judged = format!("{}&name=Ann", form(&videos(&office)[0], "approved"));
    assert_eq!(console.get_as_stranger(&shared).status, 200);
    let ended = "update share_link set created_at = created_at - 2 * 86400000 - 1,
        expires_at = expires_at - 2 * 86400000 - 1";
    change_ledger(&office, ended).await;
    for path in [shared.clone(), format!("{shared}/videos/k000")] {
        assert_eq!(console.get_as_stranger(&path).status, 404, "{path}");
    }
    assert_eq!(console.post_as_stranger(&shared, &judged).status, 404);
    assert_eq!(videos(&office)[0]["review"], Value::Null);
}

/// Executes a statement in the ledger, beside the program.
async fn change_ledger(office: &TestCli, statement: &'static str) {
    if let Some(database) = office.database() {
        database.query(statement);
        return;
    }
    use sqlx::{ConnectOptions, Connection};
    let file = sqlx_sqlite::SqliteConnectOptions::new().filename(office.path("callsheet.db"));
    let mut db = file.connect().await.unwrap();
    sqlx::query(statement).execute(&mut db).await.unwrap();
    db.close().await.unwrap();
}

/// Makes a share link for all videos. Returns its address.
fn share_all(console: &TestConsole, label: &str) -> String {
    let made = console.post("/batches/promo/share", &format!("label={label}&days=2"));
    let text = made.text();
    let whole = format!("value=\"http://{}/share/", console.address);
    let (_, rest) = text.split_once(&whole).unwrap_or_else(|| panic!("no {whole}: {text}"));
    format!("/share/{}", rest.split('"').next().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_takes_back_their_own_verdict_and_no_other_one() {
    let (office, console) = reviewed_batch().await;
    let shared = share_all(&console, "Agency");
    let other_link = share_all(&console, "Client");
    let all = videos(&office);
    let as_guest = |video: usize, verdict: &str, name: &str| {
        format!("{}&name={name}", form(&all[video], verdict))
    };
    let judged = console.post_as_stranger(&shared, &as_guest(0, "approved", "Ann"));
    assert_eq!(judged.status, 303, "{}", judged.text());
    // Each form of the page that follows names the guest.
    let page = console.get_as_stranger(judged.header("location").unwrap()).text();
    let forms = page.matches("<form").count();
    assert!(page.contains(">Undo<") && forms >= 2, "{page}");
    assert_eq!(page.matches("name=\"name\" value=\"Ann\"").count(), forms, "{page}");
    let player = console.get_as_stranger(&format!("{shared}?key=k000&name=Ann")).text();
    assert!(player.contains("Take the verdict back"), "{player}");
    let player = console.get_as_stranger(&format!("{shared}?key=k000&name=Bob")).text();
    assert!(!player.contains("Take the verdict back"), "{player}");
    for (link, name, status) in
        [(&shared, "Bob", 409), (&other_link, "Ann", 409), (&shared, "Ann", 303)]
    {
        let answer = console.post_as_stranger(link, &as_guest(0, "withdrawn", name));
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
    }
    assert_eq!(videos(&office)[0]["review"], Value::Null);

    let page = "/batches/promo/review";
    assert_eq!(console.post(page, &form(&all[1], "approved")).status, 303);
    for verdict in ["withdrawn", "rejected&reason=no", "approved"] {
        let answer = console.post_as_stranger(&shared, &as_guest(1, verdict, "Ann"));
        assert_eq!(answer.status, 409, "{verdict}");
        let text = answer.text();
        assert!(text.contains("has decided about"), "{text}");
    }
    assert_eq!(videos(&office)[1]["review"], "approved");
    let player = console.get_as_stranger(&format!("{shared}?key=k001&name=Ann")).text();
    assert!(!player.contains("value=\"approved\""), "{player}");
    // A user changes what a guest decided.
    let guest = as_guest(2, "approved", "Ann");
    assert_eq!(console.post_as_stranger(&shared, &guest).status, 303);
    assert_eq!(console.post(page, &format!("{}&reason=no", form(&all[2], "rejected"))).status, 303);
    assert_eq!(videos(&office)[2]["review"], "rejected");
    let ended = console.get_as_stranger("/share/unknown").text();
    assert!(ended.contains("This link has ended") && !ended.contains("All batches"), "{ended}");
}

//! What the console shows of credentials and of sessions, and what the ledger stores of their secrets.

use std::collections::BTreeSet;
use std::process::Stdio;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use callsheet::sandbox;
use reqwest::{Method, StatusCode, header};
use serde_json::Value;

use super::uploads::upload;
use super::{TestConsole, add_user};
use crate::support::test_cli::TestCli;

const ROUTES: &str = include_str!("../../../src/console/routes.rs");
/// Credentials of a profile, which only the file has.
const PROFILE: [&str; 2] = ["app-id-of-the-profile", "user-key-of-the-profile"];

/// Returns the paths of all pages, as the table of routes has them.
fn page_routes() -> Vec<&'static str> {
    let entries = ROUTES.split("ConsoleRoute::").skip(1);
    let pages = entries
        .filter(|entry| entry.starts_with("get(") || entry.starts_with("public(RouteMethod::Get"));
    pages.filter_map(|entry| entry.split('"').nth(1)).collect()
}

/// Returns whether an address is one of a route.
fn is_address_of(route: &str, address: &str) -> bool {
    let path = address.split('?').next().unwrap();
    let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    let is_same = |(part, name): (&&str, &&str)| part.starts_with('{') || part == name;
    route.len() == path.len() && route.iter().zip(&path).all(is_same)
}

fn save_credentials(cli: &TestCli) {
    let file = cli.path(".config/callsheet/credentials.toml");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let [app, user] = PROFILE;
    let profile = format!("[other]\napp_id = '{app}'\nuser_key = '{user}'\n");
    std::fs::write(&file, profile).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

/// A batch with an uncertain row and finished ones, and another one in the console.
async fn fill_console(cli: &TestCli) -> (TestConsole, Vec<String>) {
    assert_eq!(cli.run(&["run", "b.toml", "--no-wait"]).code, Some(6));
    save_credentials(cli);
    let mut console = TestConsole::start_with_credentials(cli).await;
    let link = console.link.clone().unwrap();
    console.sign_in_with_link(&link).await;
    let sheet = "SKU,Product,Script\nTEA-1,Tea,\"Our first spring harvest has arrived.\"\n";
    console.send(upload(&console, "Spring", sheet.as_bytes())).await;
    let shared = console.post("/batches/promo/share", "label=Agency&days=2").await.text();
    let (_, rest) = shared.split_once("href=\"/share/").unwrap();
    let share = format!("/share/{}", rest.split('"').next().unwrap());
    let rows = console.get_json("/batches/promo/rows").await["rows"].take();
    let key_in = |state: &str| {
        let row = rows.as_array().unwrap().iter().find(|row| row["state"] == state);
        row.unwrap_or_else(|| panic!("{rows}"))["key"].as_str().unwrap().to_owned()
    };
    let (uncertain, finished) = (key_in("uncertain"), key_in("done"));
    let row = format!("/batches/promo/rows/{finished}");
    let paused = console.get_json("/batches/promo/actions/pause").await;
    let text = |name: &str| paused[name].as_str().unwrap().to_owned();
    let form = format!("token={}&hash={}&shown=", text("token"), text("set_hash"));
    let request = console.post("/batches/promo/actions/pause", &form).await;
    let addresses = vec![
        request.header("location").to_owned(),
        format!("{share}/videos/{finished}"),
        share,
        format!("{row}/edit"),
        format!("{row}/versions/1/video"),
        format!("/batches/promo/review/videos/{finished}"),
        format!("/batches/promo/rows/{uncertain}/resolve"),
    ];
    (console, addresses)
}

/// Loads every page to which another one leads, as a browser and as a program. Returns the addresses.
async fn assert_absent_from_pages(
    console: &TestConsole,
    mut waiting: Vec<String>,
    secrets: &[&str],
) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        if path.starts_with("/events") || !seen.insert(path.clone()) {
            continue;
        }
        for kind in ["text/html", "application/json"] {
            let request = console.request(Method::GET, &path).header(header::ACCEPT, kind);
            let answer = console.send(request).await;
            let body = String::from_utf8_lossy(&answer.bytes).into_owned();
            for secret in secrets {
                assert!(!body.contains(secret), "{secret} is on {path} ({kind})");
                assert!(!format!("{:?}", answer.headers).contains(secret), "{path}");
            }
            if answer.header("content-type").starts_with("text/html") {
                let parts = body.split('"').map(|part| part.replace("&amp;", "&"));
                waiting.extend(parts.filter(|part| part.starts_with('/')));
            }
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_shows_the_credentials_of_ai_studios() {
    let cli = TestCli::with_settings(3, "submission = 'one-step'", |settings| {
        settings.faults.add("reset-before=create:1").unwrap();
    })
    .await;
    let (console, mut addresses) = fill_console(&cli).await;
    let names = ["/", "/sign-in", "/welcome?token=x", "/healthz", "/metrics", "/none"].iter();
    addresses.extend(names.map(|name| (*name).to_owned()));
    let more = ["/new/spring/started", "/settings?batch=promo", "/batches/promo/rows.csv"].iter();
    addresses.push("/batches/promo/review/approved.csv".to_owned());
    addresses.push("/batches/promo/review/approved.zip".to_owned());
    addresses.extend(more.map(|name| (*name).to_owned()));
    let secrets = [sandbox::APP_ID, sandbox::USER_KEY, PROFILE[0], PROFILE[1]];
    let seen = assert_absent_from_pages(&console, addresses, &secrets).await;
    for route in page_routes().into_iter().filter(|route| *route != "/events") {
        assert!(seen.iter().any(|path| is_address_of(route, path)), "{route} was not loaded");
    }
    console.stop();
    let written = cli.path("callsheet-console");
    for file in cli.assert_absent_from_files::<&str>(&[]) {
        let text = std::fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&text);
        let is_secret = file.starts_with(&written) && secrets.iter().any(|one| text.contains(one));
        assert!(!is_secret, "{}", file.display());
    }
}

/// Signs in as a browser with this description. Returns its cookie.
async fn sign_in_as(console: &mut TestConsole, name: &str, browser: &str) -> String {
    let kind = "application/x-www-form-urlencoded";
    let request = console.request(Method::POST, "/sign-in").header(header::CONTENT_TYPE, kind);
    let form = format!("name={name}&password=password-{name}");
    let answer = console.send(request.header(header::USER_AGENT, browser).body(form)).await;
    console.keep_cookie(&answer);
    console.cookie.clone()
}

async fn listed_sessions(console: &TestConsole) -> Vec<String> {
    let sessions = console.get_json("/settings").await["sessions"].take();
    let line = |session: &Value| {
        let text = |name: &str| session[name].as_str().unwrap().to_owned();
        format!("{} {} {}", text("user"), text("role"), text("browser"))
    };
    let mut lines: Vec<String> = sessions.as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_list_the_sessions_and_to_a_viewer_only_its_own() {
    let cli = TestCli::new(1).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    add_user(&cli, "ann", "operator");
    add_user(&cli, "bob", "viewer");
    let mut console = TestConsole::start(&cli, &[]).await;
    let phone = sign_in_as(&mut console, "bob", "Phone").await;
    let laptop = sign_in_as(&mut console, "bob", "Laptop").await;
    let operator = sign_in_as(&mut console, "ann", "Desk <b>").await;
    let all = ["ann operator Desk <b>", "bob viewer Laptop", "bob viewer Phone"];
    assert_eq!(listed_sessions(&console).await, all);
    assert_eq!(console.post("/batches/promo/share", "label=Agency&days=2").await.status, 200);
    let page = console.get("/settings?batch=promo").await.text();
    assert!(page.contains("Desk &lt;b&gt;") && page.contains("Laptop"), "{page}");
    assert!(page.contains("Agency") && page.contains("settle_after"), "{page}");
    assert_eq!(page.matches("this browser").count(), 1, "{page}");

    console.cookie.clone_from(&laptop);
    assert_eq!(listed_sessions(&console).await, all[1..]);
    let page = console.get("/settings?batch=promo").await.text();
    let document = console.get_json("/settings?batch=promo").await.to_string();
    for other in ["Desk", "Agency", "settle_after"] {
        assert!(!page.contains(other) && !document.contains(other), "{other}: {page} {document}");
    }
    console.cookie.clone_from(&phone);
    console.post("/sign-out", "").await;
    console.cookie.clone_from(&operator);
    assert_eq!(listed_sessions(&console).await, all[..2], "one has signed out");
    let mut pages = console.get("/settings").await.text();
    pages += &console.get_json("/settings").await.to_string();
    for cookie in [&phone, &laptop, &operator] {
        let secret = cookie.split_once('=').unwrap().1;
        assert!(!pages.contains(secret), "{pages}");
        assert!(!pages.contains(&stored_hash(secret)), "{pages}");
    }
    console.stop();
}

/// Returns the hash of a secret, as the ledger has it.
fn stored_hash(secret: &str) -> String {
    blake3::hash(&URL_SAFE_NO_PAD.decode(secret).unwrap()).to_hex().to_string()
}

/// Returns the first column of the rows of a query.
async fn query_ledger(cli: &TestCli, query: &'static str) -> Vec<String> {
    if let Some(database) = cli.database() {
        return database.query(query);
    }
    use sqlx::{ConnectOptions, Connection};
    let file = sqlx_sqlite::SqliteConnectOptions::new().filename(cli.path("callsheet.db"));
    let mut db = file.connect().await.unwrap();
    let found = sqlx::query_scalar(query).fetch_all(&mut db).await.unwrap();
    db.close().await.unwrap();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_stores_hashes_of_passwords_sessions_and_share_links() {
    let cli = TestCli::new(1).await;
    assert_eq!(cli.run(&["run", "b.toml", "--yes"]).code, Some(0));
    add_user(&cli, "ann", "operator");
    let mut console = TestConsole::start(&cli, &[]).await;
    assert_eq!(console.sign_in("ann", "password-ann").await.status, StatusCode::SEE_OTHER);
    let shared = console.post("/batches/promo/share", "label=Agency&days=2").await.text();
    let (_, rest) = shared.split_once("href=\"/share/").unwrap();
    let link = rest.split('"').next().unwrap();
    let secret = console.cookie.split_once('=').unwrap().1.to_owned();
    let passwords = query_ledger(&cli, "select password_hash from console_user").await;
    assert!(passwords[0].starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{passwords:?}");
    let sessions = query_ledger(&cli, "select token_hash from console_session").await;
    assert_eq!(sessions, [stored_hash(&secret)]);
    let links = query_ledger(&cli, "select token_hash from share_link").await;
    assert_eq!(links, [stored_hash(link)]);
    console.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_comes_from_no_argument_and_no_variable_of_the_environment() {
    let cli = TestCli::new(0).await;
    let password = "a-password-of-ann";
    let argument = cli.run(&["serve", "user", "add", "ann", "--password", password]);
    assert_eq!(argument.code, Some(2), "{argument:?}");
    let mut command =
        cli.command_without_credentials(&["serve", "user", "add", "ann", "--role", "viewer"]);
    for name in ["PASSWORD", "CALLSHEET_PASSWORD", "CALLSHEET_CONSOLE_PASSWORD", "CONSOLE_PASSWORD"]
    {
        command.env(name, password);
    }
    let ended = command.stdin(Stdio::null()).output().unwrap();
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let users = cli.run(&["serve", "user", "list", "--json"]);
    assert!(users.stdout.contains("\"users\":[]"), "{users:?}");
}

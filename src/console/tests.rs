//! Every route with every role, in this process: the table of `routes` is walked, so that a new route
//! is tested before its author thinks of it.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode, header};

use crate::clock::Clock;
use crate::console::routes::{RouteAccess, RouteMethod, routes};
use crate::console::sign_in::secret::ConsoleSecret;
use crate::console::{BasePath, ConsoleServer, ConsoleSettings};
use crate::ledger::{AuditSource, ConsoleRole, ConsoleSession, ConsoleUser, Durability, Ledger};
use crate::session::ledger_location::LedgerOptions;

/// A console with one signed-in user for each role.
struct RoleWalk {
    console: ConsoleServer,
    ledger: Ledger,
    cookies: BTreeMap<ConsoleRole, String>,
    http: reqwest::Client,
    _dir: tempfile::TempDir,
}

impl RoleWalk {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&dir.path().join("l.db"), Durability::ProcessDeath).await;
        let (ledger, clock) = (ledger.unwrap(), Clock::real());
        let settings = ConsoleSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            base_path: BasePath::default(),
            hosts: Vec::new(),
            is_behind_tls: false,
            trusted_header: None,
            ledger_options: LedgerOptions::default(),
        };
        let console = ConsoleServer::open(settings, &ledger, &clock, true).await.unwrap();
        let port = console.url().rsplit(':').next().unwrap().to_owned();
        let mut cookies = BTreeMap::new();
        for &role in ConsoleRole::ALL {
            let secret = ConsoleSecret::random().unwrap();
            let (name, at) = (role.as_str().to_owned(), clock.now());
            let password_hash = "x".repeat(40);
            let source = AuditSource { requester: "cli:test".to_owned(), now: clock.now() };
            let user = ConsoleUser { name: name.clone(), role, password_hash, created_at: at };
            assert!(ledger.add_console_user(user, source).await.unwrap());
            let session = ConsoleSession {
                token_hash: secret.hash_text(),
                user_name: Some(name),
                role,
                created_at: at,
                used_at: at,
                browser: String::new(),
            };
            ledger.add_console_session(session).await.unwrap();
            cookies.insert(role, format!("callsheet-{port}={}", secret.encode()));
        }
        let none = reqwest::redirect::Policy::none();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().redirect(none);
        let http = http.tls_certs_only(std::iter::empty()).build().unwrap();
        Self { console, ledger, cookies, http, _dir: dir }
    }

    async fn status(&self, method: Method, path: &str, role: Option<ConsoleRole>) -> StatusCode {
        let mut request = self.http.request(method, format!("{}{path}", self.console.url()));
        request = request.header("sec-fetch-site", "same-origin");
        request = request.header(header::ACCEPT, "application/json");
        if let Some(cookie) = role.and_then(|role| self.cookies.get(&role)) {
            request = request.header(header::COOKIE, cookie);
        }
        request.send().await.unwrap().status()
    }
}

/// Returns an address of a route, in which every parameter names nothing.
fn sample_address(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "none" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_only_the_roles_of_its_table() {
    let walk = RoleWalk::start().await;
    let roles = ConsoleRole::ALL.iter().copied().map(Some).chain([None]);
    let mut walked = 0;
    for role in roles {
        for route in routes() {
            let method = match route.method {
                RouteMethod::Get => Method::GET,
                RouteMethod::Post => Method::POST,
            };
            if route.path == "/sign-out" {
                continue;
            }
            let status = walk.status(method, &sample_address(route.path), role).await;
            let expected = match (route.access, role) {
                (RouteAccess::Public, _) => None,
                (RouteAccess::Role(_), None) => Some(StatusCode::UNAUTHORIZED),
                (RouteAccess::Role(least), Some(role)) if role < least => {
                    Some(StatusCode::FORBIDDEN)
                }
                (RouteAccess::Role(_), Some(_)) => None,
            };
            let (name, path) = (role.map(ConsoleRole::as_str), route.path);
            match expected {
                Some(expected) => assert_eq!(status, expected, "{path} as {name:?}"),
                None => assert_ne!(status, StatusCode::FORBIDDEN, "{path} as {name:?}"),
            }
            walked += 1;
        }
    }
    assert!(walked >= 4 * 15, "{walked}");
    walk.console.close().await;
    walk.ledger.close().await;
}

#[test]
fn only_an_operator_may_change_a_batch_and_a_viewer_changes_nothing() {
    for route in routes() {
        let is_own_session = ["/sign-in", "/sign-out", "/welcome"].contains(&route.path);
        // The secret in its address decides, and it gives verdicts only.
        let is_share_link = route.path == "/share/{token}";
        match (route.method, route.access) {
            (RouteMethod::Get, _) => {}
            (RouteMethod::Post, RouteAccess::Public) => {
                assert!(is_own_session || is_share_link, "{}", route.path);
            }
            (RouteMethod::Post, RouteAccess::Role(role)) => {
                let least = match route.path {
                    "/sign-out" => ConsoleRole::Viewer,
                    "/batches/{batch}/review" => ConsoleRole::Reviewer,
                    _ => ConsoleRole::Operator,
                };
                assert_eq!(role, least, "{}", route.path);
            }
        }
    }
}

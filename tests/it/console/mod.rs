//! The console as a browser uses it: the real binary, real sockets, a ledger that runs filled.

mod actions;
mod batch_from_upload;
mod browser;
mod continued;
mod formulas;
mod large_batch;
mod large_ledger;
mod pages;
mod review_in_browser;
mod safety;
mod secrets;
mod start_in_browser;
mod uploads;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::Value;

use crate::support::test_cli::{RunningCommand, TestCli};

/// A console on ports that are free, whose output a program reads.
const SERVE: [&str; 6] = ["serve", "--json", "--console", "127.0.0.1:0", "--listen", "127.0.0.1:0"];

/// A console and one browser that talks to it.
pub(crate) struct TestConsole {
    pub(crate) process: RunningCommand,
    pub(crate) url: String,
    pub(crate) link: Option<String>,
    pub(crate) cookie: String,
    http: reqwest::Client,
}

/// What a page answered.
pub(crate) struct ConsoleAnswer {
    pub(crate) status: StatusCode,
    pub(crate) headers: header::HeaderMap,
    pub(crate) bytes: Vec<u8>,
}

impl ConsoleAnswer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl TestConsole {
    /// Starts a console with more options, and signs in with its link if it prints one.
    pub(crate) async fn open(cli: &TestCli, more: &[&str]) -> Self {
        let mut console = Self::start(cli, more).await;
        if let Some(link) = console.link.clone() {
            console.sign_in_with_link(&link).await;
        }
        console
    }

    /// Starts a console without signing in.
    pub(crate) async fn start(cli: &TestCli, more: &[&str]) -> Self {
        let args: Vec<&str> = SERVE.iter().chain(more).copied().collect();
        Self::start_command(cli, &mut cli.command_without_credentials(&args)).await
    }

    /// Starts a console whose runs have credentials, without signing in.
    pub(crate) async fn start_with_credentials(cli: &TestCli) -> Self {
        let mut command = cli.command(&SERVE);
        command.env("AISTUDIOS_BASE_URL", cli.sandbox.base_url());
        Self::start_command(cli, &mut command).await
    }

    async fn start_command(cli: &TestCli, command: &mut Command) -> Self {
        let mut process = cli.start(command);
        let opened = loop {
            let printed = process.stdout();
            let line = printed.lines().find(|line| line.contains("\"console\""));
            if let Some(line) = line.filter(|line| line.ends_with('}')) {
                break serde_json::from_str::<Value>(line).unwrap();
            }
            assert!(process.is_running(), "{}", process.stderr());
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        Self {
            process,
            url: opened["console"].as_str().unwrap().to_owned(),
            link: opened["link"].as_str().map(str::to_owned),
            cookie: String::new(),
            http: http_client(),
        }
    }

    pub(crate) async fn sign_in_with_link(&mut self, link: &str) {
        let token = link.split_once("token=").unwrap().1;
        let answer = self.post("/welcome", &format!("token={token}")).await;
        self.keep_cookie(&answer);
    }

    /// Signs in with a password and returns the answer.
    pub(crate) async fn sign_in(&mut self, name: &str, password: &str) -> ConsoleAnswer {
        let answer = self.post("/sign-in", &format!("name={name}&password={password}")).await;
        if answer.status == StatusCode::SEE_OTHER {
            self.keep_cookie(&answer);
        }
        answer
    }

    fn keep_cookie(&mut self, answer: &ConsoleAnswer) {
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
        let cookie = answer.header("set-cookie");
        self.cookie = cookie.split(';').next().unwrap().to_owned();
    }

    /// Returns a request as this browser sends it: of the console's own origin.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let base = if path.starts_with("http") { "" } else { &self.url };
        let request = self.http.request(method, format!("{base}{path}"));
        request.header("sec-fetch-site", "same-origin").header(header::COOKIE, &self.cookie)
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> ConsoleAnswer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        ConsoleAnswer { status, headers, bytes: response.bytes().await.unwrap().to_vec() }
    }

    pub(crate) async fn get(&self, path: &str) -> ConsoleAnswer {
        self.send(self.request(Method::GET, path).header(header::ACCEPT, "text/html")).await
    }

    pub(crate) async fn get_json(&self, path: &str) -> Value {
        let request = self.request(Method::GET, path).header(header::ACCEPT, "application/json");
        let answer = self.send(request).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text());
        answer.json()
    }

    pub(crate) async fn post(&self, path: &str, form: &str) -> ConsoleAnswer {
        let kind = "application/x-www-form-urlencoded";
        let request = self.request(Method::POST, path).header(header::CONTENT_TYPE, kind);
        self.send(request.body(form.to_owned())).await
    }

    /// Ends the process as a service manager does.
    pub(crate) fn stop(self) {
        self.process.signal("TERM");
        let ended = self.process.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
}

/// Returns a client that follows no redirect, as the tests look at each answer.
pub(crate) fn http_client() -> reqwest::Client {
    // Fails if another test has installed a provider, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only(std::iter::empty())
        .build()
        .unwrap()
}

/// Runs a command that reads one line from its standard input.
pub(crate) fn run_with_input(cli: &TestCli, args: &[&str], line: &str) -> Option<i32> {
    let mut command = cli.command_without_credentials(args);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    child.wait().unwrap().code()
}

/// Adds a user whose password is `password-NAME`.
pub(crate) fn add_user(cli: &TestCli, name: &str, role: &str) {
    let args = ["serve", "user", "add", name, "--role", role];
    assert_eq!(run_with_input(cli, &args, &format!("password-{name}")), Some(0), "{name}");
}

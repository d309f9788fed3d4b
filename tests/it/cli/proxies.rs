//! Networks behind a proxy, and company certificates.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use crate::support::test_cli::{CommandOutput, LIMITS, TestCli};

/// A proxy that records the head of every request, and refuses it.
struct RecordingProxy {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl RecordingProxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = heads.clone();
        std::thread::spawn(move || {
            for caller in listener.incoming() {
                let mut caller = BufReader::new(caller.unwrap());
                let mut head = String::new();
                // A client may disconnect at any point.
                while caller.read_line(&mut head).is_ok_and(|read| read > 2) {}
                seen.lock().unwrap().push(head);
                let _ = caller.get_mut().write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n");
            }
        });
        Self { url, heads }
    }

    fn heads(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

fn run_behind(office: &TestCli, proxy: &RecordingProxy, args: &[&str]) -> CommandOutput {
    let mut command = office.command(args);
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"] {
        command.env(name, &proxy.url);
    }
    office.start(&mut command).wait()
}

const REMOTE: [&str; 4] = ["run", "b.toml", "--base-url", "https://studio.invalid"];

#[tokio::test(flavor = "multi_thread")]
async fn a_configured_proxy_carries_everything_but_this_machine() {
    let proxy = RecordingProxy::start();
    for setting in ["system", proxy.url.as_str()] {
        let office = TestCli::new(2).await;
        let notify = "\n[notify]\nwebhook = 'http://hook.invalid/x'\n";
        office.write_batch(&format!("proxy = '{setting}'"), &format!("{LIMITS}{notify}"));
        let ended = run_behind(&office, &proxy, &REMOTE);
        assert_eq!(ended.code, Some(5), "{ended:?}");
        let heads = proxy.heads();
        assert!(
            heads.iter().any(|head| head.starts_with("CONNECT studio.invalid:443 ")),
            "{heads:?}"
        );
        assert!(heads.iter().any(|head| head.contains("hook.invalid")), "{heads:?}");
        assert!(
            heads.iter().all(|head| !head.to_lowercase().contains("\r\nauthorization")),
            "{heads:?}"
        );
        // The studio of this test is on this machine.
        let office = TestCli::new(2).await;
        office.write_batch(&format!("proxy = '{setting}'"), LIMITS);
        let ended = run_behind(&office, &proxy, &["run", "b.toml"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(proxy.heads(), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unused_proxy_variable_is_named() {
    let (office, proxy) = (TestCli::new(2).await, RecordingProxy::start());
    let ended = run_behind(&office, &proxy, &REMOTE);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("`HTTPS_PROXY` is not used"), "{}", ended.stderr);
    let mut command = office.command(&["check", "b.toml", "--offline"]);
    command.env("https_proxy", &proxy.url).env("AISTUDIOS_BASE_URL", "https://studio.invalid");
    let checked = office.start(&mut command).wait();
    assert!(checked.stdout.contains("`https_proxy` is set, but not used"), "{checked:?}");
    assert_eq!(proxy.heads(), [""; 0]);
    // A rehearsal and a studio on this machine need none.
    let checked = run_behind(&office, &proxy, &["check", "b.toml", "--offline"]);
    assert!(!checked.stdout.contains("_PROXY"), "{checked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unusable_certificate_file_is_an_error() {
    let office = TestCli::new(1).await;
    office.write("empty.pem", "nothing\n");
    for (file, problem) in
        [("missing.pem", "cannot be read"), ("empty.pem", "contains no certificate")]
    {
        let mut command = office.command(&REMOTE);
        let ended = office.start(command.env("SSL_CERT_FILE", file)).wait();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(file) && ended.stderr.contains(problem), "{}", ended.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_of_a_proxy_does_not_belong_into_a_batch_file() {
    let office = TestCli::new(1).await;
    office.write_batch("proxy = 'http://ann:canary@proxy.example:1'", LIMITS);
    let ended = office.run(&["plan", "b.toml"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("must not contain a user name or a password"), "{ended:?}");
    assert!(!format!("{ended:?}").contains("canary"), "{ended:?}");
}

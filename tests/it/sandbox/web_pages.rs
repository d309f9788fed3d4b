//! Requests that a web page in a browser on this machine could send: none reads or changes anything.

use super::*;

#[tokio::test]
async fn a_web_page_can_neither_read_nor_change_the_sandbox() {
    let sandbox = start_sandbox("", |_| {}).await;
    let client = ApiClient::with_token(&sandbox).await;
    client.create("Ann", true).await;
    let (bill, switches) = (sandbox.bill(), sandbox.switches());
    let own = sandbox.base_url().trim_start_matches("http://").to_owned();
    // A page that rebinds its own name to this address, and a page that posts to it.
    let rebound = "evil.example";
    for (method, path, host, kind, expected) in [
        ("GET", "/__sandbox/bill", rebound, None, 421),
        ("POST", "/__sandbox/switches", rebound, Some("application/json"), 421),
        ("POST", "/__sandbox/switches", &own, Some("text/plain"), 415),
        ("POST", "/__sandbox/switches", &own, Some("application/x-www-form-urlencoded"), 415),
        ("POST", "/__sandbox/switches", &own, Some("multipart/form-data; boundary=x"), 415),
        ("POST", "/__sandbox/switches", &own, None, 415),
        ("POST", "/api/odin/v3/auth/token", &own, Some("text/plain"), 415),
        ("GET", "/__sandbox/bill", &own, None, 200),
    ] {
        let url = format!("{}{path}", sandbox.base_url());
        let mut request = client.http.request(method.parse().unwrap(), url).header("host", host);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        if method == "POST" {
            request = request.body(r#"{"time_scale": 5.0}"#);
        }
        let status = request.send().await.unwrap().status().as_u16();
        assert_eq!(status, expected, "{method} {path}, {host}, {kind:?}");
    }
    assert_eq!((sandbox.bill(), sandbox.switches()), (bill, switches));
}

/// It holds scripts and tokens.
#[cfg(unix)]
#[tokio::test]
async fn the_state_can_be_read_by_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("studio.jsonl");
    for _ in 0..2 {
        let state = Some(path.clone());
        let settings = SandboxSettings { state, ..SandboxSettings::default() };
        let sandbox = Sandbox::start(settings).await.unwrap();
        let mode = || path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        sandbox.stop().await;
        // An earlier version left it open to others.
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    }
}

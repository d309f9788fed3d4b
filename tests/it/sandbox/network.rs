//! What the sandbox rejects: requests that a web page on this machine could send.

use callsheet::sandbox::{Sandbox, SandboxCredentials, SandboxSettings};

#[tokio::test]
async fn requests_that_a_web_page_could_send_are_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("studio.jsonl");
    let settings = SandboxSettings { state: Some(state.clone()), ..SandboxSettings::default() };
    let sandbox = Sandbox::start(settings).await.unwrap();
    let own = sandbox.base_url().trim_start_matches("http://").to_owned();
    let port = own.rsplit_once(':').unwrap().1.to_owned();
    let http = reqwest::Client::new();
    let json = "application/json";
    for (host, kind, status) in [
        (own.clone(), json, 200),
        (format!("localhost:{port}"), "application/json; charset=utf-8", 200),
        ("evil.example".to_owned(), json, 421),
        (format!("evil.example:{port}"), json, 421),
        (format!("127.0.0.1.evil.example:{port}"), json, 421),
        ("127.0.0.1:1".to_owned(), json, 421),
        (own.clone(), "text/plain", 415),
        (own.clone(), "application/x-www-form-urlencoded", 415),
    ] {
        let url = format!("{}/__sandbox/switches", sandbox.base_url());
        let request = http.post(url).header("host", &host).header("content-type", kind);
        let response = request.body("{}").send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{host} {kind}");
        let read = http.get(format!("{}/__sandbox/bill", sandbox.base_url()));
        let status = if status == 421 { 421 } else { 200 };
        let response = read.header("host", &host).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{host}");
    }
    sandbox.stop().await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(state).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others can read the scripts");
    }
}

#[test]
fn random_credentials_differ_each_time() {
    let [first, second] = [SandboxCredentials::random(), SandboxCredentials::random()];
    assert_ne!(first.user_key, second.user_key);
    assert_ne!(first, SandboxCredentials::default());
}

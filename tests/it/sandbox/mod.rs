//! The sandbox from outside: its HTTP API and the public methods of [`Sandbox`].
//!
//! Virtual clocks are stopped and advanced explicitly, so no test waits for time to pass.

mod api;
mod faults;
mod files;
mod money;
mod persistence;
mod web_pages;
mod webhooks;

use std::time::Duration;

use callsheet::sandbox::{APP_ID, FaultRules, Sandbox, SandboxSettings, SandboxSwitches, USER_KEY};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than every render.
pub(crate) const AFTER_RENDER: Duration = Duration::from_secs(700);

/// The default switches with a stopped clock.
fn stopped_clock_switches() -> SandboxSwitches {
    SandboxSwitches { time_scale: 0.0, ..SandboxSwitches::default() }
}

async fn start_sandbox(faults: &str, change: impl FnOnce(&mut SandboxSwitches)) -> Sandbox {
    let mut switches = stopped_clock_switches();
    change(&mut switches);
    let faults = FaultRules::parse(faults).unwrap();
    Sandbox::start(SandboxSettings { switches, faults, ..SandboxSettings::default() })
        .await
        .unwrap()
}

/// A plain HTTP client with a token, written from the vendor's documents.
struct ApiClient {
    http: reqwest::Client,
    base_url: String,
    token: String,
}

impl ApiClient {
    async fn with_token(sandbox: &Sandbox) -> Self {
        let mut client = Self::without_token(sandbox);
        client.token = client.fresh_token().await;
        client
    }

    fn without_token(sandbox: &Sandbox) -> Self {
        // Fails if another test has installed a provider, which is then used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only(std::iter::empty())
            .build()
            .unwrap();
        let base_url = format!("{}/api/odin/v3/", sandbox.base_url());
        Self { http, base_url, token: "none".to_owned() }
    }

    async fn fresh_token(&self) -> String {
        let (_, response) = self.post("auth/token", &credentials()).await;
        response["data"]["token"].as_str().unwrap().to_owned()
    }

    async fn request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> reqwest::Result<ApiResponse> {
        let method = method.parse().unwrap();
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base_url))
            .header("authorization", &self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        Ok(ApiResponse { status, headers, body: response.bytes().await?.to_vec() })
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.request("POST", path, Some(body)).await.unwrap().status_and_json()
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.request("GET", path, None).await.unwrap().status_and_json()
    }

    /// Creates a project with the sample's scenes and returns its id.
    async fn create(&self, name: &str, is_export: bool) -> String {
        let body = json!({"name": name, "scenes": scenes("Hello."), "isExport": is_export});
        project_id_of(&self.post("editor/project", &body).await.1)
    }

    async fn export(&self, id: &str) -> (u16, Value) {
        self.post("editor/project/export", &json!({ "projectId": id })).await
    }

    async fn progress(&self, id: &str) -> Value {
        self.get(&format!("editor/progress/{id}")).await.1["data"].clone()
    }

    async fn download(
        &self,
        url: &str,
        headers: &[(&'static str, &str)],
    ) -> reqwest::Result<ApiResponse> {
        let mut request = self.http.get(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        Ok(ApiResponse { status, headers, body: response.bytes().await?.to_vec() })
    }
}

struct ApiResponse {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Vec<u8>,
}

impl ApiResponse {
    fn status_and_json(&self) -> (u16, Value) {
        (self.status, serde_json::from_slice(&self.body).unwrap())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

fn credentials() -> Value {
    json!({ "appId": APP_ID, "userKey": USER_KEY })
}

fn project_id_of(response: &Value) -> String {
    response["data"]["projectId"]
        .as_str()
        .unwrap_or_else(|| panic!("no id in {response}"))
        .to_owned()
}

/// Scenes as on the vendor's getting-started page: the script is inside the clip.
fn scenes(text: &str) -> Value {
    json!([{
        "background": {"id": "background", "type": "background", "source_type": "image"},
        "watermark": false,
        "clips": [{
            "id": "aiModel-1", "type": "aiModel", "layer": 1, "top": 144.6, "left": 630.2,
            "width": 679, "height": 2229,
            "script": {"org": format!("<p>{text}</p>")},
            "model": {"ai_name": "M000045058", "emotion": "BG00002320", "language": "en"},
        }],
        "thumbnailUrl": null,
        "sceneIdx": 0,
    }])
}

/// Sends one request on a plain socket. Returns all received bytes, and how the connection ended.
async fn send_raw(
    sandbox: &Sandbox,
    token: &str,
    path: &str,
    body: &Value,
) -> (Vec<u8>, std::io::Result<()>) {
    let address = sandbox.base_url().replace("http://", "");
    let mut tcp = TcpStream::connect(&address).await.unwrap();
    let body = body.to_string();
    let request = format!(
        "POST /api/odin/v3/{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: {token}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let end = tcp.read_to_end(&mut bytes).await.map(|_| ());
    (bytes, end)
}

/// Splits a response into its head and the received part of its body.
fn split_response(bytes: &[u8]) -> (String, Vec<u8>) {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(bytes[..at].to_vec()).unwrap(), bytes[at..].to_vec())
}

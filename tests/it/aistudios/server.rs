//! A small server that sends exact bytes and records requests.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use callsheet::{
    aistudios::{ApiClient, ClientSettings, Credentials},
    clock::Clock,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use url::Url;

pub(crate) const APP_ID: &str = "studiov3.canary@example.com";
pub(crate) const USER_KEY: &str = "canary-4b5a-6978-8796-a5b4c3d2e1f0";
/// The body of an acceptance.
pub(crate) const ACCEPTED_RESPONSE: &str =
    r#"{"success":true,"data":{"projectId":"66f0a1b2c3d4e5f60718293a"}}"#;

/// One received request.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedRequest {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl ReceivedRequest {
    /// Returns `METHOD /path`.
    pub(crate) fn line(&self) -> String {
        self.head.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    fn is_token_request(&self) -> bool {
        self.line() == "POST /api/odin/v3/auth/token"
    }
}

/// The reaction to a complete request.
#[derive(Clone, Debug)]
pub(crate) enum ServerAction {
    /// Writes these bytes and waits for the next request.
    Respond(Vec<u8>),
    /// Writes these bytes and closes.
    RespondAndClose(Vec<u8>),
    /// Resets the connection.
    Reset,
    /// Writes these bytes and keeps the connection open in silence.
    RespondAndHang(Vec<u8>),
    /// Writes these bytes repeatedly until the client disconnects.
    RespondEndlessly(Vec<u8>),
}

/// Returns a complete JSON response.
pub(crate) fn json_response(status: u16, body: &str) -> Vec<u8> {
    response_with_headers(status, "Content-Type: application/json\r\n", body)
}

/// Returns a complete response; each of `headers` ends with a line break.
pub(crate) fn response_with_headers(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

type RequestHandler = dyn Fn(&ReceivedRequest, usize) -> ServerAction + Send + Sync;

/// The server. It stops when the test's runtime does.
#[derive(Clone)]
pub(crate) struct StubServer {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<ReceivedRequest>>>,
}

impl StubServer {
    /// Starts a server that responds with `handler`, which gets each request and the number of
    /// requests before it.
    pub(crate) async fn start(
        handler: impl Fn(&ReceivedRequest, usize) -> ServerAction + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { address: listener.local_addr().unwrap(), received: Arc::default() };
        let (seen, handler): (_, Arc<RequestHandler>) =
            (server.received.clone(), Arc::new(handler));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve_connection(stream, seen.clone(), handler.clone()));
            }
        });
        server
    }

    /// Starts an API that issues tokens `token-canary-1`, `-2` … and responds to every other
    /// request with `handler`, which gets the number of such requests before.
    pub(crate) async fn start_api(
        handler: impl Fn(&ReceivedRequest, usize) -> ServerAction + Send + Sync + 'static,
    ) -> Self {
        let tokens = Mutex::new((0, 0));
        Self::start(move |seen, _| {
            let mut counts = tokens.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.is_token_request() {
                counts.0 += 1;
                return ServerAction::Respond(token_response(&format!(
                    "token-canary-{}",
                    counts.0
                )));
            }
            counts.1 += 1;
            let before = counts.1 - 1;
            drop(counts);
            handler(seen, before)
        })
        .await
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    pub(crate) fn client_settings(&self) -> ClientSettings {
        let credentials = Credentials::new(APP_ID, USER_KEY).unwrap();
        let mut settings = ClientSettings::new(self.url("/"), credentials);
        settings.paid_timeout = Duration::from_secs(20);
        settings
    }

    pub(crate) fn client(&self) -> ApiClient {
        ApiClient::new(self.client_settings(), Clock::real()).unwrap()
    }

    /// Returns all requests so far.
    pub(crate) fn received(&self) -> Vec<ReceivedRequest> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the number of token requests.
    pub(crate) fn token_requests(&self) -> usize {
        self.received().iter().filter(|seen| seen.is_token_request()).count()
    }

    /// Returns the number of other requests.
    pub(crate) fn other_requests(&self) -> usize {
        self.received().len() - self.token_requests()
    }
}

/// Returns a response that issues a token.
pub(crate) fn token_response(text: &str) -> Vec<u8> {
    json_response(200, &format!(r#"{{"success":true,"data":{{"token":"{text}"}}}}"#))
}

async fn serve_connection(
    mut stream: TcpStream,
    all: Arc<Mutex<Vec<ReceivedRequest>>>,
    handler: Arc<RequestHandler>,
) {
    while let Some(seen) = read_request(&mut stream).await {
        let before = {
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.push(seen.clone());
            all.len() - 1
        };
        match handler(&seen, before) {
            ServerAction::Respond(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            ServerAction::RespondAndClose(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.shutdown().await;
                return;
            }
            ServerAction::Reset => {
                let _ = stream.set_zero_linger();
                return;
            }
            ServerAction::RespondAndHang(bytes) => {
                let _ = stream.write_all(&bytes).await;
                std::future::pending::<()>().await;
            }
            ServerAction::RespondEndlessly(bytes) => {
                while stream.write_all(&bytes).await.is_ok() {}
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<ReceivedRequest> {
    let mut read = Vec::new();
    let head_end = loop {
        if let Some(at) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(read[..head_end].to_vec()).unwrap();
    let mut seen = ReceivedRequest { head, body: String::new() };
    let length: usize = seen.header("content-length").map_or(0, |text| text.parse().unwrap());
    while read.len() < head_end + length {
        if stream.read_buf(&mut read).await.ok()? == 0 {
            return None;
        }
    }
    seen.body = String::from_utf8(read[head_end..].to_vec()).unwrap();
    Some(seen)
}

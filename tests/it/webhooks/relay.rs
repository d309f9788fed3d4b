//! A relay between the sandbox and the receiver, like a tunnel or a reverse proxy: it sees every
//! callback, and with it every secret.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(super) struct CallbackRelay {
    address: String,
    target_port: u16,
    callbacks: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl CallbackRelay {
    pub(super) async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let ear = heard.clone();
        tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let ear = ear.clone();
                tokio::spawn(async move {
                    let request = read_request(&mut tcp).await;
                    ear.lock().unwrap().push(request.clone());
                    let answer = send_request(to, &request).await.unwrap_or_else(|| {
                        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n".to_vec()
                    });
                    let _ = tcp.write_all(&answer).await;
                });
            }
        });
        Self { address, target_port: to, callbacks: heard }
    }

    /// The public URL. A proxy may serve more than this.
    pub(super) fn url(&self) -> String {
        format!("http://{}/callsheet", self.address)
    }

    /// The address of the receiver.
    pub(super) fn target_port(&self) -> u16 {
        self.target_port
    }

    /// All callbacks so far.
    pub(super) fn callbacks(&self) -> Vec<Vec<u8>> {
        self.callbacks.lock().unwrap().clone()
    }

    /// The secrets of all calls so far that AI Studios made.
    pub(super) fn secrets(&self) -> Vec<String> {
        let mut secrets: Vec<String> = self
            .callbacks()
            .iter()
            .map(|call| String::from_utf8_lossy(call).into_owned())
            .filter(|call| call.contains("backendTaskId"))
            .map(|call| {
                let path = call.split(' ').nth(1).unwrap();
                path.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned()
            })
            .collect();
        secrets.sort();
        secrets.dedup();
        secrets
    }

    /// Waits until AI Studios has called with so many secrets.
    pub(super) async fn wait_for_secrets(&self, secrets: usize) {
        while self.secrets().len() < secrets {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Sends a request and returns the whole answer.
pub(super) async fn send_request(to: u16, request: &[u8]) -> Option<Vec<u8>> {
    let mut tcp = TcpStream::connect(("127.0.0.1", to)).await.ok()?;
    tcp.write_all(request).await.ok()?;
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.ok()?;
    Some(answer)
}

/// Sends a request and returns its status.
pub(super) async fn send_for_status(to: u16, request: &[u8]) -> u16 {
    let answer = send_request(to, request).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&answer);
    text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

async fn read_request(tcp: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 8192];
    loop {
        let read = tcp.read(&mut buffer).await.unwrap_or(0);
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.split("content-length: ").nth(1).unwrap_or("0");
            let length: usize = length.lines().next().unwrap_or("0").trim().parse().unwrap_or(0);
            body.len() >= length
        });
        if whole || read == 0 {
            return bytes;
        }
    }
}

//! TLS of every connection to another machine: 1.2 or newer, whatever the server would like.
//!
//! The server here speaks no TLS. It reads what a client offers, chooses TLS 1.0, and reads on.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::test_cli::{LIMITS, TestCli};

const TLS_1_2: u16 = 0x0303;
const TLS_1_3: u16 = 0x0304;
/// The extension with the versions that a client speaks.
const SUPPORTED_VERSIONS: u16 = 43;
/// The kind of record that ends a handshake with an error.
const ALERT: u8 = 21;

/// What one client has offered, and sent after a server of TLS 1.0 had answered.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TlsOffer {
    versions: Vec<u16>,
    sent_behind: Vec<u8>,
}

/// A server that chooses TLS 1.0 in every handshake.
struct OldTlsServer {
    port: u16,
    offers: Arc<Mutex<Vec<TlsOffer>>>,
}

impl OldTlsServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), offers: Arc::default() };
        let offers = server.offers.clone();
        std::thread::spawn(move || {
            for caller in listener.incoming() {
                // A client may disconnect at any point.
                if let Ok(offer) = choose_tls_1_0(caller.unwrap()) {
                    offers.lock().unwrap().push(offer);
                }
            }
        });
        server
    }

    /// Returns the offers of all clients so far; there is at least one.
    fn offers(&self) -> Vec<TlsOffer> {
        loop {
            let offers = self.offers.lock().unwrap().clone();
            if !offers.is_empty() {
                return offers;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn choose_tls_1_0(mut caller: TcpStream) -> io::Result<TlsOffer> {
    caller.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut head = [0; 5];
    caller.read_exact(&mut head)?;
    let mut hello = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    caller.read_exact(&mut hello)?;
    let mut answer = vec![22, 3, 1, 0, 42, 2, 0, 0, 38, 3, 1];
    answer.extend([7; 32]);
    // No session, a cipher that TLS 1.0 has, no compression.
    answer.extend([0, 0xc0, 0x13, 0]);
    caller.write_all(&answer)?;
    let mut sent_behind = Vec::new();
    caller.read_to_end(&mut sent_behind)?;
    Ok(TlsOffer { versions: offered_versions(&hello).unwrap_or_default(), sent_behind })
}

/// Returns the versions in the first message of a handshake.
fn offered_versions(hello: &[u8]) -> Option<Vec<u16>> {
    let number = |bytes: &[u8], at: usize| {
        Some(usize::from(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])))
    };
    let mut at = 4 + 2 + 32;
    at += 1 + usize::from(*hello.get(at)?);
    at += 2 + number(hello, at)?;
    at += 1 + usize::from(*hello.get(at)?);
    let mut extensions = hello.get(at + 2..)?;
    while !extensions.is_empty() {
        let (kind, length) = (number(extensions, 0)?, number(extensions, 2)?);
        let body = extensions.get(4..4 + length)?;
        if kind == usize::from(SUPPORTED_VERSIONS) {
            let pairs = body.get(1..)?.chunks_exact(2);
            return Some(pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect());
        }
        extensions = &extensions[4 + length..];
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn old_versions_of_tls_are_neither_offered_nor_accepted() {
    let (api, hook, mail) = (OldTlsServer::start(), OldTlsServer::start(), OldTlsServer::start());
    let office = TestCli::new(1).await;
    let notify = format!(
        "\n[notify]\nwebhook = 'https://127.0.0.1:{}/x'\nemail_to = 'ann@example.org'\n\
         email_from = 'callsheet@example.org'\nsmtp = '127.0.0.1:{}'\nsmtp_tls = 'tls'\n",
        hook.port, mail.port
    );
    office.write_batch("", &format!("{LIMITS}{notify}"));
    let url = format!("https://127.0.0.1:{}", api.port);
    let ended = office.run(&["run", "b.toml", "--base-url", &url]);
    assert_eq!(ended.code, Some(5), "{ended:?}");
    assert!(ended.stderr.contains("no trusted TLS connection"), "{}", ended.stderr);
    for (client, server) in [("api", api), ("webhook", hook), ("mail", mail)] {
        for offer in server.offers() {
            let mut versions = offer.versions.clone();
            versions.sort_unstable();
            assert_eq!(versions, [TLS_1_2, TLS_1_3], "{client}: {offer:?}");
            let first = offer.sent_behind.first().copied();
            assert_eq!(first.unwrap_or(ALERT), ALERT, "{client} went on: {offer:?}");
        }
    }
}

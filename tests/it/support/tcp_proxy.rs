//! A proxy between a program and a database server, which can do what a bad network does.
//!
//! It understands one thing of the protocol: the message that commits a transaction.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;

/// What the proxy does with connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyMode {
    /// Passes all bytes.
    Pass,
    /// Drops all bytes without a word, and accepts connections.
    Silent,
    /// Resets every connection.
    Reset,
    /// Passes the next commit, and resets the connection instead of passing its response. Passes all
    /// bytes of later connections.
    LoseCommitResponse,
    /// Resets the connection instead of passing the next commit. The same.
    LoseCommit,
    /// Passes the next commit, and resets the connection at once: the commit may be under way. The same.
    CutAfterCommit,
    /// Keeps the next commit until all bytes are passed again.
    HoldCommit,
    /// A commit is kept.
    CommitHeld,
}

/// The simple query that commits a transaction.
const COMMIT: &[u8] = b"Q\0\0\0\x0bcommit\0";

/// A running proxy.
pub(crate) struct TcpProxy {
    address: SocketAddr,
    mode: Arc<watch::Sender<ProxyMode>>,
    server: Arc<Mutex<PathBuf>>,
}

impl TcpProxy {
    /// Starts a proxy in front of the server's socket.
    pub(crate) async fn start(socket: PathBuf) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = Arc::new(watch::Sender::new(ProxyMode::Pass));
        let server = Arc::new(Mutex::new(socket));
        let proxy = Self { address, mode: mode.clone(), server: server.clone() };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let socket = server.lock().unwrap().clone();
                tokio::spawn(serve(client, socket, mode.clone()));
            }
        });
        proxy
    }

    /// Leads new connections to another server.
    pub(crate) fn set_server(&self, socket: PathBuf) {
        *self.server.lock().unwrap() = socket;
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn set_mode(&self, mode: ProxyMode) {
        self.mode.send_replace(mode);
    }

    /// Waits until a commit was lost.
    pub(crate) async fn commit_was_lost(&self) {
        self.mode.subscribe().wait_for(|mode| *mode == ProxyMode::Pass).await.unwrap();
    }

    /// Waits until a commit is kept.
    pub(crate) async fn commit_is_held(&self) {
        self.mode.subscribe().wait_for(|mode| *mode == ProxyMode::CommitHeld).await.unwrap();
    }
}

async fn serve(client: TcpStream, socket: PathBuf, mode: Arc<watch::Sender<ProxyMode>>) {
    client.set_zero_linger().unwrap();
    let mut changes = mode.subscribe();
    if *changes.borrow() == ProxyMode::Reset {
        return;
    }
    let Ok(server) = UnixStream::connect(socket).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut request, mut response) = (vec![0; 16_384], vec![0; 16_384]);
    let mut is_response_lost = false;
    loop {
        tokio::select! {
            read = from_client.read(&mut request) => {
                let Ok(length @ 1..) = read else { return };
                let bytes = &request[..length];
                let is_commit = bytes.ends_with(COMMIT);
                let current = *changes.borrow();
                match current {
                    ProxyMode::Silent => continue,
                    ProxyMode::Reset => return,
                    ProxyMode::LoseCommit if is_commit => {
                        mode.send_replace(ProxyMode::Pass);
                        return;
                    }
                    ProxyMode::LoseCommitResponse if is_commit => is_response_lost = true,
                    ProxyMode::CutAfterCommit if is_commit => {
                        let _ = to_server.write_all(bytes).await;
                        mode.send_replace(ProxyMode::Pass);
                        return;
                    }
                    ProxyMode::HoldCommit if is_commit => {
                        mode.send_replace(ProxyMode::CommitHeld);
                        if changes.wait_for(|mode| *mode == ProxyMode::Pass).await.is_err() { return }
                    }
                    ProxyMode::LoseCommit
                    | ProxyMode::LoseCommitResponse
                    | ProxyMode::CutAfterCommit
                    | ProxyMode::HoldCommit
                    | ProxyMode::CommitHeld
                    | ProxyMode::Pass => {}
                }
                if to_server.write_all(bytes).await.is_err() { return }
            }
            read = from_server.read(&mut response) => {
                let Ok(length @ 1..) = read else { return };
                if is_response_lost {
                    mode.send_replace(ProxyMode::Pass);
                    return;
                }
                let current = *changes.borrow();
                match current {
                    ProxyMode::Silent => continue,
                    ProxyMode::Reset => return,
                    ProxyMode::LoseCommit
                    | ProxyMode::LoseCommitResponse
                    | ProxyMode::CutAfterCommit
                    | ProxyMode::HoldCommit
                    | ProxyMode::CommitHeld
                    | ProxyMode::Pass => {}
                }
                if to_client.write_all(&response[..length]).await.is_err() { return }
            }
            changed = changes.changed() => {
                if changed.is_err() || *changes.borrow() == ProxyMode::Reset { return }
            }
        }
    }
}

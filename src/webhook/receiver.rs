//! Takes the calls of AI Studios and notes them in the ledger.
//!
//! Whatever has the form of one of our addresses is answered alike, known or not, so that nobody
//! learns from an answer which secrets there are. No secret is ever logged, only the beginning of
//! its hash.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode, header};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::callback;
use super::listener::BoundedListener;
use crate::clock::Clock;
use crate::ledger::{CallbackEffect, Ledger, WebhookSecret};

/// The largest body of a call; the documented ones have some hundred bytes.
const BODY_MAX: usize = 64 << 10;
/// How long a body may take: less than its connection may, so that whoever is slow still hears so.
const BODY_TIMEOUT: Duration = Duration::from_secs(4);
/// How long calls under way may take once the receiver closes.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// A server for the calls of AI Studios, until it is closed.
#[derive(Debug)]
pub struct WebhookReceiver {
    address: SocketAddr,
    stop: CancellationToken,
    server_task: JoinHandle<()>,
}

/// Where what is heard goes.
#[derive(Clone)]
struct CallbackState {
    ledger: Ledger,
    clock: Clock,
}

impl WebhookReceiver {
    /// Listens at `listen`; what is heard is noted in `ledger`.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn open(listen: SocketAddr, ledger: Ledger, clock: Clock) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let service =
            Router::new().fallback(handle_request).with_state(CallbackState { ledger, clock });
        let served = tokio::spawn(async move {
            let serving = axum::serve(BoundedListener::new(listener), service)
                .with_graceful_shutdown(stopped.cancelled_owned());
            if let Err(error) = serving.await {
                tracing::warn!("calls of AI Studios are no longer taken: {error}");
            }
        });
        Ok(Self { address, stop, server_task: served })
    }

    /// Returns where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no further calls.
    pub async fn close(self) {
        self.stop.cancel();
        // Whoever is still talking then only loses an answer that says nothing.
        drop(timeout(SHUTDOWN_TIMEOUT, self.server_task).await);
    }
}

async fn handle_request(State(ear): State<CallbackState>, request: Request) -> Response<Body> {
    let status = receive_callback(&ear, request).await;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let close = header::HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

async fn receive_callback(ear: &CallbackState, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let Some(secret) = WebhookSecret::from_path(parts.uri.path()) else {
        return StatusCode::NOT_FOUND;
    };
    if !matches!(parts.method, Method::POST | Method::GET | Method::PUT) {
        return StatusCode::METHOD_NOT_ALLOWED;
    }
    let body = match timeout(BODY_TIMEOUT, to_bytes(body, BODY_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) if is_too_large(&error) => return StatusCode::PAYLOAD_TOO_LARGE,
        Ok(Err(_)) => return StatusCode::BAD_REQUEST,
        Err(_) => return StatusCode::REQUEST_TIMEOUT,
    };
    let call = callback::parse_callback(parts.uri.query().unwrap_or_default(), &body);
    let mark = &secret.hash()[..8];
    match ear.ledger.record_callback(&secret, call, ear.clock.now()).await {
        Ok(CallbackEffect::UnknownAddress) => {
            tracing::debug!(mark, "a call about nobody that is known")
        }
        Ok(CallbackEffect::SelfTest) => tracing::debug!(mark, "our own call came through"),
        Ok(CallbackEffect::Job { key, warning: None }) => {
            tracing::debug!(mark, key, "AI Studios called");
        }
        Ok(CallbackEffect::Job { warning: Some(words), .. }) => tracing::warn!("{words}"),
        // It will be asked about anyway. Whoever called learns nothing of our troubles.
        Err(error) => tracing::warn!("a call of AI Studios could not be noted: {error}"),
    }
    StatusCode::NO_CONTENT
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if inner.to_string().contains("length limit") {
            return true;
        }
        source = inner.source();
    }
    false
}

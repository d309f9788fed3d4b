//! The HTTP server that records AI Studios' callbacks in the ledger.
//!
//! Every request to an address of the right form gets the same response, known or not, so that the
//! response does not reveal which secrets exist. No secret is ever logged, only the beginning of
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

/// The largest body; documented callbacks have a few hundred bytes.
const BODY_MAX: usize = 64 << 10;
/// The time for a body: less than for its connection, so that a slow client still gets a response.
const BODY_TIMEOUT: Duration = Duration::from_secs(4);
/// The time for open requests once the receiver closes.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// A running server for callbacks.
#[derive(Debug)]
pub struct WebhookReceiver {
    address: SocketAddr,
    stop: CancellationToken,
    server_task: JoinHandle<()>,
}

/// The state that request handlers share.
#[derive(Clone)]
struct CallbackState {
    ledger: Ledger,
    clock: Clock,
}

impl WebhookReceiver {
    /// Starts a server at `listen` that records callbacks in `ledger`.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn open(listen: SocketAddr, ledger: Ledger, clock: Clock) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let stop_signal = stop.clone();
        let service =
            Router::new().fallback(handle_request).with_state(CallbackState { ledger, clock });
        let server_task = tokio::spawn(async move {
            let server = axum::serve(BoundedListener::new(listener), service)
                .with_graceful_shutdown(stop_signal.cancelled_owned());
            if let Err(error) = server.await {
                tracing::warn!("webhook callbacks are no longer received: {error}");
            }
        });
        Ok(Self { address, stop, server_task })
    }

    /// Returns the bound address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server.
    pub async fn close(self) {
        self.stop.cancel();
        // A client that is still connected then only loses an empty response.
        drop(timeout(SHUTDOWN_TIMEOUT, self.server_task).await);
    }
}

async fn handle_request(State(state): State<CallbackState>, request: Request) -> Response<Body> {
    let status = receive_callback(&state, request).await;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let close = header::HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

async fn receive_callback(state: &CallbackState, request: Request) -> StatusCode {
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
    let callback = callback::parse_callback(parts.uri.query().unwrap_or_default(), &body);
    let address = &secret.hash()[..8];
    match state.ledger.record_callback(&secret, callback, state.clock.now()).await {
        Ok(CallbackEffect::UnknownAddress) => {
            tracing::debug!(address, "callback for an unknown address");
        }
        Ok(CallbackEffect::SelfTest) => tracing::debug!(address, "our own self-test arrived"),
        Ok(CallbackEffect::Job { key, warning: None }) => {
            tracing::debug!(address, key, "callback from AI Studios");
        }
        Ok(CallbackEffect::Job { warning: Some(warning), .. }) => tracing::warn!("{warning}"),
        // The render is polled anyway, so the response does not report the failure.
        Err(error) => tracing::warn!("a webhook callback could not be recorded: {error}"),
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

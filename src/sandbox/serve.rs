//! The two servers: from a socket to the API and back.
//!
//! One handler serves each origin. It routes the request, samples a fault, reads the body, has the API do
//! the work and passes the response to the connection. All of the work happens in one synchronous call,
//! so when a client disconnects halfway it is either done or not begun.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, header};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::api::{RequestRejection, SandboxRequest, SandboxResponse};
use super::clock::wall_ms;
use super::control_api;
use super::endpoint::{RouteMatch, SandboxEndpoint, match_route};
use super::faults::{FaultEffect, InjectedFault, RequestWork};
use super::inject_fault::{ResponseDelivery, apply_fault};
use super::request_guard::check_request;
use super::request_log::RequestLogEntry;
use super::state::ServerState;
use super::wire::{CloseKind, ConnectionControl, CutPoint, FaultyListener, ResponseFault};

/// No scene is larger than this.
const BODY_MAX: usize = 16 << 20;

/// The server that received a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerKind {
    Api,
    Downloads,
}

/// Serves the API until the server state closes.
pub(super) async fn serve_api(
    server: Arc<ServerState>,
    listener: TcpListener,
) -> std::io::Result<()> {
    serve(server, listener, ServerKind::Api).await
}

/// Serves finished files until the server state closes.
pub(super) async fn serve_downloads(
    server: Arc<ServerState>,
    listener: TcpListener,
) -> std::io::Result<()> {
    serve(server, listener, ServerKind::Downloads).await
}

async fn serve(
    server: Arc<ServerState>,
    listener: TcpListener,
    origin: ServerKind,
) -> std::io::Result<()> {
    let stop = server.stop.clone();
    let listen = listener.local_addr()?;
    let door = Arc::clone(&server);
    let refuses = move || origin == ServerKind::Api && door.fault_sampler().refuses_connection();
    let service = Router::new()
        .fallback(async move |state: State<Arc<ServerState>>, connection, request| {
            let (parts, body): (Parts, Body) = Request::into_parts(request);
            match check_request(&parts.method, &parts.headers, listen) {
                Ok(()) => {
                    response(state, connection, Request::from_parts(parts, body), origin).await
                }
                Err(problem) => build_http_response(problem.to_response(&state.switches().errors)),
            }
        })
        .with_state(server)
        .into_make_service_with_connect_info::<ConnectionControl>();
    axum::serve(FaultyListener::new(listener, refuses), service)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// The head of a request, kept for the request log.
struct RequestHead {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    at_ms: i64,
}

/// A request whose endpoint is known.
struct RoutedRequest {
    endpoint: SandboxEndpoint,
    key: String,
    head: RequestHead,
    body: Body,
}

impl RequestHead {
    fn header_text(&self, name: header::HeaderName) -> Option<String> {
        // A header that is not text cannot be a token of ours: it is as wrong as any other.
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    fn has_authorization(&self) -> bool {
        self.headers.contains_key(header::AUTHORIZATION)
    }

    fn log_entry(
        &self,
        endpoint: Option<SandboxEndpoint>,
        body_len: usize,
        status: u16,
    ) -> RequestLogEntry {
        RequestLogEntry {
            method: self.method.clone(),
            path: self.path.clone(),
            endpoint: endpoint.map_or("", SandboxEndpoint::as_str),
            at_ms: self.at_ms,
            had_authorization: self.has_authorization(),
            body_len,
            status,
            fault: None,
        }
    }
}

async fn response(
    State(server): State<Arc<ServerState>>,
    ConnectInfo(connection): ConnectInfo<ConnectionControl>,
    request: Request,
    origin: ServerKind,
) -> Response<Body> {
    connection.set_fault(ResponseFault::NoFault);
    let (parts, body) = request.into_parts();
    let head = RequestHead {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        at_ms: wall_ms(),
    };
    if origin == ServerKind::Api && head.path.starts_with(control_api::CONTROL_PREFIX) {
        let Ok(body) = to_bytes(body, BODY_MAX).await else {
            return close_without_response(&connection);
        };
        return build_http_response(control_api::response(
            &server,
            &head.method,
            &head.path,
            &body,
        ));
    }
    let found = match origin {
        ServerKind::Api => match_route(&head.method, &head.path),
        ServerKind::Downloads => find_download(&server, &head),
    };
    match found {
        RouteMatch::Endpoint(endpoint, key) => {
            let key = key.to_owned();
            handle_endpoint(&server, &connection, RoutedRequest { endpoint, key, head, body }).await
        }
        RouteMatch::WrongMethod => {
            reject_request(&server, &head, RequestRejection::new(405, 4050, "method not allowed"))
        }
        RouteMatch::NotFound => reject_request(&server, &head, RequestRejection::not_found("path")),
    }
}

fn find_download<'a>(server: &ServerState, head: &'a RequestHead) -> RouteMatch<'a> {
    let key = head.path.strip_prefix("/export/").and_then(|rest| rest.strip_suffix(".mp4"));
    if head.has_authorization() {
        tracing::error!("a token was sent to the download origin, which must never receive one");
        server.request_log().counters.leaked_tokens += 1;
    }
    match (head.method.as_str(), key) {
        ("GET" | "HEAD", Some(key)) => RouteMatch::Endpoint(SandboxEndpoint::Download, key),
        (_, Some(_)) => RouteMatch::WrongMethod,
        (_, None) => {
            server.request_log().counters.strays += 1;
            RouteMatch::NotFound
        }
    }
}

/// Responds to a request whose endpoint is known.
async fn handle_endpoint(
    server: &Arc<ServerState>,
    connection: &ConnectionControl,
    request: RoutedRequest,
) -> Response<Body> {
    let RoutedRequest { endpoint, key, head, body } = request;
    let injected = server.sample_fault(endpoint);
    let body = if injected.as_ref().is_some_and(should_skip_body) {
        Bytes::new()
    } else {
        match to_bytes(body, BODY_MAX).await {
            Ok(body) => body,
            Err(_) => {
                let problem =
                    RequestRejection::new(413, 4130, "the body is too large or was cut short");
                return reject_request(server, &head, problem);
            }
        }
    };
    let body_len = body.len();
    let call = SandboxRequest {
        endpoint,
        key,
        token: head.header_text(header::AUTHORIZATION),
        range: head.header_text(header::RANGE),
        if_range: head.header_text(header::IF_RANGE),
        query: head.query.clone(),
        body,
    };
    if server.stop.is_cancelled() {
        return close_without_response(connection);
    }
    let mut delivery = match &injected {
        Some(injected) => apply_fault(server, &call, injected),
        None => ResponseDelivery::new(server.handle_request(&call)),
    };
    apply_speed_switches(server, endpoint, &mut delivery);
    let seen = head.log_entry(Some(endpoint), body_len, delivery.response.status);
    server.log_request(
        Some(endpoint),
        RequestLogEntry { fault: injected.map(|injected| injected.kind.name), ..seen },
    );
    if !delivery.delay.is_zero()
        && server.stop.run_until_cancelled(sleep(delivery.delay)).await.is_none()
    {
        return close_without_response(connection);
    }
    if let Some(crossing) = delivery.crossing {
        let own = delivery.response;
        delivery.response = server.crossed_responses.cross(endpoint, own, crossing).await;
    }
    if !matches!(delivery.fault, ResponseFault::NoFault) {
        connection.set_fault(delivery.fault);
    }
    build_http_response(delivery.response)
}

/// Faults that break the connection before the work leave the body unread, perhaps half sent.
fn should_skip_body(injected: &InjectedFault) -> bool {
    matches!(injected.kind.effect, FaultEffect::BreakConnection(RequestWork::Skipped, _))
}

/// Applies the switches that slow responses down.
fn apply_speed_switches(
    server: &ServerState,
    endpoint: SandboxEndpoint,
    delivery: &mut ResponseDelivery,
) {
    const PAUSE: Duration = Duration::from_millis(20);
    let switches = server.switches();
    if endpoint != SandboxEndpoint::Download {
        delivery.delay += Duration::from_millis(switches.latency_ms);
        return;
    }
    if let (Some(rate), ResponseFault::NoFault) = (switches.download.bytes_per_s, &delivery.fault) {
        delivery.fault = ResponseFault::Slow { chunk: (rate as usize / 50).max(1), pause: PAUSE };
    }
}

/// Responds to a request to an unknown path.
fn reject_request(
    server: &ServerState,
    head: &RequestHead,
    problem: RequestRejection,
) -> Response<Body> {
    let response = problem.to_response(&server.switches().errors);
    server.log_request(None, head.log_entry(None, 0, response.status));
    build_http_response(response)
}

/// Closes the connection without a byte: the server is shutting down.
fn close_without_response(connection: &ConnectionControl) -> Response<Body> {
    connection.set_fault(ResponseFault::Cut(CutPoint::Bytes(0), CloseKind::Close));
    Response::new(Body::empty())
}

fn build_http_response(response: SandboxResponse) -> Response<Body> {
    let mut builder = Response::builder()
        .status(response.status)
        .header(header::CONTENT_TYPE, response.content_type);
    for (name, value) in response.headers {
        builder = builder.header(name, value);
    }
    builder.body(Body::from(response.body)).unwrap_or_else(|_| {
        // Only a status switch with an impossible number leads here.
        let mut response = Response::new(Body::from("a switch holds an impossible HTTP status"));
        *response.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// Returns the origin under which clients on this machine reach an address.
pub(super) fn origin_url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        std::net::IpAddr::V4(ip) => ip.to_string(),
    };
    format!("http://{ip}:{}", address.port())
}

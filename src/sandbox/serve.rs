//! From a socket to the desk and back: the two servers.
//!
//! One handler serves each origin. It finds the endpoint, draws a fault, reads the body, has the
//! work done and hands the answer to the wire. All of the work happens in one synchronous call, so
//! a client that hangs up in the middle leaves it done or not begun.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Response, header};
use tokio::net::TcpListener;
use tokio::time::sleep;

use super::api::{RequestRejection, SandboxRequest, SandboxResponse};
use super::clock::wall_ms;
use super::control_api;
use super::endpoint::{RouteMatch, SandboxEndpoint, match_route};
use super::faults::{FaultEffect, InjectedFault, RequestWork};
use super::inject_fault::{ResponseDelivery, apply_fault};
use super::request_log::RequestLogEntry;
use super::state::ServerState;
use super::wire::{CloseKind, CutPoint, Line, Port, ResponseFault};

/// A payload larger than this is no scene.
const BODY_MAX: usize = 16 << 20;

/// Which of the two servers a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Api,
    Downloads,
}

/// Serves the API until the stage closes.
pub(super) async fn serve_api(
    stage: Arc<ServerState>,
    listener: TcpListener,
) -> std::io::Result<()> {
    serve(stage, listener, Origin::Api).await
}

/// Serves finished files until the stage closes.
pub(super) async fn serve_downloads(
    stage: Arc<ServerState>,
    listener: TcpListener,
) -> std::io::Result<()> {
    serve(stage, listener, Origin::Downloads).await
}

async fn serve(
    stage: Arc<ServerState>,
    listener: TcpListener,
    origin: Origin,
) -> std::io::Result<()> {
    let stop = stage.stop.clone();
    let door = Arc::clone(&stage);
    let refuses = move || origin == Origin::Api && door.draws().refuses_connection();
    let service = Router::new()
        .fallback(async move |state, line, request| answer(state, line, request, origin).await)
        .with_state(stage)
        .into_make_service_with_connect_info::<Line>();
    axum::serve(Port::new(listener, refuses), service)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// A request's head, kept for the logbook.
struct RequestHead {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    at_ms: i64,
}

impl RequestHead {
    fn header_text(&self, name: header::HeaderName) -> Option<String> {
        // A header that is not text is no token of ours: it is as wrong as any other.
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

async fn answer(
    State(stage): State<Arc<ServerState>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
    origin: Origin,
) -> Response<Body> {
    line.set_fault(ResponseFault::NoFault);
    let (parts, body) = request.into_parts();
    let head = RequestHead {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        at_ms: wall_ms(),
    };
    if origin == Origin::Api && head.path.starts_with(control_api::CONTROL_PREFIX) {
        let Ok(body) = to_bytes(body, BODY_MAX).await else { return close_without_response(&line) };
        return build_http_response(control_api::answer(&stage, &head.method, &head.path, &body));
    }
    let found = match origin {
        Origin::Api => match_route(&head.method, &head.path),
        Origin::Downloads => find_download(&stage, &head),
    };
    match found {
        RouteMatch::Endpoint(endpoint, key) => {
            let key = key.to_owned();
            handle_endpoint(&stage, &line, endpoint, key, (head, body)).await
        }
        RouteMatch::WrongMethod => {
            reject_request(&stage, &head, RequestRejection::new(405, 4050, "method not allowed"))
        }
        RouteMatch::NotFound => reject_request(&stage, &head, RequestRejection::not_found("path")),
    }
}

fn find_download<'a>(stage: &ServerState, head: &'a RequestHead) -> RouteMatch<'a> {
    let key = head.path.strip_prefix("/export/").and_then(|rest| rest.strip_suffix(".mp4"));
    if head.has_authorization() {
        tracing::error!("a token was sent to the download origin, a stranger to the API");
        stage.request_log().counters.leaked_tokens += 1;
    }
    match (head.method.as_str(), key) {
        ("GET" | "HEAD", Some(key)) => RouteMatch::Endpoint(SandboxEndpoint::Download, key),
        (_, Some(_)) => RouteMatch::WrongMethod,
        (_, None) => {
            stage.request_log().counters.strays += 1;
            RouteMatch::NotFound
        }
    }
}

/// Answers a request that has found its endpoint.
async fn handle_endpoint(
    stage: &Arc<ServerState>,
    line: &Line,
    endpoint: SandboxEndpoint,
    key: String,
    (head, body): (RequestHead, Body),
) -> Response<Body> {
    let drawn = stage.sample_fault(endpoint);
    let body = if drawn.is_some_and(should_skip_body) {
        Bytes::new()
    } else {
        match to_bytes(body, BODY_MAX).await {
            Ok(body) => body,
            Err(_) => {
                let problem =
                    RequestRejection::new(413, 4130, "the body is too large or was cut short");
                return reject_request(stage, &head, problem);
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
    if stage.stop.is_cancelled() {
        return close_without_response(line);
    }
    let mut delivery = match drawn {
        Some(drawn) => apply_fault(stage, &call, drawn),
        None => ResponseDelivery::new(stage.handle_request(&call)),
    };
    apply_speed_switches(stage, endpoint, &mut delivery);
    let seen = head.log_entry(Some(endpoint), body_len, delivery.answer.status);
    stage.log_request(
        Some(endpoint),
        RequestLogEntry { fault: drawn.map(|drawn| drawn.kind.name), ..seen },
    );
    if !delivery.delay.is_zero()
        && stage.stop.run_until_cancelled(sleep(delivery.delay)).await.is_none()
    {
        return close_without_response(line);
    }
    if !matches!(delivery.fault, ResponseFault::NoFault) {
        line.set_fault(delivery.fault);
    }
    build_http_response(delivery.answer)
}

/// Faults that break the line before the work leave the body where it is, half sent perhaps.
fn should_skip_body(drawn: InjectedFault) -> bool {
    matches!(drawn.kind.effect, FaultEffect::Line(RequestWork::Skipped, _))
}

/// Adds what switches say about speed.
fn apply_speed_switches(
    stage: &ServerState,
    endpoint: SandboxEndpoint,
    delivery: &mut ResponseDelivery,
) {
    const PAUSE: Duration = Duration::from_millis(20);
    let switches = stage.switches();
    if endpoint != SandboxEndpoint::Download {
        delivery.delay += Duration::from_millis(switches.latency_ms);
        return;
    }
    if let (Some(rate), ResponseFault::NoFault) = (switches.download.bytes_per_s, &delivery.fault) {
        delivery.fault = ResponseFault::Slow { chunk: (rate as usize / 50).max(1), pause: PAUSE };
    }
}

/// Answers a request that leads nowhere.
fn reject_request(
    stage: &ServerState,
    head: &RequestHead,
    problem: RequestRejection,
) -> Response<Body> {
    let answer = problem.answer(&stage.switches().errors);
    stage.log_request(None, head.log_entry(None, 0, answer.status));
    build_http_response(answer)
}

/// Closes the line without a byte: the studio is shutting.
fn close_without_response(line: &Line) -> Response<Body> {
    line.set_fault(ResponseFault::Cut(CutPoint::AfterBytes(0), CloseKind::Close));
    Response::new(Body::empty())
}

fn build_http_response(answer: SandboxResponse) -> Response<Body> {
    let mut builder =
        Response::builder().status(answer.status).header(header::CONTENT_TYPE, answer.content_type);
    for (name, value) in answer.headers {
        builder = builder.header(name, value);
    }
    builder.body(Body::from(answer.body)).unwrap_or_else(|_| {
        // Only a status switched to a number that is none can bring us here.
        let mut response = Response::new(Body::from("a switch holds an impossible HTTP status"));
        *response.status_mut() = axum::http::StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// Writes the origin that clients on this machine reach an address under.
pub(super) fn origin_url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        std::net::IpAddr::V4(ip) => ip.to_string(),
    };
    format!("http://{ip}:{}", address.port())
}

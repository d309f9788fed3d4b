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

use super::backstage;
use super::carry::{Delivery, carry};
use super::clock::wall_ms;
use super::desk::{Answer, Call, Problem};
use super::endpoint::{Endpoint, Found, find};
use super::faults::{Drawn, Effect, Work};
use super::seen::Seen;
use super::stage::Stage;
use super::wire::{Fate, How, Line, Place, Port};

/// A payload larger than this is no scene.
const BODY_MAX: usize = 16 << 20;

/// Which of the two servers a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Api,
    Downloads,
}

/// Serves the API until the stage closes.
pub(super) async fn api(stage: Arc<Stage>, listener: TcpListener) -> std::io::Result<()> {
    serve(stage, listener, Origin::Api).await
}

/// Serves finished files until the stage closes.
pub(super) async fn downloads(stage: Arc<Stage>, listener: TcpListener) -> std::io::Result<()> {
    serve(stage, listener, Origin::Downloads).await
}

async fn serve(stage: Arc<Stage>, listener: TcpListener, origin: Origin) -> std::io::Result<()> {
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
struct Head {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    at_ms: i64,
}

impl Head {
    fn text(&self, name: header::HeaderName) -> Option<String> {
        // A header that is not text is no token of ours: it is as wrong as any other.
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    fn had_authorization(&self) -> bool {
        self.headers.contains_key(header::AUTHORIZATION)
    }

    fn seen(&self, endpoint: Option<Endpoint>, body_len: usize, status: u16) -> Seen {
        Seen {
            method: self.method.clone(),
            path: self.path.clone(),
            endpoint: endpoint.map_or("", Endpoint::word),
            at_ms: self.at_ms,
            had_authorization: self.had_authorization(),
            body_len,
            status,
            fault: None,
        }
    }
}

async fn answer(
    State(stage): State<Arc<Stage>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
    origin: Origin,
) -> Response<Body> {
    line.meet(Fate::Plain);
    let (parts, body) = request.into_parts();
    let head = Head {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers,
        at_ms: wall_ms(),
    };
    if origin == Origin::Api && head.path.starts_with(backstage::PREFIX) {
        let Ok(body) = to_bytes(body, BODY_MAX).await else { return gone(&line) };
        return respond(backstage::answer(&stage, &head.method, &head.path, &body));
    }
    let found = match origin {
        Origin::Api => find(&head.method, &head.path),
        Origin::Downloads => find_file(&stage, &head),
    };
    match found {
        Found::Endpoint(endpoint, key) => {
            let key = key.to_owned();
            attend(&stage, &line, endpoint, key, (head, body)).await
        }
        Found::WrongMethod => lost(&stage, &head, Problem::new(405, 4050, "method not allowed")),
        Found::Nothing => lost(&stage, &head, Problem::not_found("path")),
    }
}

fn find_file<'a>(stage: &Stage, head: &'a Head) -> Found<'a> {
    let key = head.path.strip_prefix("/export/").and_then(|rest| rest.strip_suffix(".mp4"));
    if head.had_authorization() {
        tracing::error!("a token was sent to the download origin, a stranger to the API");
        stage.logbook().counters.leaked_tokens += 1;
    }
    match (head.method.as_str(), key) {
        ("GET" | "HEAD", Some(key)) => Found::Endpoint(Endpoint::Download, key),
        (_, Some(_)) => Found::WrongMethod,
        (_, None) => {
            stage.logbook().counters.strays += 1;
            Found::Nothing
        }
    }
}

/// Answers a request that has found its endpoint.
async fn attend(
    stage: &Arc<Stage>,
    line: &Line,
    endpoint: Endpoint,
    key: String,
    (head, body): (Head, Body),
) -> Response<Body> {
    let drawn = stage.draw(endpoint);
    let body = if drawn.is_some_and(cuts_before_reading) {
        Bytes::new()
    } else {
        match to_bytes(body, BODY_MAX).await {
            Ok(body) => body,
            Err(_) => {
                let problem = Problem::new(413, 4130, "the body is too large or was cut short");
                return lost(stage, &head, problem);
            }
        }
    };
    let body_len = body.len();
    let call = Call {
        endpoint,
        key,
        token: head.text(header::AUTHORIZATION),
        range: head.text(header::RANGE),
        if_range: head.text(header::IF_RANGE),
        query: head.query.clone(),
        body,
    };
    if stage.stop.is_cancelled() {
        return gone(line);
    }
    let mut delivery = match drawn {
        Some(drawn) => carry(stage, &call, drawn),
        None => Delivery::plain(stage.perform(&call)),
    };
    pace(stage, endpoint, &mut delivery);
    let seen = head.seen(Some(endpoint), body_len, delivery.answer.status);
    stage.note(Some(endpoint), Seen { fault: drawn.map(|drawn| drawn.known.name), ..seen });
    if !delivery.wait.is_zero()
        && stage.stop.run_until_cancelled(sleep(delivery.wait)).await.is_none()
    {
        return gone(line);
    }
    if !matches!(delivery.fate, Fate::Plain) {
        line.meet(delivery.fate);
    }
    respond(delivery.answer)
}

/// Faults that break the line before the work leave the body where it is, half sent perhaps.
fn cuts_before_reading(drawn: Drawn) -> bool {
    matches!(drawn.known.effect, Effect::Line(Work::Skipped, _))
}

/// Adds what switches say about speed.
fn pace(stage: &Stage, endpoint: Endpoint, delivery: &mut Delivery) {
    const PAUSE: Duration = Duration::from_millis(20);
    let switches = stage.switches();
    if endpoint != Endpoint::Download {
        delivery.wait += Duration::from_millis(switches.latency_ms);
        return;
    }
    if let (Some(rate), Fate::Plain) = (switches.download.bytes_per_s, &delivery.fate) {
        delivery.fate = Fate::Slow { chunk: (rate as usize / 50).max(1), pause: PAUSE };
    }
}

/// Answers a request that leads nowhere.
fn lost(stage: &Stage, head: &Head, problem: Problem) -> Response<Body> {
    let answer = problem.answer(&stage.switches().errors);
    stage.note(None, head.seen(None, 0, answer.status));
    respond(answer)
}

/// Closes the line without a byte: the studio is shutting.
fn gone(line: &Line) -> Response<Body> {
    line.meet(Fate::End(Place::Byte(0), How::Close));
    Response::new(Body::empty())
}

fn respond(answer: Answer) -> Response<Body> {
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
pub(super) fn origin_of(address: SocketAddr) -> String {
    let ip = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        std::net::IpAddr::V6(ip) => format!("[{ip}]"),
        std::net::IpAddr::V4(ip) => ip.to_string(),
    };
    format!("http://{ip}:{}", address.port())
}

//! One call, from the first byte to the last: sends it, reads what comes, and judges nothing.
//!
//! Every body is bounded. What is kept of an exchange for people and for the ledger leaves this
//! file redacted. Each call is told to the log in one line, by its path's template.

use std::borrow::Cow;
use std::time::Duration;

use reqwest::{Method, Response, header};
use tokio::sync::mpsc;
use tokio_util::bytes::Bytes;
use url::Url;

use crate::aistudios::classify::{BodyEnd, ExchangeOutcome, HttpResponse, NoResponseCause};
use crate::aistudios::listing;
use crate::aistudios::listing::ProjectListing;
use crate::aistudios::project::ProjectId;
use crate::aistudios::settings::{ClientSettings, ClientSetupError, host_and_port};
use crate::aistudios::submit_outcome::{ResponseRecord, UnknownReason, UnknownResponse};
use crate::clock::Clock;
use crate::http::redact::Redactor;
use crate::http::transport;
use crate::http::transport::HttpClients;

/// The largest JSON answer; a project with all its scenes is a few hundred KB.
const JSON_BYTES_MAX: usize = 4 << 20;
/// The largest list: tens of thousands of projects with their scenes left out.
const LIST_BYTES_MAX: usize = 64 << 20;
/// What is kept of the start of a list, to say what was wrong with one that was none.
const LIST_HEAD_BYTES_MAX: usize = 64 << 10;
/// What is kept of any body.
const RECORDED_BODY_BYTES_MAX: usize = 2 << 10;
/// What is shown of the vendor's words.
const MESSAGE_BYTES_MAX: usize = 300;
/// Chunks between the socket and the parser of a list.
const LIST_CHUNKS_MAX: usize = 16;

/// The end points of the V3 API that are used.
#[derive(Clone, Copy)]
pub(super) enum V3Endpoint<'a> {
    Token,
    Auth,
    Projects,
    Project(&'a ProjectId),
    Progress(&'a ProjectId),
    Export,
    /// Any end point that makes a project: its path as the kind of request gives it, and as filled
    /// in.
    CreateProject(&'a str, &'a str),
    GenerationProgress(&'a ProjectId),
    /// A catalogue, by its path.
    Catalog(&'static str),
}

/// Which client a call takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CallCost {
    Paid,
    Free,
}

/// What is made of a body that comes with a 2xx.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyHandling {
    Json,
    List,
    /// It holds a new token, so nothing of it is kept.
    Secret,
}

/// A call, ready to be sent.
#[derive(Clone)]
pub(super) struct ApiCall<'a> {
    pub(super) cost: CallCost,
    pub(super) method: Method,
    pub(super) endpoint: V3Endpoint<'a>,
    pub(super) body: Option<Bytes>,
    pub(super) body_handling: BodyHandling,
}

/// What came of a call.
pub(super) struct HttpExchange {
    pub(super) outcome: ExchangeOutcome,
    /// The list, if one was asked for and came whole.
    pub(super) listing: Option<ProjectListing>,
    elapsed: Duration,
    body_handling: BodyHandling,
}

/// The API host, and the ways to it.
pub(crate) struct ApiTransport {
    pub(super) redactor: Redactor,
    pub(crate) clock: Clock,
    pub(crate) http_clients: HttpClients,
    base_url: Url,
    host: String,
    connect_timeout: Duration,
}

impl<'a> V3Endpoint<'a> {
    /// Returns the path as the reference prints it, fit for a log.
    fn path_template(self) -> Cow<'a, str> {
        Cow::Borrowed(match self {
            Self::Token => "/api/odin/v3/auth/token",
            Self::Auth => "/api/odin/v3/auth",
            Self::Projects => "/api/odin/v3/editor/project",
            Self::Project(_) => "/api/odin/v3/editor/project/{key}",
            Self::Progress(_) => "/api/odin/v3/editor/progress/{key}",
            Self::Export => "/api/odin/v3/editor/project/export",
            Self::Catalog(path) => path,
            Self::GenerationProgress(_) => "/api/odin/v3/automation/progress",
            Self::CreateProject(template, _) => return Cow::Owned(format!("{API_ROOT}{template}")),
        })
    }

    fn path(self) -> String {
        match self {
            Self::Token
            | Self::Auth
            | Self::Projects
            | Self::Export
            | Self::GenerationProgress(_)
            | Self::Catalog(_) => self.path_template().into_owned(),
            Self::Project(id) | Self::Progress(id) => {
                self.path_template().replace("{key}", id.as_str())
            }
            Self::CreateProject(_, path) => format!("{API_ROOT}{path}"),
        }
    }

    /// Returns what stands after the `?`. An id needs no escapes.
    fn query(self) -> Option<String> {
        let Self::GenerationProgress(id) = self else { return None };
        Some(format!("projectId={id}"))
    }
}

/// Below which every end point lies.
const API_ROOT: &str = "/api/odin/v3/";

impl ApiTransport {
    pub(super) fn new(settings: &ClientSettings, clock: Clock) -> Result<Self, ClientSetupError> {
        let credentials = &settings.credentials;
        Ok(Self {
            redactor: Redactor::new(&[credentials.app_id(), credentials.user_key()]),
            clock,
            http_clients: HttpClients::new(settings)?,
            base_url: settings.base_url.clone(),
            host: host_and_port(&settings.base_url),
            connect_timeout: settings.connect_timeout,
        })
    }

    /// Returns the API's host as people know it.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Sends `call` once and reads what comes.
    pub(super) async fn exchange(
        &self,
        call: &ApiCall<'_>,
        token: Option<&header::HeaderValue>,
    ) -> HttpExchange {
        let started = self.clock.awake_time();
        let (outcome, listing) = self.send_and_read(call, token).await;
        let elapsed = self.clock.awake_time().saturating_sub(started);
        let exchange =
            HttpExchange { outcome, listing, elapsed, body_handling: call.body_handling };
        log_exchange(call, &exchange);
        exchange
    }

    async fn send_and_read(
        &self,
        call: &ApiCall<'_>,
        token: Option<&header::HeaderValue>,
    ) -> (ExchangeOutcome, Option<ProjectListing>) {
        let response = match self.send_request(call, token).await {
            Ok(response) => response,
            Err(error) => return (self.failed_outcome(&error), None),
        };
        let mut reply = response_head(&response);
        let success = response.status().is_success();
        let mut listing = None;
        (reply.body, reply.body_end) = match call.body_handling {
            BodyHandling::List if success => {
                let body;
                (listing, body) = read_list_body(response).await;
                body
            }
            BodyHandling::List | BodyHandling::Json | BodyHandling::Secret => {
                read_json_body(response).await
            }
        };
        (ExchangeOutcome::Responded(reply), listing)
    }

    async fn send_request(
        &self,
        call: &ApiCall<'_>,
        token: Option<&header::HeaderValue>,
    ) -> reqwest::Result<Response> {
        let client = match call.cost {
            CallCost::Paid => &self.http_clients.paid,
            CallCost::Free => &self.http_clients.free,
        };
        let mut url = self.base_url.clone();
        url.set_path(&format!(
            "{}{}",
            self.base_url.path().trim_end_matches('/'),
            call.endpoint.path()
        ));
        url.set_query(call.endpoint.query().as_deref());
        let mut request =
            client.request(call.method.clone(), url).header(header::ACCEPT, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        if let Some(body) = &call.body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        request.send().await
    }

    fn failed_outcome(&self, error: &reqwest::Error) -> ExchangeOutcome {
        if let Some(reason) = transport::not_sent_reason(error, &self.host, self.connect_timeout) {
            return ExchangeOutcome::NotSent(reason);
        }
        ExchangeOutcome::NoResponse(if error.is_timeout() {
            NoResponseCause::TimedOut
        } else {
            NoResponseCause::ConnectionLost
        })
    }

    /// Makes the vendor's words fit to be shown: one line, at most 300 bytes.
    pub(super) fn redact_line(&self, words: &str) -> String {
        let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
        self.redactor.redact_text(&line, MESSAGE_BYTES_MAX)
    }

    /// Makes an address fit to be shown: without query, which is where signatures are.
    pub(crate) fn redact_url(&self, url: &str) -> String {
        let plain = url.split(['?', '#']).next().unwrap_or("");
        let plain = match plain.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                let host = host.rsplit('@').next().unwrap_or("");
                format!("{scheme}://{host}/{path}")
            }
            None => plain.to_owned(),
        };
        self.redact_line(&plain)
    }
}

impl HttpExchange {
    /// Returns the answer as the ledger keeps it. One that never began has status 0.
    pub(super) fn response_record(&self, wire: &ApiTransport) -> ResponseRecord {
        ResponseRecord {
            status: self.status().unwrap_or(0),
            body: self.redacted_body(wire),
            elapsed: self.elapsed,
        }
    }

    /// Returns what is known of an exchange that leaves a doubt.
    pub(super) fn unknown_response(
        &self,
        doubt: UnknownReason,
        wire: &ApiTransport,
    ) -> UnknownResponse {
        UnknownResponse {
            reason: doubt,
            status: self.status(),
            body: self.redacted_body(wire),
            elapsed: self.elapsed,
            retry_after: self.response().and_then(HttpResponse::retry_after),
        }
    }

    /// Returns the answer, if one began.
    pub(super) fn response(&self) -> Option<&HttpResponse> {
        match &self.outcome {
            ExchangeOutcome::Responded(reply) => Some(reply),
            ExchangeOutcome::NotSent(_) | ExchangeOutcome::NoResponse(_) => None,
        }
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.response().map(|reply| reply.status)
    }

    fn redacted_body(&self, wire: &ApiTransport) -> String {
        match self.response() {
            Some(reply) if self.body_handling == BodyHandling::Secret && reply.status < 300 => {
                "[withheld, it may hold a token]".to_owned()
            }
            Some(reply) => wire.redactor.redact_bytes(&reply.body, RECORDED_BODY_BYTES_MAX),
            None => String::new(),
        }
    }
}

fn log_exchange(call: &ApiCall<'_>, exchange: &HttpExchange) {
    let template = call.endpoint.path_template();
    let (method, path) = (&call.method, &*template);
    let ms = exchange.elapsed.as_millis();
    match &exchange.outcome {
        ExchangeOutcome::Responded(reply) => {
            let status = reply.status;
            tracing::debug!(%method, path, status, ms, "{method} {path}: {status} in {ms} ms");
        }
        ExchangeOutcome::NotSent(reason) => {
            let kind = reason.kind;
            tracing::debug!(%method, path, ?kind, ms, "{method} {path}: not sent");
        }
        ExchangeOutcome::NoResponse(how) => {
            tracing::debug!(%method, path, ?how, ms, "{method} {path}: no answer in {ms} ms");
        }
    }
}

/// Takes down an answer without its body.
fn response_head(response: &Response) -> HttpResponse {
    let all = |name: header::HeaderName| {
        let values = response.headers().get_all(name).into_iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    HttpResponse {
        status: response.status().as_u16(),
        content_type: all(header::CONTENT_TYPE).next(),
        location: all(header::LOCATION).next(),
        retry_after_headers: all(header::RETRY_AFTER).take(4).collect(),
        date_header: all(header::DATE).next(),
        body: Vec::new(),
        body_end: BodyEnd::Truncated,
    }
}

async fn read_json_body(mut response: Response) -> (Vec<u8>, BodyEnd) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, BodyEnd::Complete),
            Err(error) => return (body, body_end_from_error(&error)),
        }
        if body.len() > JSON_BYTES_MAX {
            body.truncate(JSON_BYTES_MAX);
            return (body, BodyEnd::TooLarge);
        }
    }
}

/// Reads a list while it arrives. Returns it with the start of its body, which is all of it when
/// the answer is no list but an error.
async fn read_list_body(mut response: Response) -> (Option<ProjectListing>, (Vec<u8>, BodyEnd)) {
    let (chunks, parser_end) = mpsc::channel(LIST_CHUNKS_MAX);
    let source = ChunkReader { chunks: parser_end, current: Bytes::new() };
    let parser = tokio::task::spawn_blocking(move || listing::parse_listing(source));
    let (mut start, mut length) = (Vec::new(), 0);
    let ending = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                length += chunk.len();
                let room = LIST_HEAD_BYTES_MAX.saturating_sub(start.len()).min(chunk.len());
                start.extend_from_slice(&chunk[..room]);
                // A parser that has seen enough of nonsense hangs up; the rest is still read for
                // the sake of the connection, up to the same limit.
                let _hung_up = chunks.send(chunk).await;
            }
            Ok(None) => break BodyEnd::Complete,
            Err(error) => break body_end_from_error(&error),
        }
        if length > LIST_BYTES_MAX {
            break BodyEnd::TooLarge;
        }
    };
    drop(chunks);
    let listing = parser.await.ok().flatten().filter(|_| ending == BodyEnd::Complete);
    (listing, (start, ending))
}

fn body_end_from_error(error: &reqwest::Error) -> BodyEnd {
    if error.is_timeout() { BodyEnd::TimedOut } else { BodyEnd::Truncated }
}

/// The chunks of a body as a reader for the parser's thread. A sender that goes away is the end.
struct ChunkReader {
    chunks: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl std::io::Read for ChunkReader {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let length = into.len().min(self.current.len());
        into[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

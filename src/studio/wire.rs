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

use super::{
    answer::{Doubt, Evidence, Heard},
    listing::{self, Listing},
    meaning::{Ending, Lost, Outcome, Reply},
    project::ProjectId,
    redact::Redactor,
    settings::{Settings, SetupError, shown_host},
    transport::{self, Transport},
};
use crate::clock::Clock;

/// The largest JSON answer; a project with all its scenes is a few hundred KB.
const JSON_BYTES_MAX: usize = 4 << 20;
/// The largest list: tens of thousands of projects with their scenes left out.
const LIST_BYTES_MAX: usize = 64 << 20;
/// What is kept of the start of a list, to say what was wrong with one that was none.
const LIST_HEAD_BYTES: usize = 64 << 10;
/// What is kept of any body.
const KEPT_BYTES_MAX: usize = 2 << 10;
/// What is shown of the vendor's words.
const WORDS_BYTES_MAX: usize = 300;
/// Chunks between the socket and the parser of a list.
const LIST_CHUNKS_MAX: usize = 16;

/// The end points of the V3 API that are used.
#[derive(Clone, Copy)]
pub(super) enum Endpoint<'a> {
    Token,
    Confirm,
    Projects,
    Project(&'a ProjectId),
    Progress(&'a ProjectId),
    Export,
    /// Any end point that makes a project: its path as the kind of request gives it, and as filled
    /// in.
    Make(&'a str, &'a str),
    Generation(&'a ProjectId),
    /// A catalogue, by its path.
    Catalogue(&'static str),
}

/// Which client a call takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    Paid,
    Free,
}

/// What is made of a body that comes with a 2xx.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sink {
    Json,
    List,
    /// It holds a new token, so nothing of it is kept.
    Secret,
}

/// A call, ready to be sent.
#[derive(Clone)]
pub(super) struct Call<'a> {
    pub(super) lane: Lane,
    pub(super) method: Method,
    pub(super) endpoint: Endpoint<'a>,
    pub(super) body: Option<Bytes>,
    pub(super) sink: Sink,
}

/// What came of a call.
pub(super) struct Exchange {
    pub(super) outcome: Outcome,
    /// The list, if one was asked for and came whole.
    pub(super) listing: Option<Listing>,
    elapsed: Duration,
    sink: Sink,
}

/// The API host, and the ways to it.
pub(super) struct Wire {
    pub(super) redactor: Redactor,
    pub(super) clock: Clock,
    pub(super) transport: Transport,
    base: Url,
    host: String,
    connect_timeout: Duration,
}

impl<'a> Endpoint<'a> {
    /// Returns the path as the reference prints it, fit for a log.
    fn template(self) -> Cow<'a, str> {
        Cow::Borrowed(match self {
            Self::Token => "/api/odin/v3/auth/token",
            Self::Confirm => "/api/odin/v3/auth",
            Self::Projects => "/api/odin/v3/editor/project",
            Self::Project(_) => "/api/odin/v3/editor/project/{key}",
            Self::Progress(_) => "/api/odin/v3/editor/progress/{key}",
            Self::Export => "/api/odin/v3/editor/project/export",
            Self::Catalogue(path) => path,
            Self::Generation(_) => "/api/odin/v3/automation/progress",
            Self::Make(template, _) => return Cow::Owned(format!("{ROOT}{template}")),
        })
    }

    fn path(self) -> String {
        match self {
            Self::Token
            | Self::Confirm
            | Self::Projects
            | Self::Export
            | Self::Generation(_)
            | Self::Catalogue(_) => self.template().into_owned(),
            Self::Project(id) | Self::Progress(id) => self.template().replace("{key}", id.as_str()),
            Self::Make(_, path) => format!("{ROOT}{path}"),
        }
    }

    /// Returns what stands after the `?`. An id needs no escapes.
    fn query(self) -> Option<String> {
        let Self::Generation(id) = self else { return None };
        Some(format!("projectId={id}"))
    }
}

/// Below which every end point lies.
const ROOT: &str = "/api/odin/v3/";

impl Wire {
    pub(super) fn new(settings: &Settings, clock: Clock) -> Result<Self, SetupError> {
        let credentials = &settings.credentials;
        Ok(Self {
            redactor: Redactor::new(&[credentials.app_id(), credentials.user_key()]),
            clock,
            transport: Transport::new(settings)?,
            base: settings.base_url.clone(),
            host: shown_host(&settings.base_url),
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
        call: &Call<'_>,
        token: Option<&header::HeaderValue>,
    ) -> Exchange {
        let started = self.clock.awake();
        let (outcome, listing) = self.send(call, token).await;
        let elapsed = self.clock.awake().saturating_sub(started);
        let exchange = Exchange { outcome, listing, elapsed, sink: call.sink };
        log(call, &exchange);
        exchange
    }

    async fn send(
        &self,
        call: &Call<'_>,
        token: Option<&header::HeaderValue>,
    ) -> (Outcome, Option<Listing>) {
        let response = match self.open(call, token).await {
            Ok(response) => response,
            Err(error) => return (self.failed(&error), None),
        };
        let mut reply = head(&response);
        let success = response.status().is_success();
        let mut listing = None;
        (reply.body, reply.ending) = match call.sink {
            Sink::List if success => {
                let body;
                (listing, body) = read_list(response).await;
                body
            }
            Sink::List | Sink::Json | Sink::Secret => read_json(response).await,
        };
        (Outcome::Replied(reply), listing)
    }

    async fn open(
        &self,
        call: &Call<'_>,
        token: Option<&header::HeaderValue>,
    ) -> reqwest::Result<Response> {
        let client = match call.lane {
            Lane::Paid => &self.transport.paid,
            Lane::Free => &self.transport.free,
        };
        let mut url = self.base.clone();
        url.set_path(&format!(
            "{}{}",
            self.base.path().trim_end_matches('/'),
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

    fn failed(&self, error: &reqwest::Error) -> Outcome {
        if let Some(reason) = transport::not_sent(error, &self.host, self.connect_timeout) {
            return Outcome::NotSent(reason);
        }
        Outcome::Lost(if error.is_timeout() { Lost::TimedOut } else { Lost::Broken })
    }

    /// Makes the vendor's words fit to be shown: one line, at most 300 bytes.
    pub(super) fn shown(&self, words: &str) -> String {
        let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
        self.redactor.clip_text(&line, WORDS_BYTES_MAX)
    }

    /// Makes an address fit to be shown: without query, which is where signatures are.
    pub(super) fn shown_url(&self, url: &str) -> String {
        let plain = url.split(['?', '#']).next().unwrap_or("");
        let plain = match plain.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                let host = host.rsplit('@').next().unwrap_or("");
                format!("{scheme}://{host}/{path}")
            }
            None => plain.to_owned(),
        };
        self.shown(&plain)
    }
}

impl Exchange {
    /// Returns the answer as the ledger keeps it. One that never began has status 0.
    pub(super) fn heard(&self, wire: &Wire) -> Heard {
        Heard {
            status: self.status().unwrap_or(0),
            body: self.kept_body(wire),
            elapsed: self.elapsed,
        }
    }

    /// Returns what is known of an exchange that leaves a doubt.
    pub(super) fn evidence(&self, doubt: Doubt, wire: &Wire) -> Evidence {
        Evidence {
            doubt,
            status: self.status(),
            body: self.kept_body(wire),
            elapsed: self.elapsed,
            retry_after: self.reply().and_then(Reply::retry_after),
        }
    }

    /// Returns the answer, if one began.
    pub(super) fn reply(&self) -> Option<&Reply> {
        match &self.outcome {
            Outcome::Replied(reply) => Some(reply),
            Outcome::NotSent(_) | Outcome::Lost(_) => None,
        }
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.reply().map(|reply| reply.status)
    }

    fn kept_body(&self, wire: &Wire) -> String {
        match self.reply() {
            Some(reply) if self.sink == Sink::Secret && reply.status < 300 => {
                "[withheld, it may hold a token]".to_owned()
            }
            Some(reply) => wire.redactor.clip(&reply.body, KEPT_BYTES_MAX),
            None => String::new(),
        }
    }
}

fn log(call: &Call<'_>, exchange: &Exchange) {
    let template = call.endpoint.template();
    let (method, path) = (&call.method, &*template);
    let ms = exchange.elapsed.as_millis();
    match &exchange.outcome {
        Outcome::Replied(reply) => {
            let status = reply.status;
            tracing::debug!(%method, path, status, ms, "{method} {path}: {status} in {ms} ms");
        }
        Outcome::NotSent(reason) => {
            let kind = reason.kind;
            tracing::debug!(%method, path, ?kind, ms, "{method} {path}: not sent");
        }
        Outcome::Lost(how) => {
            tracing::debug!(%method, path, ?how, ms, "{method} {path}: no answer in {ms} ms");
        }
    }
}

/// Takes down an answer without its body.
fn head(response: &Response) -> Reply {
    let all = |name: header::HeaderName| {
        let values = response.headers().get_all(name).into_iter();
        values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Reply {
        status: response.status().as_u16(),
        content_type: all(header::CONTENT_TYPE).next(),
        location: all(header::LOCATION).next(),
        retry_after: all(header::RETRY_AFTER).take(4).collect(),
        date: all(header::DATE).next(),
        body: Vec::new(),
        ending: Ending::Cut,
    }
}

async fn read_json(mut response: Response) -> (Vec<u8>, Ending) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, Ending::Whole),
            Err(error) => return (body, broken(&error)),
        }
        if body.len() > JSON_BYTES_MAX {
            body.truncate(JSON_BYTES_MAX);
            return (body, Ending::TooLarge);
        }
    }
}

/// Reads a list while it arrives. Returns it with the start of its body, which is all of it when
/// the answer is no list but an error.
async fn read_list(mut response: Response) -> (Option<Listing>, (Vec<u8>, Ending)) {
    let (chunks, parser_end) = mpsc::channel(LIST_CHUNKS_MAX);
    let source = ChunkReader { chunks: parser_end, current: Bytes::new() };
    let parser = tokio::task::spawn_blocking(move || listing::read(source));
    let (mut start, mut length) = (Vec::new(), 0);
    let ending = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                length += chunk.len();
                let room = LIST_HEAD_BYTES.saturating_sub(start.len()).min(chunk.len());
                start.extend_from_slice(&chunk[..room]);
                // A parser that has seen enough of nonsense hangs up; the rest is still read for
                // the sake of the connection, up to the same limit.
                let _hung_up = chunks.send(chunk).await;
            }
            Ok(None) => break Ending::Whole,
            Err(error) => break broken(&error),
        }
        if length > LIST_BYTES_MAX {
            break Ending::TooLarge;
        }
    };
    drop(chunks);
    let listing = parser.await.ok().flatten().filter(|_| ending == Ending::Whole);
    (listing, (start, ending))
}

fn broken(error: &reqwest::Error) -> Ending {
    if error.is_timeout() { Ending::TimedOut } else { Ending::Cut }
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

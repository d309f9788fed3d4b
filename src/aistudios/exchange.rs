//! One HTTP exchange with the API: sends a call, reads the response, classifies nothing.
//!
//! Every body is bounded in size. Each call is logged in one line, by the template of its path. The
//! clients differ in what a mistake would cost. *Paid*: nothing is ever sent twice, so HTTP/1.1,
//! no retry, and connections are reused for a second at most. *Free*: pooled.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{ClientBuilder, Method, Response, header};
use tokio_util::bytes::Bytes;
use url::Url;

use super::classify::{BodyEnd, ExchangeOutcome, HttpResponse, NoResponseCause};
use super::listing;
use super::project::{ProjectId, ProjectList};
use super::settings::{ClientSettings, ClientSetupError};
use super::studio_api::CreateRequest;
use crate::clock::Clock;
use crate::http::redact::Redactor;
use crate::http::transport::{self, ConnectOptions, host_and_port};

/// The largest JSON response; a project with all its scenes has a few hundred KB.
const JSON_BYTES_MAX: usize = 4 << 20;
/// The largest list: tens of thousands of projects without their scenes.
const LIST_BYTES_MAX: usize = 64 << 20;
/// The start of a list that is kept, for the classification of one that could not be parsed.
const LIST_HEAD_BYTES_MAX: usize = 64 << 10;
/// A connection that has been idle for longer may be closing, and its use would lose a response
/// that need not be lost. Below this, reuse keeps high rates cheap.
const PAID_POOL_IDLE_MAX: Duration = Duration::from_secs(1);
/// The root of all endpoints.
const API_ROOT: &str = "/api/odin/v3/";

/// The endpoints of the V3 API in use.
#[derive(Clone, Copy)]
pub(super) enum V3Endpoint<'a> {
    Token,
    Auth,
    Projects,
    Project(&'a ProjectId),
    Progress(&'a ProjectId),
    Export,
    /// Any endpoint that creates or changes a project.
    CreateProject(&'a CreateRequest),
    GenerationProgress(&'a ProjectId),
    /// A catalogue, by its path below the root.
    Catalog(&'static str),
}

/// The client that a call uses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CallCost {
    Paid,
    Free,
}

/// How the body of a 2xx is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyHandling {
    Json,
    List,
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

/// The result of sending a call.
pub(super) struct HttpExchange {
    pub(super) outcome: ExchangeOutcome,
    /// The list, if one was requested and arrived complete.
    pub(super) listing: Option<ProjectList>,
    /// From the first attempt to connect until the last byte, or until it was given up.
    pub(super) elapsed: Duration,
}

/// The connection to the API host.
pub(super) struct ApiTransport {
    pub(super) redactor: Arc<Redactor>,
    pub(super) clock: Clock,
    paid_client: reqwest::Client,
    free_client: reqwest::Client,
    base_url: Url,
    host: String,
    connect: ConnectOptions,
}

impl<'a> ApiCall<'a> {
    /// Returns a call that costs nothing and has no body.
    pub(super) fn free(method: Method, endpoint: V3Endpoint<'a>) -> Self {
        let body_handling = BodyHandling::Json;
        Self { cost: CallCost::Free, method, endpoint, body: None, body_handling }
    }

    /// Returns a POST that may cost money.
    pub(super) fn paid(endpoint: V3Endpoint<'a>, body: Bytes) -> Self {
        let (method, body_handling) = (Method::POST, BodyHandling::Json);
        Self { cost: CallCost::Paid, method, endpoint, body: Some(body), body_handling }
    }
}

impl<'a> V3Endpoint<'a> {
    /// Returns the path below the root as the reference prints it, for the log.
    fn path_template(self) -> &'a str {
        match self {
            Self::Token => "auth/token",
            Self::Auth => "auth",
            Self::Projects => "editor/project",
            Self::Project(_) => "editor/project/{key}",
            Self::Progress(_) => "editor/progress/{key}",
            Self::Export => "editor/project/export",
            Self::Catalog(path) => path,
            Self::GenerationProgress(_) => "automation/progress",
            Self::CreateProject(request) => request.path_template,
        }
    }

    /// Returns the path below the root.
    fn path(self) -> Cow<'a, str> {
        let template = self.path_template();
        match self {
            Self::Token
            | Self::Auth
            | Self::Projects
            | Self::Export
            | Self::GenerationProgress(_)
            | Self::Catalog(_) => template.into(),
            Self::Project(id) | Self::Progress(id) => template.replace("{key}", id.as_str()).into(),
            Self::CreateProject(request) => request.path.as_str().into(),
        }
    }

    /// Returns the query. An id needs no escapes.
    fn query(self) -> Option<String> {
        let Self::GenerationProgress(id) = self else { return None };
        Some(format!("projectId={id}"))
    }
}

impl ApiTransport {
    pub(super) fn new(settings: &ClientSettings, clock: Clock) -> Result<Self, ClientSetupError> {
        let credentials = &settings.credentials;
        let connect = settings.connect_options();
        // A rehearsal's API is plain http: its clients skip the machine's CA certificates, which
        // take longer to read than everything else.
        let is_plain = settings.base_url.scheme() == "http";
        let api = |builder: ClientBuilder| {
            if is_plain { builder.tls_certs_only([]) } else { builder }
        };
        let paid_client = transport::build_client(&connect, |builder| {
            api(builder)
                .timeout(settings.paid_timeout)
                .http1_only()
                .pool_idle_timeout(PAID_POOL_IDLE_MAX.min(settings.paid_timeout))
        })?;
        let free_client = transport::build_client(&connect, |builder| {
            api(builder).timeout(settings.request_timeout)
        })?;
        Ok(Self {
            redactor: Arc::new(Redactor::new(&[credentials.app_id(), credentials.user_key()])),
            clock,
            paid_client,
            free_client,
            base_url: settings.base_url.clone(),
            host: host_and_port(&settings.base_url),
            connect,
        })
    }

    /// Returns the API host as users write it.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Sends `call` once and reads the response.
    pub(super) async fn exchange(
        &self,
        call: &ApiCall<'_>,
        token: Option<&header::HeaderValue>,
    ) -> HttpExchange {
        let started = self.clock.awake_time();
        let (outcome, listing) = self.send_and_read(call, token).await;
        let elapsed = self.clock.awake_time().saturating_sub(started);
        let exchange = HttpExchange { outcome, listing, elapsed };
        log_exchange(call, &exchange);
        exchange
    }

    async fn send_and_read(
        &self,
        call: &ApiCall<'_>,
        token: Option<&header::HeaderValue>,
    ) -> (ExchangeOutcome, Option<ProjectList>) {
        let response = match self.send_request(call, token).await {
            Ok(response) => response,
            Err(error) => return (self.failed_outcome(&error), None),
        };
        let mut received = response_head(&response);
        let is_list = call.body_handling == BodyHandling::List && response.status().is_success();
        let bytes_max = if is_list { LIST_BYTES_MAX } else { JSON_BYTES_MAX };
        (received.body, received.body_end) = read_body(response, bytes_max).await;
        let mut listing = None;
        if is_list {
            if received.body_end == BodyEnd::Complete {
                (listing, received.body) = parse_listing(received.body).await;
            }
            received.body.truncate(LIST_HEAD_BYTES_MAX);
        }
        (ExchangeOutcome::Responded(received), listing)
    }

    async fn send_request(
        &self,
        call: &ApiCall<'_>,
        token: Option<&header::HeaderValue>,
    ) -> reqwest::Result<Response> {
        let client = match call.cost {
            CallCost::Paid => &self.paid_client,
            CallCost::Free => &self.free_client,
        };
        let mut url = self.base_url.clone();
        let prefix = self.base_url.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}{API_ROOT}{}", call.endpoint.path()));
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
        if let Some(reason) = transport::not_sent_reason(error, &self.host, &self.connect) {
            return ExchangeOutcome::NotSent(reason);
        }
        ExchangeOutcome::NoResponse(if error.is_timeout() {
            NoResponseCause::TimedOut
        } else {
            NoResponseCause::ConnectionLost
        })
    }

    /// Makes the vendor's message fit to be shown.
    pub(super) fn redact_line(&self, message: &str) -> String {
        self.redactor.redact_line(message)
    }
}

impl HttpExchange {
    /// Returns the response, if one began.
    pub(super) fn response(&self) -> Option<&HttpResponse> {
        match &self.outcome {
            ExchangeOutcome::Responded(response) => Some(response),
            ExchangeOutcome::NotSent(_) | ExchangeOutcome::NoResponse(_) => None,
        }
    }

    pub(super) fn status(&self) -> Option<u16> {
        self.response().map(|response| response.status)
    }
}

fn log_exchange(call: &ApiCall<'_>, exchange: &HttpExchange) {
    let method = &call.method;
    let path = format!("{API_ROOT}{}", call.endpoint.path_template());
    let ms = exchange.elapsed.as_millis();
    match &exchange.outcome {
        ExchangeOutcome::Responded(response) => {
            let status = response.status;
            tracing::debug!(%method, path, status, ms, "{method} {path}: {status} in {ms} ms");
        }
        ExchangeOutcome::NotSent(reason) => {
            let kind = reason.kind;
            tracing::debug!(%method, path, ?kind, ms, "{method} {path}: not sent");
        }
        ExchangeOutcome::NoResponse(cause) => {
            tracing::debug!(%method, path, ?cause, ms, "{method} {path}: no response in {ms} ms");
        }
    }
}

/// Returns a response without its body.
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

async fn read_body(mut response: Response, bytes_max: usize) -> (Vec<u8>, BodyEnd) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return (body, BodyEnd::Complete),
            Err(error) if error.is_timeout() => return (body, BodyEnd::TimedOut),
            Err(_broken) => return (body, BodyEnd::Truncated),
        }
        if body.len() > bytes_max {
            body.truncate(bytes_max);
            return (body, BodyEnd::TooLarge);
        }
    }
}

/// Parses a list in a thread of its own, since a long one takes a second. Returns the body as well.
async fn parse_listing(body: Vec<u8>) -> (Option<ProjectList>, Vec<u8>) {
    let parse = move || (listing::parse_listing(&body), body);
    tokio::task::spawn_blocking(parse).await.unwrap_or_default()
}

//! What a page is given, and how it answers.
//!
//! The requester has the role of the route by then. Invariant: nothing of the request is trusted to
//! be well-formed; what cannot be parsed is a [`PageError`].

use std::sync::{Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::console::assets::ConsoleLinks;
use crate::console::form::FormFields;
use crate::console::layout::{ConsolePage, page_document};
use crate::console::page_error::{PageError, PageResult};
use crate::console::sign_in::requester::ConsoleRequester;
use crate::console::state::ConsoleState;
use crate::ledger::{AuditSource, StoredBatch};

/// No form of a page is larger; uploads read their body themselves.
const FORM_BYTES_MAX: usize = 256 << 10;

/// How a response is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PageFormat {
    Html,
    Json,
}

impl PageFormat {
    /// Returns the format that a request accepts; HTML unless it asks for JSON alone.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        match accept {
            Some(accept)
                if accept.contains("application/json") && !accept.contains("text/html") =>
            {
                Self::Json
            }
            Some(_) | None => Self::Html,
        }
    }
}

/// A request to a page, after all checks.
pub(crate) struct PageRequest {
    pub(crate) state: ConsoleState,
    pub(crate) requester: ConsoleRequester,
    pub(crate) format: PageFormat,
    /// The query of the address.
    pub(crate) query: FormFields,
    pub(crate) headers: HeaderMap,
    pub(super) params: Vec<(String, String)>,
    /// Read once; the lock only makes pages `Sync`.
    pub(super) body: Mutex<Body>,
}

impl PageRequest {
    /// Returns a part of the address, decoded.
    pub(crate) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| ConsoleLinks::decode_segment(value)).unwrap_or_default()
    }

    /// Returns the batch that `{batch}` in the address names.
    pub(crate) async fn batch(&self) -> Result<StoredBatch, PageError> {
        Ok(self.state.ledger.batch(self.param("batch")).await?)
    }

    /// Returns who makes the request, and when, for the audit trail.
    pub(crate) fn audit_source(&self) -> AuditSource {
        AuditSource { requester: self.requester.audit_name(), now: self.state.now() }
    }

    /// Returns whether this is the console of rehearsals, which pay for nothing.
    pub(crate) fn is_rehearsal(&self) -> bool {
        self.state.settings.ledger_options.is_rehearsal
    }

    /// Returns the addresses of the console.
    pub(crate) fn links(&self) -> ConsoleLinks {
        self.state.assets.links()
    }

    /// Returns the origin under which the browser reaches this console; its host was checked.
    pub(crate) fn origin(&self) -> Option<String> {
        let host = self.headers.get(header::HOST).and_then(|host| host.to_str().ok())?;
        let scheme = if self.state.settings.is_behind_tls { "https" } else { "http" };
        Some(format!("{scheme}://{host}"))
    }

    /// Reads the fields of a form.
    pub(crate) async fn read_form(&mut self) -> Result<FormFields, PageError> {
        Ok(FormFields::parse(&self.read_body(FORM_BYTES_MAX).await?))
    }

    /// Reads the body, up to a limit.
    pub(crate) async fn read_body(&mut self, bytes_max: usize) -> Result<Bytes, PageError> {
        to_bytes(self.take_body(), bytes_max).await.map_err(|_| PageError::TooLarge)
    }

    /// Returns the body, to be read in parts.
    pub(crate) fn take_body(&mut self) -> Body {
        std::mem::take(self.body.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Answers with a page, or with its data for a program.
    pub(crate) fn render(&self, page: ConsolePage, json: Value) -> PageResult {
        Ok(match self.format {
            PageFormat::Html => page_document(&self.state, Some(&self.requester), page),
            PageFormat::Json => json_response(StatusCode::OK, &json),
        })
    }

    /// Answers a form that cannot be taken with the form itself, which shows the message at its field.
    pub(crate) fn render_refused(&self, page: ConsolePage, message: &str) -> PageResult {
        let mut response = self.render(page, json!({ "error": message }))?;
        *response.status_mut() = StatusCode::BAD_REQUEST;
        Ok(response)
    }

    /// Answers a form: the browser loads `address` next.
    pub(crate) fn redirect(&self, address: &str) -> PageResult {
        redirect_to(address)
    }
}

pub(crate) fn redirect_to(address: &str) -> PageResult {
    let location = HeaderValue::from_str(address)
        .map_err(|_| PageError::Invalid("the address cannot be sent".to_owned()))?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

/// Returns JSON.
pub(crate) fn json_response(status: StatusCode, json: &Value) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (status, [(header::CONTENT_TYPE, kind)], json.to_string()).into_response()
}

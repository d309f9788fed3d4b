//! Checks that every request passes before a route is looked at, and the headers of every response.

pub(super) mod allowed_hosts;
mod cross_site;
mod response_headers;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::console::layout::{FailedRequest, error_document};
use crate::console::page_error::PageError;
use crate::console::page_request::PageFormat;
use crate::console::state::ConsoleState;

/// The middleware of all routes, the missing ones included.
pub(super) async fn guard(
    State(state): State<ConsoleState>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match check_request(&state, &request) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            let format = PageFormat::from_headers(request.headers());
            let failed = FailedRequest { requester: None, format, form: None };
            error_document(&state, &failed, &error).into_response()
        }
    };
    response_headers::add_safety_headers(response.headers_mut());
    response
}

fn check_request(state: &ConsoleState, request: &Request) -> Result<(), PageError> {
    if !state.hosts.includes_host_of(request.headers()) {
        return Err(PageError::WrongHost);
    }
    if cross_site::is_cross_site(request.method(), request.headers()) {
        return Err(PageError::CrossSite);
    }
    Ok(())
}

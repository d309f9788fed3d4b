//! `/metrics`: the numbers of the ledger for Prometheus, the same as in the text file of a run.
//!
//! They name batches and money, so they need a session, or a proxy that signs Prometheus in.

use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;

use crate::console::page_error::PageResult;
use crate::console::page_request::PageRequest;
use crate::session::reports::metrics_file::read_metrics;

const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let metrics = read_metrics(&page.state.ledger, &page.state.clock).await?;
    let kind = HeaderValue::from_static(KIND);
    Ok(([(header::CONTENT_TYPE, kind)], metrics.to_text()).into_response())
}

//! `/healthz`: whether the console reads its ledger, for proxies and supervisors. It shows nothing
//! of the ledger, since it needs no session.

use axum::http::StatusCode;
use serde_json::json;

use crate::console::page_error::PageResult;
use crate::console::page_request::{PageRequest, json_response};

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    page.state.ledger.change_mark().await?;
    Ok(json_response(StatusCode::OK, &json!({ "status": "ok" })))
}

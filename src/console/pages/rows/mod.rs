//! `/batches/NAME/rows?…`: the rows that match a filter, sorted, a page at a time; and the same rows
//! as a CSV file.
//!
//! Filter, order and place are in the address. `row_query` reads them, `row_search` finds the rows, in a
//! large batch by the texts of `row_text_cache`; `rows_table` shows them.

mod row_query;
mod row_search;
pub(in crate::console) mod row_text_cache;
mod row_texts;
mod rows_table;

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use futures_util::{StreamExt, stream};
use maud::html;
use serde_json::json;

use crate::console::layout::ConsolePage;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::batch::{BatchTab, batch_header, find_batch_row};
use crate::console::state::SharedConsoleState;
use crate::ledger::{Ledger, RowPageStart, StoredBatch};
use crate::payload::ColumnMapping;
use crate::report;
use crate::session::batch_status::BatchStatus;
use row_query::RowQuery;
use row_search::{RowSearch, SEARCHED_MAX};
use row_text_cache::RowTextCache;
use row_texts::RowTexts;
use rows_table::RowsView;

/// Rows of a CSV file that are read at once.
const DOWNLOAD_CHUNK_ROWS: usize = 500;

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let (query, headings) = read_query(&page, &batch).await?;
    let status = read_counts(&page, &batch).await?;
    let search = RowSearch::new(&page.state.ledger, batch.id, &query);
    // A key or project id waits for no texts.
    let found = match search.find_exact().await? {
        Some(found) => found,
        None => {
            let texts = searched_texts(&page, &batch, &status, &query).await;
            search.searching(texts).find().await?
        }
    };
    let rows: Vec<_> = found.rows.iter().map(|row| report::row_to_json(row, &headings)).collect();
    let view = RowsView { page: &page, status: &status, query: &query, headings: &headings };
    let document = json!({
        "batch": batch.name,
        "rows": rows,
        "matching": view.count_matching(),
        "earlier": view.place_address(found.earlier),
        "later": view.place_address(found.later),
    });
    let main = html! {
        (batch_header(&page, &batch.name, BatchTab::Rows))
        (view.filter_form())
        div id="rows" data-live { (view.results(&found)) }
    };
    let title = format!("{} rows", batch.name);
    page.render(ConsolePage { title, section: "Batches", is_live: true, main }, document)
}

/// Reads the numbers that the filters show.
async fn read_counts(page: &PageRequest, batch: &StoredBatch) -> Result<BatchStatus, PageError> {
    let row = find_batch_row(page, batch).await?;
    let commands = page.state.command_hints(&batch.name, &batch.file);
    Ok(BatchStatus::read_counts(&page.state.ledger, row, commands).await?)
}

/// Returns the texts of the rows of a large batch, if the filter has a text to find in them. Without one
/// they are only prepared: the page has a field for it.
async fn searched_texts(
    page: &PageRequest,
    batch: &StoredBatch,
    status: &BatchStatus,
    query: &RowQuery,
) -> Option<Arc<RowTexts>> {
    let rows = status.count_all();
    if rows <= SEARCHED_MAX {
        return None;
    }
    let SharedConsoleState { ledger, stop, row_texts, .. } = &*page.state;
    let texts = row_texts.prepare(ledger, batch, stop);
    match query.needle() {
        Some(_) => RowTextCache::wait(texts, rows).await,
        None => None,
    }
}

/// Parses the filter, and reads the headings to which its conditions refer.
async fn read_query(
    page: &PageRequest,
    batch: &StoredBatch,
) -> Result<(RowQuery, Vec<String>), PageError> {
    let ledger = &page.state.ledger;
    let headings = ledger.headings(batch.id).await?;
    let columns = read_columns(ledger, batch).await?;
    let query = RowQuery::parse(&page.query, &headings, columns).map_err(PageError::Invalid)?;
    Ok((query, headings))
}

async fn read_columns(ledger: &Ledger, batch: &StoredBatch) -> Result<ColumnMapping, PageError> {
    let Some(id) = batch.layout_id else { return Ok(ColumnMapping::default()) };
    let mapping = ledger.variant_mapping(id).await?;
    // Without a readable mapping, conditions are matched against the headings.
    Ok(serde_json::from_str(&mapping.columns).unwrap_or_default())
}

/// Sends every matching row in the format of `results.csv`, as it is read.
pub(in crate::console) async fn download(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let (query, headings) = read_query(&page, &batch).await?;
    let name = format!("attachment; filename=\"{}-rows.csv\"", batch.name);
    let name = HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("attachment"));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8")),
        (header::CONTENT_DISPOSITION, name),
    ];
    let first = stream::iter([report::format_csv_headings(&headings).map(Bytes::from)]);
    let download = RowDownload { ledger: page.state.ledger.clone(), batch, query, headings };
    let rows = stream::try_unfold((download, Some(-1)), |(download, after)| async move {
        let Some(after) = after else { return Ok(None) };
        let chunk = download.read_chunk(after).await?;
        Ok(Some((chunk.lines, (download, chunk.next))))
    });
    Ok((StatusCode::OK, headers, Body::from_stream(first.chain(rows))).into_response())
}

/// A CSV file on its way to a browser.
struct RowDownload {
    ledger: Ledger,
    batch: StoredBatch,
    query: RowQuery,
    headings: Vec<String>,
}

struct DownloadChunk {
    lines: Bytes,
    /// The position after which the next chunk begins.
    next: Option<i64>,
}

impl RowDownload {
    async fn read_chunk(&self, after: i64) -> std::io::Result<DownloadChunk> {
        let mut search = RowSearch::new(&self.ledger, self.batch.id, &self.query)
            .starting_at(RowPageStart::After(after));
        let mut rows = Vec::new();
        let mut next = None;
        while let Some(row) = search.next_match().await.map_err(std::io::Error::other)? {
            next = Some(row.position);
            rows.push(row);
            if rows.len() == DOWNLOAD_CHUNK_ROWS {
                break;
            }
        }
        let next = next.filter(|_| rows.len() == DOWNLOAD_CHUNK_ROWS);
        let lines = report::format_csv_rows(&rows, self.headings.len())?;
        Ok(DownloadChunk { lines: lines.into(), next })
    }
}

//! Exports every row of a batch as CSV or as JSON.
//!
//! Rows are written as they are read, page by page, so that their number costs no memory. The fields
//! of [`row_to_json`] are an interface: [`ROW_FIELDS_VERSION`] grows when one changes its meaning or
//! is removed. Invariant: no signed link is written.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::results::{ReportError, ReportRows, strip_query, write_headings, write_row_lines};
use super::skip_reason::SkipColumns;
use crate::ledger::{JobRow, Ledger, ReviewVerdict, StoredBatch};
use crate::text::time_format::format_rfc3339;

/// The version of the JSON fields.
pub const ROW_FIELDS_VERSION: u32 = 1;

/// Writes every row of a batch in the format of `results.csv`.
///
/// # Errors
/// The ledger failed, or `out`, named `path` in messages, could not be written.
pub async fn write_rows_csv(
    ledger: &Ledger,
    batch: &StoredBatch,
    path: &Path,
    out: impl Write,
    skip_columns: &SkipColumns,
) -> Result<(), ReportError> {
    let rows = ExportedRows { skip_columns, is_included: |_| true };
    rows.write_csv(ledger, batch, path, out).await.map(drop)
}

/// Writes the rows whose video is approved, in the format of `results.csv`. Returns their number.
///
/// # Errors
/// As [`write_rows_csv`].
pub async fn write_approved_csv(
    ledger: &Ledger,
    batch: &StoredBatch,
    path: &Path,
    out: impl Write,
) -> Result<u64, ReportError> {
    // A skipped row has no video, and needs no reason here.
    let rows =
        ExportedRows { skip_columns: &SkipColumns::default(), is_included: JobRow::is_approved };
    rows.write_csv(ledger, batch, path, out).await
}

/// The rows of an export.
struct ExportedRows<'e> {
    skip_columns: &'e SkipColumns,
    is_included: fn(&JobRow) -> bool,
}

impl ExportedRows<'_> {
    /// Returns the number of rows.
    async fn write_csv(
        &self,
        ledger: &Ledger,
        batch: &StoredBatch,
        path: &Path,
        out: impl Write,
    ) -> Result<u64, ReportError> {
        let failed = |source| ReportError::Io { path: path.to_owned(), source };
        let headings = ledger.headings(batch.id).await?;
        let mut out = write_headings(io::BufWriter::new(out), &headings).map_err(failed)?;
        let mut rows = ReportRows::new(ledger, batch.id);
        let mut written = 0;
        while let Some(row) = rows.next_row().await? {
            if (self.is_included)(&row) {
                let row = self.skip_columns.explain(row, &headings);
                write_row_lines(&mut out, &row, headings.len()).map_err(failed)?;
                written += 1;
            }
        }
        out.flush().map_err(failed)?;
        Ok(written)
    }
}

/// Returns the first line of a report with these headings of the sheet, as [`write_rows_csv`] writes
/// it.
///
/// # Errors
/// Memory cannot be written, which does not happen.
pub fn format_csv_headings(headings: &[String]) -> io::Result<Vec<u8>> {
    write_headings(Vec::new(), headings)?.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// Returns the lines of some rows of a sheet with so many columns.
///
/// # Errors
/// As [`format_csv_headings`].
pub fn format_csv_rows(rows: &[JobRow], columns: usize) -> io::Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    for row in rows {
        write_row_lines(&mut out, row, columns)?;
    }
    out.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// Writes one document with every row of a batch as [`row_to_json`]. Its counts come last and add
/// up to the rows in it.
///
/// # Errors
/// As [`write_rows_csv`].
pub async fn write_rows_json(
    ledger: &Ledger,
    batch: &StoredBatch,
    path: &Path,
    out: impl Write,
) -> Result<(), ReportError> {
    let failed = |source| ReportError::Io { path: path.to_owned(), source };
    let headings = ledger.headings(batch.id).await?;
    let mut out = io::BufWriter::new(out);
    let (name, file) = (json!(batch.name), json!(batch.file));
    write!(
        out,
        "{{\"v\":{ROW_FIELDS_VERSION},\"batch\":{name},\"file\":{file},\"headings\":{},\"rows\":[",
        json!(headings)
    )
    .map_err(failed)?;
    let mut counts = BTreeMap::<&str, u64>::new();
    let mut rows = ReportRows::new(ledger, batch.id);
    let mut comma = "";
    while let Some(row) = rows.next_row().await? {
        *counts.entry(row.status().as_str()).or_default() += 1;
        write!(out, "{comma}\n{}", row_to_json(&row, &headings)).map_err(failed)?;
        comma = ",";
    }
    let total: u64 = counts.values().sum();
    writeln!(out, "\n],\"counts\":{},\"total\":{total}}}", json!(counts)).map_err(failed)?;
    out.flush().map_err(failed)
}

/// Returns a row as JSON: `row`, `key`, `state` (`invalid` if it could not be merged, `skipped` if
/// it is marked so), `stalled`, `generating`, `version`, `attempts`, `progress` (0 to 100), `cause`,
/// `words` (the message), `variant`, `project_id`, `video_file`, `video_url` (without its
/// signature), `seconds`, `credits`, `review`, `review_reason`, `reviewed_by`, `reviewed_at`, and `cells`: for each row of the video, its cells by heading.
/// Unknown values are null.
pub fn row_to_json(row: &JobRow, headings: &[String]) -> Value {
    let cells: Vec<Vec<String>> = serde_json::from_str(&row.cells).unwrap_or_default();
    let by_heading = |cells: Vec<String>| -> Map<String, Value> {
        headings.iter().cloned().zip(cells.into_iter().map(Value::from)).collect()
    };
    let cells: Vec<_> = cells.into_iter().map(by_heading).collect();
    let verdict = row.verdict.as_ref();
    json!({
        "row": row.row_number,
        "key": row.key,
        "variant": row.variant,
        "state": row.status().as_str(),
        "stalled": row.stalled,
        "generating": row.generating,
        "version": row.version,
        "attempts": row.attempts,
        "progress": row.progress,
        "cause": row.cause,
        "words": row.message,
        "project_id": row.project_id,
        "video_file": row.video_file,
        "video_url": row.video_url.as_deref().map(strip_query),
        "seconds": row.video_ms.map(|ms| ms as f64 / 1000.0),
        "credits": row.credits,
        "review": verdict.map(|verdict| verdict.kind.as_str()),
        "review_reason": verdict.and_then(|verdict| verdict.reason.as_deref()),
        "reviewed_by": verdict.map(ReviewVerdict::attribution),
        "reviewed_at": verdict.map(|verdict| format_rfc3339(verdict.at)),
        "cells": cells,
    })
}

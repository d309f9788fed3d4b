//! What the command of `[on_done]` receives on its standard input: one video as JSON.
//!
//! An interface: fields may be added.

use std::path::{Path, absolute};

use serde_json::{Map, Value, json};

use crate::batch::Batch;
use crate::ledger::{BatchId, Ledger, LedgerError, ReviewItem, ReviewVerdict};
use crate::text::time_format::format_rfc3339;

/// The version of the fields; it grows when one changes its meaning or is removed.
const DELIVERY_VERSION: u32 = 1;

/// What the videos of a batch have in common.
#[derive(Clone, Debug)]
pub(super) struct DeliveryInput {
    batch: String,
    headings: Vec<String>,
}

impl DeliveryInput {
    pub(super) async fn read(
        ledger: &Ledger,
        id: BatchId,
        batch: &Batch,
    ) -> Result<Self, LedgerError> {
        Ok(Self { batch: batch.name.to_string(), headings: ledger.headings(id).await? })
    }

    /// Returns the document about one video, whose file is at `path`.
    pub(super) fn document(&self, item: &ReviewItem, path: &Path, attempt: u32) -> Value {
        let file = absolute(path).unwrap_or_else(|_| path.to_owned());
        let verdict = item.verdict.as_ref();
        json!({
            "v": DELIVERY_VERSION,
            "batch": self.batch,
            "key": item.key,
            "variant": item.variant,
            "row": item.row_number,
            "version": item.version,
            "file": file.display().to_string(),
            "video_file": item.video_file,
            "bytes": item.video_bytes,
            "digest": item.video_hash,
            "seconds": item.video_ms as f64 / 1000.0,
            "cells": self.cells(item),
            "review": verdict.map(|verdict| verdict.kind.as_str()),
            "reviewed_by": verdict.map(ReviewVerdict::attribution),
            "reviewed_at": verdict.map(|verdict| format_rfc3339(verdict.at)),
            "attempt": attempt,
        })
    }

    /// Returns the cells by heading, one object for each row of the video.
    fn cells(&self, item: &ReviewItem) -> Vec<Map<String, Value>> {
        let rows: Vec<Vec<String>> = serde_json::from_str(&item.cells).unwrap_or_default();
        let by_heading = |cells: Vec<String>| -> Map<String, Value> {
            self.headings.iter().cloned().zip(cells.into_iter().map(Value::from)).collect()
        };
        rows.into_iter().map(by_heading).collect()
    }
}

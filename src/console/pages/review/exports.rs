//! The approved rows as CSV, and the approved videos as one ZIP, written while they are sent.

use std::io::{self, Write};
use std::path::Path;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::mpsc;

use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::pages::review::review_items::read_approved_items;
use crate::report;
use crate::report::ZippedVideo;
use crate::session::files::output_dir;

/// Parts of the ZIP that wait for a slow browser.
const PARTS_MAX: usize = 8;

pub(in crate::console) async fn approved_csv(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let mut text = Vec::new();
    let place = Path::new("approved.csv");
    let written = report::write_approved_csv(&page.state.ledger, &batch, place, &mut text).await;
    written.map_err(|_| PageError::Unavailable("the ledger cannot be read".to_owned()))?;
    Ok(attachment("text/csv; charset=utf-8", "approved.csv", Body::from(text)))
}

pub(in crate::console) async fn approved_zip(page: PageRequest) -> PageResult {
    let batch = page.batch().await?;
    let folder = output_dir::stored_output_dir(&batch).ok_or_else(|| {
        PageError::NotFound("the output folder of the batch is not known".to_owned())
    })?;
    let approved = read_approved_items(&page.state.ledger, batch.id).await?;
    let videos: Vec<ZippedVideo> = approved
        .into_iter()
        .map(|item| ZippedVideo {
            path: folder.join(&item.video_file),
            name: item.video_file,
            digest: item.video_hash,
        })
        .collect();
    let (sender, parts) = mpsc::channel(PARTS_MAX);
    tokio::task::spawn_blocking(move || {
        let out = io::BufWriter::with_capacity(64 << 10, PartSender(sender));
        // The browser that has gone away needs no message.
        let _ = report::write_video_zip(out, &videos);
    });
    let body = stream::unfold(parts, |mut parts| async move {
        let part: Bytes = parts.recv().await?;
        Some((Ok::<_, io::Error>(part), parts))
    });
    Ok(attachment("application/zip", "approved.zip", Body::from_stream(body)))
}

/// Passes what is written on to the response.
struct PartSender(mpsc::Sender<Bytes>);

impl Write for PartSender {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Bytes::copy_from_slice(part));
        sent.map(|()| part.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn attachment(kind: &'static str, name: &str, body: Body) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(disposition) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    response
}

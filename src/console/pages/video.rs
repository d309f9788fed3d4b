//! `/batches/NAME/rows/KEY/versions/N/video`: the video of one version, in ranges, as players ask for
//! it.
//!
//! The address names no file: the ledger does. Invariant: only a file that the ledger names, and that
//! lies inside the output folder of the batch, is ever opened.

use std::io::SeekFrom;
use std::path::{Component, Path, PathBuf};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::ledger::StoredBatch;
use crate::session::files::output_dir;

/// Bytes read from the disk at once.
const CHUNK_BYTES: u64 = 64 << 10;

pub(in crate::console) async fn show(page: PageRequest) -> PageResult {
    let (batch, file) = find_video(&page).await?;
    send_file(&page.headers, &batch, &file).await
}

/// Sends a file of a batch's output folder, or the part of it that a player asks for.
pub(in crate::console) async fn send_file(
    headers: &HeaderMap,
    batch: &StoredBatch,
    file: &str,
) -> PageResult {
    let folder = output_dir::stored_output_dir(batch).ok_or_else(missing_file)?;
    let path = inside_folder(&folder, file).ok_or_else(missing_file)?;
    let unreadable = |_| missing_file();
    let file = File::open(&path).await.map_err(unreadable)?;
    let metadata = file.metadata().await.map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(missing_file());
    }
    match parse_range(headers, metadata.len()) {
        VideoRange::Whole => {
            let whole = ByteRange { first: 0, length: metadata.len() };
            Ok((StatusCode::OK, video_headers(whole), file_body(file, whole)).into_response())
        }
        VideoRange::Part(range) => partial_response(file, range, metadata.len()).await,
        VideoRange::Unsatisfiable => {
            let all = HeaderValue::try_from(format!("bytes */{}", metadata.len()));
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            if let Ok(all) = all {
                response.headers_mut().insert(header::CONTENT_RANGE, all);
            }
            Ok(response)
        }
    }
}

/// Returns the file of the version's video, as the ledger names it.
async fn find_video(page: &PageRequest) -> Result<(StoredBatch, String), PageError> {
    let batch = page.batch().await?;
    let key = page.param("key");
    let version = page.param("version").parse::<i64>().ok();
    let history = page.state.ledger.job_history(batch.id, key).await?;
    let versions = history.map(|history| history.versions).unwrap_or_default();
    let named = versions.into_iter().find(|one| Some(one.version) == version);
    let file = named.and_then(|version| version.video_file).ok_or_else(|| {
        PageError::NotFound(format!("there is no video of this version of `{key}`"))
    })?;
    Ok((batch, file))
}

fn missing_file() -> PageError {
    PageError::NotFound("the video is not in the output folder of the batch".to_owned())
}

/// Returns the real path of a file, if it lies inside `folder`, and no link leads out of it.
fn inside_folder(folder: &Path, file: &str) -> Option<PathBuf> {
    let file = Path::new(file);
    if !file.components().all(|part| matches!(part, Component::Normal(_))) {
        return None;
    }
    let folder = folder.canonicalize().ok()?;
    let path = folder.join(file).canonicalize().ok()?;
    (path.starts_with(&folder) && path.is_file()).then_some(path)
}

/// Some bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ByteRange {
    first: u64,
    length: u64,
}

/// What a player asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum VideoRange {
    Whole,
    Part(ByteRange),
    Unsatisfiable,
}

/// Parses the header of a request for a file of `length` bytes. Several ranges are answered with the
/// whole file, as a server may.
fn parse_range(headers: &HeaderMap, length: u64) -> VideoRange {
    let value = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    // A validator would be needed to continue a file that may have changed; there is none.
    let has_condition = headers.contains_key(header::IF_RANGE);
    let spec = value.and_then(|value| value.strip_prefix("bytes=")).filter(|_| !has_condition);
    let Some((first, last)) = spec.and_then(|spec| spec.split_once('-')) else {
        return VideoRange::Whole;
    };
    let number = |text: &str| (!text.is_empty()).then(|| text.trim().parse::<u64>());
    let range = match (number(first), number(last)) {
        (Some(Ok(first)), None) => (first, length),
        (Some(Ok(first)), Some(Ok(last))) if first <= last => {
            (first, length.min(last.saturating_add(1)))
        }
        (None, Some(Ok(suffix))) => (length.saturating_sub(suffix), length),
        (_, _) => return VideoRange::Whole,
    };
    let (first, end) = range;
    if first >= end {
        return VideoRange::Unsatisfiable;
    }
    VideoRange::Part(ByteRange { first, length: end - first })
}

async fn partial_response(mut file: File, range: ByteRange, length: u64) -> PageResult {
    file.seek(SeekFrom::Start(range.first)).await.map_err(|_| missing_file())?;
    let last = range.first + range.length - 1;
    let mut response: Response =
        (StatusCode::PARTIAL_CONTENT, video_headers(range), file_body(file, range)).into_response();
    if let Ok(part) = HeaderValue::try_from(format!("bytes {}-{last}/{length}", range.first)) {
        response.headers_mut().insert(header::CONTENT_RANGE, part);
    }
    Ok(response)
}

fn video_headers(range: ByteRange) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.length));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers
}

fn file_body(file: File, range: ByteRange) -> Body {
    let rest = file.take(range.length);
    Body::from_stream(stream::try_unfold(rest, |mut rest| async move {
        let mut chunk = Vec::with_capacity(usize::try_from(CHUNK_BYTES).unwrap_or_default());
        let read = (&mut rest).take(CHUNK_BYTES).read_to_end(&mut chunk).await?;
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), rest)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_gets_the_bytes_that_it_asks_for() {
        let part = |first, length| VideoRange::Part(ByteRange { first, length });
        for (value, expected) in [
            ("bytes=0-", part(0, 100)),
            ("bytes=0-1", part(0, 2)),
            ("bytes=90-200", part(90, 10)),
            ("bytes=-10", part(90, 10)),
            ("bytes=-500", part(0, 100)),
            ("bytes=100-", VideoRange::Unsatisfiable),
            ("bytes=-0", VideoRange::Unsatisfiable),
            ("bytes=5-2", VideoRange::Whole),
            ("bytes=0-1,5-6", VideoRange::Whole),
            ("bytes=a-b", VideoRange::Whole),
            ("items=0-1", VideoRange::Whole),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, value.parse().unwrap());
            assert_eq!(parse_range(&headers, 100), expected, "{value}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn no_name_and_no_link_leads_out_of_the_output_folder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("out");
        std::fs::create_dir_all(folder.join("a")).unwrap();
        std::fs::write(dir.path().join("secret"), "x").unwrap();
        std::fs::write(folder.join("a.mp4"), "x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret"), folder.join("link.mp4")).unwrap();
        assert!(inside_folder(&folder, "a.mp4").is_some());
        let absolute = folder.join("a.mp4").display().to_string();
        for outside in ["../secret", "link.mp4", "", ".", "missing.mp4", "a/../a.mp4", &absolute] {
            assert_eq!(inside_folder(&folder, outside), None, "{outside}");
        }
    }
}

//! Serves finished files: signed links, `Range`, `If-Range`, strong `ETag`.

use url::form_urlencoded;

use super::{HandlerResult, RequestRejection, SandboxApi, SandboxRequest, SandboxResponse};
use crate::sandbox::sample_videos::SampleVideo;
use crate::sandbox::vendor_behavior::ETagMode;

impl SandboxApi<'_> {
    pub(super) fn download_file(&mut self, request: &SandboxRequest) -> HandlerResult {
        let settings = &self.switches.download;
        let query = |name: &str| {
            let mut pairs = form_urlencoded::parse(request.query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let (expires, signature) = (query("expires"), query("signature"));
        let link = expires.zip(signature);
        let ends = link.and_then(|(expires, signature)| {
            self.download_links.verified_expiry(&request.key, &expires, &signature)
        });
        let ends = ends.ok_or_else(|| RequestRejection::new(403, 4030, "the link is not valid"))?;
        if self.now >= ends {
            return Err(RequestRejection::new(
                settings.status_after_expiry,
                4031,
                "the link has expired",
            ));
        }
        let project = self.find_project(&request.key)?;
        let finished =
            self.visible_render_status(project, self.now).filter(|(_, status)| status.is_finished);
        let (render, _) = finished.ok_or_else(|| RequestRejection::not_found("file"))?;
        let video = SampleVideo::new(&project.id, &render.task, &project.orientation);
        let etag = match settings.etag {
            ETagMode::Strong => Some(video.etag.clone()),
            ETagMode::None => None,
            ETagMode::Changing => Some(format!("\"{}\"", self.world.generate_id("etag", self.now))),
        };
        Ok(file_response(video.bytes, etag, settings.range, request))
    }
}

fn file_response(
    bytes: Vec<u8>,
    etag: Option<String>,
    ranges: bool,
    request: &SandboxRequest,
) -> SandboxResponse {
    let length = bytes.len();
    // A validator that does not match means that the file is another one: send all of it.
    let stale = request.if_range.is_some() && request.if_range != etag;
    let asked = if ranges && !stale {
        parse_range(request.range.as_deref(), length)
    } else {
        RequestedRange::Whole
    };
    let mut response = SandboxResponse {
        status: 200,
        content_type: "video/mp4",
        headers: Vec::new(),
        body: Vec::new(),
    };
    match asked {
        RequestedRange::Whole => response.body = bytes,
        RequestedRange::Bytes(from, to) => {
            response.status = 206;
            response.body = bytes[from..to].to_vec();
            let range = format!("bytes {from}-{}/{length}", to - 1);
            response = response.with_header("content-range", range);
        }
        RequestedRange::Unsatisfiable => {
            response.status = 416;
            response = response.with_header("content-range", format!("bytes */{length}"));
        }
    }
    if ranges {
        response = response.with_header("accept-ranges", "bytes".to_owned());
    }
    match etag {
        Some(etag) => response.with_header("etag", etag),
        None => response,
    }
}

/// The requested part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestedRange {
    Whole,
    /// From, inclusive, to, exclusive; never empty.
    Bytes(usize, usize),
    /// Nothing of it exists.
    Unsatisfiable,
}

/// Parses a `Range` header against a file of `length` bytes. An unknown unit, and more than one range,
/// mean the whole file, as the standard allows.
fn parse_range(range: Option<&str>, length: usize) -> RequestedRange {
    let Some((unit, spec)) = range.and_then(|range| range.trim().split_once('=')) else {
        return RequestedRange::Whole;
    };
    let Some((from, to)) = spec.split_once('-') else { return RequestedRange::Whole };
    if !unit.eq_ignore_ascii_case("bytes") {
        return RequestedRange::Whole;
    }
    match (parse_bound(from), parse_bound(to), from.trim().is_empty(), to.trim().is_empty()) {
        (Some(from), _, _, true) if from < length => RequestedRange::Bytes(from, length),
        (Some(from), Some(to), ..) if from <= to && from < length => {
            RequestedRange::Bytes(from, to.saturating_add(1).min(length))
        }
        (Some(from), Some(to), ..) if from > to => RequestedRange::Whole,
        (Some(_), Some(_), ..) | (Some(_), None, _, true) => RequestedRange::Unsatisfiable,
        (None, Some(0), true, _) => RequestedRange::Unsatisfiable,
        (None, Some(last), true, _) => RequestedRange::Bytes(length.saturating_sub(last), length),
        _ => RequestedRange::Whole,
    }
}

/// Parses one bound. A number too large for the type is too large for any file.
fn parse_bound(text: &str) -> Option<usize> {
    let digits = text.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn range_headers_are_parsed_as_the_standard_demands() {
        let table = [
            (None, RequestedRange::Whole),
            (Some("bytes=0-"), RequestedRange::Bytes(0, 100)),
            (Some("bytes=10-19"), RequestedRange::Bytes(10, 20)),
            (Some("bytes=90-500"), RequestedRange::Bytes(90, 100)),
            (Some("bytes=-30"), RequestedRange::Bytes(70, 100)),
            (Some("bytes=-300"), RequestedRange::Bytes(0, 100)),
            (Some("bytes=100-"), RequestedRange::Unsatisfiable),
            (Some("bytes=100-120"), RequestedRange::Unsatisfiable),
            (Some("bytes=-0"), RequestedRange::Unsatisfiable),
            (Some("bytes=5-3"), RequestedRange::Whole),
            (Some("bytes=0-1,5-6"), RequestedRange::Whole),
            (Some("lines=0-1"), RequestedRange::Whole),
            (Some("bytes=a-b"), RequestedRange::Whole),
            (Some("bytes=+5-9"), RequestedRange::Whole),
            (Some("BYTES=0-5"), RequestedRange::Bytes(0, 6)),
            (Some("bytes=0-99999999999999999999999"), RequestedRange::Bytes(0, 100)),
            (Some("bytes=99999999999999999999999-"), RequestedRange::Unsatisfiable),
            (
                Some("bytes=99999999999999999999998-99999999999999999999999"),
                RequestedRange::Unsatisfiable,
            ),
            (Some("bytes=-99999999999999999999999"), RequestedRange::Bytes(0, 100)),
        ];
        for (header, expected) in table {
            assert_eq!(parse_range(header, 100), expected, "{header:?}");
        }
    }
}

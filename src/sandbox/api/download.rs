//! Serves finished files: signed links, `Range`, `If-Range`, strong `ETag`.

use url::form_urlencoded;

use super::{HandlerResult, RequestRejection, SandboxApi, SandboxRequest, SandboxResponse};
use crate::sandbox::sample_videos::{RequestedRange, SampleVideo, parse_range};
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

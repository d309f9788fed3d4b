//! Handing out finished files: signed links, `Range`, `If-Range`, strong `ETag`.

use url::form_urlencoded;

use super::{HandlerResult, RequestRejection, SandboxApi, SandboxRequest, SandboxResponse};
use crate::sandbox::sample_videos::{RequestedRange, SampleVideo, parse_range};
use crate::sandbox::switches::ETagMode;

impl SandboxApi<'_> {
    pub(super) fn download_file(&mut self, call: &SandboxRequest) -> HandlerResult {
        let settings = &self.switches.download;
        let query = |name: &str| {
            let mut pairs = form_urlencoded::parse(call.query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let (expires, signature) = (query("expires"), query("signature"));
        let link = expires.zip(signature);
        let ends = link.and_then(|(expires, signature)| {
            self.download_links.verified_expiry(&call.key, &expires, &signature)
        });
        let ends = ends.ok_or_else(|| RequestRejection::new(403, 4030, "the link is not valid"))?;
        if self.now >= ends {
            return Err(RequestRejection::new(
                settings.status_after_expiry,
                4031,
                "the link has expired",
            ));
        }
        let project = self.find_project(&call.key)?;
        let finished =
            self.visible_render_status(project, self.now).filter(|(_, look)| look.is_finished);
        let (render, _) = finished.ok_or_else(|| RequestRejection::not_found("file"))?;
        let film = SampleVideo::new(&project.id, &render.task, &project.orientation);
        let etag = match settings.etag {
            ETagMode::Strong => Some(film.etag.clone()),
            ETagMode::None => None,
            ETagMode::Changing => Some(format!("\"{}\"", self.world.generate_id("etag", self.now))),
        };
        Ok(file_response(film.bytes, etag, settings.range, call))
    }
}

fn file_response(
    bytes: Vec<u8>,
    etag: Option<String>,
    ranges: bool,
    call: &SandboxRequest,
) -> SandboxResponse {
    let length = bytes.len();
    // A validator that does not match means: the file is another one, send all of it.
    let stale = call.if_range.is_some() && call.if_range != etag;
    let asked = if ranges && !stale {
        parse_range(call.range.as_deref(), length)
    } else {
        RequestedRange::Whole
    };
    let mut answer = SandboxResponse {
        status: 200,
        content_type: "video/mp4",
        headers: Vec::new(),
        body: Vec::new(),
    };
    match asked {
        RequestedRange::Whole => answer.body = bytes,
        RequestedRange::Bytes(from, to) => {
            answer.status = 206;
            answer.body = bytes[from..to].to_vec();
            let range = format!("bytes {from}-{}/{length}", to - 1);
            answer = answer.with_header("content-range", range);
        }
        RequestedRange::Unsatisfiable => {
            answer.status = 416;
            answer = answer.with_header("content-range", format!("bytes */{length}"));
        }
    }
    if ranges {
        answer = answer.with_header("accept-ranges", "bytes".to_owned());
    }
    match etag {
        Some(etag) => answer.with_header("etag", etag),
        None => answer,
    }
}

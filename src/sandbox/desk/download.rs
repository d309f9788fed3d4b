//! Handing out finished files: signed links, `Range`, `If-Range`, strong `ETag`.

use url::form_urlencoded;

use super::{Answer, Call, Desk, Outcome, Problem};
use crate::sandbox::films::{Film, Part, part};
use crate::sandbox::switches::ETag;

impl Desk<'_> {
    pub(super) fn download(&mut self, call: &Call) -> Outcome {
        let settings = &self.switches.download;
        let query = |name: &str| {
            let mut pairs = form_urlencoded::parse(call.query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let (expires, signature) = (query("expires"), query("signature"));
        let link = expires.zip(signature);
        let ends = link
            .and_then(|(expires, signature)| self.links.expiry(&call.key, &expires, &signature));
        let ends = ends.ok_or_else(|| Problem::new(403, 4030, "the link is not valid"))?;
        if self.now >= ends {
            return Err(Problem::new(settings.status_after_expiry, 4031, "the link has expired"));
        }
        let project = self.find(&call.key)?;
        let finished = self.look_at(project, self.now).filter(|(_, look)| look.finished);
        let (render, _) = finished.ok_or_else(|| Problem::not_found("file"))?;
        let film = Film::of(&project.id, &render.task, &project.orientation);
        let etag = match settings.etag {
            ETag::Strong => Some(film.etag.clone()),
            ETag::None => None,
            ETag::Changing => Some(format!("\"{}\"", self.world.fresh_id("etag", self.now))),
        };
        Ok(serve(film.bytes, etag, settings.range, call))
    }
}

fn serve(bytes: Vec<u8>, etag: Option<String>, ranges: bool, call: &Call) -> Answer {
    let length = bytes.len();
    // A validator that does not match means: the file is another one, send all of it.
    let stale = call.if_range.is_some() && call.if_range != etag;
    let asked = if ranges && !stale { part(call.range.as_deref(), length) } else { Part::Whole };
    let mut answer =
        Answer { status: 200, content_type: "video/mp4", headers: Vec::new(), body: Vec::new() };
    match asked {
        Part::Whole => answer.body = bytes,
        Part::Bytes(from, to) => {
            answer.status = 206;
            answer.body = bytes[from..to].to_vec();
            let range = format!("bytes {from}-{}/{length}", to - 1);
            answer = answer.with("content-range", range);
        }
        Part::Beyond => {
            answer.status = 416;
            answer = answer.with("content-range", format!("bytes */{length}"));
        }
    }
    if ranges {
        answer = answer.with("accept-ranges", "bytes".to_owned());
    }
    match etag {
        Some(etag) => answer.with("etag", etag),
        None => answer,
    }
}

//! The style sheet and the script of the console, and the addresses of everything that it serves.
//!
//! Both are part of the program and are served under the hash of their content, so a browser keeps
//! them until the next version. Invariant: every text in an address is encoded here.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::console::form::FormFields;
use crate::console::page_error::{PageError, PageResult};
use crate::console::page_request::PageRequest;
use crate::console::settings::BasePath;

const STYLE: &str = include_str!("console.css");
const SCRIPT: &str = include_str!("console.js");
const ICON: &str = include_str!("icon.svg");
/// Everything but the characters that need no escape in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A file of the console.
#[derive(Clone, Copy, Debug)]
struct AssetFile {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const FILES: [AssetFile; 3] = [
    AssetFile { name: "console.css", kind: "text/css; charset=utf-8", text: STYLE },
    AssetFile { name: "console.js", kind: "text/javascript; charset=utf-8", text: SCRIPT },
    AssetFile { name: "icon.svg", kind: "image/svg+xml", text: ICON },
];

/// The files with their addresses.
#[derive(Clone, Debug)]
pub(super) struct ConsoleAssets {
    links: ConsoleLinks,
}

impl ConsoleAssets {
    pub(super) fn new(base_path: &BasePath) -> Self {
        let base = base_path.as_str().to_owned();
        let [style, script, icon] =
            FILES.map(|file| format!("{base}/assets/{}", hashed_name(file)));
        Self { links: ConsoleLinks { base, style, script, icon } }
    }

    pub(super) fn links(&self) -> ConsoleLinks {
        self.links.clone()
    }
}

fn hashed_name(file: AssetFile) -> String {
    let hash = blake3::hash(file.text.as_bytes()).to_hex();
    format!("{}-{}", &hash[..16], file.name)
}

/// Serves a file.
pub(super) async fn show(page: PageRequest) -> PageResult {
    let name = page.param("file");
    let found = FILES.into_iter().find(|file| hashed_name(*file) == name);
    let file = found.ok_or_else(|| {
        PageError::NotFound("this file belongs to another version: reload the page".to_owned())
    })?;
    Ok(asset_response(file))
}

fn asset_response(file: AssetFile) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(file.kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    let text = without_comments(file.text);
    let text = if file.text == STYLE { compact_style(&text) } else { text };
    (StatusCode::OK, headers, text).into_response()
}

/// Returns a file without its comments and its indentation, which a browser does not need. A comment is a
/// line of its own.
fn without_comments(text: &str) -> String {
    let is_comment = |line: &&str| {
        line.is_empty()
            || line.starts_with("//")
            || (line.starts_with("/*") && line.ends_with("*/"))
    };
    let lines = text.lines().map(str::trim).filter(|line| !is_comment(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns a style sheet without the spaces that only people read. A space that separates two selectors
/// or two values stays.
fn compact_style(text: &str) -> String {
    let lines = text.replace('\n', "");
    [" { ", "{ ", " {", "; ", ": ", ", ", " }", "} ", ";}"].into_iter().fold(
        lines,
        |text, spaced| {
            let compact = if spaced == ";}" { "}" } else { spaced.trim() };
            text.replace(spaced, compact)
        },
    )
}

/// The addresses of the console. Methods return a path that begins with the base path, encoded.
#[derive(Clone, Debug)]
pub(crate) struct ConsoleLinks {
    base: String,
    pub(super) style: String,
    pub(super) script: String,
    pub(super) icon: String,
}

impl ConsoleLinks {
    /// Returns the address of a fixed path, such as `/settings`.
    pub(crate) fn to(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn batch(&self, batch: &str) -> String {
        format!("{}/batches/{}", self.base, Self::encode_segment(batch))
    }

    /// Returns the address of the rows of a batch; `query` is empty or begins with `?`.
    /// The settings of a batch.
    pub(crate) fn settings_of(&self, batch: &str) -> String {
        let query = FormFields::default().with("batch", batch).to_query();
        self.to(&format!("/settings{query}"))
    }

    pub(crate) fn rows(&self, batch: &str, query: &str) -> String {
        format!("{}/rows{query}", self.batch(batch))
    }

    pub(crate) fn row(&self, batch: &str, key: &str) -> String {
        format!("{}/rows/{}", self.batch(batch), Self::encode_segment(key))
    }

    /// Returns the address of the page that shows an action on a batch, without its filter.
    pub(crate) fn action(&self, batch: &str, action: &str) -> String {
        format!("{}/actions/{action}", self.batch(batch))
    }

    /// Returns the address of the page that decides about an uncertain job.
    pub(crate) fn resolve(&self, batch: &str, key: &str) -> String {
        format!("{}/resolve", self.row(batch, key))
    }

    /// Returns the address of a recorded request.
    pub(crate) fn request(&self, batch: &str, id: i64) -> String {
        format!("{}/requests/{id}", self.batch(batch))
    }

    /// Returns the address of the video of one version of a job.
    pub(crate) fn video(&self, batch: &str, key: &str, version: i64) -> String {
        format!("{}/versions/{version}/video", self.row(batch, key))
    }

    /// Encodes a text as one segment of a path. Browsers resolve `.` and `..` even if they are
    /// escaped, so a text that begins with a dot is preceded by a tilde.
    pub(crate) fn encode_segment(text: &str) -> String {
        let mark = if text.starts_with(['.', '~']) { "~" } else { "" };
        format!("{mark}{}", utf8_percent_encode(text, SEGMENT))
    }

    /// Returns the text of a segment whose escapes the router has decoded.
    pub(crate) fn decode_segment(segment: &str) -> &str {
        segment.strip_prefix('~').unwrap_or(segment)
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;

    use super::*;

    #[test]
    fn served_files_keep_all_but_comments_and_indentation() {
        let text = "/* a. */\n:root {\n  --x: #fff;\n}\n// b\n  f(\"//\"); // c\n\n";
        assert_eq!(without_comments(text), ":root {\n--x: #fff;\n}\nf(\"//\"); // c");
    }

    #[test]
    fn a_style_keeps_the_spaces_between_selectors_and_between_values() {
        let style =
            "a > b, .c d { margin: 0 auto; color: red; }\n@media (width: 1px) { a { x: y; } }";
        let compact = "a > b,.c d{margin:0 auto;color:red}@media (width:1px){a{x:y}}";
        assert_eq!(compact_style(style), compact);
        let quoted = STYLE.split('"').skip(1).step_by(2);
        quoted.for_each(|text| assert_eq!(compact_style(text), text, "is shown to users"));
    }

    #[test]
    fn any_text_is_one_segment_of_an_address() {
        for text in
            ["a", "a/b", "..", ".", "../../etc", "~", "~a", "%2F", "?#", "\"'<", "봄 ✨", "a\nb"]
        {
            let segment = ConsoleLinks::encode_segment(text);
            assert!(segment.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~%".contains(c)));
            let url = url::Url::parse(&format!("http://h/rows/{segment}/end")).unwrap();
            assert_eq!(url.path(), format!("/rows/{segment}/end"), "a browser keeps it");
            let decoded = percent_decode_str(&segment).decode_utf8().unwrap();
            assert_eq!(ConsoleLinks::decode_segment(&decoded), text);
        }
    }
}

//! Checks that the documented fields of a clip have values that the documentation allows.
//!
//! A field that is absent or `null` takes its default. Which fields a clip type requires is checked
//! in [`super::clips`].

use std::fmt;

use crate::payload::check::finding::{ClipPointer, FindingCollector, truncate_quoted};
use crate::payload::json_kind::JsonKind;
use crate::payload::json_view::{JsonNumber, JsonObject, JsonView};
use crate::text::suggest_name;

/// The `shapeName` values of the `create-project` page.
const SHAPE_NAMES: [&str; 17] = [
    "Line_v2",
    "Arrow_1_v2",
    "Arrow_2_v2",
    "Circle",
    "Triangle",
    "Square",
    "Parallelogram",
    "Drop_1",
    "Polygon",
    "Pentagon",
    "Oval_1",
    "Oval_2",
    "Hexagon_1",
    "Hexagon_2",
    "Diamond",
    "Star",
    "Rectangle_corner0",
];
/// The `animation.type` values of the `create-project` page.
const ANIMATION_TYPES: [&str; 12] = [
    "fade-in",
    "fade-out",
    "in-right",
    "in-down",
    "in-left",
    "in-up",
    "out-right",
    "out-down",
    "out-left",
    "out-up",
    "zoom-in",
    "zoom-out",
];

/// The values allowed for a number.
enum NumberRange {
    Any,
    Whole,
    NotNegative,
    Between(f64, f64),
    WholeBetween(f64, f64),
}

const CLIP_NUMBERS: [(&str, NumberRange); 10] = [
    ("layer", NumberRange::Whole),
    ("top", NumberRange::Any),
    ("left", NumberRange::Any),
    ("width", NumberRange::NotNegative),
    ("height", NumberRange::NotNegative),
    ("scaleX", NumberRange::Any),
    ("scaleY", NumberRange::Any),
    ("angle", NumberRange::Any),
    ("opacity", NumberRange::Between(0.0, 100.0)),
    ("volume", NumberRange::Between(0.0, 100.0)),
];
const ANIMATION_NUMBERS: [(&str, NumberRange); 2] = [
    ("duration", NumberRange::WholeBetween(1.0, 30.0)),
    ("delay", NumberRange::WholeBetween(0.0, 30.0)),
];

/// Checks the values of a clip's fields.
pub(super) fn check_clip_fields(
    clip: &JsonObject<'_>,
    pointer: ClipPointer,
    findings: &mut FindingCollector,
) {
    for (name, range) in &CLIP_NUMBERS {
        check_number(clip, name, range, format_args!("{pointer}/{name}"), findings);
    }
    match clip.given("animation") {
        None => {}
        Some(JsonView::Object(animation)) => {
            let at = format_args!("{pointer}/animation/type");
            if let Some(name) = findings.require_text(animation.get("type"), "type", at) {
                check_known_value(name, &KnownValues::ANIMATIONS, at, findings);
            }
            for (name, range) in &ANIMATION_NUMBERS {
                let at = format_args!("{pointer}/animation/{name}");
                check_number(animation, name, range, at, findings);
            }
        }
        Some(other) => {
            let message = format!("`animation` must be an object, not {}", other.kind());
            findings.add_problem(format_args!("{pointer}/animation"), message);
        }
    }
}

/// The documented values of a field.
struct KnownValues {
    noun: &'static str,
    values: &'static [&'static str],
}

impl KnownValues {
    const SHAPES: Self = Self { noun: "shape", values: &SHAPE_NAMES };
    const ANIMATIONS: Self = Self { noun: "animation", values: &ANIMATION_TYPES };
}

pub(super) fn check_shape_name(
    name: &str,
    pointer: fmt::Arguments<'_>,
    findings: &mut FindingCollector,
) {
    check_known_value(name, &KnownValues::SHAPES, pointer, findings);
}

fn check_known_value(
    value: &str,
    known: &KnownValues,
    pointer: fmt::Arguments<'_>,
    findings: &mut FindingCollector,
) {
    if !known.values.contains(&value) {
        let message = format!("there is no {} `{}`", known.noun, truncate_quoted(value));
        let help = suggest_name(value, known.values.iter().copied(), "there are");
        findings.add_problem(pointer, message).set_help(help);
    }
}

impl NumberRange {
    fn contains(&self, number: JsonNumber) -> bool {
        let is_between = |least, most| (least..=most).contains(&number.value);
        match *self {
            Self::Any => true,
            Self::Whole => number.is_whole,
            Self::NotNegative => is_between(0.0, f64::MAX),
            Self::Between(least, most) => is_between(least, most),
            Self::WholeBetween(least, most) => number.is_whole && is_between(least, most),
        }
    }
}

impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("a number"),
            Self::Whole => f.write_str("a whole number"),
            Self::NotNegative => f.write_str("a number from 0 up"),
            Self::Between(least, most) => write!(f, "a number from {least} to {most}"),
            Self::WholeBetween(least, most) => write!(f, "a whole number from {least} to {most}"),
        }
    }
}

fn check_number(
    object: &JsonObject<'_>,
    name: &str,
    range: &NumberRange,
    pointer: fmt::Arguments<'_>,
    findings: &mut FindingCollector,
) {
    let Some(value) = object.given(name) else { return };
    if value.as_number().is_some_and(|number| range.contains(number)) {
        return;
    }
    let finding = findings.add_problem(pointer, format!("`{name}` must be {range}"));
    if value.kind() == JsonKind::Text {
        finding.set_help(format!("write it without quotes, or as `{{{{number {name}}}}}`"));
    }
}

/// Checks that AI Studios can fetch the file of a URL: an absolute web address, or one of its own
/// paths. Anything else would only be missing in the video.
pub(super) fn check_url(
    value: Option<&JsonView<'_>>,
    pointer: fmt::Arguments<'_>,
    findings: &mut FindingCollector,
) {
    let Some(url) = value.and_then(JsonView::as_text).map(str::trim).filter(|url| !url.is_empty())
    else {
        return;
    };
    match UrlForm::parse(url) {
        UrlForm::OwnPath | UrlForm::Https => {}
        UrlForm::Http => {
            findings.add_warning(pointer, "the address is not https").set_help(
                "write `https://` if the server supports it; services often refuse the other",
            );
            return;
        }
        UrlForm::LocalPath => {
            findings
                .add_problem(
                    pointer,
                    format!(
                        "`{}` is on this computer, where AI Studios cannot reach it",
                        truncate_quoted(url)
                    ),
                )
                .set_help("upload the file, and write its https address");
            return;
        }
        UrlForm::WithoutScheme => {
            let url = truncate_quoted(url);
            findings
                .add_problem(
                    pointer,
                    format!("`{url}` is not a web address: `https://` is missing"),
                )
                .set_help(format!("write `https://{}`", url.trim_start_matches('/')));
            return;
        }
        UrlForm::NoAddress => {
            let message = format!("`{}` is not a web address", truncate_quoted(url));
            findings
                .add_problem(pointer, message)
                .set_help("upload the file and use its https URL");
            return;
        }
    }
    if url.contains(char::is_whitespace) {
        findings
            .add_warning(pointer, "the address has a space in it")
            .set_help("write `%20` instead");
    }
}

/// The form of a text that should be a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UrlForm {
    Https,
    Http,
    /// A path of AI Studios, such as `/images/background/bg.png`.
    OwnPath,
    /// A file on the author's computer.
    LocalPath,
    /// `www.example.com/logo.png`
    WithoutScheme,
    /// `logo.png`, `data:…`, `ftp://…`
    NoAddress,
}

impl UrlForm {
    fn parse(url: &str) -> Self {
        let after = |scheme: &str| {
            let is_scheme = |start: &str| start.eq_ignore_ascii_case(scheme);
            url.get(..scheme.len()).is_some_and(is_scheme).then(|| &url[scheme.len()..])
        };
        let is_host = |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || c == '[');
        let is_drive = url.get(1..3).is_some_and(|rest| matches!(rest, ":\\" | ":/"));
        if let Some(rest) = after("https://") {
            return if is_host(rest) { Self::Https } else { Self::NoAddress };
        }
        if let Some(rest) = after("http://") {
            return if is_host(rest) { Self::Http } else { Self::NoAddress };
        }
        if after("file:").is_some() || after("blob:").is_some() || url.starts_with('\\') || is_drive
        {
            return Self::LocalPath;
        }
        let is_user_folder = ["/Users/", "/home/", "/Volumes/", "/mnt/", "/tmp/", "~/"]
            .iter()
            .any(|folder| url.starts_with(folder));
        match url.strip_prefix('/') {
            _ if is_user_folder => Self::LocalPath,
            Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Self::OwnPath,
            Some(rest) if is_host(rest.trim_start_matches('/')) => Self::WithoutScheme,
            Some(_) => Self::NoAddress,
            None if starts_with_domain(url) => Self::WithoutScheme,
            None => Self::NoAddress,
        }
    }
}

/// Recognizes `www.example.com/…`: a name with dots before the first slash.
fn starts_with_domain(url: &str) -> bool {
    let Some((domain, _)) = url.split_once('/') else { return url.starts_with("www.") };
    let labels: Vec<&str> = domain.split('.').collect();
    let is_label =
        |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    let is_top = |label: &&str| label.len() > 1 && label.chars().all(char::is_alphabetic);
    labels.len() > 1 && labels.iter().all(is_label) && labels.last().is_some_and(is_top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_and_own_paths_can_be_fetched() {
        for (url, form) in [
            ("https://example.com/a.png", UrlForm::Https),
            ("HTTPS://bücher.example/a.png", UrlForm::Https),
            ("http://example.com/a.png", UrlForm::Http),
            ("/images/background/bg.png", UrlForm::OwnPath),
            ("C:\\logo.png", UrlForm::LocalPath),
            ("C:/logo.png", UrlForm::LocalPath),
            ("\\\\server\\logo.png", UrlForm::LocalPath),
            ("file:///logo.png", UrlForm::LocalPath),
            ("/Users/anna/logo.png", UrlForm::LocalPath),
            ("~/logo.png", UrlForm::LocalPath),
            ("www.example.com/logo.png", UrlForm::WithoutScheme),
            ("example.com/logo.png", UrlForm::WithoutScheme),
            ("//cdn.example.com/logo.png", UrlForm::WithoutScheme),
            ("logo.png", UrlForm::NoAddress),
            ("images/logo.png", UrlForm::NoAddress),
            ("./logo.png", UrlForm::NoAddress),
            ("data:image/png;base64,AA", UrlForm::NoAddress),
            ("ftp://example.com/logo.png", UrlForm::NoAddress),
            ("https:/example.com/logo.png", UrlForm::NoAddress),
            ("https://", UrlForm::NoAddress),
            ("n/a", UrlForm::NoAddress),
            ("/", UrlForm::NoAddress),
        ] {
            assert_eq!(UrlForm::parse(url), form, "{url}");
        }
    }
}

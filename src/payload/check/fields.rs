//! Are the documented fields of a clip what they are documented to be?
//!
//! A field that is there has to have a value that the page allows; one that is not there, or
//! `null`, takes its default. What the page requires of each type is asked in [`crate::payload::check::clips`].

use crate::payload::check::{ClipPointer, FindingCollector, truncate_quoted, warnings};
use crate::payload::outline::{Clip, Kind, Leaf, Scene, Shape};
use crate::text::suggest_name;

/// The `shapeName` values of the page.
pub(crate) const SHAPE_NAMES: [&str; 17] = [
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
/// The `animation.type` values of the page.
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

/// What a number may be.
enum NumberRange {
    Any,
    Whole,
    Between(f64, f64),
    WholeBetween(f64, f64),
}

/// Checks the values of a clip's fields.
pub(crate) fn check_clip_fields(
    clip: &Clip<'_>,
    spot: ClipPointer,
    findings: &mut FindingCollector,
) {
    use NumberRange::{Any, Between, Whole, WholeBetween};
    for (name, leaf, range) in [
        ("layer", &clip.layer, Whole),
        ("top", &clip.top, Any),
        ("left", &clip.left, Any),
        ("width", &clip.width, Between(0.0, f64::MAX)),
        ("height", &clip.height, Between(0.0, f64::MAX)),
        ("scaleX", &clip.scale_x, Any),
        ("scaleY", &clip.scale_y, Any),
        ("angle", &clip.angle, Any),
        ("opacity", &clip.opacity, Between(0.0, 100.0)),
        ("volume", &clip.volume, Between(0.0, 100.0)),
    ] {
        check_number(leaf, name, &range, format_args!("{spot}/{name}"), findings);
    }
    match &clip.animation {
        Shape::Absent | Shape::Other(Kind::Null) => {}
        Shape::Other(kind) => {
            let message = format!("`animation` must be an object, not {kind}");
            findings.add_problem(format_args!("{spot}/animation"), message);
        }
        Shape::Is(animation) => {
            let at = format_args!("{spot}/animation/type");
            if let Some(word) = findings.require_text(&animation.kind, "type", at) {
                check_known_value(word, &ANIMATION_TYPES, "animation", at, findings);
            }
            for (name, leaf, range) in [
                ("duration", &animation.duration, WholeBetween(1.0, 30.0)),
                ("delay", &animation.delay, WholeBetween(0.0, 30.0)),
            ] {
                check_number(leaf, name, &range, format_args!("{spot}/animation/{name}"), findings);
            }
        }
    }
}

/// Says so unless a word is one of those that are known.
pub(crate) fn check_known_value(
    word: &str,
    known: &[&'static str],
    what: &str,
    pointer: std::fmt::Arguments<'_>,
    findings: &mut FindingCollector,
) {
    if !known.contains(&word) {
        let help = suggest_name(word, known.iter().copied(), "there are");
        findings
            .add_problem(pointer, format!("there is no {what} `{}`", truncate_quoted(word)))
            .set_help(help);
    }
}

fn check_number(
    leaf: &Leaf<'_>,
    name: &str,
    range: &NumberRange,
    pointer: std::fmt::Arguments<'_>,
    findings: &mut FindingCollector,
) {
    let wanted = match (leaf, range) {
        (Leaf::Absent | Leaf::Other(Kind::Null), _) | (Leaf::Number(_), NumberRange::Any) => return,
        (Leaf::Number(number), NumberRange::Whole) if number.is_whole() => return,
        (Leaf::Number(number), NumberRange::Between(0.0, f64::MAX)) if !number.is_negative() => {
            return;
        }
        (Leaf::Number(number), NumberRange::Between(least, most))
            if (*least..=*most).contains(&number.value()) =>
        {
            return;
        }
        (Leaf::Number(number), NumberRange::WholeBetween(least, most))
            if number.is_whole() && (*least..=*most).contains(&number.value()) =>
        {
            return;
        }
        (_, NumberRange::Any) => "a number".to_owned(),
        (_, NumberRange::Whole) => "a whole number".to_owned(),
        (_, NumberRange::Between(least, f64::MAX)) => format!("a number from {least} up"),
        (_, NumberRange::Between(least, most)) => format!("a number from {least} to {most}"),
        (_, NumberRange::WholeBetween(least, most)) => {
            format!("a whole number from {least} to {most}")
        }
    };
    let said = findings.add_problem(pointer, format!("`{name}` must be {wanted}"));
    if let Leaf::Text(_) = leaf {
        said.set_help(format!("write it without quotes, or as `{{{{number {name}}}}}`"));
    }
}

/// Checks that AI Studios can fetch what an address names.
pub(crate) fn check_url(
    leaf: &Leaf<'_>,
    pointer: std::fmt::Arguments<'_>,
    findings: &mut FindingCollector,
) {
    let Some(address) = leaf.text().map(str::trim).filter(|address| !address.is_empty()) else {
        return;
    };
    let starts = |scheme: &str| {
        address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let is_drive = address.get(1..3).is_some_and(|rest| matches!(rest, ":\\" | ":/"));
    if starts("file:") || starts("blob:") || address.starts_with('\\') || is_drive {
        findings
            .add_problem(
                pointer,
                "this file is on somebody's computer, where AI Studios cannot get it",
            )
            .set_help("put it on the web, and write its https address");
    } else if starts("http:") {
        findings
            .add_warning(pointer, "the address is not https")
            .set_help("write `https://`, if the server has it; services often refuse the other");
    } else if address.contains(char::is_whitespace) {
        findings
            .add_warning(pointer, "the address has a space in it")
            .set_help("write `%20` for it");
    }
}

/// Doubts a clip that nobody would see.
pub(crate) fn check_clip_on_canvas(
    clip: &Clip<'_>,
    canvas: (f64, f64),
    spot: ClipPointer,
    findings: &mut FindingCollector,
) {
    let value = |leaf: &Leaf<'_>, absent: f64| match leaf {
        Leaf::Number(number) => number.value(),
        Leaf::Absent | Leaf::Bool(_) | Leaf::Text(_) | Leaf::Other(_) => absent,
    };
    let is_outside = |(start, size, scale): (&Leaf<'_>, &Leaf<'_>, &Leaf<'_>), canvas: f64| {
        let start = value(start, 0.0);
        let size = || value(size, f64::MAX) * value(scale, 1.0);
        start >= canvas || (start <= 0.0 && start + size() <= 0.0)
    };
    if is_outside((&clip.left, &clip.width, &clip.scale_x), canvas.0)
        || is_outside((&clip.top, &clip.height, &clip.scale_y), canvas.1)
    {
        let (width, height) = canvas;
        findings
            .add_warning(format_args!("{spot}"), "this clip lies outside the picture")
            .set_help(format!("the picture is {width} × {height}, counted from the top left"));
    }
}

/// Checks what belongs to a scene itself.
pub(crate) fn check_scene_fields(scene: &Scene<'_>, index: usize, findings: &mut FindingCollector) {
    match &scene.background {
        Shape::Absent | Shape::Other(Kind::Null) => {}
        Shape::Is(background) => {
            let at = format_args!("/scenes/{index}/background/source_url");
            check_url(&background.source_url, at, findings);
        }
        Shape::Other(kind) => {
            let message = format!("`background` must be an object, not {kind}");
            findings.add_problem(format_args!("/scenes/{index}/background"), message);
        }
    }
    for (number, script) in scene.scripts.get().into_iter().flatten().enumerate() {
        let Some(script) = script.get() else { continue };
        match script.is_tts.kind() {
            None | Some(Kind::Bool | Kind::Null) => {}
            Some(kind) => {
                let at = format_args!("/scenes/{index}/scripts/{number}/isTTS");
                findings.add_problem(at, format!("`isTTS` must be true or false, not {kind}"));
            }
        }
        if let Some(text) = script.org.text() {
            warnings::check_placeholders(
                text,
                format_args!("/scenes/{index}/scripts/{number}/org"),
                findings,
            );
        }
    }
}

//! Are the documented fields of a clip what they are documented to be?
//!
//! A field that is there has to have a value that the page allows; one that is not there, or
//! `null`, takes its default. What the page requires of each type is asked in [`super::clips`].

use super::{Findings, Spot, clipped, doubts};
use crate::scene::outline::{Clip, Kind, Leaf, Scene, Shape};
use crate::scene::problem::suggest;

/// The `shapeName` values of the page.
pub(super) const SHAPES: [&str; 17] = [
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
const ANIMATIONS: [&str; 12] = [
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
enum Range {
    Any,
    Whole,
    Between(f64, f64),
    WholeBetween(f64, f64),
}

/// Checks the values of a clip's fields.
pub(super) fn check(clip: &Clip<'_>, spot: Spot, findings: &mut Findings) {
    use Range::{Any, Between, Whole, WholeBetween};
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
        number(leaf, name, &range, format_args!("{spot}/{name}"), findings);
    }
    match &clip.animation {
        Shape::Absent | Shape::Other(Kind::Null) => {}
        Shape::Other(kind) => {
            let message = format!("`animation` must be an object, not {kind}");
            findings.say(format_args!("{spot}/animation"), message);
        }
        Shape::Is(animation) => {
            let at = format_args!("{spot}/animation/type");
            if let Some(word) = findings.want_text(&animation.kind, "type", at) {
                known_word(word, &ANIMATIONS, "animation", at, findings);
            }
            for (name, leaf, range) in [
                ("duration", &animation.duration, WholeBetween(1.0, 30.0)),
                ("delay", &animation.delay, WholeBetween(0.0, 30.0)),
            ] {
                number(leaf, name, &range, format_args!("{spot}/animation/{name}"), findings);
            }
        }
    }
}

/// Says so unless a word is one of those that are known.
pub(super) fn known_word(
    word: &str,
    known: &[&'static str],
    what: &str,
    pointer: std::fmt::Arguments<'_>,
    findings: &mut Findings,
) {
    if !known.contains(&word) {
        let help = suggest(word, known.iter().copied(), "there are");
        findings.say(pointer, format!("there is no {what} `{}`", clipped(word))).help(help);
    }
}

fn number(
    leaf: &Leaf<'_>,
    name: &str,
    range: &Range,
    pointer: std::fmt::Arguments<'_>,
    findings: &mut Findings,
) {
    let wanted = match (leaf, range) {
        (Leaf::Absent | Leaf::Other(Kind::Null), _) | (Leaf::Number(_), Range::Any) => return,
        (Leaf::Number(number), Range::Whole) if number.is_whole() => return,
        (Leaf::Number(number), Range::Between(0.0, f64::MAX)) if !number.is_negative() => return,
        (Leaf::Number(number), Range::Between(least, most))
            if (*least..=*most).contains(&number.value()) =>
        {
            return;
        }
        (Leaf::Number(number), Range::WholeBetween(least, most))
            if number.is_whole() && (*least..=*most).contains(&number.value()) =>
        {
            return;
        }
        (_, Range::Any) => "a number".to_owned(),
        (_, Range::Whole) => "a whole number".to_owned(),
        (_, Range::Between(least, f64::MAX)) => format!("a number from {least} up"),
        (_, Range::Between(least, most)) => format!("a number from {least} to {most}"),
        (_, Range::WholeBetween(least, most)) => format!("a whole number from {least} to {most}"),
    };
    let said = findings.say(pointer, format!("`{name}` must be {wanted}"));
    if let Leaf::Text(_) = leaf {
        said.help(format!("write it without quotes, or as `{{{{number {name}}}}}`"));
    }
}

/// Checks that AI Studios can fetch what an address names.
pub(super) fn address(leaf: &Leaf<'_>, pointer: std::fmt::Arguments<'_>, findings: &mut Findings) {
    let Some(address) = leaf.text().map(str::trim).filter(|address| !address.is_empty()) else {
        return;
    };
    let starts = |scheme: &str| {
        address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    let is_drive = address.get(1..3).is_some_and(|rest| matches!(rest, ":\\" | ":/"));
    if starts("file:") || starts("blob:") || address.starts_with('\\') || is_drive {
        findings
            .say(pointer, "this file is on somebody's computer, where AI Studios cannot get it")
            .help("put it on the web, and write its https address");
    } else if starts("http:") {
        findings
            .doubt(pointer, "the address is not https")
            .help("write `https://`, if the server has it; services often refuse the other");
    } else if address.contains(char::is_whitespace) {
        findings.doubt(pointer, "the address has a space in it").help("write `%20` for it");
    }
}

/// Doubts a clip that nobody would see.
pub(super) fn place(clip: &Clip<'_>, canvas: (f64, f64), spot: Spot, findings: &mut Findings) {
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
            .doubt(format_args!("{spot}"), "this clip lies outside the picture")
            .help(format!("the picture is {width} × {height}, counted from the top left"));
    }
}

/// Checks what belongs to a scene itself.
pub(super) fn scene(scene: &Scene<'_>, index: usize, findings: &mut Findings) {
    match &scene.background {
        Shape::Absent | Shape::Other(Kind::Null) => {}
        Shape::Is(background) => {
            let at = format_args!("/scenes/{index}/background/source_url");
            address(&background.source_url, at, findings);
        }
        Shape::Other(kind) => {
            let message = format!("`background` must be an object, not {kind}");
            findings.say(format_args!("/scenes/{index}/background"), message);
        }
    }
    for (number, script) in scene.scripts.get().into_iter().flatten().enumerate() {
        let Some(script) = script.get() else { continue };
        match script.is_tts.kind() {
            None | Some(Kind::Bool | Kind::Null) => {}
            Some(kind) => {
                let at = format_args!("/scenes/{index}/scripts/{number}/isTTS");
                findings.say(at, format!("`isTTS` must be true or false, not {kind}"));
            }
        }
        if let Some(text) = script.org.text() {
            doubts::text(text, format_args!("/scenes/{index}/scripts/{number}/org"), findings);
        }
    }
}

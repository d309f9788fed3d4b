//! One scene as a drawing: what stands where, how large, in front of what, and in which colour.
//!
//! Sizes are the payload's own: the canvas is 1920 × 1080 (portrait: 1080 × 1920), text is counted
//! in points of 4/3 pixels, a clip is drawn `width × scaleX` wide. Fonts are the reader's, so lines
//! may break elsewhere than in the video.

use std::fmt::Write as _;

use serde_json::Value;

use crate::report::storyboard::{ProblemMark, push_element, safe_color, shapes};
use crate::template::escape::push_html_escaped;

/// A clip's place on the canvas.
#[derive(Clone, Copy)]
struct CanvasArea {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// Appends a scene of a project with what is said in it. `caption` says which version it is.
pub(crate) fn push_scene_figure(
    html: &mut String,
    project: &Value,
    index: usize,
    marks: &[ProblemMark<'_>],
    caption: &str,
) {
    let scene = &project["scenes"][index];
    if scene.is_null() {
        push_element(html, "p", "none", "no such scene");
        return;
    }
    let portrait = project["orientation"].as_str() == Some("portrait");
    let (width, height) = if portrait { (1080.0, 1920.0) } else { (1920.0, 1080.0) };
    let canvas = CanvasArea { left: 0.0, top: 0.0, width, height };
    let here: Vec<&ProblemMark<'_>> = marks
        .iter()
        .filter(|mark| mark.scene_and_clip().is_some_and(|(scene, _)| scene == index))
        .collect();
    let shape = if portrait { "portrait" } else { "landscape" };
    let state = if caption.is_empty() { "" } else { " before" };
    let _ = write!(
        html,
        "<figure class=\"{shape}{state}\"><svg viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"scene {}\">",
        index + 1
    );
    push_background(html, &scene["background"], canvas);
    let mut clips: Vec<(usize, &Value)> =
        scene["clips"].as_array().into_iter().flatten().enumerate().collect();
    clips.sort_by(|one, other| {
        let layer = |clip: &Value| clip["layer"].as_f64().unwrap_or(0.0);
        layer(one.1).total_cmp(&layer(other.1))
    });
    let clips = clips.into_iter().filter(|(_, clip)| clip["isDelete"] != Value::Bool(true));
    let clips: Vec<(usize, &Value)> = clips.collect();
    for (_, clip) in &clips {
        push_clip(html, clip, canvas);
    }
    for (index, mark) in here.iter().enumerate() {
        let clip = mark.scene_and_clip().and_then(|(_, clip)| clip);
        let found = clips.iter().find(|(number, _)| Some(*number) == clip);
        let area = visible_area(found.map_or(canvas, |(_, clip)| clip_area(clip)), canvas);
        // Numbers at one place stand side by side.
        let before = here[..index]
            .iter()
            .filter(|other| other.scene_and_clip() == mark.scene_and_clip())
            .count();
        push_problem_mark(html, mark, area, before);
    }
    html.push_str("</svg><figcaption>");
    push_scene_text(html, scene, &clips, index, caption);
    html.push_str("</figcaption></figure>\n");
}

fn push_background(html: &mut String, background: &Value, canvas: CanvasArea) {
    let fill = background["source_color"].as_str().and_then(safe_color).unwrap_or("#8a8f98");
    let _ = write!(
        html,
        "<rect width=\"{}\" height=\"{}\" fill=\"{fill}\"/>",
        canvas.width, canvas.height
    );
    if let Some(name) = background["source_url"].as_str().filter(|name| !name.is_empty()) {
        let at = canvas;
        push_label(html, at, &format!("background: {}", url_file_name(name)));
    }
}

fn number_field(clip: &Value, key: &str, absent: f64) -> f64 {
    let value = clip[key].as_f64().unwrap_or(absent);
    // A drawing needs numbers that a browser can add up.
    if value.is_finite() { value.clamp(-100_000.0, 100_000.0) } else { absent }
}

fn clip_area(clip: &Value) -> CanvasArea {
    CanvasArea {
        left: number_field(clip, "left", 0.0),
        top: number_field(clip, "top", 0.0),
        width: (number_field(clip, "width", 200.0) * number_field(clip, "scaleX", 1.0)).abs(),
        height: (number_field(clip, "height", 200.0) * number_field(clip, "scaleY", 1.0)).abs(),
    }
}

fn push_clip(html: &mut String, clip: &Value, canvas: CanvasArea) {
    let area = clip_area(clip);
    let opacity = (number_field(clip, "opacity", 100.0) / 100.0).clamp(0.0, 1.0);
    let angle = number_field(clip, "angle", 0.0);
    let CanvasArea { left, top, .. } = area;
    let _ = write!(html, "<g opacity=\"{opacity}\" transform=\"rotate({angle} {left} {top})\">");
    let url = |key: &str| url_file_name(clip[key].as_str().unwrap_or("?")).to_owned();
    match clip["type"].as_str().unwrap_or("?") {
        "aiModel" => push_avatar(html, clip, area, canvas),
        "textImage" => push_text(html, clip, area),
        "shape" => push_shape(html, clip, area),
        "image" => push_media_box(html, area, canvas, &format!("image · {}", url("source_url"))),
        "videoImage" => {
            push_media_box(html, area, canvas, &format!("video · {}", url("video_url")))
        }
        "audio" => {}
        other => push_media_box(html, area, canvas, other),
    }
    html.push_str("</g>");
}

fn push_avatar(html: &mut String, clip: &Value, area: CanvasArea, canvas: CanvasArea) {
    let CanvasArea { left, top, width, height } = area;
    let (middle, head) = (left + width / 2.0, (width * 0.16).min(height * 0.12));
    let (head_top, shoulder) = (top + head * 1.4, width * 0.36);
    let _ = write!(
        html,
        "<rect class=\"avatar\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/>\
         <g class=\"person\"><ellipse cx=\"{middle}\" cy=\"{head_top}\" rx=\"{}\" ry=\"{head}\"/>\
         <path d=\"M{} {} q0 -{head} {shoulder} -{head} q{shoulder} 0 {shoulder} {head} v{} h-{} z\"/>\
         </g>",
        head * 0.8,
        middle - shoulder,
        head_top + head * 2.4,
        (height - head * 3.8).max(0.0),
        shoulder * 2.0,
    );
    let model = clip["model"]["ai_name"].as_str().unwrap_or("no model");
    let clothes = clip["model"]["emotion"].as_str().unwrap_or("no clothes");
    push_label(html, visible_area(area, canvas), &format!("{model} · {clothes}"));
}

fn push_text(html: &mut String, clip: &Value, area: CanvasArea) {
    let CanvasArea { left, top, width, height } = area;
    let scale = number_field(clip, "scaleY", 1.0).abs();
    let size = number_field(clip, "fontSize", 40.0) * 4.0 / 3.0 * scale;
    let word = |key: &str, known: &[&'static str], absent: &'static str| -> &'static str {
        let given = clip[key].as_str().unwrap_or(absent);
        known.iter().find(|known| **known == given).copied().unwrap_or(absent)
    };
    let align = word("align", &["left", "center", "right", "justify"], "left");
    let weight = word("fontWeight", &["normal", "bold"], "normal");
    let style = word("fontStyle", &["normal", "italic"], "normal");
    let line = if clip["underline"] == Value::Bool(true) { "underline" } else { "none" };
    let fill = clip["fill"].as_str().and_then(safe_color).unwrap_or("#000");
    let behind = clip["backgroundColor"].as_str().and_then(safe_color).unwrap_or("transparent");
    let _ = write!(
        html,
        "<foreignObject x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" \
         class=\"words\"><div xmlns=\"http://www.w3.org/1999/xhtml\" style=\"font-size:{size}px;\
         color:{fill};background:{behind};text-align:{align};font-weight:{weight};\
         font-style:{style};text-decoration:{line}\">"
    );
    push_html_escaped(html, clip["text"].as_str().unwrap_or(""));
    html.push_str("</div></foreignObject>");
}

fn push_shape(html: &mut String, clip: &Value, area: CanvasArea) {
    let CanvasArea { left, top, width, height } = area;
    let name = clip["shapeName"].as_str().unwrap_or("");
    let fill = clip["fill"].as_str().and_then(safe_color).unwrap_or("none");
    let stroke = clip["stroke"].as_str().and_then(safe_color).unwrap_or("none");
    let line = number_field(clip, "strokeWidth", 0.0).max(0.0);
    let paint = format!("fill=\"{fill}\" stroke=\"{stroke}\" stroke-width=\"{line}\"");
    if shapes::is_round(name) {
        let (across, down) = (width / 2.0, height / 2.0);
        let _ = write!(
            html,
            "<ellipse cx=\"{}\" cy=\"{}\" rx=\"{across}\" ry=\"{down}\" {paint}/>",
            left + across,
            top + down
        );
        return;
    }
    let corners = shapes::corners(name).or(shapes::corners("Square")).unwrap_or(&[]);
    let points: Vec<String> =
        corners.iter().map(|(x, y)| format!("{},{}", left + x * width, top + y * height)).collect();
    let _ = write!(html, "<polygon points=\"{}\" {paint}/>", points.join(" "));
}

/// A box for what would have to be fetched.
fn push_media_box(html: &mut String, area: CanvasArea, canvas: CanvasArea, name: &str) {
    let CanvasArea { left, top, width, height } = area;
    let _ = write!(
        html,
        "<rect class=\"media\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\"/>"
    );
    push_label(html, visible_area(area, canvas), name);
}

/// A line of text in the upper left corner of an area.
fn push_label(html: &mut String, area: CanvasArea, name: &str) {
    let CanvasArea { left, top, width, .. } = area;
    let _ = write!(
        html,
        "<foreignObject class=\"label\" x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"100\">\
         <div xmlns=\"http://www.w3.org/1999/xhtml\"><span>",
        width.max(120.0)
    );
    push_html_escaped(html, name);
    html.push_str("</span></div></foreignObject>");
}

/// Returns the part of an area that is on the canvas, or its corner that is nearest to it.
fn visible_area(area: CanvasArea, canvas: CanvasArea) -> CanvasArea {
    let left = area.left.clamp(0.0, canvas.width - 120.0);
    let top = area.top.clamp(0.0, canvas.height - 60.0);
    let right = (area.left + area.width).clamp(left, canvas.width);
    let bottom = (area.top + area.height).clamp(top, canvas.height);
    CanvasArea { left, top, width: right - left, height: bottom - top }
}

/// Marks an area, with the number that the problem has in the list.
fn push_problem_mark(html: &mut String, mark: &ProblemMark<'_>, area: CanvasArea, before: usize) {
    let CanvasArea { left, top, width, height } = area;
    let class = if mark.is_problem { "wrong" } else { "doubt" };
    // Half of the line would lie outside the picture otherwise.
    let (width, height) = ((width - 12.0).max(60.0), (height - 12.0).max(60.0));
    let (x, y) = (left + 6.0, top + 6.0);
    let (dot_x, dot_y) = ((x + width - 44.0 - 92.0 * before as f64).max(44.0), y + 44.0);
    let _ = write!(
        html,
        "<g class=\"mark {class}\"><rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>\
         <circle cx=\"{dot_x}\" cy=\"{dot_y}\" r=\"40\"/>\
         <text x=\"{dot_x}\" y=\"{}\">{}</text></g>",
        dot_y + 18.0,
        mark.number
    );
}

/// What is spoken and heard in a scene.
fn push_scene_text(
    html: &mut String,
    scene: &Value,
    clips: &[(usize, &Value)],
    index: usize,
    caption: &str,
) {
    let title = match caption {
        "" => format!("Scene {}", index + 1),
        caption => format!("Scene {}, {caption}", index + 1),
    };
    push_element(html, "h3", "", &title);
    let scripts: Vec<&Value> = scene["scripts"].as_array().into_iter().flatten().collect();
    for script in &scripts {
        push_element(
            html,
            "blockquote",
            "",
            &strip_paragraph_tags(script["org"].as_str().unwrap_or("")),
        );
    }
    for (_, clip) in clips {
        if scripts.is_empty()
            && let Some(text) = clip["script"]["org"].as_str()
        {
            push_element(html, "blockquote", "", &strip_paragraph_tags(text));
        }
        if clip["type"] == "audio" {
            let name = clip["label"].as_str().filter(|name| !name.is_empty()).unwrap_or("sound");
            push_element(html, "p", "sound", &format!("♪ {name}"));
        }
    }
}

/// Returns a script without the paragraphs that it may be written in.
fn strip_paragraph_tags(script: &str) -> String {
    script.replace("</p><p>", "\n").replace("<p>", "").replace("</p>", "")
}

/// Returns the end of an address, which tells people most.
fn url_file_name(address: &str) -> &str {
    let path = address.split(['?', '#']).next().unwrap_or(address);
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(address)
}

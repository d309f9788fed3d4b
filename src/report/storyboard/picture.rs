//! One scene as a drawing: the position, size, order and colours of its clips.
//!
//! Sizes are the payload's own: the canvas is 1920 × 1080 (portrait: 1080 × 1920), a font size of
//! one point is 4/3 pixels, and a clip is `width × scaleX` wide. The reader's fonts are used, so
//! lines may break elsewhere than in the video.

use maud::{Markup, html};
use serde_json::Value;

use super::scene_text::scene_text;
use super::{ProblemMark, StoryboardPictures, safe_color, shapes};
use crate::text::format_number as px;

/// An area of the canvas, in pixels.
#[derive(Clone, Copy)]
struct CanvasArea {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// A clip that is drawn, with its index in the scene.
pub(super) type IndexedClip<'p> = (usize, &'p Value);

/// Behind a picture: its `source_color` is often the green that a keyer removes.
const NEUTRAL_FILL: &str = "#596170";

/// One scene of a project, to be drawn.
#[derive(Clone, Copy)]
pub(super) struct DrawnScene<'p> {
    pub(super) project: &'p Value,
    pub(super) index: usize,
    /// The version that its scripts are compared with.
    pub(super) other: Option<&'p Value>,
    /// Names the version, if it is not the current one.
    pub(super) caption: &'p str,
    pub(super) pictures: StoryboardPictures,
}

impl DrawnScene<'_> {
    pub(super) fn is_previous(&self) -> bool {
        !self.caption.is_empty()
    }

    /// Draws the scene, with its scripts below.
    pub(super) fn figure(&self, marks: &[ProblemMark<'_>]) -> Markup {
        let scene = &self.project["scenes"][self.index];
        if scene.is_null() {
            return html! { p .none { "no such scene" } };
        }
        let is_portrait = self.project["orientation"] == "portrait";
        let (width, height) = if is_portrait { (1080.0, 1920.0) } else { (1920.0, 1080.0) };
        let canvas = CanvasArea { left: 0.0, top: 0.0, width, height };
        let clips = drawn_clips(scene);
        let is_here = |mark: &&ProblemMark<'_>| mark.scene() == Some(self.index);
        let marks: Vec<&ProblemMark<'_>> = marks.iter().filter(is_here).collect();
        let view_box = format!("0 0 {width} {height}");
        html! {
            figure .portrait[is_portrait] .landscape[!is_portrait] .before[self.is_previous()] {
                svg viewBox=(view_box) role="img" aria-label={ "scene " (self.index + 1) } {
                    (self.background(&scene["background"], canvas))
                    @for (_, clip) in &clips { (self.clip_group(clip, canvas)) }
                    @for number in 0..marks.len() { (problem_mark(&marks, number, &clips, canvas)) }
                }
                figcaption {
                    h3 {
                        "Scene " (self.index + 1) @if self.is_previous() { ", " (self.caption) }
                    }
                    (self.picture_names(scene, &clips))
                    (scene_text(*self, scene, &clips))
                }
            }
        }
    }

    fn background(&self, background: &Value, canvas: CanvasArea) -> Markup {
        let color = background["source_color"].as_str().and_then(safe_color);
        let image = background["source_url"].as_str().filter(|url| !url.is_empty());
        let fill = color.filter(|_| image.is_none()).unwrap_or(NEUTRAL_FILL);
        html! {
            rect width=(px(canvas.width)) height=(px(canvas.height)) fill=(fill) {}
            @if let Some(url) = image {
                @if let Some(url) = self.loaded_url(url) {
                    (picture(canvas, url, &format!("background: {}", url_file_name(url)), "cover"))
                }
            }
        }
    }

    /// Names the pictures that the page does not load: a small one has no room for its name.
    fn picture_names(&self, scene: &Value, clips: &[IndexedClip<'_>]) -> Markup {
        let is_named = |url: &&str| !url.is_empty() && self.loaded_url(url).is_none();
        let background = scene["background"]["source_url"].as_str().filter(is_named);
        let images = clips.iter().filter(|(_, clip)| clip["type"] == "image");
        let images = images.filter_map(|(_, clip)| clip["source_url"].as_str()).filter(is_named);
        let background = background.map(|url| format!("background {}", url_file_name(url)));
        let images = images.map(|url| url_file_name(url).to_owned());
        let names: Vec<String> = images.chain(background).collect();
        html! { @if !names.is_empty() { p .pictures { "Pictures: " (names.join(", ")) } } }
    }

    /// Returns an address that the reader's browser may load. Paths of AI Studios are none: only its
    /// own pages know their host.
    fn loaded_url<'u>(&self, url: &'u str) -> Option<&'u str> {
        let is_web = url.starts_with("https://") || url.starts_with("http://");
        match self.pictures {
            StoryboardPictures::Loaded if is_web => Some(url),
            StoryboardPictures::Loaded | StoryboardPictures::Placeholders => None,
        }
    }

    fn clip_group(&self, clip: &Value, canvas: CanvasArea) -> Markup {
        let area = clip_area(clip);
        let opacity = (number_field(clip, "opacity", 100.0) / 100.0).clamp(0.0, 1.0);
        let angle = px(number_field(clip, "angle", 0.0));
        let rotation = format!("rotate({angle} {} {})", px(area.left), px(area.top));
        let text = |key: &str| clip[key].as_str().unwrap_or("?");
        html! {
            g opacity=(px(opacity)) transform=(rotation) {
                @match clip["type"].as_str().unwrap_or("?") {
                    "aiModel" => (self.avatar(clip, area, canvas)),
                    "textImage" => (text_box(clip, area)),
                    "shape" => (shape(clip, area)),
                    "image" => (self.image(text("source_url"), area, canvas)),
                    "videoImage" =>
                        {
                        @let name = format!("video · {}", url_file_name(text("video_url")));
                        (media_box(area, canvas, &name))
                    },
                    "audio" => {},
                    other => (media_box(area, canvas, other)),
                }
            }
        }
    }

    fn image(&self, url: &str, area: CanvasArea, canvas: CanvasArea) -> Markup {
        let name = url_file_name(url);
        match self.loaded_url(url) {
            Some(url) => picture(area, url, name, "contain"),
            None => media_box(area, canvas, name),
        }
    }

    /// The avatar's own picture if the payload has it, or a head and shoulders; with the name of its model
    /// and clothes.
    fn avatar(&self, clip: &Value, area: CanvasArea, canvas: CanvasArea) -> Markup {
        let model = clip["model"]["ai_name"].as_str().unwrap_or("no model");
        let clothes = clip["model"]["emotion"].as_str().unwrap_or("no clothes");
        // A row may set another model than that of the template's picture.
        let is_of_model = |url: &&str| url.contains(model) && url.contains(clothes);
        let url = clip["model"]["source_url"].as_str().filter(is_of_model);
        let name = format!("{model} · {clothes}");
        html! {
            @match url.and_then(|url| self.loaded_url(url)) {
                Some(url) => (picture(area, url, &name, "contain")),
                None => {
                    (silhouette(area))
                    (label(chest(visible_area(area, canvas)), &[model, clothes]))
                },
            }
        }
    }
}

/// Returns the clips of a scene from back to front, without deleted ones.
fn drawn_clips(scene: &Value) -> Vec<IndexedClip<'_>> {
    let clips = scene["clips"].as_array().into_iter().flatten().enumerate();
    let mut clips: Vec<_> =
        clips.filter(|(_, clip)| clip["isDelete"] != Value::Bool(true)).collect();
    let layer = |clip: &Value| clip["layer"].as_f64().unwrap_or(0.0);
    clips.sort_by(|one, other| layer(one.1).total_cmp(&layer(other.1)));
    clips
}

fn number_field(clip: &Value, key: &str, absent: f64) -> f64 {
    let value = clip[key].as_f64().unwrap_or(absent);
    // A browser must be able to add the numbers up.
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

/// A head and shoulders.
fn silhouette(area: CanvasArea) -> Markup {
    let CanvasArea { left, top, width, height } = area;
    let (middle, head) = (left + width / 2.0, (width * 0.16).min(height * 0.12));
    let (start, neck) = (px(middle - width * 0.36), px(top + head * 2.4));
    let (half, whole) = (px(width * 0.36), px(width * 0.72));
    let (rise, body) = (px(head), px((height - head * 3.8).max(0.0)));
    let outline = format!(
        "M{start} {neck} q0 -{rise} {half} -{rise} q{half} 0 {half} {rise} v{body} h-{whole} z"
    );
    html! {
        rect .avatar x=(px(left)) y=(px(top)) width=(px(width)) height=(px(height)) {}
        g .person {
            ellipse cx=(px(middle)) cy=(px(top + head * 1.4)) rx=(px(head * 0.8)) ry=(px(head)) {}
            path d=(outline) {}
        }
    }
}

/// A picture that the browser loads. Where it cannot, it shows the name.
fn picture(area: CanvasArea, url: &str, name: &str, fit: &str) -> Markup {
    let CanvasArea { left, top, width, height } = area;
    html! {
        rect .frame x=(px(left)) y=(px(top)) width=(px(width)) height=(px(height)) {}
        foreignObject .picture x=(px(left)) y=(px(top)) width=(px(width)) height=(px(height)) {
            img src=(url) alt=(name) loading="lazy" class=(fit);
        }
    }
}

fn text_box(clip: &Value, area: CanvasArea) -> Markup {
    let keyword = |key: &str, known: &[&'static str]| -> &'static str {
        let given = clip[key].as_str();
        known.iter().find(|known| given == Some(**known)).copied().unwrap_or(known[0])
    };
    let scale = number_field(clip, "scaleY", 1.0).abs();
    let style = format!(
        "font-size:{}px;color:{};background:{};text-align:{};font-weight:{};font-style:{};\
         text-decoration:{}",
        px(number_field(clip, "fontSize", 40.0) * 4.0 / 3.0 * scale),
        clip["fill"].as_str().and_then(safe_color).unwrap_or("#000"),
        clip["backgroundColor"].as_str().and_then(safe_color).unwrap_or("transparent"),
        keyword("align", &["left", "center", "right", "justify"]),
        keyword("fontWeight", &["normal", "bold"]),
        keyword("fontStyle", &["normal", "italic"]),
        if clip["underline"] == Value::Bool(true) { "underline" } else { "none" },
    );
    html! {
        foreignObject .text x=(px(area.left)) y=(px(area.top))
            width=(px(area.width)) height=(px(area.height)) {
            div style=(style) { (clip["text"].as_str().unwrap_or("")) }
        }
    }
}

fn shape(clip: &Value, area: CanvasArea) -> Markup {
    let CanvasArea { left, top, width, height } = area;
    let name = clip["shapeName"].as_str().unwrap_or("");
    let fill = clip["fill"].as_str().and_then(safe_color).unwrap_or("none");
    let stroke = clip["stroke"].as_str().and_then(safe_color).unwrap_or("none");
    let line = px(number_field(clip, "strokeWidth", 0.0).max(0.0));
    let corner =
        |(x, y): &(f64, f64)| format!("{},{} ", px(left + x * width), px(top + y * height));
    let points: String = shapes::corners(name).iter().map(corner).collect();
    let (across, down) = (width / 2.0, height / 2.0);
    html! {
        g fill=(fill) stroke=(stroke) stroke-width=(line) {
            @if shapes::is_round(name) {
                ellipse cx=(px(left + across)) cy=(px(top + down)) rx=(px(across)) ry=(px(down)) {}
            } @else {
                polygon points=(points.trim_end()) {}
            }
        }
    }
}

/// A box in place of a picture or video, which the page does not load.
fn media_box(area: CanvasArea, canvas: CanvasArea, name: &str) -> Markup {
    let CanvasArea { left, top, width, height } = area;
    html! {
        rect .media x=(px(left)) y=(px(top)) width=(px(width)) height=(px(height)) {}
        (label(visible_area(area, canvas), &[name]))
    }
}

/// A label in a smaller area is hidden on a small screen.
const SMALL_LABEL_WIDTH: f64 = 400.0;

/// Lines of text in the upper left corner of an area, wrapped to its width.
fn label(area: CanvasArea, lines: &[&str]) -> Markup {
    let (width, height) = (area.width.max(120.0), area.height.max(100.0));
    html! {
        foreignObject .label .small[width < SMALL_LABEL_WIDTH] x=(px(area.left)) y=(px(area.top))
            width=(px(width)) height=(px(height)) {
            div { @for line in lines { span { (line) } } }
        }
    }
}

/// Returns the part of an avatar's area below the head.
fn chest(area: CanvasArea) -> CanvasArea {
    let above = area.height * 0.4;
    CanvasArea { top: area.top + above, height: area.height - above, ..area }
}

/// Returns the part of an area that is on the canvas, or the corner of the canvas nearest to it.
fn visible_area(area: CanvasArea, canvas: CanvasArea) -> CanvasArea {
    let left = area.left.clamp(0.0, canvas.width - 120.0);
    let top = area.top.clamp(0.0, canvas.height - 60.0);
    let right = (area.left + area.width).clamp(left, canvas.width);
    let bottom = (area.top + area.height).clamp(top, canvas.height);
    CanvasArea { left, top, width: right - left, height: bottom - top }
}

/// Frames the clip, or else the scene, of `marks[index]`, with the number of the problem.
fn problem_mark(
    marks: &[&ProblemMark<'_>],
    index: usize,
    clips: &[IndexedClip<'_>],
    canvas: CanvasArea,
) -> Markup {
    let mark = marks[index];
    let found = clips.iter().find(|(clip, _)| Some(*clip) == mark.clip());
    let area = visible_area(found.map_or(canvas, |(_, clip)| clip_area(clip)), canvas);
    // Numbers of one area are drawn side by side.
    let earlier = marks[..index].iter().filter(|other| other.clip() == mark.clip()).count();
    // The frame is drawn inside the area: half of its line would be outside the picture otherwise.
    let (width, height) = ((area.width - 12.0).max(60.0), (area.height - 12.0).max(60.0));
    let (x, y) = (area.left + 6.0, area.top + 6.0);
    let (dot_x, dot_y) = ((x + width - 44.0 - 92.0 * earlier as f64).max(44.0), y + 44.0);
    html! {
        g .mark .problem[mark.is_problem] .warning[!mark.is_problem] {
            rect x=(px(x)) y=(px(y)) width=(px(width)) height=(px(height)) {}
            circle cx=(px(dot_x)) cy=(px(dot_y)) r="40" {}
            text x=(px(dot_x)) y=(px(dot_y + 18.0)) { (mark.number) }
        }
    }
}

/// Returns the last part of a URL's path: the part that identifies a file to the reader.
fn url_file_name(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(url)
}

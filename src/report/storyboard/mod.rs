//! The storyboard: an HTML page that draws the scenes of every job from its payload.
//!
//! The page contains all it needs, so it can be mailed and opened offline; a picture named by the payload
//! is a box with its name, unless [`StoryboardPictures::Loaded`] lets the reader's browser load it.
//! Invariant: every text is escaped, and a colour or an address is copied only if it is plainly one,
//! since a cell may contain anything.
//!
//! Pages are written card by card, so their length costs no memory. The browser lays out only
//! visible jobs; past [`STORYBOARD_CARDS_MAX`] even that is slow, and the page reports the rest.

mod filters;
mod picture;
mod scene_text;
mod shapes;
mod skipped;

pub use filters::StoryboardCounts;
pub use scene_text::spoken_scenes;
pub use skipped::SkippedRows;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use self::picture::DrawnScene;
use crate::payload::Payload;
use crate::template::problem::{TemplateProblem, TemplateProblemLocation};
use crate::text::pluralize;

/// The most jobs on one page.
pub const STORYBOARD_CARDS_MAX: u64 = 3000;

/// Allows the page its own styles and nothing else.
const CONTENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";
/// The same, and pictures of other hosts.
const POLICY_WITH_PICTURES: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src https: http:";
const PAGE_STYLE: &str = include_str!("page.css");

/// How the pictures that a payload names are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoryboardPictures {
    /// As boxes with their names: the page loads nothing.
    #[default]
    Placeholders,
    /// As themselves, loaded by the browser of the reader.
    Loaded,
}

/// The beginning of a page.
#[derive(Clone, Copy, Debug)]
pub struct StoryboardHead<'a> {
    /// The title of the page.
    pub title: &'a str,
    /// Lines about the batch.
    pub lines: &'a [String],
    /// Its cards.
    pub counts: StoryboardCounts,
    /// How its pictures are shown.
    pub pictures: StoryboardPictures,
}

/// One job on the page.
#[derive(Clone, Debug, Default)]
pub struct StoryboardCard<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its row in the sheet, counted from 1.
    pub row: u64,
    /// How it compares with the ledger.
    pub change_status: ChangeStatus,
    /// The merged text, in the layout of the template or of the payload; `None` if merging failed.
    pub text: Option<&'a str>,
    /// The number and the merged text of its previous version.
    pub previous_version: Option<(i64, &'a str)>,
    /// The findings that prevent it.
    pub problems: &'a [TemplateProblem],
    /// The findings that do not.
    pub warnings: &'a [TemplateProblem],
    /// How its pictures are shown.
    pub pictures: StoryboardPictures,
}

/// A job compared with the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChangeStatus {
    /// There is no ledger.
    #[default]
    Unknown,
    /// The ledger does not contain the job.
    New,
    /// Its payload has changed.
    Changed,
    /// Its payload is the same.
    Unchanged,
}

impl StoryboardHead<'_> {
    /// Returns the beginning of the page; [`storyboard_foot`] closes the elements left open.
    pub fn render(&self) -> String {
        let policy = match self.pictures {
            StoryboardPictures::Placeholders => CONTENT_POLICY,
            StoryboardPictures::Loaded => POLICY_WITH_PICTURES,
        };
        let page = html! {
            (DOCTYPE)
            (PreEscaped("<html lang=\"en\">"))
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                title { (self.title) }
                style { (PreEscaped(PAGE_STYLE)) }
            }
            (PreEscaped("<body>"))
            header .top {
                h1 { (self.title) }
                @for line in self.lines { p { (line) } }
                (self.counts.filters())
            }
            (PreEscaped("<main>\n"))
        };
        page.into_string()
    }
}

/// Returns the cards of one row side by side: its languages.
pub fn group_cards(row_key: &str, cards: &[String]) -> String {
    let group = html! {
        section .row aria-label=(row_key) { @for card in cards { (PreEscaped(card)) } }
    };
    group.into_string() + "\n"
}

/// Returns the end of the page: the number of videos that are not drawn, and the skipped rows.
pub fn storyboard_foot(omitted: u64, skipped: &SkippedRows) -> String {
    let page = html! {
        (PreEscaped("</main>\n"))
        @if omitted > 0 {
            p .end {
                (pluralize(omitted, "more video")) " not drawn: a page holds " (STORYBOARD_CARDS_MAX)
                ". Draw them with --key or --row."
            }
        }
        (skipped.section())
        (PreEscaped("</body></html>\n"))
    };
    page.into_string()
}

/// Draws the scenes of one payload as HTML, for another page with its own style.
pub fn draw_scenes(payload: &str) -> String {
    let card = StoryboardCard { text: Some(payload), ..StoryboardCard::default() };
    card.scenes().into_string()
}

impl ChangeStatus {
    fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::New => Some("new"),
            Self::Changed => Some("changed"),
            Self::Unchanged => Some("unchanged"),
        }
    }
}

impl StoryboardCard<'_> {
    /// Returns the job as HTML.
    pub fn render(&self) -> String {
        let (has_problems, has_warnings) = (!self.problems.is_empty(), !self.warnings.is_empty());
        let (change, status) = (self.change_status.as_str(), self.change_status);
        let card = html! {
            article .job .problem[has_problems] .warning[has_warnings]
                .new[status == ChangeStatus::New] .changed[status == ChangeStatus::Changed]
                .unchanged[status == ChangeStatus::Unchanged] {
                header {
                    h2 { (self.key) }
                    @if let Some(change) = change { span .chip { (change) } }
                    p .about { (self.summary_line()) }
                }
                @if has_problems || has_warnings { (self.finding_list()) }
                (self.scenes())
            }
        };
        card.into_string() + "\n"
    }

    fn summary_line(&self) -> String {
        let mut parts = vec![format!("row {}", self.row)];
        let payload = self.text.and_then(|text| Payload::parse_project(text.to_owned()).ok());
        if let Some(payload) = payload {
            parts.push(pluralize(payload.scene_count() as u64, "scene"));
            let seconds = payload.speech_duration().as_secs_f64().ceil();
            parts.push(format!("about {seconds} s"));
        }
        parts.join(" · ")
    }

    /// Returns all findings in the order of their numbers; `true` marks a problem.
    fn findings(&self) -> impl Iterator<Item = (bool, &TemplateProblem)> {
        let problems = self.problems.iter().map(|problem| (true, problem));
        problems.chain(self.warnings.iter().map(|warning| (false, warning)))
    }

    fn finding_list(&self) -> Markup {
        html! {
            ol .findings {
                @for (is_problem, finding) in self.findings() {
                    li .problem[is_problem] .warning[!is_problem] {
                        b { (finding.message) }
                        @if let Some(help) = &finding.help { span { (help) } }
                        @if let Some(origin) = finding.location.origin() {
                            small { (origin.to_string()) }
                        }
                    }
                }
            }
        }
    }

    fn scenes(&self) -> Markup {
        let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
        let Some(project) = self.text.and_then(parse) else {
            return html! { p .none { "Nothing to draw until the problem is fixed." } };
        };
        let previous = self
            .previous_version
            .and_then(|(version, text)| Some((format!("before, version {version}"), parse(text)?)));
        let marks = self.problem_marks();
        let count = |project: &Value| project["scenes"].as_array().map_or(0, Vec::len);
        let scenes =
            previous.as_ref().map_or(0, |(_, project)| count(project)).max(count(&project));
        let other = previous.as_ref().map(|(_, project)| project);
        let draw = |index| DrawnScene {
            project: &project,
            index,
            other,
            caption: "",
            pictures: self.pictures,
        };
        html! {
            div .scenes .pair[previous.is_some()] {
                @for index in 0..scenes {
                    @if let Some((caption, before)) = &previous {
                        (DrawnScene { project: before, other: Some(&project), caption, ..draw(index) }
                            .figure(&[]))
                    }
                    (draw(index).figure(&marks))
                }
            }
        }
    }

    /// Returns the findings that have a place in the payload, with their numbers in the list.
    fn problem_marks(&self) -> Vec<ProblemMark<'_>> {
        let numbered = (1..).zip(self.findings());
        let marks =
            numbered.filter_map(|(number, (is_problem, finding))| match &finding.location {
                TemplateProblemLocation::Merged { pointer, .. } => {
                    Some(ProblemMark { number, is_problem, pointer })
                }
                TemplateProblemLocation::Template(_) | TemplateProblemLocation::Column { .. } => {
                    None
                }
            });
        marks.collect()
    }
}

/// A finding with a place in the payload.
struct ProblemMark<'p> {
    number: usize,
    is_problem: bool,
    /// The JSON pointer of that place, such as `/scenes/0/clips/2/text`.
    pointer: &'p str,
}

impl ProblemMark<'_> {
    /// Returns the index of the scene that the pointer leads into.
    fn scene(&self) -> Option<usize> {
        self.pointer.strip_prefix("/scenes/")?.split('/').next()?.parse().ok()
    }

    /// Returns the index, in that scene, of the clip that the pointer leads into.
    fn clip(&self) -> Option<usize> {
        let mut steps = self.pointer.split('/').skip(3);
        let is_clip = steps.next() == Some("clips");
        steps.next().filter(|_| is_clip)?.parse().ok()
    }
}

/// Returns `text` if it is a plain colour, without anything else that a style sheet acts on.
fn safe_color(text: &str) -> Option<&str> {
    let text = text.trim();
    let is_color_char = |c: char| c.is_ascii_alphanumeric() || "#(),.% -".contains(c);
    let is_short = (1..=60).contains(&text.len()) && text.chars().all(is_color_char);
    let is_call = ["rgb(", "rgba(", "hsl(", "hsla("].iter().any(|call| text.starts_with(call));
    let is_word = !text.contains(['(', ')', ',', ' ']);
    (is_short && (is_word || (is_call && text.ends_with(')')))).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_color_is_copied_into_a_style() {
        for color in ["red", "#fff", "rgb(54,188,37)", "rgba(0, 0, 0, .5)", "hsl(120 50% 50%)"] {
            assert_eq!(safe_color(color), Some(color));
        }
        for text in [
            "red;background:url(https://x)",
            "url(https://x)",
            "expression(1)",
            "\"><script>",
            "",
            "rgb(1,2,3",
            "var(--x)",
            "red blue",
        ] {
            assert_eq!(safe_color(text), None, "{text}");
        }
    }

    #[test]
    fn no_cell_becomes_markup() {
        let evil = "</p><script>alert(1)</script>\"' onload=x";
        let text = serde_json::json!({"name": evil, "scenes": [{
            "background": {"source_url": evil, "source_color": evil},
            "scripts": [{"org": evil, "modelId": evil, "clothId": evil}],
            "clips": [
                {"type": "aiModel", "model": {"ai_name": evil, "emotion": evil}},
                {"type": "textImage", "text": evil, "fill": evil, "fontFamily": evil,
                 "align": evil, "fontWeight": evil, "backgroundColor": evil},
                {"type": "image", "source_url": evil}, {"type": "audio", "label": evil},
                {"type": "shape", "shapeName": evil, "fill": evil, "stroke": evil},
                {"type": evil},
            ],
        }]});
        let text = text.to_string();
        let previous_version = Some((1, text.as_str()));
        let card = StoryboardCard {
            key: evil,
            text: Some(&text),
            previous_version,
            ..StoryboardCard::default()
        };
        for pictures in [StoryboardPictures::Placeholders, StoryboardPictures::Loaded] {
            let head = StoryboardHead {
                title: evil,
                lines: &[evil.to_owned()],
                counts: StoryboardCounts::default(),
                pictures,
            };
            let card = StoryboardCard { pictures, ..card.clone() }.render();
            let html = head.render() + &group_cards(evil, &[card]);
            assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
            let mut tags = html.split('<').filter_map(|part| part.split('>').next());
            let outside_quotes = |tag: &str| tag.split('"').step_by(2).collect::<String>();
            assert!(
                tags.all(|tag| !outside_quotes(tag).contains("onload")),
                "a cell became an attribute"
            );
        }
    }

    #[test]
    fn any_json_can_be_drawn() {
        for text in ["[]", "{}", "1", r#"{"scenes":[1,{"clips":{}},{"clips":[1,{}]}]}"#, "{"] {
            let previous_version = Some((1, text));
            assert!(
                StoryboardCard { text: Some(text), previous_version, ..StoryboardCard::default() }
                    .render()
                    .contains("</article>")
            );
        }
    }
}

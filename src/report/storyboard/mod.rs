//! The storyboard: one HTML page on which every job's scenes are drawn from its payload.
//!
//! The page holds all it needs: no script, no font, no picture from anywhere, so it can be sent by
//! mail and read on a train. Pictures that the payload names are boxes with their names. Every text
//! is escaped, and a colour that is not plainly one is not used: a cell may hold anything.
//!
//! Pages are written card by card, so a long one needs no memory. Jobs out of sight are not laid
//! out by the browser; beyond [`CARDS_MAX`] even that is slow, and a page says what it leaves out.

mod picture;
mod shapes;

use std::fmt::Write as _;

use serde_json::Value;

use crate::payload::Payload;
use crate::template::escape::push_html_escaped;
use crate::template::problem::{TemplateProblem, TemplateProblemLocation};

/// The most jobs on one page.
pub const STORYBOARD_CARDS_MAX: u64 = 3000;

/// One job on the page.
#[derive(Clone, Debug, Default)]
pub struct StoryboardCard<'a> {
    /// Its key.
    pub key: &'a str,
    /// Its row in the sheet.
    pub row: u64,
    /// What the ledger says of it, in a word.
    pub change_status: ChangeStatus,
    /// What it merged to, if that came about: the template's own layout or the payload.
    pub text: Option<&'a str>,
    /// Its former version and what that merged to.
    pub previous_version: Option<(i64, &'a str)>,
    /// What is wrong with it.
    pub problems: &'a [TemplateProblem],
    /// What is doubtful about it.
    pub warnings: &'a [TemplateProblem],
}

/// What a job is to the ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChangeStatus {
    /// There is no ledger to ask.
    #[default]
    Unknown,
    /// The ledger does not know it.
    New,
    /// Its payload is another than before.
    Changed,
    /// Its payload is as before.
    Unchanged,
}

/// The page's beginning: its title, and lines about the batch.
pub fn storyboard_head(title: &str, lines: &[String]) -> String {
    let mut page = String::from(concat!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n",
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ",
        "style-src 'unsafe-inline'\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
    ));
    push_html_escaped(&mut page, title);
    page.push_str("</title>\n<style>\n");
    page.push_str(include_str!("page.css"));
    page.push_str("</style></head>\n<body>\n<header class=\"top\"><h1>");
    push_html_escaped(&mut page, title);
    page.push_str("</h1>\n");
    for line in lines {
        push_element(&mut page, "p", "", line);
    }
    page.push_str("<form class=\"show\"><span>Show</span>");
    for (id, label) in
        [("all", "all jobs"), ("wrong", "problems"), ("doubt", "warnings"), ("changed", "changed")]
    {
        let checked = if id == "all" { " checked" } else { "" };
        let _ = write!(
            page,
            "<label><input type=\"radio\" name=\"show\" id=\"show-{id}\"{checked}>{label}</label>"
        );
    }
    page.push_str("</form></header>\n<main>\n");
    page
}

/// The page's end, which says how many jobs there is no picture of.
pub fn storyboard_foot(left_out: u64) -> String {
    match left_out {
        0 => "</main>\n</body></html>\n".to_owned(),
        left_out => format!(
            "</main>\n<p class=\"end\">{left_out} more jobs are not drawn: a page holds \
             {STORYBOARD_CARDS_MAX}. Draw them with --key or --row.</p>\n</body></html>\n"
        ),
    }
}

impl StoryboardCard<'_> {
    /// Returns the job as HTML.
    pub fn render(&self) -> String {
        let mut html = String::with_capacity(4096);
        let mut classes = String::from("job");
        for (class, holds) in [
            (" wrong", !self.problems.is_empty()),
            (" doubt", !self.warnings.is_empty()),
            (" changed", self.change_status == ChangeStatus::Changed),
        ] {
            if holds {
                classes.push_str(class);
            }
        }
        let _ = write!(html, "<article class=\"{classes}\"><header><h2>");
        push_html_escaped(&mut html, self.key);
        html.push_str("</h2>");
        push_element(&mut html, "p", "about", &self.summary_line());
        html.push_str("</header>\n");
        self.push_problem_list(&mut html);
        self.push_scenes(&mut html);
        html.push_str("</article>\n");
        html
    }

    fn summary_line(&self) -> String {
        let mut about = format!("row {}", self.row);
        match self.change_status {
            ChangeStatus::Unknown => {}
            ChangeStatus::New => about.push_str(" · new"),
            ChangeStatus::Changed => about.push_str(" · changed"),
            ChangeStatus::Unchanged => about.push_str(" · unchanged"),
        }
        if let Some(payload) =
            self.text.and_then(|text| Payload::parse_project(text.to_owned()).ok())
        {
            let scenes = payload.scene_count();
            let noun = if scenes == 1 { "scene" } else { "scenes" };
            let seconds = payload.speech_duration().as_secs_f64().ceil();
            let _ = write!(about, " · {scenes} {noun} · about {seconds} s");
        }
        about
    }

    fn push_problem_list(&self, html: &mut String) {
        if self.problems.is_empty() && self.warnings.is_empty() {
            return;
        }
        html.push_str("<ol class=\"marks\">");
        let wrong = self.problems.iter().map(|problem| ("wrong", problem));
        let doubts = self.warnings.iter().map(|doubt| ("doubt", doubt));
        for (class, problem) in wrong.chain(doubts) {
            let _ = write!(html, "<li class=\"{class}\"><b>");
            push_html_escaped(html, &problem.message);
            html.push_str("</b>");
            if let Some(help) = &problem.help {
                push_element(html, "span", "", help);
            }
            if let Some(origin) = problem.location.origin() {
                push_element(html, "small", "", &origin.to_string());
            }
            html.push_str("</li>");
        }
        html.push_str("</ol>\n");
    }

    fn push_scenes(&self, html: &mut String) {
        let now = self.text.and_then(|text| serde_json::from_str::<Value>(text).ok());
        let before = self
            .previous_version
            .and_then(|(version, text)| Some((version, serde_json::from_str::<Value>(text).ok()?)));
        let Some(now) = now else {
            push_element(html, "p", "none", "There is nothing to draw before this is mended.");
            return;
        };
        let marks = self.problem_marks();
        let count = |project: &Value| project["scenes"].as_array().map_or(0, Vec::len);
        let scenes = count(&now).max(before.as_ref().map_or(0, |(_, project)| count(project)));
        let class = if before.is_some() { "scenes pair" } else { "scenes" };
        let _ = write!(html, "<div class=\"{class}\">");
        for scene in 0..scenes {
            picture::push_scene_figure(html, &now, scene, &marks, "");
            if let Some((version, before)) = &before {
                picture::push_scene_figure(
                    html,
                    before,
                    scene,
                    &[],
                    &format!("before, version {version}"),
                );
            }
        }
        html.push_str("</div>\n");
    }

    /// Returns what has a place in the payload, numbered as in the list.
    fn problem_marks(&self) -> Vec<ProblemMark<'_>> {
        let wrong = self.problems.iter().map(|problem| (true, problem));
        let doubts = self.warnings.iter().map(|doubt| (false, doubt));
        let all = wrong.chain(doubts).enumerate();
        let placed = all.filter_map(|(index, (is_wrong, problem))| match &problem.location {
            TemplateProblemLocation::Merged { pointer, .. } => {
                Some(ProblemMark { number: index + 1, is_problem: is_wrong, pointer })
            }
            TemplateProblemLocation::Template(_) | TemplateProblemLocation::Column { .. } => None,
        });
        placed.collect()
    }
}

/// A problem with a place in the payload.
struct ProblemMark<'p> {
    number: usize,
    is_problem: bool,
    pointer: &'p str,
}

impl ProblemMark<'_> {
    /// Returns the scene, and the clip in it, that the mark is about.
    fn scene_and_clip(&self) -> Option<(usize, Option<usize>)> {
        let mut steps = self.pointer.split('/').skip(1);
        (steps.next() == Some("scenes")).then_some(())?;
        let scene = steps.next()?.parse().ok()?;
        let is_clip = steps.next() == Some("clips");
        Some((scene, steps.next().filter(|_| is_clip).and_then(|clip| clip.parse().ok())))
    }
}

/// Appends an element with a text.
fn push_element(html: &mut String, tag: &str, class: &str, text: &str) {
    let _ = match class {
        "" => write!(html, "<{tag}>"),
        class => write!(html, "<{tag} class=\"{class}\">"),
    };
    push_html_escaped(html, text);
    let _ = write!(html, "</{tag}>");
}

/// Returns a colour that is plainly one, and nothing that a style sheet would act upon.
fn safe_color(text: &str) -> Option<&str> {
    let text = text.trim();
    let letters = |c: char| c.is_ascii_alphanumeric() || "#(),.% -".contains(c);
    let is_call = ["rgb(", "rgba(", "hsl(", "hsla("].iter().any(|call| text.starts_with(call));
    let fits = (1..=60).contains(&text.len()) && text.chars().all(letters);
    let is_plain = !text.contains(['(', ')', ',', ' ']);
    (fits && (is_plain || (is_call && text.ends_with(')')))).then_some(text)
}

#[cfg(test)]
mod tests {
    use crate::report::storyboard::*;

    #[test]
    fn only_what_is_plainly_a_colour_reaches_a_style() {
        for fine in ["red", "#fff", "rgb(54,188,37)", "rgba(0, 0, 0, .5)", "hsl(120 50% 50%)"] {
            assert_eq!(safe_color(fine), Some(fine));
        }
        for evil in [
            "red;background:url(https://x)",
            "url(https://x)",
            "expression(1)",
            "\"><script>",
            "",
            "rgb(1,2,3",
            "var(--x)",
            "red blue",
        ] {
            assert_eq!(safe_color(evil), None, "{evil}");
        }
    }

    #[test]
    fn no_cell_can_leave_its_place_on_the_page() {
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
        let former = Some((1, text.as_str()));
        let card = StoryboardCard {
            key: evil,
            text: Some(&text),
            previous_version: former,
            ..StoryboardCard::default()
        };
        let html = format!("{}{}", storyboard_head(evil, &[evil.to_owned()]), card.render());
        assert!(!html.contains("<script"), "{html}");
        let mut tags = html.split('<').filter_map(|part| part.split('>').next());
        assert!(tags.all(|tag| !tag.contains("onload")), "a cell stands within a tag");
    }

    #[test]
    fn anything_that_is_json_can_be_drawn() {
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

//! How mistakes are shown: the file, the line itself with a caret, what is wrong, what to do.
//!
//! The rooms below say what is wrong in their own types; only this file knows how it is drawn.

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
};

use super::exit::Exit;
use super::talk::{Talk, counted, plain};
use crate::plan::{PlanError, Problem, Problems, Source, Texts};
use crate::{batch, scene, sheet};

/// What a terminal shows without wrapping.
const WIDTH: usize = 80;
/// Problems of rows that are drawn with the template's line; the others are told in one line each.
const DRAWN_MAX: usize = 10;

/// A mistake with its place in a text.
struct Mistake<'a> {
    file: &'a str,
    text: &'a str,
    span: Option<std::ops::Range<usize>>,
    words: String,
    help: Option<String>,
}

fn draw(talk: &Talk, mistake: Mistake<'_>) {
    let mut diagnostic = MietteDiagnostic::new(plain(&mistake.words).into_owned());
    diagnostic.help = mistake.help.map(|help| plain(&help).into_owned());
    let spanned = mistake.span.map(|span| {
        let end = span.end.clamp(span.start, mistake.text.len());
        LabeledSpan::new_with_span(Some("here".to_owned()), span.start..end)
    });
    let has_place = spanned.is_some();
    diagnostic.labels = spanned.map(|label| vec![label]);
    let report = Report::new(diagnostic);
    let report = if has_place {
        report.with_source_code(NamedSource::new(mistake.file, blanked(mistake.text)))
    } else {
        report.wrap_err(mistake.file.to_owned())
    };
    let theme = if talk.is_colored() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let mut drawn = String::new();
    let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_context_lines(1);
    if handler.render_report(&mut drawn, report.as_ref()).is_ok() {
        talk.complain(drawn.trim_end());
    }
}

/// Returns a text of the same length in bytes, without what a terminal would act upon.
fn blanked(text: &str) -> String {
    let kept = |c: char| matches!(c, '\n' | '\t') || plain(c.encode_utf8(&mut [0; 4])) != " ";
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if kept(c) {
            out.push(c);
        } else {
            out.extend(std::iter::repeat_n(' ', c.len_utf8()));
        }
    }
    out
}

/// Shows what is wrong with a batch file.
pub(super) fn batch(talk: &Talk, problems: &batch::Problems) -> Exit {
    let file = problems.file.display().to_string();
    for problem in &problems.list {
        draw(
            talk,
            Mistake {
                file: &file,
                text: &problems.source,
                span: problem.span.clone(),
                words: problem.message.clone(),
                help: problem.help.clone(),
            },
        );
    }
    nothing_spent(talk, problems.list.len() as u64, &format!("the batch file `{file}`"));
    Exit::Input
}

/// Shows why there is no plan.
pub(super) fn plan(talk: &Talk, error: &PlanError, batch: &batch::Batch) -> Exit {
    match error {
        PlanError::Sheet(problems) => {
            sheet_problems(talk, problems);
            nothing_spent(talk, problems.list.len() as u64, &sheet_name(batch));
        }
        PlanError::Template { texts, problems } => {
            scene_problems(talk, texts, problems);
            let (file, _) = texts.of(None);
            nothing_spent(talk, problems.len() as u64, &format!("the template `{file}`"));
        }
        PlanError::FilePattern(problems) => {
            let file = format!("{}: `file`", batch.file.display());
            let text = batch.video_file.clone().unwrap_or_default();
            problems.iter().for_each(|problem| scene_problem(talk, &file, &text, problem));
            nothing_spent(talk, problems.len() as u64, "`file` in the batch file");
        }
        PlanError::File { .. } => {
            talk.error(&error.to_string());
            talk.say("nothing was spent");
        }
        PlanError::Choice(words) => {
            talk.error(words);
            return Exit::Usage;
        }
        PlanError::Ledger(error) => {
            talk.error(&error.to_string());
            return Exit::Unexpected;
        }
    }
    Exit::Input
}

/// Shows why a template cannot be used, where there is no batch yet.
pub(super) fn template(talk: &Talk, error: &PlanError) -> Exit {
    match error {
        PlanError::Template { texts, problems } => scene_problems(talk, texts, problems),
        other => talk.error(&other.to_string()),
    }
    Exit::Input
}

/// Says why there is no plan, without drawing it.
pub(super) fn words(error: &PlanError) -> Vec<String> {
    match error {
        PlanError::Sheet(problems) => problems.list.iter().map(ToString::to_string).collect(),
        PlanError::Template { texts, problems } => {
            let told = |problem: &scene::Problem| {
                let (file, _) = texts.of(problem.place.origin());
                format!("{file}: {}", problem.message)
            };
            problems.iter().map(told).collect()
        }
        PlanError::FilePattern(problems) => {
            let told = |one: &scene::Problem| format!("`file` in the batch file: {}", one.message);
            problems.iter().map(told).collect()
        }
        PlanError::File { .. } | PlanError::Choice(_) | PlanError::Ledger(_) => {
            vec![error.to_string()]
        }
    }
}

fn sheet_name(batch: &batch::Batch) -> String {
    match batch.sheet_from {
        batch::SheetFrom::File(_) => format!("the sheet `{}`", batch.sheet.display()),
        batch::SheetFrom::Stdin | batch::SheetFrom::Link(_) => {
            format!("the sheet from {}", batch.sheet_from)
        }
    }
}

fn sheet_problems(talk: &Talk, problems: &sheet::Problems) {
    for problem in &problems.list {
        talk.error(&problem.to_string());
    }
}

/// Shows what is wrong with a template or its partials.
pub(super) fn scene_problems(talk: &Talk, texts: &Texts, problems: &[scene::Problem]) {
    for problem in problems {
        let (file, text) = texts.of(problem.place.origin());
        scene_problem(talk, &file, text, problem);
    }
}

fn scene_problem(talk: &Talk, file: &str, text: &str, problem: &scene::Problem) {
    draw(
        talk,
        Mistake {
            file,
            text,
            span: problem.span_in(text),
            words: problem.message.clone(),
            help: problem.help.clone(),
        },
    );
}

/// Shows what is wrong with the rows of a sheet. Returns whether it can be mended in the sheet.
pub(super) fn rows(talk: &Talk, problems: &Problems, texts: &Texts, batch: &batch::Batch) -> bool {
    let mut drawn = 0;
    for problem in problems.kept() {
        if drawn < DRAWN_MAX && in_template(talk, problem, texts) {
            drawn += 1;
            continue;
        }
        let help = problem.help.as_deref().filter(|_| problem.source == Source::Scene);
        let help = help.map(|help| format!("\n  {}", plain(help))).unwrap_or_default();
        talk.error(&format!("{problem}{help}"));
    }
    let told: u64 = problems.kept().iter().map(|problem: &Problem| problem.rows.max(1)).sum();
    let untold = problems.count().saturating_sub(told.min(problems.count()));
    if untold > 0 {
        talk.say(&format!("and {} more", counted(untold, "problem")));
    }
    let is_cell = |problem: &Problem| problem.scene.is_none() || problem.column.is_some();
    if problems.kept().iter().any(is_cell) {
        nothing_spent(talk, problems.count(), &sheet_name(batch));
        true
    } else {
        let mistakes = counted(problems.kept().len() as u64, "problem");
        let (file, _) = texts.of(None);
        talk.say(&format!("{mistakes} in the template `{file}`; nothing was spent"));
        false
    }
}

/// Tells what is probably not meant, and stands in nobody's way.
pub(super) fn doubts(talk: &Talk, doubts: &Problems, texts: &Texts) {
    for doubt in doubts.kept().iter().take(DRAWN_MAX) {
        let column = doubt.column.as_ref().map(|column| format!(", {column}")).unwrap_or_default();
        let message = doubt.scene.as_ref().map_or(&doubt.words, |scene| &scene.message);
        let origin = doubt.scene.as_ref().and_then(|scene| scene.place.origin());
        let place =
            origin.map(|origin| format!(" ({} line {})", texts.of(Some(origin)).0, origin.line));
        let place = place.unwrap_or_default();
        let rows = doubt.rows_in_words();
        let help = doubt.help.as_deref().map(|help| format!("\n  {help}")).unwrap_or_default();
        talk.say(&plain_lines(&format!("warning: {rows}{column}: {message}{place}{help}")));
    }
    let untold = doubts.kept().len().saturating_sub(DRAWN_MAX);
    if untold > 0 {
        talk.say(&format!("and {}", counted(untold as u64, "other warning")));
    }
}

fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// Draws the line of the template that made a problem. Says whether there is one to draw: what is
/// wrong with a cell alone is told by its row and column.
fn in_template(talk: &Talk, problem: &Problem, texts: &Texts) -> bool {
    let Some(scene) = &problem.scene else { return false };
    let (Some(origin), scene::Place::Template(_) | scene::Place::Merged { .. }) =
        (scene.place.origin(), &scene.place)
    else {
        return false;
    };
    let (file, text) = texts.of(Some(origin));
    let column = problem.column.as_ref().map(|column| format!(", {column}")).unwrap_or_default();
    let words = format!("{}{column}: {}", problem.rows_in_words(), scene.message);
    let span = scene.span_in(text);
    draw(talk, Mistake { file: &file, text, span, words, help: problem.help.clone() });
    true
}

fn nothing_spent(talk: &Talk, count: u64, place: &str) {
    talk.say(&format!("{} in {place}; nothing was spent", counted(count, "problem")));
}

//! How mistakes are shown: the file, the line itself with a caret, what is wrong, what to do.
//!
//! The rooms below say what is wrong in their own types; only this file knows how it is drawn.

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
};

use crate::cli::output::printer::Printer;
use crate::plan::{PlanError, PlanProblem, PlanProblemSource, PlanProblems, TemplateFiles};
use crate::session::exit_code::ExitReason;
use crate::text::{is_terminal_control, pluralize, strip_control};
use crate::{batch, sheet, template};

/// What a terminal shows without wrapping.
const DIAGNOSTIC_WIDTH: usize = 80;
/// Problems of rows that are drawn with the template's line; the others are told in one line each.
const DIAGNOSTICS_MAX: usize = 10;

/// A mistake with its place in a text.
struct SourceDiagnostic<'a> {
    file: &'a str,
    text: &'a str,
    span: Option<std::ops::Range<usize>>,
    message: String,
    help: Option<String>,
}

fn print_diagnostic(printer: &Printer, mistake: SourceDiagnostic<'_>) {
    let mut diagnostic = MietteDiagnostic::new(strip_control(&mistake.message).into_owned());
    diagnostic.help = mistake.help.map(|help| strip_control(&help).into_owned());
    let spanned = mistake.span.map(|span| {
        let end = span.end.clamp(span.start, mistake.text.len());
        LabeledSpan::new_with_span(Some("here".to_owned()), span.start..end)
    });
    let has_place = spanned.is_some();
    diagnostic.labels = spanned.map(|label| vec![label]);
    let report = Report::new(diagnostic);
    let report = if has_place {
        report.with_source_code(NamedSource::new(mistake.file, blank_control_chars(mistake.text)))
    } else {
        report.wrap_err(mistake.file.to_owned())
    };
    let theme = if printer.is_colored() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let mut drawn = String::new();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(DIAGNOSTIC_WIDTH)
        .with_context_lines(1);
    if handler.render_report(&mut drawn, report.as_ref()).is_ok() {
        printer.diagnostic(drawn.trim_end());
    }
}

/// Returns a text of the same length in bytes, without what a terminal would act upon.
fn blank_control_chars(text: &str) -> String {
    let kept = |c: char| matches!(c, '\n' | '\t') || !is_terminal_control(c);
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
pub(crate) fn print_batch_problems(
    printer: &Printer,
    problems: &batch::BatchFileProblems,
) -> ExitReason {
    let file = problems.file.display().to_string();
    for problem in &problems.problems {
        print_diagnostic(
            printer,
            SourceDiagnostic {
                file: &file,
                text: &problems.source,
                span: problem.span.clone(),
                message: problem.message.clone(),
                help: problem.help.clone(),
            },
        );
    }
    print_nothing_spent(
        printer,
        problems.problems.len() as u64,
        &format!("the batch file `{file}`"),
    );
    ExitReason::Input
}

/// Shows why there is no plan.
pub(crate) fn print_plan_error(
    printer: &Printer,
    error: &PlanError,
    batch: &batch::Batch,
) -> ExitReason {
    match error {
        PlanError::Sheet(problems) => {
            print_sheet_problems(printer, problems);
            print_nothing_spent(printer, problems.problems.len() as u64, &sheet_label(batch));
        }
        PlanError::Template { files: texts, problems } => {
            print_template_problems(printer, texts, problems);
            let (file, _) = texts.file_of_origin(None);
            print_nothing_spent(printer, problems.len() as u64, &format!("the template `{file}`"));
        }
        PlanError::FilePattern(problems) => {
            let file = format!("{}: `file`", batch.file.display());
            let text = batch.video_file.clone().unwrap_or_default();
            problems
                .iter()
                .for_each(|problem| print_template_problem(printer, &file, &text, problem));
            print_nothing_spent(printer, problems.len() as u64, "`file` in the batch file");
        }
        PlanError::File { .. } => {
            printer.error(&error.to_string());
            printer.status("nothing was spent");
        }
        PlanError::Selection(words) => {
            printer.error(words);
            return ExitReason::Usage;
        }
        PlanError::Ledger(error) => {
            printer.error(&error.to_string());
            return ExitReason::Unexpected;
        }
    }
    ExitReason::Input
}

/// Shows why a template cannot be used, where there is no batch yet.
pub(crate) fn print_template_error(printer: &Printer, error: &PlanError) -> ExitReason {
    match error {
        PlanError::Template { files: texts, problems } => {
            print_template_problems(printer, texts, problems)
        }
        other => printer.error(&other.to_string()),
    }
    ExitReason::Input
}

/// Says why there is no plan, without drawing it.
pub(crate) fn plan_error_messages(error: &PlanError) -> Vec<String> {
    match error {
        PlanError::Sheet(problems) => problems.problems.iter().map(ToString::to_string).collect(),
        PlanError::Template { files: texts, problems } => {
            let told = |problem: &template::TemplateProblem| {
                let (file, _) = texts.file_of_origin(problem.location.origin());
                format!("{file}: {}", problem.message)
            };
            problems.iter().map(told).collect()
        }
        PlanError::FilePattern(problems) => {
            let told = |one: &template::TemplateProblem| {
                format!("`file` in the batch file: {}", one.message)
            };
            problems.iter().map(told).collect()
        }
        PlanError::File { .. } | PlanError::Selection(_) | PlanError::Ledger(_) => {
            vec![error.to_string()]
        }
    }
}

fn sheet_label(batch: &batch::Batch) -> String {
    match batch.sheet_source {
        batch::SheetSource::File(_) => format!("the sheet `{}`", batch.sheet.display()),
        batch::SheetSource::Stdin | batch::SheetSource::Link(_) => {
            format!("the sheet from {}", batch.sheet_source)
        }
    }
}

fn print_sheet_problems(printer: &Printer, problems: &sheet::SheetProblems) {
    for problem in &problems.problems {
        printer.error(&problem.to_string());
    }
}

/// Shows what is wrong with a template or its partials.
pub(crate) fn print_template_problems(
    printer: &Printer,
    texts: &TemplateFiles,
    problems: &[template::TemplateProblem],
) {
    for problem in problems {
        let (file, text) = texts.file_of_origin(problem.location.origin());
        print_template_problem(printer, &file, text, problem);
    }
}

fn print_template_problem(
    printer: &Printer,
    file: &str,
    text: &str,
    problem: &template::TemplateProblem,
) {
    print_diagnostic(
        printer,
        SourceDiagnostic {
            file,
            text,
            span: problem.byte_span(text),
            message: problem.message.clone(),
            help: problem.help.clone(),
        },
    );
}

/// Shows what is wrong with the rows of a sheet. Returns whether it can be mended in the sheet.
pub(crate) fn print_row_problems(
    printer: &Printer,
    problems: &PlanProblems,
    texts: &TemplateFiles,
    batch: &batch::Batch,
) -> bool {
    let mut drawn = 0;
    for problem in problems.kept() {
        if drawn < DIAGNOSTICS_MAX && try_print_template_line(printer, problem, texts) {
            drawn += 1;
            continue;
        }
        let help =
            problem.help.as_deref().filter(|_| problem.source == PlanProblemSource::Template);
        let help = help.map(|help| format!("\n  {}", strip_control(help))).unwrap_or_default();
        printer.error(&format!("{problem}{help}"));
    }
    let told: u64 = problems.kept().iter().map(|problem: &PlanProblem| problem.rows.max(1)).sum();
    let untold = problems.count().saturating_sub(told.min(problems.count()));
    if untold > 0 {
        printer.status(&format!("and {} more", pluralize(untold, "problem")));
    }
    let is_cell =
        |problem: &PlanProblem| problem.template_problem.is_none() || problem.column.is_some();
    if problems.kept().iter().any(is_cell) {
        print_nothing_spent(printer, problems.count(), &sheet_label(batch));
        true
    } else {
        let mistakes = pluralize(problems.kept().len() as u64, "problem");
        let (file, _) = texts.file_of_origin(None);
        printer.status(&format!("{mistakes} in the template `{file}`; nothing was spent"));
        false
    }
}

/// Tells what is probably not meant, and stands in nobody's way.
pub(crate) fn print_warnings(printer: &Printer, doubts: &PlanProblems, texts: &TemplateFiles) {
    for doubt in doubts.kept().iter().take(DIAGNOSTICS_MAX) {
        let column = doubt.column.as_ref().map(|column| format!(", {column}")).unwrap_or_default();
        let message =
            doubt.template_problem.as_ref().map_or(&doubt.message, |scene| &scene.message);
        let origin = doubt.template_problem.as_ref().and_then(|scene| scene.location.origin());
        let place = origin.map(|origin| {
            format!(" ({} line {})", texts.file_of_origin(Some(origin)).0, origin.line)
        });
        let place = place.unwrap_or_default();
        let rows = doubt.describe_rows();
        let help = doubt.help.as_deref().map(|help| format!("\n  {help}")).unwrap_or_default();
        printer.status(&strip_control_lines(&format!(
            "warning: {rows}{column}: {message}{place}{help}"
        )));
    }
    let untold = doubts.kept().len().saturating_sub(DIAGNOSTICS_MAX);
    if untold > 0 {
        printer.status(&format!("and {}", pluralize(untold as u64, "other warning")));
    }
}

fn strip_control_lines(text: &str) -> String {
    text.lines().map(strip_control).collect::<Vec<_>>().join("\n")
}

/// Draws the line of the template that made a problem. Says whether there is one to draw: what is
/// wrong with a cell alone is told by its row and column.
fn try_print_template_line(
    printer: &Printer,
    problem: &PlanProblem,
    texts: &TemplateFiles,
) -> bool {
    let Some(scene) = &problem.template_problem else { return false };
    let (
        Some(origin),
        template::TemplateProblemLocation::Template(_)
        | template::TemplateProblemLocation::Merged { .. },
    ) = (scene.location.origin(), &scene.location)
    else {
        return false;
    };
    let (file, text) = texts.file_of_origin(Some(origin));
    let column = problem.column.as_ref().map(|column| format!(", {column}")).unwrap_or_default();
    let words = format!("{}{column}: {}", problem.describe_rows(), scene.message);
    let span = scene.byte_span(text);
    print_diagnostic(
        printer,
        SourceDiagnostic { file: &file, text, span, message: words, help: problem.help.clone() },
    );
    true
}

fn print_nothing_spent(printer: &Printer, count: u64, place: &str) {
    printer.status(&format!("{} in {place}; nothing was spent", pluralize(count, "problem")));
}

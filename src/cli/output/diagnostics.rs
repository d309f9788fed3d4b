//! Prints problems: the file, the source line with a caret, the problem and how to fix it.
//!
//! The modules below report problems as values; only this file knows their layout.

use std::ops::Range;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report,
};

use crate::cli::output::printer::Printer;
use crate::plan::{Plan, PlanError, PlanProblem, PlanProblemSource, PlanProblems, TemplateFiles};
use crate::session::error::exit_for_plan_error;
use crate::session::exit_code::ExitReason;
use crate::text::{is_terminal_control, pluralize, strip_control, truncate};
use crate::{batch, sheet, template};

/// Columns of a source line that are shown.
const LINE_COLUMNS_MAX: usize = 200;
/// Columns of a diagnostic.
const DIAGNOSTIC_WIDTH: usize = 80;
/// Row problems shown with a line of the template; further ones take one line each.
const DIAGNOSTICS_MAX: usize = 10;

/// Warnings shown; each takes a line or two.
const WARNINGS_MAX: usize = 30;

/// A problem and its location in a source text.
struct SourceDiagnostic<'a> {
    file: &'a str,
    text: &'a str,
    span: Option<Range<usize>>,
    message: String,
    help: Option<String>,
}

fn print_diagnostic(printer: &Printer, problem: SourceDiagnostic<'_>) {
    let CroppedSource { text, span, column } = CroppedSource::new(problem.text, problem.span);
    let label = match column {
        Some(column) => format!("here (column {column})"),
        None => "here".to_owned(),
    };
    let mut diagnostic = MietteDiagnostic::new(strip_control(&problem.message).into_owned());
    diagnostic.help = problem.help.map(|help| strip_control(&help).into_owned());
    let label = span.map(|span| LabeledSpan::new_with_span(Some(label), span));
    let has_span = label.is_some();
    diagnostic.labels = label.map(|label| vec![label]);
    let report = Report::new(diagnostic);
    let report = if has_span {
        report.with_source_code(NamedSource::new(
            strip_control(problem.file),
            blank_control_chars(&text),
        ))
    } else {
        report.wrap_err(strip_control(problem.file).into_owned())
    };
    let theme = if printer.is_colored() {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let mut rendered = String::new();
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(DIAGNOSTIC_WIDTH)
        .with_context_lines(1);
    if handler.render_report(&mut rendered, report.as_ref()).is_ok() {
        printer.diagnostic(rendered.trim_end());
    }
}

/// A source text whose long lines are cut around the span: miette can draw no column beyond 65,535,
/// and nothing of a line that fills a screen is easier to find.
struct CroppedSource {
    text: String,
    span: Option<Range<usize>>,
    /// The true column of the span, from 1, if its line was cut.
    column: Option<usize>,
}

impl CroppedSource {
    fn new(text: &str, span: Option<Range<usize>>) -> Self {
        let start = floor_boundary(text, span.as_ref().map_or(0, |span| span.start));
        let end = floor_boundary(text, span.as_ref().map_or(0, |span| span.end).max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let before = crop_lines(&text[..line_start]);
        let after = crop_lines(&text[line_end..]);
        let mut column = None;
        let mut line = text[line_start..line_end].to_owned();
        let (mut from, mut to) = (start - line_start, end.min(line_end) - line_start);
        if line.chars().count() > LINE_COLUMNS_MAX {
            column = Some(line[..from].chars().count() + 1);
            let side = LINE_COLUMNS_MAX / 2;
            let left = last_chars(&line[..from], side);
            let marked: String = line[from..to].chars().take(side).collect();
            let right: String = line[from + marked.len()..].chars().take(side).collect();
            (from, to) = ('…'.len_utf8() + left.len(), '…'.len_utf8() + left.len() + marked.len());
            line = format!("…{left}{marked}{right}…");
        }
        let offset = before.len();
        let span = span.map(|_| offset + from..offset + to);
        Self { text: format!("{before}{line}{after}"), span, column }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Returns the text with every line cut behind the columns of a diagnostic.
fn crop_lines(text: &str) -> String {
    text.split('\n').map(|line| truncate(line, LINE_COLUMNS_MAX)).collect::<Vec<_>>().join("\n")
}

fn last_chars(text: &str, chars_max: usize) -> &str {
    let from = text.char_indices().rev().take(chars_max).last().map_or(text.len(), |(at, _)| at);
    &text[from..]
}

/// Replaces control characters by blanks; the length in bytes, and so every span, stays the same.
fn blank_control_chars(text: &str) -> String {
    let is_kept = |c: char| matches!(c, '\n' | '\t') || !is_terminal_control(c);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_kept(c) {
            out.push(c);
        } else {
            out.extend(std::iter::repeat_n(' ', c.len_utf8()));
        }
    }
    out
}

/// Prints the problems of a batch file.
pub(crate) fn print_batch_problems(
    printer: &Printer,
    problems: &batch::BatchFileProblems,
) -> ExitReason {
    let file = problems.file.display().to_string();
    if let ("", [problem]) = (problems.source.as_str(), problems.problems.as_slice()) {
        print_unread_file(printer, &file, problem);
        return ExitReason::Input;
    }
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

/// Prints why a batch file could not even be read.
fn print_unread_file(printer: &Printer, file: &str, problem: &batch::BatchFileProblem) {
    let help = problem.help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
    printer.error(&format!("`{file}`: {}{help}", problem.message));
    printer.status("Nothing was spent");
}

/// Prints the reason why planning failed.
pub(crate) fn print_plan_error(
    printer: &Printer,
    error: &PlanError,
    batch: &batch::Batch,
) -> ExitReason {
    match error {
        PlanError::Sheet(problems) => {
            print_sheet_problems(printer, problems);
            let label = match problems.file == batch.sheet {
                true => sheet_label(batch),
                // The file of --with.
                false => format!("`{}`", problems.file.display()),
            };
            print_nothing_spent(printer, problems.problems.len() as u64, &label);
        }
        PlanError::Template { files, problems } => {
            print_template_problems(printer, files, problems);
            let (file, _) = files.file_of_origin(None);
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
            printer.status("Nothing was spent");
        }
        PlanError::Selection(_) | PlanError::Ledger(_) => printer.error(&error.to_string()),
    }
    exit_for_plan_error(error)
}

/// Prints the problems of a template without a batch.
pub(crate) fn print_template_error(printer: &Printer, error: &PlanError) -> ExitReason {
    match error {
        PlanError::Template { files, problems } => {
            print_template_problems(printer, files, problems);
        }
        other => printer.error(&other.to_string()),
    }
    ExitReason::Input
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

/// Prints the problems of a template or its partials.
pub(crate) fn print_template_problems(
    printer: &Printer,
    template_files: &TemplateFiles,
    problems: &[template::TemplateProblem],
) {
    for problem in problems {
        let (file, text) = template_files.file_of_origin(problem.location.origin());
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

/// The problems of rows in one line, and where they can be fixed.
pub(crate) struct RowProblemTotal {
    /// "2 problems in the sheet `s.csv`".
    pub(crate) text: String,
    /// Whether they can be fixed in the sheet.
    pub(crate) is_in_sheet: bool,
}

/// Prints the problems of rows, each once.
pub(crate) fn print_row_problems(
    printer: &Printer,
    plan: &Plan,
    batch: &batch::Batch,
) -> RowProblemTotal {
    let Plan { problems, template_files, .. } = plan;
    let mut rendered = 0;
    for problem in problems.kept() {
        if rendered < DIAGNOSTICS_MAX && try_print_template_line(printer, problem, template_files) {
            rendered += 1;
            continue;
        }
        let help = problem.help.as_deref().filter(|_| problem.source != PlanProblemSource::Sheet);
        let help =
            help.map(|help| format!("\n  help: {}", strip_control(help))).unwrap_or_default();
        printer.error(&format!("{problem}{help}"));
    }
    let printed: u64 =
        problems.kept().iter().map(|problem: &PlanProblem| problem.rows.max(1)).sum();
    let omitted = problems.count().saturating_sub(printed.min(problems.count()));
    if omitted > 0 {
        printer.status(&format!("and {} more", pluralize(omitted, "problem")));
    }
    let is_cell =
        |problem: &PlanProblem| problem.template_problem.is_none() || problem.column.is_some();
    let is_in_sheet = problems.kept().iter().any(is_cell);
    let text = match is_in_sheet {
        true => format!("{} in {}", pluralize(problems.count(), "problem"), sheet_label(batch)),
        false => {
            let count = pluralize(problems.kept().len() as u64, "problem");
            let (file, _) = template_files.file_of_origin(None);
            format!("{count} in the template `{file}`")
        }
    };
    RowProblemTotal { text, is_in_sheet }
}

/// Prints warnings: findings that do not prevent a run.
pub(crate) fn print_warnings(
    printer: &Printer,
    warnings: &PlanProblems,
    template_files: &TemplateFiles,
) {
    for warning in warnings.kept().iter().take(WARNINGS_MAX) {
        let column =
            warning.column.as_ref().map(|column| format!(", {column}")).unwrap_or_default();
        let message = warning
            .template_problem
            .as_ref()
            .map_or(&warning.message, |template_problem| &template_problem.message);
        let origin = warning
            .template_problem
            .as_ref()
            .and_then(|template_problem| template_problem.location.origin());
        let place = origin.map(|origin| {
            format!(" ({} line {})", template_files.file_of_origin(Some(origin)).0, origin.line)
        });
        let place = place.unwrap_or_default();
        let rows = warning.describe_rows();
        let variants = warning.describe_variants();
        let help =
            warning.help.as_deref().map(|help| format!("\n  help: {help}")).unwrap_or_default();
        printer.status(&strip_control_lines(&format!(
            "warning: {rows}{column}: {message}{place}{variants}{help}"
        )));
    }
    let shown = warnings.kept().iter().take(WARNINGS_MAX).map(|warning| warning.rows.max(1));
    let omitted = warnings.count().saturating_sub(shown.sum());
    if omitted > 0 {
        printer.status(&format!("and {}", pluralize(omitted, "other warning")));
    }
}

fn strip_control_lines(text: &str) -> String {
    text.lines().map(strip_control).collect::<Vec<_>>().join("\n")
}

/// Prints a problem with the line of the template that caused it. Returns false if there is no such
/// line: a problem of a cell alone is described by its row and column.
fn try_print_template_line(
    printer: &Printer,
    problem: &PlanProblem,
    template_files: &TemplateFiles,
) -> bool {
    let Some(template_problem) = &problem.template_problem else { return false };
    let (
        Some(origin),
        template::TemplateProblemLocation::Template(_)
        | template::TemplateProblemLocation::Merged { .. },
    ) = (template_problem.location.origin(), &template_problem.location)
    else {
        return false;
    };
    let (file, text) = template_files.file_of_origin(Some(origin));
    let column = problem.column.as_ref().map(|column| format!(", {column}")).unwrap_or_default();
    let message = format!(
        "{}{column}: {}{}",
        problem.describe_rows(),
        template_problem.message,
        problem.describe_variants()
    );
    let span = template_problem.byte_span(text);
    print_diagnostic(
        printer,
        SourceDiagnostic { file: &file, text, span, message, help: problem.help.clone() },
    );
    true
}

fn print_nothing_spent(printer: &Printer, count: u64, source: &str) {
    printer.status(&format!("{} in {source}. Nothing was spent", pluralize(count, "problem")));
}

#[cfg(test)]
mod tests {
    use crate::cli::output::diagnostics::*;

    #[test]
    fn a_problem_at_column_100_000_is_shown() {
        let line = format!("{}봄\"b\"{}", "x".repeat(99_999), "y".repeat(5_000));
        let text = format!("first\n{line}\nlast");
        let at = text.find('"').unwrap();
        let cropped = CroppedSource::new(&text, Some(at..at + 3));
        let span = cropped.span.unwrap();
        assert_eq!(&cropped.text[span], "\"b\"");
        assert_eq!(cropped.column, Some(100_001));
        assert!(cropped.text.lines().all(|line| line.chars().count() < 400), "{}", cropped.text);
        assert_eq!(cropped.text.lines().count(), 3);
        let short = CroppedSource::new("a b", Some(2..3));
        assert_eq!((short.text.as_str(), short.span, short.column), ("a b", Some(2..3), None));
    }
}

//! The findings of `check`, printed.

use serde_json::{Value, json};

use crate::cli::output::printer::Printer;
use crate::cli::output::styled_text::{MessageStyle, StyledText};
use crate::session::check_finding::{CheckFinding, FindingGrade};
use crate::text::strip_control;

/// Prints one finding; a second line says what to do.
pub(crate) fn print_finding(finding: &CheckFinding, printer: &Printer) {
    let (grade, topic) = (finding.grade.as_str(), finding.topic);
    let style = match finding.grade {
        FindingGrade::Ok => MessageStyle::Good,
        FindingGrade::Warn => MessageStyle::Warning,
        FindingGrade::Fail(_) => MessageStyle::Bad,
    };
    let mut lines = printer.wrap_result(&strip_control(&finding.message), INDENT).into_iter();
    let line = StyledText::default()
        .with(style, format!("{grade:4}"))
        .plain(format!("  {topic:11}  {}", lines.next().unwrap_or_default()));
    printer.print_styled(&line);
    lines.for_each(|line| printer.print_result(&format!("{:INDENT$}{line}", "")));
    for (number, line) in
        printer.wrap_result(finding.todo.unwrap_or(""), INDENT + 2).iter().enumerate()
    {
        let arrow = if number == 0 { "→" } else { " " };
        printer.print_result(&format!("{:INDENT$}{arrow} {line}", ""));
    }
}

/// Columns before the message.
const INDENT: usize = 19;

pub(crate) fn finding_json(finding: &CheckFinding) -> Value {
    json!({
        "grade": finding.grade.as_str(),
        "topic": finding.topic,
        "words": finding.message,
        "todo": finding.todo,
    })
}

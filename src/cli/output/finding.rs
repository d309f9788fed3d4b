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
    let line = StyledText::default()
        .with(style, format!("{grade:4}"))
        .plain(format!("  {topic:11}  {}", strip_control(&finding.message)));
    printer.print_styled(&line);
    if let Some(todo) = finding.todo {
        printer.print_result(&format!("{:19}→ {todo}", ""));
    }
}

pub(crate) fn finding_json(finding: &CheckFinding) -> Value {
    json!({
        "grade": finding.grade.as_str(),
        "topic": finding.topic,
        "words": finding.message,
        "todo": finding.todo,
    })
}

//! One finding of `check`: a grade, a topic, a message and what to do.
//!
//! Also the exit code for several findings.

use serde_json::{Value, json};

use crate::aistudios::CallError;
use crate::cli::output::printer::Printer;
use crate::session::exit_code::ExitReason;
use crate::text::strip_control;

/// Grade of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FindingGrade {
    Ok,
    Warn,
    /// A run cannot start; it would exit with this reason.
    Fail(ExitReason),
}

/// One finding.
#[derive(Clone, Debug)]
pub(crate) struct CheckFinding {
    pub(crate) grade: FindingGrade,
    pub(crate) topic: &'static str,
    pub(crate) message: String,
    pub(crate) todo: Option<&'static str>,
}

impl FindingGrade {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail(_) => "fail",
        }
    }
}

impl CheckFinding {
    pub(crate) fn ok(topic: &'static str, message: impl Into<String>) -> Self {
        Self { grade: FindingGrade::Ok, topic, message: message.into(), todo: None }
    }

    pub(crate) fn warn(
        topic: &'static str,
        message: impl Into<String>,
        todo: &'static str,
    ) -> Self {
        Self { grade: FindingGrade::Warn, topic, message: message.into(), todo: Some(todo) }
    }

    pub(crate) fn fail(exit: ExitReason, topic: &'static str, message: impl Into<String>) -> Self {
        Self { grade: FindingGrade::Fail(exit), topic, message: message.into(), todo: None }
    }

    pub(crate) fn with_todo(mut self, todo: &'static str) -> Self {
        self.todo = Some(todo);
        self
    }

    /// Returns the finding for a failed free request.
    pub(crate) fn from_call_error(topic: &'static str, error: &CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::Account { .. } => Self::fail(ExitReason::Account, topic, message),
            CallError::Moved { .. } => Self::fail(ExitReason::Usage, topic, message),
            CallError::Transient { .. } => Self::fail(ExitReason::TransientFailure, topic, message)
                .with_todo("check the network and `base_url`, then check again"),
            CallError::RateLimited { .. } => Self::warn(topic, message, "check again later"),
            CallError::NotFound | CallError::Refused { .. } => {
                let message = format!("credentials accepted, but the request failed ({message})");
                Self::warn(topic, message, "a run can start; try --limit 1")
            }
        }
    }

    pub(crate) fn print(&self, printer: &Printer) {
        let (grade, topic, message) =
            (self.grade.as_str(), self.topic, strip_control(&self.message));
        printer.print_result(&format!("{grade:4}  {topic:11}  {message}"));
        if let Some(todo) = self.todo {
            printer.print_result(&format!("{:19}→ {todo}", ""));
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "grade": self.grade.as_str(),
            "topic": self.topic,
            "words": self.message,
            "todo": self.todo,
        })
    }
}

/// Returns the exit code for several findings; the order is that of the README.
pub(crate) fn exit_for_findings(findings: &[CheckFinding]) -> ExitReason {
    let order = [
        ExitReason::Unexpected,
        ExitReason::Account,
        ExitReason::Usage,
        ExitReason::Input,
        ExitReason::TransientFailure,
    ];
    let fails =
        |exit: &ExitReason| findings.iter().any(|found| found.grade == FindingGrade::Fail(*exit));
    order.into_iter().find(fails).unwrap_or(ExitReason::Done)
}

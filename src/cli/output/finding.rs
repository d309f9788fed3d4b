//! What `check` found out about one thing, and how good that is.

use serde_json::{Value, json};

use crate::aistudios::ApiError;
use crate::cli::output::printer::Printer;
use crate::session::exit_code::ExitReason;
use crate::text::strip_control;

/// How good a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FindingGrade {
    Ok,
    Warn,
    /// A night cannot run; it would end like this.
    Fail(ExitReason),
}

/// What was found out about one thing.
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
    pub(crate) fn ok(topic: &'static str, words: impl Into<String>) -> Self {
        Self { grade: FindingGrade::Ok, topic, message: words.into(), todo: None }
    }

    pub(crate) fn warn(topic: &'static str, words: impl Into<String>, todo: &'static str) -> Self {
        Self { grade: FindingGrade::Warn, topic, message: words.into(), todo: Some(todo) }
    }

    pub(crate) fn fail(exit: ExitReason, topic: &'static str, words: impl Into<String>) -> Self {
        Self { grade: FindingGrade::Fail(exit), topic, message: words.into(), todo: None }
    }

    pub(crate) fn with_todo(mut self, todo: &'static str) -> Self {
        self.todo = Some(todo);
        self
    }

    /// Why a free call brought nothing.
    pub(crate) fn from_call_error(topic: &'static str, trouble: &ApiError) -> Self {
        let words = trouble.to_string();
        match trouble {
            ApiError::Account(_) => Self::fail(ExitReason::Account, topic, words),
            ApiError::Moved { .. } => Self::fail(ExitReason::Usage, topic, words),
            ApiError::NotSent(_) | ApiError::UnusableResponse(_) => {
                Self::fail(ExitReason::TransientFailure, topic, words)
                    .with_todo("look at the network and at `base_url`, and check again")
            }
            ApiError::RateLimited { .. } => Self::warn(topic, words, "check again later"),
            ApiError::NotFound | ApiError::Refused(_) => {
                let words = format!("a token was given, but this page was not ({words})");
                Self::warn(topic, words, "a run can begin; try it with --limit 1")
            }
        }
    }

    pub(crate) fn print(&self, printer: &Printer) {
        let (grade, topic, words) = (self.grade.as_str(), self.topic, strip_control(&self.message));
        printer.print_result(&format!("{grade:4}  {topic:11}  {words}"));
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

/// The order of the exit codes when several hold.
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

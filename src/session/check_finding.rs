//! The findings of `check` and of its probe.

use crate::aistudios::CallError;
use crate::session::exit_code::ExitReason;

/// The grade of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FindingGrade {
    Ok,
    Warn,
    /// A run cannot start; it would end with this exit code.
    Fail(ExitReason),
}

/// A finding about one topic.
#[derive(Clone, Debug)]
pub(crate) struct CheckFinding {
    pub(crate) grade: FindingGrade,
    pub(crate) topic: &'static str,
    pub(crate) message: String,
    pub(crate) todo: Option<&'static str>,
}

impl FindingGrade {
    pub(crate) fn as_str(self) -> &'static str {
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

    /// Returns the finding for a free call that failed.
    pub(crate) fn from_call_error(topic: &'static str, error: &CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::Account { .. } => Self::fail(ExitReason::Account, topic, message),
            CallError::Moved { .. } => Self::fail(ExitReason::Usage, topic, message),
            CallError::Transient { .. } => Self::fail(ExitReason::TransientFailure, topic, message)
                .with_todo("check the network and `base_url`, then run `check` again"),
            CallError::RateLimited { .. } => Self::warn(topic, message, "run `check` again later"),
            CallError::NotFound | CallError::Refused { .. } => {
                let message = format!("a token was issued, but this request failed ({message})");
                Self::warn(topic, message, "a run can start; try it with --limit 1")
            }
        }
    }
}

/// Returns the exit code of `check`: the first of 1, 7, 2, 4, 5 that a finding has.
pub(crate) fn exit_for_findings(findings: &[CheckFinding]) -> ExitReason {
    let order = [
        ExitReason::Unexpected,
        ExitReason::Account,
        ExitReason::Usage,
        ExitReason::Input,
        ExitReason::TransientFailure,
    ];
    let has_failure = |exit: &ExitReason| {
        findings.iter().any(|finding| finding.grade == FindingGrade::Fail(*exit))
    };
    order.into_iter().find(has_failure).unwrap_or(ExitReason::Done)
}

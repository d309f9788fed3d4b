//! Why a command or a batch of it ended without a result: the exit code and the message.
//!
//! Nothing is printed here. Invariant: a failure whose cause was already shown carries no message,
//! so that no cause is shown twice.

use std::fmt;

use crate::ledger::{LedgerError, StopCause};
use crate::plan::PlanError;
use crate::report::ReportError;
use crate::session::exit_code::ExitReason;
use crate::template::TemplateProblem;

/// The early end of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandError {
    /// It failed; the message is yet to be shown.
    Failed {
        exit: ExitReason,
        cause: StopCause,
        message: String,
        /// The cause alone, where the message has more.
        summary: Option<String>,
    },
    /// It failed, and the cause was already shown as a diagnostic or an event.
    Reported(ExitReason),
}

impl CommandError {
    pub(crate) fn new(exit: ExitReason, message: impl fmt::Display) -> Self {
        let (cause, message) = (exit.default_cause(), message.to_string());
        Self::Failed { exit, cause, message, summary: None }
    }

    /// Names the kind of cause, where the exit code alone does not determine it.
    pub(crate) fn with_cause(mut self, new: StopCause) -> Self {
        if let Self::Failed { cause, .. } = &mut self {
            *cause = new;
        }
        self
    }

    /// Adds the cause alone, without what to do about it.
    pub(crate) fn with_summary(mut self, text: String) -> Self {
        if let Self::Failed { summary, .. } = &mut self {
            *summary = Some(text);
        }
        self
    }

    /// An error that no other exit code describes.
    pub(crate) fn unexpected(message: impl fmt::Display) -> Self {
        Self::new(ExitReason::Unexpected, message)
    }

    /// A mistake on the command line or in the settings.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(ExitReason::Usage, message)
    }

    /// Appends a hint to the message.
    pub(crate) fn with_context(mut self, hint: &str) -> Self {
        if let Self::Failed { message, .. } = &mut self {
            message.push_str(hint);
        }
        self
    }

    pub(crate) fn exit(&self) -> ExitReason {
        match self {
            Self::Failed { exit, .. } | Self::Reported(exit) => *exit,
        }
    }

    /// Returns the message, unless the cause was already shown.
    pub(crate) fn message(&self) -> Option<&str> {
        match self {
            Self::Failed { message, .. } => Some(message),
            Self::Reported(_) => None,
        }
    }
}

impl From<LedgerError> for CommandError {
    fn from(error: LedgerError) -> Self {
        match error {
            // The machine slept, or did not reach the ledger, until its lease was over.
            LedgerError::LeaseLost | LedgerError::SeveralNames { .. } => {
                Self::new(ExitReason::BatchLocked, error)
            }
            LedgerError::MountedAlone { .. } | LedgerError::Moved { .. } => Self::usage(error),
            LedgerError::Behind { .. } => {
                Self::new(ExitReason::Uncertain, error).with_cause(StopCause::LedgerBehind)
            }
            LedgerError::Unavailable { .. } => {
                Self::new(ExitReason::TransientFailure, error).with_cause(StopCause::Ledger)
            }
            _ => Self::unexpected(error).with_cause(StopCause::Ledger),
        }
    }
}

impl From<ReportError> for CommandError {
    fn from(error: ReportError) -> Self {
        let cause = match &error {
            ReportError::Io { .. } => StopCause::OutputFolder,
            ReportError::Ledger(_) => StopCause::Ledger,
        };
        Self::unexpected(error).with_cause(cause)
    }
}

/// Returns the exit code of a batch that cannot be planned.
pub(crate) fn exit_for_plan_error(error: &PlanError) -> ExitReason {
    match error {
        PlanError::Sheet(_)
        | PlanError::Template { .. }
        | PlanError::FilePattern(_)
        | PlanError::File { .. } => ExitReason::Input,
        PlanError::Selection(_) => ExitReason::Usage,
        PlanError::Ledger(error) if error.is_unavailable() => ExitReason::TransientFailure,
        PlanError::Ledger(_) => ExitReason::Unexpected,
    }
}

/// Returns the kind of cause of a batch that cannot be planned.
pub(crate) fn cause_of_plan_error(error: &PlanError) -> StopCause {
    match error {
        PlanError::Sheet(_) => StopCause::Sheet,
        PlanError::Template { .. } => StopCause::Template,
        PlanError::FilePattern(_) | PlanError::File { .. } => StopCause::BatchFile,
        PlanError::Selection(_) => StopCause::Settings,
        PlanError::Ledger(_) => StopCause::Ledger,
    }
}

/// Returns the problems of a batch that cannot be planned, one message each.
pub(crate) fn plan_error_messages(error: &PlanError) -> Vec<String> {
    match error {
        PlanError::Sheet(problems) => problems.problems.iter().map(ToString::to_string).collect(),
        PlanError::Template { files, problems } => {
            let message = |problem: &TemplateProblem| {
                let (file, _) = files.file_of_origin(problem.location.origin());
                format!("{file}: {}", problem.message)
            };
            problems.iter().map(message).collect()
        }
        PlanError::FilePattern(problems) => {
            let message = |problem: &TemplateProblem| {
                format!("`file` in the batch file: {}", problem.message)
            };
            problems.iter().map(message).collect()
        }
        PlanError::File { .. } | PlanError::Selection(_) | PlanError::Ledger(_) => {
            vec![error.to_string()]
        }
    }
}

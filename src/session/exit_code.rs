//! The exit codes, documented in `docs/reference/exit-codes.md`. Scripts depend on these numbers, so a
//! number never changes its meaning.

use std::process::ExitCode;

use crate::ledger::StopCause;

/// The reason for an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// Every selected job is done, or nothing needed doing.
    Done,
    /// An unexpected error.
    Unexpected,
    /// The command line or the settings are wrong.
    Usage,
    /// Finished, and some jobs failed.
    SomeFailed,
    /// Sheet, template or batch file is wrong; nothing was spent.
    Input,
    /// Stopped by a transient failure; run again.
    TransientFailure,
    /// Some jobs are uncertain; a later run or the operator resolves them.
    Uncertain,
    /// The credentials were refused, or the account is out of credits.
    Account,
    /// A cap of our own was reached, or the batch is paused.
    CapReached,
    /// The time window is over.
    WindowClosed,
    /// Another run holds this batch.
    BatchLocked,
    /// Interrupted by Ctrl-C; everything is saved.
    Interrupted,
    /// Stopped by SIGTERM or SIGHUP; everything is saved.
    Terminated,
}

impl ExitReason {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::SomeFailed,
        Self::Input,
        Self::TransientFailure,
        Self::Uncertain,
        Self::Account,
        Self::CapReached,
        Self::WindowClosed,
        Self::BatchLocked,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The order in which one reason represents several batches, or several reasons of one: the
    /// first that applies. What a scheduler should try again comes before failures, and failures
    /// before planned stops.
    const SEVERITY_ORDER: [Self; 13] = [
        Self::Unexpected,
        Self::Account,
        Self::Usage,
        Self::Interrupted,
        Self::Terminated,
        Self::Input,
        Self::BatchLocked,
        Self::Uncertain,
        Self::TransientFailure,
        Self::SomeFailed,
        Self::CapReached,
        Self::WindowClosed,
        Self::Done,
    ];

    /// Returns the reason that represents several batches together.
    pub(crate) fn most_severe(exits: impl IntoIterator<Item = Self>) -> Self {
        exits.into_iter().min_by_key(|exit| exit.severity_rank()).unwrap_or(Self::Done)
    }

    /// Returns its place in the order of severity, 0 for the most severe.
    pub(crate) fn severity_rank(self) -> usize {
        let order = Self::SEVERITY_ORDER.iter();
        order.take_while(|reason| **reason != self).count()
    }

    /// Returns the reason with this number.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| exit.code() == code)
    }

    /// Returns the kind of cause that the reason alone stands for.
    pub(crate) fn default_cause(self) -> StopCause {
        match self {
            Self::Done => StopCause::Done,
            Self::Unexpected => StopCause::Unexpected,
            Self::Usage => StopCause::Settings,
            Self::SomeFailed => StopCause::RowsFailed,
            Self::Input => StopCause::Sheet,
            Self::TransientFailure => StopCause::Unavailable,
            Self::Uncertain => StopCause::Uncertain,
            Self::Account => StopCause::Permission,
            Self::CapReached => StopCause::VideoLimit,
            Self::WindowClosed => StopCause::WindowClosed,
            Self::BatchLocked => StopCause::OtherBatch,
            Self::Interrupted => StopCause::Interrupted,
            Self::Terminated => StopCause::Terminated,
        }
    }

    /// Returns the number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::SomeFailed => 3,
            Self::Input => 4,
            Self::TransientFailure => 5,
            Self::Uncertain => 6,
            Self::Account => 7,
            Self::CapReached => 8,
            Self::WindowClosed => 10,
            Self::BatchLocked => 11,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<ExitReason> for ExitCode {
    fn from(exit: ExitReason) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use crate::session::exit_code::*;

    #[test]
    fn the_report_has_words_for_every_exit_code() {
        for exit in ExitReason::ALL {
            assert!(crate::report::exit_code_meaning(exit.code()).is_some(), "{exit:?}");
        }
    }

    #[test]
    fn the_most_severe_exit_reason_represents_all_batches() {
        for (exits, most_severe) in [
            (vec![ExitReason::Done, ExitReason::SomeFailed], ExitReason::SomeFailed),
            (
                vec![
                    ExitReason::TransientFailure,
                    ExitReason::WindowClosed,
                    ExitReason::CapReached,
                ],
                ExitReason::TransientFailure,
            ),
            (vec![ExitReason::CapReached, ExitReason::SomeFailed], ExitReason::SomeFailed),
            (
                vec![ExitReason::Uncertain, ExitReason::Account, ExitReason::Interrupted],
                ExitReason::Account,
            ),
            (vec![ExitReason::Account, ExitReason::Unexpected], ExitReason::Unexpected),
            (vec![], ExitReason::Done),
        ] {
            assert_eq!(ExitReason::most_severe(exits.clone()), most_severe, "{exits:?}");
        }
        assert!(ExitReason::ALL.iter().all(|exit| ExitReason::SEVERITY_ORDER.contains(exit)));
    }
}

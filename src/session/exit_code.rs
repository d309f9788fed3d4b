//! The exit codes, documented in `docs/reference/exit-codes.md`. Scripts depend on these numbers, so a
//! number never changes its meaning.

use std::process::ExitCode;

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
    /// Stopped by SIGTERM; everything is saved.
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

    /// The order in which one reason represents several batches: the first that applies.
    const SEVERITY_ORDER: [Self; 13] = [
        Self::Unexpected,
        Self::Account,
        Self::Usage,
        Self::Interrupted,
        Self::Terminated,
        Self::Input,
        Self::BatchLocked,
        Self::Uncertain,
        Self::CapReached,
        Self::WindowClosed,
        Self::TransientFailure,
        Self::SomeFailed,
        Self::Done,
    ];

    /// Returns the reason that represents several batches together.
    pub(crate) fn most_severe(exits: impl IntoIterator<Item = Self>) -> Self {
        let rank = |exit: &Self| Self::SEVERITY_ORDER.iter().position(|reason| reason == exit);
        exits.into_iter().min_by_key(rank).unwrap_or(Self::Done)
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
    fn the_most_severe_exit_reason_represents_all_batches() {
        for (exits, most_severe) in [
            (vec![ExitReason::Done, ExitReason::SomeFailed], ExitReason::SomeFailed),
            (
                vec![
                    ExitReason::TransientFailure,
                    ExitReason::WindowClosed,
                    ExitReason::CapReached,
                ],
                ExitReason::CapReached,
            ),
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

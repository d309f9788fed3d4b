//! Exit codes: an interface. Documented in `docs/reference/exit-codes.md`; scripts depend on these
//! numbers, so a number is never given another meaning.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// Every selected job is done, or nothing needed doing.
    Done,
    /// Something that nobody foresaw.
    Unexpected,
    /// The command line or the settings are wrong.
    Usage,
    /// Finished, and some jobs failed.
    SomeFailed,
    /// Sheet, template or batch file is wrong; nothing was spent.
    Input,
    /// Stopped by passing trouble; run again.
    TransientFailure,
    /// Some jobs are uncertain: a person or time must settle them.
    Uncertain,
    /// Credentials refused, or credits gone.
    Account,
    /// A cap of our own was reached.
    CapReached,
    /// The time window is over.
    WindowClosed,
    /// Another run holds this batch.
    BatchLocked,
    /// Interrupted by Ctrl-C; everything is saved.
    Interrupted,
    /// Asked to end; everything is saved.
    Terminated,
}

impl ExitReason {
    /// Every way to end, with its number.
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

    /// Which ending stands for all when several batches ended differently: the first that holds.
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

    /// Returns how several ended, taken together.
    pub(crate) fn most_severe(exits: impl IntoIterator<Item = Self>) -> Self {
        let place = |exit: &Self| Self::SEVERITY_ORDER.iter().position(|one| one == exit);
        exits.into_iter().min_by_key(place).unwrap_or(Self::Done)
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
    fn of_several_endings_the_gravest_stands_for_all() {
        for (exits, gravest) in [
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
            assert_eq!(ExitReason::most_severe(exits.clone()), gravest, "{exits:?}");
        }
        assert!(ExitReason::ALL.iter().all(|exit| ExitReason::SEVERITY_ORDER.contains(exit)));
    }
}

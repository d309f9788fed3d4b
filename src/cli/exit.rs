//! Exit codes: an interface. Documented in the README under "Exit codes"; scripts depend on these
//! numbers, so a number is never given another meaning.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
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
    PassingTrouble,
    /// Some jobs are uncertain: a person or time must settle them.
    Uncertain,
    /// Credentials refused, or credits gone.
    Account,
    /// A cap of our own was reached.
    Cap,
    /// The time window is over.
    Window,
    /// Another run holds this batch.
    Held,
    /// Interrupted by Ctrl-C; everything is saved.
    Interrupted,
    /// Asked to end; everything is saved.
    Terminated,
}

impl Exit {
    /// Every way to end, with its number.
    pub const ALL: [Self; 13] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::SomeFailed,
        Self::Input,
        Self::PassingTrouble,
        Self::Uncertain,
        Self::Account,
        Self::Cap,
        Self::Window,
        Self::Held,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// Which ending stands for all when several batches ended differently: the first that holds.
    const ORDER: [Self; 13] = [
        Self::Unexpected,
        Self::Account,
        Self::Usage,
        Self::Interrupted,
        Self::Terminated,
        Self::Input,
        Self::Held,
        Self::Uncertain,
        Self::Cap,
        Self::Window,
        Self::PassingTrouble,
        Self::SomeFailed,
        Self::Done,
    ];

    /// Returns how several ended, taken together.
    pub(super) fn gravest(exits: impl IntoIterator<Item = Self>) -> Self {
        let place = |exit: &Self| Self::ORDER.iter().position(|one| one == exit);
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
            Self::PassingTrouble => 5,
            Self::Uncertain => 6,
            Self::Account => 7,
            Self::Cap => 8,
            Self::Window => 10,
            Self::Held => 11,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_endings_the_gravest_stands_for_all() {
        for (exits, gravest) in [
            (vec![Exit::Done, Exit::SomeFailed], Exit::SomeFailed),
            (vec![Exit::PassingTrouble, Exit::Window, Exit::Cap], Exit::Cap),
            (vec![Exit::Uncertain, Exit::Account, Exit::Interrupted], Exit::Account),
            (vec![Exit::Account, Exit::Unexpected], Exit::Unexpected),
            (vec![], Exit::Done),
        ] {
            assert_eq!(Exit::gravest(exits.clone()), gravest, "{exits:?}");
        }
        assert!(Exit::ALL.iter().all(|exit| Exit::ORDER.contains(exit)));
    }
}

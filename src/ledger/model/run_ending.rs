//! How a run ended. Pure; the texts are those that the ledger stores.

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, sqlx::Type)]
#[sqlx(rename_all = "lowercase", type_name = "text")]
pub enum RunEnding {
    /// Nothing was left to do, or nothing more could be done.
    Ended,
    /// Stopped by a signal.
    Interrupted,
    /// A command of the operator, such as `retry`, used the batch.
    #[sqlx(rename = "by hand")]
    ByHand,
    /// It stopped before its first request.
    #[sqlx(rename = "not begun")]
    NotBegun,
    /// Killed, or the power failed; recorded by the next run.
    Died,
}

impl RunEnding {
    /// Returns the stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Interrupted => "interrupted",
            Self::ByHand => "by hand",
            Self::NotBegun => "not begun",
            Self::Died => "died",
        }
    }
}

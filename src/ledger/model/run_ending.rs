//! How a run ended. Pure; the texts are those that the ledger stores.

use strum::{EnumString, IntoStaticStr};

use crate::ledger::store::decode_column::{decode_column, parse_stored};

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum RunEnding {
    /// Nothing was left to do, or nothing more could be done.
    Ended,
    /// Stopped by a signal.
    Interrupted,
    /// A command of the operator, such as `retry`, used the batch.
    #[strum(serialize = "by hand")]
    ByHand,
    /// It stopped before its first request.
    #[strum(serialize = "not begun")]
    NotBegun,
    /// Killed, or the power failed; recorded by the next run.
    Died,
}

impl RunEnding {
    /// Returns the stored text.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

decode_column!(RunEnding, String, parse_stored);

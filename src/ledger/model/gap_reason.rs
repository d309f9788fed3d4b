//! Why a ledger may lack records. Pure.

use strum::IntoStaticStr;

/// Why a ledger may lack records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub(in crate::ledger) enum GapReason {
    /// Its server, or the server's timeline, is another one than before.
    Failover,
    /// It is a backup.
    Backup,
    /// An output folder has recorded more than it knows.
    OlderCopy,
}

impl GapReason {
    /// Returns its text in the ledger.
    pub(in crate::ledger) fn as_str(self) -> &'static str {
        self.into()
    }
}

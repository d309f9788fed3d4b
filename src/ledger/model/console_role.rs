//! What a user of the console may do. Pure. Each role includes the ones before it.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::ledger::store::decode_column::{decode_column, parse_stored};

/// The role of a user of the console.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum ConsoleRole {
    /// Sees everything, changes nothing.
    Viewer,
    /// Judges videos as well.
    Reviewer,
    /// Acts on batches as well, which may cost money.
    Operator,
}

decode_column!(ConsoleRole, String, parse_stored);

impl ConsoleRole {
    /// Every role, the least one first.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// Returns its text in commands, in SQL and on pages.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the role with this text.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

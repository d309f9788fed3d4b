//! A reviewer's decision on one video. Pure.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// What a reviewer decided on a video.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum VerdictKind {
    /// It may be delivered.
    Approved,
    /// It may not be used, for a reason.
    Rejected,
    /// It is to be made again, with changes.
    Changes,
    /// The verdict before was taken back.
    Withdrawn,
}

/// Where a verdict was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum VerdictOrigin {
    /// On the command line.
    Cli,
    /// In the console, by a user.
    Console,
    /// Through a share link, by a reviewer without an account.
    Share,
}

impl VerdictKind {
    /// Every verdict.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns its text in the ledger, in reports and in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the verdict with this text.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Returns whether it needs a reason.
    pub fn has_to_be_explained(self) -> bool {
        match self {
            Self::Rejected | Self::Changes => true,
            Self::Approved | Self::Withdrawn => false,
        }
    }
}

impl VerdictOrigin {
    /// Returns its text in the ledger and in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the origin with this text.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

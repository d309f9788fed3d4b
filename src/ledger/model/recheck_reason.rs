//! Why an uncertain submission is checked although its response arrived: AI Studios declined the
//! paid request, or the job was retried after a render that was given up.
//!
//! Pure. A decline may be wrong, and a render that was given up may finish. So neither is followed by
//! a payment before the project has been read again, some time later.

use strum::{EnumString, IntoStaticStr};

use crate::ledger::store::decode_column::{decode_column, parse_stored};

/// The reason for the check. Without one, the response was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum RecheckReason {
    /// AI Studios declined the request for good.
    Declined,
    /// AI Studios declined the request for now: a rate limit, or a problem of the account.
    Postponed,
    /// AI Studios did not know the draft that was to be exported.
    NotFound,
    /// The job was retried after its render was given up, or its request declined.
    Retried,
}

impl RecheckReason {
    /// Returns its text in SQL.
    pub(in crate::ledger) fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns whether it is about a response that declined the request.
    pub fn is_decline(self) -> bool {
        match self {
            Self::Declined | Self::Postponed | Self::NotFound => true,
            Self::Retried => false,
        }
    }
}

decode_column!(RecheckReason, String, parse_stored);

//! Reasons for a run to stop spending, and the latch that holds the first of them.
//!
//! A halt stops new submissions until the run ends. Paid submissions are still followed, unless
//! AI Studios would not respond to that either.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::aistudios::AccountRefusalKind;

/// Why a run stopped spending. Every message gives the cause and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// The account cannot be used: credentials refused, no credits, or no permission.
    Account {
        /// The kind of account problem.
        kind: AccountRefusalKind,
        /// The cause, and what to do.
        message: String,
    },
    /// The host redirects to another host.
    Moved {
        /// The cause, and what to do.
        message: String,
    },
    /// Submissions in a row failed for one cause that another run would meet again.
    PermanentFailures {
        /// The number of failures.
        count: u32,
        /// The last failure's message.
        message: String,
    },
    /// Submissions in a row failed for one temporary cause.
    TransientFailures {
        /// The number of failures.
        count: u32,
        /// The last failure's message.
        message: String,
    },
    /// There was no response for a long time, or nothing but "too many requests".
    Unresponsive {
        /// The last failure's message.
        message: String,
    },
    /// The output folder cannot be written.
    OutputFolder {
        /// The cause, and what to do.
        message: String,
    },
    /// The ledger's server was unavailable for longer than the run waits for it.
    LedgerUnavailable {
        /// The cause, and what to do.
        message: String,
    },
    /// The ledger may lack records: nothing is paid until they were searched for.
    LedgerBehind {
        /// How that was noticed, and what to do.
        message: String,
    },
    /// Another run has taken the batch over, because this one did not renew its lease in time.
    LeaseLost {
        /// The cause, and what to do.
        message: String,
    },
    /// The ledger cannot be written.
    Ledger {
        /// The cause, and what to do.
        message: String,
    },
}

impl Halt {
    /// Returns the message for the user.
    pub fn message(&self) -> &str {
        match self {
            Self::Account { message, .. }
            | Self::Moved { message }
            | Self::PermanentFailures { message, .. }
            | Self::TransientFailures { message, .. }
            | Self::Unresponsive { message }
            | Self::OutputFolder { message }
            | Self::LedgerUnavailable { message }
            | Self::LedgerBehind { message }
            | Self::LeaseLost { message }
            | Self::Ledger { message } => message,
        }
    }

    /// Returns whether every batch of the account is affected.
    pub(in crate::runner) fn is_account_wide(&self) -> bool {
        match self {
            Self::Account { .. } | Self::Moved { .. } => true,
            Self::PermanentFailures { .. }
            | Self::TransientFailures { .. }
            | Self::Unresponsive { .. }
            | Self::OutputFolder { .. }
            | Self::LedgerUnavailable { .. }
            | Self::LedgerBehind { .. }
            | Self::LeaseLost { .. }
            | Self::Ledger { .. } => false,
        }
    }

    /// Returns whether the ledger is the cause.
    pub fn is_of_ledger(&self) -> bool {
        match self {
            Self::LedgerUnavailable { .. }
            | Self::LedgerBehind { .. }
            | Self::LeaseLost { .. }
            | Self::Ledger { .. } => true,
            Self::Account { .. }
            | Self::Moved { .. }
            | Self::PermanentFailures { .. }
            | Self::TransientFailures { .. }
            | Self::Unresponsive { .. }
            | Self::OutputFolder { .. } => false,
        }
    }

    /// Returns whether following paid submissions is pointless as well.
    pub(in crate::runner) fn should_stop_all_calls(&self) -> bool {
        match self {
            Self::Account { kind, .. } => kind.blocks_polls(),
            Self::Moved { .. }
            | Self::Unresponsive { .. }
            | Self::LedgerUnavailable { .. }
            | Self::LedgerBehind { .. }
            | Self::LeaseLost { .. }
            | Self::Ledger { .. } => true,
            Self::PermanentFailures { .. }
            | Self::TransientFailures { .. }
            | Self::OutputFolder { .. } => false,
        }
    }
}

/// Holds the first halt of a run or of an account. A later halt can only make it stricter.
#[derive(Debug, Default)]
pub(in crate::runner) struct HaltLatch {
    halt: Mutex<Option<Halt>>,
    spending_stopped: CancellationToken,
    calls_stopped: CancellationToken,
}

impl HaltLatch {
    /// Stops spending, and all calls if the halt requires it. Returns whether this halt is now the
    /// one that the user reads: the first, or a ledger failure, which outranks the others.
    pub(in crate::runner) fn set(&self, halt: &Halt) -> bool {
        let is_latched = {
            let mut latched = self.lock();
            let is_latched = latched.is_none() || halt.is_of_ledger();
            if is_latched {
                *latched = Some(halt.clone());
            }
            is_latched
        };
        if halt.should_stop_all_calls() {
            self.calls_stopped.cancel();
        }
        self.spending_stopped.cancel();
        is_latched
    }

    /// Returns the latched halt.
    pub(in crate::runner) fn current(&self) -> Option<Halt> {
        self.lock().clone()
    }

    /// Returns the token that is cancelled when nothing more may be spent.
    pub(in crate::runner) fn spending_stopped(&self) -> &CancellationToken {
        &self.spending_stopped
    }

    /// Returns the token that is cancelled when no call is useful any more.
    pub(in crate::runner) fn calls_stopped(&self) -> &CancellationToken {
        &self.calls_stopped
    }

    fn lock(&self) -> MutexGuard<'_, Option<Halt>> {
        self.halt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

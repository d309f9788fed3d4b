//! Why a run ended: the exit code, the kind of cause, and a sentence. Pure.
//!
//! The sentence says what happened; what to do about it follows from the cause and the state of
//! the batch, and is decided where it is shown.

use strum::{EnumString, IntoStaticStr};

/// The kind of cause for the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum StopCause {
    /// Every selected job is done.
    Done,
    /// It finished, and some rows failed.
    RowsFailed,
    /// AI Studios refused several requests in a row.
    Refusals,
    /// The sheet, or a cell of it, is wrong.
    Sheet,
    /// The template is wrong.
    Template,
    /// The batch file is wrong.
    BatchFile,
    /// Another batch of the same command stopped them all.
    OtherBatch,
    /// An option, a setting or a path is wrong.
    Settings,
    /// The credentials are missing or refused.
    Credentials,
    /// The account may not use the API.
    Permission,
    /// The account is out of credits.
    Credits,
    /// AI Studios gives no usable response.
    Unavailable,
    /// Several requests in a row failed for a temporary reason.
    RequestsFailed,
    /// Rows wait for a project that another row or batch uses.
    ProjectInUse,
    /// It is unknown whether some paid requests were accepted.
    Uncertain,
    /// The number of videos of one run is reached.
    VideoLimit,
    /// The plan pays again for videos that are paid for, and the user has to confirm that.
    Confirmation,
    /// The credits that the batch may spend are spent.
    CreditCap,
    /// The videos of the sample wait for approval.
    Approval,
    /// Finished videos could not be handed to the user's command.
    Delivery,
    /// The user paused the batch.
    Paused,
    /// The time window is closed.
    WindowClosed,
    /// The output folder cannot be written.
    OutputFolder,
    /// The ledger cannot be read or written.
    Ledger,
    /// The ledger may lack records of payments.
    LedgerBehind,
    /// Stopped by Ctrl-C.
    Interrupted,
    /// Stopped by SIGTERM, or because the terminal was closed.
    Terminated,
    /// Killed, or the power failed. Never stored: such a run records nothing.
    Died,
    /// An error that no other cause describes.
    Unexpected,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStop {
    /// The exit code.
    pub exit: u8,
    /// The kind of cause.
    pub cause: StopCause,
    /// What happened, in one line.
    pub message: String,
}

impl StopCause {
    /// Returns its text in the ledger and in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the cause with this text.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

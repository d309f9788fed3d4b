//! Entries of the audit trail that are no request to a run: who did what, when and why, and what came
//! of it.
//!
//! Plain data; an entry is decoded as it is stored.

use jiff::Timestamp;
use strum::{EnumString, IntoStaticStr};

use crate::ledger::model::operator_request::RequestOutcome;
use crate::ledger::store::decode_column::{decode_column, parse_stored};
use crate::ledger::store::stored_time::StoredTime;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum AuditAction {
    /// A spreadsheet was uploaded for a new batch.
    CreateBatch,
    /// Another version of the spreadsheet was uploaded.
    ReplaceSheet,
    /// The meaning of columns was changed.
    SetColumns,
    /// Cells of a row were changed.
    Edit,
    /// A plan was approved as it was shown.
    ApprovePlan,
    /// The run of an approved plan was started.
    Start,
    /// An approval was withdrawn before its run began.
    Withdraw,
    /// A share link was made.
    CreateShareLink,
    /// A share link was revoked.
    RevokeShareLink,
    /// A user of the console was added.
    AddUser,
    /// A user was removed.
    RemoveUser,
    /// A user's password was changed.
    SetPassword,
    /// A video was judged.
    Verdict,
}

decode_column!(AuditAction, String, parse_stored);

impl AuditAction {
    /// Returns its text in the ledger and in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// Who does something, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSource {
    /// `cli:USER@HOST` or `user:NAME`.
    pub requester: String,
    /// When.
    pub now: Timestamp,
}

/// An entry to be recorded.
#[derive(Clone, Debug)]
pub struct NewAuditEntry {
    /// What is done.
    pub action: AuditAction,
    /// What it is about, in a few words; longer texts are cut.
    pub subject: String,
    /// The name of its batch.
    pub batch: Option<String>,
    /// The key of its row.
    pub key: Option<String>,
    /// The hash of the plan or of the sheet that it is about.
    pub hash: Option<String>,
    /// What is approved, in credits.
    pub credits: Option<f64>,
    /// Why.
    pub reason: Option<String>,
    /// Who does it.
    pub source: AuditSource,
    /// How it ended; `None` for what has only begun.
    pub end: Option<AuditEnd>,
}

/// How something ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEnd {
    /// The outcome.
    pub outcome: RequestOutcome,
    /// What happened, in one sentence.
    pub message: Option<String>,
    /// The run that began.
    pub run: Option<i64>,
}

impl AuditEnd {
    /// Something that was done at once.
    pub fn done() -> Self {
        Self { outcome: RequestOutcome::Done, message: None, run: None }
    }

    /// Something that changed nothing, for a reason.
    pub fn without_effect(outcome: RequestOutcome, message: impl Into<String>) -> Self {
        Self { outcome, message: Some(message.into()), run: None }
    }
}

impl NewAuditEntry {
    /// Something that was done at once.
    pub fn new(action: AuditAction, subject: impl Into<String>, source: AuditSource) -> Self {
        Self {
            action,
            subject: subject.into(),
            batch: None,
            key: None,
            hash: None,
            credits: None,
            reason: None,
            source,
            end: Some(AuditEnd::done()),
        }
    }

    /// Returns it with its batch.
    pub fn with_batch(mut self, batch: &str) -> Self {
        self.batch = Some(batch.to_owned());
        self
    }
}

/// A recorded entry.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct AuditEntry {
    /// What was done.
    pub action: AuditAction,
    /// What it was about, in a few words.
    pub subject: String,
    /// The name of its batch.
    pub batch: Option<String>,
    /// The key of its row.
    pub key: Option<String>,
    /// The hash of the plan, of the sheet or of the video that it was about.
    pub hash: Option<String>,
    /// What was approved, in credits.
    pub credits: Option<f64>,
    /// Who did it: `cli:USER@HOST`, `user:NAME` or `share:LABEL (NAME)`.
    pub requester: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    #[sqlx(try_from = "StoredTime")]
    pub at: Timestamp,
    /// The run that began.
    pub run_id: Option<i64>,
    /// When it ended.
    #[sqlx(try_from = "StoredTime")]
    pub done_at: Option<Timestamp>,
    /// How it ended; `None` while it waits.
    pub outcome: Option<RequestOutcome>,
    /// What happened, in one sentence.
    #[sqlx(rename = "words")]
    pub message: Option<String>,
}

impl AuditEntry {
    /// Returns its state in one word: its outcome, or `waiting`.
    pub fn status(&self) -> &'static str {
        self.outcome.map_or("waiting", RequestOutcome::as_str)
    }
}

//! Operator requests: what can be asked for, by which requester, and what came of it.
//!
//! Plain data. How a request is carried out is decided by `write::operator_request`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

use crate::ledger::model::job_ranges::JobRanges;
use crate::ledger::model::job_update::JobUpdate;
use crate::ledger::model::state::JobState;
use crate::ledger::store::decode_column::{decode_column, parse_stored};
use crate::ledger::write::staging::JobSelection;

/// The kind of action that an operator requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum OperatorAction {
    /// Failed and cancelled jobs become due again.
    Retry,
    /// Jobs that are not submitted yet are not submitted.
    Cancel,
    /// One uncertain job is decided.
    Resolve,
    /// Finished videos are downloaded again, free of charge.
    DownloadAgain,
    /// Nothing new is submitted.
    Pause,
    /// Submitting continues.
    Unpause,
    /// The live run finishes its open requests and ends.
    Stop,
}

impl OperatorAction {
    /// Returns its text in the ledger and in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the action with this text.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// The jobs that an action applies to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetFilter {
    /// Only these keys; all when empty.
    pub keys: Vec<String>,
    /// Only this cause, as reports show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// Only jobs in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
    /// Only the jobs of this selection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selection: Option<JobSelection>,
}

/// The operator's decision about an uncertain job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "kebab-case")]
pub enum UncertainDecision {
    /// It was accepted, according to evidence.
    Accepted {
        /// The project as made.
        project_id: String,
        /// The project as rendered, if that is another one.
        render_id: Option<String>,
    },
    /// It was accepted as this project, according to the operator.
    Adopt {
        /// The project.
        project_id: String,
    },
    /// It was not accepted: it is submitted again, and paid for.
    NotSubmitted,
    /// It is given up, and may have been paid for.
    Abandon,
}

/// What is asked about one uncertain job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobResolution {
    /// The job's key.
    pub key: String,
    /// The decision.
    #[serde(flatten)]
    pub decision: UncertainDecision,
    /// The sentence for the job's history.
    pub message: String,
}

impl JobResolution {
    /// Returns the update that the decision means.
    pub(in crate::ledger) fn job_update(&self, due_at: Timestamp) -> JobUpdate {
        let message = self.message.clone();
        match &self.decision {
            UncertainDecision::Accepted { project_id, render_id } => {
                let (project_id, render_id) = (project_id.clone(), render_id.clone());
                JobUpdate::Accepted { project_id, render_id, due_at, message }
            }
            UncertainDecision::Adopt { project_id } => {
                let (project_id, render_id) = (project_id.clone(), None);
                JobUpdate::Accepted { project_id, render_id, due_at, message }
            }
            UncertainDecision::NotSubmitted => JobUpdate::ProvenAbsent { due_at, message },
            UncertainDecision::Abandon => JobUpdate::Abandoned { message },
        }
    }
}

/// An action with what it applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedAction {
    /// See [`OperatorAction::Retry`].
    Retry(TargetFilter),
    /// See [`OperatorAction::Cancel`].
    Cancel(TargetFilter),
    /// See [`OperatorAction::Resolve`].
    Resolve(JobResolution),
    /// See [`OperatorAction::DownloadAgain`].
    DownloadAgain(TargetFilter),
    /// See [`OperatorAction::Pause`].
    Pause,
    /// See [`OperatorAction::Unpause`].
    Unpause,
    /// See [`OperatorAction::Stop`].
    Stop,
}

impl RequestedAction {
    /// Returns its kind.
    pub fn kind(&self) -> OperatorAction {
        match self {
            Self::Retry(_) => OperatorAction::Retry,
            Self::Cancel(_) => OperatorAction::Cancel,
            Self::Resolve(_) => OperatorAction::Resolve,
            Self::DownloadAgain(_) => OperatorAction::DownloadAgain,
            Self::Pause => OperatorAction::Pause,
            Self::Unpause => OperatorAction::Unpause,
            Self::Stop => OperatorAction::Stop,
        }
    }

    /// Returns what it applies to, as JSON.
    pub(in crate::ledger) fn target_json(&self) -> String {
        let json = match self {
            Self::Retry(filter) | Self::Cancel(filter) | Self::DownloadAgain(filter) => {
                serde_json::to_string(filter)
            }
            Self::Resolve(resolution) => serde_json::to_string(resolution),
            Self::Pause | Self::Unpause | Self::Stop => Ok("{}".to_owned()),
        };
        // Texts, numbers and lists of texts always have a JSON form.
        json.unwrap_or_else(|_| "{}".to_owned())
    }

    /// Parses a stored action; `None` if no run carries out such a request.
    pub(in crate::ledger) fn parse(kind: OperatorAction, target: &str) -> Option<Self> {
        let filter = || serde_json::from_str::<TargetFilter>(target).ok();
        match kind {
            OperatorAction::Retry => filter().map(Self::Retry),
            OperatorAction::Cancel => filter().map(Self::Cancel),
            OperatorAction::DownloadAgain => filter().map(Self::DownloadAgain),
            OperatorAction::Resolve => serde_json::from_str(target).ok().map(Self::Resolve),
            OperatorAction::Pause => Some(Self::Pause),
            OperatorAction::Unpause => Some(Self::Unpause),
            OperatorAction::Stop => Some(Self::Stop),
        }
    }
}

/// The set that a requester was shown, and confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSet {
    /// The hash of the set with its effects.
    pub hash: String,
    /// Its jobs, to name the difference.
    pub jobs: JobRanges,
}

/// A request as it is made.
#[derive(Clone, Debug)]
pub struct NewOperatorRequest {
    /// What is asked for.
    pub action: RequestedAction,
    /// The set that was shown. Without one, the request is for whatever matches.
    pub shown: Option<ShownSet>,
    /// `cli:USER@HOST`, `user:NAME` or `share:LABEL`.
    pub requester: String,
    /// The requester's reason.
    pub reason: Option<String>,
    /// The same request sent twice has the same token, and is one request.
    pub token: Option<String>,
    /// The assumed cost of a started minute of speech.
    pub credits_per_minute: f64,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum RequestOutcome {
    /// It was carried out.
    Done,
    /// Nothing was changed: the set is no longer the one that was shown, or the facts contradict it.
    Refused,
    /// It could not be carried out.
    Failed,
    /// No run carried it out in time, or its requester withdrew it.
    Expired,
}

decode_column!(RequestOutcome, String, parse_stored);

impl RequestOutcome {
    /// Returns its text in the ledger and in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Returns the outcome with this text.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A recorded request.
#[derive(Clone, Debug, PartialEq)]
pub struct OperatorRequest {
    /// Its number.
    pub id: i64,
    /// The batch's name.
    pub batch: String,
    /// The kind of action.
    pub action: OperatorAction,
    /// What it applies to, as JSON.
    pub target: String,
    /// The number of its jobs.
    pub job_count: u64,
    /// Those of them that may be paid for.
    pub paid_count: u64,
    /// The estimate for those, in credits.
    pub credits: f64,
    /// The hash of the set with its effects.
    pub set_hash: String,
    /// Who made it.
    pub requester: String,
    /// Why.
    pub reason: Option<String>,
    /// When it was made.
    pub requested_at: Timestamp,
    /// The run that carried it out.
    pub run_id: Option<i64>,
    /// When it ended.
    pub done_at: Option<Timestamp>,
    /// How it ended; `None` while it waits.
    pub outcome: Option<RequestOutcome>,
    /// What happened, in one sentence.
    pub message: Option<String>,
}

impl OperatorRequest {
    /// Returns whether a pause or its end changed anything.
    pub fn changed_pause(&self) -> bool {
        matches!(self.message.as_deref(), Some("paused" | "unpaused"))
    }

    /// Returns what was asked for; `None` if it is not an action of a run.
    pub fn requested_action(&self) -> Option<RequestedAction> {
        RequestedAction::parse(self.action, &self.target)
    }

    /// Returns its state in one word: its outcome, or `waiting`.
    pub fn status(&self) -> &'static str {
        self.outcome.map_or("waiting", RequestOutcome::as_str)
    }
}

#[cfg(test)]
mod tests {
    use crate::ledger::model::operator_request::*;

    #[test]
    fn stored_actions_are_parsed_from_their_own_text() {
        let filter = TargetFilter {
            keys: vec!["ä \"1\"".to_owned()],
            cause: Some("refused".to_owned()),
            state: Some(JobState::Failed),
            selection: None,
        };
        let resolution = |decision| JobResolution {
            key: "k1".to_owned(),
            decision,
            message: "seen in the account".to_owned(),
        };
        let project_id = "p".to_owned();
        let render_id = Some("r".to_owned());
        let accepted = UncertainDecision::Accepted { project_id: project_id.clone(), render_id };
        for action in [
            RequestedAction::Retry(filter.clone()),
            RequestedAction::Cancel(TargetFilter::default()),
            RequestedAction::DownloadAgain(filter),
            RequestedAction::Resolve(resolution(accepted)),
            RequestedAction::Resolve(resolution(UncertainDecision::Adopt { project_id })),
            RequestedAction::Resolve(resolution(UncertainDecision::NotSubmitted)),
            RequestedAction::Resolve(resolution(UncertainDecision::Abandon)),
            RequestedAction::Pause,
            RequestedAction::Unpause,
            RequestedAction::Stop,
        ] {
            let kind = OperatorAction::parse(action.kind().as_str()).unwrap();
            assert_eq!(RequestedAction::parse(kind, &action.target_json()), Some(action));
        }
        assert_eq!(RequestedAction::parse(OperatorAction::Retry, "{\"rows\":[]}"), None);
        assert_eq!(OperatorAction::parse("start"), None);
    }
}

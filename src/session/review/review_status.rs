//! What waits for review in a batch, and which videos were not handed over: for the status, the next step
//! and the end of a run.

use std::path::Path;

use serde_json::{Value, json};

use crate::batch;
use crate::batch::ReviewSettings;
use crate::ledger::{
    BatchRow, DeliveryCounts, Ledger, LedgerError, ReviewCounts, SampleGateVideo, VerdictKind,
};
use crate::session::review::review_json::counts_json;

/// Keys that a message names.
const KEYS_NAMED_MAX: usize = 5;

/// The review of a batch that has any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReviewStatus {
    settings: ReviewSettings,
    pub(crate) counts: ReviewCounts,
    sample: Option<SampleStatus>,
    /// Set if the batch file has `[on_done]`.
    pub(crate) deliveries: Option<DeliveryCounts>,
}

/// The sample of a batch with a sample gate.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SampleStatus {
    wanted: u64,
    videos: Vec<SampleGateVideo>,
}

impl SampleStatus {
    fn keys(&self, is_member: impl Fn(Option<VerdictKind>) -> bool) -> Vec<&str> {
        let members = self.videos.iter().filter(|video| is_member(video.verdict));
        members.map(|video| video.key.as_str()).collect()
    }

    fn is_approved(&self) -> bool {
        self.keys(|verdict| verdict == Some(VerdictKind::Approved)).len() as u64 >= self.wanted
    }

    fn waiting(&self) -> Vec<&str> {
        self.keys(|verdict| verdict.is_none())
    }

    fn objected(&self) -> Vec<&str> {
        self.keys(|verdict| verdict.is_some_and(VerdictKind::has_to_be_explained))
    }
}

impl ReviewStatus {
    /// Reads the review of a batch; `None` if it has none.
    pub(crate) async fn read(
        ledger: &Ledger,
        batch: &BatchRow,
    ) -> Result<Option<Self>, LedgerError> {
        let stored = ledger.batch(&batch.name).await?;
        let parsed = batch::parse(Path::new(&stored.file), stored.source).ok();
        let settings = parsed.as_ref().map(|batch| batch.review).unwrap_or_default();
        let has_hook = parsed.as_ref().is_some_and(|batch| batch.on_done.is_some());
        let is_used = settings != ReviewSettings::default() || has_hook;
        if !is_used && !ledger.has_verdicts(batch.id).await? {
            return Ok(None);
        }
        let wanted = parsed.map_or(0, |batch| u64::from(batch.limits.canary));
        let sample = match settings.sample {
            true => {
                Some(SampleStatus { wanted, videos: ledger.sample_gate_videos(batch.id).await? })
            }
            false => None,
        };
        let deliveries = match has_hook {
            true => Some(ledger.delivery_counts(batch.id, settings.required).await?),
            false => None,
        };
        let counts = ledger.review_counts(batch.id).await?;
        Ok(Some(Self { settings, counts, sample, deliveries }))
    }

    /// Returns the sample while it is not approved.
    fn closed_sample(&self) -> Option<&SampleStatus> {
        self.sample.as_ref().filter(|sample| !sample.is_approved())
    }

    /// Returns whether videos of the sample wait for a verdict, and the others for them.
    pub(crate) fn is_sample_waiting(&self) -> bool {
        self.closed_sample().is_some_and(|sample| !sample.waiting().is_empty())
    }

    /// Returns whether a video of the sample has to be made again before the others are submitted.
    pub(crate) fn is_sample_objected(&self) -> bool {
        self.closed_sample().is_some_and(|sample| !sample.objected().is_empty())
    }

    /// Returns the videos that are not handed over before they are approved.
    pub(crate) fn count_waiting_for_approval(&self) -> u64 {
        if self.settings.required { self.counts.waiting } else { 0 }
    }

    /// Returns the videos that the next run hands over.
    pub(crate) fn count_undelivered(&self) -> u64 {
        self.deliveries.map_or(0, |deliveries| deliveries.waiting + deliveries.failed)
    }

    /// Returns what the user can know about the review, one line each.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some(sample) = self.closed_sample() {
            let (waiting, objected) = (sample.waiting(), sample.objected());
            if !waiting.is_empty() {
                remarks.push(format!("the sample waits for approval: {}", name_keys(&waiting)));
            }
            if !objected.is_empty() {
                let keys = name_keys(&objected);
                remarks.push(format!("the sample is not approved; to be made again: {keys}"));
            }
        }
        let ReviewCounts { waiting, approved, rejected, changes } = self.counts;
        let all = [
            (waiting, "not reviewed"),
            (approved, "approved"),
            (rejected, "rejected"),
            (changes, "changes requested"),
        ];
        let shown = all.into_iter().filter(|(videos, _)| *videos > 0);
        let shown: Vec<_> = shown.map(|(videos, label)| format!("{videos} {label}")).collect();
        if !shown.is_empty() {
            remarks.push(format!("review: {}", shown.join(", ")));
        }
        remarks.extend(self.deliveries.and_then(describe_deliveries));
        remarks
    }

    /// Returns the review as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let sample = self.sample.as_ref().map(|sample| {
            json!({
                "videos": sample.wanted,
                "approved": sample.is_approved(),
                "waiting": sample.waiting(),
                "objected": sample.objected(),
            })
        });
        let deliveries = self.deliveries.map(|counts| {
            json!({ "waiting": counts.waiting, "failed": counts.failed, "done": counts.done })
        });
        json!({
            "required": self.settings.required,
            "counts": counts_json(&self.counts),
            "sample": sample,
            "deliveries": deliveries,
        })
    }
}

fn name_keys(keys: &[&str]) -> String {
    let named = keys.iter().take(KEYS_NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    match keys.len().saturating_sub(KEYS_NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

fn describe_deliveries(counts: DeliveryCounts) -> Option<String> {
    let DeliveryCounts { waiting, failed, done } = counts;
    let all = [(done, "handed over"), (waiting, "to be handed over"), (failed, "failed")];
    let shown = all.into_iter().filter(|(videos, _)| *videos > 0);
    let shown: Vec<_> = shown.map(|(videos, label)| format!("{videos} {label}")).collect();
    (!shown.is_empty()).then(|| format!("`[on_done]`: {}", shown.join(", ")))
}

//! Where a batch stands: everything that is counted of it, how fast it goes, and what to type next.
//!
//! Every row of the sheet is in exactly one of the counts; jobs whose row left the sheet are told
//! apart from them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::cli::commands::runs;
use crate::cli::output::time_format;
use crate::cli::output::time_format::{format_dead_run_duration, format_elapsed, format_local};
use crate::clock::Clock;
use crate::ledger::{BatchId, BatchRow, JobState, Ledger, RunEnding, RunWithBatch, SpendingTotals};
use crate::runner::lock_holder;
use crate::session::attention;
use crate::session::attention::AttentionGroup;
use crate::session::locked_batch::ledger_error;
use crate::session::next_steps::CommandHints;
use crate::session::open_batch::CommandError;
use crate::text::pluralize;

/// A batch and everything that is counted of it.
pub(crate) struct BatchStatus {
    pub(crate) batch: BatchRow,
    pub(crate) counts: BTreeMap<JobState, u64>,
    pub(crate) removed: BTreeMap<JobState, u64>,
    pub(crate) invalid: u64,
    pub(crate) skipped: u64,
    /// Ready jobs whose draft AI Studios is still making.
    pub(crate) generating: u64,
    /// What paid requests came to.
    pub(crate) spending: SpendingTotals,
    /// How fast it goes, or went.
    pub(crate) throughput: Option<Throughput>,
    pub(crate) last_run: Option<RunWithBatch>,
    /// Who drives it at this moment.
    pub(crate) live_holder: Option<String>,
    pub(crate) attention_groups: Vec<AttentionGroup>,
    pub(crate) commands: CommandHints,
}

/// Videos that were done in the last hour of a run, or in all of it when it is shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Throughput {
    pub(crate) videos: u64,
    pub(crate) span_ms: i64,
}

/// What "lately" means.
const HOUR_MS: i64 = 3_600_000;
/// What a run must last before its tempo is put into videos an hour.
const PER_HOUR_MIN_MS: i64 = 60_000;

impl Throughput {
    async fn read(
        ledger: &Ledger,
        batch: BatchId,
        run: &RunWithBatch,
        live: bool,
    ) -> Result<Option<Self>, CommandError> {
        let run = &run.run;
        let ended = run.ended_at.unwrap_or(run.heartbeat_at);
        let end = if live { Clock::real().now().as_millisecond() } else { ended };
        let begin = run.started_at.max(end - HOUR_MS);
        let videos = ledger.count_done_between(batch, begin, end).await.map_err(ledger_error)?;
        Ok((videos > 0).then_some(Self { videos, span_ms: (end - begin).max(1) }))
    }

    /// Returns how many that are in an hour.
    pub(crate) fn per_hour(self) -> f64 {
        self.videos as f64 * HOUR_MS as f64 / self.span_ms as f64
    }

    /// Returns it as a person reads it; of a few seconds nobody wants to hear what an hour would bring.
    pub(crate) fn describe(self) -> String {
        let told =
            format!("{} in {}", pluralize(self.videos, "video"), format_elapsed(0, self.span_ms));
        match self.span_ms < PER_HOUR_MIN_MS {
            true => told,
            false => format!("{:.0} videos an hour ({told})", self.per_hour()),
        }
    }
}

/// Runs that are looked through for the last one that drove the batch.
const RUNS_READ_MAX: u32 = 50;

async fn read_last_run(
    ledger: &Ledger,
    batch: BatchId,
) -> Result<Option<RunWithBatch>, CommandError> {
    let runs = ledger.runs(Some(batch), RUNS_READ_MAX).await.map_err(ledger_error)?;
    // What a person did in between drove nothing.
    let drove =
        |of: &RunWithBatch| !matches!(of.run.ending, Some(RunEnding::ByHand | RunEnding::NotBegun));
    Ok(runs.into_iter().find(drove))
}

impl BatchStatus {
    /// Reads it.
    pub(crate) async fn read(
        ledger: &Ledger,
        batch: BatchRow,
        commands: CommandHints,
    ) -> Result<Self, CommandError> {
        let id = batch.id;
        let invalid = ledger.count_invalid(id).await.map_err(ledger_error)?;
        let last_run = read_last_run(ledger, id).await?;
        let live = lock_holder(ledger.path(), &batch.name);
        let tempo = match &last_run {
            Some(run) => Throughput::read(ledger, id, run, live.is_some()).await?,
            None => None,
        };
        Ok(Self {
            counts: ledger.state_counts(id).await.map_err(ledger_error)?,
            removed: ledger.removed_state_counts(id).await.map_err(ledger_error)?,
            spending: ledger.batch_spending(id).await.map_err(ledger_error)?,
            last_run,
            live_holder: live,
            throughput: tempo,
            attention_groups: attention::group_rows(
                ledger.attention_counts(id).await.map_err(ledger_error)?,
                invalid,
            ),
            invalid,
            generating: ledger.count_generating(id).await.map_err(ledger_error)?,
            skipped: ledger.count_skipped(id).await.map_err(ledger_error)?,
            batch,
            commands,
        })
    }

    pub(crate) fn count_in_state(&self, state: JobState) -> u64 {
        self.counts.get(&state).copied().unwrap_or(0)
    }

    pub(crate) fn count_done(&self) -> u64 {
        self.count_in_state(JobState::Done) + self.count_in_state(JobState::Reused)
    }

    pub(crate) fn count_open(&self) -> u64 {
        [JobState::Ready, JobState::Submitting, JobState::Rendering, JobState::Fetching]
            .into_iter()
            .map(|state| self.count_in_state(state))
            .sum()
    }

    /// Jobs that AI Studios has not accepted yet, and that nobody else needs to act on.
    pub(crate) fn count_waiting(&self) -> u64 {
        self.count_in_state(JobState::Ready) + self.count_in_state(JobState::Submitting)
    }

    pub(crate) fn count_rows(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.invalid + self.skipped
    }

    pub(crate) fn count_stalled(&self) -> u64 {
        let stalled = self
            .attention_groups
            .iter()
            .filter(|trouble| trouble.state == Some(JobState::Rendering));
        stalled.map(|trouble| trouble.jobs).sum()
    }

    /// Returns the command to type next; nothing when all is done, or is being done.
    pub(crate) fn next_command(&self) -> Option<String> {
        if self.batch.paused {
            Some(self.commands.unpause_command())
        } else if self.live_holder.is_some() {
            None
        } else if self.count_in_state(JobState::Failed) + self.invalid > 0 {
            // It names the command for each reason; a run alone would mend none of them.
            Some(self.commands.status_command())
        } else if self.count_open() > 0 || self.count_in_state(JobState::Uncertain) > 0 {
            Some(self.commands.run_command())
        } else {
            None
        }
    }

    /// Says what there is to do while a run is live.
    pub(crate) fn live_hint(&self) -> String {
        let failed = self.count_in_state(JobState::Failed) + self.invalid;
        if failed == 0 {
            return "nothing to do but to wait".to_owned();
        }
        format!("nothing to do yet; why {failed} need somebody: {}", self.commands.status_command())
    }

    /// Says when it was last driven, by whom, and how that ended.
    pub(crate) fn last_run_summary(&self) -> String {
        if let Some(holder) = &self.live_holder {
            return format!("a run is live ({holder})");
        }
        let Some(of) = &self.last_run else { return "planned, never run".to_owned() };
        let run = &of.run;
        let ended = run.ended_at.unwrap_or(run.heartbeat_at);
        let began = format_local(run.started_at);
        let submitted = pluralize(run.submitted.unsigned_abs(), "paid request");
        let (took, ending) = match run.ending {
            Some(RunEnding::Died) | None => (
                format_dead_run_duration(run.started_at, run.heartbeat_at),
                "died (killed, or the power went)",
            ),
            Some(ending) => (format_elapsed(run.started_at, ended), ending.as_str()),
        };
        format!(
            "last run {began}, {took}, {submitted}, {ending}; process {} on {}",
            run.pid, run.host
        )
    }

    /// Says what paid requests came to.
    fn describe_spending(&self) -> Option<String> {
        let SpendingTotals { requests, estimated, heard_of, heard } = self.spending;
        let asked = pluralize(requests.unsigned_abs(), "paid request");
        let all = format!("about {} for {asked}", format_credits(estimated));
        match (requests, heard_of) {
            (0, _) => None,
            (_, 0) => Some(format!("{all}, as far as can be estimated")),
            _ => Some(format!("{all}; AI Studios said {heard} for {heard_of} of them")),
        }
    }

    /// Says what there is to say beside the counts.
    pub(crate) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.batch.paused {
            remarks.push("paused by a person: nothing is submitted".to_owned());
        }
        if self.generating > 0 {
            let jobs = pluralize(self.generating, "job");
            remarks.push(format!("{jobs} still being written by AI Studios, and rendered then"));
        }
        let removed: u64 = self.removed.values().sum();
        if removed > 0 {
            let each: Vec<_> =
                self.removed.iter().map(|(state, jobs)| format!("{jobs} {state}")).collect();
            let jobs = pluralize(removed, "job");
            remarks
                .push(format!("{jobs} not counted, whose row left the sheet: {}", each.join(", ")));
        }
        remarks.extend(self.describe_spending());
        remarks.extend(self.throughput.map(Throughput::describe));
        remarks
    }

    pub(crate) fn to_json(&self, ledger: &Ledger) -> Value {
        let words = |counts: &BTreeMap<JobState, u64>| -> Map<String, Value> {
            let jobs = |state| json!(counts.get(&state).copied().unwrap_or(0));
            JobState::ALL.iter().map(|&state| (state.as_str().to_owned(), jobs(state))).collect()
        };
        let troubles: Vec<_> =
            self.attention_groups.iter().map(|trouble| trouble.to_json(&self.commands)).collect();
        json!({
            "batch": self.batch.name,
            "file": self.batch.file,
            "base_url": self.batch.base_url,
            "rows": self.count_rows(),
            "counts": words(&self.counts),
            "invalid": self.invalid,
            "skipped": self.skipped,
            "stalled": self.count_stalled(),
            "generating": self.generating,
            "removed": words(&self.removed),
            "credits": (self.spending.heard_of > 0).then_some(self.spending.heard),
            "spent": {
                "requests": self.spending.requests,
                "estimated": self.spending.estimated,
                "observed": (self.spending.heard_of > 0).then_some(self.spending.heard),
                "observed_of": self.spending.heard_of,
            },
            "tempo": self.throughput.map(|tempo| json!({
                "videos": tempo.videos,
                "seconds": tempo.span_ms as f64 / 1000.0,
                "per_hour": tempo.per_hour(),
            })),
            "paused": self.batch.paused,
            "planned": self.batch.planned_at.map(time_format::format_rfc3339),
            "live": self.live_holder,
            "last_run": self.last_run.as_ref().map(|of| runs::run_json(of, ledger)),
            "troubles": troubles,
            "next": self.next_command(),
        })
    }
}

/// Returns so many credits as a person reads them.
pub(crate) fn format_credits(credits: f64) -> String {
    let rounded = (credits * 10.0).round() / 10.0;
    if rounded == 1.0 { "1 credit".to_owned() } else { format!("{rounded} credits") }
}

#[cfg(test)]
mod tests {
    use crate::session::batch_status::*;

    #[test]
    fn a_run_of_seconds_is_not_put_into_videos_an_hour() {
        let told = |videos, span_ms| Throughput { videos, span_ms }.describe();
        assert_eq!(told(12, 5_000), "12 videos in 5 s");
        assert_eq!(told(12, 59_999), "12 videos in 59 s");
        assert_eq!(told(1, 60_000), "60 videos an hour (1 video in 60 s)");
        assert_eq!(told(30, 2_700_000), "40 videos an hour (30 videos in 45 min)");
    }
}

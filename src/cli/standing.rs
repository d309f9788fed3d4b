//! Where a batch stands: everything that is counted of it, how fast it goes, and what to type next.
//!
//! Every row of the sheet is in exactly one of the counts; jobs whose row left the sheet are told
//! apart from them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::advice::Commands;
use super::drive::Early;
use super::hold::unexpected;
use super::moment::{self, lasted, lived, local};
use super::runs;
use super::talk::counted;
use super::troubles::{self, Trouble};
use crate::clock::Clock;
use crate::ledger::{BatchId, BatchRow, Ledger, RunOf, Spent, State};
use crate::runner::holder_of;

/// A batch and everything that is counted of it.
pub(super) struct Standing {
    pub(super) batch: BatchRow,
    pub(super) counts: BTreeMap<State, u64>,
    pub(super) removed: BTreeMap<State, u64>,
    pub(super) invalid: u64,
    pub(super) skipped: u64,
    /// Ready jobs whose draft AI Studios is still making.
    pub(super) generating: u64,
    /// What paid requests came to.
    pub(super) spent: Spent,
    /// How fast it goes, or went.
    pub(super) tempo: Option<Tempo>,
    pub(super) last_run: Option<RunOf>,
    /// Who drives it at this moment.
    pub(super) live: Option<String>,
    pub(super) troubles: Vec<Trouble>,
    pub(super) commands: Commands,
}

/// Videos that were done in the last hour of a run, or in all of it when it is shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tempo {
    pub(super) videos: u64,
    pub(super) span_ms: i64,
}

/// What "lately" means.
const LATELY_MS: i64 = 3_600_000;
/// What a run must last before its tempo is put into videos an hour.
const TELLING_MS: i64 = 60_000;

impl Tempo {
    async fn read(
        ledger: &Ledger,
        batch: BatchId,
        run: &RunOf,
        live: bool,
    ) -> Result<Option<Self>, Early> {
        let run = &run.run;
        let ended = run.ended_at.unwrap_or(run.heartbeat_at);
        let end = if live { Clock::real().now().as_millisecond() } else { ended };
        let begin = run.started_at.max(end - LATELY_MS);
        let videos = ledger.done_between(batch, (begin, end)).await.map_err(unexpected)?;
        Ok((videos > 0).then_some(Self { videos, span_ms: (end - begin).max(1) }))
    }

    /// Returns how many that are in an hour.
    pub(super) fn per_hour(self) -> f64 {
        self.videos as f64 * LATELY_MS as f64 / self.span_ms as f64
    }

    /// Returns it as a person reads it; of a few seconds nobody wants to hear what an hour would bring.
    pub(super) fn told(self) -> String {
        let told = format!("{} in {}", counted(self.videos, "video"), lasted(0, self.span_ms));
        match self.span_ms < TELLING_MS {
            true => told,
            false => format!("{:.0} videos an hour ({told})", self.per_hour()),
        }
    }
}

/// Runs that are looked through for the last one that drove the batch.
const RUNS_READ: u32 = 50;

async fn last_run(ledger: &Ledger, batch: BatchId) -> Result<Option<RunOf>, Early> {
    let runs = ledger.runs(Some(batch), RUNS_READ).await.map_err(unexpected)?;
    // What a person did in between drove nothing.
    let drove = |of: &RunOf| !matches!(of.run.ending.as_deref(), Some("by hand" | "not begun"));
    Ok(runs.into_iter().find(drove))
}

impl Standing {
    /// Reads it.
    pub(super) async fn read(
        ledger: &Ledger,
        batch: BatchRow,
        commands: Commands,
    ) -> Result<Self, Early> {
        let id = batch.id;
        let invalid = ledger.count_invalid(id).await.map_err(unexpected)?;
        let last_run = last_run(ledger, id).await?;
        let live = holder_of(ledger.path(), &batch.name);
        let tempo = match &last_run {
            Some(run) => Tempo::read(ledger, id, run, live.is_some()).await?,
            None => None,
        };
        Ok(Self {
            counts: ledger.counts(id).await.map_err(unexpected)?,
            removed: ledger.counts_removed(id).await.map_err(unexpected)?,
            spent: ledger.spent_on(id).await.map_err(unexpected)?,
            last_run,
            live,
            tempo,
            troubles: troubles::of(ledger.reasons(id).await.map_err(unexpected)?, invalid),
            invalid,
            generating: ledger.count_generating(id).await.map_err(unexpected)?,
            skipped: ledger.count_skipped(id).await.map_err(unexpected)?,
            batch,
            commands,
        })
    }

    pub(super) fn jobs(&self, state: State) -> u64 {
        self.counts.get(&state).copied().unwrap_or(0)
    }

    pub(super) fn done(&self) -> u64 {
        self.jobs(State::Done) + self.jobs(State::Reused)
    }

    pub(super) fn open(&self) -> u64 {
        [State::Ready, State::Submitting, State::Rendering, State::Fetching]
            .into_iter()
            .map(|state| self.jobs(state))
            .sum()
    }

    /// Jobs that AI Studios has not accepted yet, and that nobody else needs to act on.
    pub(super) fn waiting(&self) -> u64 {
        self.jobs(State::Ready) + self.jobs(State::Submitting)
    }

    pub(super) fn rows(&self) -> u64 {
        self.counts.values().sum::<u64>() + self.invalid + self.skipped
    }

    pub(super) fn stalled(&self) -> u64 {
        let stalled =
            self.troubles.iter().filter(|trouble| trouble.state == Some(State::Rendering));
        stalled.map(|trouble| trouble.jobs).sum()
    }

    /// Returns the command to type next; nothing when all is done, or is being done.
    pub(super) fn next(&self) -> Option<String> {
        if self.batch.paused {
            Some(self.commands.unpause())
        } else if self.live.is_some() {
            None
        } else if self.jobs(State::Failed) + self.invalid > 0 {
            // It names the command for each reason; a run alone would mend none of them.
            Some(self.commands.status())
        } else if self.open() > 0 || self.jobs(State::Uncertain) > 0 {
            Some(self.commands.run())
        } else {
            None
        }
    }

    /// Says what there is to do while a run is live.
    pub(super) fn meanwhile(&self) -> String {
        let failed = self.jobs(State::Failed) + self.invalid;
        if failed == 0 {
            return "nothing to do but to wait".to_owned();
        }
        format!("nothing to do yet; why {failed} need somebody: {}", self.commands.status())
    }

    /// Says when it was last driven, by whom, and how that ended.
    pub(super) fn history(&self) -> String {
        if let Some(holder) = &self.live {
            return format!("a run is live ({holder})");
        }
        let Some(of) = &self.last_run else { return "planned, never run".to_owned() };
        let run = &of.run;
        let ended = run.ended_at.unwrap_or(run.heartbeat_at);
        let began = local(run.started_at);
        let submitted = counted(run.submitted.unsigned_abs(), "paid request");
        let (took, ending) = match run.ending.as_deref() {
            Some("died") | None => {
                (lived(run.started_at, run.heartbeat_at), "died (killed, or the power went)")
            }
            Some(ending) => (lasted(run.started_at, ended), ending),
        };
        format!(
            "last run {began}, {took}, {submitted}, {ending}; process {} on {}",
            run.pid, run.host
        )
    }

    /// Says what paid requests came to.
    fn spent_told(&self) -> Option<String> {
        let Spent { requests, estimated, heard_of, heard } = self.spent;
        let asked = counted(requests.unsigned_abs(), "paid request");
        let all = format!("about {} for {asked}", credits(estimated));
        match (requests, heard_of) {
            (0, _) => None,
            (_, 0) => Some(format!("{all}, as far as can be estimated")),
            _ => Some(format!("{all}; AI Studios said {heard} for {heard_of} of them")),
        }
    }

    /// Says what there is to say beside the counts.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.batch.paused {
            remarks.push("paused by a person: nothing is submitted".to_owned());
        }
        if self.generating > 0 {
            let jobs = counted(self.generating, "job");
            remarks.push(format!("{jobs} still being written by AI Studios, and rendered then"));
        }
        let removed: u64 = self.removed.values().sum();
        if removed > 0 {
            let each: Vec<_> =
                self.removed.iter().map(|(state, jobs)| format!("{jobs} {state}")).collect();
            let jobs = counted(removed, "job");
            remarks
                .push(format!("{jobs} not counted, whose row left the sheet: {}", each.join(", ")));
        }
        remarks.extend(self.spent_told());
        remarks.extend(self.tempo.map(Tempo::told));
        remarks
    }

    pub(super) fn document(&self, ledger: &Ledger) -> Value {
        let words = |counts: &BTreeMap<State, u64>| -> Map<String, Value> {
            let jobs = |state| json!(counts.get(&state).copied().unwrap_or(0));
            State::ALL.into_iter().map(|state| (state.word().to_owned(), jobs(state))).collect()
        };
        let troubles: Vec<_> =
            self.troubles.iter().map(|trouble| trouble.document(&self.commands)).collect();
        json!({
            "batch": self.batch.name,
            "file": self.batch.file,
            "base_url": self.batch.base_url,
            "rows": self.rows(),
            "counts": words(&self.counts),
            "invalid": self.invalid,
            "skipped": self.skipped,
            "stalled": self.stalled(),
            "generating": self.generating,
            "removed": words(&self.removed),
            "credits": (self.spent.heard_of > 0).then_some(self.spent.heard),
            "spent": {
                "requests": self.spent.requests,
                "estimated": self.spent.estimated,
                "observed": (self.spent.heard_of > 0).then_some(self.spent.heard),
                "observed_of": self.spent.heard_of,
            },
            "tempo": self.tempo.map(|tempo| json!({
                "videos": tempo.videos,
                "seconds": tempo.span_ms as f64 / 1000.0,
                "per_hour": tempo.per_hour(),
            })),
            "paused": self.batch.paused,
            "planned": self.batch.planned_at.map(moment::iso),
            "live": self.live,
            "last_run": self.last_run.as_ref().map(|of| runs::document(of, ledger)),
            "troubles": troubles,
            "next": self.next(),
        })
    }
}

/// Returns so many credits as a person reads them.
pub(super) fn credits(credits: f64) -> String {
    let rounded = (credits * 10.0).round() / 10.0;
    if rounded == 1.0 { "1 credit".to_owned() } else { format!("{rounded} credits") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_seconds_is_not_put_into_videos_an_hour() {
        let told = |videos, span_ms| Tempo { videos, span_ms }.told();
        assert_eq!(told(12, 5_000), "12 videos in 5 s");
        assert_eq!(told(12, 59_999), "12 videos in 59 s");
        assert_eq!(told(1, 60_000), "60 videos an hour (1 video in 60 s)");
        assert_eq!(told(30, 2_700_000), "40 videos an hour (30 videos in 45 min)");
    }
}

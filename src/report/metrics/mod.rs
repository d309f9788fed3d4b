//! The metrics of a ledger for Prometheus.
//!
//! Read from the ledger alone, so that the file of a run and the page of the console show the same
//! numbers. Who writes or serves the text is the caller's decision. Invariant: the jobs of a batch add
//! up to the rows of its sheet, and no label is a row, a key or an id.

mod exposition;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use self::exposition::Exposition;
use crate::ledger::{
    BatchRow, JobState, Ledger, LedgerError, RenderDuration, RowStatus, RunEnding, RunRow,
    SpendingTotals,
};

/// The upper bounds of the render times, in seconds.
const RENDER_SECONDS: [u64; 11] = [30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 21_600];
/// Runs among which the last one is searched; commands of the operator are runs, too.
const RUNS_READ_MAX: u32 = 50;

/// What the ledger does not contain.
#[derive(Clone, Debug)]
pub struct MetricsContext {
    /// When the day of the daily cap began.
    pub day_began: Timestamp,
    /// The daily caps on credits, by host.
    pub day_caps: BTreeMap<String, f64>,
}

/// The metrics of a ledger at one moment.
#[derive(Clone, Debug)]
pub struct LedgerMetrics {
    batches: Vec<BatchMetrics>,
    hosts: Vec<HostMetrics>,
    renders: Vec<RenderDuration>,
}

#[derive(Clone, Debug)]
struct BatchMetrics {
    name: String,
    jobs: Vec<(RowStatus, u64)>,
    spending: SpendingTotals,
    last_run: LastRunMetrics,
    oldest_uncertain: Option<Timestamp>,
    oldest_rendering: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, Default)]
struct LastRunMetrics {
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    succeeded_at: Option<Timestamp>,
    exit_code: Option<u8>,
    duration: Option<SignedDuration>,
}

#[derive(Clone, Debug)]
struct HostMetrics {
    host: String,
    spent: f64,
    cap: Option<f64>,
}

impl LedgerMetrics {
    /// Reads the metrics.
    ///
    /// # Errors
    /// The ledger failed.
    pub async fn read(ledger: &Ledger, context: &MetricsContext) -> Result<Self, LedgerError> {
        let (mut batches, mut hosts) = (Vec::new(), BTreeMap::new());
        for batch in ledger.batches().await? {
            // A batch whose file was never readable has no host.
            if !batch.base_url.is_empty() && !hosts.contains_key(&batch.base_url) {
                let host = HostMetrics::read(ledger, &batch.base_url, context).await?;
                hosts.insert(batch.base_url.clone(), host);
            }
            batches.push(BatchMetrics::read(ledger, batch).await?);
        }
        let (hosts, renders) = (hosts.into_values().collect(), ledger.render_durations().await?);
        Ok(Self { batches, hosts, renders })
    }

    /// Returns the metrics in the text format of Prometheus.
    pub fn to_text(&self) -> String {
        let mut text = Exposition::default();
        text.add_gauge("callsheet_build_info", "The version of the program.");
        text.add_sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        self.write_jobs(&mut text);
        self.write_runs(&mut text);
        self.write_spending(&mut text);
        self.write_waiting(&mut text);
        self.write_renders(&mut text);
        text.into_text()
    }

    fn write_jobs(&self, text: &mut Exposition) {
        text.add_gauge("callsheet_jobs", "Rows of the sheet by state; they add up to its rows.");
        for batch in &self.batches {
            for (state, jobs) in &batch.jobs {
                let labels = [("batch", batch.name.as_str()), ("state", state.as_str())];
                text.add_sample(&labels, *jobs as f64);
            }
        }
    }

    fn write_runs(&self, text: &mut Exposition) {
        text.add_gauge("callsheet_run_last_start_timestamp_seconds", "When the last run began.");
        self.write_per_batch(text, |batch| unix_seconds(batch.last_run.started_at));
        text.add_gauge("callsheet_run_last_end_timestamp_seconds", "When a run last ended.");
        self.write_per_batch(text, |batch| unix_seconds(batch.last_run.ended_at));
        text.add_gauge(
            "callsheet_run_last_success_timestamp_seconds",
            "When a run last ended with exit code 0.",
        );
        self.write_per_batch(text, |batch| unix_seconds(batch.last_run.succeeded_at));
        text.add_gauge("callsheet_run_last_exit_code", "The exit code of the run that ended last.");
        self.write_per_batch(text, |batch| batch.last_run.exit_code.map(f64::from));
        text.add_gauge("callsheet_run_duration_seconds", "How long the run took that ended last.");
        self.write_per_batch(text, |batch| {
            batch.last_run.duration.map(|span| span.as_millis_f64() / 1000.0)
        });
    }

    fn write_spending(&self, text: &mut Exposition) {
        let help = "Paid requests that were, or may have been, accepted.";
        text.add_counter("callsheet_paid_requests_total", help);
        for batch in &self.batches {
            text.add_sample(&[("batch", &batch.name)], batch.spending.requests as f64);
        }
        let help =
            "The cost of the paid requests: estimated, and as far as AI Studios reported it.";
        text.add_counter("callsheet_credits_total", help);
        for BatchMetrics { name, spending, .. } in &self.batches {
            text.add_sample(&[("batch", name), ("kind", "estimated")], spending.estimated);
            text.add_sample(&[("batch", name), ("kind", "reported")], spending.heard);
        }
        text.add_gauge("callsheet_credits_day", "Credits since midnight UTC, as the cap counts.");
        for host in &self.hosts {
            text.add_sample(&[("host", &host.host)], host.spent);
        }
        text.add_gauge("callsheet_credits_day_cap", "The daily cap on credits.");
        for host in &self.hosts {
            host.cap.iter().for_each(|cap| text.add_sample(&[("host", &host.host)], *cap));
        }
    }

    fn write_waiting(&self, text: &mut Exposition) {
        text.add_gauge(
            "callsheet_uncertain_oldest_timestamp_seconds",
            "When the oldest request was sent that is still uncertain.",
        );
        self.write_per_batch(text, |batch| unix_seconds(batch.oldest_uncertain));
        text.add_gauge(
            "callsheet_rendering_oldest_timestamp_seconds",
            "When the oldest render in progress began.",
        );
        self.write_per_batch(text, |batch| unix_seconds(batch.oldest_rendering));
    }

    fn write_renders(&self, text: &mut Exposition) {
        let help =
            "How long renders took, from the paid request to the report that they are finished.";
        text.add_histogram("callsheet_render_seconds", help);
        let renders = |up_to: u64| {
            let shorter = self.renders.iter().filter(|one| one.seconds <= up_to);
            shorter.map(|one| one.renders).sum::<u64>() as f64
        };
        for bound in RENDER_SECONDS {
            text.add_suffixed("_bucket", &[("le", &bound.to_string())], renders(bound));
        }
        text.add_suffixed("_bucket", &[("le", "+Inf")], renders(u64::MAX));
        let seconds: u64 = self.renders.iter().map(|one| one.seconds * one.renders).sum();
        text.add_suffixed("_sum", &[], seconds as f64);
        text.add_suffixed("_count", &[], renders(u64::MAX));
    }

    /// Writes the samples of a metric with one value for each batch that has one.
    fn write_per_batch(&self, text: &mut Exposition, value: impl Fn(&BatchMetrics) -> Option<f64>) {
        for batch in &self.batches {
            value(batch)
                .iter()
                .for_each(|value| text.add_sample(&[("batch", &batch.name)], *value));
        }
    }
}

impl BatchMetrics {
    async fn read(ledger: &Ledger, batch: BatchRow) -> Result<Self, LedgerError> {
        let counts = ledger.state_counts(batch.id).await?;
        let in_state = |state| counts.get(&state).copied().unwrap_or(0);
        let states = JobState::ALL.iter().map(|&one| (RowStatus::State(one), in_state(one)));
        let mut jobs: Vec<_> = states.collect();
        jobs.push((RowStatus::Invalid, ledger.count_invalid(batch.id).await?));
        jobs.push((RowStatus::Skipped, ledger.count_skipped(batch.id).await?));
        Ok(Self {
            jobs,
            spending: ledger.batch_spending(batch.id).await?,
            last_run: LastRunMetrics::read(ledger, &batch).await?,
            oldest_uncertain: ledger.oldest_uncertain(batch.id).await?,
            oldest_rendering: ledger.oldest_rendering(batch.id).await?,
            name: batch.name,
        })
    }
}

impl LastRunMetrics {
    async fn read(ledger: &Ledger, batch: &BatchRow) -> Result<Self, LedgerError> {
        let runs = ledger.runs(Some(batch.id), RUNS_READ_MAX).await?;
        let mut runs = runs.into_iter().map(|run| run.run).filter(is_run);
        let Some(last) = runs.next() else { return Ok(Self::default()) };
        let started_at = Some(last.started_at);
        let ended = std::iter::once(last).chain(runs).find(|run| run.stop().is_some());
        Ok(Self {
            started_at,
            ended_at: ended.as_ref().and_then(|run| run.ended_at),
            succeeded_at: ledger.last_success(batch.id).await?,
            exit_code: ended.as_ref().and_then(RunRow::stop).map(|stop| stop.exit),
            duration: ended.and_then(|run| Some(run.ended_at?.duration_since(run.started_at))),
        })
    }
}

fn unix_seconds(at: Option<Timestamp>) -> Option<f64> {
    at.map(|at| at.as_millisecond() as f64 / 1000.0)
}

/// Returns whether this was a run: no command of the operator, and no run that the user declined.
fn is_run(run: &RunRow) -> bool {
    !matches!(run.ending, Some(RunEnding::ByHand | RunEnding::NotBegun)) || run.stop().is_some()
}

impl HostMetrics {
    async fn read(
        ledger: &Ledger,
        host: &str,
        context: &MetricsContext,
    ) -> Result<Self, LedgerError> {
        let spent = ledger.credits_spent_since(host, context.day_began).await?;
        let cap = context.day_caps.get(host).copied();
        Ok(Self { host: host.to_owned(), spent, cap })
    }
}

//! The times of the last run with paid submissions: the data of the plots.
//!
//! Only one run is shown, because nothing happens between two runs. Pure, except for one pass over
//! the ledger.

use std::time::Duration;

use jiff::Timestamp;

use crate::ledger::{BatchId, Ledger, LedgerError, RenderTiming, RunRow};
use crate::text::time_format::elapsed;

/// Jobs kept for the plots; of a larger run the first ones are drawn.
const TIMELINE_JOBS_MAX: usize = 200_000;
/// The time over which the limit on submissions counts.
const MINUTE: Duration = Duration::from_secs(60);
/// Timings read at once.
const TIMINGS_PER_PAGE: u32 = 1000;

/// The times of one run.
#[derive(Clone, Debug)]
pub(super) struct RunTimeline {
    /// The run; `None` if nothing was ever paid.
    pub(super) run: Option<RunRow>,
    /// The start of the run, and its end or last sign of life.
    pub(super) started_at: Timestamp,
    pub(super) ended_at: Timestamp,
    /// Its jobs in the order of their submissions.
    pub(super) jobs: Vec<JobTiming>,
}

/// The times of one job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JobTiming {
    pub(super) position: i64,
    pub(super) submitted_at: Timestamp,
    pub(super) rendered_at: Option<Timestamp>,
    pub(super) done_at: Option<Timestamp>,
}

impl RunTimeline {
    /// Reads the last run with paid submissions.
    pub(super) async fn load(
        ledger: &Ledger,
        batch: BatchId,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        // Of a run whose requests were all refused there is nothing to draw.
        let run = ledger.last_paying_run(batch).await?.filter(|run| run.submitted > 0);
        let Some(run) = run else {
            return Ok(Self { run: None, started_at: now, ended_at: now, jobs: Vec::new() });
        };
        let mut jobs = Vec::new();
        let mut after = -1;
        while jobs.len() < TIMELINE_JOBS_MAX {
            let page = ledger.render_timings(batch, after, TIMINGS_PER_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.position;
            jobs.extend(
                page.iter().filter_map(|timing| JobTiming::from_render_timing(timing, run.id)),
            );
        }
        jobs.sort_by_key(|job| (job.submitted_at, job.position));
        let last = jobs.iter().filter_map(|job| job.done_at.max(job.rendered_at)).max();
        let stopped = run.ended_at.unwrap_or(now);
        let ended =
            stopped.max(last.unwrap_or(stopped)).max(run.started_at + Duration::from_millis(1));
        Ok(Self { started_at: run.started_at, ended_at: ended, jobs, run: Some(run) })
    }

    /// Returns the time from the start of the run to its end or its last sign of life.
    pub(super) fn duration(&self) -> Duration {
        elapsed(self.started_at, self.ended_at)
    }

    /// Returns the most submissions within any minute; `None` for a shorter run.
    pub(super) fn most_submitted_in_a_minute(&self) -> Option<u64> {
        if self.duration() < MINUTE {
            return None;
        }
        let mut first = 0;
        let counts = self.jobs.iter().enumerate().map(|(index, job)| {
            while elapsed(self.jobs[first].submitted_at, job.submitted_at) >= MINUTE {
                first += 1;
            }
            (index - first + 1) as u64
        });
        counts.max()
    }

    /// Returns the render times of the finished renders.
    pub(super) fn render_times_ms(&self) -> impl Iterator<Item = i64> {
        let took = |job: &JobTiming| Some(millis_between(job.submitted_at, job.rendered_at?));
        self.jobs.iter().filter_map(took).map(|ms| ms.max(0))
    }
}

impl JobTiming {
    /// Returns the times of a job if it was submitted by this run.
    pub(super) fn from_render_timing(timing: &RenderTiming, run: i64) -> Option<Self> {
        let paid = timing.paid_at.filter(|_| timing.run_id == Some(run))?;
        let rendered = timing.rendered_at.map(|at| at.max(paid));
        let done = timing.done_at.filter(|_| rendered.is_some());
        Some(Self {
            position: timing.position,
            submitted_at: paid,
            rendered_at: rendered,
            done_at: done,
        })
    }
}

/// Returns the milliseconds from one time to another, negative if that is earlier.
pub(super) fn millis_between(from: Timestamp, to: Timestamp) -> i64 {
    to.as_millisecond() - from.as_millisecond()
}

/// Counts of jobs in steps of equal length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimelineSteps {
    /// The start of each step, in seconds since 1970.
    pub(super) starts_at: Vec<f64>,
    /// The most renders in progress at once within each step.
    pub(super) renders_in_flight: Vec<u32>,
    /// Submissions within each step.
    pub(super) submitted: Vec<u32>,
    /// Downloads completed within each step.
    pub(super) completed: Vec<u32>,
    /// The length of a step, in minutes.
    pub(super) step_minutes: f64,
}

impl TimelineSteps {
    /// Divides a run into at most `max` steps, none shorter than a second.
    pub(super) fn from_timeline(timeline: &RunTimeline, max: usize) -> Self {
        let since_start = |at: Timestamp| millis_between(timeline.started_at, at);
        let length = since_start(timeline.ended_at).max(1);
        let each = (length / max.max(1) as i64 + 1).max(1000);
        let count = usize::try_from(length / each + 1).unwrap_or(1);
        let step_of =
            |at: Timestamp| usize::try_from(since_start(at) / each).unwrap_or(0).min(count - 1);
        let mut steps = Self {
            starts_at: (0..count)
                .map(|n| (timeline.started_at.as_millisecond() + n as i64 * each) as f64 / 1000.0)
                .collect(),
            renders_in_flight: vec![0; count],
            submitted: vec![0; count],
            completed: vec![0; count],
            step_minutes: each as f64 / 60_000.0,
        };
        let mut changes = Vec::with_capacity(timeline.jobs.len() * 2);
        for job in &timeline.jobs {
            steps.submitted[step_of(job.submitted_at)] += 1;
            if let Some(done) = job.done_at {
                steps.completed[step_of(done)] += 1;
            }
            changes.push((since_start(job.submitted_at), 1));
            changes.push((since_start(job.rendered_at.unwrap_or(timeline.ended_at)), -1));
        }
        // At one instant, renders that end are counted before those that begin.
        changes.sort_unstable();
        let (mut in_flight, mut next) = (0i64, changes.into_iter().peekable());
        for (number, most) in steps.renders_in_flight.iter_mut().enumerate() {
            let until = (number as i64 + 1) * each;
            let mut peak = in_flight;
            while let Some((_, change)) = next.next_if(|(at, _)| *at < until) {
                in_flight += change;
                peak = peak.max(in_flight);
            }
            *most = u32::try_from(peak.max(0)).unwrap_or(u32::MAX);
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn timeline(jobs: Vec<JobTiming>) -> RunTimeline {
        RunTimeline { run: None, started_at: at(0), ended_at: at(10_000), jobs }
    }

    #[test]
    fn a_render_that_ends_is_not_in_flight_with_one_that_begins_at_that_instant() {
        let job = |paid, rendered, done| JobTiming {
            position: 0,
            submitted_at: at(paid),
            rendered_at: Some(at(rendered)),
            done_at: Some(at(done)),
        };
        let steps = TimelineSteps::from_timeline(
            &timeline(vec![job(0, 2000, 2500), job(2000, 4500, 9999), job(2000, 3000, 3000)]),
            5,
        );
        // Steps of 2,001 ms.
        assert_eq!(steps.renders_in_flight, [2, 2, 1, 0, 0]);
        assert_eq!(steps.submitted, [3, 0, 0, 0, 0]);
        assert_eq!(steps.completed, [0, 2, 0, 0, 1]);
    }

    #[test]
    fn an_unfinished_render_counts_until_the_end_and_steps_last_at_least_a_second() {
        let open =
            JobTiming { position: 0, submitted_at: at(1000), rendered_at: None, done_at: None };
        let steps = TimelineSteps::from_timeline(&timeline(vec![open]), 1000);
        assert_eq!(steps.starts_at.len(), 11, "a step is no shorter than a second");
        assert_eq!(steps.renders_in_flight, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    }
}

//! When things happened in the last run that paid for anything: what the plots are drawn from.
//!
//! Only that run, for between two nights lies a day in which nothing happens. Pure but for one
//! pass through the ledger.

use std::time::Duration;

use jiff::Timestamp;

use crate::ledger::{BatchId, Ledger, LedgerError, RenderTiming, RunRow};

/// Jobs that are kept for the plots; a larger run is drawn from its first ones.
const TIMELINE_JOBS_MAX: usize = 200_000;
/// Passages read at once.
const TIMINGS_PER_PAGE: u32 = 1000;

/// One run, seen from far.
#[derive(Clone, Debug)]
pub(super) struct RunTimeline {
    /// The run; nothing when nothing was ever paid for.
    pub(super) run: Option<RunRow>,
    /// When it began, and when it ended or was last heard of; in milliseconds since 1970.
    pub(super) started_at: i64,
    pub(super) ended_at: i64,
    /// Its jobs, by the time of their request.
    pub(super) jobs: Vec<JobTiming>,
}

/// One job's way through the run, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JobTiming {
    pub(super) position: i64,
    pub(super) submitted_at: i64,
    pub(super) rendered_at: Option<i64>,
    pub(super) done_at: Option<i64>,
}

impl RunTimeline {
    /// Reads the last run that paid for anything.
    pub(super) async fn load(
        ledger: &Ledger,
        batch: BatchId,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        let Some(run) = ledger.last_paying_run(batch).await? else {
            return Ok(Self { run: None, started_at: 0, ended_at: 0, jobs: Vec::new() });
        };
        let mut jobs = Vec::new();
        let mut after = -1;
        while jobs.len() < TIMELINE_JOBS_MAX {
            let page = ledger.render_timings(batch, after, TIMINGS_PER_PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.position;
            jobs.extend(
                page.iter().filter_map(|passage| JobTiming::from_render_timing(passage, run.id)),
            );
        }
        jobs.sort_by_key(|job| (job.submitted_at, job.position));
        let last = jobs.iter().filter_map(|job| job.done_at.max(job.rendered_at)).max();
        let stopped = run.ended_at.unwrap_or(now.as_millisecond());
        let ended = stopped.max(last.unwrap_or(stopped)).max(run.started_at + 1);
        Ok(Self { started_at: run.started_at, ended_at: ended, jobs, run: Some(run) })
    }

    /// Returns the time from the start of the run to its end or its last sign of life.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_millis((self.ended_at - self.started_at).max(0).unsigned_abs())
    }

    /// Returns the render times of the finished renders.
    pub(super) fn render_times_ms(&self) -> impl Iterator<Item = i64> {
        self.jobs.iter().filter_map(|job| Some((job.rendered_at? - job.submitted_at).max(0)))
    }
}

impl JobTiming {
    /// Returns a passage, if it belongs to this run.
    pub(super) fn from_render_timing(passage: &RenderTiming, run: i64) -> Option<Self> {
        let paid = passage.paid_at.filter(|_| passage.run_id == Some(run))?;
        let rendered = passage.rendered_at.map(|at| at.max(paid));
        let done = passage.done_at.filter(|_| rendered.is_some());
        Some(Self {
            position: passage.position,
            submitted_at: paid,
            rendered_at: rendered,
            done_at: done,
        })
    }
}

/// How many jobs were where, in steps of equal length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TimelineSteps {
    /// When each begins, in seconds since 1970.
    pub(super) starts_at: Vec<f64>,
    /// Most renders under way at once within each.
    pub(super) renders_in_flight: Vec<u32>,
    /// Renders begun within each.
    pub(super) submitted: Vec<u32>,
    /// Files that arrived within each.
    pub(super) completed: Vec<u32>,
    /// The length of one, in minutes.
    pub(super) step_minutes: f64,
}

impl TimelineSteps {
    /// Divides a run into at most `max` steps, none shorter than a second.
    pub(super) fn from_timeline(night: &RunTimeline, max: usize) -> Self {
        let length = (night.ended_at - night.started_at).max(1);
        let each = (length / max.max(1) as i64 + 1).max(1000);
        let count = usize::try_from(length / each + 1).unwrap_or(1);
        let place =
            |at: i64| usize::try_from((at - night.started_at) / each).unwrap_or(0).min(count - 1);
        let mut steps = Self {
            starts_at: (0..count)
                .map(|n| (night.started_at + n as i64 * each) as f64 / 1000.0)
                .collect(),
            renders_in_flight: vec![0; count],
            submitted: vec![0; count],
            completed: vec![0; count],
            step_minutes: each as f64 / 60_000.0,
        };
        let mut turns = Vec::with_capacity(night.jobs.len() * 2);
        for job in &night.jobs {
            steps.submitted[place(job.submitted_at)] += 1;
            if let Some(done) = job.done_at {
                steps.completed[place(done)] += 1;
            }
            turns.push((job.submitted_at, 1));
            turns.push((job.rendered_at.unwrap_or(night.ended_at), -1));
        }
        // At one and the same moment what ends makes room for what begins.
        turns.sort_unstable();
        let (mut under_way, mut next) = (0i64, turns.into_iter().peekable());
        for (number, most) in steps.renders_in_flight.iter_mut().enumerate() {
            let until = night.started_at + (number as i64 + 1) * each;
            let mut peak = under_way;
            while let Some((_, turn)) = next.next_if(|(at, _)| *at < until) {
                under_way += turn;
                peak = peak.max(under_way);
            }
            *most = u32::try_from(peak.max(0)).unwrap_or(u32::MAX);
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn night(jobs: Vec<JobTiming>) -> RunTimeline {
        RunTimeline { run: None, started_at: 0, ended_at: 10_000, jobs }
    }

    #[test]
    fn what_ends_at_a_moment_makes_room_for_what_begins_then() {
        let job = |paid, rendered, done| JobTiming {
            position: 0,
            submitted_at: paid,
            rendered_at: Some(rendered),
            done_at: Some(done),
        };
        let steps = TimelineSteps::from_timeline(
            &night(vec![job(0, 2000, 2500), job(2000, 4500, 9999), job(2000, 3000, 3000)]),
            5,
        );
        // Steps of 2,001 ms.
        assert_eq!(steps.renders_in_flight, [2, 2, 1, 0, 0]);
        assert_eq!(steps.submitted, [3, 0, 0, 0, 0]);
        assert_eq!(steps.completed, [0, 2, 0, 0, 1]);
    }

    #[test]
    fn a_render_that_goes_on_counts_until_the_end_and_a_short_run_has_short_steps() {
        let open = JobTiming { position: 0, submitted_at: 1000, rendered_at: None, done_at: None };
        let steps = TimelineSteps::from_timeline(&night(vec![open]), 1000);
        assert_eq!(steps.starts_at.len(), 11, "a step is no shorter than a second");
        assert_eq!(steps.renders_in_flight, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    }
}

//! When things happened in the last run that paid for anything: what the plots are drawn from.
//!
//! Only that run, for between two nights lies a day in which nothing happens. Pure but for one
//! pass through the ledger.

use jiff::Timestamp;

use crate::ledger::{BatchId, Ledger, LedgerError, Passage, RunRow};

/// Jobs that are kept for the plots; a larger run is drawn from its first ones.
const JOBS_MAX: usize = 200_000;
/// Passages read at once.
const PAGE: u32 = 1000;

/// One run, seen from far.
#[derive(Clone, Debug)]
pub(super) struct Night {
    /// The run; nothing when nothing was ever paid for.
    pub(super) run: Option<RunRow>,
    /// When it began, and when it ended or was last heard of; in milliseconds since 1970.
    pub(super) began: i64,
    pub(super) ended: i64,
    /// Its jobs, by the time of their request.
    pub(super) jobs: Vec<Pass>,
}

/// One job's way through the run, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) position: i64,
    pub(super) paid: i64,
    pub(super) rendered: Option<i64>,
    pub(super) done: Option<i64>,
}

impl Night {
    /// Reads the last run that paid for anything.
    pub(super) async fn read(
        ledger: &Ledger,
        batch: BatchId,
        now: Timestamp,
    ) -> Result<Self, LedgerError> {
        let Some(run) = ledger.last_paying_run(batch).await? else {
            return Ok(Self { run: None, began: 0, ended: 0, jobs: Vec::new() });
        };
        let mut jobs = Vec::new();
        let mut after = -1;
        while jobs.len() < JOBS_MAX {
            let page = ledger.passages(batch, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.position;
            jobs.extend(page.iter().filter_map(|passage| Pass::of(passage, run.id)));
        }
        jobs.sort_by_key(|job| (job.paid, job.position));
        let last = jobs.iter().filter_map(|job| job.done.max(job.rendered)).max();
        let stopped = run.ended_at.unwrap_or(now.as_millisecond());
        let ended = stopped.max(last.unwrap_or(stopped)).max(run.started_at + 1);
        Ok(Self { began: run.started_at, ended, jobs, run: Some(run) })
    }

    /// Returns how long each render took that has ended.
    pub(super) fn render_ms(&self) -> impl Iterator<Item = i64> {
        self.jobs.iter().filter_map(|job| Some((job.rendered? - job.paid).max(0)))
    }
}

impl Pass {
    /// Returns a passage, if it belongs to this run.
    pub(super) fn of(passage: &Passage, run: i64) -> Option<Self> {
        let paid = passage.paid_at.filter(|_| passage.run_id == Some(run))?;
        let rendered = passage.rendered_at.map(|at| at.max(paid));
        let done = passage.done_at.filter(|_| rendered.is_some());
        Some(Self { position: passage.position, paid, rendered, done })
    }
}

/// How many jobs were where, in steps of equal length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Steps {
    /// When each begins, in seconds since 1970.
    pub(super) at: Vec<f64>,
    /// Most renders under way at once within each.
    pub(super) rendering: Vec<u32>,
    /// Renders begun within each.
    pub(super) begun: Vec<u32>,
    /// Files that arrived within each.
    pub(super) done: Vec<u32>,
    /// The length of one, in minutes.
    pub(super) minutes: f64,
}

impl Steps {
    /// Divides a run into at most `max` steps, none shorter than a second.
    pub(super) fn of(night: &Night, max: usize) -> Self {
        let length = (night.ended - night.began).max(1);
        let each = (length / max.max(1) as i64 + 1).max(1000);
        let count = usize::try_from(length / each + 1).unwrap_or(1);
        let place =
            |at: i64| usize::try_from((at - night.began) / each).unwrap_or(0).min(count - 1);
        let mut steps = Self {
            at: (0..count).map(|n| (night.began + n as i64 * each) as f64 / 1000.0).collect(),
            rendering: vec![0; count],
            begun: vec![0; count],
            done: vec![0; count],
            minutes: each as f64 / 60_000.0,
        };
        let mut turns = Vec::with_capacity(night.jobs.len() * 2);
        for job in &night.jobs {
            steps.begun[place(job.paid)] += 1;
            if let Some(done) = job.done {
                steps.done[place(done)] += 1;
            }
            turns.push((job.paid, 1));
            turns.push((job.rendered.unwrap_or(night.ended), -1));
        }
        // At one and the same moment what ends makes room for what begins.
        turns.sort_unstable();
        let (mut under_way, mut next) = (0i64, turns.into_iter().peekable());
        for (number, most) in steps.rendering.iter_mut().enumerate() {
            let until = night.began + (number as i64 + 1) * each;
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

    fn night(jobs: Vec<Pass>) -> Night {
        Night { run: None, began: 0, ended: 10_000, jobs }
    }

    #[test]
    fn what_ends_at_a_moment_makes_room_for_what_begins_then() {
        let job = |paid, rendered, done| Pass {
            position: 0,
            paid,
            rendered: Some(rendered),
            done: Some(done),
        };
        let steps = Steps::of(
            &night(vec![job(0, 2000, 2500), job(2000, 4500, 9999), job(2000, 3000, 3000)]),
            5,
        );
        // Steps of 2,001 ms.
        assert_eq!(steps.rendering, [2, 2, 1, 0, 0]);
        assert_eq!(steps.begun, [3, 0, 0, 0, 0]);
        assert_eq!(steps.done, [0, 2, 0, 0, 1]);
    }

    #[test]
    fn a_render_that_goes_on_counts_until_the_end_and_a_short_run_has_short_steps() {
        let open = Pass { position: 0, paid: 1000, rendered: None, done: None };
        let steps = Steps::of(&night(vec![open]), 1000);
        assert_eq!(steps.at.len(), 11, "a step is no shorter than a second");
        assert_eq!(steps.rendering, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
    }
}

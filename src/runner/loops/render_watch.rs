//! What this run itself has seen of each render, in awake time: since when it follows it, when it
//! last read its progress, and when that last moved.
//!
//! Times in the ledger span the time between runs, in which nothing was seen, and are by a wall
//! clock, which may jump. So neither a timeout nor the length of a render is taken from them. Pure;
//! a run that starts knows nothing of earlier ones.

use std::collections::HashMap;
use std::time::Duration;

use crate::ledger::SubmissionId;

/// The renders and generations of this run.
#[derive(Clone, Debug, Default)]
pub(in crate::runner) struct RenderWatch(HashMap<SubmissionId, WatchedRender>);

/// One of them. Times are in awake time.
#[derive(Clone, Copy, Debug)]
struct WatchedRender {
    since: Duration,
    /// Whether it was followed from its start.
    is_from_start: bool,
    read_at: Duration,
    progress: Option<f64>,
    moved_at: Duration,
}

impl WatchedRender {
    fn new(now: Duration) -> Self {
        Self { since: now, is_from_start: false, read_at: now, progress: None, moved_at: now }
    }
}

/// How long a render has been watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::runner) struct WatchedTime {
    /// Since its start, or since this run first polled it.
    pub(in crate::runner) total: Duration,
    /// Whether `total` began with the render.
    pub(in crate::runner) is_from_start: bool,
    /// Since its progress last moved.
    pub(in crate::runner) unmoved: Duration,
}

impl RenderWatch {
    /// Notes the start of a render.
    pub(in crate::runner) fn start(&mut self, submission: SubmissionId, now: Duration) {
        let started = WatchedRender { is_from_start: true, ..WatchedRender::new(now) };
        self.0.insert(submission, started);
    }

    /// Notes a poll that could not be read.
    pub(in crate::runner) fn note_unread(
        &mut self,
        submission: SubmissionId,
        now: Duration,
    ) -> WatchedTime {
        let render = self.0.entry(submission).or_insert_with(|| WatchedRender::new(now));
        WatchedTime {
            total: now.saturating_sub(render.since),
            is_from_start: render.is_from_start,
            unmoved: now.saturating_sub(render.moved_at),
        }
    }

    /// Notes the progress that a poll has shown.
    pub(in crate::runner) fn note_progress(
        &mut self,
        submission: SubmissionId,
        now: Duration,
        progress: f64,
    ) -> WatchedTime {
        let render = self.0.entry(submission).or_insert_with(|| WatchedRender::new(now));
        render.read_at = now;
        if render.progress.replace(progress) != Some(progress) {
            render.moved_at = now;
        }
        self.note_unread(submission, now)
    }

    /// Ends the watch. Returns how long the render took, if this run saw its start, and its end
    /// within `gap_max` after it was last seen unfinished.
    pub(in crate::runner) fn finish(
        &mut self,
        submission: SubmissionId,
        now: Duration,
        gap_max: Duration,
    ) -> Option<Duration> {
        let render = self.0.remove(&submission)?;
        let is_end_seen = now.saturating_sub(render.read_at) <= gap_max;
        (render.is_from_start && is_end_seen).then(|| now.saturating_sub(render.since))
    }
}

#[cfg(test)]
mod tests {
    use crate::runner::loops::render_watch::*;

    const GAP_MAX: Duration = Duration::from_secs(90);

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn only_a_render_seen_from_its_start_to_its_end_has_a_length() {
        let (seen, inherited, overslept) = (1.into(), 2.into(), 3.into());
        let mut watch = RenderWatch::default();
        for submission in [seen, overslept] {
            watch.start(submission, seconds(100));
        }
        for submission in [seen, inherited, overslept] {
            watch.note_progress(submission, seconds(160), 10.0);
        }
        watch.note_progress(seen, seconds(220), 90.0);
        for now in [seconds(220), seconds(280)] {
            watch.note_unread(overslept, now);
        }
        assert_eq!(watch.finish(seen, seconds(280), GAP_MAX), Some(seconds(180)));
        assert_eq!(watch.finish(inherited, seconds(220), GAP_MAX), None);
        assert_eq!(watch.finish(overslept, seconds(280), GAP_MAX), None, "an outage is no render");
        assert_eq!(watch.finish(seen, seconds(280), GAP_MAX), None);
    }

    #[test]
    fn time_is_counted_from_the_first_poll_of_this_run_and_stalls_from_the_last_movement() {
        let mut watch = RenderWatch::default();
        let first = watch.note_progress(1.into(), seconds(1000), 50.0);
        assert_eq!((first.total, first.unmoved), (Duration::ZERO, Duration::ZERO));
        assert_eq!(watch.note_progress(1.into(), seconds(1060), 50.0).unmoved, seconds(60));
        let moved = watch.note_progress(1.into(), seconds(1090), 51.0);
        assert_eq!((moved.total, moved.unmoved), (seconds(90), Duration::ZERO));
        assert!(!moved.is_from_start);
    }
}

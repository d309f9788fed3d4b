//! Progress of a run: bars on a terminal, one line per change elsewhere, JSON events with `--json`.
//!
//! The words are in `event_lines`. Only observes: no run waits for it or depends on it. Waiting causes no event, so the counts of
//! waiting jobs are read from the ledger at intervals.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cli::output::printer::Printer;
use crate::cli::output::progress::event_lines::{EventLines, describe_in_flight};
use crate::cli::output::progress::progress_bars::{OverallProgress, ProgressBars, VideoCounts};
use crate::cli::output::terminal_mode::{self, KeyInput};
use crate::ledger::{BatchId, JobState, Ledger};
use crate::runner::RunEvent;
use crate::session::event::JobStateCounts;
use crate::session::next_steps::CommandHints;
use crate::session::read_job_counts;
use crate::text;

/// Without bars, a line is printed at least this often.
const MAX_SILENCE: Duration = Duration::from_secs(60);
/// Time between two reads of the ledger.
const LEDGER_READ_INTERVAL: Duration = Duration::from_secs(1);

/// Shows the progress of a run. Clones share their state.
#[derive(Clone)]
pub(crate) struct RunProgress {
    printer: Printer,
    state: Arc<Mutex<ProgressState>>,
    /// Quiet wait for an uncertain job; `None` if the run does not wait for it.
    quiet_wait: Option<Duration>,
    /// The command that continues the batch if it is paused.
    unpause_command: String,
}

/// What the runs of a session have before them.
pub(crate) struct RunWork {
    pub(crate) batches: usize,
    pub(crate) counts: JobStateCounts,
    /// Jobs that these runs leave to later ones, because of a limit or because they are not selected.
    pub(crate) left_for_later: u64,
}

struct ProgressState {
    bars: Option<ProgressBars>,
    done: u64,
    /// Without those left for later.
    total: u64,
    left_for_later: u64,
    /// Jobs finished in this run. A job whose row was changed meanwhile starts again.
    finished: HashSet<String>,
    /// Counts at the last read of the ledger.
    counts: JobStateCounts,
    /// Jobs that failed since then.
    failed_since: u64,
    /// Batches still running.
    batches_left: usize,
    last_line_at: Instant,
}

impl RunProgress {
    pub(crate) fn new(printer: &Printer, work: RunWork) -> Self {
        let RunWork { batches, counts, left_for_later } = work;
        let done = count_done(&counts);
        let total = counts.values().sum::<u64>().saturating_sub(left_for_later);
        if printer.has_bars() {
            terminal_mode::set_key_input(KeyInput::Kept);
        }
        let bars = printer
            .has_bars()
            .then(|| ProgressBars::new(printer.bars(), VideoCounts { done, total }));
        let progress_state = ProgressState {
            bars,
            done,
            total,
            left_for_later,
            finished: HashSet::new(),
            counts,
            failed_since: 0,
            batches_left: batches,
            last_line_at: Instant::now(),
        };
        let state = Arc::new(Mutex::new(progress_state));
        let unpause_command = "callsheet unpause".to_owned();
        Self { printer: printer.clone(), state, quiet_wait: None, unpause_command }
    }

    /// Returns a handle for the events of one batch. `printer` carries the label of the batch;
    /// `quiet_wait` is the time for which its run waits for an uncertain job, if it waits.
    pub(crate) fn for_batch(
        &self,
        printer: &Printer,
        quiet_wait: Option<Duration>,
        commands: Option<CommandHints>,
    ) -> Self {
        let unpause_command = match commands {
            Some(commands) => commands.unpause_command(),
            None => self.unpause_command.clone(),
        };
        let state = self.state.clone();
        Self { printer: printer.clone(), state, quiet_wait, unpause_command }
    }

    /// Shows progress while no event occurs, until the last run ends: updates the bars from the
    /// ledger or, without bars, prints at least one line a minute.
    pub(crate) fn start_refreshing(&self, ledger: &Ledger, batches: Vec<BatchId>) {
        if !self.printer.is_json() {
            tokio::spawn(self.clone().refresh_loop(ledger.clone(), batches));
        }
    }

    async fn refresh_loop(self, ledger: Ledger, batches: Vec<BatchId>) {
        while self.lock_state().batches_left > 0 {
            tokio::time::sleep(LEDGER_READ_INTERVAL).await;
            let silent = self.lock_state().last_line_at.elapsed();
            if !(self.printer.has_bars() || is_line_due(silent)) {
                continue;
            }
            // A ledger error is reported by the run; here the last counts are kept.
            let counts = read_job_counts(&ledger, &batches).await.ok();
            let line = self.lock_state().refresh(counts, silent);
            if let (Some(line), false) = (line, self.printer.has_bars()) {
                self.printer.progress(&line);
                self.lock_state().last_line_at = Instant::now();
            }
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, ProgressState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn show_event(&self, event: &RunEvent) {
        if self.printer.is_json() {
            let json = serde_json::to_value(event).unwrap_or_default();
            return match is_progress(event) {
                true => self.printer.print_progress_event(json),
                false => self.printer.print_event(json),
            };
        }
        self.update_counts(event);
        if let Some(line) = self.event_line(event) {
            let line = self.printer.with_batch_prefix(&line);
            match is_progress(event) {
                true => self.printer.progress(&line),
                false => self.printer.status(&line),
            }
            self.lock_state().last_line_at = Instant::now();
        }
    }

    fn update_counts(&self, event: &RunEvent) {
        let mut state = self.lock_state();
        match event {
            RunEvent::Generating { key, progress } => {
                state.start_draft_bar(&self.display_key(key), *progress as u64, "making draft");
            }
            RunEvent::Drafted { key } => {
                state.start_draft_bar(&self.display_key(key), 0, "draft made");
            }
            RunEvent::Rendering { key, .. } => {
                let key = self.display_key(key);
                state.uncount_finished(&key);
                state.start_bar(&key, "rendering");
            }
            RunEvent::Progress { key, progress, stalled } => {
                let word = if *stalled { "stalled" } else { "rendering" };
                state.update_bar(&self.display_key(key), *progress as u64, word);
            }
            RunEvent::Rendered { key } => {
                state.update_bar(&self.display_key(key), 100, "downloading");
            }
            RunEvent::Done { key, .. } => {
                let key = self.display_key(key);
                state.remove_bar(&key);
                state.done += u64::from(state.finished.insert(key));
            }
            RunEvent::DownloadAgain { jobs } => state.uncount_done(*jobs as u64),
            RunEvent::Failed { key, .. } => {
                state.failed_since += 1;
                state.remove_bar(&self.display_key(key));
            }
            RunEvent::Uncertain { key, .. } | RunEvent::Retry { key, .. } => {
                let key = self.display_key(key);
                state.uncount_finished(&key);
                state.remove_bar(&key);
            }
            RunEvent::Started { .. }
            | RunEvent::Downloading { .. }
            | RunEvent::RateLimited { .. }
            | RunEvent::Waiting { .. }
            | RunEvent::Alarm { .. }
            | RunEvent::Halted { .. }
            | RunEvent::Paused
            | RunEvent::Unpaused
            | RunEvent::RequestEnded { .. }
            | RunEvent::Draining => {}
        }
        state.refresh_overall_bar();
    }

    /// Returns the key as state, with the batch's name if there are several batches: two batches may
    /// have the same key.
    fn display_key(&self, key: &str) -> String {
        let key = text::display_key(key);
        match self.printer.batch_label() {
            Some(batch) => format!("{batch} {key}"),
            None => key.into_owned(),
        }
    }

    fn event_line(&self, event: &RunEvent) -> Option<String> {
        let (done, total) = {
            let state = self.lock_state();
            (state.done, state.total)
        };
        let (quiet_wait, unpause_command) = (self.quiet_wait, self.unpause_command.as_str());
        let has_bars = self.printer.has_bars();
        EventLines { has_bars, done, total, quiet_wait, unpause_command }.for_event(event)
    }

    /// Records that one batch has ended. After the last one the bars are removed.
    pub(crate) fn mark_batch_ended(&self) {
        let mut state = self.lock_state();
        state.batches_left = state.batches_left.saturating_sub(1);
        if state.batches_left > 0 {
            return;
        }
        if let Some(mut bars) = state.bars.take() {
            bars.clear();
            terminal_mode::restore();
        }
    }
}

impl ProgressState {
    /// Redraws the overall bar.
    fn refresh_overall_bar(&mut self) {
        if let Some(bars) = &mut self.bars {
            let (done, counts) = current_counts(self.done, self.failed_since, &self.counts);
            let ended = [JobState::Failed, JobState::Cancelled];
            let ended = ended.iter().filter_map(|state| counts.get(state)).sum();
            let in_flight = describe_in_flight(&counts, self.left_for_later);
            bars.update_overall(OverallProgress { done, ended, in_flight: &in_flight });
        }
    }

    fn start_draft_bar(&mut self, key: &str, percent: u64, word: &'static str) {
        if let Some(bars) = &mut self.bars {
            bars.add(key);
            bars.set_draft_progress(key, percent, word);
        }
    }

    fn start_bar(&mut self, key: &str, word: &'static str) {
        if let Some(bars) = &mut self.bars {
            bars.add(key);
            bars.set_progress(key, 0, word);
        }
    }

    fn update_bar(&mut self, key: &str, percent: u64, word: &'static str) {
        if let Some(bars) = &mut self.bars {
            bars.set_progress(key, percent, word);
        }
    }

    fn remove_bar(&mut self, key: &str) {
        if let Some(bars) = &mut self.bars {
            bars.remove(key);
        }
    }

    /// Takes a job out of the finished ones: a row that changed during its render is rendered again,
    /// and counts once.
    fn uncount_finished(&mut self, key: &str) {
        if self.finished.remove(key) {
            self.done = self.done.saturating_sub(1);
        }
    }

    /// Takes `jobs` done jobs out of the count: they are done when their files are back. Which ones is
    /// not known, so each finished job may count once more.
    fn uncount_done(&mut self, jobs: u64) {
        self.finished.clear();
        self.done = self.done.saturating_sub(jobs);
    }

    /// Stores the counts from the ledger. Returns a progress line if none was printed for a minute
    /// and a batch is still running.
    fn refresh(&mut self, counts: Option<JobStateCounts>, silent: Duration) -> Option<String> {
        if let Some(counts) = counts {
            self.counts = counts;
            self.failed_since = 0;
        }
        self.refresh_overall_bar();
        let (done, counts) = current_counts(self.done, self.failed_since, &self.counts);
        let description = || describe_in_flight(&counts, self.left_for_later);
        (self.batches_left > 0 && is_line_due(silent))
            .then(|| format!("[{done}/{}] {}", self.total, description()))
    }
}

/// Returns whether an event may be dropped while the output is not read: the counts of a later one
/// include it.
fn is_progress(event: &RunEvent) -> bool {
    match event {
        RunEvent::Generating { .. }
        | RunEvent::Drafted { .. }
        | RunEvent::Rendering { .. }
        | RunEvent::Progress { .. }
        | RunEvent::Rendered { .. }
        | RunEvent::Downloading { .. }
        | RunEvent::Done { .. }
        | RunEvent::Retry { .. } => true,
        RunEvent::Started { .. }
        | RunEvent::DownloadAgain { .. }
        | RunEvent::Uncertain { .. }
        | RunEvent::Failed { .. }
        | RunEvent::RateLimited { .. }
        | RunEvent::Alarm { .. }
        | RunEvent::Halted { .. }
        | RunEvent::Paused
        | RunEvent::Unpaused
        | RunEvent::RequestEnded { .. }
        | RunEvent::Draining
        | RunEvent::Waiting { .. } => false,
    }
}

/// Returns whether a progress line is due: at the next read it could be late.
fn is_line_due(silent: Duration) -> bool {
    silent + LEDGER_READ_INTERVAL * 2 > MAX_SILENCE
}

/// Brings the counts of the last read of the ledger up to date with the events since: the done jobs, and
/// the jobs by state. Invariant: both together are all jobs, so that the numbers of a line add up.
fn current_counts(done: u64, failed_since: u64, read: &JobStateCounts) -> (u64, JobStateCounts) {
    let mut counts = read.clone();
    let read_done = count_done(&counts);
    take_from_in_flight(&mut counts, done.saturating_sub(read_done));
    let failed = take_from_in_flight(&mut counts, failed_since);
    *counts.entry(JobState::Failed).or_default() += failed;
    (done.max(read_done), counts)
}

/// Takes jobs that have ended out of those in flight: first out of those nearest to their end. Returns
/// their number.
fn take_from_in_flight(counts: &mut JobStateCounts, jobs: u64) -> u64 {
    let mut left = jobs;
    for state in [
        JobState::Fetching,
        JobState::Rendering,
        JobState::Submitting,
        JobState::Uncertain,
        JobState::Ready,
    ] {
        let count = counts.entry(state).or_default();
        let taken = left.min(*count);
        *count -= taken;
        left -= taken;
    }
    jobs - left
}

fn count_done(counts: &JobStateCounts) -> u64 {
    [JobState::Done, JobState::Reused].iter().filter_map(|state| counts.get(state)).sum()
}

#[cfg(test)]
mod tests {
    use crate::cli::args::{ColorMode, GlobalArgs};
    use crate::cli::output::progress::run_progress::*;

    fn printer() -> Printer {
        Printer::new(&GlobalArgs {
            ledger: None,
            quiet: true,
            verbose: 0,
            color: ColorMode::Never,
            json: false,
        })
    }

    fn work(counts: &[(JobState, u64)]) -> RunWork {
        RunWork { batches: 1, counts: counts.iter().copied().collect(), left_for_later: 0 }
    }

    fn progress_state(counts: &[(JobState, u64)]) -> ProgressState {
        let progress = RunProgress::new(&printer(), work(counts));
        Arc::into_inner(progress.state).unwrap().into_inner().unwrap()
    }

    #[test]
    fn a_waiting_run_prints_its_counts_once_a_minute() {
        let mut state = progress_state(&[(JobState::Done, 11), (JobState::Rendering, 1)]);
        let waits = JobStateCounts::from([(JobState::Done, 11), (JobState::Uncertain, 1)]);
        assert_eq!(state.refresh(Some(waits), Duration::from_secs(57)), None);
        let line = state.refresh(None, Duration::from_secs(59));
        assert_eq!(line.as_deref(), Some("[11/12] 0 rendering, 1 uncertain"));
        state.batches_left = 0;
        assert_eq!(state.refresh(None, Duration::from_secs(60)), None);
    }

    #[test]
    fn the_numbers_of_a_line_add_up_between_two_reads_of_the_ledger() {
        use JobState::*;
        let read = JobStateCounts::from([
            (Done, 1),
            (Rendering, 2),
            (Fetching, 1),
            (Ready, 3),
            (Failed, 1),
            (Cancelled, 1),
        ]);
        for (done, failed_since, line) in [
            (1, 0, "1 of 9: 2 rendering, 1 downloading, 3 waiting, 1 failed, 1 cancelled"),
            (2, 0, "2 of 9: 2 rendering, 3 waiting, 1 failed, 1 cancelled"),
            (3, 1, "3 of 9: 0 rendering, 3 waiting, 2 failed, 1 cancelled"),
            // The ledger may be ahead of the events, too.
            (0, 0, "1 of 9: 2 rendering, 1 downloading, 3 waiting, 1 failed, 1 cancelled"),
            (9, 9, "9 of 9: 0 rendering, 1 failed, 1 cancelled"),
        ] {
            let (done, counts) = current_counts(done, failed_since, &read);
            let text = format!("{done} of 9: {}", describe_in_flight(&counts, 0));
            assert_eq!(text, line);
        }
    }

    #[test]
    fn videos_that_a_limit_leaves_for_later_are_not_counted() {
        let counts = [(JobState::Done, 4), (JobState::Ready, 20), (JobState::Rendering, 1)];
        let limited = RunWork { left_for_later: 18, ..work(&counts) };
        let progress = RunProgress::new(&printer(), limited);
        let mut state = progress.lock_state();
        let line = state.refresh(None, Duration::from_secs(60));
        assert_eq!(line.as_deref(), Some("[4/7] 1 rendering, 2 waiting"));
    }

    #[test]
    fn a_row_changed_during_its_render_is_counted_once() {
        let printer = printer();
        let counts = [(JobState::Done, 1), (JobState::Rendering, 1)];
        let progress = RunProgress::new(&printer, work(&counts));
        let key = || "ann".to_owned();
        let done = || RunEvent::Done { key: key(), file: "ann.mp4".to_owned() };
        let renders =
            || RunEvent::Rendering { key: key(), project_id: "p".to_owned(), is_found: false };
        let mut seen = Vec::new();
        for event in [done(), renders(), done(), done()] {
            progress.show_event(&event);
            seen.push(progress.lock_state().done);
        }
        assert_eq!((seen, progress.lock_state().total), (vec![2, 1, 2, 2], 2));
        assert_eq!(progress.event_line(&done()).as_deref(), Some("[2/2] ann: done, ann.mp4"));
    }

    #[test]
    fn a_done_job_that_is_downloaded_again_is_counted_once() {
        let progress = RunProgress::new(&printer(), work(&[(JobState::Done, 2)]));
        let done = || RunEvent::Done { key: "ann".to_owned(), file: "ann.mp4".to_owned() };
        let again = || RunEvent::DownloadAgain { jobs: 1 };
        let mut seen = Vec::new();
        for event in [again(), done(), again(), done()] {
            progress.show_event(&event);
            seen.push(progress.lock_state().done);
        }
        assert_eq!(seen, [1, 2, 1, 2]);
    }
}

//! What a run looks like: bars on a terminal, one line per change elsewhere, events for machines.
//!
//! Listens and shows; nothing waits for it and nothing depends on it. What happens is heard; what only
//! waits is not, so the ledger is asked now and then what is under way.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::cli::output::printer::Printer;
use crate::cli::output::progress_bars::ProgressBars;
use crate::ledger::{BatchId, JobState, Ledger, LedgerError};
use crate::runner::{RunEvent, RunObserver};
use crate::text::{format_duration, strip_control};

/// Without bars, a sign of life at least this often.
const MAX_SILENCE: Duration = Duration::from_secs(60);
/// Between two looks into the ledger.
const LEDGER_READ_INTERVAL: Duration = Duration::from_secs(1);

/// Shows a run. Cloning gives another handle on the same screen.
#[derive(Clone)]
pub(crate) struct RunProgress {
    printer: Printer,
    state: Arc<Mutex<ProgressState>>,
    /// How long the run stays for a row whose answer was lost, if it stays.
    quiet_wait: Option<Duration>,
}

/// Jobs by their state.
pub(crate) type JobStateCounts = BTreeMap<JobState, u64>;

struct ProgressState {
    bars: Option<ProgressBars>,
    done: u64,
    total: u64,
    /// Jobs that came to their end in this run. One that was changed meanwhile begins once more.
    finished: HashSet<String>,
    failed: u64,
    /// What the ledger said last.
    counts: JobStateCounts,
    /// Batches that still go on.
    batches_left: usize,
    last_line_at: Instant,
}

impl RunProgress {
    /// A screen for so many batches, whose jobs are what `counts` says.
    pub(crate) fn new(printer: &Printer, batches: usize, counts: JobStateCounts) -> Self {
        let (done, total) = (count_done(&counts), counts.values().sum());
        let bars = printer.has_bars().then(|| ProgressBars::new(printer.bars(), (done, total)));
        let shown = ProgressState {
            bars,
            done,
            total,
            finished: HashSet::new(),
            failed: 0,
            counts,
            batches_left: batches,
            last_line_at: Instant::now(),
        };
        let state = Arc::new(Mutex::new(shown));
        Self { printer: printer.clone(), state, quiet_wait: None }
    }

    /// Returns the listener that a run is given; `printer` knows which batch it speaks of, and `stays`
    /// how long the run stays for a row whose answer was lost.
    pub(crate) fn observer(&self, printer: &Printer, stays: Option<Duration>) -> RunObserver {
        let screen =
            Self { printer: printer.clone(), state: self.state.clone(), quiet_wait: stays };
        RunObserver::new(move |happening| screen.show_event(&happening))
    }

    /// Shows that the run lives, also while nothing happens in it: bars keep to the ledger, and
    /// without bars no minute is without a line.
    pub(crate) async fn refresh_loop(&self, ledger: &Ledger, batches: &[BatchId]) -> Infallible {
        loop {
            tokio::time::sleep(LEDGER_READ_INTERVAL).await;
            let silent = self.lock_state().last_line_at.elapsed();
            if self.printer.is_json() || !(self.printer.has_bars() || is_line_due(silent)) {
                continue;
            }
            // A ledger that does not answer is the run's trouble; what it said last is shown.
            let counts = read_job_counts(ledger, batches).await.ok();
            let line = self.lock_state().refresh(counts, silent);
            if let (Some(line), false) = (line, self.printer.has_bars()) {
                self.printer.status(&line);
                self.lock_state().last_line_at = Instant::now();
            }
        }
    }

    fn lock_state(&self) -> MutexGuard<'_, ProgressState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show_event(&self, happening: &RunEvent) {
        if self.printer.is_json() {
            let event = serde_json::to_value(happening).unwrap_or_default();
            return self.printer.print_event(event);
        }
        self.update_counts(happening);
        let line = self.event_line(happening);
        if let Some(line) = line {
            self.printer.status(&self.printer.with_batch_prefix(&line));
            self.lock_state().last_line_at = Instant::now();
        }
    }

    fn update_counts(&self, happening: &RunEvent) {
        let mut shown = self.lock_state();
        match happening {
            RunEvent::Generating { key, progress } => {
                shown.start_bar(&self.display_key(key), *progress as u64, "being written");
            }
            RunEvent::Drafted { key } => shown.update_bar(&self.display_key(key), 100, "written"),
            RunEvent::Rendering { key, .. } => {
                let key = self.display_key(key);
                shown.uncount_finished(&key);
                shown.start_bar(&key, 0, "rendering");
            }
            RunEvent::Progress { key, progress, stalled } => {
                let word = if *stalled { "stands still" } else { "rendering" };
                shown.update_bar(&self.display_key(key), *progress as u64, word);
            }
            RunEvent::Rendered { key } => {
                shown.update_bar(&self.display_key(key), 100, "downloading")
            }
            RunEvent::Done { key, .. } => {
                let key = self.display_key(key);
                shown.remove_bar(&key);
                shown.done += u64::from(shown.finished.insert(key));
            }
            RunEvent::Failed { key, .. } => {
                shown.failed += 1;
                shown.remove_bar(&self.display_key(key));
            }
            RunEvent::Uncertain { key, .. } | RunEvent::Retry { key, .. } => {
                let key = self.display_key(key);
                shown.uncount_finished(&key);
                shown.remove_bar(&key);
            }
            RunEvent::Started { .. }
            | RunEvent::Downloading { .. }
            | RunEvent::RateLimited { .. }
            | RunEvent::Alarm { .. }
            | RunEvent::Halted { .. }
            | RunEvent::Paused
            | RunEvent::Unpaused
            | RunEvent::Draining => {}
        }
        shown.refresh_overall_bar();
    }

    /// Returns what a job is known by here, and its bar says: two batches may have one key.
    fn display_key(&self, key: &str) -> String {
        match self.printer.batch_label() {
            Some(batch) => format!("{batch} {key}"),
            None => key.to_owned(),
        }
    }

    /// Returns the line for something that happened, where bars do not show it already.
    fn event_line(&self, happening: &RunEvent) -> Option<String> {
        let bars = self.printer.has_bars();
        let shown = self.lock_state();
        let of = |done: u64| format!("[{done}/{}]", shown.total);
        match happening {
            RunEvent::Started { drafts_lost, uncertain, .. } if drafts_lost + uncertain > 0 => {
                let stays = if *uncertain > 0 { self.quiet_wait_note() } else { String::new() };
                Some(format!(
                    "the former run ended in the middle of something: {uncertain} to settle, \
                     {drafts_lost} to draft again{stays}"
                ))
            }
            RunEvent::Rendering { key, project_id } if !bars => Some(format!(
                "{} {}: rendering as {project_id}",
                of(shown.done),
                strip_control(key)
            )),
            RunEvent::Done { key, file } if !bars => Some(format!(
                "{} {}: done, {}",
                of(shown.done),
                strip_control(key),
                strip_control(file)
            )),
            RunEvent::Retry { key, words, .. } => {
                Some(format!("{}: {}; it is tried again", strip_control(key), strip_control(words)))
            }
            RunEvent::Uncertain { key, words } => Some(format!(
                "{}: the answer was lost ({}); evidence is looked for before anything is sent \
                 again{}",
                strip_control(key),
                strip_control(words),
                self.quiet_wait_note()
            )),
            RunEvent::Failed { key, words } => {
                Some(format!("{}: failed: {}", strip_control(key), strip_control(words)))
            }
            RunEvent::RateLimited { until } => {
                Some(format!("AI Studios asked us to slow down; nobody asks before {until:.0}"))
            }
            RunEvent::Alarm { words } => Some(format!("warning: {}", strip_control(words))),
            RunEvent::Halted { words } => {
                Some(format!("nothing more is submitted: {}", strip_control(words)))
            }
            RunEvent::Paused => Some(
                "paused by a person: what is under way is brought home, and nothing is submitted \
                 until it is unpaused (callsheet unpause)"
                    .into(),
            ),
            RunEvent::Unpaused => Some("unpaused: it goes on".into()),
            RunEvent::Draining => {
                Some("stopping: open requests are finished (Ctrl-C again leaves at once)".into())
            }
            RunEvent::Generating { key, progress } if !bars && *progress == 0.0 => {
                Some(format!("{} {}: being written", of(shown.done), strip_control(key)))
            }
            RunEvent::Started { .. }
            | RunEvent::Drafted { .. }
            | RunEvent::Generating { .. }
            | RunEvent::Rendering { .. }
            | RunEvent::Progress { .. }
            | RunEvent::Rendered { .. }
            | RunEvent::Downloading { .. }
            | RunEvent::Done { .. } => None,
        }
    }

    /// Says what the run does while it is uncertain whether a row was paid for.
    fn quiet_wait_note(&self) -> String {
        match self.quiet_wait {
            Some(wait) => {
                format!(
                    "; this run stays for that, about {} where nothing is found",
                    format_duration(wait)
                )
            }
            None => "; this run does not stay for that, and the next one looks again".to_owned(),
        }
    }

    /// Notes that one batch came to its end. With the last one all bars are taken away, so that
    /// what follows stands alone.
    pub(crate) fn mark_batch_ended(&self) {
        let mut shown = self.lock_state();
        shown.batches_left = shown.batches_left.saturating_sub(1);
        if shown.batches_left > 0 {
            return;
        }
        if let Some(mut bars) = shown.bars.take() {
            bars.clear();
        }
    }
}

impl ProgressState {
    /// Writes the overall bar anew.
    fn refresh_overall_bar(&mut self) {
        if let Some(bars) = &mut self.bars {
            bars.update_overall(self.done, &describe_in_flight(&self.counts, self.failed));
        }
    }

    fn start_bar(&mut self, key: &str, percent: u64, word: &'static str) {
        if let Some(bars) = &mut self.bars {
            bars.add(key);
            bars.set_progress(key, percent, word);
        }
    }

    fn update_bar(&self, key: &str, percent: u64, word: &'static str) {
        if let Some(bars) = &self.bars {
            bars.set_progress(key, percent, word);
        }
    }

    fn remove_bar(&mut self, key: &str) {
        if let Some(bars) = &mut self.bars {
            bars.remove(key);
        }
    }

    /// A row whose content changed while it rendered is done once, and then rendered anew: it is one
    /// video of all, and not there yet.
    fn uncount_finished(&mut self, key: &str) {
        if self.finished.remove(key) {
            self.done = self.done.saturating_sub(1);
        }
    }

    /// Takes in what the ledger says. Returns the line that says that the run lives, when none was
    /// written for long; a run that has ended is told of elsewhere.
    fn refresh(&mut self, counts: Option<JobStateCounts>, silent: Duration) -> Option<String> {
        self.counts = counts.unwrap_or_else(|| std::mem::take(&mut self.counts));
        self.refresh_overall_bar();
        let words = || describe_in_flight(&self.counts, self.failed);
        (self.batches_left > 0 && is_line_due(silent))
            .then(|| format!("[{}/{}] {}", self.done, self.total, words()))
    }
}

/// Tells whether a line that waited for the next look could come too late.
fn is_line_due(silent: Duration) -> bool {
    silent + LEDGER_READ_INTERVAL * 2 > MAX_SILENCE
}

/// Returns the jobs of some batches by their state.
pub(crate) async fn read_job_counts(
    ledger: &Ledger,
    batches: &[BatchId],
) -> Result<JobStateCounts, LedgerError> {
    let mut all = JobStateCounts::new();
    for batch in batches {
        // What left the sheet and was paid for is brought home as well, and counted when it is.
        let removed = ledger.removed_state_counts(*batch).await?.into_iter();
        let removed = removed.filter(|(state, _)| is_in_flight(*state));
        for (state, jobs) in ledger.state_counts(*batch).await?.into_iter().chain(removed) {
            *all.entry(state).or_default() += jobs;
        }
    }
    Ok(all)
}

fn count_done(counts: &JobStateCounts) -> u64 {
    [JobState::Done, JobState::Reused].iter().filter_map(|state| counts.get(state)).sum()
}

fn is_in_flight(state: JobState) -> bool {
    match state {
        JobState::Submitting | JobState::Uncertain | JobState::Rendering | JobState::Fetching => {
            true
        }
        JobState::Ready
        | JobState::Done
        | JobState::Reused
        | JobState::Failed
        | JobState::Cancelled => false,
    }
}

/// Says what goes on, and in how many jobs. What is uncertain is said, for a run may stay for nothing
/// else.
fn describe_in_flight(counts: &JobStateCounts, failed: u64) -> String {
    let jobs = |state| counts.get(&state).copied().unwrap_or(0);
    let parts = [
        (jobs(JobState::Rendering), "rendering"),
        (jobs(JobState::Uncertain), "uncertain, looked for"),
        (jobs(JobState::Fetching), "to fetch"),
        (jobs(JobState::Ready) + jobs(JobState::Submitting), "waiting"),
        (failed, "failed"),
    ];
    let parts = parts.into_iter().filter(|(jobs, word)| *jobs > 0 || *word == "rendering");
    parts.map(|(jobs, word)| format!("{jobs} {word}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use crate::cli::args::{ColorMode, GlobalArgs};
    use crate::cli::output::run_progress::*;

    fn printer() -> Printer {
        Printer::new(&GlobalArgs {
            ledger: None,
            quiet: true,
            verbose: 0,
            color: ColorMode::Never,
            json: false,
        })
    }

    fn shown(counts: &[(JobState, u64)]) -> ProgressState {
        let screen = RunProgress::new(&printer(), 1, counts.iter().copied().collect());
        Arc::into_inner(screen.state).unwrap().into_inner().unwrap()
    }

    #[test]
    fn a_run_that_only_waits_says_once_a_minute_what_for() {
        let mut shown = shown(&[(JobState::Done, 11), (JobState::Rendering, 1)]);
        let waits = JobStateCounts::from([(JobState::Done, 11), (JobState::Uncertain, 1)]);
        assert_eq!(shown.refresh(Some(waits), Duration::from_secs(57)), None);
        let line = shown.refresh(None, Duration::from_secs(59));
        assert_eq!(line.as_deref(), Some("[11/12] 0 rendering, 1 uncertain, looked for"));
        shown.batches_left = 0;
        assert_eq!(shown.refresh(None, Duration::from_secs(60)), None);
    }

    #[test]
    fn what_is_under_way_is_said_in_the_order_in_which_it_comes_home() {
        let counts = [(JobState::Rendering, 3), (JobState::Ready, 8), (JobState::Submitting, 1)];
        let words = describe_in_flight(&JobStateCounts::from(counts), 2);
        assert_eq!(words, "3 rendering, 9 waiting, 2 failed");
    }

    #[test]
    fn a_row_that_is_changed_while_it_renders_is_counted_once() {
        let printer = printer();
        let counts = JobStateCounts::from([(JobState::Done, 1), (JobState::Rendering, 1)]);
        let screen = RunProgress::new(&printer, 1, counts);
        let key = || "ann".to_owned();
        let done = || RunEvent::Done { key: key(), file: "ann.mp4".to_owned() };
        let renders = || RunEvent::Rendering { key: key(), project_id: "p".to_owned() };
        let mut seen = Vec::new();
        for happening in [done(), renders(), done(), done()] {
            screen.show_event(&happening);
            seen.push(screen.lock_state().done);
        }
        assert_eq!((seen, screen.lock_state().total), (vec![2, 1, 2, 2], 2));
        assert_eq!(screen.event_line(&done()).as_deref(), Some("[2/2] ann: done, ann.mp4"));
    }
}

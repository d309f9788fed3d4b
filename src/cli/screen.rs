//! What a run looks like: bars on a terminal, one line per change elsewhere, events for machines.
//!
//! Listens and shows; nothing waits for it and nothing depends on it. What happens is heard; what only
//! waits is not, so the ledger is asked now and then what is under way.

use std::collections::{BTreeMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bars::Bars;
use super::talk::{Talk, plain, span};
use crate::ledger::{BatchId, Ledger, LedgerError, State};
use crate::runner::{Happening, Observer};

/// Without bars, a sign of life at least this often.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// Between two looks into the ledger.
const LOOK: Duration = Duration::from_secs(1);

/// Shows a run. Cloning gives another handle on the same screen.
#[derive(Clone)]
pub(super) struct Screen {
    talk: Talk,
    shown: Arc<Mutex<Shown>>,
    /// How long the run stays for a row whose answer was lost, if it stays.
    stays: Option<Duration>,
}

/// Jobs by their state.
pub(super) type Counts = BTreeMap<State, u64>;

struct Shown {
    bars: Option<Bars>,
    done: u64,
    total: u64,
    /// Jobs that came to their end in this run. One that was changed meanwhile begins once more.
    finished: HashSet<String>,
    failed: u64,
    /// What the ledger said last.
    counts: Counts,
    /// Batches that still go on.
    batches: usize,
    last_line: Instant,
}

impl Screen {
    /// A screen for so many batches, whose jobs are what `counts` says.
    pub(super) fn new(talk: &Talk, batches: usize, counts: Counts) -> Self {
        let (done, total) = (done(&counts), counts.values().sum());
        let bars = talk.has_bars().then(|| Bars::new(talk.bars(), (done, total)));
        let shown = Shown {
            bars,
            done,
            total,
            finished: HashSet::new(),
            failed: 0,
            counts,
            batches,
            last_line: Instant::now(),
        };
        let shown = Arc::new(Mutex::new(shown));
        Self { talk: talk.clone(), shown, stays: None }
    }

    /// Returns the listener that a run is given; `talk` knows which batch it speaks of, and `stays`
    /// how long the run stays for a row whose answer was lost.
    pub(super) fn observer(&self, talk: &Talk, stays: Option<Duration>) -> Observer {
        let screen = Self { talk: talk.clone(), shown: self.shown.clone(), stays };
        Observer::new(move |happening| screen.show(&happening))
    }

    /// Shows that the run lives, also while nothing happens in it: bars keep to the ledger, and
    /// without bars no minute is without a line.
    pub(super) async fn beat(&self, ledger: &Ledger, batches: &[BatchId]) -> Infallible {
        loop {
            tokio::time::sleep(LOOK).await;
            let silent = self.shown().last_line.elapsed();
            if self.talk.is_json() || !(self.talk.has_bars() || is_long(silent)) {
                continue;
            }
            // A ledger that does not answer is the run's trouble; what it said last is shown.
            let counts = counts(ledger, batches).await.ok();
            let line = self.shown().beat(counts, silent);
            if let (Some(line), false) = (line, self.talk.has_bars()) {
                self.talk.say(&line);
                self.shown().last_line = Instant::now();
            }
        }
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, happening: &Happening) {
        if self.talk.is_json() {
            let event = serde_json::to_value(happening).unwrap_or_default();
            return self.talk.event(event);
        }
        self.count(happening);
        let line = self.line_for(happening);
        if let Some(line) = line {
            self.talk.say(&self.talk.named(&line));
            self.shown().last_line = Instant::now();
        }
    }

    fn count(&self, happening: &Happening) {
        let mut shown = self.shown();
        match happening {
            Happening::Generating { key, progress } => {
                shown.renders(&self.known_by(key), *progress as u64, "being written");
            }
            Happening::Drafted { key } => shown.moves(&self.known_by(key), 100, "written"),
            Happening::Rendering { key, .. } => {
                let key = self.known_by(key);
                shown.begins_again(&key);
                shown.renders(&key, 0, "rendering");
            }
            Happening::Progress { key, progress, stalled } => {
                let word = if *stalled { "stands still" } else { "rendering" };
                shown.moves(&self.known_by(key), *progress as u64, word);
            }
            Happening::Rendered { key } => shown.moves(&self.known_by(key), 100, "downloading"),
            Happening::Done { key, .. } => {
                let key = self.known_by(key);
                shown.leaves(&key);
                shown.done += u64::from(shown.finished.insert(key));
            }
            Happening::Failed { key, .. } => {
                shown.failed += 1;
                shown.leaves(&self.known_by(key));
            }
            Happening::Uncertain { key, .. } | Happening::Retry { key, .. } => {
                let key = self.known_by(key);
                shown.begins_again(&key);
                shown.leaves(&key);
            }
            Happening::Started { .. }
            | Happening::Downloading { .. }
            | Happening::SlowDown { .. }
            | Happening::Alarm { .. }
            | Happening::Halted { .. }
            | Happening::Paused
            | Happening::Unpaused
            | Happening::Draining => {}
        }
        shown.sum_up();
    }

    /// Returns what a job is known by here, and its bar says: two batches may have one key.
    fn known_by(&self, key: &str) -> String {
        match self.talk.batch() {
            Some(batch) => format!("{batch} {key}"),
            None => key.to_owned(),
        }
    }

    /// Returns the line for something that happened, where bars do not show it already.
    fn line_for(&self, happening: &Happening) -> Option<String> {
        let bars = self.talk.has_bars();
        let shown = self.shown();
        let of = |done: u64| format!("[{done}/{}]", shown.total);
        match happening {
            Happening::Started { drafts_lost, uncertain, .. } if drafts_lost + uncertain > 0 => {
                let stays = if *uncertain > 0 { self.stays() } else { String::new() };
                Some(format!(
                    "the former run ended in the middle of something: {uncertain} to settle, \
                     {drafts_lost} to draft again{stays}"
                ))
            }
            Happening::Rendering { key, project_id } if !bars => {
                Some(format!("{} {}: rendering as {project_id}", of(shown.done), plain(key)))
            }
            Happening::Done { key, file } if !bars => {
                Some(format!("{} {}: done, {}", of(shown.done), plain(key), plain(file)))
            }
            Happening::Retry { key, words, .. } => {
                Some(format!("{}: {}; it is tried again", plain(key), plain(words)))
            }
            Happening::Uncertain { key, words } => Some(format!(
                "{}: the answer was lost ({}); evidence is looked for before anything is sent \
                 again{}",
                plain(key),
                plain(words),
                self.stays()
            )),
            Happening::Failed { key, words } => {
                Some(format!("{}: failed: {}", plain(key), plain(words)))
            }
            Happening::SlowDown { until } => {
                Some(format!("AI Studios asked us to slow down; nobody asks before {until:.0}"))
            }
            Happening::Alarm { words } => Some(format!("warning: {}", plain(words))),
            Happening::Halted { words } => {
                Some(format!("nothing more is submitted: {}", plain(words)))
            }
            Happening::Paused => Some(
                "paused by a person: what is under way is brought home, and nothing is submitted \
                 until it is unpaused (callsheet unpause)"
                    .into(),
            ),
            Happening::Unpaused => Some("unpaused: it goes on".into()),
            Happening::Draining => {
                Some("stopping: open requests are finished (Ctrl-C again leaves at once)".into())
            }
            Happening::Generating { key, progress } if !bars && *progress == 0.0 => {
                Some(format!("{} {}: being written", of(shown.done), plain(key)))
            }
            Happening::Started { .. }
            | Happening::Drafted { .. }
            | Happening::Generating { .. }
            | Happening::Rendering { .. }
            | Happening::Progress { .. }
            | Happening::Rendered { .. }
            | Happening::Downloading { .. }
            | Happening::Done { .. } => None,
        }
    }

    /// Says what the run does while it is uncertain whether a row was paid for.
    fn stays(&self) -> String {
        match self.stays {
            Some(wait) => {
                format!("; this run stays for that, about {} where nothing is found", span(wait))
            }
            None => "; this run does not stay for that, and the next one looks again".to_owned(),
        }
    }

    /// Notes that one batch came to its end. With the last one all bars are taken away, so that
    /// what follows stands alone.
    pub(super) fn ended(&self) {
        let mut shown = self.shown();
        shown.batches = shown.batches.saturating_sub(1);
        if shown.batches > 0 {
            return;
        }
        if let Some(mut bars) = shown.bars.take() {
            bars.clear();
        }
    }
}

impl Shown {
    /// Writes the overall bar anew.
    fn sum_up(&mut self) {
        if let Some(bars) = &mut self.bars {
            bars.sum_up(self.done, &under_way(&self.counts, self.failed));
        }
    }

    fn renders(&mut self, key: &str, percent: u64, word: &'static str) {
        if let Some(bars) = &mut self.bars {
            bars.add(key);
            bars.moves(key, percent, word);
        }
    }

    fn moves(&self, key: &str, percent: u64, word: &'static str) {
        if let Some(bars) = &self.bars {
            bars.moves(key, percent, word);
        }
    }

    fn leaves(&mut self, key: &str) {
        if let Some(bars) = &mut self.bars {
            bars.remove(key);
        }
    }

    /// A row whose content changed while it rendered is done once, and then rendered anew: it is one
    /// video of all, and not there yet.
    fn begins_again(&mut self, key: &str) {
        if self.finished.remove(key) {
            self.done = self.done.saturating_sub(1);
        }
    }

    /// Takes in what the ledger says. Returns the line that says that the run lives, when none was
    /// written for long; a run that has ended is told of elsewhere.
    fn beat(&mut self, counts: Option<Counts>, silent: Duration) -> Option<String> {
        self.counts = counts.unwrap_or_else(|| std::mem::take(&mut self.counts));
        self.sum_up();
        let words = || under_way(&self.counts, self.failed);
        (self.batches > 0 && is_long(silent))
            .then(|| format!("[{}/{}] {}", self.done, self.total, words()))
    }
}

/// Tells whether a line that waited for the next look could come too late.
fn is_long(silent: Duration) -> bool {
    silent + LOOK * 2 > HEARTBEAT
}

/// Returns the jobs of some batches by their state.
pub(super) async fn counts(ledger: &Ledger, batches: &[BatchId]) -> Result<Counts, LedgerError> {
    let mut all = Counts::new();
    for batch in batches {
        // What left the sheet and was paid for is brought home as well, and counted when it is.
        let removed = ledger.counts_removed(*batch).await?.into_iter();
        let removed = removed.filter(|(state, _)| is_under_way(*state));
        for (state, jobs) in ledger.counts(*batch).await?.into_iter().chain(removed) {
            *all.entry(state).or_default() += jobs;
        }
    }
    Ok(all)
}

fn done(counts: &Counts) -> u64 {
    [State::Done, State::Reused].iter().filter_map(|state| counts.get(state)).sum()
}

fn is_under_way(state: State) -> bool {
    match state {
        State::Submitting | State::Uncertain | State::Rendering | State::Fetching => true,
        State::Ready | State::Done | State::Reused | State::Failed | State::Cancelled => false,
    }
}

/// Says what goes on, and in how many jobs. What is uncertain is said, for a run may stay for nothing
/// else.
fn under_way(counts: &Counts, failed: u64) -> String {
    let jobs = |state| counts.get(&state).copied().unwrap_or(0);
    let parts = [
        (jobs(State::Rendering), "rendering"),
        (jobs(State::Uncertain), "uncertain, looked for"),
        (jobs(State::Fetching), "to fetch"),
        (jobs(State::Ready) + jobs(State::Submitting), "waiting"),
        (failed, "failed"),
    ];
    let parts = parts.into_iter().filter(|(jobs, word)| *jobs > 0 || *word == "rendering");
    parts.map(|(jobs, word)| format!("{jobs} {word}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Color, Global};

    fn talk() -> Talk {
        Talk::new(&Global {
            ledger: None,
            quiet: true,
            verbose: 0,
            color: Color::Never,
            json: false,
        })
    }

    fn shown(counts: &[(State, u64)]) -> Shown {
        let screen = Screen::new(&talk(), 1, counts.iter().copied().collect());
        Arc::into_inner(screen.shown).unwrap().into_inner().unwrap()
    }

    #[test]
    fn a_run_that_only_waits_says_once_a_minute_what_for() {
        let mut shown = shown(&[(State::Done, 11), (State::Rendering, 1)]);
        let waits = Counts::from([(State::Done, 11), (State::Uncertain, 1)]);
        assert_eq!(shown.beat(Some(waits), Duration::from_secs(57)), None);
        let line = shown.beat(None, Duration::from_secs(59));
        assert_eq!(line.as_deref(), Some("[11/12] 0 rendering, 1 uncertain, looked for"));
        shown.batches = 0;
        assert_eq!(shown.beat(None, Duration::from_secs(60)), None);
    }

    #[test]
    fn what_is_under_way_is_said_in_the_order_in_which_it_comes_home() {
        let counts = [(State::Rendering, 3), (State::Ready, 8), (State::Submitting, 1)];
        let words = under_way(&Counts::from(counts), 2);
        assert_eq!(words, "3 rendering, 9 waiting, 2 failed");
    }

    #[test]
    fn a_row_that_is_changed_while_it_renders_is_counted_once() {
        let talk = talk();
        let counts = Counts::from([(State::Done, 1), (State::Rendering, 1)]);
        let screen = Screen::new(&talk, 1, counts);
        let key = || "ann".to_owned();
        let done = || Happening::Done { key: key(), file: "ann.mp4".to_owned() };
        let renders = || Happening::Rendering { key: key(), project_id: "p".to_owned() };
        let mut seen = Vec::new();
        for happening in [done(), renders(), done(), done()] {
            screen.show(&happening);
            seen.push(screen.shown().done);
        }
        assert_eq!((seen, screen.shown().total), (vec![2, 1, 2, 2], 2));
        assert_eq!(screen.line_for(&done()).as_deref(), Some("[2/2] ann: done, ann.mp4"));
    }
}

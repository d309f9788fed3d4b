//! What a run looks like: bars on a terminal, one line per change elsewhere, events for machines.
//!
//! Listens and shows; nothing waits for it and nothing depends on it. What happens is heard; what only
//! waits is not, so the ledger is asked now and then what is under way.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::talk::{Talk, fitted, plain, span};
use crate::ledger::{BatchId, Ledger, LedgerError, State};
use crate::runner::{Happening, Observer};

/// Renders shown one by one; the overall bar tells of the rest.
const BARS_MAX: usize = 8;
/// Without bars, a sign of life at least this often.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// Between two looks into the ledger.
const LOOK: Duration = Duration::from_secs(1);
/// Characters of a key in front of its bar, so that a bar fits into 80 columns.
const KEY_WIDTH: usize = 24;

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
    overall: Option<ProgressBar>,
    renders: HashMap<String, ProgressBar>,
    done: u64,
    total: u64,
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
        let overall = talk.has_bars().then(|| {
            let bar = talk.bars().add(ProgressBar::new(total));
            bar.set_style(overall_style());
            bar.set_position(done);
            bar.reset_eta();
            bar.enable_steady_tick(Duration::from_millis(500));
            bar
        });
        let shown = Shown {
            overall,
            renders: HashMap::new(),
            done,
            total,
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
        let line = self.line_for(happening);
        self.count(happening);
        if let Some(line) = line {
            self.talk.say(&self.talk.named(&line));
            self.shown().last_line = Instant::now();
        }
    }

    fn count(&self, happening: &Happening) {
        let mut shown = self.shown();
        match happening {
            Happening::Generating { key, progress } => {
                let known_by = self.bar_of(key);
                self.add_bar(&mut shown, &known_by);
                if let Some(bar) = shown.renders.get(&known_by) {
                    bar.set_position(*progress as u64);
                    bar.set_message("being written");
                }
            }
            Happening::Drafted { key } => {
                if let Some(bar) = shown.renders.get(&self.bar_of(key)) {
                    bar.set_position(100);
                    bar.set_message("written");
                }
            }
            Happening::Rendering { key, .. } => {
                let known_by = self.bar_of(key);
                self.add_bar(&mut shown, &known_by);
                if let Some(bar) = shown.renders.get(&known_by) {
                    bar.set_position(0);
                    bar.set_message("rendering");
                }
            }
            Happening::Progress { key, progress, stalled } => {
                if let Some(bar) = shown.renders.get(&self.bar_of(key)) {
                    bar.set_position(*progress as u64);
                    bar.set_message(if *stalled { "stands still" } else { "rendering" });
                }
            }
            Happening::Rendered { key } => {
                if let Some(bar) = shown.renders.get(&self.bar_of(key)) {
                    bar.set_position(100);
                    bar.set_message("downloading");
                }
            }
            Happening::Done { key, .. } => {
                shown.done += 1;
                remove_bar(&mut shown, &self.bar_of(key));
            }
            Happening::Failed { key, .. } => {
                shown.failed += 1;
                remove_bar(&mut shown, &self.bar_of(key));
            }
            Happening::Uncertain { key, .. } | Happening::Retry { key, .. } => {
                remove_bar(&mut shown, &self.bar_of(key));
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

    /// Returns what a job's bar is known by, and says: two batches may have one key.
    fn bar_of(&self, key: &str) -> String {
        match self.talk.batch() {
            Some(batch) => format!("{batch} {key}"),
            None => key.to_owned(),
        }
    }

    fn add_bar(&self, shown: &mut Shown, key: &str) {
        let is_shown = shown.renders.contains_key(key);
        if shown.overall.is_none() || is_shown || shown.renders.len() >= BARS_MAX {
            return;
        }
        let bar = self.talk.bars().add(ProgressBar::new(100));
        bar.set_style(render_style());
        bar.set_prefix(short(key));
        bar.set_message("rendering");
        shown.renders.insert(key.to_owned(), bar);
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
                Some(format!("{} {}: done, {}", of(shown.done + 1), plain(key), plain(file)))
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
        for (_, bar) in shown.renders.drain() {
            bar.finish_and_clear();
        }
        if let Some(overall) = shown.overall.take() {
            overall.finish_and_clear();
        }
    }
}

impl Shown {
    /// Writes the overall bar anew.
    fn sum_up(&self) {
        if let Some(overall) = &self.overall {
            overall.set_position(self.done);
            overall.set_message(under_way(&self.counts, self.failed));
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

/// Tells whether another second of silence would be too much.
fn is_long(silent: Duration) -> bool {
    silent + LOOK > HEARTBEAT
}

/// Returns the jobs of some batches by their state.
pub(super) async fn counts(ledger: &Ledger, batches: &[BatchId]) -> Result<Counts, LedgerError> {
    let mut all = Counts::new();
    for batch in batches {
        for (state, jobs) in ledger.counts(*batch).await? {
            *all.entry(state).or_default() += jobs;
        }
    }
    Ok(all)
}

fn done(counts: &Counts) -> u64 {
    [State::Done, State::Reused].iter().filter_map(|state| counts.get(state)).sum()
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

fn remove_bar(shown: &mut Shown, key: &str) {
    if let Some(bar) = shown.renders.remove(key) {
        bar.finish_and_clear();
    }
}

/// Returns a key as it fits in front of its bar.
fn short(key: &str) -> String {
    fitted(&plain(key), KEY_WIDTH).trim_end().to_owned()
}

fn overall_style() -> ProgressStyle {
    style("{bar:16} {pos}/{len} videos, {msg}, {elapsed} gone{left}").with_key(
        "left",
        |state: &ProgressState, out: &mut dyn fmt::Write| {
            // Before the first video there is nothing to judge by.
            if !state.eta().is_zero() {
                let _ = write!(out, ", about {} left", span(state.eta()));
            }
        },
    )
}

fn render_style() -> ProgressStyle {
    style("  {prefix:24} {bar:24} {pos:>3} % {msg}")
}

fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).expect("the templates above are well formed");
    style.progress_chars("━╸─")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Color, Global};

    fn shown(counts: &[(State, u64)]) -> Shown {
        let counts = counts.iter().copied().collect();
        let talk = Talk::new(&Global {
            ledger: None,
            quiet: true,
            verbose: 0,
            color: Color::Never,
            json: false,
        });
        let screen = Screen::new(&talk, 1, counts);
        Arc::into_inner(screen.shown).unwrap().into_inner().unwrap()
    }

    #[test]
    fn a_run_that_only_waits_says_once_a_minute_what_for() {
        let mut shown = shown(&[(State::Done, 11), (State::Rendering, 1)]);
        let waits = Counts::from([(State::Done, 11), (State::Uncertain, 1)]);
        assert_eq!(shown.beat(Some(waits), Duration::from_secs(58)), None);
        let line = shown.beat(None, Duration::from_secs(60));
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
    fn a_key_fits_in_front_of_its_bar_whatever_its_letters() {
        assert_eq!(short("TEA-001/ko"), "TEA-001/ko");
        assert_eq!(short("spring-launch-2026-morning-tea"), "spring-launch-2026-mor…");
        assert_eq!(short("봄 첫물 녹차를 마시는 아침과 저녁"), "봄 첫물 녹차를 마시는 …");
        assert_eq!(short("a\u{1b}[2Jb"), "a [2Jb");
    }
}

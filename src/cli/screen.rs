//! What a run looks like: bars on a terminal, one line per change elsewhere, events for machines.
//!
//! Listens and shows; nothing waits for it and nothing depends on it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use super::talk::{Talk, plain, sized, span};
use crate::runner::{Happening, Observer};

/// Renders shown one by one; the overall bar tells of the rest.
const BARS_MAX: usize = 8;
/// Without bars, a sign of life at least this often.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// Characters of a key in front of its bar, so that a bar fits into 80 columns.
const KEY_WIDTH: usize = 24;

/// Shows a run. Cloning gives another handle on the same screen.
#[derive(Clone)]
pub(super) struct Screen {
    talk: Talk,
    shown: Arc<Mutex<Shown>>,
}

struct Shown {
    overall: Option<ProgressBar>,
    renders: HashMap<String, ProgressBar>,
    done: u64,
    total: u64,
    rendering: u64,
    failed: u64,
    /// Batches that still go on.
    batches: usize,
    last_line: Instant,
}

impl Screen {
    /// A screen for so many batches, of which `done` of `total` jobs are done already.
    pub(super) fn new(talk: &Talk, batches: usize, (done, total): (u64, u64)) -> Self {
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
            rendering: 0,
            failed: 0,
            batches,
            last_line: Instant::now(),
        };
        let shown = Arc::new(Mutex::new(shown));
        Self { talk: talk.clone(), shown }
    }

    /// Returns the listener that a run is given; `talk` knows which batch it speaks of.
    pub(super) fn observer(&self, talk: &Talk) -> Observer {
        let screen = Self { talk: talk.clone(), shown: self.shown.clone() };
        Observer::new(move |happening| screen.show(&happening))
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
                shown.rendering += 1;
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
                shown.rendering = shown.rendering.saturating_sub(1);
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
        if let Some(overall) = &shown.overall {
            overall.set_position(shown.done);
            let failed = shown.failed;
            let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
            overall.set_message(format!("{} rendering{failed}", shown.rendering));
        }
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
                Some(format!(
                    "the former run ended in the middle of something: {uncertain} to settle, \
                     {drafts_lost} to draft again"
                ))
            }
            Happening::Rendering { key, project_id } if !bars => {
                Some(format!("{} {}: rendering as {project_id}", of(shown.done), plain(key)))
            }
            Happening::Done { key, file } if !bars => {
                Some(format!("{} {}: done, {}", of(shown.done + 1), plain(key), plain(file)))
            }
            Happening::Progress { .. } if !bars && shown.last_line.elapsed() > HEARTBEAT => {
                Some(format!("{} {} rendering", of(shown.done), shown.rendering))
            }
            Happening::Retry { key, words, .. } => {
                Some(format!("{}: {}; it is tried again", plain(key), plain(words)))
            }
            Happening::Uncertain { key, words } => Some(format!(
                "{}: the answer was lost ({}); evidence is looked for before anything is sent \
                 again",
                plain(key),
                plain(words)
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

fn remove_bar(shown: &mut Shown, key: &str) {
    if let Some(bar) = shown.renders.remove(key) {
        bar.finish_and_clear();
    }
}

/// Returns a key as it fits in front of its bar.
fn short(key: &str) -> String {
    sized(&plain(key), KEY_WIDTH).trim_end().to_owned()
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

    #[test]
    fn a_key_fits_in_front_of_its_bar_whatever_its_letters() {
        assert_eq!(short("TEA-001/ko"), "TEA-001/ko");
        assert_eq!(short("spring-launch-2026-morning-tea"), "spring-launch-2026-mor…");
        assert_eq!(short("봄 첫물 녹차를 마시는 아침과 저녁"), "봄 첫물 녹차를 마시는 …");
        assert_eq!(short("a\u{1b}[2Jb"), "a [2Jb");
    }
}

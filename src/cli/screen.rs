//! What a run looks like: bars on a terminal, one line per change elsewhere, events for machines.
//!
//! Listens and shows; nothing waits for it and nothing depends on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::talk::{Talk, plain};
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
    last_line: Instant,
}

impl Screen {
    /// A screen for a batch of which `done` of `total` jobs are done already.
    pub(super) fn new(talk: &Talk, (done, total): (u64, u64)) -> Self {
        let overall = talk.has_bars().then(|| {
            let bar = talk.bars().add(ProgressBar::new(total));
            bar.set_style(overall_style());
            bar.set_position(done);
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
            last_line: Instant::now(),
        };
        let shown = Arc::new(Mutex::new(shown));
        Self { talk: talk.clone(), shown }
    }

    /// Returns the listener that a run is given.
    pub(super) fn observer(&self) -> Observer {
        let screen = self.clone();
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
            self.talk.say(&line);
            self.shown().last_line = Instant::now();
        }
    }

    fn count(&self, happening: &Happening) {
        let mut shown = self.shown();
        match happening {
            Happening::Rendering { key, .. } => {
                shown.rendering += 1;
                self.add_bar(&mut shown, key);
            }
            Happening::Progress { key, progress, stalled } => {
                if let Some(bar) = shown.renders.get(key) {
                    bar.set_position(*progress as u64);
                    bar.set_message(if *stalled { "stands still" } else { "rendering" });
                }
            }
            Happening::Rendered { key } => {
                shown.rendering = shown.rendering.saturating_sub(1);
                if let Some(bar) = shown.renders.get(key) {
                    bar.set_position(100);
                    bar.set_message("downloading");
                }
            }
            Happening::Done { key, .. } => {
                shown.done += 1;
                remove_bar(&mut shown, key);
            }
            Happening::Failed { key, .. } => {
                shown.failed += 1;
                remove_bar(&mut shown, key);
            }
            Happening::Uncertain { key, .. } | Happening::Retry { key, .. } => {
                remove_bar(&mut shown, key);
            }
            Happening::Started { .. }
            | Happening::Drafted { .. }
            | Happening::Downloading { .. }
            | Happening::SlowDown { .. }
            | Happening::Alarm { .. }
            | Happening::Halted { .. }
            | Happening::Draining => {}
        }
        if let Some(overall) = &shown.overall {
            overall.set_position(shown.done);
            let failed = shown.failed;
            let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
            overall.set_message(format!("{} rendering{failed}", shown.rendering));
        }
    }

    fn add_bar(&self, shown: &mut Shown, key: &str) {
        if shown.overall.is_none() || shown.renders.len() >= BARS_MAX {
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
            Happening::Draining => {
                Some("stopping: open requests are finished (Ctrl-C again leaves at once)".into())
            }
            Happening::Started { .. }
            | Happening::Drafted { .. }
            | Happening::Rendering { .. }
            | Happening::Progress { .. }
            | Happening::Rendered { .. }
            | Happening::Downloading { .. }
            | Happening::Done { .. } => None,
        }
    }

    /// Takes all bars away, so that what follows stands alone.
    pub(super) fn clear(&self) {
        let mut shown = self.shown();
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

fn short(key: &str) -> String {
    let key = plain(key);
    if key.chars().count() <= KEY_WIDTH {
        return key.into_owned();
    }
    key.chars().take(KEY_WIDTH - 1).chain(['…']).collect()
}

fn overall_style() -> ProgressStyle {
    style("{bar:24} {pos}/{len} videos, {msg}, {elapsed} gone, eta {eta}")
}

fn render_style() -> ProgressStyle {
    style("  {prefix:24} {bar:24} {pos:>3} % {msg}")
}

fn style(template: &str) -> ProgressStyle {
    let style =
        ProgressStyle::with_template(template).expect("the templates above are well formed");
    style.progress_chars("━╸─")
}

//! The one place that writes to the terminal: results to stdout, talk to stderr, above the bars.
//!
//! Text from outside (cells, the vendor's words) passes through [`plain`] before it is shown: an
//! escape sequence in a cell must not reach a terminal. A closed pipe ends the talk, not the run.

use std::borrow::Cow;
use std::io::{IsTerminal, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};

use super::Global;
use super::logging::Loudness;

/// Speaks to the person or the program that called us.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    bars: MultiProgress,
    color: bool,
    json: bool,
    quiet: bool,
}

impl Talk {
    pub(super) fn new(global: &Global) -> Self {
        let hidden = global.json || global.quiet || !std::io::stderr().is_terminal();
        let target = if hidden {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(10)
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            color: global.colored(),
            json: global.json,
            quiet: global.loudness() == Loudness::Quiet,
        }
    }

    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Tells whether bars can be seen.
    pub(super) fn has_bars(&self) -> bool {
        !self.bars.is_hidden()
    }

    /// Tells whether results are for machines.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Tells whether colours are wanted.
    pub(super) fn is_colored(&self) -> bool {
        self.color
    }

    /// Writes a result.
    pub(super) fn result(&self, text: &str) {
        self.bars.suspend(|| {
            let mut out = std::io::stdout().lock();
            // Whoever closed the pipe has read enough.
            let _ = writeln!(out, "{text}").and_then(|()| out.flush());
        });
    }

    /// Writes one machine-readable document or event.
    pub(super) fn document(&self, document: &serde_json::Value) {
        self.result(&document.to_string());
    }

    /// Says something that is not a result.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet && !self.json {
            self.line(text);
        }
    }

    /// Says what went wrong.
    pub(super) fn error(&self, text: &str) {
        let label = if self.color { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" };
        self.line(&format!("{label} {text}"));
    }

    /// Shows a drawn mistake.
    pub(super) fn complain(&self, drawn: &str) {
        self.line(drawn);
    }

    fn line(&self, text: &str) {
        self.bars.suspend(|| {
            let _ = writeln!(std::io::stderr(), "{text}");
        });
    }
}

/// Returns foreign text without anything that a terminal would act upon.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let acts =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.chars().any(acts) {
        Cow::Owned(text.chars().map(|c| if acts(c) { ' ' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns `count` with its noun: "1 row", "12 rows".
pub(super) fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Returns a span as people say it: "about 3 min".
pub(super) fn span(span: std::time::Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..90 => format!("{seconds} s"),
        90..5400 => format!("{} min", (seconds + 30) / 60),
        5400..172_800 => format!("{:.1} h", seconds as f64 / 3600.0),
        _ => format!("{} days", (seconds + 43_200) / 86_400),
    }
}

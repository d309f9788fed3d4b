//! The one place that writes to the terminal: results to stdout, talk to stderr, above the bars.
//!
//! Text from outside (cells, the vendor's words) passes through [`plain`] before it is shown: an
//! escape sequence in a cell must not reach a terminal. A closed pipe ends the talk, not the run.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthChar;

use super::Global;
use super::logging::Loudness;

/// Speaks to the person or the program that called us.
#[derive(Clone, Debug)]
pub(super) struct Talk {
    bars: MultiProgress,
    color: bool,
    json: bool,
    quiet: bool,
    /// A terminal that breaks long lines anywhere; a file or a pipe keeps a message on one line.
    wraps: bool,
    stream: Arc<Mutex<Stream>>,
    /// Why a result could not be written, where one could not.
    unwritten: Arc<OnceLock<io::ErrorKind>>,
    /// The batch that this handle speaks of, where there are several.
    batch: Option<Arc<str>>,
}

/// The events of a run, for machines.
#[derive(Debug, Default)]
struct Stream {
    seq: u64,
    batch: Option<String>,
    summed_up: bool,
}

/// Columns that every terminal has.
pub(super) const COLUMNS: usize = 80;

impl Talk {
    pub(super) fn new(global: &Global) -> Self {
        let hidden = global.json || global.quiet || !io::stderr().is_terminal();
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
            wraps: io::stderr().is_terminal(),
            stream: Arc::default(),
            unwritten: Arc::default(),
            batch: None,
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
        self.bars.suspend(|| self.printed(text));
    }

    /// Writes a result, and tells whether anybody still reads them.
    pub(super) fn printed(&self, text: &str) -> bool {
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Ok(()) => true,
            // Whoever closed the pipe has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => false,
            Err(error) => {
                // Said once, and at the end: a run goes on without its listener.
                let _ = self.unwritten.set(error.kind());
                false
            }
        }
    }

    /// Says that results were lost, if they were.
    pub(super) fn has_lost_results(&self) -> bool {
        let Some(kind) = self.unwritten.get() else { return false };
        self.error(&format!("standard output cannot be written ({kind})"));
        true
    }

    /// Writes one machine-readable document.
    pub(super) fn document(&self, document: &Value) {
        self.result(&escaped(&document.to_string()));
    }

    /// Names the batch that all further events are about.
    pub(super) fn about(&self, batch: &str) {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner).batch = Some(batch.to_owned());
    }

    /// Returns a handle that speaks of one batch among several.
    pub(super) fn of(&self, batch: &str) -> Self {
        Self { batch: Some(batch.into()), ..self.clone() }
    }

    /// Returns the batch that this handle speaks of, where there are several.
    pub(super) fn batch(&self) -> Option<&str> {
        self.batch.as_deref()
    }

    /// Returns a line with the batch's name before it, where there are several.
    pub(super) fn named(&self, line: &str) -> String {
        match &self.batch {
            Some(batch) => format!("{batch}: {line}"),
            None => line.to_owned(),
        }
    }

    /// Writes one event with its place in the stream.
    pub(super) fn event(&self, mut event: Value) {
        // Held while writing, so that the numbers come out in their order.
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        stream.seq += 1;
        if let Some(fields) = event.as_object_mut() {
            fields.insert("v".to_owned(), json!(1));
            fields.insert("seq".to_owned(), json!(stream.seq));
            fields.insert("ts".to_owned(), json!(format!("{:.3}", jiff::Timestamp::now())));
            let batch = self.batch.as_deref().or(stream.batch.as_deref());
            fields.insert("batch".to_owned(), json!(batch));
            stream.summed_up |= fields.get("type").is_some_and(|kind| kind == "summary");
        }
        self.document(&event);
    }

    /// Writes the last event, unless it has been written: whoever reads events always gets one.
    pub(super) fn sum_up(&self, mut summary: Value) {
        if !self.json || self.stream.lock().unwrap_or_else(PoisonError::into_inner).summed_up {
            return;
        }
        if let Some(fields) = summary.as_object_mut() {
            fields.insert("type".to_owned(), json!("summary"));
        }
        self.event(summary);
    }

    /// Says something that is not a result.
    pub(super) fn say(&self, text: &str) {
        if !self.quiet && !self.json {
            self.line(&self.shaped(text));
        }
    }

    /// Says what went wrong.
    pub(super) fn error(&self, text: &str) {
        let shaped = self.shaped(&format!("error: {text}"));
        let rest = shaped.strip_prefix("error:").unwrap_or(&shaped);
        let label = if self.color { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" };
        self.line(&format!("{label}{rest}"));
    }

    /// Returns text as it can be shown: harmless, and on a terminal broken between words.
    fn shaped(&self, text: &str) -> String {
        let lines: Vec<_> = text.split('\n').map(plain).collect();
        let columns = if self.wraps { columns_at_most() } else { usize::MAX };
        let lines = lines.iter().map(|line| wrapped(line, columns));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Shows a drawn mistake.
    pub(super) fn complain(&self, drawn: &str) {
        self.line(drawn);
    }

    fn line(&self, text: &str) {
        self.bars.suspend(|| {
            let _ = writeln!(io::stderr(), "{text}");
        });
    }
}

/// Tells whether a terminal would do something other than show this character.
fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns foreign text without anything that a terminal would act upon.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.chars().any(acts) {
        Cow::Owned(text.chars().map(|c| if acts(c) { ' ' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns JSON that says the same, and is harmless on a terminal. Outside ASCII such a character
/// can only stand in a string; within ASCII the writer has escaped it already.
pub(super) fn escaped(json: &str) -> Cow<'_, str> {
    let harmful = |c: char| !c.is_ascii() && acts(c);
    if !json.contains(harmful) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if harmful(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Returns how many columns a character takes: Hangul, kana and the like take two.
fn columns(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Returns how many columns a text takes at most.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Returns a text in exactly so many columns: cut with a `…`, or filled with blanks.
pub(super) fn fitted(text: &str, max: usize) -> String {
    let mut out = text.to_owned();
    if width(text) > max {
        // The mark counts as two: some terminals show it so.
        let mut left = max.saturating_sub(2);
        let fits = |c: &char| {
            let fits = columns(*c) <= left;
            left = left.saturating_sub(columns(*c));
            fits
        };
        out = text.chars().take_while(fits).collect();
        if max > 0 {
            out.push('…');
        }
    }
    let blanks = max.saturating_sub(width(&out));
    out.extend(std::iter::repeat_n(' ', blanks));
    out
}

/// Returns a text whose lines fit a terminal.
pub(super) fn folded(text: &str) -> String {
    text.lines().map(|line| wrapped(line, COLUMNS)).collect::<Vec<_>>().join("\n")
}

/// Returns the columns of the terminal, of which no more are used than every terminal has.
fn columns_at_most() -> usize {
    let found = terminal_size::terminal_size_of(io::stderr());
    let columns = found.map_or(COLUMNS, |(terminal_size::Width(columns), _)| columns.into());
    // Some say that they have none.
    if columns == 0 { COLUMNS } else { columns.min(COLUMNS) }
}

/// Breaks a line between words where it would pass `columns`; what follows is indented. A word
/// that is too long by itself, such as a path, stays whole.
fn wrapped(line: &str, columns_max: usize) -> String {
    let text = line.trim_start();
    let mut out = line[..line.len() - text.len()].to_owned();
    let indent = " ".repeat(out.len() + 2);
    let mut column = out.chars().count();
    for (place, word) in text.split(' ').enumerate() {
        let width: usize = word.chars().map(columns).sum();
        if place > 0 && column + 1 + width > columns_max {
            out.push('\n');
            out.push_str(&indent);
            column = indent.len();
        } else if place > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += width;
    }
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_broken_between_words_and_a_path_stays_whole() {
        let path = "/a/".repeat(40);
        let text = format!(
            "no credentials: set this and that in the environment, or put both \
            into `{path}`, which only you can read"
        );
        let shown = wrapped(&text, COLUMNS);
        assert_eq!(shown.replace("\n  ", " "), text);
        assert!(shown.lines().all(|line| line.chars().count() <= 80 || line.contains(&path)));
        assert_eq!(wrapped("  short", COLUMNS), "  short");
        assert_eq!(wrapped("", COLUMNS), "");
        let narrow = wrapped("12 videos to render, about 2 min of speech", 20);
        assert_eq!(narrow, "12 videos to render,\n  about 2 min of\n  speech");
    }

    #[test]
    fn nothing_that_a_terminal_would_act_upon_gets_through() {
        for foreign in ["\u{1b}[2J", "\u{9b}31m", "a\rb", "\u{202e}gpj", "\u{7}"] {
            let shown = plain(foreign);
            assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{shown:?}");
        }
        assert_eq!(plain("Ünïcode 봄 🌱"), "Ünïcode 봄 🌱");
    }
}

//! The one place that writes to the terminal: results to stdout, printer to stderr, above the bars.
//!
//! Text from outside (cells, the vendor's words) passes through [`plain`] before it is shown: an
//! escape sequence in a cell must not reach a terminal. A closed pipe ends the printer, not the run.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthChar;

use crate::cli::args::GlobalArgs;
use crate::cli::output::logging::Verbosity;
use crate::text::{escape_json_for_terminal, strip_control};

/// Speaks to the person or the program that called us.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    bars: MultiProgress,
    color: bool,
    json: bool,
    quiet: bool,
    /// A terminal that breaks long lines anywhere; a file or a pipe keeps a message on one line.
    wraps_lines: bool,
    events: Arc<Mutex<EventStream>>,
    /// Why a result could not be written, where one could not.
    stdout_error: Arc<OnceLock<io::ErrorKind>>,
    /// The batch that this handle speaks of, where there are several.
    batch_label: Option<Arc<str>>,
}

/// The events of a run, for machines.
#[derive(Debug, Default)]
struct EventStream {
    seq: u64,
    batch: Option<String>,
    is_summary_written: bool,
}

/// Columns that every terminal has.
pub(crate) const STANDARD_WIDTH: usize = 80;

impl Printer {
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        let hidden = global.json || global.quiet || !io::stderr().is_terminal();
        let target = if hidden {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(10)
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            color: global.is_colored(),
            json: global.json,
            quiet: global.verbosity() == Verbosity::Quiet,
            wraps_lines: io::stderr().is_terminal(),
            events: Arc::default(),
            stdout_error: Arc::default(),
            batch_label: None,
        }
    }

    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Tells whether bars can be seen.
    pub(crate) fn has_bars(&self) -> bool {
        !self.bars.is_hidden()
    }

    /// Tells whether results are for machines.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Tells whether colours are wanted.
    pub(crate) fn is_colored(&self) -> bool {
        self.color
    }

    /// Writes a result.
    pub(crate) fn print_result(&self, text: &str) {
        self.bars.suspend(|| self.try_print_result(text));
    }

    /// Writes a result, and tells whether anybody still reads them.
    pub(crate) fn try_print_result(&self, text: &str) -> bool {
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Ok(()) => true,
            // Whoever closed the pipe has read enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => false,
            Err(error) => {
                // Said once, and at the end: a run goes on without its listener.
                let _ = self.stdout_error.set(error.kind());
                false
            }
        }
    }

    /// Says that results were lost, if they were.
    pub(crate) fn report_lost_results(&self) -> bool {
        let Some(kind) = self.stdout_error.get() else { return false };
        self.error(&format!("standard output cannot be written ({kind})"));
        true
    }

    /// Writes one machine-readable document.
    pub(crate) fn print_json(&self, document: &Value) {
        self.print_result(&escape_json_for_terminal(&document.to_string()));
    }

    /// Names the batch that all further events are about.
    pub(crate) fn set_batch(&self, batch: &str) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).batch = Some(batch.to_owned());
    }

    /// Returns a handle that speaks of one batch among several.
    pub(crate) fn for_batch(&self, batch: &str) -> Self {
        Self { batch_label: Some(batch.into()), ..self.clone() }
    }

    /// Returns the batch that this handle speaks of, where there are several.
    pub(crate) fn batch_label(&self) -> Option<&str> {
        self.batch_label.as_deref()
    }

    /// Returns a line with the batch's name before it, where there are several.
    pub(crate) fn with_batch_prefix(&self, line: &str) -> String {
        match &self.batch_label {
            Some(batch) => format!("{batch}: {line}"),
            None => line.to_owned(),
        }
    }

    /// Writes one event with its place in the stream.
    pub(crate) fn print_event(&self, mut event: Value) {
        // Held while writing, so that the numbers come out in their order.
        let mut stream = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        stream.seq += 1;
        if let Some(fields) = event.as_object_mut() {
            fields.insert("v".to_owned(), json!(1));
            fields.insert("seq".to_owned(), json!(stream.seq));
            fields.insert("ts".to_owned(), json!(format!("{:.3}", jiff::Timestamp::now())));
            let batch = self.batch_label.as_deref().or(stream.batch.as_deref());
            fields.insert("batch".to_owned(), json!(batch));
            stream.is_summary_written |= fields.get("type").is_some_and(|kind| kind == "summary");
        }
        self.print_json(&event);
    }

    /// Writes the last event, unless it has been written: whoever reads events always gets one.
    pub(crate) fn print_summary(&self, mut summary: Value) {
        if !self.json
            || self.events.lock().unwrap_or_else(PoisonError::into_inner).is_summary_written
        {
            return;
        }
        if let Some(fields) = summary.as_object_mut() {
            fields.insert("type".to_owned(), json!("summary"));
        }
        self.print_event(summary);
    }

    /// Says something that is not a result.
    pub(crate) fn status(&self, text: &str) {
        if !self.quiet && !self.json {
            self.write_stderr_line(&self.format_message(text));
        }
    }

    /// Says what went wrong.
    pub(crate) fn error(&self, text: &str) {
        let shaped = self.format_message(&format!("error: {text}"));
        let rest = shaped.strip_prefix("error:").unwrap_or(&shaped);
        let label = if self.color { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" };
        self.write_stderr_line(&format!("{label}{rest}"));
    }

    /// Returns text as it can be shown: harmless, and on a terminal broken between words.
    fn format_message(&self, text: &str) -> String {
        let lines: Vec<_> = text.split('\n').map(strip_control).collect();
        let columns = if self.wraps_lines { stderr_width() } else { usize::MAX };
        let lines = lines.iter().map(|line| wrap_line(line, columns));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Shows a drawn mistake.
    pub(crate) fn diagnostic(&self, drawn: &str) {
        self.write_stderr_line(drawn);
    }

    fn write_stderr_line(&self, text: &str) {
        self.bars.suspend(|| {
            let _ = writeln!(io::stderr(), "{text}");
        });
    }
}

/// Returns how many columns a character takes: Hangul, kana and the like take two.
fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Returns how many columns a text takes at most.
pub(crate) fn text_width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Returns a text in exactly so many columns: cut with a `…`, or filled with blanks.
pub(crate) fn pad_or_truncate(text: &str, max: usize) -> String {
    let mut out = text.to_owned();
    if text_width(text) > max {
        // The mark counts as two: some terminals show it so.
        let mut left = max.saturating_sub(2);
        let fits = |c: &char| {
            let fits = char_width(*c) <= left;
            left = left.saturating_sub(char_width(*c));
            fits
        };
        out = text.chars().take_while(fits).collect();
        if max > 0 {
            out.push('…');
        }
    }
    let blanks = max.saturating_sub(text_width(&out));
    out.extend(std::iter::repeat_n(' ', blanks));
    out
}

/// Returns a text whose lines fit a terminal.
pub(crate) fn wrap(text: &str) -> String {
    text.lines().map(|line| wrap_line(line, STANDARD_WIDTH)).collect::<Vec<_>>().join("\n")
}

/// Returns the columns of the terminal, of which no more are used than every terminal has.
fn stderr_width() -> usize {
    let found = terminal_size::terminal_size_of(io::stderr());
    let columns = found.map_or(STANDARD_WIDTH, |(terminal_size::Width(columns), _)| columns.into());
    // Some say that they have none.
    if columns == 0 { STANDARD_WIDTH } else { columns.min(STANDARD_WIDTH) }
}

/// Breaks a line between words where it would pass `columns`; what follows is indented. A word
/// that is too long by itself, such as a path, stays whole.
fn wrap_line(line: &str, columns_max: usize) -> String {
    let text = line.trim_start();
    let mut out = line[..line.len() - text.len()].to_owned();
    let indent = " ".repeat(out.len() + 2);
    let mut column = out.chars().count();
    for (place, word) in text.split(' ').enumerate() {
        let width: usize = word.chars().map(char_width).sum();
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

#[cfg(test)]
mod tests {
    use crate::cli::output::printer::*;

    #[test]
    fn a_long_message_is_broken_between_words_and_a_path_stays_whole() {
        let path = "/a/".repeat(40);
        let text = format!(
            "no credentials: set this and that in the environment, or put both \
            into `{path}`, which only you can read"
        );
        let shown = wrap_line(&text, STANDARD_WIDTH);
        assert_eq!(shown.replace("\n  ", " "), text);
        assert!(shown.lines().all(|line| line.chars().count() <= 80 || line.contains(&path)));
        assert_eq!(wrap_line("  short", STANDARD_WIDTH), "  short");
        assert_eq!(wrap_line("", STANDARD_WIDTH), "");
        let narrow = wrap_line("12 videos to render, about 2 min of speech", 20);
        assert_eq!(narrow, "12 videos to render,\n  about 2 min of\n  speech");
    }
}

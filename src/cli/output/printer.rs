//! The only writer to the terminal: results to stdout, messages to stderr, above the progress bars.
//!
//! Everything that is printed loses its escape sequences, control codes and hidden characters here:
//! an escape sequence in a cell, a file name or a ledger must not reach the terminal. Colour is a
//! type of its own, `StyledText`. A closed pipe ends the output, not the run, and a reader that stops
//! reading delays no run.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressDrawTarget};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthChar;

use crate::cli::args::GlobalArgs;
use crate::cli::output::logging::Verbosity;
use crate::cli::output::progress::bar_terminal::BarTerminal;
use crate::cli::output::stream_writer::{OutputStream, OutputWeight, StreamWriter};
use crate::cli::output::styled_text::StyledText;
use crate::text::{
    escape_json_for_terminal, keep_only_colors, pluralize, strip_control, strip_control_from_lines,
};

/// Output to the user, or to the calling program with `--json`.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    bars: MultiProgress,
    color: bool,
    /// Whether results on stdout are coloured.
    colors_results: bool,
    json: bool,
    quiet: bool,
    verbose: bool,
    /// Whether stderr is a terminal; in a file or pipe a message stays on one line.
    wraps_lines: bool,
    events: Arc<Mutex<EventStream>>,
    stdout: StreamWriter,
    stderr: StreamWriter,
    /// Whether messages begin with the time: the run is unattended.
    stamps_messages: bool,
    /// The batch of this handle, if there are several batches.
    batch_label: Option<Arc<str>>,
}

/// State of the JSON events of a run.
#[derive(Debug, Default)]
struct EventStream {
    seq: u64,
    batch: Option<String>,
    is_summary_written: bool,
}

/// Columns of a standard terminal; messages are never wider.
pub(crate) const STANDARD_WIDTH: usize = 80;

impl Printer {
    /// Returns the printer of a command that only prints: it waits for the reader.
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        let stderr = StreamWriter::direct(OutputStream::Stderr);
        Self::with_streams(global, StreamWriter::direct(OutputStream::Stdout), stderr)
    }

    /// Returns the printer of a command that runs for long: no reader delays it, and without a
    /// terminal its messages have a time.
    pub(crate) fn for_long_command(global: &GlobalArgs) -> Self {
        let stderr = StreamWriter::queued(OutputStream::Stderr);
        let stamps_messages = !io::stderr().is_terminal();
        let is_one_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        let stdout = match is_one_terminal {
            true => stderr.with_shared_queue(OutputStream::Stdout),
            false => StreamWriter::queued(OutputStream::Stdout),
        };
        let printer = Self::with_streams(global, stdout, stderr);
        Self { stamps_messages, ..printer }
    }

    fn with_streams(global: &GlobalArgs, stdout: StreamWriter, stderr: StreamWriter) -> Self {
        let hidden = global.json || global.quiet || !io::stderr().is_terminal();
        let target = if hidden {
            ProgressDrawTarget::hidden()
        } else {
            let terminal = BarTerminal::new(stderr.clone());
            ProgressDrawTarget::term_like_with_hz(Box::new(terminal), 10)
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            color: global.is_colored(),
            colors_results: global.is_stdout_colored(),
            json: global.json,
            quiet: global.verbosity() == Verbosity::Quiet,
            verbose: global.verbosity() >= Verbosity::Verbose,
            wraps_lines: io::stderr().is_terminal(),
            events: Arc::default(),
            stdout,
            stderr,
            stamps_messages: false,
            batch_label: None,
        }
    }

    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Returns whether progress bars are visible.
    pub(crate) fn has_bars(&self) -> bool {
        !self.bars.is_hidden()
    }

    /// Returns whether results are printed as JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// Returns whether `-v` was given.
    pub(crate) fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Returns whether the output is coloured.
    pub(crate) fn is_colored(&self) -> bool {
        self.color
    }

    /// Prints a result to stdout.
    pub(crate) fn print_result(&self, text: &str) {
        self.try_print_result(text);
    }

    /// Prints sentences as a result: on a terminal, wrapped between words. A command stays in one line,
    /// so that it can be copied.
    pub(crate) fn print_sentences(&self, text: &str) {
        match terminal_size::terminal_size_of(io::stdout()) {
            Some((terminal_size::Width(columns @ 1..), _)) => {
                self.print_result(&wrap_sentences(text, usize::from(columns).min(STANDARD_WIDTH)));
            }
            _ => self.print_result(text),
        }
    }

    /// Returns the lines of a result behind `indent` columns: on a terminal, wrapped between words.
    pub(crate) fn wrap_result(&self, text: &str, indent: usize) -> Vec<String> {
        if text.is_empty() {
            return Vec::new();
        }
        let columns = match terminal_size::terminal_size_of(io::stdout()) {
            Some((terminal_size::Width(columns @ 1..), _)) => usize::from(columns),
            _ => return vec![text.to_owned()],
        };
        let columns = columns.min(STANDARD_WIDTH).saturating_sub(indent).max(1);
        let options = textwrap::Options::new(columns)
            .break_words(false)
            .word_separator(textwrap::WordSeparator::AsciiSpace)
            .word_splitter(textwrap::WordSplitter::NoHyphenation);
        textwrap::wrap(text, options).into_iter().map(Cow::into_owned).collect()
    }

    /// Prints a coloured result to stdout. A terminal shows a command at its end in one line.
    pub(crate) fn print_styled(&self, text: &StyledText) {
        let text = match terminal_size::terminal_size_of(io::stdout()) {
            Some((terminal_size::Width(columns @ 1..), _)) => text.clone().fit(columns.into()),
            _ => text.clone(),
        };
        self.write_stdout_line(text.render(self.colors_results), OutputWeight::Message);
    }

    /// Prints a result to stdout. Returns false if it could not be written.
    pub(crate) fn try_print_result(&self, text: &str) -> bool {
        let text = strip_control_from_lines(text).into_owned();
        self.write_stdout_line(text, OutputWeight::Message)
    }

    fn write_stdout_line(&self, text: String, weight: OutputWeight) -> bool {
        self.bars.suspend(|| self.stdout.write(text + "\n", weight))
    }

    /// Waits until all messages are written, as long as they are read.
    pub(crate) fn wait_until_written(&self) {
        self.stdout.wait_until_written();
        self.stderr.wait_until_written();
    }

    /// Reports an error of stdout. Returns whether there was one.
    pub(crate) fn report_lost_results(&self) -> bool {
        self.stdout.wait_until_written();
        // Reported once, at the end: a run continues without its output.
        let Some(kind) = self.stdout.error() else { return false };
        self.error(&format!("cannot write to standard output ({kind})"));
        true
    }

    /// Prints one JSON document.
    pub(crate) fn print_json(&self, document: &Value) {
        self.print_result(&escape_json_for_terminal(&document.to_string()));
    }

    /// Sets the batch of all further events.
    pub(crate) fn set_batch(&self, batch: &str) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).batch = Some(batch.to_owned());
    }

    /// Returns a handle for one batch of several.
    pub(crate) fn for_batch(&self, batch: &str) -> Self {
        Self { batch_label: Some(batch.into()), ..self.clone() }
    }

    /// Returns the batch of this handle, if there are several batches.
    pub(crate) fn batch_label(&self) -> Option<&str> {
        self.batch_label.as_deref()
    }

    /// Prefixes `line` with the batch's name, if there are several batches.
    pub(crate) fn with_batch_prefix(&self, line: &str) -> String {
        match &self.batch_label {
            Some(batch) => format!("{batch}: {line}"),
            None => line.to_owned(),
        }
    }

    /// Prints one event with its sequence number and time.
    pub(crate) fn print_event(&self, event: Value) {
        self.print_event_with(event, OutputWeight::Message);
    }

    /// Prints an event that may be dropped while stdout is not read.
    pub(crate) fn print_progress_event(&self, event: Value) {
        self.print_event_with(event, OutputWeight::Progress);
    }

    fn print_event_with(&self, mut event: Value, weight: OutputWeight) {
        // Locked while printing, so that the sequence numbers are in order.
        let mut stream = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        stream.seq += 1;
        if let Some(fields) = event.as_object_mut() {
            fields.insert("v".to_owned(), json!(1));
            fields.insert("seq".to_owned(), json!(stream.seq));
            fields.insert("ts".to_owned(), json!(format!("{:.3}", jiff::Timestamp::now())));
            let batch = self.batch_label.as_deref().or(stream.batch.as_deref());
            fields.insert("batch".to_owned(), json!(batch));
            stream.is_summary_written |= fields.get("type").is_some_and(|kind| kind == "summary");
            // The summary counts the events that were dropped: their numbers are missing.
            if stream.is_summary_written {
                fields.insert("dropped".to_owned(), json!(self.stdout.take_dropped()));
            }
        }
        self.write_stdout_line(escape_json_for_terminal(&event.to_string()).into_owned(), weight);
    }

    /// Prints the last event, unless it has been printed. A stream of events always has one.
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

    /// Prints a message that is not a result; not with `--quiet` or `--json`.
    pub(crate) fn status(&self, text: &str) {
        self.print_status(text, OutputWeight::Message);
    }

    /// Prints a message that may be dropped while stderr is not read: a later one says the same.
    pub(crate) fn progress(&self, text: &str) {
        self.print_status(text, OutputWeight::Progress);
    }

    fn print_status(&self, text: &str, weight: OutputWeight) {
        if !self.quiet && !self.json {
            self.write_message(self.format_message(text), weight);
        }
    }

    /// Prints an error.
    pub(crate) fn error(&self, text: &str) {
        let message = self.format_message(&format!("error: {text}"));
        let rest = message.strip_prefix("error:").unwrap_or(&message);
        let label = if self.color { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" };
        self.write_message(format!("{label}{rest}"), OutputWeight::Message);
    }

    /// Removes control characters and, on a terminal, wraps lines.
    fn format_message(&self, text: &str) -> String {
        let lines: Vec<_> = text.split('\n').map(strip_control).collect();
        let columns = if self.wraps_lines { stderr_width() } else { usize::MAX };
        let lines = lines.iter().map(|line| wrap_line(line, columns));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Prints a rendered diagnostic, of which only the colours are kept.
    pub(crate) fn diagnostic(&self, diagnostic: &str) {
        self.write_message(keep_only_colors(diagnostic), OutputWeight::Message);
    }

    /// Prints a line of the log.
    pub(crate) fn log_line(&self, line: &str, weight: OutputWeight) {
        let line = keep_only_colors(line.trim_end());
        self.write_stderr_line(line, weight);
    }

    fn write_message(&self, text: String, weight: OutputWeight) {
        let stamp = if self.stamps_messages { log_time() + " " } else { String::new() };
        let lines = text.split('\n').map(|line| format!("{stamp}{line}"));
        self.write_stderr_line(lines.collect::<Vec<_>>().join("\n"), weight);
    }

    fn write_stderr_line(&self, text: String, weight: OutputWeight) {
        self.bars.suspend(|| {
            if weight == OutputWeight::Message
                && let dropped @ 1.. = self.stderr.take_dropped()
            {
                let lines = pluralize(dropped, "line");
                let note = format!("{lines} of progress dropped: the output was not read\n");
                self.stderr.write(note, OutputWeight::Message);
            }
            self.stderr.write(text + "\n", weight)
        });
    }
}

/// Returns the local date and time with the offset from UTC, as log lines begin.
pub(crate) fn log_time() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S%:z").to_string()
}

/// Returns the columns of a character: two for Hangul, kana and other wide characters.
fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Returns the columns of a text.
pub(crate) fn text_width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Returns a text of exactly `max` columns: cut with `…`, or padded with blanks.
pub(crate) fn pad_or_truncate(text: &str, max: usize) -> String {
    let mut out = text.to_owned();
    if text_width(text) > max {
        // `…` counts as two columns, as on some terminals.
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

/// Wraps every line of `text` to a standard terminal.
pub(crate) fn wrap(text: &str) -> String {
    text.lines().map(|line| wrap_line(line, STANDARD_WIDTH)).collect::<Vec<_>>().join("\n")
}

/// Wraps every line that is not a command.
fn wrap_sentences(text: &str, columns_max: usize) -> String {
    let is_command = |line: &str| line.trim_start().starts_with("callsheet ");
    let lines = text.split('\n').map(|line| match is_command(line) {
        true => line.to_owned(),
        false => wrap_line(line, columns_max),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the columns for messages: those of the terminal, at most [`STANDARD_WIDTH`].
fn stderr_width() -> usize {
    let found = terminal_size::terminal_size_of(io::stderr());
    let columns = found.map_or(STANDARD_WIDTH, |(terminal_size::Width(columns), _)| columns.into());
    // Some terminals report zero columns.
    if columns == 0 { STANDARD_WIDTH } else { columns.min(STANDARD_WIDTH) }
}

/// Wraps a line between words, with a deeper indent. A word that is too long by itself, such as a
/// path, is not split.
fn wrap_line(line: &str, columns_max: usize) -> String {
    let text = line.trim_start();
    let indent = &line[..line.len() - text.len()];
    let next_indent = format!("{indent}  ");
    let options = textwrap::Options::new(columns_max)
        .initial_indent(indent)
        .subsequent_indent(&next_indent)
        .break_words(false)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::fill(text, options)
}

#[cfg(test)]
mod tests {
    use crate::cli::args::ColorMode;
    use crate::cli::output::printer::*;
    use crate::cli::output::styled_text::MessageStyle;

    /// A caller may pass a cell, a file name or a text of AI Studios as it is.
    #[test]
    fn no_way_of_printing_passes_on_an_escape_sequence() {
        let hostile = "a\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\u{7f}\u{202e}\u{200b}b";
        let global = GlobalArgs {
            ledger: None,
            quiet: false,
            verbose: 2,
            color: ColorMode::Never,
            json: false,
        };
        let stdout = StreamWriter::holding(OutputStream::Stdout);
        let stderr = StreamWriter::holding(OutputStream::Stderr);
        let printer = Printer::with_streams(&global, stdout.clone(), stderr.clone());
        let event = || json!({ "type": "x", "text": hostile });
        let ways: [(&str, &dyn Fn()); 9] = [
            ("result", &|| printer.print_result(hostile)),
            ("styled", &|| {
                let text = StyledText::default().plain(hostile).with(MessageStyle::Bad, hostile);
                printer.print_styled(&text);
            }),
            ("json", &|| printer.print_json(&event())),
            ("event", &|| printer.print_event(event())),
            ("status", &|| printer.status(hostile)),
            ("progress", &|| printer.progress(hostile)),
            ("error", &|| printer.error(hostile)),
            ("diagnostic", &|| printer.diagnostic(hostile)),
            ("log", &|| printer.log_line(hostile, OutputWeight::Message)),
        ];
        for (way, print) in ways {
            print();
            let printed = stdout.take_texts() + &stderr.take_texts();
            assert!(printed.contains("owned"), "{way}: {printed:?}");
            let is_hostile = |c: char| c != '\n' && crate::text::is_terminal_control(c);
            assert!(!printed.contains(is_hostile), "{way}: {printed:?}");
        }
    }

    #[test]
    fn sentences_are_wrapped_between_words_and_commands_are_not() {
        let command =
            "    callsheet retry spring --cause render-failed --ledger /home/ann/callsheet.db";
        let text = format!("2 failed (refused): AI Studios refused the request\n{command}");
        let wrapped = wrap_sentences(&text, 40);
        let expected = "2 failed (refused): AI Studios refused\n  the request\n";
        assert_eq!(wrapped, format!("{expected}{command}"));
    }

    #[test]
    fn a_long_message_is_wrapped_between_words_and_a_path_is_not_split() {
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

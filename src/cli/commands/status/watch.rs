//! `callsheet status [BATCH] --watch`: live frame of one batch, or of all.
//!
//! Reads only the ledger, so it can be opened and closed at any time without effect on the run. On a
//! terminal each frame replaces the previous one; elsewhere a line is printed at every change and
//! at least once a minute. `output::status_screen` renders the frames of one batch.

use std::time::{Duration, Instant};

use console::Term;
use serde_json::json;

use crate::cli::args::GlobalArgs;
use crate::cli::output::headline_text;
use crate::cli::output::printer::Printer;
use crate::cli::output::quit_key::QuitKey;
use crate::cli::output::status_screen::{ScreenSize, StatusFrame, TextColor};
use crate::cli::output::status_text::describe_throughput;
use crate::clock::Clock;
use crate::ledger::{BatchId, JobState, Ledger};
use crate::session::batch_headline;
use crate::session::batch_headline::BatchHeadline;
use crate::session::batch_status::BatchStatus;
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;
use crate::session::reports::status_json::status_json;
use crate::session::signals::{ShutdownSignals, Signal};
use crate::text::time_format::{format_local, format_local_time_in_zone};
use crate::text::{escape_json_for_terminal, pluralize};

/// Time between two reads of the ledger; longer if reading takes long.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// The pause is at least this many times the duration of a read.
const READ_TIME_FACTOR: u32 = 10;
/// Without a terminal, a line is printed at least this often.
const MAX_SILENCE: Duration = Duration::from_secs(60);
/// Renders and events that a screen could ever display.
const LIST_LIMIT: u32 = 100;

/// The batch to show, or all, and the ledger they are in.
#[derive(Clone, Copy)]
pub(crate) struct WatchedBatch<'a> {
    pub(crate) id: Option<BatchId>,
    pub(crate) global: &'a GlobalArgs,
    pub(crate) is_rehearsal: bool,
}

/// What is shown.
enum WatchView {
    Batch(Box<StatusFrame>),
    All(Vec<BatchStatus>),
}

/// Shows one batch, or all batches, until `q`, Ctrl-C, a signal or a closed pipe.
pub(crate) async fn watch(
    ledger: &Ledger,
    batch: WatchedBatch<'_>,
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let signals = ShutdownSignals::listen();
    let mut display = WatchDisplay::open(printer);
    let key = QuitKey::listen(display.is_screen());
    while signals.received().is_none() {
        let began = Instant::now();
        let view = read_view(ledger, batch).await?;
        if !display.show(&view) {
            break;
        }
        let pause = REFRESH_INTERVAL.max(began.elapsed() * READ_TIME_FACTOR);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = signals.first() => {}
            () = key.pressed() => break,
        }
    }
    display.close();
    drop(key);
    ledger.close().await;
    // Ctrl-C is the normal way to close the view, so it is not a failure.
    Ok(match signals.received() {
        Some(Signal::HangUp | Signal::Terminate) => ExitReason::Terminated,
        Some(Signal::Panic) => ExitReason::Unexpected,
        Some(Signal::Interrupt) | None => ExitReason::Done,
    })
}

async fn read_view(ledger: &Ledger, batch: WatchedBatch<'_>) -> Result<WatchView, CommandError> {
    match batch.id {
        Some(id) => Ok(WatchView::Batch(Box::new(read_frame(ledger, id, batch).await?))),
        None => {
            let all = super::read_statuses(ledger, None, batch.is_rehearsal, batch.global).await?;
            Ok(WatchView::All(all))
        }
    }
}

impl WatchView {
    fn render(&self, size: ScreenSize, printer: &Printer) -> Vec<String> {
        match self {
            Self::Batch(frame) => {
                let color =
                    if printer.is_colored() { TextColor::Colored } else { TextColor::Plain };
                frame.render(size, color)
            }
            Self::All(statuses) => render_all(statuses, size, printer),
        }
    }

    /// Returns the view as one line, and the part of it whose change causes the next line.
    fn line(&self, printer: &Printer) -> (String, String) {
        match self {
            Self::Batch(frame) => status_line(frame, printer),
            Self::All(statuses) => overview_line(statuses, printer),
        }
    }
}

/// Returns the live batches with their counts, and how many others need the user.
fn render_all(statuses: &[BatchStatus], size: ScreenSize, printer: &Printer) -> Vec<String> {
    let now = Clock::real().now();
    let live: Vec<_> = statuses.iter().filter(|status| status.live_holder.is_some()).collect();
    let shown: Vec<_> = if live.is_empty() { statuses.iter().collect() } else { live };
    let mut headlines: Vec<_> =
        shown.iter().map(|status| BatchHeadline::from_status(status)).collect();
    batch_headline::sort_headlines(&mut headlines);
    let lines = headline_text::headline_lines(&headlines, now);
    let mut lines: Vec<_> = lines.iter().map(|line| line.render(printer.is_colored())).collect();
    let hidden = statuses.len() - shown.len();
    if hidden > 0 {
        lines.push(format!("\n{} without a live run", pluralize(hidden as u64, "batch")));
    }
    lines.push(format!("\n{}  q closes this view", format_local_time_in_zone(now)));
    lines.truncate(size.rows.max(1));
    lines
}

fn overview_line(statuses: &[BatchStatus], printer: &Printer) -> (String, String) {
    let one = |status: &BatchStatus| {
        let state = if status.live_holder.is_some() { "live" } else { "no run" };
        let (name, done) = (&status.batch.name, status.count_done());
        format!("{name}: {done} of {}, {state}", pluralize(status.count_videos(), "video"))
    };
    let key = statuses.iter().map(one).collect::<Vec<_>>().join("; ");
    if printer.is_json() {
        let batches: Vec<_> = statuses.iter().map(status_json).collect();
        let line = json!({ "batches": batches }).to_string();
        return (escape_json_for_terminal(&line).into_owned(), key);
    }
    let at = format_local(Clock::real().now());
    (format!("{at}  {key}"), key)
}

async fn read_frame(
    ledger: &Ledger,
    id: BatchId,
    batch: WatchedBatch<'_>,
) -> Result<StatusFrame, CommandError> {
    let batches = ledger.batches().await?;
    let row = batches.into_iter().find(|row| row.id == id);
    let row = row.ok_or_else(|| {
        CommandError::new(ExitReason::Unexpected, "the batch is no longer in the ledger")
    })?;
    let now = Clock::real().now();
    let commands = batch.global.command_hints(batch.is_rehearsal, &row.name, &row.file);
    Ok(StatusFrame {
        status: BatchStatus::read(ledger, row, commands, now).await?,
        rendering: ledger.rendering_jobs(id, LIST_LIMIT).await?,
        recent_events: ledger.recent_events(id, LIST_LIMIT).await?,
        now,
    })
}

/// Display of the frames.
enum WatchDisplay<'t> {
    /// A terminal: each frame replaces the previous one.
    Screen { term: Term, printer: &'t Printer },
    /// A pipe or file: one line per change.
    Lines { printer: &'t Printer, last: Option<(String, Instant)> },
}

impl<'t> WatchDisplay<'t> {
    fn open(printer: &'t Printer) -> Self {
        let term = Term::buffered_stdout();
        let dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb");
        if printer.is_json() || !term.is_term() || dumb {
            return Self::Lines { printer, last: None };
        }
        let _ = term.hide_cursor().and_then(|()| term.clear_screen());
        Self::Screen { term, printer }
    }

    fn is_screen(&self) -> bool {
        matches!(self, Self::Screen { .. })
    }

    /// Shows the next frame. Returns false if the output is closed.
    fn show(&mut self, view: &WatchView) -> bool {
        match self {
            Self::Screen { term, printer } => {
                let (rows, columns) = term.size();
                let size = ScreenSize { columns: columns.into(), rows: rows.into() };
                draw_lines(term, &view.render(size, printer)).is_ok()
            }
            Self::Lines { printer, last } => {
                let (line, key) = view.line(printer);
                let known = last.as_ref().filter(|(known, _)| *known == key);
                if known.is_none_or(|(_, at)| at.elapsed() >= MAX_SILENCE) {
                    *last = Some((key, Instant::now()));
                    return printer.try_print_result(&line);
                }
                true
            }
        }
    }

    /// Leaves the last frame on the screen and restores the terminal.
    fn close(self) {
        if let Self::Screen { term, .. } = &self {
            let _ =
                term.show_cursor().and_then(|()| term.write_line("")).and_then(|()| term.flush());
        }
    }
}

impl Drop for WatchDisplay<'_> {
    fn drop(&mut self) {
        // The cursor is restored on every exit path.
        if let Self::Screen { term, .. } = self {
            let _ = term.show_cursor().and_then(|()| term.flush());
        }
    }
}

/// Replaces the previous frame. The terminal is buffered, so the screen does not flicker.
fn draw_lines(term: &Term, lines: &[String]) -> std::io::Result<()> {
    term.move_cursor_to(0, 0)?;
    term.clear_to_end_of_screen()?;
    term.write_str(&lines.join("\n"))?;
    term.flush()
}

/// Returns a frame as one line, and the part of it whose change causes the next line.
fn status_line(frame: &StatusFrame, printer: &Printer) -> (String, String) {
    let status = &frame.status;
    let parts = [
        (status.count_done(), "done"),
        (status.count_in_state(JobState::Rendering), "rendering"),
        (status.count_in_state(JobState::Fetching), "downloading"),
        (status.count_waiting(), "waiting"),
        (status.count_in_state(JobState::Uncertain), "uncertain"),
        (status.count_in_state(JobState::Failed), "failed"),
        (status.count_in_state(JobState::Cancelled), "cancelled"),
        (status.invalid, "invalid"),
        (status.skipped, "skipped"),
    ];
    let parts = parts.into_iter().filter(|(jobs, word)| *jobs > 0 || *word == "done");
    let parts: Vec<_> = parts.map(|(jobs, word)| format!("{jobs} {word}")).collect();
    let counts = format!("of {}: {}", pluralize(status.count_videos(), "video"), parts.join(", "));
    let state = match (status.batch.paused, &status.live_holder) {
        (true, _) => "paused",
        (false, Some(_)) => "live",
        (false, None) => "no run",
    };
    let key = format!("{counts}; {state}");
    if printer.is_json() {
        let line = status_json(status).to_string();
        return (escape_json_for_terminal(&line).into_owned(), key);
    }
    let throughput = status
        .throughput
        .map(describe_throughput)
        .map_or(String::new(), |text| format!("; {text}"));
    let at = format_local(frame.now);
    (format!("{at}  {key}{throughput}"), key)
}

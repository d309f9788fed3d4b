//! `callsheet status BATCH --watch`: one batch as it goes, on a screen that stays.
//!
//! Reads the ledger and nothing else, so it can be begun and left at any time; the run does not know
//! of it. What a frame says is made from what was read, and drawn apart from that. On a terminal each
//! frame is painted over the one before, within its size; elsewhere there is a line whenever something
//! changed, and one a minute.

use std::time::{Duration, Instant};

use console::Term;

use crate::cli::args::GlobalArgs;
use crate::cli::output::printer::Printer;
use crate::cli::output::status_screen::StatusFrame;
use crate::cli::output::time_format::format_local;
use crate::ledger::{BatchId, JobState, Ledger};
use crate::runner::StopSignal;
use crate::session::batch_status::{BatchStatus, Throughput};
use crate::session::exit_code::ExitReason;
use crate::session::locked_batch::ledger_error;
use crate::session::next_steps::CommandHints;
use crate::session::open_batch::CommandError;
use crate::session::signals::SignalListener;

/// Between two looks; longer where reading takes long.
const REFRESH_INTERVAL: Duration = Duration::from_secs(1);
/// Reading may take this part of the time.
const READ_TIME_FACTOR: u32 = 10;
/// Elsewhere than on a terminal, a sign of life at least this often.
const MAX_SILENCE: Duration = Duration::from_secs(60);
/// Renders and news that a screen could ever show.
const LIST_LIMIT: u32 = 100;

/// Shows one batch until somebody leaves.
pub(crate) async fn watch_batch(
    ledger: &Ledger,
    (batch, global, sandbox): (BatchId, &GlobalArgs, bool),
    printer: &Printer,
) -> Result<ExitReason, CommandError> {
    let stop = StopSignal::default();
    let signals = SignalListener::listen(stop.clone());
    let mut show = WatchDisplay::open(printer);
    while !stop.is_draining() {
        let began = Instant::now();
        let view = read_frame(ledger, (batch, global, sandbox)).await?;
        if !show.show_frame(&view, ledger) {
            break;
        }
        let pause = REFRESH_INTERVAL.max(began.elapsed() * READ_TIME_FACTOR);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.draining() => {}
        }
    }
    show.close();
    ledger.close().await;
    // Leaving is what a person does with a screen that stays; it is no failure.
    Ok(if signals.has_received_sigterm() { ExitReason::Terminated } else { ExitReason::Done })
}

async fn read_frame(
    ledger: &Ledger,
    (batch, global, sandbox): (BatchId, &GlobalArgs, bool),
) -> Result<StatusFrame, CommandError> {
    let batches = ledger.batches().await.map_err(ledger_error)?;
    let row = batches.into_iter().find(|row| row.id == batch);
    let row = row.ok_or_else(|| CommandError::new(ExitReason::Unexpected, "the batch is gone"))?;
    let commands = CommandHints::from_name(global, sandbox, (&row.name, &row.file));
    Ok(StatusFrame {
        status: BatchStatus::read(ledger, row, commands).await?,
        rendering: ledger.rendering_jobs(batch, LIST_LIMIT).await.map_err(ledger_error)?,
        recent_events: ledger.recent_events(batch, LIST_LIMIT).await.map_err(ledger_error)?,
        now: jiff::Timestamp::now(),
    })
}

/// How frames are shown.
enum WatchDisplay<'t> {
    /// One over the other.
    Screen { term: Term, printer: &'t Printer },
    /// As lines.
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

    /// Shows the next frame. Tells whether anybody is still there to see it.
    fn show_frame(&mut self, view: &StatusFrame, ledger: &Ledger) -> bool {
        match self {
            Self::Screen { term, printer } => {
                let (rows, columns) = term.size();
                let size = (usize::from(columns), usize::from(rows));
                draw_lines(term, &view.render(size, printer.is_colored())).is_ok()
            }
            Self::Lines { printer, last } => {
                let (line, key) = status_line(view, ledger, printer);
                let known = last.as_ref().filter(|(known, _)| *known == key);
                if known.is_none_or(|(_, at)| at.elapsed() >= MAX_SILENCE) {
                    *last = Some((key, Instant::now()));
                    return printer.try_print_result(&line);
                }
                true
            }
        }
    }

    /// Leaves the last frame standing, and the terminal as it was.
    fn close(self) {
        if let Self::Screen { term, .. } = &self {
            let _ =
                term.show_cursor().and_then(|()| term.write_line("")).and_then(|()| term.flush());
        }
    }
}

impl Drop for WatchDisplay<'_> {
    fn drop(&mut self) {
        // However it ends, nobody is left without a cursor.
        if let Self::Screen { term, .. } = self {
            let _ = term.show_cursor().and_then(|()| term.flush());
        }
    }
}

/// Paints a frame over the one before. It goes out in one piece, so that nothing flickers.
fn draw_lines(term: &Term, lines: &[String]) -> std::io::Result<()> {
    term.move_cursor_to(0, 0)?;
    term.clear_to_end_of_screen()?;
    term.write_str(&lines.join("\n"))?;
    term.flush()
}

/// Returns a frame as one line, and what must change before there is another.
fn status_line(view: &StatusFrame, ledger: &Ledger, printer: &Printer) -> (String, String) {
    let standing = &view.status;
    let parts = [
        (standing.count_done(), "done"),
        (standing.count_in_state(JobState::Rendering), "rendering"),
        (standing.count_in_state(JobState::Fetching), "fetching"),
        (standing.count_waiting(), "waiting"),
        (standing.count_in_state(JobState::Uncertain), "uncertain"),
        (standing.count_in_state(JobState::Failed), "failed"),
        (standing.count_in_state(JobState::Cancelled), "cancelled"),
        (standing.invalid, "invalid"),
        (standing.skipped, "skipped"),
    ];
    let parts = parts.into_iter().filter(|(jobs, word)| *jobs > 0 || *word == "done");
    let parts: Vec<_> = parts.map(|(jobs, word)| format!("{jobs} {word}")).collect();
    let counts = format!("of {} rows: {}", standing.count_rows(), parts.join(", "));
    let state = match (standing.batch.paused, &standing.live_holder) {
        (true, _) => "paused",
        (false, Some(_)) => "live",
        (false, None) => "no run",
    };
    let key = format!("{counts}; {state}");
    if printer.is_json() {
        return (standing.to_json(ledger).to_string(), key);
    }
    let tempo = standing
        .throughput
        .map(Throughput::describe)
        .map_or(String::new(), |told| format!("; {told}"));
    let at = format_local(view.now.as_millisecond());
    (format!("{at}  {key}{tempo}"), key)
}

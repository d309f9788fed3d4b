//! `callsheet status BATCH --watch`: one batch as it goes, on a screen that stays.
//!
//! Reads the ledger and nothing else, so it can be begun and left at any time; the run does not know
//! of it. What a frame says is made from what was read, and drawn apart from that. On a terminal each
//! frame is painted over the one before, within its size; elsewhere there is a line whenever something
//! changed, and one a minute.

mod frame;

use std::time::{Duration, Instant};

use console::Term;

use super::Global;
use super::advice::Commands;
use super::drive::Early;
use super::exit::Exit;
use super::hold::unexpected;
use super::moment::local;
use super::signals::Signals;
use super::standing::{Standing, Tempo};
use super::talk::Talk;
use crate::ledger::{BatchId, Ledger, State};
use crate::runner::Stop;
use frame::View;

/// Between two looks; longer where reading takes long.
const PAUSE: Duration = Duration::from_secs(1);
/// Reading may take this part of the time.
const READING_PART: u32 = 10;
/// Elsewhere than on a terminal, a sign of life at least this often.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// Renders and news that a screen could ever show.
const SHOWN_MAX: u32 = 100;

/// Shows one batch until somebody leaves.
pub(super) async fn watch(
    ledger: &Ledger,
    (batch, global, sandbox): (BatchId, &Global, bool),
    talk: &Talk,
) -> Result<Exit, Early> {
    let stop = Stop::default();
    let signals = Signals::listen(stop.clone());
    let mut show = Show::begin(talk);
    while !stop.is_draining() {
        let began = Instant::now();
        let view = read(ledger, (batch, global, sandbox)).await?;
        if !show.next(&view, ledger) {
            break;
        }
        let pause = PAUSE.max(began.elapsed() * READING_PART);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.draining() => {}
        }
    }
    show.end();
    ledger.close().await;
    // Leaving is what a person does with a screen that stays; it is no failure.
    Ok(if signals.terminated() { Exit::Terminated } else { Exit::Done })
}

async fn read(
    ledger: &Ledger,
    (batch, global, sandbox): (BatchId, &Global, bool),
) -> Result<View, Early> {
    let batches = ledger.batches().await.map_err(unexpected)?;
    let row = batches.into_iter().find(|row| row.id == batch);
    let row = row.ok_or_else(|| Early::new(Exit::Unexpected, "the batch is gone"))?;
    let commands = Commands::named(global, sandbox, (&row.name, &row.file));
    Ok(View {
        standing: Standing::read(ledger, row, commands).await?,
        rendering: ledger.rendering(batch, SHOWN_MAX).await.map_err(unexpected)?,
        lately: ledger.lately(batch, SHOWN_MAX).await.map_err(unexpected)?,
        now: jiff::Timestamp::now(),
    })
}

/// How frames are shown.
enum Show<'t> {
    /// One over the other.
    Screen { term: Term, talk: &'t Talk },
    /// As lines.
    Lines { talk: &'t Talk, last: Option<(String, Instant)> },
}

impl<'t> Show<'t> {
    fn begin(talk: &'t Talk) -> Self {
        let term = Term::buffered_stdout();
        let dumb = std::env::var_os("TERM").is_none_or(|name| name == "dumb");
        if talk.is_json() || !term.is_term() || dumb {
            return Self::Lines { talk, last: None };
        }
        let _ = term.hide_cursor().and_then(|()| term.clear_screen());
        Self::Screen { term, talk }
    }

    /// Shows the next frame. Tells whether anybody is still there to see it.
    fn next(&mut self, view: &View, ledger: &Ledger) -> bool {
        match self {
            Self::Screen { term, talk } => {
                let (rows, columns) = term.size();
                let size = (usize::from(columns), usize::from(rows));
                paint(term, &view.drawn(size, talk.is_colored())).is_ok()
            }
            Self::Lines { talk, last } => {
                let (line, key) = line(view, ledger, talk);
                let known = last.as_ref().filter(|(known, _)| *known == key);
                if known.is_none_or(|(_, at)| at.elapsed() >= HEARTBEAT) {
                    *last = Some((key, Instant::now()));
                    return talk.printed(&line);
                }
                true
            }
        }
    }

    /// Leaves the last frame standing, and the terminal as it was.
    fn end(self) {
        if let Self::Screen { term, .. } = &self {
            let _ =
                term.show_cursor().and_then(|()| term.write_line("")).and_then(|()| term.flush());
        }
    }
}

impl Drop for Show<'_> {
    fn drop(&mut self) {
        // However it ends, nobody is left without a cursor.
        if let Self::Screen { term, .. } = self {
            let _ = term.show_cursor().and_then(|()| term.flush());
        }
    }
}

/// Paints a frame over the one before. It goes out in one piece, so that nothing flickers.
fn paint(term: &Term, lines: &[String]) -> std::io::Result<()> {
    term.move_cursor_to(0, 0)?;
    term.clear_to_end_of_screen()?;
    term.write_str(&lines.join("\n"))?;
    term.flush()
}

/// Returns a frame as one line, and what must change before there is another.
fn line(view: &View, ledger: &Ledger, talk: &Talk) -> (String, String) {
    let standing = &view.standing;
    let parts = [
        (standing.done(), "done"),
        (standing.jobs(State::Rendering), "rendering"),
        (standing.jobs(State::Fetching), "fetching"),
        (standing.waiting(), "waiting"),
        (standing.jobs(State::Uncertain), "uncertain"),
        (standing.jobs(State::Failed), "failed"),
        (standing.jobs(State::Cancelled), "cancelled"),
        (standing.invalid, "invalid"),
    ];
    let parts = parts.into_iter().filter(|(jobs, word)| *jobs > 0 || *word == "done");
    let parts: Vec<_> = parts.map(|(jobs, word)| format!("{jobs} {word}")).collect();
    let counts = format!("of {} rows: {}", standing.rows(), parts.join(", "));
    let state = match (standing.batch.paused, &standing.live) {
        (true, _) => "paused",
        (false, Some(_)) => "live",
        (false, None) => "no run",
    };
    let key = format!("{counts}; {state}");
    if talk.is_json() {
        return (standing.document(ledger).to_string(), key);
    }
    let tempo = standing.tempo.map(Tempo::told).map_or(String::new(), |told| format!("; {told}"));
    let at = local(view.now.as_millisecond());
    (format!("{at}  {key}{tempo}"), key)
}

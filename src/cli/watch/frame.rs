//! One frame of the screen: what is seen of a batch in so many columns and rows.
//!
//! Pure: from what was read to lines, none longer than the screen is wide, and no more than it is
//! high. What needs somebody is said in a word and in a colour, never in a colour alone.

use console::Style;
use jiff::Timestamp;

use super::super::moment::{clock, lasted};
use super::super::standing::{Standing, Tempo};
use super::super::talk::{fitted, plain, span, width};
use crate::ledger::{Lately, State};

/// Columns of a key.
const KEY: usize = 24;
/// Columns of a bar.
const BAR: usize = 20;
/// Rows that are never left out, by a screen of any size.
const ROWS_MIN: usize = 14;

/// Everything that a frame is made from.
pub(super) struct View {
    pub(super) standing: Standing,
    /// Key, progress, since when, and whether it stands still.
    pub(super) rendering: Vec<(String, f64, Timestamp, bool)>,
    pub(super) lately: Vec<Lately>,
    pub(super) now: Timestamp,
}

/// How something is said beside its words.
#[derive(Clone, Copy)]
enum Tone {
    Plain,
    Good,
    Doubt,
    Bad,
    Faint,
}

impl View {
    /// Draws the frame into `columns` and `rows`.
    pub(super) fn drawn(&self, (columns, rows): (usize, usize), colored: bool) -> Vec<String> {
        let mut lines = vec![self.head(), self.bar(columns), Line::empty()];
        lines.extend(self.counts());
        lines.push(Line::empty());
        lines.extend(self.standing.remarks().into_iter().map(|remark| {
            let tone = if remark.starts_with("paused") { Tone::Doubt } else { Tone::Plain };
            Line::of(format!("  {remark}"), tone)
        }));
        let last = self.last_lines();
        let room = rows.max(ROWS_MIN).saturating_sub(lines.len() + last.len());
        lines.extend(self.lists(room));
        lines.extend(last);
        lines.truncate(rows.max(1));
        lines.into_iter().map(|line| line.painted(columns, colored)).collect()
    }

    fn head(&self) -> Line {
        let state = match &self.standing.live {
            Some(holder) => format!("live ({holder})"),
            None => self.standing.history(),
        };
        Line::of(format!("{}  {state}", self.standing.batch.name), Tone::Plain)
    }

    fn bar(&self, columns: usize) -> Line {
        let (done, rows) = (self.standing.done(), self.standing.rows());
        let part = if rows == 0 { 0.0 } else { done as f64 / rows as f64 };
        let left = self.left().map_or(String::new(), |left| format!(", about {left} left"));
        let words = format!("  {done} of {rows} done, {:.0} %{left}", (part * 100.0).floor());
        let length = columns.saturating_sub(width(&words) + 2).min(40);
        Line::of(format!("{}{words}", filled(part, length)), Tone::Good)
    }

    /// Returns how long the rest will take, where the tempo says.
    fn left(&self) -> Option<String> {
        self.standing.live.as_ref()?;
        let (open, tempo) = (self.standing.open(), self.standing.tempo?);
        let seconds = open as f64 * 3600.0 / Tempo::per_hour(tempo);
        (open > 0 && seconds.is_finite())
            .then(|| span(std::time::Duration::from_secs_f64(seconds.min(1e9))))
    }

    /// Every row is in exactly one of these, so that they add up to the first.
    fn counts(&self) -> Vec<Line> {
        let standing = &self.standing;
        let jobs = |state| standing.jobs(state);
        let bad = |jobs: u64, tone| if jobs > 0 { tone } else { Tone::Faint };
        let (uncertain, failed) = (jobs(State::Uncertain), jobs(State::Failed));
        let rendering = match standing.stalled() {
            0 => String::new(),
            stalled => format!(" ({stalled} stalled)"),
        };
        let cells = [
            [("rows", standing.rows(), Tone::Plain), ("done", standing.done(), Tone::Good)],
            [
                ("waiting", standing.waiting(), Tone::Plain),
                ("uncertain", uncertain, bad(uncertain, Tone::Doubt)),
            ],
            [
                ("rendering", jobs(State::Rendering), Tone::Plain),
                ("failed", failed, bad(failed, Tone::Bad)),
            ],
            [
                ("fetching", jobs(State::Fetching), Tone::Plain),
                ("invalid", standing.invalid, bad(standing.invalid, Tone::Bad)),
            ],
        ];
        let mut lines: Vec<Line> = Vec::new();
        for row in cells {
            let mut line = Line::empty();
            for (name, jobs, tone) in row {
                let more = if name == "rendering" { rendering.as_str() } else { "" };
                line.add(fitted(&format!("  {name:10} {jobs:>7}{more}"), 38), tone);
            }
            lines.push(line);
        }
        let cancelled = jobs(State::Cancelled);
        if cancelled > 0 {
            lines.push(Line::of(format!("  {:10} {cancelled:>7}", "cancelled"), Tone::Faint));
        }
        lines
    }

    /// Renders under way and the latest news, as many as there is room for.
    fn lists(&self, room: usize) -> Vec<Line> {
        // Each list has a blank and a heading above it.
        let for_both = room.saturating_sub(4);
        let news_min = self.lately.len().min(for_both / 2);
        let renders = self.rendering.len().min(for_both - news_min);
        let news = self.lately.len().min(for_both - renders);
        let mut lines = Vec::new();
        if renders > 0 {
            let more = self.rendering.len() - renders;
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            lines.extend([Line::empty(), Line::of(format!("rendering now{more}"), Tone::Faint)]);
            lines.extend(self.rendering.iter().take(renders).map(|one| self.render(one)));
        }
        if news > 0 {
            lines.extend([Line::empty(), Line::of("lately".to_owned(), Tone::Faint)]);
            lines.extend(self.lately.iter().take(news).map(told));
        }
        lines
    }

    fn render(&self, (key, progress, since, stalled): &(String, f64, Timestamp, bool)) -> Line {
        let took = lasted(since.as_millisecond(), self.now.as_millisecond());
        let key = fitted(&plain(key), KEY);
        let bar = filled(progress / 100.0, BAR);
        let (still, tone) =
            if *stalled { ("  stands still", Tone::Doubt) } else { ("", Tone::Plain) };
        Line::of(format!("  {key} {bar} {progress:>3.0} %  {took}{still}"), tone)
    }

    fn last_lines(&self) -> Vec<Line> {
        let next = match (self.standing.next(), &self.standing.live) {
            (Some(next), _) => format!("next: {next}"),
            (None, Some(_)) => self.standing.meanwhile(),
            (None, None) => "nothing to do".to_owned(),
        };
        let at = clock(self.now.as_millisecond());
        let leave = format!("{at}  Ctrl-C leaves; a run goes on");
        vec![Line::empty(), Line::of(next, Tone::Plain), Line::of(leave, Tone::Faint)]
    }
}

fn told(news: &Lately) -> Line {
    let (word, tone) = match news.event.as_str() {
        "fetched" => ("done", Tone::Good),
        "reused" => ("reused", Tone::Good),
        "answer-lost" => ("uncertain", Tone::Doubt),
        "rerendered" => ("renders again", Tone::Doubt),
        other => (other, Tone::Bad),
    };
    let detail = match (news.event.as_str(), &news.detail) {
        ("fetched", _) | (_, None) => String::new(),
        (_, Some(detail)) => format!(": {}", plain(detail)),
    };
    let (at, key) = (clock(news.at), fitted(&plain(&news.key), KEY));
    Line::of(format!("  {at}  {key} {word}{detail}"), tone)
}

fn filled(part: f64, length: usize) -> String {
    let full = (part.clamp(0.0, 1.0) * length as f64).floor() as usize;
    format!("{}{}", "━".repeat(full), "─".repeat(length - full))
}

/// A line in pieces, each with its tone.
#[derive(Default)]
struct Line(Vec<(String, Tone)>);

impl Line {
    fn empty() -> Self {
        Self::default()
    }

    fn of(text: String, tone: Tone) -> Self {
        Self(vec![(text, tone)])
    }

    fn add(&mut self, text: String, tone: Tone) {
        self.0.push((text, tone));
    }

    /// Returns the line within `columns`.
    fn painted(self, columns: usize, colored: bool) -> String {
        let mut left = columns;
        let mut out = String::new();
        for (text, tone) in self.0 {
            let text = if width(&text) > left { fitted(&text, left) } else { text };
            left -= width(&text).min(left);
            let style = match tone {
                Tone::Plain => Style::new(),
                Tone::Good => Style::new().green(),
                Tone::Doubt => Style::new().yellow(),
                Tone::Bad => Style::new().red(),
                Tone::Faint => Style::new().dim(),
            };
            out.push_str(&style.force_styling(colored).apply_to(text).to_string());
        }
        if colored { out } else { out.trim_end().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::advice::Commands;
    use crate::cli::standing::Tempo;
    use crate::cli::{Color, Global};
    use crate::ledger::{BatchRow, Spent};

    fn at(seconds: i64) -> i64 {
        // Noon of a day on which no zone sets its clocks; the screen shows local time.
        let noon = jiff::civil::date(2026, 11, 21).at(12, 0, 0, 0);
        noon.to_zoned(jiff::tz::TimeZone::system()).unwrap().timestamp().as_millisecond()
            + seconds * 1000
    }

    fn view(renders: usize) -> View {
        let color = Color::Never;
        let global = Global { ledger: None, quiet: false, verbose: 0, color, json: false };
        let counts = [
            (State::Ready, 17),
            (State::Rendering, 5),
            (State::Fetching, 1),
            (State::Done, 30),
            (State::Uncertain, 2),
            (State::Failed, 5),
        ];
        let batch = BatchRow {
            id: 1.into(),
            name: "spring".to_owned(),
            file: "jobs/spring.toml".to_owned(),
            base_url: "https://app.aistudios.com".to_owned(),
            planned_at: None,
            paused: false,
        };
        let key = |n: usize| match n {
            1 => "봄 첫물 녹차를 마시는 아침과 저녁".to_owned(),
            n => format!("TEA-{n:03}"),
        };
        let render = |n| {
            let since = Timestamp::from_millisecond(at(-90 * n as i64)).unwrap();
            (key(n), 20.0 * n as f64, since, n == 3)
        };
        let news = |(ago, key, event, detail): (i64, usize, &str, Option<&str>)| Lately {
            at: at(-ago),
            key: format!("TEA-{key:03}"),
            event: event.to_owned(),
            detail: detail.map(str::to_owned),
        };
        View {
            standing: Standing {
                commands: Commands::named(&global, false, (&batch.name, &batch.file)),
                batch,
                counts: counts.into_iter().collect(),
                removed: Default::default(),
                invalid: 0,
                skipped: 0,
                generating: 0,
                spent: Spent { requests: 40, estimated: 44.5, heard_of: 0, heard: 0.0 },
                tempo: Some(Tempo { videos: 30, span_ms: 2_700_000 }),
                last_run: None,
                live: Some("process 4711 on studio-pc, since 2026-11-21 11:15:00".to_owned()),
                troubles: Vec::new(),
            },
            rendering: (0..renders).map(render).collect(),
            lately: [
                (12, 31, "fetched", None),
                (30, 8, "refused", Some("AI Studios refused it: the script is \u{1b}[31mtoo long, it has more than two thousand letters")),
                (45, 7, "answer-lost", Some("no whole answer came in time")),
                (60, 30, "fetched", None),
            ]
            .map(news)
            .into(),
            now: Timestamp::from_millisecond(at(0)).unwrap(),
        }
    }

    #[test]
    fn a_night_fits_into_eighty_columns_and_twenty_four_rows() {
        insta::assert_snapshot!(view(5).drawn((80, 24), false).join("\n"));
    }

    #[test]
    fn no_frame_is_wider_or_higher_than_its_screen() {
        for (columns, rows) in [(80, 24), (40, 14), (200, 60), (10, 3), (1, 1)] {
            for renders in [0, 1, 5, 100] {
                let lines = view(renders).drawn((columns, rows), false);
                assert!(lines.len() <= rows, "{} rows of {rows}", lines.len());
                for line in lines {
                    assert!(width(&line) <= columns, "{columns}: {line}");
                    assert!(!line.contains('\u{1b}'), "a cell reached the terminal: {line:?}");
                }
            }
        }
    }
}

//! One frame of the live view: the status of a batch as lines of a given width.
//!
//! Pure: renders a snapshot of the ledger. No line is wider than the screen, and there are at most
//! as many as it has rows. Whatever needs attention has a word and a colour, never a colour alone.

use console::Style;
use jiff::Timestamp;

use crate::cli::output::printer::{pad_or_truncate, text_width};
use crate::cli::output::status_text::{describe_last_run, live_hint, remarks};
use crate::ledger::{JobState, RecentEvent, RenderingJob};
use crate::session::batch_status::BatchStatus;
use crate::session::job_event_text::describe_job_event;
use crate::text::time_format::{format_elapsed, format_local_time, format_local_time_in_zone};
use crate::text::{format_duration, strip_control};

/// Columns of a key.
const KEY_COLUMNS: usize = 24;
/// Columns of a bar.
const BAR_COLUMNS: usize = 20;
/// Lines that are rendered even for a smaller screen, and then cut.
const ROWS_MIN: usize = 14;

/// Size of a terminal in characters.
#[derive(Clone, Copy)]
pub(crate) struct ScreenSize {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// Whether a frame contains colour codes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextColor {
    Colored,
    Plain,
}

/// The data of a frame.
pub(crate) struct StatusFrame {
    pub(crate) status: BatchStatus,
    /// Key, percentage, start, and whether the render is stalled.
    pub(crate) rendering: Vec<RenderingJob>,
    pub(crate) recent_events: Vec<RecentEvent>,
    pub(crate) now: Timestamp,
}

/// Emphasis of a text beside its words.
#[derive(Clone, Copy)]
enum TextStyle {
    Plain,
    Good,
    Warning,
    Error,
    Dim,
}

impl StatusFrame {
    /// Renders the frame for a screen of this size.
    pub(crate) fn render(&self, size: ScreenSize, color: TextColor) -> Vec<String> {
        let ScreenSize { columns, rows } = size;
        let mut lines = vec![self.headline(), self.progress_bar(columns), StyledLine::empty()];
        lines.extend(self.count_lines());
        lines.push(StyledLine::empty());
        if let Some(last) = &self.status.last_stop {
            lines.push(StyledLine::new(format!("  {}", last.stop.message), TextStyle::Warning));
        }
        if self.status.batch.paused {
            let paused = "  paused: nothing is submitted".to_owned();
            lines.push(StyledLine::new(paused, TextStyle::Warning));
        }
        let remarks = remarks(&self.status).into_iter();
        lines
            .extend(remarks.map(|remark| StyledLine::new(format!("  {remark}"), TextStyle::Plain)));
        let last = self.footer();
        let rows_left = rows.max(ROWS_MIN).saturating_sub(lines.len() + last.len());
        lines.extend(self.list_lines(rows_left));
        lines.extend(last);
        lines.truncate(rows.max(1));
        lines.into_iter().map(|line| line.render(columns, color)).collect()
    }

    fn headline(&self) -> StyledLine {
        let state = match &self.status.live_holder {
            Some(holder) => format!("live ({holder})"),
            None => describe_last_run(&self.status),
        };
        StyledLine::new(format!("{}  {state}", self.status.batch.name), TextStyle::Plain)
    }

    fn progress_bar(&self, columns: usize) -> StyledLine {
        let (done, videos) = (self.status.count_done(), self.status.count_videos());
        let fraction = if videos == 0 { 0.0 } else { done as f64 / videos as f64 };
        let left =
            self.remaining_time().map_or(String::new(), |left| format!(", about {left} left"));
        let words = format!("  {done} of {videos} done, {:.0}%{left}", (fraction * 100.0).floor());
        let length = columns.saturating_sub(text_width(&words) + 2).min(40);
        StyledLine::new(format!("{}{words}", bar_text(fraction, length)), TextStyle::Good)
    }

    /// Returns the estimated time for the open jobs, if a run is live and the throughput is known.
    fn remaining_time(&self) -> Option<String> {
        self.status.live_holder.as_ref()?;
        let (open, throughput) = (self.status.count_open(), self.status.throughput?);
        throughput.time_left(open).map(format_duration)
    }

    /// Returns the counts. Every video is in exactly one of them, so that their sum is `videos`.
    fn count_lines(&self) -> Vec<StyledLine> {
        let status = &self.status;
        let jobs = |state| status.count_in_state(state);
        let bad = |jobs: u64, style| if jobs > 0 { style } else { TextStyle::Dim };
        let (uncertain, failed) = (jobs(JobState::Uncertain), jobs(JobState::Failed));
        let rendering = match status.count_stalled() {
            0 => String::new(),
            stalled => format!(" ({stalled} stalled)"),
        };
        let cells = [
            [
                ("videos", status.count_videos(), TextStyle::Plain),
                ("done", status.count_done(), TextStyle::Good),
            ],
            [
                ("waiting", status.count_waiting(), TextStyle::Plain),
                ("uncertain", uncertain, bad(uncertain, TextStyle::Warning)),
            ],
            [
                ("rendering", jobs(JobState::Rendering), TextStyle::Plain),
                ("failed", failed, bad(failed, TextStyle::Error)),
            ],
            [
                ("downloading", jobs(JobState::Fetching), TextStyle::Plain),
                ("invalid", status.invalid, bad(status.invalid, TextStyle::Error)),
            ],
        ];
        let mut lines: Vec<StyledLine> = Vec::new();
        for row in cells {
            let mut line = StyledLine::empty();
            for (name, jobs, style) in row {
                let more = if name == "rendering" { rendering.as_str() } else { "" };
                line.add(pad_or_truncate(&format!("  {name:11} {jobs:>6}{more}"), 38), style);
            }
            lines.push(line);
        }
        let cancelled = jobs(JobState::Cancelled);
        if cancelled > 0 {
            lines.push(StyledLine::new(
                format!("  {:11} {cancelled:>6}", "cancelled"),
                TextStyle::Dim,
            ));
        }
        lines
    }

    /// Returns the renders in progress and the latest events, as many as fit into `rows_left`.
    fn list_lines(&self, rows_left: usize) -> Vec<StyledLine> {
        // Each list has a blank line and a heading.
        let list_rows = rows_left.saturating_sub(4);
        let events_min = self.recent_events.len().min(list_rows / 2);
        let renders = self.rendering.len().min(list_rows - events_min);
        let events = self.recent_events.len().min(list_rows - renders);
        let mut lines = Vec::new();
        if renders > 0 {
            let more = self.rendering.len() - renders;
            let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            lines.extend([
                StyledLine::empty(),
                StyledLine::new(format!("rendering{more}"), TextStyle::Dim),
            ]);
            lines.extend(self.rendering.iter().take(renders).map(|one| self.rendering_line(one)));
        }
        if events > 0 {
            lines.extend([
                StyledLine::empty(),
                StyledLine::new("recent".to_owned(), TextStyle::Dim),
            ]);
            let base_url = &self.status.batch.base_url;
            let shown = self.recent_events.iter().take(events);
            lines.extend(shown.map(|event| recent_event_line(event, base_url)));
        }
        lines
    }

    fn rendering_line(&self, job: &RenderingJob) -> StyledLine {
        let RenderingJob { key, progress, since, is_stalled: stalled } = job;
        let elapsed = format_elapsed(*since, self.now);
        let key = pad_or_truncate(&strip_control(key), KEY_COLUMNS);
        let bar = bar_text(progress / 100.0, BAR_COLUMNS);
        let (note, style) =
            if *stalled { ("  stalled", TextStyle::Warning) } else { ("", TextStyle::Plain) };
        StyledLine::new(format!("  {key} {bar} {progress:>3.0}%  {elapsed}{note}"), style)
    }

    fn footer(&self) -> Vec<StyledLine> {
        let next = match (self.status.next_command(), &self.status.live_holder) {
            (Some(next), _) => format!("Next: {next}"),
            (None, Some(_)) => live_hint(&self.status),
            (None, None) => "Nothing to do".to_owned(),
        };
        let at = format_local_time_in_zone(self.now);
        let live = if self.status.live_holder.is_some() { "; the run continues" } else { "" };
        let hint = format!("{at}  q closes this view{live}");
        vec![
            StyledLine::empty(),
            StyledLine::new(next, TextStyle::Plain),
            StyledLine::new(hint, TextStyle::Dim),
        ]
    }
}

fn recent_event_line(event: &RecentEvent, base_url: &str) -> StyledLine {
    let (word, style) = match event.event.as_str() {
        "fetched" => ("done", TextStyle::Good),
        "reused" => ("reused", TextStyle::Good),
        "answer-lost" => ("uncertain", TextStyle::Warning),
        "rerendered" => (describe_job_event("rerendered", base_url), TextStyle::Warning),
        other => (describe_job_event(other, base_url), TextStyle::Error),
    };
    let detail = match (event.event.as_str(), &event.detail) {
        ("fetched", _) | (_, None) => String::new(),
        (_, Some(detail)) => format!(": {}", strip_control(detail)),
    };
    let (at, key) =
        (format_local_time(event.at), pad_or_truncate(&strip_control(&event.key), KEY_COLUMNS));
    StyledLine::new(format!("  {at}  {key} {word}{detail}"), style)
}

fn bar_text(fraction: f64, length: usize) -> String {
    let full = (fraction.clamp(0.0, 1.0) * length as f64).floor() as usize;
    format!("{}{}", "━".repeat(full), "─".repeat(length - full))
}

/// A line in pieces, each with its style.
#[derive(Default)]
struct StyledLine(Vec<(String, TextStyle)>);

impl StyledLine {
    fn empty() -> Self {
        Self::default()
    }

    fn new(text: String, style: TextStyle) -> Self {
        Self(vec![(text, style)])
    }

    fn add(&mut self, text: String, style: TextStyle) {
        self.0.push((text, style));
    }

    /// Returns the line, cut to `columns`.
    fn render(self, columns: usize, color: TextColor) -> String {
        let colored = color == TextColor::Colored;
        let mut left = columns;
        let mut out = String::new();
        for (text, style) in self.0 {
            let text = if text_width(&text) > left { pad_or_truncate(&text, left) } else { text };
            left -= text_width(&text).min(left);
            let ansi = match style {
                TextStyle::Plain => Style::new(),
                TextStyle::Good => Style::new().green(),
                TextStyle::Warning => Style::new().yellow(),
                TextStyle::Error => Style::new().red(),
                TextStyle::Dim => Style::new().dim(),
            };
            out.push_str(&ansi.force_styling(colored).apply_to(text).to_string());
        }
        if colored { out } else { out.trim_end().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::args::{ColorMode, GlobalArgs};
    use crate::cli::output::status_screen::*;
    use crate::ledger::{BatchRow, SpendingTotals};
    use crate::session::batch_status::Throughput;

    fn at(seconds: i64) -> Timestamp {
        // Noon on a day without a clock change in any zone; the frame shows local time.
        let noon = jiff::civil::date(2026, 11, 21).at(12, 0, 0, 0);
        let noon = noon.to_zoned(jiff::tz::TimeZone::system()).unwrap().timestamp();
        noon + jiff::SignedDuration::from_secs(seconds)
    }

    fn frame(renders: usize) -> StatusFrame {
        let color = ColorMode::Never;
        let global = GlobalArgs { ledger: None, quiet: false, verbose: 0, color, json: false };
        let counts = [
            (JobState::Ready, 17),
            (JobState::Rendering, 5),
            (JobState::Fetching, 1),
            (JobState::Done, 30),
            (JobState::Uncertain, 2),
            (JobState::Failed, 5),
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
            let since = at(-90 * n as i64);
            RenderingJob { key: key(n), progress: 20.0 * n as f64, since, is_stalled: n == 3 }
        };
        let event = |(ago, key, event, detail): (i64, usize, &str, Option<&str>)| RecentEvent {
            at: at(-ago),
            key: format!("TEA-{key:03}"),
            event: event.to_owned(),
            detail: detail.map(str::to_owned),
        };
        StatusFrame {
            status: BatchStatus {
                commands: global.command_hints(false, &batch.name, &batch.file),
                batch,
                counts: counts.into_iter().collect(),
                removed: Default::default(),
                invalid: 0,
                skipped: 0,
                generating: 0,
                spending: SpendingTotals { requests: 40, estimated: 44.5, heard_of: 0, heard: 0.0 },
                throughput: Some(Throughput {
                    videos: 30,
                    span: std::time::Duration::from_mins(45),
                    since_last: std::time::Duration::ZERO,
                }),
                last_run_status: None,
                last_run: None,
                last_stop: None,
                live_holder: Some("process 4711 on studio-pc, since 2026-11-21 11:15:00".to_owned()),
                waiting_requests: 0,
                review: None,
                attention_groups: Vec::new(),
            },
            rendering: (0..renders).map(render).collect(),
            recent_events: [
                (12, 31, "fetched", None),
                (30, 8, "refused", Some("AI Studios refused it: the script is \u{1b}[31mtoo long, it has more than two thousand letters")),
                (45, 7, "answer-lost", Some("no complete response in time")),
                (60, 30, "fetched", None),
            ]
            .map(event)
            .into(),
            now: at(0),
        }
    }

    #[test]
    fn a_frame_fits_into_eighty_columns_and_twenty_four_rows() {
        insta::assert_snapshot!(
            frame(5).render(ScreenSize { columns: 80, rows: 24 }, TextColor::Plain).join("\n")
        );
    }

    #[test]
    fn a_frame_is_at_most_as_large_as_its_screen() {
        for (columns, rows) in [(80, 24), (40, 14), (200, 60), (10, 3), (1, 1)] {
            for renders in [0, 1, 5, 100] {
                let lines = frame(renders).render(ScreenSize { columns, rows }, TextColor::Plain);
                assert!(lines.len() <= rows, "{} rows of {rows}", lines.len());
                for line in lines {
                    assert!(text_width(&line) <= columns, "{columns}: {line}");
                    assert!(!line.contains('\u{1b}'), "a cell reached the terminal: {line:?}");
                }
            }
        }
    }
}

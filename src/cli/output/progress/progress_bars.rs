//! Progress bars of a run on a terminal: one for all videos, and one for each of a few renders.
//!
//! Every bar is exactly one line: a line wider than the terminal would take two, and the next redraw
//! would leave half of it or erase the line above. The layout therefore follows the terminal's
//! width, also when it changes; in between, the end of a line is cut.

use std::collections::HashMap;
use std::time::Duration;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cli::output::printer::{STANDARD_WIDTH, pad_or_truncate};
use crate::text::{WorkDone, estimate_time_left, format_duration, strip_control};

/// The bars count in percent of a video.
const PERCENT: u64 = 100;
/// Renders with a bar of their own; the overall bar counts the others.
const RENDER_BARS_MAX: usize = 8;
/// Columns of a key before its bar, if the terminal is wide enough.
const KEY_WIDTH: usize = 24;
/// Columns of the longest status after a bar.
const STATUS_WIDTH: usize = 13;
/// Columns of the overall bar, and of the narrowest terminal on which it is shown.
const OVERALL_BAR_WIDTH: usize = 16;
const OVERALL_BAR_COLUMNS_MIN: usize = 60;

/// Finished videos, and all videos of the batches.
#[derive(Clone, Copy)]
pub(crate) struct VideoCounts {
    pub(crate) done: u64,
    pub(crate) total: u64,
}

/// What the overall bar shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OverallProgress<'t> {
    pub(crate) done: u64,
    /// Videos that failed or were cancelled: they are not waited for.
    pub(crate) ended: u64,
    /// Counts by state, as text.
    pub(crate) in_flight: &'t str,
}

/// Time since the start of a run, and the estimate of the rest.
#[derive(Clone, Copy)]
struct RunTimes {
    elapsed: Duration,
    left: Option<Duration>,
}

/// The visible bars.
pub(crate) struct ProgressBars {
    multi_progress: MultiProgress,
    overall: ProgressBar,
    renders: HashMap<String, ProgressBar>,
    columns: usize,
    /// The percentage of each render in progress, with or without a bar.
    percents: HashMap<String, u64>,
    rate: RenderRate,
}

/// The rate at which videos are rendered, measured since the start of the run.
#[derive(Clone, Copy, Debug)]
struct RenderRate {
    /// Videos that were finished before the run.
    done_before: u64,
    /// Videos that are done or rendered in part, and the time when this last changed.
    rendered: f64,
    changed_at: Duration,
}

impl RenderRate {
    /// Returns the estimate of the time left, with `rendered` of `total` videos.
    fn time_left(&mut self, rendered: f64, total: u64, elapsed: Duration) -> Option<Duration> {
        if rendered > self.rendered {
            self.changed_at = elapsed;
        }
        self.rendered = rendered;
        estimate_time_left(WorkDone {
            open: total as f64 - rendered,
            done: rendered - self.done_before as f64,
            span: self.changed_at,
            since_last: elapsed.saturating_sub(self.changed_at),
        })
    }
}

impl ProgressBars {
    /// Shows the overall bar.
    pub(crate) fn new(multi_progress: &MultiProgress, videos: VideoCounts) -> Self {
        let overall = multi_progress.add(ProgressBar::new(videos.total * PERCENT));
        let columns = terminal_columns();
        overall.set_style(bar_style(&overall_template(columns)));
        overall.set_position(videos.done * PERCENT);
        overall.enable_steady_tick(Duration::from_millis(500));
        Self {
            multi_progress: multi_progress.clone(),
            overall,
            renders: HashMap::new(),
            columns,
            percents: HashMap::new(),
            rate: RenderRate {
                done_before: videos.done,
                rendered: videos.done as f64,
                changed_at: Duration::ZERO,
            },
        }
    }

    /// Adds the bar of a render, up to [`RENDER_BARS_MAX`].
    pub(crate) fn add(&mut self, key: &str) {
        if self.renders.contains_key(key) || self.renders.len() >= RENDER_BARS_MAX {
            return;
        }
        let bar = self.multi_progress.add(ProgressBar::new(PERCENT));
        layout_bar(&bar, key, self.columns);
        self.renders.insert(key.to_owned(), bar);
    }

    /// Updates the percentage of a draft, which is no part of its video, in its bar.
    pub(crate) fn set_draft_progress(&self, key: &str, percent: u64, word: &'static str) {
        if let Some(bar) = self.renders.get(key) {
            bar.set_position(percent);
            bar.set_message(render_message(percent, word));
            // Both are drawn together: a limit of redraws would leave one of them behind until the next poll.
            bar.force_draw();
        }
    }

    /// Updates the percentage of a render, also in its bar, if it has one.
    pub(crate) fn set_progress(&mut self, key: &str, percent: u64, word: &'static str) {
        self.percents.insert(key.to_owned(), percent.min(PERCENT));
        self.set_draft_progress(key, percent, word);
    }

    /// Removes the bar of a render.
    pub(crate) fn remove(&mut self, key: &str) {
        self.percents.remove(key);
        if let Some(bar) = self.renders.remove(key) {
            bar.finish_and_clear();
        }
    }

    /// Updates the overall bar, and the layout if the terminal's width has changed.
    pub(crate) fn update_overall(&mut self, progress: OverallProgress<'_>) {
        let OverallProgress { done, ended, in_flight } = progress;
        let columns = terminal_columns();
        if columns != self.columns {
            self.columns = columns;
            self.overall.set_style(bar_style(&overall_template(columns)));
            for (key, bar) in &self.renders {
                layout_bar(bar, key, columns);
            }
        }
        let partial: u64 = self.percents.values().sum();
        let rendered = (done * PERCENT + partial).min(self.overall.length().unwrap_or_default());
        self.overall.set_position(rendered);
        let total = self.overall.length().unwrap_or_default() / PERCENT;
        let elapsed = self.overall.elapsed();
        let rendered = rendered as f64 / PERCENT as f64;
        let left = self.rate.time_left(rendered, total.saturating_sub(ended), elapsed);
        let text_columns = if columns < OVERALL_BAR_COLUMNS_MIN {
            columns
        } else {
            columns - OVERALL_BAR_WIDTH - 1
        };
        let videos = VideoCounts { done, total };
        let times = RunTimes { elapsed, left };
        self.overall.set_message(overall_message(videos, in_flight, times, text_columns));
    }

    /// Removes all bars.
    pub(crate) fn clear(&mut self) {
        for (_, bar) in self.renders.drain() {
            bar.finish_and_clear();
        }
        self.overall.finish_and_clear();
    }
}

/// Returns the columns of the terminal.
fn terminal_columns() -> usize {
    let (_, columns) = Term::stderr().size();
    if columns == 0 { STANDARD_WIDTH } else { usize::from(columns) }
}

/// Returns the text of the overall bar, without the times if they do not fit.
fn overall_message(
    videos: VideoCounts,
    in_flight: &str,
    times: RunTimes,
    columns: usize,
) -> String {
    let short = format!("{}/{} videos, {in_flight}", videos.done, videos.total);
    let with_elapsed = format!("{short}, {} elapsed", format_duration(times.elapsed));
    // Without evidence there is no estimate.
    let left = times.left.map(|left| format!(", about {} left", format_duration(left)));
    let left = left.unwrap_or_default();
    let (with_both, with_left) = (format!("{with_elapsed}{left}"), format!("{short}{left}"));
    let fits = |text: &&String| text.chars().count() <= columns;
    let estimate = [&with_both, &with_left].into_iter().filter(|_| !left.is_empty());
    let text = estimate.chain([&with_elapsed]).find(fits).unwrap_or(&short);
    pad_or_truncate(text, columns).trim_end().to_owned()
}

/// Lays out a render's key and bar for a terminal of `columns` columns.
fn layout_bar(bar: &ProgressBar, key: &str, columns: usize) {
    let widths = RenderBarWidths::fit(columns);
    bar.set_style(bar_style(&render_template(widths)));
    bar.set_prefix(fit_key(key, widths.key));
}

/// Returns a key cut to the `width` columns before its bar.
fn fit_key(key: &str, width: usize) -> String {
    pad_or_truncate(&strip_control(key), width).trim_end().to_owned()
}

/// Columns of a key and of the bar after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RenderBarWidths {
    key: usize,
    bar: usize,
}

impl RenderBarWidths {
    /// Divides the columns of a terminal that blanks, percentage and status leave.
    fn fit(columns: usize) -> Self {
        let available = columns.saturating_sub(2 + 1 + 1 + 5 + 1 + STATUS_WIDTH);
        let key = (available * 2 / 3).clamp(8, KEY_WIDTH);
        Self { key, bar: available.saturating_sub(key).min(KEY_WIDTH) }
    }
}

fn overall_template(columns: usize) -> String {
    let bar = if columns < OVERALL_BAR_COLUMNS_MIN {
        String::new()
    } else {
        format!("{{bar:{OVERALL_BAR_WIDTH}}} ")
    };
    format!("{bar}{{wide_msg}}")
}

fn render_template(widths: RenderBarWidths) -> String {
    let RenderBarWidths { key, bar } = widths;
    let bar = if bar == 0 { String::new() } else { format!(" {{bar:{bar}}}") };
    format!("  {{prefix:{key}}}{bar} {{wide_msg}}")
}

/// Returns what stands behind the bar of a render. AI Studios reports no percentage at first: none is
/// shown then, rather than 0%.
fn render_message(percent: u64, word: &str) -> String {
    match percent {
        0 => format!("     {word}"),
        percent => format!("{percent:>3}% {word}"),
    }
}

fn bar_style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style.expect("the templates above are well formed").progress_chars("━╸─")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use indicatif::{ProgressDrawTarget, TermLike};

    use crate::cli::output::printer::text_width;
    use crate::cli::output::progress::progress_bars::*;

    #[test]
    fn a_long_or_wide_key_is_cut_before_its_bar() {
        let short = |key| fit_key(key, KEY_WIDTH);
        assert_eq!(short("TEA-001/ko"), "TEA-001/ko");
        assert_eq!(short("spring-launch-2026-morning-tea"), "spring-launch-2026-mor…");
        assert_eq!(short("봄 첫물 녹차를 마시는 아침과 저녁"), "봄 첫물 녹차를 마시는 …");
        assert_eq!(short("a\u{1b}[2Jb"), "a [2Jb");
    }

    #[test]
    fn a_render_line_is_at_most_as_wide_as_the_terminal() {
        for (columns, key, bar) in [(80, 24, 24), (120, 24, 24), (40, 11, 6)] {
            assert_eq!(RenderBarWidths::fit(columns), RenderBarWidths { key, bar });
        }
        for columns in 32..200 {
            let RenderBarWidths { key, bar } = RenderBarWidths::fit(columns);
            assert!(2 + key + 1 + bar + 1 + 5 + 1 + STATUS_WIDTH <= columns, "{columns}");
        }
    }

    #[test]
    fn the_overall_bar_omits_times_that_do_not_fit() {
        let text = |columns| {
            let (elapsed, left) = (Duration::from_secs(12), Some(Duration::from_secs(600)));
            let videos = VideoCounts { done: 3, total: 12 };
            let times = RunTimes { elapsed, left };
            overall_message(videos, "4 rendering, 1 uncertain", times, columns)
        };
        let long = "3/12 videos, 4 rendering, 1 uncertain, 12 s elapsed, about 10 min left";
        assert_eq!(text(80), long);
        assert_eq!(text(60), "3/12 videos, 4 rendering, 1 uncertain, about 10 min left");
        assert_eq!(text(52), "3/12 videos, 4 rendering, 1 uncertain, 12 s elapsed");
        assert_eq!(text(40), "3/12 videos, 4 rendering, 1 uncertain");
        assert_eq!(text(20), "3/12 videos, 4 ren…");
    }

    #[test]
    fn a_render_without_a_percentage_shows_none() {
        assert_eq!(render_message(0, "rendering"), "     rendering");
        assert_eq!(render_message(45, "rendering"), " 45% rendering");
    }

    #[test]
    fn the_overall_bar_moves_with_renders_in_progress_and_estimates_from_them() {
        let videos = VideoCounts { done: 2, total: 12 };
        let mut bars = ProgressBars::new(&MultiProgress::new(), videos);
        let update = |bars: &mut ProgressBars, done| {
            bars.update_overall(OverallProgress { done, ended: 0, in_flight: "2 rendering" });
            bars.overall.position()
        };
        assert_eq!(update(&mut bars, 2), 200);
        bars.set_progress("a", 40, "rendering");
        bars.set_progress("b", 25, "rendering");
        assert_eq!(update(&mut bars, 2), 265);
        bars.remove("a");
        assert_eq!(update(&mut bars, 3), 325);

        let seconds = Duration::from_secs;
        let mut rate = RenderRate { done_before: 2, rendered: 2.0, changed_at: Duration::ZERO };
        assert_eq!(rate.time_left(2.0, 12, seconds(5)), None, "nothing is rendered");
        assert_eq!(rate.time_left(2.5, 12, seconds(10)), None, "half a video of ten");
        assert_eq!(rate.time_left(4.5, 12, seconds(50)), Some(seconds(150)));
        assert_eq!(rate.time_left(4.5, 12, seconds(60)), Some(seconds(140)), "it counts down");
        assert_eq!(rate.time_left(4.5, 12, seconds(201)), None, "overdue");
        assert_eq!(rate.time_left(7.0, 7, seconds(202)), None, "the others failed");
    }

    /// A terminal that records its output.
    #[derive(Clone, Debug)]
    struct FakeTerminal(u16, Arc<Mutex<String>>);

    impl TermLike for FakeTerminal {
        fn width(&self) -> u16 {
            self.0
        }
        fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> std::io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }
        fn write_str(&self, text: &str) -> std::io::Result<()> {
            self.1.lock().unwrap().push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> std::io::Result<()> {
            self.write_str("\n")
        }
        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_bar_is_one_line_on_a_narrow_terminal() {
        for columns in [24_u16, 30, 40, 60, 80] {
            for key in ["spring-launch-2026-morning-tea", "봄 첫물 녹차를 마시는 아침과 저녁", ""]
            {
                let terminal = FakeTerminal(columns, Arc::default());
                let target = ProgressDrawTarget::term_like(Box::new(terminal.clone()));
                let bar = ProgressBar::with_draw_target(Some(100), target);
                if key.is_empty() {
                    bar.set_style(bar_style(&overall_template(usize::from(columns))));
                    bar.set_message(
                        "3/12 videos, 4 rendering, 1 uncertain, 12 s elapsed, and more",
                    );
                } else {
                    layout_bar(&bar, key, usize::from(columns));
                    bar.set_message("downloading");
                }
                bar.tick();
                let drawn = terminal.1.lock().unwrap().clone();
                assert!(!drawn.trim().is_empty());
                let fits = |line: &str| text_width(line.trim_end()) <= usize::from(columns);
                assert!(drawn.lines().all(fits), "{columns}: {drawn}");
            }
        }
    }
}

//! The bars of a run on a terminal: one for all videos, and one for each of a few renders.
//!
//! Each is one line, always: a line wider than the terminal takes two, and what is painted over it
//! later leaves half of it standing, or takes away what stood above. So lines are laid out for the
//! width that there is, and anew when it changes; between two such looks the last part of a line
//! gives way.

use std::collections::HashMap;
use std::time::Duration;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::cli::output::printer::{STANDARD_WIDTH, pad_or_truncate};
use crate::text::{format_duration, strip_control};

/// Renders shown one by one; the overall bar tells of the rest.
const RENDER_BARS_MAX: usize = 8;
/// Columns of a key in front of its bar, where there is room.
const KEY_WIDTH: usize = 24;
/// Columns of the longest word behind a bar.
const STATUS_WIDTH: usize = 13;
/// Columns of the overall bar, and of the narrowest terminal that has room for it.
const OVERALL_BAR_WIDTH: usize = 16;
const OVERALL_BAR_COLUMNS_MIN: usize = 60;

/// The bars that are shown.
pub(crate) struct ProgressBars {
    multi_progress: MultiProgress,
    overall: ProgressBar,
    renders: HashMap<String, ProgressBar>,
    columns: usize,
}

impl ProgressBars {
    /// Shows the overall bar: so many of so many videos.
    pub(crate) fn new(screen: &MultiProgress, (done, total): (u64, u64)) -> Self {
        let overall = screen.add(ProgressBar::new(total));
        let columns = terminal_columns();
        overall.set_style(bar_style(&overall_template(columns)));
        overall.set_position(done);
        overall.reset_eta();
        overall.enable_steady_tick(Duration::from_millis(500));
        Self { multi_progress: screen.clone(), overall, renders: HashMap::new(), columns }
    }

    /// Shows a render, if there is room for one more.
    pub(crate) fn add(&mut self, key: &str) {
        if self.renders.contains_key(key) || self.renders.len() >= RENDER_BARS_MAX {
            return;
        }
        let bar = self.multi_progress.add(ProgressBar::new(100));
        layout_bar(&bar, key, self.columns);
        self.renders.insert(key.to_owned(), bar);
    }

    /// Says how far a render is, if it is shown.
    pub(crate) fn set_progress(&self, key: &str, percent: u64, word: &'static str) {
        if let Some(bar) = self.renders.get(key) {
            bar.set_position(percent);
            bar.set_message(word);
        }
    }

    /// Takes a render away.
    pub(crate) fn remove(&mut self, key: &str) {
        if let Some(bar) = self.renders.remove(key) {
            bar.finish_and_clear();
        }
    }

    /// Says how far all of it is, in the width that there is now.
    pub(crate) fn update_overall(&mut self, done: u64, under_way: &str) {
        let columns = terminal_columns();
        if columns != self.columns {
            self.columns = columns;
            self.overall.set_style(bar_style(&overall_template(columns)));
            for (key, bar) in &self.renders {
                layout_bar(bar, key, columns);
            }
        }
        self.overall.set_position(done);
        let total = self.overall.length().unwrap_or_default();
        let times = (self.overall.elapsed(), self.overall.eta());
        let room = if columns < OVERALL_BAR_COLUMNS_MIN {
            columns
        } else {
            columns - OVERALL_BAR_WIDTH - 1
        };
        self.overall.set_message(overall_message((done, total), under_way, times, room));
    }

    /// Takes all of them away, so that what follows stands alone.
    pub(crate) fn clear(&mut self) {
        for (_, bar) in self.renders.drain() {
            bar.finish_and_clear();
        }
        self.overall.finish_and_clear();
    }
}

/// Returns how many columns the terminal has.
fn terminal_columns() -> usize {
    let (_, columns) = Term::stderr().size();
    if columns == 0 { STANDARD_WIDTH } else { usize::from(columns) }
}

/// Returns the words of the overall bar; the times are left out where there is no room for them.
fn overall_message(
    (done, total): (u64, u64),
    under_way: &str,
    (gone, left): (Duration, Duration),
    room: usize,
) -> String {
    let short = format!("{done}/{total} videos, {under_way}");
    let gone = format!("{short}, {} gone", format_duration(gone));
    // Before the first video there is nothing to judge by.
    let left = if left.is_zero() {
        gone.clone()
    } else {
        format!("{gone}, about {} left", format_duration(left))
    };
    let fits = |words: &&String| words.chars().count() <= room;
    let words = [&left, &gone].into_iter().find(fits).unwrap_or(&short);
    pad_or_truncate(words, room).trim_end().to_owned()
}

/// Writes a render's key and bar for a terminal of so many columns.
fn layout_bar(bar: &ProgressBar, key: &str, columns: usize) {
    let (key_width, bar_width) = column_widths(columns);
    bar.set_style(bar_style(&render_template((key_width, bar_width))));
    bar.set_prefix(fit_key(key, key_width));
}

/// Returns a key as it fits in front of its bar.
fn fit_key(key: &str, width: usize) -> String {
    pad_or_truncate(&strip_control(key), width).trim_end().to_owned()
}

/// Returns how wide a key and its bar may be beside each other, with blanks, a percentage and a word.
fn column_widths(columns: usize) -> (usize, usize) {
    let room = columns.saturating_sub(2 + 1 + 1 + 5 + 1 + STATUS_WIDTH);
    let key = (room * 2 / 3).clamp(8, KEY_WIDTH);
    (key, room.saturating_sub(key).min(KEY_WIDTH))
}

fn overall_template(columns: usize) -> String {
    let bar = if columns < OVERALL_BAR_COLUMNS_MIN {
        String::new()
    } else {
        format!("{{bar:{OVERALL_BAR_WIDTH}}} ")
    };
    format!("{bar}{{wide_msg}}")
}

fn render_template((key, bar): (usize, usize)) -> String {
    let bar = if bar == 0 { String::new() } else { format!(" {{bar:{bar}}}") };
    format!("  {{prefix:{key}}}{bar} {{pos:>3}} % {{wide_msg}}")
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
    use crate::cli::output::progress_bars::*;

    #[test]
    fn a_key_fits_in_front_of_its_bar_whatever_its_letters() {
        let short = |key| fit_key(key, KEY_WIDTH);
        assert_eq!(short("TEA-001/ko"), "TEA-001/ko");
        assert_eq!(short("spring-launch-2026-morning-tea"), "spring-launch-2026-mor…");
        assert_eq!(short("봄 첫물 녹차를 마시는 아침과 저녁"), "봄 첫물 녹차를 마시는 …");
        assert_eq!(short("a\u{1b}[2Jb"), "a [2Jb");
    }

    #[test]
    fn a_key_a_bar_and_a_word_are_as_wide_as_the_terminal_at_most() {
        assert_eq!(
            (column_widths(80), column_widths(120), column_widths(40)),
            ((24, 24), (24, 24), (11, 6))
        );
        for columns in 32..200 {
            let (key, bar) = column_widths(columns);
            assert!(2 + key + 1 + bar + 1 + 5 + 1 + STATUS_WIDTH <= columns, "{columns}");
        }
    }

    #[test]
    fn the_overall_words_leave_out_what_has_no_room() {
        let words = |room| {
            let times = (Duration::from_secs(12), Duration::from_secs(600));
            overall_message((3, 12), "4 rendering, 1 uncertain", times, room)
        };
        let long = "3/12 videos, 4 rendering, 1 uncertain, 12 s gone, about 10 min left";
        assert_eq!(words(80), long);
        assert_eq!(words(50), "3/12 videos, 4 rendering, 1 uncertain, 12 s gone");
        assert_eq!(words(40), "3/12 videos, 4 rendering, 1 uncertain");
        assert_eq!(words(20), "3/12 videos, 4 ren…");
    }

    /// A terminal that keeps what is written to it.
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
    fn on_a_narrow_terminal_every_bar_is_one_line() {
        for columns in [24_u16, 30, 40, 60, 80] {
            for key in ["spring-launch-2026-morning-tea", "봄 첫물 녹차를 마시는 아침과 저녁", ""]
            {
                let paper = FakeTerminal(columns, Arc::default());
                let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
                let bar = ProgressBar::with_draw_target(Some(100), target);
                if key.is_empty() {
                    bar.set_style(bar_style(&overall_template(usize::from(columns))));
                    bar.set_message("3/12 videos, 4 rendering, 1 uncertain, 12 s gone, and more");
                } else {
                    layout_bar(&bar, key, usize::from(columns));
                    bar.set_message("being written");
                }
                bar.tick();
                let drawn = paper.1.lock().unwrap().clone();
                assert!(!drawn.trim().is_empty());
                let fits = |line: &str| text_width(line.trim_end()) <= usize::from(columns);
                assert!(drawn.lines().all(fits), "{columns}: {drawn}");
            }
        }
    }
}

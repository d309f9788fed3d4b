//! Parts that several pages show: states, counts as a bar, times, credits, steps, empty lists.
//!
//! Pure. Every state has one colour in the whole console, and its name beside it.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::console::assets::ConsoleLinks;
use crate::ledger::{JobRow, JobState, RowStatus};
use crate::session::batch_status::BatchStatus;
use crate::text::time_format::{
    format_elapsed, format_local, format_local_in_zone, format_rfc3339,
};

/// The order of the states in bars and lists: what is finished, what moves, what waits, what needs
/// the user.
const BAR_ORDER: [RowStatus; 11] = [
    RowStatus::State(JobState::Done),
    RowStatus::State(JobState::Reused),
    RowStatus::State(JobState::Fetching),
    RowStatus::State(JobState::Rendering),
    RowStatus::State(JobState::Submitting),
    RowStatus::State(JobState::Uncertain),
    RowStatus::State(JobState::Failed),
    RowStatus::Invalid,
    RowStatus::State(JobState::Ready),
    RowStatus::State(JobState::Cancelled),
    RowStatus::Skipped,
];
/// The width of a bar in its own units.
const BAR_WIDTH: f64 = 1000.0;

/// Returns the rows of a batch by status, without the statuses that no row has. They add up to the
/// rows of the sheet.
pub(crate) fn counts_by_status(status: &BatchStatus) -> Vec<(RowStatus, u64)> {
    let count = |row_status| match row_status {
        RowStatus::State(state) => status.count_in_state(state),
        RowStatus::Invalid => status.invalid,
        RowStatus::Skipped => status.skipped,
        RowStatus::Stalled | RowStatus::Generating | RowStatus::Removed | RowStatus::Open => 0,
    };
    let counts = BAR_ORDER.map(|row_status| (row_status, count(row_status)));
    counts.into_iter().filter(|(_, rows)| *rows > 0).collect()
}

/// Returns the counts as one bar.
pub(crate) fn status_bar(counts: &[(RowStatus, u64)]) -> Markup {
    let total: u64 = counts.iter().map(|(_, rows)| rows).sum();
    let label: Vec<String> =
        counts.iter().map(|(status, rows)| format!("{rows} {}", status.label())).collect();
    let mut left = 0.0;
    let segments: Vec<_> = counts
        .iter()
        .map(|(status, rows)| {
            let width = *rows as f64 / total.max(1) as f64 * BAR_WIDTH;
            left += width;
            (status.as_str(), format!("{:.1}", left - width), format!("{:.1}", width.max(4.0)))
        })
        .collect();
    html! {
        svg .status-bar viewBox="0 0 1000 8" preserveAspectRatio="none" role="img"
            aria-label=(label.join(", ")) {
            @for (state, x, width) in &segments {
                rect class={ "s-" (state) } x=(x) y="0" width=(width) height="8" {}
            }
        }
    }
}

/// Returns a status with its colour.
pub(crate) fn status_chip(status: RowStatus) -> Markup {
    html! { span .state { i class={ "dot s-" (status.as_str()) } {} (status.label()) } }
}

/// Returns the status of a row, more precisely where it has one: stalled, or generating.
pub(crate) fn row_chip(row: &JobRow) -> Markup {
    status_chip(match (row.stalled, row.generating) {
        (true, _) => RowStatus::Stalled,
        (false, true) => RowStatus::Generating,
        (false, false) => row.status(),
    })
}

/// Returns a time, in the time zone of the machine of the console.
pub(crate) fn time(at: Timestamp) -> Markup {
    html! { time datetime=(format_rfc3339(at)) title=(format_local_in_zone(at)) { (format_local(at)) } }
}

/// Returns how long ago a time is, with the time itself as its title.
pub(crate) fn time_ago(at: Timestamp, now: Timestamp) -> Markup {
    html! { time datetime=(format_rfc3339(at)) title=(format_local_in_zone(at)) { (format_elapsed(at, now)) " ago" } }
}

/// Returns a whole number with separators between its thousands.
pub(crate) fn number(count: u64) -> String {
    let digits = count.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(|group| String::from_utf8_lossy(group)).collect();
    groups.join(",")
}

/// Returns a length of a video, such as "0:42".
pub(crate) fn video_length(ms: i64) -> String {
    let seconds = (ms.max(0) + 500) / 1000;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// Returns a key as a link to its row.
pub(crate) fn row_link(links: &ConsoleLinks, batch: &str, row: &JobRow) -> Markup {
    html! {
        @match &row.key {
            Some(key) if row.state.is_some() => a .key href=(links.row(batch, key)) { (key) },
            Some(key) => span .key { (key) },
            None => span .muted { "no key" },
        }
    }
}

/// Returns a short explanation as a sentence.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).chain(['.']).collect()
}

/// Returns a message with what it quotes between backticks as code.
pub(crate) fn with_code(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // Without its partner, a backtick is a character of the message.
    let is_paired = parts.len() % 2 == 1;
    html! {
        @if is_paired {
            @for (index, part) in parts.iter().enumerate() {
                @if index % 2 == 1 { code { (part) } } @else { (part) }
            }
        } @else { (text) }
    }
}

/// Where a form is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    pub(crate) field: &'static str,
    pub(crate) message: String,
}

/// Returns the message of a field, if it is the wrong one.
pub(crate) fn field_message(error: Option<&FieldError>, field: &str) -> Markup {
    html! {
        @if let Some(error) = error.filter(|error| error.field == field) {
            p .problem role="alert" { (with_code(&sentence(&error.message))) }
        }
    }
}

/// Returns why all videos of a rehearsal look alike.
pub(crate) fn placeholder_notice(is_rehearsal: bool) -> Markup {
    html! {
        @if is_rehearsal {
            p .remark { "Rehearsal: the videos are placeholders of the virtual AI Studios, not your content." }
        }
    }
}

/// Returns commands as they are, or behind a summary where the console does the same.
pub(crate) fn commands(is_closed: bool, content: &Markup) -> Markup {
    html! {
        @if is_closed { details .commands { summary { "On the command line" } (content) } }
        @else { (content) }
    }
}

/// Returns a command that can be copied.
pub(crate) fn command(text: &str) -> Markup {
    html! { code .command data-copy { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths_are_written_for_readers() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(count), text);
        }
        assert_eq!(sentence("it failed"), "It failed.");
        for (text, markup) in [
            ("`a` is <b>", "<code>a</code> is &lt;b&gt;"),
            ("set `x` to `<y>`", "set <code>x</code> to <code>&lt;y&gt;</code>"),
            ("a ` alone", "a ` alone"),
            ("", ""),
        ] {
            assert_eq!(with_code(text).into_string(), markup);
        }
        assert_eq!(
            (video_length(42_400), video_length(3_599_600)),
            ("0:42".into(), "60:00".into())
        );
    }
}

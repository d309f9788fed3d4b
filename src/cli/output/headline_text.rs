//! The headlines of batches as lines: those that need the user first, finished ones together.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::output::styled_text::{MessageStyle, StyledText};
use crate::session::batch_headline::{BatchHeadline, HeadlineMark};
use crate::text::pluralize;

/// Columns before the second line of a batch.
const INDENT: &str = "    ";

/// Returns two lines per batch that is not finished, its counts and its reason, and one line for all
/// that are.
pub(crate) fn headline_lines(headlines: &[BatchHeadline], now: Timestamp) -> Vec<StyledText> {
    let (finished, open): (Vec<_>, Vec<_>) =
        headlines.iter().partition(|headline| headline.mark == HeadlineMark::Finished);
    let mut lines: Vec<_> = open
        .iter()
        .flat_map(|headline| [count_line(headline), reason_line(headline, now)])
        .collect();
    let (plain, others): (Vec<_>, Vec<_>) =
        finished.into_iter().partition(|headline| headline.others.is_empty());
    lines.extend(others.into_iter().map(count_line));
    lines.extend(finished_line(&plain));
    lines
}

fn count_line(headline: &BatchHeadline) -> StyledText {
    StyledText::default()
        .with(mark_style(headline.mark), mark_text(headline.mark))
        .plain(" ")
        .with(MessageStyle::Bold, headline.batch.clone())
        .plain(format!("  {}", progress_text(headline)))
}

fn reason_line(headline: &BatchHeadline, now: Timestamp) -> StyledText {
    let at = headline
        .at
        .map(|at| format!("last run ended {}: ", short_time(at, now)))
        .unwrap_or_default();
    let line = StyledText::default()
        .plain(format!("{INDENT}{at}"))
        .with(mark_style(headline.mark), headline.message.clone());
    let lead = if headline.lead.is_empty() { "Next" } else { headline.lead };
    match &headline.command {
        Some(command) => {
            let end = if headline.message.ends_with(['.', '?', '!']) { "" } else { "." };
            line.plain(format!("{end} {lead}:  ")).with(MessageStyle::Command, command.clone())
        }
        None => line,
    }
}

fn finished_line(finished: &[&BatchHeadline]) -> Option<StyledText> {
    let names: Vec<_> = finished.iter().map(|headline| headline.batch.as_str()).collect();
    let sum = |part: fn((u64, u64)) -> u64| -> u64 {
        finished.iter().filter_map(|headline| headline.progress).map(part).sum()
    };
    let (done, wanted) = (sum(|(done, _)| done), sum(|(_, wanted)| wanted));
    let line = StyledText::default()
        .with(MessageStyle::Good, mark_text(HeadlineMark::Finished))
        .plain(" ")
        .with(MessageStyle::Bold, names.join(", "))
        .plain(format!("  {done} of {} done", pluralize(wanted, "video")));
    (!finished.is_empty()).then_some(line)
}

fn progress_text(headline: &BatchHeadline) -> String {
    match (headline.progress, headline.others.as_str()) {
        (Some((done, wanted)), "") => format!("{done} of {} done", pluralize(wanted, "video")),
        (Some((done, wanted)), others) => {
            format!("{done} of {} done; {others}", pluralize(wanted, "video"))
        }
        (None, _) => "–".to_owned(),
    }
}

fn mark_text(mark: HeadlineMark) -> &'static str {
    match mark {
        HeadlineMark::Attention => "!",
        HeadlineMark::Waiting => "·",
        HeadlineMark::Live => "▶",
        HeadlineMark::Finished => "✓",
    }
}

fn mark_style(mark: HeadlineMark) -> MessageStyle {
    match mark {
        HeadlineMark::Attention => MessageStyle::Bad,
        HeadlineMark::Waiting => MessageStyle::Warning,
        HeadlineMark::Live | HeadlineMark::Finished => MessageStyle::Good,
    }
}

/// Returns a time as local time of day, with the date if it is not today's.
fn short_time(at: Timestamp, now: Timestamp) -> String {
    let zone = TimeZone::system();
    let local = |at: Timestamp| at.to_zoned(zone.clone());
    let at = local(at);
    let format = if at.date() == local(now).date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    at.strftime(format).to_string()
}

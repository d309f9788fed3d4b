//! The headlines of batches as lines: those that need the user first, finished ones together.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::cli::output::printer::pad_or_truncate;
use crate::cli::output::styled_text::{MessageStyle, StyledText};
use crate::session::batch_headline::{BatchHeadline, HeadlineMark};

/// Columns of a batch's name; a longer one makes its own line longer.
const NAME_WIDTH_MAX: usize = 24;

/// Returns one line per batch that is not finished, and one for all that are.
pub(crate) fn headline_lines(headlines: &[BatchHeadline], now: Timestamp) -> Vec<StyledText> {
    let (finished, open): (Vec<_>, Vec<_>) =
        headlines.iter().partition(|headline| headline.mark == HeadlineMark::Finished);
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let names = width(&mut open.iter().map(|headline| headline.batch.chars().count()));
    let counts = width(&mut open.iter().map(|headline| progress_text(headline).chars().count()));
    let widths = LineWidths { name: names.min(NAME_WIDTH_MAX), progress: counts };
    let mut lines: Vec<_> = open.iter().map(|headline| open_line(headline, widths, now)).collect();
    lines.extend(finished_line(&finished));
    lines
}

/// The columns of the first two cells.
#[derive(Clone, Copy)]
struct LineWidths {
    name: usize,
    progress: usize,
}

fn open_line(headline: &BatchHeadline, widths: LineWidths, now: Timestamp) -> StyledText {
    let style = mark_style(headline.mark);
    let name = pad_or_truncate(&headline.batch, widths.name.max(headline.batch.chars().count()));
    let progress = pad_or_truncate(&progress_text(headline), widths.progress);
    let at = headline.at.map(|at| format!("{}: ", short_time(at, now))).unwrap_or_default();
    let line = StyledText::default()
        .with(style, mark_text(headline.mark))
        .plain(" ")
        .with(MessageStyle::Bold, name)
        .plain(format!("  {progress}  {at}"))
        .with(style, headline.message.clone());
    match (&headline.command, headline.lead) {
        (Some(command), "") => line.plain(":  ").with(MessageStyle::Command, command.clone()),
        (Some(command), lead) => {
            let end = if headline.message.ends_with(['.', '?', '!']) { "" } else { "." };
            line.plain(format!("{end} {lead}:  ")).with(MessageStyle::Command, command.clone())
        }
        (None, _) => line,
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
        .plain(format!("  {done} of {wanted}"));
    (!finished.is_empty()).then_some(line)
}

fn progress_text(headline: &BatchHeadline) -> String {
    match headline.progress {
        Some((done, wanted)) => format!("{done} of {wanted}"),
        None => "–".to_owned(),
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

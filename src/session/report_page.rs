//! `report.html`, at the end of a run and when it is asked for: what the page needs to know beside
//! the ledger, and where it finds its videos.

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use jiff::tz::TimeZone;

use crate::batch;
use crate::batch::{BatchLimits, Rate};
use crate::clock::Clock;
use crate::ledger::{Ledger, StoredBatch};
use crate::report;
use crate::report::{AttentionRecord, BatchTotals, ReportError, ReportPage, SubmitLimits};
use crate::session::next_steps::CommandHints;
use crate::session::open_batch;
use crate::session::run_report;

/// Returns how fast a batch file lets a run be.
fn pace_limits(limits: &BatchLimits) -> SubmitLimits {
    let submits_per_minute = match limits.submits {
        Rate::Unlimited => None,
        Rate::Per { count, period } => Some(f64::from(count.get()) * 60.0 / period.as_secs_f64()),
    };
    SubmitLimits { in_flight: limits.in_flight.get(), submits_per_minute }
}

/// Writes the page into the output folder, among its videos.
pub(crate) async fn write_page(
    ledger: &Ledger,
    batch: &StoredBatch,
    (standing, failures, next): (&BatchTotals, &[AttentionRecord], Option<&str>),
    (folder, rehearsal): (&Path, bool),
) -> Result<PathBuf, ReportError> {
    let page = ReportPage {
        batch,
        totals: standing,
        attention: failures,
        next_command: next,
        limits: pace_limits(&stored_limits(batch)),
        videos_folder: "",
        rehearsal,
        now: Clock::real().now(),
        time_zone: &TimeZone::system(),
    };
    report::write_page(ledger, &page, folder).await
}

/// Writes the page to `out`; `file` is where that is, if it is a file.
pub(crate) async fn print_page(
    ledger: &Ledger,
    batch: &StoredBatch,
    (commands, rehearsal): (&CommandHints, bool),
    (file, place): (Option<&Path>, &Path),
    out: impl Write,
) -> Result<(), ReportError> {
    let run = ledger.last_paying_run(batch.id).await?.map(|run| run.id);
    let standing = BatchTotals::load(ledger, batch.id, run).await?;
    let failures = run_report::attention_details(ledger, batch.id, commands).await?;
    let next = run_report::next_command(&standing, commands);
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    let page = ReportPage {
        batch,
        totals: &standing,
        attention: &failures,
        next_command: next.as_deref(),
        limits: pace_limits(&stored_limits(batch)),
        videos_folder: &relative_path(folder, &stored_output_dir(batch, rehearsal)),
        rehearsal,
        now: Clock::real().now(),
        time_zone: &TimeZone::system(),
    };
    report::write_page_to(ledger, &page, place, out).await
}

/// Returns what the stored batch file says; one that an older program wrote may say nothing.
fn stored_limits(batch: &StoredBatch) -> BatchLimits {
    let read = batch::parse(Path::new(&batch.file), batch.source.clone());
    read.map(|batch| batch.limits).unwrap_or_default()
}

fn stored_output_dir(batch: &StoredBatch, rehearsal: bool) -> PathBuf {
    let read = batch::parse(Path::new(&batch.file), batch.source.clone());
    let output = read.map(|batch| batch.output).unwrap_or_default();
    if rehearsal { open_batch::rehearsal_output_dir(&output) } else { output }
}

/// Returns the way from one folder to another, with slashes; empty when they are the same.
fn relative_path(from: &Path, to: &Path) -> String {
    let whole = |path: &Path| -> Vec<String> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let part = |part: Component<'_>| part.as_os_str().to_string_lossy().into_owned();
        path.components().map(part).collect()
    };
    let (from, to) = (whole(from), whole(to));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - shared);
    up.chain(to[shared..].iter().cloned()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use crate::session::report_page::*;

    #[test]
    fn a_page_elsewhere_finds_its_videos() {
        for (from, to, found) in [
            ("/a/out", "/a/out", ""),
            ("/a", "/a/out/spring", "out/spring"),
            ("/a/pages", "/a/out", "../out"),
            ("/", "/a/b", "a/b"),
        ] {
            assert_eq!(relative_path(Path::new(from), Path::new(to)), found);
        }
    }
}

//! `report.html`, at the end of a run and when it is asked for: what the page needs to know beside
//! the ledger, and where it finds its videos.

use std::io::Write;
use std::path::{Component, Path, PathBuf};

use jiff::tz::TimeZone;

use super::advice::Commands;
use super::drive;
use super::wrap;
use crate::batch::{self, Limits, Rate};
use crate::clock::Clock;
use crate::ledger::{Ledger, StoredBatch};
use crate::report::{self, Failure, Pace, Page, ReportError, Standing};

/// Returns how fast a batch file lets a run be.
fn pace(limits: &Limits) -> Pace {
    let submits_per_minute = match limits.submits {
        Rate::Unlimited => None,
        Rate::Per { count, period } => Some(f64::from(count.get()) * 60.0 / period.as_secs_f64()),
    };
    Pace { in_flight: limits.in_flight.get(), submits_per_minute }
}

/// Writes the page into the output folder, among its videos.
pub(super) async fn write(
    ledger: &Ledger,
    batch: &StoredBatch,
    (standing, failures, next): (&Standing, &[Failure], Option<&str>),
    (folder, rehearsal): (&Path, bool),
) -> Result<PathBuf, ReportError> {
    let page = Page {
        batch,
        standing,
        failures,
        next,
        pace: pace(&limits(batch)),
        videos: "",
        rehearsal,
        now: Clock::real().now(),
        zone: &TimeZone::system(),
    };
    report::write_page(ledger, &page, folder).await
}

/// Writes the page to `out`; `file` is where that is, if it is a file.
pub(super) async fn print(
    ledger: &Ledger,
    batch: &StoredBatch,
    (commands, rehearsal): (&Commands, bool),
    (file, place): (Option<&Path>, &Path),
    out: impl Write,
) -> Result<(), ReportError> {
    let run = ledger.last_paying_run(batch.id).await?.map(|run| run.id);
    let standing = Standing::read(ledger, batch.id, run).await?;
    let failures = wrap::failures(ledger, batch.id, commands).await?;
    let next = wrap::next(&standing, commands);
    let folder = file.and_then(Path::parent).unwrap_or(Path::new(""));
    let page = Page {
        batch,
        standing: &standing,
        failures: &failures,
        next: next.as_deref(),
        pace: pace(&limits(batch)),
        videos: &way(folder, &output(batch, rehearsal)),
        rehearsal,
        now: Clock::real().now(),
        zone: &TimeZone::system(),
    };
    report::print_page(ledger, &page, place, out).await
}

/// Returns what the stored batch file says; one that an older program wrote may say nothing.
fn limits(batch: &StoredBatch) -> Limits {
    let read = batch::parse(Path::new(&batch.file), batch.source.clone());
    read.map(|batch| batch.limits).unwrap_or_default()
}

fn output(batch: &StoredBatch, rehearsal: bool) -> PathBuf {
    let read = batch::parse(Path::new(&batch.file), batch.source.clone());
    let output = read.map(|batch| batch.output).unwrap_or_default();
    if rehearsal { drive::rehearsal_output(&output) } else { output }
}

/// Returns the way from one folder to another, with slashes; empty when they are the same.
fn way(from: &Path, to: &Path) -> String {
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
    use super::*;

    #[test]
    fn a_page_elsewhere_finds_its_videos() {
        for (from, to, found) in [
            ("/a/out", "/a/out", ""),
            ("/a", "/a/out/spring", "out/spring"),
            ("/a/pages", "/a/out", "../out"),
            ("/", "/a/b", "a/b"),
        ] {
            assert_eq!(way(Path::new(from), Path::new(to)), found);
        }
    }
}

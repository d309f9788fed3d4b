//! `report.html`: what the page shows beside the rows of the ledger, and where it finds its videos.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::batch;
use crate::batch::{Batch, BatchLimits, Rate};
use crate::ledger::{Ledger, SpendingTotals, StoredBatch};
use crate::report;
use crate::report::{BatchRecord, ReportError, ReportPage, RunPlot, SkipColumns, SubmitLimits};
use crate::session::account::target;
use crate::session::batch_status::BatchStatus;
use crate::session::files::output_dir;
use crate::session::next_steps::CommandHints;

/// What `report.html` shows beside the rows of the ledger.
pub(super) struct PageContext<'p> {
    pub(super) batch: &'p StoredBatch,
    pub(super) status: &'p BatchRecord,
    pub(super) is_rehearsal: bool,
    pub(super) now: Timestamp,
}

impl<'p> PageContext<'p> {
    /// Writes the page into the output folder, beside its videos.
    pub(super) async fn write(
        &self,
        ledger: &Ledger,
        folder: &Path,
    ) -> Result<PathBuf, ReportError> {
        report::write_page(ledger, &self.report_page("", &TimeZone::system()), folder).await
    }

    fn report_page(&self, videos_folder: &'p str, time_zone: &'p TimeZone) -> ReportPage<'p> {
        let settings = stored_settings(self.batch);
        let limits = settings.as_ref().map(|batch| batch.limits.clone()).unwrap_or_default();
        ReportPage {
            batch: self.batch,
            status: self.status,
            limits: submit_limits(&limits),
            skip_columns: settings.as_ref().map(skip_columns).unwrap_or_default(),
            variant_headings: settings.map(variant_headings).unwrap_or_default(),
            videos_folder,
            rehearsal: self.is_rehearsal,
            now: self.now,
            time_zone,
        }
    }
}

/// The options of [`print_page`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReportPageRequest<'a> {
    pub(crate) now: Timestamp,
    /// The file that is written, if it is one.
    pub(crate) file: Option<&'a Path>,
    /// Its name in error messages.
    pub(crate) name: &'a Path,
}

/// Draws the plots of `report.html` for a batch that may be running.
pub(crate) async fn read_run_plots(
    ledger: &Ledger,
    batch: &StoredBatch,
    now: Timestamp,
) -> Result<Vec<RunPlot>, ReportError> {
    let status = BatchRecord::default();
    let is_rehearsal = target::is_rehearsal_host(&batch.base_url);
    let context = PageContext { batch, status: &status, is_rehearsal, now };
    report::draw_run_plots(ledger, &context.report_page("", &TimeZone::system())).await
}

/// Writes `report.html` of a batch that may be running.
pub(crate) async fn print_page(
    ledger: &Ledger,
    batch: &StoredBatch,
    commands: CommandHints,
    page: ReportPageRequest<'_>,
    out: impl Write,
) -> Result<(), ReportError> {
    let run_spending = match ledger.last_paying_run(batch.id).await? {
        Some(run) => ledger.run_spending(run.id).await?,
        None => SpendingTotals::default(),
    };
    let batches = ledger.batches().await?;
    let Some(row) = batches.into_iter().find(|row| row.id == batch.id) else { return Ok(()) };
    let mut status = BatchStatus::read(ledger, row, commands, page.now).await?;
    status.read_messages(ledger).await?;
    let record = status.to_record(run_spending);
    let folder = page.file.and_then(Path::parent).unwrap_or(Path::new(""));
    let output = output_dir::stored_output_dir(batch).unwrap_or_default();
    let is_rehearsal = target::is_rehearsal_host(&batch.base_url);
    let context = PageContext { batch, status: &record, is_rehearsal, now: page.now };
    let (videos, zone) = (relative_path(folder, &output), TimeZone::system());
    report::write_page_to(ledger, &context.report_page(&videos, &zone), page.name, out).await
}

/// Writes the `report.html` of the output folder again, if there is one.
pub(crate) async fn renew_page(
    ledger: &Ledger,
    batch: &StoredBatch,
    commands: CommandHints,
    now: Timestamp,
) -> Result<(), ReportError> {
    let folder = output_dir::stored_output_dir(batch).unwrap_or_default();
    let path = folder.join(report::PAGE_FILE);
    if !path.is_file() {
        return Ok(());
    }
    let disk = |source| ReportError::Io { path: path.clone(), source };
    let mut file = report::create_temp_file(&folder).map_err(disk)?;
    let page = ReportPageRequest { now, file: Some(&path), name: &path };
    print_page(ledger, batch, commands, page, file.as_file_mut()).await?;
    file.persist(&path).map_err(|error| disk(error.error))?;
    Ok(())
}

fn submit_limits(limits: &BatchLimits) -> SubmitLimits {
    let submits_per_minute = match limits.submits {
        Rate::Unlimited => None,
        Rate::Per { count, period } => Some(f64::from(count.get()) * 60.0 / period.as_secs_f64()),
    };
    SubmitLimits { in_flight: limits.in_flight.get(), submits_per_minute }
}

/// Returns the stored batch file. One of an earlier version may no longer parse.
fn stored_settings(batch: &StoredBatch) -> Option<Batch> {
    batch::parse(Path::new(&batch.file), batch.source.clone()).ok()
}

/// Returns the settings that skip rows of a stored batch.
pub(crate) fn stored_skip_columns(batch: &StoredBatch) -> SkipColumns {
    stored_settings(batch).as_ref().map(skip_columns).unwrap_or_default()
}

/// Returns the settings that skip rows, by heading.
pub(crate) fn skip_columns(batch: &Batch) -> SkipColumns {
    let heading = |name: &String| batch.columns.get(name).unwrap_or(name).clone();
    let needed = batch.variants.iter().map(|variant| {
        let own = |name: &String| variant.columns.get(name).cloned();
        let headings = variant.needs.iter().map(|name| own(name).unwrap_or_else(|| heading(name)));
        (variant.name.clone(), headings.collect())
    });
    SkipColumns {
        marked: batch.skip.as_ref().map(|skip| heading(&skip.column)),
        values: batch.skip.as_ref().map(|skip| skip.values.clone()).unwrap_or_default(),
        skips_hidden: batch.skip_hidden,
        needed: needed.collect(),
    }
}

/// Returns the headings that each variant has of its own, by its name.
fn variant_headings(batch: Batch) -> BTreeMap<String, Vec<String>> {
    let variants = batch.variants.into_iter();
    variants.map(|variant| (variant.name, variant.columns.into_values().collect())).collect()
}

/// Returns the path from one folder to another, with slashes; empty if they are the same.
fn relative_path(from: &Path, to: &Path) -> String {
    let components = |path: &Path| -> Vec<String> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let text = |part: Component<'_>| part.as_os_str().to_string_lossy().into_owned();
        path.components().map(text).collect()
    };
    let (from, to) = (components(from), components(to));
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), from.len() - shared);
    up.chain(to[shared..].iter().cloned()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use crate::session::reports::report_page::*;

    #[test]
    fn a_page_in_another_folder_finds_its_videos() {
        for (from, to, path) in [
            ("/a/out", "/a/out", ""),
            ("/a", "/a/out/spring", "out/spring"),
            ("/a/pages", "/a/out", "../out"),
            ("/", "/a/b", "a/b"),
        ] {
            assert_eq!(relative_path(Path::new(from), Path::new(to)), path);
        }
    }
}

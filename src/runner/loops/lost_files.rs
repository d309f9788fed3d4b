//! The check for lost files: at its start, every run looks whether the files of done jobs are still in
//! the output folder, complete. Those that are not are downloaded again, which is free.
//!
//! Only names and sizes are compared, so that thousands of files take no time. A file that cannot be
//! examined is left alone.

use std::io;
use std::path::{Path, PathBuf};

use crate::aistudios::StudioApi;
use crate::ledger::{FinishedFile, LedgerError};
use crate::runner::context::RunContext;
use crate::runner::event::RunEvent;
use crate::runner::files::part_file::run_blocking;

/// Makes the jobs of lost files due for another download.
pub(in crate::runner) async fn recover_lost_files<S: StudioApi>(
    run: &RunContext<S>,
) -> Result<(), LedgerError> {
    if !run.can_download() {
        return Ok(());
    }
    let files = run.ledger.finished_files(run.batch).await?;
    let folder = run.settings.output_dir.clone();
    let lost = run_blocking(move || find_lost(&folder, files)).await;
    if !lost.is_empty() {
        run.observer.notify(RunEvent::DownloadAgain { jobs: lost.len() });
    }
    for (file, state) in lost {
        let (key, due_at) = (file.key.clone(), run.clock.now());
        let message = format!(
            "`{}` {state} in the output folder; it is downloaded again, free of charge",
            file.file
        );
        let recovery = run.lease.download_again(file, due_at);
        run.progress.ledger_changes.track(recovery, Result::is_ok).await?;
        run.observer.notify(RunEvent::Retry { key, message, due_at });
    }
    run.wakeups.download.notify_one();
    Ok(())
}

/// Returns the lost files, with the words for what is wrong.
fn find_lost(folder: &Path, files: Vec<FinishedFile>) -> Vec<(FinishedFile, &'static str)> {
    let lost = |file: FinishedFile| Some((loss_of(folder.join(&file.file), file.bytes)?, file));
    files.into_iter().filter_map(lost).map(|(state, file)| (file, state)).collect()
}

fn loss_of(path: PathBuf, bytes: i64) -> Option<&'static str> {
    match path.metadata() {
        Ok(found) if i64::try_from(found.len()) == Ok(bytes) => None,
        Ok(_) => Some("has another size"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("is missing"),
        Err(_) => None,
    }
}

//! A sheet that is no file: standard input (`sheet = "-"`) or a published sheet.
//!
//! It is copied into a temporary file before anything is planned, for a sheet is read more than
//! once; the file is gone as soon as the plan is drawn up. From there on nothing knows the
//! difference: what kind of sheet it is shows in its bytes. Nothing is asked twice here, and of a
//! link no more is said than its host.
//!
//! A link is followed over three redirects at most, never from https to http, never with any
//! credentials, and to public addresses only, unless the link itself is on this machine.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::{NamedTempFile, TempPath};
use url::Url;

use crate::batch::{Batch, SheetSource};
use crate::clock::Clock;
use crate::http::{DownloadError, Downloader};
use crate::session::exit_code::ExitReason;
use crate::session::open_batch::CommandError;

/// A million rows of long scripts are a few hundred MB. Past this, something else is being given.
const SHEET_BYTES_MAX: u64 = 2 << 30;
/// How long a published sheet may take to arrive.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(300);

/// The copy; it is deleted with this.
pub(crate) struct SpooledSheet {
    _copy: Option<TempPath>,
}

/// Makes sure that the batch's sheet is a file.
pub(crate) async fn spool_sheet(batch: &mut Batch) -> Result<SpooledSheet, CommandError> {
    let copy = match &batch.sheet_source {
        SheetSource::File(_) => return Ok(SpooledSheet { _copy: None }),
        SheetSource::Stdin => copy_stdin().await?,
        SheetSource::Link(url) => {
            let fetched = tokio::time::timeout(DOWNLOAD_TIMEOUT, download_sheet(url)).await;
            let late = |_| {
                let words = format!("`{}` sends the sheet too slowly", batch.sheet_source);
                CommandError::new(ExitReason::TransientFailure, words)
            };
            fetched.map_err(late)??
        }
    };
    let copy = copy.into_temp_path();
    batch.sheet = copy.to_path_buf();
    Ok(SpooledSheet { _copy: Some(copy) })
}

async fn copy_stdin() -> Result<NamedTempFile, CommandError> {
    static READ: AtomicBool = AtomicBool::new(false);
    let usage = |words: &str| CommandError::new(ExitReason::Usage, words);
    if io::stdin().is_terminal() {
        return Err(usage(
            "the sheet is `-`, standard input, and nothing is piped into it; for example: \
             callsheet run BATCH.toml < sheet.csv",
        ));
    }
    if READ.swap(true, Ordering::SeqCst) {
        return Err(usage("standard input is the sheet of two batches, and can be read only once"));
    }
    let copied = tokio::task::spawn_blocking(|| {
        let mut copy = NamedTempFile::new()?;
        // One byte more than allowed tells a full sheet from one that goes on.
        let bytes =
            io::copy(&mut io::stdin().lock().take(SHEET_BYTES_MAX + 1), copy.as_file_mut())?;
        Ok((copy, bytes))
    });
    match copied.await.expect("copying does not panic") {
        Ok((_, bytes)) if bytes > SHEET_BYTES_MAX => Err(too_large_error("standard input")),
        Ok((copy, _)) => Ok(copy),
        Err(error) => Err(copy_error(&error)),
    }
}

async fn download_sheet(url: &Url) -> Result<NamedTempFile, CommandError> {
    let host = url.host_str().unwrap_or_default();
    let mut copy = NamedTempFile::new().map_err(|error| copy_error(&error))?;
    let downloader = Downloader::for_url(url, Clock::real())
        .map_err(|error| CommandError::new(ExitReason::Unexpected, error))?;
    let mut download =
        downloader.start(url, None).await.map_err(|trouble| download_error(&trouble, host))?;
    let mut bytes = 0;
    let file: &mut File = copy.as_file_mut();
    while let Some(chunk) =
        download.next_chunk().await.map_err(|trouble| download_error(&trouble, host))?
    {
        bytes += chunk.len() as u64;
        if bytes > SHEET_BYTES_MAX {
            return Err(too_large_error(&format!("the sheet at `{host}`")));
        }
        file.write_all(&chunk).map_err(|error| copy_error(&error))?;
    }
    Ok(copy)
}

fn download_error(trouble: &DownloadError, host: &str) -> CommandError {
    let (exit, words) = match trouble {
        DownloadError::Unreachable(_) => (
            ExitReason::TransientFailure,
            format!(
                "`{host}`, where the sheet is, cannot be reached: check the network and `sheet`"
            ),
        ),
        DownloadError::NoResponse { .. }
        | DownloadError::Truncated { .. }
        | DownloadError::Stalled { .. } => (
            ExitReason::TransientFailure,
            format!("`{host}` did not send the whole sheet: run the same command again"),
        ),
        DownloadError::RateLimited { .. } => (
            ExitReason::TransientFailure,
            format!("`{host}` asks for patience before it sends the sheet: run again later"),
        ),
        DownloadError::LinkExpired { status } => (
            ExitReason::Input,
            format!(
                "`{host}` does not show the sheet (HTTP {status}): publish it so that whoever has \
                 the link can read it, and check the link in `sheet`"
            ),
        ),
        DownloadError::UnexpectedStatus { status } => (
            ExitReason::TransientFailure,
            format!("`{host}` answers with HTTP {status} instead of the sheet"),
        ),
        DownloadError::UrlRejected { why, .. } => {
            (ExitReason::Input, format!("the link in `sheet` leads to an address that {why}"))
        }
        DownloadError::TooLarge => return too_large_error(&format!("the sheet at `{host}`")),
    };
    CommandError::new(exit, words)
}

fn too_large_error(what: &str) -> CommandError {
    let words =
        format!("{what} is larger than {} GB, so it is hardly a sheet", SHEET_BYTES_MAX >> 30);
    CommandError::new(ExitReason::Input, words)
}

fn copy_error(error: &io::Error) -> CommandError {
    let why = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "its disk is full",
        io::ErrorKind::PermissionDenied => "this user may not write there",
        _ => "the disk reported an error",
    };
    let words = format!(
        "the sheet cannot be copied to the folder for temporary files: {why}; set TMPDIR to \
         another folder"
    );
    CommandError::new(ExitReason::Unexpected, words)
}

//! A sheet that is not a file: standard input (`sheet = "-"`) or a published sheet.
//!
//! It is copied to a temporary file before planning, since a sheet is read more than once; the copy
//! is deleted once the plan exists. Other modules see no difference: the format of a sheet shows in
//! its bytes. Of a link, messages name only the host.
//!
//! A download follows at most three redirects, never from https to http, sends no credentials, and
//! connects only to public addresses, unless the link itself points to this machine.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tempfile::{NamedTempFile, TempPath};
use url::Url;

use crate::batch::{Batch, SheetSource};
use crate::clock::Clock;
use crate::http::{DownloadError, Downloader, ProxyMode};
use crate::session::error::CommandError;
use crate::session::exit_code::ExitReason;

/// A million rows of long scripts are a few hundred MB. A larger input is not a sheet.
const SHEET_BYTES_MAX: u64 = 2 << 30;
/// The time within which a published sheet must arrive.
const DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(300);

/// The temporary copy, deleted when this is dropped.
pub(crate) struct SpooledSheet {
    _copy: Option<TempPath>,
}

/// Copies a sheet that is not a file, and points the batch to the copy.
pub(crate) async fn spool_sheet(batch: &mut Batch) -> Result<SpooledSheet, CommandError> {
    let copy = match &batch.sheet_source {
        SheetSource::File(_) => return Ok(SpooledSheet { _copy: None }),
        SheetSource::Stdin => copy_stdin().await?,
        SheetSource::Link(url) => {
            let proxy = ProxyMode::from(&batch.studio.proxy);
            let downloading = download_sheet(url, &proxy);
            let downloaded = tokio::time::timeout(DOWNLOAD_TIMEOUT, downloading).await;
            let timed_out = |_| {
                let message = format!(
                    "`{}` did not send the whole sheet within {} min",
                    batch.sheet_source,
                    DOWNLOAD_TIMEOUT.as_secs() / 60
                );
                CommandError::new(ExitReason::TransientFailure, message)
            };
            downloaded.map_err(timed_out)??
        }
    };
    let copy = copy.into_temp_path();
    batch.sheet = copy.to_path_buf();
    Ok(SpooledSheet { _copy: Some(copy) })
}

async fn copy_stdin() -> Result<NamedTempFile, CommandError> {
    static READ: AtomicBool = AtomicBool::new(false);
    if io::stdin().is_terminal() {
        return Err(CommandError::usage(
            "the sheet is `-`, standard input, and nothing is piped into it; for example: \
             callsheet run BATCH.toml < sheet.csv",
        ));
    }
    if READ.swap(true, Ordering::SeqCst) {
        return Err(CommandError::usage(
            "standard input is the sheet of two batches, but can be read only once",
        ));
    }
    let copied = tokio::task::spawn_blocking(|| {
        let mut copy = NamedTempFile::new()?;
        // One byte more than allowed shows that the input is too large.
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

async fn download_sheet(url: &Url, proxy: &ProxyMode) -> Result<NamedTempFile, CommandError> {
    let host = url.host_str().unwrap_or_default();
    let mut copy = NamedTempFile::new().map_err(|error| copy_error(&error))?;
    let downloader = Downloader::for_url(url, proxy, Clock::real()).map_err(CommandError::usage)?;
    let mut download =
        downloader.start(url, None).await.map_err(|error| download_error(&error, host))?;
    let mut bytes = 0;
    let file: &mut File = copy.as_file_mut();
    while let Some(chunk) =
        download.next_chunk().await.map_err(|error| download_error(&error, host))?
    {
        bytes += chunk.len() as u64;
        if bytes > SHEET_BYTES_MAX {
            return Err(too_large_error(&format!("the sheet at `{host}`")));
        }
        file.write_all(&chunk).map_err(|error| copy_error(&error))?;
    }
    Ok(copy)
}

fn download_error(error: &DownloadError, host: &str) -> CommandError {
    let (exit, message) = match error {
        DownloadError::Unreachable(_) => (
            ExitReason::TransientFailure,
            format!(
                "`{host}`, the host of the sheet, cannot be reached: check the network and `sheet`"
            ),
        ),
        DownloadError::NoResponse { .. }
        | DownloadError::Truncated { .. }
        | DownloadError::Undecodable
        | DownloadError::Stalled { .. } => (
            ExitReason::TransientFailure,
            format!("`{host}` did not send the whole sheet: run the same command again"),
        ),
        DownloadError::RateLimited { .. } => (
            ExitReason::TransientFailure,
            format!("`{host}` limits the rate of downloads: run again later"),
        ),
        DownloadError::LinkExpired { status } => (
            ExitReason::Input,
            format!(
                "`{host}` does not show the sheet (HTTP {status}): publish it for anyone who has \
                 the link, and check the link in `sheet`"
            ),
        ),
        DownloadError::UnexpectedStatus { status } => (
            ExitReason::TransientFailure,
            format!("`{host}` responded with HTTP {status} instead of the sheet"),
        ),
        DownloadError::UnsupportedEncoding { encoding } => (
            ExitReason::TransientFailure,
            format!("`{host}` sent the sheet encoded as `{encoding}`, which was not requested"),
        ),
        DownloadError::UrlRejected { why, .. } => {
            (ExitReason::Input, format!("the link in `sheet` leads to an address that {why}"))
        }
        DownloadError::TooLarge => return too_large_error(&format!("the sheet at `{host}`")),
    };
    CommandError::new(exit, message)
}

fn too_large_error(source: &str) -> CommandError {
    let message =
        format!("{source} is larger than {} GB, the limit for a sheet", SHEET_BYTES_MAX >> 30);
    CommandError::new(ExitReason::Input, message)
}

fn copy_error(error: &io::Error) -> CommandError {
    let cause = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "its disk is full",
        io::ErrorKind::PermissionDenied => "this user may not write there",
        _ => "the disk reported an error",
    };
    CommandError::unexpected(format!(
        "the sheet cannot be copied to the folder for temporary files: {cause}; set TMPDIR to \
         another folder"
    ))
}

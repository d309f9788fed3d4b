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

use super::drive::Early;
use super::exit::Exit;
use crate::batch::{Batch, SheetFrom};
use crate::clock::Clock;
use crate::studio::{Client, Credentials, DownloadTrouble, Settings};

/// A million rows of long scripts are a few hundred MB. Past this, something else is being given.
const BYTES_MAX: u64 = 2 << 30;
/// How long a published sheet may take to arrive.
const TIME_MAX: Duration = Duration::from_secs(300);

/// The copy; it is deleted with this.
pub(super) struct Spooled {
    _copy: Option<TempPath>,
}

/// Makes sure that the batch's sheet is a file.
pub(super) async fn spool(batch: &mut Batch) -> Result<Spooled, Early> {
    let copy = match &batch.sheet_from {
        SheetFrom::File(_) => return Ok(Spooled { _copy: None }),
        SheetFrom::Stdin => of_stdin().await?,
        SheetFrom::Link(url) => {
            let fetched = tokio::time::timeout(TIME_MAX, of_link(url)).await;
            let late = |_| {
                let words = format!("`{}` sends the sheet too slowly", batch.sheet_from);
                Early::new(Exit::PassingTrouble, words)
            };
            fetched.map_err(late)??
        }
    };
    let copy = copy.into_temp_path();
    batch.sheet = copy.to_path_buf();
    Ok(Spooled { _copy: Some(copy) })
}

async fn of_stdin() -> Result<NamedTempFile, Early> {
    static READ: AtomicBool = AtomicBool::new(false);
    let usage = |words: &str| Early::new(Exit::Usage, words);
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
        let bytes = io::copy(&mut io::stdin().lock().take(BYTES_MAX + 1), copy.as_file_mut())?;
        Ok((copy, bytes))
    });
    match copied.await.expect("copying does not panic") {
        Ok((_, bytes)) if bytes > BYTES_MAX => Err(too_large("standard input")),
        Ok((copy, _)) => Ok(copy),
        Err(error) => Err(uncopied(&error)),
    }
}

async fn of_link(url: &Url) -> Result<NamedTempFile, Early> {
    let host = url.host_str().unwrap_or_default();
    let mut copy = NamedTempFile::new().map_err(|error| uncopied(&error))?;
    let client = client(url)?;
    let mut download =
        client.download(url, None).await.map_err(|trouble| troubled(&trouble, host))?;
    let mut bytes = 0;
    let file: &mut File = copy.as_file_mut();
    while let Some(chunk) =
        download.next_chunk().await.map_err(|trouble| troubled(&trouble, host))?
    {
        bytes += chunk.len() as u64;
        if bytes > BYTES_MAX {
            return Err(too_large(&format!("the sheet at `{host}`")));
        }
        file.write_all(&chunk).map_err(|error| uncopied(&error))?;
    }
    Ok(copy)
}

/// Returns a client of which only downloads are asked, which carry no credentials.
fn client(url: &Url) -> Result<Client, Early> {
    let unexpected = |error: &dyn std::fmt::Display| Early::new(Exit::Unexpected, error);
    let mut origin = url.clone();
    origin.set_path("/");
    origin.set_query(None);
    origin.set_fragment(None);
    let nobody = Credentials::new("nobody", "nobody").map_err(|error| unexpected(&error))?;
    Client::new(Settings::new(origin, nobody), Clock::real()).map_err(|error| unexpected(&error))
}

fn troubled(trouble: &DownloadTrouble, host: &str) -> Early {
    let (exit, words) = match trouble {
        DownloadTrouble::Unreachable(_) => (
            Exit::PassingTrouble,
            format!(
                "`{host}`, where the sheet is, cannot be reached: check the network and `sheet`"
            ),
        ),
        DownloadTrouble::NoAnswer { .. }
        | DownloadTrouble::Cut { .. }
        | DownloadTrouble::Stalled { .. } => (
            Exit::PassingTrouble,
            format!("`{host}` did not send the whole sheet: run the same command again"),
        ),
        DownloadTrouble::SlowDown { .. } => (
            Exit::PassingTrouble,
            format!("`{host}` asks for patience before it sends the sheet: run again later"),
        ),
        DownloadTrouble::Expired { status } => (
            Exit::Input,
            format!(
                "`{host}` does not show the sheet (HTTP {status}): publish it so that whoever has \
                 the link can read it, and check the link in `sheet`"
            ),
        ),
        DownloadTrouble::Status { status } => (
            Exit::PassingTrouble,
            format!("`{host}` answers with HTTP {status} instead of the sheet"),
        ),
        DownloadTrouble::Refused { why, .. } => {
            (Exit::Input, format!("the link in `sheet` leads to an address that {why}"))
        }
        DownloadTrouble::TooLarge => return too_large(&format!("the sheet at `{host}`")),
    };
    Early::new(exit, words)
}

fn too_large(what: &str) -> Early {
    let words = format!("{what} is larger than {} GB, so it is hardly a sheet", BYTES_MAX >> 30);
    Early::new(Exit::Input, words)
}

fn uncopied(error: &io::Error) -> Early {
    let why = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "its disk is full",
        io::ErrorKind::PermissionDenied => "this user may not write there",
        _ => "the disk reported an error",
    };
    let words = format!(
        "the sheet cannot be copied to the folder for temporary files: {why}; set TMPDIR to \
         another folder"
    );
    Early::new(Exit::Unexpected, words)
}

//! The file in the output folder that names the ledger which wrote there, and how far that ledger
//! had come.
//!
//! A run with another ledger, or with an older copy of this one, would pay for the same rows again:
//! the session compares this file before anything is sent. Invariant: it is written before the
//! request whose intent it counts, and never blocks a run that has sent something already.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::millisecond;
use serde::{Deserialize, Serialize};

use crate::ledger::{Ledger, LedgerAddress, LedgerError, RunBeginning};
use crate::runner::files::shared_file::read_shared_file;

/// Batches that share a folder have a few hundred bytes each.
const FILE_SIZE_MAX: u64 = 4 << 20;

/// The name of the file.
pub const MARKER_FILE_NAME: &str = ".callsheet.json";

/// The ledger of one batch, as the output folder names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkedLedger {
    /// Its path, relative to the output folder where possible: both may be moved together, or be
    /// mounted elsewhere. For a server, its address.
    pub ledger: PathBuf,
    /// Its id.
    pub id: String,
    /// Its generation before the last request.
    pub generation: i64,
    /// The last run of the batch, and when it began: a ledger without it is an older copy, also if its
    /// generation has grown since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<i64>,
    /// See `run`.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "millisecond::optional")]
    pub run_started_at: Option<Timestamp>,
    /// The timeline of its server: a former primary server has an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
}

/// The content of the file: batches may share a folder.
#[derive(Debug, Default, Serialize, Deserialize)]
struct MarkerFile {
    about: String,
    batches: BTreeMap<String, MarkedLedger>,
}

impl MarkedLedger {
    /// Reads which ledger wrote the files of `batch` in `folder`; `None` if the folder does not say.
    ///
    /// # Errors
    /// The file cannot be read, or is not one of ours.
    pub fn read(folder: &Path, batch: &str) -> io::Result<Option<Self>> {
        Ok(read_file(folder)?.batches.remove(batch))
    }

    /// Returns where the ledger is.
    pub fn address_from(&self, folder: &Path) -> LedgerAddress {
        match LedgerAddress::parse(self.ledger.as_os_str()) {
            Ok(LedgerAddress::Server(server)) => LedgerAddress::Server(server),
            Ok(LedgerAddress::File(_)) | Err(_) => {
                let path = folder.join(&self.ledger);
                LedgerAddress::File(path.canonicalize().unwrap_or(path))
            }
        }
    }
}

fn read_file(folder: &Path) -> io::Result<MarkerFile> {
    match read_shared_file(&folder.join(MARKER_FILE_NAME), FILE_SIZE_MAX) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
        Err(error) => match error.kind() {
            // The folder does not exist yet, or is a file, which the run reports.
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(MarkerFile::default()),
            _ => Err(error),
        },
    }
}

/// Marks the output folder of one batch.
#[derive(Debug)]
pub struct OutputMarker {
    folder: PathBuf,
    batch: String,
    ledger: Ledger,
    written: AtomicI64,
}

impl OutputMarker {
    /// Marks `folder`, which exists, for a batch in `ledger`. Writes nothing yet.
    pub fn new(folder: &Path, batch: &str, ledger: &Ledger) -> Self {
        let (folder, batch, ledger) = (folder.to_owned(), batch.to_owned(), ledger.clone());
        Self { folder, batch, ledger, written: AtomicI64::new(-1) }
    }

    /// Writes the ledger's current generation, unless it is written already.
    ///
    /// # Errors
    /// The ledger cannot be read. A folder that cannot be written is logged: a video that was paid
    /// for fails there as well, and halts the run.
    pub async fn record(&self) -> Result<(), LedgerError> {
        let generation = self.ledger.generation().await?;
        if self.written.swap(generation, Ordering::Relaxed) == generation {
            return Ok(());
        }
        let run = self.ledger.last_run_began(&self.batch).await?;
        if let Err(error) = self.write(generation, run) {
            tracing::warn!(%error, folder = %self.folder.display(), "cannot mark the output folder");
        }
        Ok(())
    }

    fn write(&self, generation: i64, run: Option<RunBeginning>) -> io::Result<()> {
        // A damaged file is replaced: it would only repeat what is known here.
        let mut file = read_file(&self.folder).unwrap_or_default();
        file.about = "which ledger the videos in this folder belong to; keep it".to_owned();
        let ledger = match self.ledger.address() {
            LedgerAddress::File(path) => relative_ledger(&self.folder, path),
            LedgerAddress::Server(server) => server.to_string().into(),
        };
        let id = self.ledger.identity().id.to_string();
        let marked = MarkedLedger {
            ledger,
            id,
            generation,
            run: run.map(|run| run.id),
            run_started_at: run.map(|run| run.started_at),
            server: self.ledger.server_timeline().map(|server| server.to_string()),
        };
        file.batches.insert(self.batch.clone(), marked);
        let mut new = tempfile::Builder::new().prefix(".callsheet-").tempfile_in(&self.folder)?;
        serde_json::to_writer_pretty(&mut new, &file)?;
        new.write_all(b"\n")?;
        new.as_file().sync_data()?;
        new.persist(self.folder.join(MARKER_FILE_NAME)).map_err(|error| error.error)?;
        Ok(())
    }
}

/// Returns the path from the folder to the ledger; the whole path if only the root is shared.
fn relative_ledger(folder: &Path, ledger: &Path) -> PathBuf {
    let whole = |path: &Path| {
        path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or(path.to_owned())
    };
    let (folder, ledger) = (whole(folder), whole(ledger));
    let (from, to): (Vec<Component<'_>>, Vec<_>) =
        (folder.components().collect(), ledger.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    if shared <= 1 {
        return ledger;
    }
    let up = std::iter::repeat_n(Component::ParentDir, from.len() - shared);
    up.chain(to[shared..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_is_named_relative_to_the_folder() {
        for (folder, ledger, expected) in [
            ("/srv/jobs/out/a", "/srv/callsheet.db", "../../../callsheet.db"),
            ("/srv/out", "/srv/out/l.db", "l.db"),
            ("/videos", "/srv/callsheet.db", "/srv/callsheet.db"),
        ] {
            let relative = relative_ledger(Path::new(folder), Path::new(ledger));
            assert_eq!(relative, Path::new(expected));
        }
    }

    #[tokio::test]
    async fn a_folder_names_the_ledger_of_each_batch() {
        use crate::ledger::Durability;
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        std::fs::create_dir(&out).unwrap();
        let ledger = dir.path().join("l.db");
        let ledger = Ledger::open(&ledger, Durability::ProcessDeath).await.unwrap();
        assert_eq!(MarkedLedger::read(&out, "spring").unwrap(), None);
        for batch in ["spring", "autumn"] {
            OutputMarker::new(&out, batch, &ledger).record().await.unwrap();
        }
        let marked = MarkedLedger::read(&out, "spring").unwrap().unwrap();
        assert_eq!(marked.id, ledger.identity().id.as_str());
        let path = ledger.address().as_file().unwrap().canonicalize().unwrap();
        assert_eq!(marked.address_from(&out), LedgerAddress::File(path));
        let file = out.join(MARKER_FILE_NAME);
        std::fs::write(&file, "{").unwrap();
        MarkedLedger::read(&out, "spring").unwrap_err();
        std::fs::remove_file(&file).unwrap();
        // Neither a pipe nor a device is waited for.
        #[cfg(unix)]
        for make in [
            |file: &Path| {
                let made = std::process::Command::new("mkfifo").arg(file).status().unwrap();
                assert!(made.success());
            },
            |file: &Path| std::os::unix::fs::symlink("/dev/zero", file).unwrap(),
        ] {
            make(&file);
            MarkedLedger::read(&out, "spring").unwrap_err();
            std::fs::remove_file(&file).unwrap();
        }
        ledger.close().await;
    }
}

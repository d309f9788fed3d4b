//! The folder of each uploaded batch, below one folder beside the ledger.
//!
//! A folder is created whole or not at all, and each file is replaced in one step, so that a console
//! which is killed leaves nothing half written. Invariant: a name is a batch's name, so that no path
//! leads out of the root.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::console_batch::find_reach;
use super::{BatchReach, ConsoleBatch, SETUP_FILE, UploadError, UploadSetup, UploadedBatch};
use crate::batch::BatchName;
use crate::ledger::{Ledger, LedgerAddress, StoredBatch};
use crate::scaffold::batch_name_from_title;

/// The folder beside the ledger.
const ROOT_NAME: &str = "callsheet-console";
/// Names that are tried for one title.
const NAMES_MAX: usize = 1_000;
/// The name of a batch whose title has no letter that a name can have.
const FALLBACK_NAME: &str = "batch";

/// The folder of all uploaded batches of a ledger.
#[derive(Clone, Debug)]
pub(crate) struct UploadRoot(PathBuf);

impl UploadRoot {
    /// Returns the folder beside a ledger's file.
    pub(crate) fn beside(ledger: &LedgerAddress) -> Self {
        // For a server, in the current folder.
        let ledger = ledger.companion_file("uploads");
        let folder = ledger.parent().unwrap_or(Path::new(""));
        let name = match ledger.file_name().and_then(|name| name.to_str()) {
            Some(name) if name.contains("-sandbox.") => format!("{ROOT_NAME}-sandbox"),
            Some(_) | None => ROOT_NAME.to_owned(),
        };
        Self(folder.join(name))
    }

    /// Creates the folder of a new batch. `is_taken` says which names other batches have.
    ///
    /// # Errors
    /// The disk failed.
    pub(crate) fn create(
        &self,
        title: &str,
        is_taken: impl Fn(&str) -> bool,
    ) -> Result<UploadedBatch, UploadError> {
        let base = batch_name_from_title(&title.to_lowercase()).map(|name| name.to_string());
        let base = base.unwrap_or_else(|| FALLBACK_NAME.to_owned());
        fs::create_dir_all(&self.0)?;
        for number in 1..=NAMES_MAX {
            let name = if number == 1 { base.clone() } else { format!("{base}-{number}") };
            let Ok(name) = name.parse::<BatchName>() else { break };
            if is_taken(name.as_str()) {
                continue;
            }
            let folder = self.folder_of(&name);
            // Of two users with one title, one gets the next name.
            match fs::create_dir(&folder) {
                Ok(()) => {
                    let setup = UploadSetup { title: title.to_owned(), ..UploadSetup::default() };
                    return Ok(UploadedBatch { console_batch: self.uploaded_batch(name), setup });
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(UploadError::Invalid(
            "choose another title: there are many batches of this one".to_owned(),
        ))
    }

    /// Opens an uploaded batch.
    ///
    /// # Errors
    /// There is none of this name.
    pub(crate) fn open(&self, name: &str) -> Result<UploadedBatch, UploadError> {
        let name: BatchName = name.parse().map_err(|_| UploadError::NotFound)?;
        let text = read_text(&self.folder_of(&name).join(SETUP_FILE))?;
        let setup = serde_json::from_str(&text).map_err(|_| {
            UploadError::Invalid("the settings of this upload are damaged".to_owned())
        })?;
        Ok(UploadedBatch { console_batch: self.uploaded_batch(name), setup })
    }

    /// Returns whether the console can continue a batch of the ledger: one that it made, or one whose
    /// batch file is within its reach.
    ///
    /// # Errors
    /// The ledger failed.
    pub(crate) async fn find_reach(
        &self,
        ledger: &Ledger,
        stored: &StoredBatch,
    ) -> Result<BatchReach, UploadError> {
        if let Ok(upload) = self.open(&stored.name) {
            return Ok(BatchReach::Here(upload.into_console_batch()));
        }
        let name: BatchName = stored.name.parse().map_err(|_| UploadError::NotFound)?;
        find_reach(ledger, stored, self.folder_of(&name)).await
    }

    fn folder_of(&self, name: &BatchName) -> PathBuf {
        self.0.join(name.as_str())
    }

    fn uploaded_batch(&self, name: BatchName) -> ConsoleBatch {
        let folder = self.folder_of(&name);
        let file = folder.join(format!("{name}.toml"));
        ConsoleBatch::new(folder, name, file)
    }

    /// Returns the uploaded batches, by name.
    pub(crate) fn list(&self) -> Vec<UploadedBatch> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut found: Vec<UploadedBatch> =
            names.filter_map(|name| self.open(&name).ok()).collect();
        found.sort_by(|one, other| one.name().cmp(other.name()));
        found
    }
}

impl UploadedBatch {
    /// Deletes a folder that was created for an upload which failed.
    pub(crate) fn remove(self) {
        // What remains is not listed: it has no settings.
        let _ = fs::remove_file(self.folder.join(SETUP_FILE));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

pub(super) fn read_text(path: &Path) -> Result<String, UploadError> {
    Ok(fs::read_to_string(path)?)
}

/// Replaces a file in one step.
pub(super) fn write_file(path: &Path, text: &str) -> Result<(), UploadError> {
    write_bytes(path, text.as_bytes())
}

pub(super) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), UploadError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| UploadError::from(error.error))?;
    // The name is on disk only with its folder.
    if let Ok(folder) = File::open(folder) {
        folder.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_never_lead_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = UploadRoot::beside(&LedgerAddress::from(&folder.path().join("callsheet.db")));
        for name in ["..", "../x", "/etc", "a/b", ".hidden", "", "a\0b"] {
            assert!(matches!(root.open(name), Err(UploadError::NotFound)), "{name:?}");
        }
        for (title, name) in
            [("../../etc/passwd", "etc-passwd"), ("봄", "batch"), ("../..", "batch-2")]
        {
            let made = root.create(title, |_| false).unwrap();
            assert_eq!(made.name(), name, "{title}");
            assert!(made.folder.starts_with(folder.path()));
        }
    }

    #[test]
    fn two_batches_with_one_title_have_different_folders() {
        let folder = tempfile::tempdir().unwrap();
        let root = UploadRoot::beside(&LedgerAddress::from(&folder.path().join("callsheet.db")));
        let names: Vec<String> = (0..3)
            .map(|_| root.create("Spring", |name| name == "spring-2").unwrap().name().to_owned())
            .collect();
        assert_eq!(names, ["spring", "spring-3", "spring-4"]);
    }
}

//! A video being downloaded: `NAME.part` until it is complete, `NAME` afterwards, nothing in between.
//!
//! If the power fails on any line here, the folder contains a part file that can be resumed, or a
//! complete file. An existing file is never overwritten: the same bytes are recognised, and a video
//! with other bytes gets a numbered name. A part file is locked until it has its name, so two downloads
//! of one name, in one run or in two, have separate part files; and only the same owner resumes it.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::http::DownloadResume;
use crate::ledger::VerifiedVideo;
use crate::runner::files::mp4_check;
use crate::runner::files::mp4_check::Mp4Defect;
use crate::runner::files::part_mark::{PartMark, remove_if_exists};

/// Numbered names tried if the name belongs to another file.
const NAME_NUMBERS_MAX: u32 = 1000;

/// Why a part file did not become a video.
#[derive(Debug, thiserror::Error)]
pub(in crate::runner) enum PartFileError {
    #[error("the output folder cannot be written: `{}`: {}", path.display(), io_error_message(.source))]
    Disk { path: PathBuf, source: io::Error },
    #[error("the downloaded file is not a complete video: {0}")]
    Incomplete(#[from] Mp4Defect),
}

/// See the module.
#[derive(Debug)]
pub(in crate::runner) struct PartFile {
    folder: PathBuf,
    name: String,
    path: PathBuf,
    /// The submission it belongs to; only the same owner resumes it.
    owner: String,
    file: Option<File>,
    length: u64,
    etag: Option<String>,
}

/// The result of opening a part file.
enum PartSlot {
    /// Open, and locked for us.
    Acquired(File),
    /// It must not be written to; it was removed, or left alone.
    Discarded,
    /// Locked by another download.
    InUse,
}

impl PartFile {
    /// Opens the part file of `name`, with the bytes that an earlier run stored for the same `owner`.
    pub(in crate::runner) async fn open(
        folder: &Path,
        name: &str,
        owner: &str,
    ) -> Result<Self, PartFileError> {
        let part = Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            path: part_path(folder, name, 1),
            owner: owner.to_owned(),
            file: None,
            length: 0,
            etag: None,
        };
        run_blocking(move || part.open_blocking()).await
    }

    fn open_blocking(mut self) -> Result<Self, PartFileError> {
        let disk = |path: &Path, source| PartFileError::Disk { path: path.to_owned(), source };
        std::fs::create_dir_all(&self.folder).map_err(|source| disk(&self.folder, source))?;
        let mut number = 1;
        let file = loop {
            match self.open_and_lock()? {
                PartSlot::Acquired(file) => break file,
                PartSlot::Discarded => {}
                // A stopped process that holds the lock must not block this download.
                PartSlot::InUse => number += 1,
            }
            self.path = part_path(&self.folder, &self.name, number);
        };
        if self.mark().is_check_unfinished() {
            // The process was killed during the check, or the check ended it and would do so again.
            self.discard().map_err(|source| disk(&self.path, source))?;
            return Err(Mp4Defect::UnfinishedCheck.into());
        }
        self.length = file.metadata().map_err(|source| disk(&self.path, source))?.len();
        self.file = Some(file);
        // Without the ETag that it was started with, a partial file cannot be trusted.
        self.etag = self.mark().read_etag(&self.owner);
        Ok(self)
    }

    /// Opens and locks the file at the part file's path.
    fn open_and_lock(&self) -> Result<PartSlot, PartFileError> {
        let disk = |source| PartFileError::Disk { path: self.path.clone(), source };
        if self.path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
            self.discard().map_err(disk)?;
        }
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true);
        let file = options.open(&self.path).map_err(disk)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(PartSlot::InUse),
            // On a disk without locks, the batch's lock is the only one.
            Err(TryLockError::Error(_)) => {}
        }
        // Before it was locked, it may have been renamed: then it is a complete file. The same holds
        // after a crash between linking the final name and removing this one.
        match link_count(&file.metadata().map_err(disk)?) {
            0 => Ok(PartSlot::Discarded),
            1 if is_same_file(&file, &self.path) => Ok(PartSlot::Acquired(file)),
            1 => Ok(PartSlot::Discarded),
            _ => self.discard().map(|()| PartSlot::Discarded).map_err(disk),
        }
    }

    fn mark(&self) -> PartMark {
        PartMark::new(&self.path)
    }

    /// Returns the offset at which the download can resume, and the `ETag` of the file.
    pub(in crate::runner) fn resume_point(&self) -> Option<DownloadResume> {
        DownloadResume::new(self.length, self.etag.as_deref()?)
    }

    /// Prepares for bytes from `offset` on, of the file with this `ETag`.
    pub(in crate::runner) async fn begin_at(
        &mut self,
        offset: u64,
        etag: Option<&str>,
    ) -> Result<(), PartFileError> {
        let offset = offset.min(self.length);
        let (path, mark, owner) = (self.path.clone(), self.mark(), self.owner.clone());
        let etag = etag.map(str::to_owned);
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let opened = run_blocking(move || {
            let begin = |file: &mut File| {
                file.set_len(offset)?;
                io::Seek::seek(file, io::SeekFrom::Start(offset))?;
                match &etag {
                    Some(etag) => mark.write(&owner, etag),
                    None => mark.remove(),
                }
            };
            begin(&mut file).map(|()| file).map_err(|source| PartFileError::Disk { path, source })
        });
        self.file = Some(opened.await?);
        self.length = offset;
        Ok(())
    }

    /// Appends bytes.
    pub(in crate::runner) async fn append(&mut self, bytes: &[u8]) -> Result<(), PartFileError> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let (path, bytes) = (self.path.clone(), bytes.to_vec());
        let length = bytes.len() as u64;
        let written = run_blocking(move || {
            let written = file.write_all(&bytes);
            written.map(|()| file).map_err(|source| PartFileError::Disk { path, source })
        });
        self.file = Some(written.await?);
        self.length += length;
        Ok(())
    }

    /// Returns the number of bytes stored.
    pub(in crate::runner) fn length(&self) -> u64 {
        self.length
    }

    /// Syncs the part file, so that a later download can resume it.
    pub(in crate::runner) async fn sync_for_resume(&mut self) -> Result<(), PartFileError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let path = self.path.clone();
        run_blocking(move || file.sync_all().map_err(|source| PartFileError::Disk { path, source }))
            .await
    }

    /// Checks the complete file and renames it. An incomplete file is deleted, so that the next
    /// download starts from zero.
    pub(in crate::runner) async fn finish(self) -> Result<VerifiedVideo, PartFileError> {
        run_blocking(move || self.finish_blocking()).await
    }

    fn finish_blocking(mut self) -> Result<VerifiedVideo, PartFileError> {
        let disk = |path: &Path, source| PartFileError::Disk { path: path.to_owned(), source };
        let file = self.file.take();
        if let Some(file) = &file {
            file.sync_all().map_err(|source| disk(&self.path, source))?;
        }
        // The lock is kept until the rename, on systems where an open file can be renamed.
        let _locked = file.filter(|_| cfg!(unix));
        // Noted first, so that a file whose check ends the process is known in the next run.
        self.mark().begin_check().map_err(|source| disk(&self.path, source))?;
        let checked = mp4_check::check_mp4(&self.path);
        self.mark().end_check().map_err(|source| disk(&self.path, source))?;
        let info = match checked {
            Ok(info) => info,
            Err(defect) => {
                self.discard().map_err(|source| disk(&self.path, source))?;
                return Err(defect.into());
            }
        };
        let hash = hash_file(&self.path).map_err(|source| disk(&self.path, source))?;
        let named = self.rename_to_final(&hash).map_err(|source| disk(&self.folder, source))?;
        self.mark().remove().map_err(|source| disk(&self.path, source))?;
        sync_folder(&self.folder).map_err(|source| disk(&self.folder, source))?;
        Ok(VerifiedVideo {
            file: named,
            bytes: i64::try_from(self.length).unwrap_or(i64::MAX),
            hash,
            duration_ms: info.plays_ms,
        })
    }

    fn discard(&self) -> io::Result<()> {
        remove_if_exists(&self.path)?;
        self.mark().end_check()?;
        self.mark().remove()
    }

    /// Renames the part file to its name, or to the first free numbered name; returns that name.
    fn rename_to_final(&self, hash: &str) -> io::Result<String> {
        for number in 1..=NAME_NUMBERS_MAX {
            let name = if number == 1 {
                PathBuf::from(&self.name)
            } else {
                with_suffix(Path::new(&self.name), &format!(" ({number})"))
            };
            let target = self.folder.join(&name);
            if rename_without_overwrite(&self.path, &target)? {
                return Ok(name.display().to_string());
            }
            // Reading a pipe or a device could block.
            let is_file = target.metadata().is_ok_and(|there| there.is_file());
            if is_file && hash_file(&target).is_ok_and(|there| there == hash) {
                // After a crash between the rename and its record: this is our file already.
                remove_if_exists(&self.path)?;
                return Ok(name.display().to_string());
            }
            if is_beginning_of(&target, &self.path)? {
                // This very video, truncated: nothing is lost with it.
                std::fs::rename(&self.path, &target)?;
                return Ok(name.display().to_string());
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "a thousand files of this name exist"))
    }
}

/// Returns the path of a part file of `name`: another one for each simultaneous download.
fn part_path(folder: &Path, name: &str, number: u32) -> PathBuf {
    let path = folder.join(name);
    let path = if number == 1 { path } else { path.with_added_extension(number.to_string()) };
    path.with_added_extension("part")
}

#[cfg(unix)]
fn link_count(found: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(found)
}

/// Without link counts, every file counts as linked once.
#[cfg(not(unix))]
fn link_count(_: &std::fs::Metadata) -> u64 {
    1
}

/// Returns whether `path` names this file.
#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |one: &std::fs::Metadata, other: &std::fs::Metadata| {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    };
    matches!((file.metadata(), path.symlink_metadata()), (Ok(one), Ok(other)) if same(&one, &other))
}

/// Where an open file cannot be renamed, it still has the name that it was opened by.
#[cfg(not(unix))]
fn is_same_file(_: &File, _: &Path) -> bool {
    true
}

#[cfg(unix)]
fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to)
}

/// Without link counts, no links are created.
#[cfg(not(unix))]
fn hard_link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Renames a file without ever overwriting one. Returns whether the name was free.
pub(super) fn rename_without_overwrite(from: &Path, to: &Path) -> io::Result<bool> {
    match hard_link(from, to) {
        Ok(()) => std::fs::remove_file(from).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // A disk without hard links: check, then rename. Only another program could interfere.
        Err(_) if to.symlink_metadata().is_ok() => Ok(false),
        Err(_) => std::fs::rename(from, to).map(|()| true),
    }
}

/// Returns whether `short` is a regular file whose bytes are the beginning of `whole`, and not all of
/// it. An empty file shows nothing, and is not.
fn is_beginning_of(short: &Path, whole: &Path) -> io::Result<bool> {
    let found = short.symlink_metadata()?;
    let length = found.len();
    if !found.is_file() || length == 0 || length >= whole.metadata()?.len() {
        return Ok(false);
    }
    Ok(hash_file(short)? == hash_reader(File::open(whole)?.take(length))?)
}

fn hash_reader(bytes: impl Read) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(bytes)?;
    Ok(hasher.finalize().to_hex().to_string())
}

pub(super) fn hash_file(path: &Path) -> io::Result<String> {
    hash_reader(File::open(path)?)
}

/// Makes a rename durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Inserts `suffix` between a name and its extension.
pub(in crate::runner) fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut stem = name.file_stem().unwrap_or_default().to_owned();
    stem.push(suffix);
    let mut changed = name.with_file_name(stem);
    if let Some(extension) = name.extension() {
        changed = changed.with_added_extension(extension);
    }
    changed
}

fn io_error_message(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull => "the disk is full; free some space and run again",
        io::ErrorKind::QuotaExceeded => "the disk quota is used up",
        io::ErrorKind::FileTooLarge => "the file is larger than this disk or account allows",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => "a file is in the way",
        io::ErrorKind::NotFound => "the folder no longer exists",
        _ => "the disk reported an error",
    }
}

/// Runs `work` where it blocks no other task. A single-threaded runtime belongs to a simulation: there
/// it runs in turn, so that a seed always gives the same run.
pub(in crate::runner) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

#[cfg(test)]
mod tests;

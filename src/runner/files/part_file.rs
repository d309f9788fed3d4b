//! A file on its way home: `NAME.part` until it is whole, `NAME` afterwards, nothing in between.
//!
//! If the power fails on any line here, the folder holds a part that can be continued, or a whole
//! file. A name that is taken is never overwritten: the same bytes are recognised, other bytes
//! keep their place and ours get a number. A part is locked until it has its name, so two who want one
//! name, in one run or in two, have a part each; and it is continued only by whom it is for.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::runtime::{Handle, RuntimeFlavor};

use crate::ledger::VerifiedVideo;
use crate::runner::files::mp4_check;
use crate::runner::files::mp4_check::Mp4Defect;

/// Names tried beside a name that is taken by somebody else's file.
const NAME_NUMBERS_MAX: u32 = 1000;

/// Why a part could not become a file.
#[derive(Debug, thiserror::Error)]
pub(in crate::runner) enum PartFileError {
    #[error("the output folder cannot be written: `{}`: {}", path.display(), io_error_message(.source))]
    Disk { path: PathBuf, source: io::Error },
    #[error("what arrived is not a whole video: {0}")]
    Incomplete(#[from] Mp4Defect),
}

/// See the module's words.
#[derive(Debug)]
pub(in crate::runner) struct PartFile {
    folder: PathBuf,
    name: String,
    path: PathBuf,
    /// Whom it is for: nobody else goes on with what is there.
    owner: String,
    file: Option<File>,
    length: u64,
    etag: Option<String>,
}

/// What is in a part's place.
enum PartSlot {
    /// A part of our own, locked.
    Acquired(File),
    /// Something that must not be written to, and was let go of.
    Discarded,
    /// Somebody else's, at this moment.
    InUse,
}

impl PartFile {
    /// Opens the part of `name`, with what an earlier run left of it for the same `owner`.
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
                // Whoever stands still with it must not keep us waiting.
                PartSlot::InUse => number += 1,
            }
            self.path = part_path(&self.folder, &self.name, number);
        };
        self.length = file.metadata().map_err(|source| disk(&self.path, source))?.len();
        self.file = Some(file);
        // Without the mark that it was begun with, half a file cannot be trusted.
        let mark = std::fs::read_to_string(self.etag_path()).unwrap_or_default();
        let mark = mark.strip_prefix(&self.owner).and_then(|mark| mark.strip_prefix('\n'));
        self.etag = mark.filter(|mark| !mark.is_empty()).map(str::to_owned);
        Ok(self)
    }

    /// Opens what is in the part's place, and locks it.
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
            // On a disk that knows no locks there is only the batch's own.
            Err(TryLockError::Error(_)) => {}
        }
        // Until we had the lock, it may have got its name: then it is a whole file. So it is after a
        // crash between the two halves of naming.
        match link_count(&file.metadata().map_err(disk)?) {
            0 => Ok(PartSlot::Discarded),
            1 if is_same_file(&file, &self.path) => Ok(PartSlot::Acquired(file)),
            1 => Ok(PartSlot::Discarded),
            _ => self.discard().map(|()| PartSlot::Discarded).map_err(disk),
        }
    }

    fn etag_path(&self) -> PathBuf {
        self.path.with_added_extension("mark")
    }

    /// Returns from where, and of which file, the download can go on.
    pub(in crate::runner) fn resume_point(&self) -> Option<(u64, String)> {
        let mark = self.etag.clone()?;
        (self.length > 0).then_some((self.length, mark))
    }

    /// Makes room for bytes from `from` on, of the file that `mark` names.
    pub(in crate::runner) async fn begin_at(
        &mut self,
        from: u64,
        mark: Option<&str>,
    ) -> Result<(), PartFileError> {
        let from = from.min(self.length);
        let path = self.path.clone();
        let mark_path = self.etag_path();
        let mark = mark.map(|mark| format!("{}\n{mark}", self.owner));
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let begun = run_blocking(move || {
            let begin = |file: &mut File| {
                file.set_len(from)?;
                io::Seek::seek(file, io::SeekFrom::Start(from))?;
                match &mark {
                    Some(mark) => std::fs::write(&mark_path, mark),
                    None => remove_if_exists(&mark_path),
                }
            };
            begin(&mut file).map(|()| file).map_err(|source| PartFileError::Disk { path, source })
        });
        self.file = Some(begun.await?);
        self.length = from;
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

    /// Returns how many bytes are there.
    pub(in crate::runner) fn length(&self) -> u64 {
        self.length
    }

    /// Leaves the part for a later try.
    pub(in crate::runner) async fn sync_for_resume(&mut self) -> Result<(), PartFileError> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let path = self.path.clone();
        run_blocking(move || file.sync_all().map_err(|source| PartFileError::Disk { path, source }))
            .await
    }

    /// Checks the whole file and gives it its name. A file that is not whole is thrown away, so
    /// that the next try begins anew.
    pub(in crate::runner) async fn finish(self) -> Result<VerifiedVideo, PartFileError> {
        run_blocking(move || self.finish_blocking()).await
    }

    fn finish_blocking(mut self) -> Result<VerifiedVideo, PartFileError> {
        let disk = |path: &Path, source| PartFileError::Disk { path: path.to_owned(), source };
        let file = self.file.take();
        if let Some(file) = &file {
            file.sync_all().map_err(|source| disk(&self.path, source))?;
        }
        // The lock is kept until the name is taken, where an open file can be renamed.
        let _locked = file.filter(|_| cfg!(unix));
        let outline = match mp4_check::check_mp4(&self.path) {
            Ok(outline) => outline,
            Err(flaw) => {
                self.discard().map_err(|source| disk(&self.path, source))?;
                return Err(flaw.into());
            }
        };
        let hash = hash_file(&self.path).map_err(|source| disk(&self.path, source))?;
        let named = self.rename_to_final(&hash).map_err(|source| disk(&self.folder, source))?;
        remove_if_exists(&self.etag_path()).map_err(|source| disk(&self.path, source))?;
        sync_folder(&self.folder).map_err(|source| disk(&self.folder, source))?;
        Ok(VerifiedVideo {
            file: named,
            bytes: i64::try_from(self.length).unwrap_or(i64::MAX),
            hash,
            duration_ms: outline.plays_ms,
        })
    }

    fn discard(&self) -> io::Result<()> {
        remove_if_exists(&self.path)?;
        remove_if_exists(&self.etag_path())
    }

    /// Gives the part its name, or the first free one beside it; returns the name.
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
            // What is no file would not end, or not begin, to be read.
            let is_file = target.metadata().is_ok_and(|there| there.is_file());
            if is_file && hash_file(&target).is_ok_and(|there| there == hash) {
                // A crash came between the name and the ledger: this is our file already.
                remove_if_exists(&self.path)?;
                return Ok(name.display().to_string());
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "a thousand files of this name exist"))
    }
}

/// Returns where the bytes of `name` go: into another file for each who wants that name at once.
fn part_path(folder: &Path, name: &str, number: u32) -> PathBuf {
    let path = folder.join(name);
    let path = if number == 1 { path } else { path.with_added_extension(number.to_string()) };
    path.with_added_extension("part")
}

#[cfg(unix)]
fn link_count(found: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(found)
}

#[cfg(not(unix))]
fn links(_: &std::fs::Metadata) -> u64 {
    1
}

/// Tells whether `path` names this very file.
#[cfg(unix)]
fn is_same_file(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |one: &std::fs::Metadata, other: &std::fs::Metadata| {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    };
    matches!((file.metadata(), path.symlink_metadata()), (Ok(one), Ok(other)) if same(&one, &other))
}

/// Where an open file cannot be renamed, it has the name that it was opened by.
#[cfg(not(unix))]
fn is_there(_: &File, _: &Path) -> bool {
    true
}

#[cfg(unix)]
fn hard_link(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::hard_link(from, to)
}

/// Where links cannot be counted, none are made.
#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Renames without ever overwriting. Tells whether the name was free.
fn rename_without_overwrite(from: &Path, to: &Path) -> io::Result<bool> {
    match hard_link(from, to) {
        Ok(()) => std::fs::remove_file(from).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // A disk without hard links: look, then rename. Only another program could come between.
        Err(_) if to.symlink_metadata().is_ok() => Ok(false),
        Err(_) => std::fs::rename(from, to).map(|()| true),
    }
}

fn hash_file(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn remove_if_exists(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Makes the new name itself durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Puts `suffix` between a name and its extension.
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
        io::ErrorKind::NotFound => "the folder is gone",
        _ => "the disk reported an error",
    }
}

/// Does `work` where it holds nobody up. A runtime of one thread is a simulation's: there it is
/// done in its turn, so that a seed gives the very same night again.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use crate::runner::files::part_file::*;

    const WHOLE: &[u8] = include_bytes!("../../sandbox/sample_videos/landscape.mp4");

    async fn arrived(
        folder: &Path,
        name: &str,
        bytes: &[u8],
    ) -> Result<VerifiedVideo, PartFileError> {
        let mut part = PartFile::open(folder, name, "ann").await.unwrap();
        part.begin_at(0, Some("\"m\"")).await.unwrap();
        part.append(bytes).await.unwrap();
        part.finish().await
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_whole_video_gets_its_name_and_leaves_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let video = arrived(dir.path(), "a.mp4", WHOLE).await.unwrap();
        assert_eq!((video.file.as_str(), video.bytes), ("a.mp4", WHOLE.len() as i64));
        assert_eq!(names(dir.path()), ["a.mp4"]);
    }

    #[tokio::test]
    async fn half_a_video_never_gets_a_name() {
        let dir = tempfile::tempdir().unwrap();
        let error = arrived(dir.path(), "a.mp4", &WHOLE[..WHOLE.len() / 2]).await.unwrap_err();
        assert!(matches!(error, PartFileError::Incomplete(_)), "{error}");
        assert!(names(dir.path()).is_empty());
    }

    #[tokio::test]
    async fn somebody_elses_file_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.mp4"), "mine").unwrap();
        let video = arrived(dir.path(), "a.mp4", WHOLE).await.unwrap();
        assert_eq!(video.file, "a (2).mp4");
        assert_eq!(std::fs::read(dir.path().join("a.mp4")).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn a_file_that_was_named_before_a_crash_is_recognised() {
        let dir = tempfile::tempdir().unwrap();
        arrived(dir.path(), "a.mp4", WHOLE).await.unwrap();
        let again = arrived(dir.path(), "a.mp4", WHOLE).await.unwrap();
        assert_eq!(again.file, "a.mp4");
        assert_eq!(names(dir.path()), ["a.mp4"]);
    }

    #[tokio::test]
    async fn a_crash_between_the_halves_of_naming_never_touches_the_named_file() {
        let dir = tempfile::tempdir().unwrap();
        arrived(dir.path(), "a.mp4", WHOLE).await.unwrap();
        std::fs::hard_link(dir.path().join("a.mp4"), dir.path().join("a.mp4.part")).unwrap();
        let mut part = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap();
        part.begin_at(0, None).await.unwrap();
        part.append(b"other").await.unwrap();
        assert_eq!(std::fs::read(dir.path().join("a.mp4")).unwrap(), WHOLE);
    }

    #[tokio::test]
    async fn a_part_goes_on_only_with_the_mark_that_it_was_begun_with() {
        let dir = tempfile::tempdir().unwrap();
        let mut part = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap();
        part.begin_at(0, Some("\"m\"")).await.unwrap();
        part.append(&WHOLE[..100]).await.unwrap();
        part.sync_for_resume().await.unwrap();
        let part = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap();
        assert_eq!(part.resume_point(), Some((100, "\"m\"".to_owned())));
        drop(part);
        std::fs::remove_file(dir.path().join("a.mp4.part.mark")).unwrap();
        let part = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap();
        assert_eq!(part.resume_point(), None);
    }

    #[tokio::test]
    async fn two_who_want_one_name_at_once_get_two_whole_files() {
        let dir = tempfile::tempdir().unwrap();
        let other: &[u8] = include_bytes!("../../sandbox/sample_videos/portrait.mp4");
        let mut first = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap();
        first.begin_at(0, Some("\"m\"")).await.unwrap();
        first.append(&WHOLE[..100]).await.unwrap();
        let mut second = PartFile::open(dir.path(), "a.mp4", "bob").await.unwrap();
        assert_eq!(second.resume_point(), None);
        second.begin_at(0, Some("\"n\"")).await.unwrap();
        second.append(other).await.unwrap();
        first.append(&WHOLE[100..]).await.unwrap();
        assert_eq!(first.finish().await.unwrap().file, "a.mp4");
        assert_eq!(second.finish().await.unwrap().file, "a (2).mp4");
        assert_eq!(names(dir.path()), ["a (2).mp4", "a.mp4"]);
        assert_eq!(std::fs::read(dir.path().join("a.mp4")).unwrap(), WHOLE);
        assert_eq!(std::fs::read(dir.path().join("a (2).mp4")).unwrap(), other);
    }

    #[tokio::test]
    async fn nobody_goes_on_with_what_arrived_for_somebody_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut part = PartFile::open(dir.path(), "a.mp4", "ann").await.unwrap();
        part.begin_at(0, Some("\"m\"")).await.unwrap();
        part.append(&WHOLE[..100]).await.unwrap();
        part.sync_for_resume().await.unwrap();
        drop(part);
        let part = PartFile::open(dir.path(), "a.mp4", "bob").await.unwrap();
        assert_eq!(part.resume_point(), None);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_pipe_that_has_the_name_of_a_video_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let (name, mode) = (dir.path().join("a.mp4"), rustix::fs::Mode::RUSR);
        rustix::fs::mkfifoat(rustix::fs::CWD, name, mode).unwrap();
        assert_eq!(arrived(dir.path(), "a.mp4", WHOLE).await.unwrap().file, "a (2).mp4");
    }
}

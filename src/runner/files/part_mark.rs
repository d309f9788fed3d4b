//! The two small files beside a part file: the mark, which says whose bytes they are and of which file,
//! and the note that it is being checked.
//!
//! The folder may be shared with others, so neither file is trusted: a mark is replaced, never written
//! through a link, and only a small regular file is read.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::runner::files::shared_file::read_shared_file;

/// An owner and an `ETag` have a few hundred bytes.
const MARK_SIZE_MAX: u64 = 1024;

/// See the module.
#[derive(Clone, Debug)]
pub(in crate::runner) struct PartMark {
    mark: PathBuf,
    new_mark: PathBuf,
    check_note: PathBuf,
}

impl PartMark {
    /// Returns the files beside the part file at `part`. None of their names is longer than the
    /// mark's, for which file names leave space.
    pub(in crate::runner) fn new(part: &Path) -> Self {
        Self {
            mark: part.with_added_extension("mark"),
            new_mark: part.with_added_extension("new"),
            check_note: part.with_added_extension("scan"),
        }
    }

    /// Returns the `ETag` that `owner` stored, if there is one.
    pub(in crate::runner) fn read_etag(&self, owner: &str) -> Option<String> {
        let stored = String::from_utf8(read_shared_file(&self.mark, MARK_SIZE_MAX).ok()?).ok()?;
        let etag = stored.strip_prefix(owner)?.strip_prefix('\n')?;
        (!etag.is_empty()).then(|| etag.to_owned())
    }

    /// Stores the `ETag` of the owner's file, in place of whatever has the mark's name.
    pub(in crate::runner) fn write(&self, owner: &str, etag: &str) -> io::Result<()> {
        replace_file(&self.new_mark, format!("{owner}\n{etag}").as_bytes())?;
        std::fs::rename(&self.new_mark, &self.mark)
    }

    /// Notes that the part file is being checked.
    pub(in crate::runner) fn begin_check(&self) -> io::Result<()> {
        replace_file(&self.check_note, b"")
    }

    /// Removes that note.
    pub(in crate::runner) fn end_check(&self) -> io::Result<()> {
        remove_if_exists(&self.check_note)
    }

    /// Returns whether a check of the part file began and never ended.
    pub(in crate::runner) fn is_check_unfinished(&self) -> bool {
        self.check_note.symlink_metadata().is_ok()
    }

    /// Removes the mark.
    pub(in crate::runner) fn remove(&self) -> io::Result<()> {
        remove_if_exists(&self.mark)
    }
}

/// Creates a file in place of whatever has its name. A link is removed, not followed.
fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    remove_if_exists(path)?;
    File::options().write(true).create_new(true).open(path)?.write_all(bytes)
}

/// Removes a file or link, if there is one.
pub(in crate::runner) fn remove_if_exists(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use crate::runner::files::part_mark::*;

    /// Whatever has the name of the mark, and what is then read.
    fn with_obstacle(obstacle: impl Fn(&Path)) -> (tempfile::TempDir, PartMark) {
        let dir = tempfile::tempdir().unwrap();
        let mark = PartMark::new(&dir.path().join("a.mp4.part"));
        for path in [&mark.mark, &mark.new_mark, &mark.check_note] {
            obstacle(path);
        }
        (dir, mark)
    }

    #[test]
    fn a_symlink_at_the_mark_is_replaced() {
        let victims = tempfile::tempdir().unwrap();
        let victim = victims.path().join("victim");
        std::fs::write(&victim, "ann\n\"etag of the victim\"").unwrap();
        let (_dir, mark) = with_obstacle(|path| symlink(&victim, path).unwrap());
        assert_eq!(mark.read_etag("ann"), None, "a link is not followed");
        mark.write("ann", "\"m\"").unwrap();
        mark.begin_check().unwrap();
        assert_eq!(mark.read_etag("ann").as_deref(), Some("\"m\""));
        mark.remove().unwrap();
        mark.end_check().unwrap();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "ann\n\"etag of the victim\"");
    }

    #[test]
    fn a_pipe_or_a_large_file_at_the_mark_is_not_read_and_is_replaced() {
        let pipe = |path: &Path| {
            rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RUSR).unwrap();
        };
        let large = |path: &Path| std::fs::write(path, "ann\n".repeat(1 << 20)).unwrap();
        let foreign = |path: &Path| std::fs::write(path, [0xff, 0xfe]).unwrap();
        for obstacle in [&pipe as &dyn Fn(&Path), &large, &foreign] {
            let (_dir, mark) = with_obstacle(obstacle);
            assert_eq!(mark.read_etag("ann"), None);
            assert!(mark.is_check_unfinished());
            mark.write("ann", "\"m\"").unwrap();
            assert_eq!(mark.read_etag("ann").as_deref(), Some("\"m\""));
            assert_eq!(mark.read_etag("bob"), None);
            mark.end_check().unwrap();
            assert!(!mark.is_check_unfinished());
        }
    }
}

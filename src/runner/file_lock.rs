//! The lock of a batch whose ledger is a file: an operating-system lock that ends with its process.
//!
//! On Linux, a second lock on the ledger's own file excludes runs that use it under another name.
//! The lock is on a separate file beside the ledger: closing any handle of the ledger's file would
//! drop the locks that `SQLite` holds on it. The file's text names the holder, for the message to a
//! second run; it decides nothing, so an outdated text after a power failure is harmless.
//!
//! A lock is released, not only closed: a process that is being started has a copy of each open file
//! until it executes its program, and the lock would last as long as any copy.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::ledger::{FileLockOutcome, LedgerFileLock};
use crate::runner::lock::LockError;

/// The lock of one batch, held from the start of a run to its end.
#[derive(Debug)]
pub struct BatchFileLock {
    file: File,
    ledger_file: Option<LedgerFileLock>,
}

impl BatchFileLock {
    /// Acquires the lock of `batch` in the ledger at `ledger`.
    ///
    /// # Errors
    /// See [`LockError`]; none of them leaves anything locked.
    pub fn acquire(ledger: &Path, batch: &str, now: Timestamp) -> Result<Self, LockError> {
        let path = Self::path(ledger, batch);
        let failed = |source| LockError::Io { path: path.clone(), source };
        let file = open_lock_file(&path).map_err(failed)?;
        if !is_lock_file(&file) {
            return Err(LockError::NotALockFile { path });
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // The holder may be writing it; without the text, only the message is poorer.
                let _ = (&file).read_to_string(&mut text);
                let holder = if text.is_empty() { "unknown process".to_owned() } else { text };
                return Err(LockError::Held { holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut lock = Self { file, ledger_file: None };
        let second = open_lock_file(&path).map_err(failed)?;
        if second.try_lock().is_ok() {
            return Err(LockError::Unreliable { path });
        }
        lock.ledger_file = match LedgerFileLock::acquire(ledger, batch) {
            FileLockOutcome::Acquired(lock) => Some(lock),
            FileLockOutcome::Unavailable => None,
            FileLockOutcome::Held => {
                let holder = "a process that uses the ledger under another name".to_owned();
                return Err(LockError::Held { holder });
            }
        };
        let text = format!("{} since {now:.0}", describe_process());
        lock.file.set_len(0).and_then(|()| lock.file.rewind()).map_err(failed)?;
        lock.file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(lock)
    }

    /// Returns the path of the lock file, beside the ledger itself: a second run that uses a link to
    /// the ledger must find the same lock.
    pub fn path(ledger: &Path, batch: &str) -> PathBuf {
        let target = ledger.is_symlink().then(|| ledger.canonicalize().ok()).flatten();
        target.as_deref().unwrap_or(ledger).with_added_extension(format!("{batch}.lock"))
    }
}

impl Drop for BatchFileLock {
    fn drop(&mut self) {
        // The text is removed with the lock. An error leaves a text that decides nothing.
        let _ = self.file.set_len(0);
        // On an error, closing the file releases it.
        let _ = self.file.unlock();
    }
}

/// Returns the current holder of the lock of `batch`, from its file; `None` if it is free.
///
/// For display only. It must not disturb a run that is just starting, so it tries the lock only if
/// the file names a holder.
pub(super) fn file_lock_holder(ledger: &Path, batch: &str) -> Option<String> {
    let path = BatchFileLock::path(ledger, batch);
    let file = without_links(File::options().read(true)).open(path).ok()?;
    if !is_lock_file(&file) {
        return None;
    }
    let mut text = String::new();
    (&file).read_to_string(&mut text).ok()?;
    if text.is_empty() {
        return None;
    }
    let tried = file.try_lock_shared();
    // Without a lock, there is nothing to release.
    let _ = file.unlock();
    // A killed run leaves its text behind, but not its lock.
    matches!(tried, Err(TryLockError::WouldBlock)).then_some(text)
}

fn open_lock_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match without_links(&mut options).open(path) {
        // In a folder of several users, a link could lead to a file that is then emptied.
        Err(_) if path.is_symlink() => Err(io::Error::other("it is a symbolic link; remove it")),
        opened => opened,
    }
}

/// Opens neither what a link leads to, nor waits for the other end of a pipe.
#[cfg(unix)]
fn without_links(options: &mut OpenOptions) -> &OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.custom_flags(nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK)
}

#[cfg(not(unix))]
fn without_links(options: &mut OpenOptions) -> &OpenOptions {
    options
}

/// Returns whether the open file is a regular file with one name: nothing of the user is emptied.
fn is_lock_file(file: &File) -> bool {
    let Ok(found) = file.metadata() else { return false };
    #[cfg(unix)]
    let has_one_name = std::os::unix::fs::MetadataExt::nlink(&found) == 1;
    #[cfg(not(unix))]
    let has_one_name = true;
    found.is_file() && has_one_name
}

/// Returns the host and process id of this process.
fn describe_process() -> String {
    format!("process {} on {}", std::process::id(), host_name())
}

/// Returns this machine's name.
pub fn host_name() -> String {
    let read = |path| std::fs::read_to_string(path).ok();
    read("/proc/sys/kernel/hostname")
        .or_else(|| read("/etc/hostname"))
        .map(|name| name.trim().to_owned())
        .or_else(|| std::env::var("HOSTNAME").ok())
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .unwrap_or_else(|| "this machine".to_owned())
}

/// Returns how requests of commands name their requester: `cli:USER@HOST`.
pub fn command_requester() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    let user: String = user.unwrap_or_else(|| "unknown".to_owned()).chars().take(100).collect();
    format!("cli:{user}@{}", host_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_holder_reports_a_live_process_and_ignores_the_text_of_a_dead_one() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("l.db");
        assert_eq!(file_lock_holder(&ledger, "spring"), None);
        let lock = BatchFileLock::acquire(&ledger, "spring", Timestamp::UNIX_EPOCH).unwrap();
        assert!(file_lock_holder(&ledger, "spring").unwrap().contains("since 1970"));
        drop(lock);
        assert_eq!(file_lock_holder(&ledger, "spring"), None);
        std::fs::write(BatchFileLock::path(&ledger, "spring"), "process 1 since the power failure")
            .unwrap();
        assert_eq!(file_lock_holder(&ledger, "spring"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_copy_of_the_handle_in_a_starting_process_does_not_prolong_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("l.db");
        let first = BatchFileLock::acquire(&ledger, "spring", Timestamp::UNIX_EPOCH).unwrap();
        let _copy = first.file.try_clone().unwrap();
        drop(first);
        BatchFileLock::acquire(&ledger, "spring", Timestamp::UNIX_EPOCH).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_symlink_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("l.db");
        let victim = dir.path().join("victim");
        std::fs::write(&victim, "keep me").unwrap();
        let path = BatchFileLock::path(&ledger, "spring");
        std::os::unix::fs::symlink(&victim, &path).unwrap();
        BatchFileLock::acquire(&ledger, "spring", Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(file_lock_holder(&ledger, "spring"), None);
        std::fs::remove_file(&path).unwrap();
        std::fs::hard_link(&victim, &path).unwrap();
        BatchFileLock::acquire(&ledger, "spring", Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), "keep me");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_hard_link_of_the_ledger_has_the_same_lock() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, link) = (dir.path().join("l.db"), dir.path().join("other.db"));
        std::fs::write(&ledger, "").unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let first = BatchFileLock::acquire(&ledger, "spring", now).unwrap();
        BatchFileLock::acquire(&ledger, "autumn", now).unwrap();
        std::fs::hard_link(&ledger, &link).unwrap();
        for batch in ["spring", "autumn"] {
            let error = BatchFileLock::acquire(&link, batch, now).unwrap_err();
            assert!(matches!(error, LockError::Held { .. }), "{error}");
        }
        drop(first);
        BatchFileLock::acquire(&link, "spring", now).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn symlinked_ledger_has_the_same_lock() {
        let dir = tempfile::tempdir().unwrap();
        let (ledger, link) = (dir.path().join("l.db"), dir.path().join("link.db"));
        std::fs::write(&ledger, "").unwrap();
        std::os::unix::fs::symlink("l.db", &link).unwrap();
        let first = BatchFileLock::acquire(&ledger, "spring", Timestamp::UNIX_EPOCH).unwrap();
        assert!(file_lock_holder(&link, "spring").is_some());
        BatchFileLock::acquire(&link, "spring", Timestamp::UNIX_EPOCH).unwrap_err();
        drop(first);
        BatchFileLock::acquire(&link, "spring", Timestamp::UNIX_EPOCH).unwrap();
        assert!(!dir.path().join("link.db.spring.lock").exists());
    }

    #[test]
    fn second_lock_of_a_batch_names_its_holder_and_other_batches_are_free() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("l.db");
        let now = Timestamp::UNIX_EPOCH;
        let first = BatchFileLock::acquire(&ledger, "spring", now).unwrap();
        let error = BatchFileLock::acquire(&ledger, "spring", now).unwrap_err().to_string();
        assert!(error.contains(&std::process::id().to_string()), "{error}");
        assert!(error.contains("1970-01-01T00:00:00Z"), "{error}");
        BatchFileLock::acquire(&ledger, "autumn", now).unwrap();
        drop(first);
        BatchFileLock::acquire(&ledger, "spring", now).unwrap();
    }
}

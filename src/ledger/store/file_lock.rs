//! The lock on the ledger's own file, which holds whatever name the file has: a hard link leads to
//! other lock files and to another log, and two processes would damage the file.
//!
//! The lock is on bytes far behind the end of the file, where `SQLite` locks nothing, and belongs to
//! the open file, not to the process. Only Linux has such locks. Invariant: the handle is never
//! closed, because closing it would drop the locks that `SQLite` holds on the file; it ends with the
//! process.

use std::path::Path;

use crate::ledger::error::LedgerError;

/// The result of trying the lock.
#[derive(Debug)]
pub enum FileLockOutcome {
    /// It is held until it is dropped.
    Acquired(LedgerFileLock),
    /// Another process uses the batch, or a ledger of several names.
    Held,
    /// The file does not exist, this process holds it as a whole, or there are no such locks here.
    Unavailable,
}

/// Locks a ledger with several names as a whole before it is opened; `None` if it has only one.
///
/// # Errors
/// Another process uses it, or the file is mounted without the folder that its log is in.
pub(in crate::ledger) fn lock_all_names(
    path: &Path,
) -> Result<Option<LedgerFileLock>, LedgerError> {
    if is_mounted_alone(path) {
        return Err(LedgerError::MountedAlone { path: path.to_owned() });
    }
    if !has_several_names(path) {
        return Ok(None);
    }
    match LedgerFileLock::acquire_whole(path) {
        FileLockOutcome::Acquired(lock) => Ok(Some(lock)),
        FileLockOutcome::Unavailable => Ok(None),
        FileLockOutcome::Held => Err(LedgerError::SeveralNames { path: path.to_owned() }),
    }
}

/// Returns whether the file is a mount point: its log is then in another folder than that of the
/// other names, and is lost with the container.
fn is_mounted_alone(ledger: &Path) -> bool {
    let (Ok(ledger), Ok(mounts)) =
        (ledger.canonicalize(), std::fs::read_to_string("/proc/self/mountinfo"))
    else {
        return false;
    };
    let ledger = ledger.display().to_string();
    mounts.lines().filter_map(|mount| mount.split(' ').nth(4)).any(|point| {
        // The kernel writes some characters as octal numbers.
        let point = point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\");
        point == ledger
    })
}

#[cfg(unix)]
fn has_several_names(ledger: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    ledger.metadata().is_ok_and(|file| file.nlink() > 1)
}

#[cfg(not(unix))]
fn has_several_names(_: &Path) -> bool {
    false
}

/// The lock of one batch, or of the whole ledger.
#[derive(Debug)]
pub struct LedgerFileLock {
    #[cfg(target_os = "linux")]
    _range: linux::LockedRange,
}

#[cfg(target_os = "linux")]
impl LedgerFileLock {
    /// Tries the lock of `batch`; of the whole ledger if it has several names.
    pub fn acquire(ledger: &Path, batch: &str) -> FileLockOutcome {
        match has_several_names(ledger) {
            true => Self::acquire_whole(ledger),
            false => linux::LockedRange::acquire_batch(ledger, batch),
        }
    }

    fn acquire_whole(ledger: &Path) -> FileLockOutcome {
        linux::LockedRange::acquire_whole(ledger)
    }
}

#[cfg(not(target_os = "linux"))]
impl LedgerFileLock {
    /// There are no such locks here.
    pub fn acquire(_: &Path, _: &str) -> FileLockOutcome {
        FileLockOutcome::Unavailable
    }

    /// Rejects every ledger with several names.
    fn acquire_whole(_: &Path) -> FileLockOutcome {
        FileLockOutcome::Held
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::mem::ManuallyDrop;
    use std::ops::Range;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;
    use std::sync::{Mutex, PoisonError};

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    use super::{FileLockOutcome, LedgerFileLock};

    /// Each batch has one of these bytes.
    const BYTES: Range<libc::off_t> =
        (1 << (libc::off_t::BITS - 3))..(1 << (libc::off_t::BITS - 3)) + (1 << 24);

    /// The files, by device and inode, that this process has locked as a whole.
    static LOCKED_WHOLE: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

    /// Locked bytes of the file.
    #[derive(Debug)]
    pub(super) struct LockedRange {
        file: ManuallyDrop<File>,
        bytes: Range<libc::off_t>,
        /// The file, if it is locked as a whole.
        whole: Option<(u64, u64)>,
    }

    impl LockedRange {
        pub(super) fn acquire_batch(ledger: &Path, batch: &str) -> FileLockOutcome {
            let hash = blake3::hash(batch.as_bytes());
            let number = hash.as_bytes()[..3]
                .iter()
                .fold(0, |number, byte| number << 8 | libc::off_t::from(*byte));
            let byte = BYTES.start + number;
            Self::acquire(ledger, byte..byte + 1, None)
        }

        pub(super) fn acquire_whole(ledger: &Path) -> FileLockOutcome {
            let Ok(found) = ledger.metadata() else { return FileLockOutcome::Unavailable };
            let identity = (found.dev(), found.ino());
            let mut locked = LOCKED_WHOLE.lock().unwrap_or_else(PoisonError::into_inner);
            if locked.contains(&identity) {
                return FileLockOutcome::Unavailable;
            }
            let outcome = Self::acquire(ledger, BYTES, Some(identity));
            if matches!(outcome, FileLockOutcome::Acquired(_)) {
                locked.push(identity);
            }
            outcome
        }

        fn acquire(
            ledger: &Path,
            bytes: Range<libc::off_t>,
            whole: Option<(u64, u64)>,
        ) -> FileLockOutcome {
            let Ok(file) = File::options().read(true).write(true).open(ledger) else {
                return FileLockOutcome::Unavailable;
            };
            let file = ManuallyDrop::new(file);
            match set_lock(&file, &bytes, libc::F_WRLCK) {
                Ok(()) => {
                    let _range = Self { file, bytes, whole };
                    FileLockOutcome::Acquired(LedgerFileLock { _range })
                }
                Err(Errno::EACCES | Errno::EAGAIN) => FileLockOutcome::Held,
                Err(error) => {
                    tracing::debug!(%error, "no lock on the ledger's own file");
                    FileLockOutcome::Unavailable
                }
            }
        }
    }

    impl Drop for LockedRange {
        fn drop(&mut self) {
            // An error leaves the lock until the process ends.
            let _ = set_lock(&self.file, &self.bytes, libc::F_UNLCK);
            if let Some(identity) = self.whole {
                let mut locked = LOCKED_WHOLE.lock().unwrap_or_else(PoisonError::into_inner);
                locked.retain(|other| *other != identity);
            }
        }
    }

    fn set_lock(file: &File, bytes: &Range<libc::off_t>, kind: libc::c_int) -> Result<(), Errno> {
        let range = libc::flock {
            l_type: kind as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: bytes.start,
            l_len: bytes.end - bytes.start,
            l_pid: 0,
        };
        fcntl(file, FcntlArg::F_OFD_SETLK(&range)).map(drop)
    }
}

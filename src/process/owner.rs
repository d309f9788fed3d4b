//! Whose file it is.

use std::path::Path;

/// Returns whether the user of this process owns the file. Where files have no owner, every file
/// counts as owned; so does one that cannot be examined, since nothing is read from it.
pub fn is_owned_by_this_user(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let this_user = rustix::process::geteuid().as_raw();
        std::fs::metadata(path).is_ok_and(|found| found.uid() == this_user) || !path.exists()
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        true
    }
}

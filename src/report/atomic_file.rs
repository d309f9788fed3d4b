//! Files that get their name only when they are complete.
//!
//! Until then they have a random name beside it that begins with a dot. Invariant: they get the
//! permissions of any other file in the folder, so secrets must not be written with them.

use std::io;
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

/// Creates a temporary file in `folder`.
///
/// # Errors
/// The folder does not exist or is not writable.
pub fn create_temp_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut file = Builder::new();
    file.prefix(".report-");
    // The default is the owner only; the umask restricts these permissions.
    #[cfg(unix)]
    file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    file.tempfile_in(folder)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_report_has_the_permissions_of_the_files_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let [report, beside] = ["report.html", "video.mp4"].map(|name| folder.path().join(name));
        create_temp_file(folder.path()).unwrap().persist(&report).unwrap();
        fs::write(&beside, "").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(report), mode(beside));
    }
}

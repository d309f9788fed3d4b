//! Files that take their name only when they are whole.
//!
//! Until then they lie beside it, under a name of chance that begins with a dot. Invariant: whoever
//! may read what else is written into the folder may read them; what is meant for one pair of eyes
//! is not written here.

use std::io;
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

/// Begins a file in `folder`.
///
/// # Errors
/// The folder is not there, or cannot be written to.
pub fn create_temp_file(folder: &Path) -> io::Result<NamedTempFile> {
    let mut file = Builder::new();
    file.prefix(".report-");
    // By itself it would be its owner's alone. What is left of this is for the umask to say.
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
    fn a_report_can_be_read_by_whoever_can_read_the_files_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let [report, beside] = ["report.html", "video.mp4"].map(|name| folder.path().join(name));
        create_temp_file(folder.path()).unwrap().persist(&report).unwrap();
        fs::write(&beside, "").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(report), mode(beside));
    }
}

//! The path of a batch file: stored as an absolute path, because the ledger is opened from several
//! folders, and shown relative to the current folder.

use std::path::{Path, PathBuf, absolute};

/// Returns the form of a batch file's path that is stored.
pub(in crate::ledger) fn stored_path(file: &str) -> String {
    // Without a current folder, the path as typed is the best available.
    absolute(file).map_or_else(|_| file.to_owned(), |file| file.display().to_string())
}

/// Returns a stored path as it is shown in the current folder.
pub(in crate::ledger) fn display_path(kept: &str, ledger: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    display_path_in(&here, kept, ledger).display().to_string()
}

/// Earlier versions stored the path as typed. A relative path is resolved against the ledger's
/// folder, where runs with the default ledger were started; otherwise its folder is unknown.
fn display_path_in(here: &Path, kept: &str, ledger: &Path) -> PathBuf {
    let beside_ledger = here.join(ledger).with_file_name(kept);
    let whole = match Path::new(kept).is_absolute() {
        true => PathBuf::from(kept),
        false if beside_ledger.exists() => beside_ledger,
        false => return PathBuf::from(kept),
    };
    whole.strip_prefix(here).map(Path::to_owned).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use crate::ledger::model::batch_path::*;

    #[test]
    fn a_batch_file_is_found_from_any_folder() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path();
        std::fs::create_dir(here.join("jobs")).unwrap();
        std::fs::write(here.join("jobs/b.toml"), "").unwrap();
        let whole = here.join("jobs/b.toml").display().to_string();
        let beside = here.join("jobs/../l.db");
        for (from, kept, ledger, told) in [
            (here, whole.as_str(), Path::new("l.db"), "jobs/b.toml"),
            (&here.join("jobs"), &whole, Path::new("../l.db"), "b.toml"),
            (Path::new("/"), "/a/b.toml", Path::new("l.db"), "a/b.toml"),
            (Path::new("/x"), "/a/b.toml", Path::new("l.db"), "/a/b.toml"),
            // As earlier versions stored it.
            (here, "jobs/b.toml", Path::new("l.db"), "jobs/b.toml"),
            (Path::new("/x"), "jobs/b.toml", &here.join("l.db"), &whole),
            (Path::new("/x"), "gone.toml", &beside, "gone.toml"),
        ] {
            assert_eq!(display_path_in(from, kept, ledger), Path::new(told), "{kept} in {from:?}");
        }
    }
}

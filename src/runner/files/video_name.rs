//! The names of finished videos in the output folder, and renaming them.
//!
//! Invariant: no file is overwritten, and a file that is renamed is the one that the ledger knows.

use std::io;
use std::path::{Path, PathBuf};

use crate::runner::files::part_file::{
    hash_file, rename_without_overwrite, sync_folder, with_suffix,
};

/// The result of renaming a video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VideoRename {
    /// It has this name now, relative to the folder.
    Renamed(String),
    /// Another file has the name.
    NameTaken(String),
    /// It is not in the folder.
    Missing,
    /// Its bytes are not those that were downloaded.
    Altered,
}

/// Returns the file name of a version: the first has the plain name, and later ones never replace a
/// paid file.
pub(in crate::runner) fn versioned_name(name: &str, version: i64) -> String {
    if version <= 1 {
        return name.to_owned();
    }
    with_suffix(Path::new(name), &format!("-v{version}")).display().to_string()
}

/// Returns whether the file at `path` has the bytes of this hash.
///
/// # Errors
/// It cannot be read.
pub fn has_video_bytes(path: &Path, hash: &str) -> io::Result<bool> {
    Ok(hash_file(path)? == hash)
}

/// Renames the video `file` of `folder`, which is of `version` and has `hash`, to `name`. A rename that
/// was interrupted counts as one.
///
/// # Errors
/// The disk failed, or the folder may not be written.
pub fn rename_video(
    folder: &Path,
    file: &str,
    hash: &str,
    name: &str,
    version: i64,
) -> io::Result<VideoRename> {
    let new_name = versioned_name(name, version);
    let (from, to) = (folder.join(file), folder.join(&new_name));
    if !from.is_file() {
        return Ok(match to.is_file() && hash_file(&to)? == hash {
            true => VideoRename::Renamed(new_name),
            false => VideoRename::Missing,
        });
    }
    if hash_file(&from)? != hash {
        return Ok(VideoRename::Altered);
    }
    let parent = to.parent().map_or_else(|| folder.to_owned(), PathBuf::from);
    std::fs::create_dir_all(&parent)?;
    if !rename_without_overwrite(&from, &to)? {
        return Ok(VideoRename::NameTaken(new_name));
    }
    sync_folder(&parent)?;
    Ok(VideoRename::Renamed(new_name))
}

#[cfg(test)]
mod tests {
    use crate::runner::files::part_file::hash_file;
    use crate::runner::files::video_name::*;

    #[test]
    fn video_is_renamed_once_and_never_over_another_file() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        std::fs::write(folder.join("a.mp4"), "video").unwrap();
        std::fs::write(folder.join("taken.mp4"), "other").unwrap();
        let hash = hash_file(&folder.join("a.mp4")).unwrap();
        let rename = |file: &str, name: &str| rename_video(folder, file, &hash, name, 2).unwrap();
        std::fs::write(folder.join("full-v2.mp4"), "other").unwrap();
        let taken = VideoRename::NameTaken("full-v2.mp4".to_owned());
        assert_eq!(rename("a.mp4", "full.mp4"), taken);
        let renamed = VideoRename::Renamed("new/b-v2.mp4".to_owned());
        assert_eq!(rename("a.mp4", "new/b.mp4"), renamed);
        // After a crash between the file and the ledger.
        assert_eq!(rename("a.mp4", "new/b.mp4"), renamed);
        assert_eq!(rename("a.mp4", "c.mp4"), VideoRename::Missing);
        assert_eq!(rename("taken.mp4", "c.mp4"), VideoRename::Altered);
        assert_eq!(std::fs::read(folder.join("full-v2.mp4")).unwrap(), b"other");
    }
}

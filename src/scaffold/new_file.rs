//! The files of a new batch, and its name.
//!
//! Invariant: no file that exists is overwritten.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::batch::BatchName;

/// Letters of a name made from a title.
const NAME_CHARS_MAX: usize = 40;

/// The reason why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum NewFileError {
    /// It exists.
    #[error("`{0}` exists: choose another name")]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write `{path}`: {kind}")]
    Unwritable {
        /// Its path.
        path: PathBuf,
        /// The error of the system.
        kind: io::ErrorKind,
    },
}

/// Writes a file that does not exist yet, with its folder.
///
/// # Errors
/// It exists, or cannot be written.
pub fn write_new_file(path: &Path, text: &str) -> Result<(), NewFileError> {
    let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = parent.and_then(|()| File::create_new(path)).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => NewFileError::Exists(path.to_owned()),
        kind => NewFileError::Unwritable { path: path.to_owned(), kind },
    })
}

/// Returns a batch's name for a title or the name of a file: `Spring Launch (v2)` is
/// `spring-launch-v2`. `None` if no letter remains.
pub fn batch_name_from_title(title: &str) -> Option<BatchName> {
    if let Ok(name) = title.parse() {
        return Some(name);
    }
    let mut name = String::new();
    for c in title.to_lowercase().chars() {
        match c {
            'a'..='z' | '0'..='9' | '_' => name.push(c),
            'ä' => name.push_str("ae"),
            'ö' => name.push_str("oe"),
            'ü' => name.push_str("ue"),
            'ß' => name.push_str("ss"),
            _ if !name.ends_with('-') && !name.is_empty() => name.push('-'),
            _ => {}
        }
    }
    name.truncate(NAME_CHARS_MAX);
    name.trim_end_matches('-').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_becomes_a_name() {
        for (title, want) in [
            ("spring", Some("spring")),
            ("Spring Launch 2026", Some("spring-launch-2026")),
            ("Frühling (v2)", Some("fruehling-v2")),
            ("  2026/Q1 ", Some("2026-q1")),
            ("봄", None),
        ] {
            let name = batch_name_from_title(title).map(|name| name.to_string());
            assert_eq!(name.as_deref(), want, "{title}");
        }
    }
}

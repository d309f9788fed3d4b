//! Small files in a folder that may be shared with others, who may have put anything in their place.
//!
//! Invariant: nothing is read through a link, from a pipe or a device, or beyond the expected size.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads a file of at most `bytes_max`.
///
/// # Errors
/// It is missing, no regular file, or larger.
pub fn read_shared_file(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for its other end.
    if !path.symlink_metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 <= bytes_max {
        true => Ok(bytes),
        false => Err(io::Error::other("it is too large")),
    }
}

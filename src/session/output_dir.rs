//! Whether an output folder takes what a run will write there: asked before anything is spent.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::session::exit_code::ExitReason;
use crate::session::open_batch::CommandError;

/// Tells whether files could be made in `folder`, and makes nothing that stays. A folder that a run
/// would make is judged by the one that it would be made in, which comes back.
pub(crate) fn check_writable(folder: &Path) -> io::Result<&Path> {
    let mut there = folder;
    while !there.exists() {
        match there.parent() {
            Some(above) if !above.as_os_str().is_empty() => there = above,
            Some(_) | None => there = Path::new("."),
        }
    }
    tempfile::tempfile_in(there)?;
    Ok(there)
}

/// Bytes without which no video has room. A night that ended with a full disk would otherwise pay for
/// one more in each run, and find it full again.
const OUTPUT_FREE_BYTES_MIN: u64 = 1 << 20;

/// Makes the folder and tries it: what is rendered into none is paid for and cannot be brought home.
pub(crate) fn create_output_dir(folder: &Path) -> Result<(), CommandError> {
    let tried = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        tempfile::tempfile_in(folder)?;
        // Where a disk does not say, the first video will.
        match fs4::available_space(folder) {
            Ok(free) if free < OUTPUT_FREE_BYTES_MIN => Err(ErrorKind::StorageFull.into()),
            Ok(_) | Err(_) => Ok(()),
        }
    };
    tried().map_err(|error| {
        let words = format!("{}; nothing was submitted", unwritable_message(folder, &error));
        CommandError::new(ExitReason::Unexpected, words)
    })
}

/// Says that a folder does not do.
pub(crate) fn unwritable_message(folder: &Path, error: &io::Error) -> String {
    let shown = folder.display();
    if folder.is_file() {
        return format!("the output folder cannot be made: `{shown}` is a file");
    }
    let why = match error.kind() {
        ErrorKind::StorageFull => "the disk is full; free some space".to_owned(),
        ErrorKind::QuotaExceeded => "the disk quota is used up".to_owned(),
        kind => kind.to_string(),
    };
    format!("the output folder `{shown}` cannot be written ({why})")
}

//! Whether an output folder takes what a run will write there: asked before anything is spent.

use std::io;
use std::path::Path;

use super::drive::Early;
use super::exit::Exit;

/// Tells whether files could be made in `folder`, and makes nothing that stays. A folder that a run
/// would make is judged by the one that it would be made in, which comes back.
pub(super) fn would_do(folder: &Path) -> io::Result<&Path> {
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

/// Makes the folder and tries it: what is rendered into none is paid for and cannot be brought home.
pub(super) fn make(folder: &Path) -> Result<(), Early> {
    let made = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    made.map(drop).map_err(|error| {
        let words = format!("{}; nothing was submitted", unfit(folder, &error));
        Early::new(Exit::Unexpected, words)
    })
}

/// Says that a folder does not do.
pub(super) fn unfit(folder: &Path, error: &io::Error) -> String {
    let shown = folder.display();
    if folder.is_file() {
        return format!("the output folder cannot be made: `{shown}` is a file");
    }
    format!("the output folder `{shown}` cannot be written ({})", error.kind())
}

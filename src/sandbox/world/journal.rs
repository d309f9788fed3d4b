//! The journal with which a killed sandbox continues: one JSON line per change.
//!
//! Lines are written with one `write(2)` before the response is sent and are not synced: the sandbox must
//! survive `SIGKILL`, not a power cut. Such a kill may leave a torn last line; it is cut off at the next
//! start. Any other unreadable line is an error, because continuing without it would forget a bill.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::records::JournalEntry;

/// An open, locked journal. The lock is released when this is dropped.
#[derive(Debug)]
pub(super) struct StateJournal {
    file: File,
}

impl StateJournal {
    /// Opens or creates the file and returns its entries.
    ///
    /// # Errors
    /// Another sandbox has it open, a line is damaged, or the file cannot be read.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<JournalEntry>)> {
        let mut file = open_locked(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        if text.first().is_some_and(|first| *first != b'{') {
            return Err(state_error(path, "is not the file of a sandbox; name another file"));
        }
        // It holds scripts and tokens.
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let entries = parse_entries(&text[..whole], path)?;
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::Start(whole as u64))?;
        Ok((Self { file }, entries))
    }

    /// Writes entries in one call, so that a kill leaves all of them or a torn line.
    pub(super) fn append(&mut self, entries: &[JournalEntry]) -> io::Result<()> {
        let mut lines = Vec::with_capacity(512);
        for entry in entries {
            serde_json::to_writer(&mut lines, entry)?;
            lines.push(b'\n');
        }
        self.file.write_all(&lines)
    }
}

fn open_locked(path: &Path) -> io::Result<File> {
    // In a folder of several users, a link could lead to a file that is then cut off.
    if path.is_symlink() {
        return Err(state_error(path, "is a symbolic link; remove it"));
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|error| {
        let text = format!("the sandbox state `{}` cannot be opened: {error}", path.display());
        io::Error::new(error.kind(), text)
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let text = format!(
                "the sandbox state `{}` is in use by another sandbox; stop that one first",
                path.display()
            );
            Err(io::Error::new(io::ErrorKind::ResourceBusy, text))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn state_error(path: &Path, problem: &str) -> io::Error {
    let text = format!("the sandbox state `{}` {problem}", path.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}

fn parse_entries(text: &[u8], path: &Path) -> io::Result<Vec<JournalEntry>> {
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(place, line)| {
            serde_json::from_slice(line).map_err(|_| {
                let text = format!(
                    "line {} of the sandbox state `{}` is damaged; remove the file to start with \
                     an empty studio",
                    place + 1,
                    path.display()
                );
                io::Error::new(io::ErrorKind::InvalidData, text)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_link_and_a_file_of_the_user_are_left_as_they_are() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [victim, link] = ["notes.txt", "s.studio.jsonl"].map(|name| folder.path().join(name));
        symlink(&victim, &link).unwrap();
        for text in ["{\"no line end\": 1", "notes without a line end", "notes\nof two lines\n"] {
            std::fs::write(&victim, text).unwrap();
            std::fs::set_permissions(&victim, PermissionsExt::from_mode(0o644)).unwrap();
            StateJournal::open(&link).unwrap_err();
            if !text.starts_with('{') {
                StateJournal::open(&victim).unwrap_err();
            }
            assert_eq!(std::fs::read_to_string(&victim).unwrap(), text);
            let mode = victim.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o644);
        }
    }

    fn deleted(id: &str) -> JournalEntry {
        JournalEntry::Deleted { ids: vec![id.to_owned()] }
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let (mut journal, _) = StateJournal::open(&path).unwrap();
        journal.append(&[deleted("a"), deleted("b")]).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, entries) = StateJournal::open(&path).unwrap();
            assert_eq!(entries.len(), whole[..cut].iter().filter(|byte| **byte == b'\n').count());
            journal.append(&[deleted("c")]).unwrap();
            drop(journal);
            assert_eq!(
                StateJournal::open(&path).unwrap().1.len(),
                entries.len() + 1,
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_damaged_line_in_the_middle_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        std::fs::write(&path, "{\"deleted\":{\"ids\":[]}}\nnonsense\n{\"deleted\":{\"ids\":[]}}\n")
            .unwrap();
        let error = StateJournal::open(&path).unwrap_err().to_string();
        assert!(error.starts_with("line 2 of the sandbox state"), "{error}");
    }

    #[test]
    fn two_sandboxes_cannot_share_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        let _first = StateJournal::open(&path).unwrap();
        let error = StateJournal::open(&path).unwrap_err().to_string();
        assert!(error.contains("in use by another sandbox"), "{error}");
    }
}

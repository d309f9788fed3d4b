//! Errors of files and sockets in plain words: those of the standard library name an "entity".

use std::io::ErrorKind;

/// Returns what went wrong, to stand in parentheses.
pub(crate) fn describe_io_error(kind: ErrorKind) -> String {
    let plain = match kind {
        ErrorKind::NotFound => "it does not exist",
        ErrorKind::PermissionDenied => "permission denied",
        ErrorKind::AlreadyExists => "it exists already",
        ErrorKind::IsADirectory => "it is a folder",
        ErrorKind::NotADirectory => "a part of its path is not a folder",
        ErrorKind::StorageFull => "the disk is full",
        ErrorKind::QuotaExceeded => "the quota of the disk is used up",
        ErrorKind::ReadOnlyFilesystem => "the disk is read-only",
        ErrorKind::InvalidData => "it is not UTF-8 text",
        ErrorKind::AddrInUse => "the port is in use",
        ErrorKind::AddrNotAvailable => "this machine does not have the address",
        _ => return kind.to_string(),
    };
    plain.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_described_in_plain_words() {
        assert_eq!(describe_io_error(ErrorKind::NotFound), "it does not exist");
        assert_eq!(describe_io_error(ErrorKind::TimedOut), "timed out");
    }
}

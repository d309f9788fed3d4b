//! Approved videos as one ZIP, written as it is read, so that its size costs no memory and no disk.
//!
//! Invariant: a file whose bytes are not those that were approved is left out, and named.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, Write};
use std::path::PathBuf;

use zip::CompressionMethod;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The file that names what is missing.
const MISSING_FILE: &str = "NOT-INCLUDED.txt";
const COPY_BYTES: usize = 256 << 10;

/// A video that goes into the ZIP.
#[derive(Clone, Debug)]
pub struct ZippedVideo {
    /// Its name in the ZIP, within the output folder.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// The digest of the bytes that were approved.
    pub digest: String,
}

/// Writes the videos. Their number is known before, their size is not.
///
/// # Errors
/// `out` could not be written. A video that cannot be read is left out.
pub fn write_video_zip(out: impl Write, videos: &[ZippedVideo]) -> io::Result<()> {
    let mut zip = ZipWriter::new_stream(out);
    // Videos are compressed already.
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    let mut missing = Vec::new();
    for video in videos {
        let Ok(mut file) = open_approved(video) else {
            missing.push(video.name.as_str());
            continue;
        };
        zip.start_file(&*video.name, options)?;
        io::copy(&mut file, &mut zip)?;
    }
    if !missing.is_empty() {
        zip.start_file(MISSING_FILE, options)?;
        writeln!(zip, "Missing in the output folder, or changed since the approval:\n")?;
        missing.iter().try_for_each(|name| writeln!(zip, "{name}"))?;
    }
    zip.finish()?.flush()
}

/// Opens a video whose bytes are those that were approved.
fn open_approved(video: &ZippedVideo) -> io::Result<BufReader<File>> {
    let mut file = BufReader::with_capacity(COPY_BYTES, File::open(&video.path)?);
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        };
    }
    if hasher.finalize().to_hex().as_str() != video.digest {
        return Err(io::Error::other("another file"));
    }
    file.rewind()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_changed_after_its_approval_is_left_out_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let digest = blake3::hash(b"approved").to_hex().to_string();
        let video = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            ZippedVideo { name: name.to_owned(), path, digest: digest.clone() }
        };
        let mut videos = vec![video("a.mp4", b"approved"), video("b.mp4", b"replaced")];
        let gone = dir.path().join("c.mp4");
        videos.push(ZippedVideo { name: "c.mp4".to_owned(), path: gone, digest: digest.clone() });
        let mut bytes = Vec::new();
        write_video_zip(&mut bytes, &videos).unwrap();
        let mut zip = zip::ZipArchive::new(io::Cursor::new(bytes)).unwrap();
        let names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
        assert_eq!(names, ["a.mp4", MISSING_FILE]);
        let mut read = |name: &str| io::read_to_string(zip.by_name(name).unwrap()).unwrap();
        assert_eq!(read("a.mp4"), "approved");
        assert!(read(MISSING_FILE).ends_with("b.mp4\nc.mp4\n"));
    }
}

//! Copies a text in any encoding to UTF-8.
//!
//! The text is streamed once; the copy can be read repeatedly and from any offset. Invariant: bytes
//! that cannot be decoded become one byte that never occurs in UTF-8, so that their cell is reported
//! with its row and column; nothing is replaced by other text or dropped.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use super::text_encoding::TextEncoding;

/// Copies all of `text`.
pub(in crate::sheet) fn copy_to_utf8(
    mut text: impl Read,
    encoding: TextEncoding,
    to: File,
) -> io::Result<File> {
    let mut to = BufWriter::new(to);
    let mut decoder = encoding.new_decoder();
    let (mut bytes, mut decoded) = (vec![0; 64 << 10], Vec::new());
    loop {
        let read = text.read(&mut bytes)?;
        decoded.clear();
        decoder.decode(&bytes[..read], read == 0, &mut decoded);
        to.write_all(&decoded)?;
        if read == 0 {
            return to.into_inner().map_err(io::IntoInnerError::into_error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom};

    use encoding_rs::{EUC_KR, Encoding, SHIFT_JIS, UTF_16BE, UTF_16LE, WINDOWS_1252};

    use super::*;

    fn transcoded(bytes: &[u8], encoding: &'static Encoding) -> Vec<u8> {
        let encoding = TextEncoding::Standard(encoding);
        let mut file = copy_to_utf8(bytes, encoding, tempfile::tempfile().unwrap()).unwrap();
        let mut copied = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut copied).unwrap();
        copied
    }

    #[test]
    fn undecodable_bytes_keep_their_position() {
        for (bytes, encoding, want) in [
            (&b"a,\x81,\xe9\n"[..], WINDOWS_1252, &b"a,\xff,\xc3\xa9\n"[..]),
            (b"a,\xb0,b\n\xc8", EUC_KR, b"a,\xff,b\n\xff"),
            (b"a,\x82\n", SHIFT_JIS, b"a,\xff\n"),
            (b"\xff\xfea\0\x00\xd8,\0\n\0x", UTF_16LE, b"a\xff,\n\xff"),
            (b"\xfe\xff\0a\0\x85", UTF_16BE, b"a\xc2\x85"),
        ] {
            assert_eq!(transcoded(bytes, encoding), want, "{bytes:?}");
        }
    }

    #[test]
    fn a_long_text_is_copied_completely() {
        let text = "한글과 ascii, 그리고 é\r\n".replace('é', "e").repeat(20_000);
        assert_eq!(transcoded(&EUC_KR.encode(&text).0, EUC_KR), text.as_bytes());
    }
}

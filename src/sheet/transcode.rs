//! Copies a text in any encoding to UTF-8.
//!
//! The text is streamed once; the copy can be read repeatedly and from any offset. Invariant: bytes
//! that cannot be decoded become one byte that never occurs in UTF-8, so that their cell is reported
//! with its row and column; nothing is replaced by other text or dropped.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};

use encoding_rs::{DecoderResult, Encoding, UTF_16BE, UTF_16LE};

/// Replaces undecodable bytes. Never occurs in UTF-8.
const UNDECODABLE: u8 = 0xff;

/// Copies all of `text`.
pub(super) fn copy_to_utf8(
    mut text: impl Read,
    encoding: &'static Encoding,
    to: File,
) -> io::Result<File> {
    let mut to = BufWriter::new(to);
    let mut decoder = encoding.new_decoder_with_bom_removal();
    // Unassigned bytes of legacy encodings are decoded to C1 control characters.
    let keeps_controls = encoding == UTF_16LE || encoding == UTF_16BE;
    let (mut bytes, mut decoded) = (vec![0; 64 << 10], vec![0; 128 << 10]);
    loop {
        let read = text.read(&mut bytes)?;
        let (mut left, last) = (&bytes[..read], read == 0);
        loop {
            let (result, taken, written) =
                decoder.decode_to_utf8_without_replacement(left, &mut decoded, last);
            left = &left[taken..];
            if keeps_controls {
                to.write_all(&decoded[..written])?;
            } else {
                write_without_controls(&decoded[..written], &mut to)?;
            }
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => to.write_all(&[UNDECODABLE])?,
            }
        }
        if last {
            return to.into_inner().map_err(io::IntoInnerError::into_error);
        }
    }
}

/// Writes UTF-8, with U+0080 to U+009F as undecodable bytes.
fn write_without_controls(mut text: &[u8], to: &mut impl Write) -> io::Result<()> {
    let is_control = |pair: &[u8]| pair[0] == 0xc2 && (0x80..0xa0).contains(&pair[1]);
    while let Some(at) = text.windows(2).position(is_control) {
        to.write_all(&text[..at])?;
        to.write_all(&[UNDECODABLE])?;
        text = &text[at + 2..];
    }
    to.write_all(text)
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom};

    use encoding_rs::{EUC_KR, SHIFT_JIS, WINDOWS_1252};

    use super::*;

    fn transcoded(bytes: &[u8], encoding: &'static Encoding) -> Vec<u8> {
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

//! Texts of seven bits: every byte is ASCII, and yet they are in another encoding.
//!
//! Mail programs and old Japanese systems write ISO-2022-JP, which passes as UTF-8; its escape
//! sequences would be spoken. Invariant: a text that is accepted as UTF-8 contains none of these.

use std::io::{self, BufRead, BufReader, Read};

/// A longer piece than this is treated as one line.
const LINE_BYTES_MAX: u64 = 1 << 20;
const ESCAPE: u8 = 0x1b;
/// The escape sequences of ISO-2022-JP that do not return to ASCII.
const JAPANESE_ESCAPES: &[&[u8]] = &[b"$B", b"$@", b"(J", b"(I"];
/// Those of its relatives.
const OTHER_ESCAPES: &[(&[u8], &str)] = &[
    (b"$)C", "ISO-2022-KR"),
    (b"$)A", "ISO-2022-CN"),
    (b"$)G", "ISO-2022-CN"),
    (b"$A", "ISO-2022-JP-2"),
    (b"$(C", "ISO-2022-JP-2"),
    (b"$(D", "ISO-2022-JP-1"),
];

/// An encoding of seven bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sheet) enum SevenBitEncoding {
    Iso2022Jp,
    /// One that is not read, by its name.
    Unsupported(&'static str),
}

/// Returns the encoding of seven bits in which a text is written.
pub(in crate::sheet) fn seven_bit_encoding(
    text: impl Read,
) -> io::Result<Option<SevenBitEncoding>> {
    let mut text = BufReader::new(text);
    let (mut found, mut line) = (None, Vec::new());
    loop {
        line.clear();
        if (&mut text).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        match line_encoding(&line) {
            Some(SevenBitEncoding::Iso2022Jp) => found = Some(SevenBitEncoding::Iso2022Jp),
            Some(unsupported) => return Ok(Some(unsupported)),
            None => {}
        }
    }
}

fn line_encoding(line: &[u8]) -> Option<SevenBitEncoding> {
    let mut found = None;
    for (at, _) in line.iter().enumerate().filter(|(_, byte)| **byte == ESCAPE) {
        let rest = &line[at + 1..];
        if let Some((_, name)) = OTHER_ESCAPES.iter().find(|(start, _)| rest.starts_with(start)) {
            return Some(SevenBitEncoding::Unsupported(name));
        }
        if JAPANESE_ESCAPES.iter().any(|start| rest.starts_with(start)) {
            found = Some(SevenBitEncoding::Iso2022Jp);
        }
    }
    if found.is_none() && line.is_ascii() {
        let name = if has_hz(line) {
            Some("HZ-GB-2312")
        } else if has_utf_7(line) {
            Some("UTF-7")
        } else {
            None
        };
        found = name.map(SevenBitEncoding::Unsupported);
    }
    found
}

/// Returns whether the line contains `~{`, pairs of bytes and `~}`.
fn has_hz(line: &[u8]) -> bool {
    let starts = line.windows(2).enumerate().filter(|(_, pair)| *pair == b"~{");
    starts.into_iter().any(|(start, _)| {
        let rest = &line[start + 2..];
        let length = rest.windows(2).position(|pair| pair == b"~}").unwrap_or(0);
        let pairs = &rest[..length];
        length > 0 && length % 2 == 0 && pairs.iter().all(|byte| (0x21..0x7f).contains(byte))
    })
}

/// Returns whether the line contains letters that are not ASCII in the form `+…-` of UTF-7.
fn has_utf_7(line: &[u8]) -> bool {
    let starts = line.iter().enumerate().filter(|(_, byte)| **byte == b'+');
    starts.into_iter().any(|(start, _)| {
        let rest = &line[start + 1..];
        let length = rest.iter().position(|byte| base64_digit(*byte).is_none()).unwrap_or(0);
        rest.get(length) == Some(&b'-') && is_utf_7_text(&rest[..length])
    })
}

fn is_utf_7_text(digits: &[u8]) -> bool {
    let (mut bits, mut count, mut units) = (0_u32, 0, Vec::new());
    for digit in digits.iter().filter_map(|byte| base64_digit(*byte)) {
        (bits, count) = (bits << 6 | u32::from(digit), count + 6);
        if count >= 16 {
            count -= 16;
            units.extend(u16::try_from(bits >> count & 0xffff));
            bits &= (1 << count) - 1;
        }
    }
    let is_letter = |c: char| !c.is_ascii() && c.is_alphabetic();
    let text = String::from_utf16(&units);
    let is_complete = count < 6 && bits == 0 && !units.is_empty();
    is_complete
        && text.is_ok_and(|text| {
            text.chars().all(|c| is_letter(c) || !c.is_ascii()) && text.chars().any(is_letter)
        })
}

fn base64_digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_of_seven_bits_are_recognized() {
        let unsupported = |name| Some(SevenBitEncoding::Unsupported(name));
        for (text, want) in [
            (&b"id,text\n1,\x1b$B$3$s\x1b(B\n"[..], Some(SevenBitEncoding::Iso2022Jp)),
            (b"\x1b$)Cid\n1,\x0e0!\x0f\n", unsupported("ISO-2022-KR")),
            (b"id\n~{<:Ky2;~}\n", unsupported("HZ-GB-2312")),
            (b"id\nGr+APwA3w-e\n", unsupported("UTF-7")),
            (b"id\n+ZeVnLIqe-\n", unsupported("UTF-7")),
            (b"id,text\n+49-30,a+b-c,\x1b[1m,~{x~},1+1-2,+1-800-555\n", None),
            ("id\n1,Gr\u{fc}\u{df}e +APw- \n".as_bytes(), None),
        ] {
            assert_eq!(seven_bit_encoding(text).unwrap(), want, "{text:?}");
        }
    }
}

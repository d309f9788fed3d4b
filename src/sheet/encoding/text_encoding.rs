//! An encoding of a text: one of the Encoding Standard, or a code page of DOS.
//!
//! Excel saves "CSV (MS-DOS)" in a code page that the Encoding Standard lacks. Those have one byte per
//! character; they are never guessed, only named in the batch file, or suggested by a message.

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use oem_cp::code_table::DECODING_TABLE_CP_MAP;

/// Replaces undecodable bytes. Never occurs in UTF-8.
const UNDECODABLE: u8 = 0xff;

/// An encoding of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sheet) enum TextEncoding {
    Standard(&'static Encoding),
    Dos(&'static DosCodePage),
}

/// A code page of DOS.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::sheet) struct DosCodePage {
    number: u16,
    name: &'static str,
}

pub(super) const DOS_CODE_PAGES: &[DosCodePage] = &[
    DosCodePage { number: 850, name: "cp850" },
    DosCodePage { number: 437, name: "cp437" },
    DosCodePage { number: 852, name: "cp852" },
    DosCodePage { number: 858, name: "cp858" },
    DosCodePage { number: 857, name: "cp857" },
    DosCodePage { number: 775, name: "cp775" },
    DosCodePage { number: 855, name: "cp855" },
    DosCodePage { number: 737, name: "cp737" },
    DosCodePage { number: 869, name: "cp869" },
    DosCodePage { number: 860, name: "cp860" },
    DosCodePage { number: 861, name: "cp861" },
    DosCodePage { number: 863, name: "cp863" },
    DosCodePage { number: 865, name: "cp865" },
    DosCodePage { number: 862, name: "cp862" },
    DosCodePage { number: 864, name: "cp864" },
    DosCodePage { number: 720, name: "cp720" },
];

impl TextEncoding {
    pub(in crate::sheet) const UTF_8: Self = Self::Standard(UTF_8);

    /// Returns the code page with a name such as `cp850`, `IBM-850` or `850`.
    pub(super) fn from_code_page_name(name: &str) -> Option<Self> {
        let digits = name.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        let prefix = name[..name.len() - digits.len()].trim_end_matches(['-', '_', ' ']);
        let is_prefix = matches!(prefix, "" | "cp" | "ibm" | "dos" | "oem" | "csibm" | "pc");
        let number: u16 = digits.parse().ok().filter(|_| is_prefix)?;
        DOS_CODE_PAGES.iter().find(|page| page.number == number).map(Self::Dos)
    }

    pub(in crate::sheet) fn name(self) -> &'static str {
        match self {
            Self::Standard(encoding) => encoding.name(),
            Self::Dos(page) => page.name,
        }
    }

    /// Decodes one line; undecodable bytes become U+FFFD.
    pub(super) fn decode_line(self, line: &[u8]) -> String {
        let mut text = String::new();
        match self {
            Self::Standard(encoding) => {
                text.push_str(&encoding.decode_without_bom_handling(line).0);
            }
            Self::Dos(page) => {
                text.extend(line.iter().map(|byte| page.decode_byte(*byte).unwrap_or('\u{fffd}')));
            }
        }
        text
    }

    pub(super) fn new_decoder(self) -> TextDecoder {
        match self {
            Self::Standard(encoding) => TextDecoder::Standard {
                decoder: encoding.new_decoder_with_bom_removal(),
                // Unassigned bytes of legacy encodings are decoded to C1 control characters.
                keeps_controls: encoding == UTF_16LE || encoding == UTF_16BE,
            },
            Self::Dos(page) => TextDecoder::Dos(page),
        }
    }
}

impl DosCodePage {
    fn decode_byte(&self, byte: u8) -> Option<char> {
        DECODING_TABLE_CP_MAP.get(&self.number)?.decode_char_checked(byte)
    }
}

/// Decodes a text in pieces.
pub(super) enum TextDecoder {
    Standard { decoder: Decoder, keeps_controls: bool },
    Dos(&'static DosCodePage),
}

impl TextDecoder {
    /// Appends a piece as UTF-8, with undecodable bytes marked.
    pub(super) fn decode(&mut self, mut bytes: &[u8], is_last: bool, to: &mut Vec<u8>) {
        let (decoder, keeps_controls) = match self {
            Self::Standard { decoder, keeps_controls } => (decoder, *keeps_controls),
            Self::Dos(page) => {
                for byte in bytes {
                    match page.decode_byte(*byte) {
                        Some(c) => to.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
                        None => to.push(UNDECODABLE),
                    }
                }
                return;
            }
        };
        let mut decoded = vec![0; 64 << 10];
        loop {
            let (result, taken, written) =
                decoder.decode_to_utf8_without_replacement(bytes, &mut decoded, is_last);
            bytes = &bytes[taken..];
            match keeps_controls {
                true => to.extend(&decoded[..written]),
                false => extend_without_controls(&decoded[..written], to),
            }
            match result {
                DecoderResult::InputEmpty => return,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => to.push(UNDECODABLE),
            }
        }
    }
}

/// Appends UTF-8, with U+0080 to U+009F as undecodable bytes.
fn extend_without_controls(mut text: &[u8], to: &mut Vec<u8>) {
    let is_control = |pair: &[u8]| pair[0] == 0xc2 && (0x80..0xa0).contains(&pair[1]);
    while let Some(at) = text.windows(2).position(is_control) {
        to.extend(&text[..at]);
        to.push(UNDECODABLE);
        text = &text[at + 2..];
    }
    to.extend(text);
}

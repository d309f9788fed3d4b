//! Recognizes text that was written as UTF-8, read in a legacy encoding, and saved again: `GrÃ¼ÃŸe`.
//!
//! The text is written back in each such encoding: only garbled text becomes UTF-8 again by that.
//! Invariant: a text is reported only if ordinary words of its script do not have this form, so one
//! letter and a closing quotation mark are not enough.

use encoding_rs::{
    Encoding, MACINTOSH, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253, WINDOWS_1254,
};

/// Encodings that garble a whole text; Windows-1252 is treated more closely.
const ENCODINGS: [&Encoding; 5] =
    [WINDOWS_1251, WINDOWS_1250, WINDOWS_1253, WINDOWS_1254, MACINTOSH];

/// The bytes that may follow the first byte of a UTF-8 sequence, as punctuation of code page 437
/// and 850: what consoles make of them.
const CONSOLE_LEADS: [char; 2] = ['├', '┬'];

/// Returns the first garbled piece of a text.
pub fn find_garbled_text(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let runs: Vec<&str> =
        text.split(|c: char| c.is_ascii()).filter(|run| !run.is_empty()).collect();
    let western = runs.iter().find(|run| is_garbled_western(run, text));
    let console = || runs.iter().find(|run| is_garbled_console(run));
    if let Some(run) = western.or_else(console) {
        return Some(word_around(text, run));
    }
    ENCODINGS.iter().find_map(|encoding| {
        let decoded: Option<Vec<String>> =
            runs.iter().map(|run| decode_again(run, encoding)).collect();
        let letters: usize = decoded?.iter().map(|run| run.chars().count()).sum();
        (letters > 1).then(|| word_around(text, runs[0]))
    })
}

/// Checks a run of Windows-1252, or ISO 8859-1.
fn is_garbled_western(run: &str, text: &str) -> bool {
    let Some(decoded) = decode_again(run, WINDOWS_1252) else { return false };
    let mut chars = run.chars();
    let (first, second) = (chars.next(), chars.next());
    if decoded.chars().count() > 1 {
        return true;
    }
    match (first, second) {
        // `Ã¼`, `Â°`, `Å‚`: at the end of a word, a closing mark makes it ambiguous.
        (Some('Ã' | 'Â' | 'Å' | 'Ä'), Some(second)) => {
            !is_closing_mark(second) || is_inside_word(run, text)
        }
        // `â€“`, `â‚¬`, `ï»¿`, and emoji.
        (Some('â'), Some('€' | '‚' | '„' | '\u{80}'..='\u{84}')) => true,
        (Some('ï'), Some('»' | '¿')) | (Some('ð'), Some('Ÿ' | '\u{9f}')) => true,
        _ => false,
    }
}

fn is_closing_mark(c: char) -> bool {
    matches!(
        c,
        '“' | '”'
            | '’'
            | '‘'
            | '»'
            | '«'
            | '…'
            | '–'
            | '—'
            | '™'
            | '®'
            | '›'
            | '‹'
            | '•'
            | '\u{a0}'
    )
}

fn is_inside_word(run: &str, text: &str) -> bool {
    let end = run.as_ptr() as usize - text.as_ptr() as usize + run.len();
    text[end..].starts_with(char::is_alphanumeric)
}

/// Checks a run of code page 437 or 850: `├╝`.
fn is_garbled_console(run: &str) -> bool {
    let chars: Vec<char> = run.chars().collect();
    chars
        .windows(2)
        .any(|pair| CONSOLE_LEADS.contains(&pair[0]) && !CONSOLE_LEADS.contains(&pair[1]))
        && chars.len().is_multiple_of(2)
}

/// Writes a run in `encoding` and reads it as UTF-8. `None` if either is impossible.
fn decode_again(run: &str, encoding: &'static Encoding) -> Option<String> {
    let mut bytes = Vec::with_capacity(run.len());
    for c in run.chars() {
        // Programs keep bytes without a letter as the control characters of these numbers.
        if let '\u{80}'..='\u{9f}' = c {
            bytes.push(u8::try_from(u32::from(c)).ok()?);
            continue;
        }
        let mut buffer = [0; 4];
        let (encoded, _, has_unmappable) = encoding.encode(c.encode_utf8(&mut buffer));
        if has_unmappable {
            return None;
        }
        bytes.extend_from_slice(&encoded);
    }
    String::from_utf8(bytes).ok()
}

/// Returns the word of `text` that contains `run`, which is a part of it.
fn word_around(text: &str, run: &str) -> String {
    let start = run.as_ptr() as usize - text.as_ptr() as usize;
    let from = text[..start].rfind(|c: char| c.is_ascii_whitespace()).map_or(0, |at| at + 1);
    let to =
        text[start..].find(|c: char| c.is_ascii_whitespace()).map_or(text.len(), |at| start + at);
    text[from..to].to_owned()
}

//! Splits the bytes of a CSV record into cells.
//!
//! As RFC 4180, but for what spreadsheets and people write beside it: blanks around a quoted cell, the
//! text guard `="00123"`, and byte order marks of files that were joined. The `csv` crate takes these
//! for text, and splits ` "Hello, you"` at its comma. Text after a closing quote is kept and marked:
//! nearly always an earlier quote was never closed, and one cell contains all rows since, which would
//! be rendered and paid for. Invariant: the cells of a record do not depend on how it was buffered.

use super::records::CsvRecord;
use crate::text::trim_invisible;

/// The longest blank beside a quote, in bytes.
const BLANK_BYTES_MAX: usize = 256;
const BOM: &[u8] = "\u{feff}".as_bytes();

/// The state within one record.
#[derive(Debug)]
pub(super) struct RecordSplitter {
    delimiter: u8,
    state: SplitState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SplitState {
    /// In a cell that does not begin with a quote.
    Plain,
    /// Between quotes.
    Quoted,
    /// After a quote that closes the cell, unless another one follows.
    Closed,
    /// Behind the closing quote: blanks, or stray text. The cell proper has `length` bytes.
    Behind { length: usize },
    /// Between the quotes of `="…"`, which are kept until the cell ends. It ends with its line.
    Guarded,
    /// After a quote that closes it, unless another one follows.
    GuardClosed,
    /// The record has ended.
    Done,
}

impl RecordSplitter {
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, state: SplitState::Plain }
    }

    /// Returns whether the record has ended.
    pub(super) fn is_done(&self) -> bool {
        self.state == SplitState::Done
    }

    /// Reads bytes up to the end of the record or of the input; returns their number.
    pub(super) fn split(&mut self, input: &[u8], record: &mut CsvRecord) -> usize {
        let mut at = 0;
        while at < input.len() && !self.is_done() {
            let rest = &input[at..];
            let run = match self.state {
                SplitState::Plain | SplitState::Behind { .. } => {
                    rest.iter().position(|byte| self.is_special(*byte))
                }
                SplitState::Quoted => rest.iter().position(|byte| *byte == b'"'),
                SplitState::Guarded => {
                    rest.iter().position(|byte| matches!(byte, b'"' | b'\r' | b'\n'))
                }
                SplitState::Closed | SplitState::GuardClosed | SplitState::Done => Some(0),
            };
            let run = run.unwrap_or(rest.len());
            record.push_bytes(&rest[..run]);
            at += run;
            if let Some(byte) = input.get(at) {
                self.step(*byte, record);
                at += 1;
            }
        }
        at
    }

    /// Ends the record at the end of the file.
    pub(super) fn end_input(&mut self, record: &mut CsvRecord) {
        if self.state == SplitState::Quoted {
            record.mark_open_quote();
        }
        self.end_cell(record);
        self.state = SplitState::Done;
    }

    fn is_special(&self, byte: u8) -> bool {
        byte == self.delimiter || matches!(byte, b'"' | b'\r' | b'\n')
    }

    /// Reads a byte with a meaning, or the one after a closing quote.
    fn step(&mut self, byte: u8, record: &mut CsvRecord) {
        let is_line_end = matches!(byte, b'\r' | b'\n');
        let is_end = match self.state {
            SplitState::Quoted | SplitState::Done => false,
            SplitState::Guarded => is_line_end,
            SplitState::Plain
            | SplitState::Closed
            | SplitState::Behind { .. }
            | SplitState::GuardClosed => is_line_end || byte == self.delimiter,
        };
        if is_end {
            self.end_cell(record);
            self.state = if is_line_end { SplitState::Done } else { SplitState::Plain };
            return;
        }
        match self.state {
            SplitState::Plain => match as_blank(record.open_cell()) {
                Some("") => {
                    record.truncate_open_cell(0);
                    self.state = SplitState::Quoted;
                }
                Some("=") => {
                    record.push_bytes(b"\"");
                    self.state = SplitState::Guarded;
                }
                Some(_) | None => record.push_bytes(b"\""),
            },
            SplitState::Quoted => self.state = SplitState::Closed,
            SplitState::Closed if byte == b'"' => {
                record.push_bytes(b"\"");
                self.state = SplitState::Quoted;
            }
            SplitState::Closed => {
                self.state = SplitState::Behind { length: record.open_cell().len() };
                record.push_bytes(&[byte]);
            }
            SplitState::Behind { .. } => record.push_bytes(&[byte]),
            SplitState::Guarded => {
                record.push_bytes(b"\"");
                self.state = SplitState::GuardClosed;
            }
            SplitState::GuardClosed => {
                record.push_bytes(&[byte]);
                let is_quote = byte == b'"';
                self.state = if is_quote { SplitState::Guarded } else { SplitState::Plain };
            }
            SplitState::Done => {}
        }
    }

    fn end_cell(&self, record: &mut CsvRecord) {
        if let SplitState::Behind { length } = self.state {
            match record.open_cell().get(length..).and_then(as_blank) {
                Some("") => record.truncate_open_cell(length),
                Some(_) | None => record.mark_stray_text(),
            }
        }
        record.end_cell();
    }
}

/// Returns the text without blanks around it; `None` if it is too long to be a blank.
fn as_blank(bytes: &[u8]) -> Option<&str> {
    let text = (bytes.len() <= BLANK_BYTES_MAX).then(|| str::from_utf8(bytes).ok());
    text.flatten().map(trim_invisible)
}

/// Removes from the cell at the end of `bytes` what is not part of its text: the byte order mark
/// before the first cell of a row, and the guard `="…"`, with which programs keep the zeros of
/// `00123`.
pub(super) fn clean_cell(bytes: &mut Vec<u8>, start: usize, is_first: bool) {
    while is_first && bytes[start..].starts_with(BOM) {
        bytes.drain(start..start + BOM.len());
    }
    let Some(guarded) = guarded_text(&bytes[start..]) else { return };
    bytes.truncate(start);
    bytes.extend(guarded);
}

/// Returns the text in `="…"`; `None` for any other cell, such as a formula of several parts.
fn guarded_text(cell: &[u8]) -> Option<Vec<u8>> {
    // Most cells are ruled out by one byte.
    if !cell.contains(&b'=') || !cell.ends_with(b"\"") && !cell.ends_with(b" ") {
        return None;
    }
    let text = trim_invisible(str::from_utf8(cell).ok()?);
    let inner = text.strip_prefix("=\"")?.strip_suffix('"')?;
    let is_one_text = !inner.replace("\"\"", "").contains('"');
    is_one_text.then(|| inner.replace("\"\"", "\"").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::records::RecordDamage;

    #[test]
    fn text_after_a_closing_quote_is_detected() {
        let cases = [
            ("a,\"b\",c\r\n", None),
            ("\"a \"\"b\"\"\",\"\",\"\"\"\"\n", None),
            ("she said \"yes\",6\" pipe\n", None),
            ("\"a,\r\nb\"\n", None),
            ("a,\"b\" c,d\n", Some(1)),
            ("1,\"Hello,en\n3,\"Bye\",en\n", Some(1)),
            ("x,y,\"\"z\n", Some(2)),
            ("\"a\" ,b\n", None),
            ("a, \"b\" c\n", Some(1)),
        ];
        for (text, want) in cases {
            for step in 1..5 {
                let (mut splitter, mut record) = (RecordSplitter::new(b','), CsvRecord::new());
                // In pieces, since a record may span buffers.
                for piece in text.as_bytes().chunks(step) {
                    splitter.split(piece, &mut record);
                }
                let stray = want.map(|column| RecordDamage::StrayText { column });
                assert_eq!(record.damage, stray, "{text:?}");
            }
        }
    }
}

//! Detects text after a closing quote: `"Hello" she said`.
//!
//! CSV readers accept it and drop the quotes. Nearly always it means that an earlier quote was never
//! closed, and that one cell contains all rows since: it would be rendered and paid for. The tracker
//! only reads the bytes; it does not split them.

/// Tracks the quotes in the bytes of one record.
#[derive(Debug)]
pub(super) struct QuoteTracker {
    delimiter: u8,
    state: QuoteState,
    column: usize,
    stray_column: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum QuoteState {
    CellStart,
    Plain,
    Quoted,
    /// After a quote that closes the cell, unless another one follows.
    Closed,
}

impl QuoteTracker {
    pub(super) fn new(delimiter: u8) -> Self {
        Self { delimiter, state: QuoteState::CellStart, column: 0, stray_column: None }
    }

    /// Reads the next bytes of the record, including its end.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.state = match (self.state, *byte) {
                (QuoteState::Quoted, b'"') | (QuoteState::Closed, b'\r' | b'\n') => {
                    QuoteState::Closed
                }
                (QuoteState::Quoted, _) | (QuoteState::Closed | QuoteState::CellStart, b'"') => {
                    QuoteState::Quoted
                }
                (QuoteState::Closed | QuoteState::CellStart | QuoteState::Plain, byte)
                    if byte == self.delimiter =>
                {
                    self.column += 1;
                    QuoteState::CellStart
                }
                (QuoteState::Closed, _) => {
                    self.stray_column.get_or_insert(self.column);
                    QuoteState::Plain
                }
                (QuoteState::CellStart | QuoteState::Plain, _) => QuoteState::Plain,
            };
        }
    }

    /// Returns the first column with text after its closing quote.
    pub(super) fn stray_column(&self) -> Option<usize> {
        self.stray_column
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_after_a_closing_quote_is_detected() {
        let cases = [
            ("a,\"b\",c\r\n", None),
            ("\"a \"\"b\"\"\",\"\",\"\"\"\"\n", None),
            ("she said \"yes\",6\" pipe\n", None),
            ("\"a,\r\nb\"", None),
            ("a,\"b\" c,d\n", Some(1)),
            ("1,\"Hello,en\n3,\"Bye\",en\n", Some(1)),
            ("x,y,\"\"z", Some(2)),
            ("\"a\" ,b", Some(0)),
        ];
        for (record, want) in cases {
            let mut quotes = QuoteTracker::new(b',');
            // In pieces, since a record may span buffers.
            record.as_bytes().chunks(3).for_each(|bytes| quotes.feed(bytes));
            assert_eq!(quotes.stray_column(), want, "{record:?}");
        }
    }
}

//! Text behind a closing quote: `"Hello" she said`.
//!
//! CSV readers, ours included, take it and drop the quotes. Nearly always it means that a quote
//! further up was never closed, and that the rows between were swallowed into one text, which
//! would be rendered and paid for. This only watches the bytes go by; it does not cut them.

/// Watches the bytes of one record.
#[derive(Debug)]
pub(super) struct Quotes {
    delimiter: u8,
    at: At,
    column: usize,
    stray: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    CellStart,
    Plain,
    Quoted,
    /// Behind a quote that closes the cell, unless another one follows.
    Closed,
}

impl Quotes {
    pub(super) fn of_record(delimiter: u8) -> Self {
        Self { delimiter, at: At::CellStart, column: 0, stray: None }
    }

    /// Takes the next bytes of the record, its end included.
    pub(super) fn watch(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.at = match (self.at, *byte) {
                (At::Quoted, b'"') | (At::Closed, b'\r' | b'\n') => At::Closed,
                (At::Quoted, _) | (At::Closed | At::CellStart, b'"') => At::Quoted,
                (At::Closed | At::CellStart | At::Plain, byte) if byte == self.delimiter => {
                    self.column += 1;
                    At::CellStart
                }
                (At::Closed, _) => {
                    self.stray.get_or_insert(self.column);
                    At::Plain
                }
                (At::CellStart | At::Plain, _) => At::Plain,
            };
        }
    }

    /// Returns the first column with text behind its closing quote.
    pub(super) fn stray(&self) -> Option<usize> {
        self.stray
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_behind_a_closing_quote_is_found() {
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
            let mut quotes = Quotes::of_record(b',');
            // However the bytes are cut.
            record.as_bytes().chunks(3).for_each(|bytes| quotes.watch(bytes));
            assert_eq!(quotes.stray(), want, "{record:?}");
        }
    }
}

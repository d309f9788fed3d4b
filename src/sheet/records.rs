//! CSV records with correct row numbers.
//!
//! Wraps the automaton of `csv-core` and adds three things that the `csv` crate lacks: row numbers as
//! a spreadsheet shows them (blank lines count, quoted line breaks do not, with any line ends), byte
//! offsets for seeking, and the detection of an unclosed quote. Headings and encodings are unknown
//! here. Invariant: a record needs at most [`RECORD_BYTES_MAX`]; a longer one is read to its end,
//! dropped, and marked as damaged.

use std::io::{self, BufRead, BufReader, Read, Seek};

use csv_core::ReadRecordResult;

use super::delimiter::Delimiter;
use super::quotes::QuoteTracker;

/// The longest valid cell. Spreadsheets themselves stop at 32,767 characters.
pub(super) const CELL_BYTES_MAX: usize = 1 << 20;
/// The longest valid record.
pub(super) const RECORD_BYTES_MAX: usize = 4 << 20;
/// The most cells in a record.
pub(super) const CELLS_MAX: usize = 4_096;

const BUFFER_BYTES: usize = 64 << 10;
const BOM: &[u8] = "\u{feff}".as_bytes();

/// One record; its buffers are reused.
#[derive(Debug)]
pub(super) struct CsvRecord {
    /// Its start.
    pub(super) position: RecordPosition,
    /// The damage, if its cells are incomplete.
    pub(super) damage: Option<RecordDamage>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
    bytes_used: usize,
    ends_used: usize,
}

/// A position between two records.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordPosition {
    pub(super) offset: u64,
    /// The number of the row that begins here.
    pub(super) row: u64,
    /// A line feed here belongs to the carriage return before it.
    after_carriage_return: bool,
}

impl RecordPosition {
    pub(super) fn new(row: u64, offset: u64) -> Self {
        Self { offset, row, after_carriage_return: false }
    }
}

/// The reason why a record is unreadable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordDamage {
    /// The file ends within the quotes that open in this column.
    OpenQuote { column: usize },
    /// Text follows the quote that closes this column's cell.
    StrayText { column: usize },
    /// This column's cell is longer than [`CELL_BYTES_MAX`].
    LongCell { column: usize },
    /// All cells together are longer than [`RECORD_BYTES_MAX`].
    LongRecord,
    /// There are more than [`CELLS_MAX`] cells.
    ManyCells,
}

impl RecordDamage {
    /// Returns whether this record may contain other rows.
    pub(super) fn can_hide_rows(self, record: &CsvRecord) -> bool {
        match self {
            Self::OpenQuote { .. } | Self::LongCell { .. } | Self::LongRecord => true,
            // The record is complete, and a single line contains no other row.
            Self::StrayText { .. } => record.parts().0.iter().any(|byte| b"\r\n".contains(byte)),
            Self::ManyCells => false,
        }
    }
}

impl CsvRecord {
    pub(super) fn new() -> Self {
        Self {
            position: RecordPosition::new(1, 0),
            damage: None,
            bytes: vec![0; 1 << 10],
            ends: vec![0; 32],
            bytes_used: 0,
            ends_used: 0,
        }
    }

    /// Returns all cells, concatenated, and the end of each.
    pub(super) fn parts(&self) -> (&[u8], &[usize]) {
        (&self.bytes[..self.bytes_used], &self.ends[..self.ends_used])
    }

    /// Returns one cell.
    pub(super) fn cell(&self, column: usize) -> &[u8] {
        let (bytes, ends) = self.parts();
        let start = column.checked_sub(1).and_then(|before| ends.get(before)).copied();
        let end = ends.get(column).copied();
        bytes.get(start.unwrap_or(0)..end.unwrap_or(bytes.len())).unwrap_or_default()
    }

    fn reset(&mut self, at: RecordPosition) {
        (self.position, self.damage, self.bytes_used, self.ends_used) = (at, None, 0, 0);
    }

    fn is_blank(&self) -> bool {
        self.damage.is_none() && self.parts().0.iter().all(u8::is_ascii_whitespace)
    }

    /// Enlarges the buffer, or marks the record as damaged and overwrites it.
    fn grow_bytes(&mut self) {
        if self.bytes.len() < RECORD_BYTES_MAX {
            self.bytes.resize(self.bytes.len() * 2, 0);
            return;
        }
        if self.damage.is_none() {
            let cell_start = self.ends_used.checked_sub(1).map_or(0, |last| self.ends[last]);
            self.damage = Some(if self.bytes_used - cell_start > CELL_BYTES_MAX {
                RecordDamage::LongCell { column: self.ends_used }
            } else {
                RecordDamage::LongRecord
            });
        }
        self.bytes_used = 0;
    }

    fn grow_ends(&mut self) {
        if self.ends.len() < CELLS_MAX {
            self.ends.resize(self.ends.len() * 2, 0);
            return;
        }
        self.damage.get_or_insert(RecordDamage::ManyCells);
        self.ends_used = 0;
    }

    /// Marks that the file ends within quotes, which takes precedence over the size of the cell.
    fn mark_open_quote(&mut self) {
        let column = match self.damage {
            None => self.ends_used,
            Some(
                RecordDamage::LongCell { column }
                | RecordDamage::OpenQuote { column }
                | RecordDamage::StrayText { column },
            ) => column,
            Some(RecordDamage::LongRecord | RecordDamage::ManyCells) => 0,
        };
        self.damage = Some(RecordDamage::OpenQuote { column });
    }

    /// Marks damage that is known only at the end of the record.
    fn finish(&mut self, stray: Option<usize>) {
        if self.damage.is_some() {
            return;
        }
        self.damage = stray.map(|column| RecordDamage::StrayText { column });
        if self.bytes_used > CELL_BYTES_MAX {
            let ends = &self.ends[..self.ends_used];
            let starts = [0].into_iter().chain(ends.iter().copied());
            let long = starts.zip(ends).position(|(start, end)| end - start > CELL_BYTES_MAX);
            self.damage = long.map(|column| RecordDamage::LongCell { column }).or(self.damage);
        }
    }

    /// Returns the unused parts of both buffers.
    fn free_buffers(&mut self) -> (&mut [u8], &mut [usize]) {
        (&mut self.bytes[self.bytes_used..], &mut self.ends[self.ends_used..])
    }
}

/// Reads records one by one.
pub(super) struct RecordReader<R> {
    input: BufReader<R>,
    core: csv_core::Reader,
    delimiter: u8,
    next_position: RecordPosition,
}

impl<R: Read> RecordReader<R> {
    /// Starts after the byte order mark of a file, or at `start`, which must be within the first
    /// buffer.
    pub(super) fn new(input: R, delimiter: Delimiter, start: u64) -> io::Result<Self> {
        let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
        let mut next = RecordPosition::new(1, start);
        if input.fill_buf()?.starts_with(BOM) {
            next.offset = start.max(BOM.len() as u64);
        }
        input.consume(usize::try_from(next.offset).map_err(|_| io::ErrorKind::InvalidInput)?);
        let mut core = csv_core::ReaderBuilder::new().delimiter(delimiter.byte).build();
        // The automaton drops a byte order mark from its first bytes, which after `seek_to` may be
        // those of any row.
        core.read_record(b"\n", &mut [0], &mut [0]);
        Ok(Self { input, core, delimiter: delimiter.byte, next_position: next })
    }

    /// Returns the start of the next record, including blank lines before it.
    pub(super) fn position(&self) -> RecordPosition {
        self.next_position
    }

    /// Returns the input.
    pub(super) fn get_ref(&self) -> &R {
        self.input.get_ref()
    }

    /// Reads the next record that is not blank; `false` at the end.
    pub(super) fn read_non_blank(&mut self, record: &mut CsvRecord) -> io::Result<bool> {
        while self.read(record)? {
            if !record.is_blank() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the next record; `false` at the end.
    pub(super) fn read(&mut self, record: &mut CsvRecord) -> io::Result<bool> {
        self.skip_blank_lines()?;
        record.reset(self.next_position);
        if self.input.fill_buf()?.is_empty() {
            return Ok(false);
        }
        let mut quotes = QuoteTracker::new(self.delimiter);
        let mut plain = true;
        loop {
            let input = self.input.fill_buf()?;
            let at_end = input.is_empty();
            // A line break ends the last record, unless it falls within quotes.
            let open = matches!(record.damage, Some(RecordDamage::OpenQuote { .. }));
            let fed = if at_end && !open { b"\n" } else { input };
            let (bytes, ends) = record.free_buffers();
            let (result, taken, written, ended) = self.core.read_record(fed, bytes, ends);
            let done = matches!(result, ReadRecordResult::Record | ReadRecordResult::End);
            // Most records are complete and without quotes, and need no tracking.
            plain = plain && done && !fed[..taken].contains(&b'"');
            if !plain {
                quotes.feed(&fed[..taken]);
            }
            if !at_end {
                self.next_position.after_carriage_return = taken > 0 && fed[taken - 1] == b'\r';
                self.next_position.offset += taken as u64;
                self.input.consume(taken);
            }
            record.bytes_used += written;
            record.ends_used += ended;
            match result {
                ReadRecordResult::InputEmpty if at_end => record.mark_open_quote(),
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => record.grow_bytes(),
                ReadRecordResult::OutputEndsFull => record.grow_ends(),
                ReadRecordResult::Record | ReadRecordResult::End => {
                    self.next_position.row += 1;
                    record.finish(quotes.stray_column());
                    return Ok(true);
                }
            }
        }
    }

    /// Counts the empty lines before the next record.
    fn skip_blank_lines(&mut self) -> io::Result<()> {
        loop {
            let first = self.input.fill_buf()?.first();
            match first {
                Some(b'\n') if self.next_position.after_carriage_return => {
                    self.next_position.after_carriage_return = false;
                }
                Some(b'\n') => self.next_position.row += 1,
                Some(b'\r') => {
                    self.next_position.row += 1;
                    self.next_position.after_carriage_return = true;
                }
                Some(_) | None => {
                    self.next_position.after_carriage_return = false;
                    return Ok(());
                }
            }
            self.input.consume(1);
            self.next_position.offset += 1;
        }
    }
}

impl<R: Read + Seek> RecordReader<R> {
    /// Continues at the start of a record. Cheap if it is in the buffer.
    pub(super) fn seek_to(&mut self, position: RecordPosition) -> io::Result<()> {
        let distance = i128::from(position.offset) - i128::from(self.next_position.offset);
        let distance = i64::try_from(distance).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.input.seek_relative(distance)?;
        self.next_position = position;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMA: Delimiter = Delimiter::COMMA;

    fn read_all(text: &[u8]) -> Vec<(u64, Vec<String>, Option<RecordDamage>)> {
        let mut records = RecordReader::new(io::Cursor::new(text), COMMA, 0).unwrap();
        let mut record = CsvRecord::new();
        let mut all = Vec::new();
        while records.read(&mut record).unwrap() {
            let (bytes, ends) = record.parts();
            let starts = [0].into_iter().chain(ends.iter().copied());
            let cells = starts.zip(ends).map(|(start, end)| bytes.get(start..*end).unwrap_or(b"?"));
            let cells = cells.map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
            all.push((record.position.row, cells, record.damage));
        }
        all
    }

    fn row_numbers(text: &str) -> Vec<u64> {
        read_all(text.as_bytes()).iter().map(|(row, ..)| *row).collect()
    }

    #[test]
    fn rows_are_numbered_as_a_spreadsheet_shows_them() {
        for (text, want) in [
            ("h\na\nb\n", vec![1, 2, 3]),
            ("h\r\na\r\nb", vec![1, 2, 3]),
            ("h\ra\rb\r", vec![1, 2, 3]),
            ("h\n\n\na\n\nb\n", vec![1, 4, 6]),
            ("h\r\n\r\n\r\na\r\n\r\nb\r\n", vec![1, 4, 6]),
            ("h\r\r\ra\r\rb\r", vec![1, 4, 6]),
            ("\r\n\r\nh\r\na", vec![3, 4]),
            ("\n\rh", vec![3]),
            ("h\n\"a\n\nx\"\nb\n", vec![1, 2, 3]),
            ("h\r\n\"a\r\nx\"\r\n\r\nb\r\n", vec![1, 2, 4]),
            ("h\n\"\"\nb\n", vec![1, 2, 3]),
            ("\u{feff}h\n\u{feff}a\n", vec![1, 2]),
            ("\u{feff}\nh\n", vec![2]),
            ("\n\n\n", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(row_numbers(text), want, "{text:?}");
        }
    }

    #[test]
    fn only_the_first_byte_order_mark_is_dropped() {
        let all = read_all("\u{feff}h\n\u{feff}a\n".as_bytes());
        assert_eq!((all[0].1[0].as_str(), all[1].1[0].as_str()), ("h", "\u{feff}a"));
    }

    #[test]
    fn open_quotes_and_stray_text_are_detected() {
        let damage = |text: &str| read_all(text.as_bytes()).last().unwrap().2;
        assert_eq!(damage("a,\"b\nc,d\n"), Some(RecordDamage::OpenQuote { column: 1 }));
        assert_eq!(damage("\""), Some(RecordDamage::OpenQuote { column: 0 }));
        assert_eq!(damage("a,\"b\"\"\n"), Some(RecordDamage::OpenQuote { column: 1 }));
        for closed in ["a,\"b\"", "a,\"b\"\"\"", "a,b\"", "a,\"\"", "a,"] {
            assert_eq!(damage(closed), None, "{closed:?}");
        }
        let stray = Some(RecordDamage::StrayText { column: 1 });
        assert_eq!((damage("a,\"b\"c"), damage("a,\"b\nc,\"d\"\n")), (stray, stray));
    }

    #[test]
    fn an_oversized_record_is_dropped_and_the_next_one_is_read() {
        let long = "x".repeat(CELL_BYTES_MAX + 1);
        let longer = "x".repeat(RECORD_BYTES_MAX * 3);
        let some = "x".repeat(CELL_BYTES_MAX - 1);
        let wide = [some.as_str(); 5].join(",");
        let many = ",".repeat(CELLS_MAX * 3);
        let cases = [
            (format!("a,{long},b"), Some(RecordDamage::LongCell { column: 1 })),
            (format!("a,b,{longer}"), Some(RecordDamage::LongCell { column: 2 })),
            (wide, Some(RecordDamage::LongRecord)),
            (many, Some(RecordDamage::ManyCells)),
            (",".repeat(CELLS_MAX - 1), None),
            (some, None),
        ];
        for (text, want) in cases {
            let all = read_all(format!("h\n{text}\nlast\n").as_bytes());
            assert_eq!(all[1].2, want);
            assert_eq!(all[2], (3, vec!["last".to_owned()], None));
        }
        let open = read_all(format!("a,\"{longer}").as_bytes());
        assert_eq!(open[0].2, Some(RecordDamage::OpenQuote { column: 1 }));
    }

    #[test]
    fn a_record_can_be_read_again_from_its_position() {
        let text = "h\r\n\"a\r\nb\",c\r\n\r\nd\re";
        let mut records = RecordReader::new(io::Cursor::new(text), COMMA, 0).unwrap();
        let mut record = CsvRecord::new();
        let mut seen = Vec::new();
        while records.read(&mut record).unwrap() {
            let at = record.position;
            seen.push((at, record.parts().0.to_vec()));
        }
        for (at, bytes) in seen.iter().rev().chain(&seen) {
            records.seek_to(RecordPosition::new(at.row, at.offset)).unwrap();
            assert!(records.read(&mut record).unwrap());
            assert_eq!((record.position.row, record.parts().0), (at.row, bytes.as_slice()));
        }
    }
}

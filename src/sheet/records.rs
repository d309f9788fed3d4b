//! CSV records with correct row numbers.
//!
//! Beside the cells, which `splitter` separates, a record has its row number as a spreadsheet shows it
//! (blank lines count, quoted line breaks do not, with any line ends) and its byte offset for seeking.
//! Headings and encodings are unknown here. Invariant: a record needs at most [`RECORD_BYTES_MAX`]; a
//! longer one is read to its end, dropped, and marked as damaged.

use std::io::{self, BufRead, BufReader, Read, Seek};

use super::delimiter::Delimiter;
use super::splitter::{self, RecordSplitter};

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
        let position = RecordPosition::new(1, 0);
        Self { position, damage: None, bytes: Vec::new(), ends: Vec::new() }
    }

    /// Returns all cells, concatenated, and the end of each.
    pub(super) fn parts(&self) -> (&[u8], &[usize]) {
        (&self.bytes, &self.ends)
    }

    /// Returns one cell.
    pub(super) fn cell(&self, column: usize) -> &[u8] {
        let (bytes, ends) = self.parts();
        let start = column.checked_sub(1).and_then(|before| ends.get(before)).copied();
        let end = ends.get(column).copied();
        bytes.get(start.unwrap_or(0)..end.unwrap_or(bytes.len())).unwrap_or_default()
    }

    /// Returns the part of the current cell that was read so far.
    pub(super) fn open_cell(&self) -> &[u8] {
        &self.bytes[self.open_cell_start()..]
    }

    /// Appends bytes to the current cell.
    pub(super) fn push_bytes(&mut self, bytes: &[u8]) {
        if matches!(self.damage, None | Some(RecordDamage::StrayText { .. })) {
            self.bytes.extend_from_slice(bytes);
            if self.bytes.len() > RECORD_BYTES_MAX {
                let is_cell_long = self.open_cell().len() > CELL_BYTES_MAX;
                let column = self.ends.len();
                self.drop_cells(match is_cell_long {
                    true => RecordDamage::LongCell { column },
                    false => RecordDamage::LongRecord,
                });
            }
        }
    }

    /// Shortens the current cell to its first bytes.
    pub(super) fn truncate_open_cell(&mut self, bytes: usize) {
        let end = (self.open_cell_start() + bytes).min(self.bytes.len());
        self.bytes.truncate(end);
    }

    /// Ends the current cell.
    pub(super) fn end_cell(&mut self) {
        match self.damage {
            None | Some(RecordDamage::StrayText { .. }) if self.ends.len() < CELLS_MAX => {
                let start = self.open_cell_start();
                if self.bytes.len() - start > CELL_BYTES_MAX {
                    self.damage = Some(RecordDamage::LongCell { column: self.ends.len() });
                }
                splitter::clean_cell(&mut self.bytes, start, self.ends.is_empty());
                self.ends.push(self.bytes.len());
            }
            None | Some(RecordDamage::StrayText { .. }) => {
                self.drop_cells(RecordDamage::ManyCells);
            }
            Some(_) => {}
        }
    }

    /// Marks text after the closing quote of the current cell.
    pub(super) fn mark_stray_text(&mut self) {
        self.damage.get_or_insert(RecordDamage::StrayText { column: self.ends.len() });
    }

    /// Marks that the file ends within quotes, which takes precedence over the size of the cell.
    pub(super) fn mark_open_quote(&mut self) {
        let column = match self.damage {
            None => self.ends.len(),
            Some(
                RecordDamage::LongCell { column }
                | RecordDamage::OpenQuote { column }
                | RecordDamage::StrayText { column },
            ) => column,
            Some(RecordDamage::LongRecord | RecordDamage::ManyCells) => 0,
        };
        self.damage = Some(RecordDamage::OpenQuote { column });
    }

    fn open_cell_start(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn drop_cells(&mut self, damage: RecordDamage) {
        self.damage = Some(damage);
        self.bytes.clear();
        self.ends.clear();
    }

    fn reset(&mut self, at: RecordPosition) {
        (self.position, self.damage) = (at, None);
        self.bytes.clear();
        self.ends.clear();
    }

    fn is_blank(&self) -> bool {
        self.damage.is_none() && self.parts().0.iter().all(u8::is_ascii_whitespace)
    }
}

/// Reads records one by one.
pub(super) struct RecordReader<R> {
    input: BufReader<R>,
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
        Ok(Self { input, delimiter: delimiter.byte, next_position: next })
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
        let mut splitter = RecordSplitter::new(self.delimiter);
        loop {
            let input = self.input.fill_buf()?;
            let at_end = input.is_empty();
            let taken = match at_end {
                true => {
                    splitter.end_input(record);
                    0
                }
                false => splitter.split(input, record),
            };
            if taken > 0 {
                self.next_position.after_carriage_return = input[taken - 1] == b'\r';
                self.next_position.offset += taken as u64;
                self.input.consume(taken);
            }
            if at_end || splitter.is_done() {
                self.next_position.row += 1;
                return Ok(true);
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
            ("\u{feff}h\n\u{feff}a\n\u{feff}\n", vec![1, 2, 3]),
            ("\u{feff}\nh\n", vec![2]),
            ("\n\n\n", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(row_numbers(text), want, "{text:?}");
        }
    }

    #[test]
    fn a_byte_order_mark_at_the_start_of_any_row_is_dropped() {
        let all = read_all("\u{feff}h\n\u{feff}a,\u{feff}b\n\u{feff}\"c, d\",e\n".as_bytes());
        let cells: Vec<_> = all.iter().map(|(_, cells, _)| cells.join("|")).collect();
        assert_eq!(cells, ["h", "a|\u{feff}b", "c, d|e"]);
    }

    #[test]
    fn white_space_beside_quotes_is_not_part_of_the_cell() {
        for (text, want) in [
            ("1, \"Hello, there\",x", "1|Hello, there|x"),
            ("1,\t \"a\"\t ,x", "1|a|x"),
            ("  \"a\nb\"  ,\"\" , c ", "a\nb|| c "),
            ("1,\u{a0}\"a\"\u{3000},\" b \"", "1|a| b "),
            ("1,\"a\" \r", "1|a"),
            ("1, say \"a\" ,x", "1| say \"a\" |x"),
            ("1, \"a\"\" b\" ,", "1|a\" b|"),
        ] {
            let all = read_all(text.as_bytes());
            assert_eq!(
                (all.len(), all[0].1.join("|").as_str(), all[0].2),
                (1, want, None),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_text_guard_of_spreadsheets_is_not_part_of_the_cell() {
        for (text, want) in [
            ("=\"00123\",x", "00123|x"),
            ("=\"\",\"=\"\"007\"\"\"", "|007"),
            (" =\"1,5\" , =\"a\"\"b\"", "1,5|a\"b"),
            ("\"=\"\"a, \"\"\"\"b\"\"\"\"\"\"\"", "a, \"b\""),
            ("=\"a\"&B2,=SUM(A1)", "=\"a\"&B2|=SUM(A1)"),
            ("=\"a\"&\"b\",=\"", "=\"a\"&\"b\"|=\""),
            ("=\"a\"\"b,c\",=\"x,y\n1", "a\"b,c|=\"x,y"),
            ("\u{feff}=\"01\",=\"\u{e9}\"", "01|\u{e9}"),
        ] {
            let all = read_all(text.as_bytes());
            assert_eq!(all[0].1.join("|"), want, "{text:?}");
        }
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

//! Detects the delimiter of a CSV file.
//!
//! Every candidate is tried: the right one splits the headings into several cells, and the rows
//! below into as many. The rows are split as they will be read, so that quoted text does not count.

use super::heading_search::ROWS_SEARCHED;
use super::records::{CsvRecord, RecordReader};
use super::source::FileSample;

/// Rows that are read. More would not change the result.
const ROWS_MAX: usize = 200;
/// Rows of a million that have as many cells as the headings, at least.
const AGREEING_MIN: usize = 500_000;

/// A character between cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiter {
    pub(super) byte: u8,
    /// Its name in messages.
    pub(super) name: &'static str,
}

/// The candidates; of equal ones the first wins.
pub(super) const CANDIDATES: &[Delimiter] = &[
    Delimiter::COMMA,
    Delimiter { byte: b';', name: "semicolon" },
    Delimiter { byte: b'\t', name: "tab" },
    Delimiter { byte: b'|', name: "pipe" },
];

/// The beginning of Excel's first line `sep=;`, which is not part of the table.
const SEP_LINE_PREFIX: &[u8] = b"sep=";

impl Delimiter {
    pub(super) const COMMA: Self = Self { byte: b',', name: "comma" };

    /// Returns the delimiter of a sheet that begins with `sample`, and the offset of its first row.
    /// Its headings are in the row `header_row` or below.
    pub(super) fn detect(sample: &FileSample, header_row: u64) -> (Self, u64) {
        let best = || (Self::best_candidate(sample, header_row), 0);
        parse_sep_line(&sample.bytes).unwrap_or_else(best)
    }

    /// The same for a sheet that may begin with rows of a title: its headings are the first row that
    /// most rows below agree with.
    pub(super) fn detect_below_title(sample: &FileSample) -> (Self, u64) {
        let agrees = |row: &u64| {
            let mut scores =
                CANDIDATES.iter().filter_map(|one| score_candidate(sample, *one, *row));
            scores.any(|(agreeing, _)| agreeing > AGREEING_MIN)
        };
        Self::detect(sample, (1..=ROWS_SEARCHED).find(agrees).unwrap_or(1))
    }

    fn best_candidate(sample: &FileSample, header_row: u64) -> Self {
        let scored = CANDIDATES
            .iter()
            .filter_map(|tried| Some((score_candidate(sample, *tried, header_row)?, *tried)));
        scored.reduce(|best, next| if next.0 > best.0 { next } else { best }).map_or(
            // A sheet of one column has no delimiter, and any will do.
            CANDIDATES[0],
            |(_, best)| best,
        )
    }
}

/// Returns the delimiter declared by the first line, and the offset of the next line.
fn parse_sep_line(bytes: &[u8]) -> Option<(Delimiter, u64)> {
    let text = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let ends = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    let (line, rest) = text.split_at(ends);
    // Programs that do not know this line quote it, and pad it to the width of the table.
    let line: Vec<u8> = line.iter().copied().filter(|byte| *byte != b'"').collect();
    let (word, marks) = line.split_at_checked(SEP_LINE_PREFIX.len())?;
    let byte = *marks.first()?;
    let is_mark = byte == b'\t' || byte.is_ascii_punctuation();
    if !word.eq_ignore_ascii_case(SEP_LINE_PREFIX)
        || !is_mark
        || marks.iter().any(|mark| *mark != byte)
    {
        return None;
    }
    let known = CANDIDATES.iter().find(|tried| tried.byte == byte).copied();
    let delimiter = known.unwrap_or(Delimiter { byte, name: "separator" });
    let line_end = if rest.starts_with(b"\r\n") { 2 } else { 1 };
    Some((delimiter, (bytes.len() - rest.len() + line_end) as u64))
}

/// Returns how many of a million rows have as many cells as the headings, and that number of
/// cells; `None` if the headings are a single cell.
fn score_candidate(
    sample: &FileSample,
    tried: Delimiter,
    header_row: u64,
) -> Option<(usize, usize)> {
    let mut records = RecordReader::new(sample.bytes.as_slice(), tried, 0).ok()?;
    let (mut rows, mut record) = (Vec::new(), CsvRecord::new());
    while rows.len() <= ROWS_MAX && records.read_non_blank(&mut record).unwrap_or(false) {
        if record.position.row < header_row {
            continue;
        }
        let cells = record.parts().1.len();
        rows.push((cells, (0..cells).all(|column| has_balanced_quotes(record.cell(column)))));
    }
    // The sample may end inside the last row.
    if !sample.is_complete && rows.len() <= ROWS_MAX && rows.len() > 1 {
        rows.pop();
    }
    let (headings, _) = *rows.first()?;
    let agreeing = rows.iter().filter(|row| **row == (headings, true)).count();
    (headings > 1).then(|| (agreeing * 1_000_000 / rows.len(), headings))
}

/// A quoted text split at the wrong character leaves one quote on either side.
fn has_balanced_quotes(cell: &[u8]) -> bool {
    cell.iter().filter(|byte| **byte == b'"').count() % 2 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_with_equally_long_rows_is_detected() {
        let cases = [
            ("a,b\n1,2\n", "comma"),
            ("a;b\n1;2\n", "semicolon"),
            ("a\tb\n1\t2\n", "tab"),
            ("\u{feff}a;b;c\r\n1,5;2,5;3,5\r\n", "semicolon"),
            ("id;text\n1;Hello, dear, friend\n2;Hi\n", "semicolon"),
            ("id;\"text, long\"\n1;a\n", "semicolon"),
            ("id;text, long\n1;a\n2;b\n", "semicolon"),
            ("id,\"a;b;c;d\"\n1,\"x;y;z;w\"\n", "comma"),
            ("id,text\n1,\"a\nb;c\"\n2,d\te\n", "comma"),
            (";;\n;;\na;b;c\n1;2;3\n", "semicolon"),
            ("script\nHello, you\n", "comma"),
            ("", "comma"),
            ("a|b|c\n1|x, y|3\n", "pipe"),
            ("a,b\n\"x | y\",2\n", "comma"),
            ("sep=;\na,b,c\n1,2,3\n", "semicolon"),
            ("\u{feff}\"SEP=|\"\r\na,b\r\n", "pipe"),
            ("sep=\t\t\t\na,b,c\n", "tab"),
            ("sep=a\n1\n", "comma"),
            ("sep=^\na^b\n", "separator"),
            ("script\nOne; two\nThree; four\n", "comma"),
        ];
        for (text, want) in cases {
            let sample = FileSample { bytes: text.into(), is_complete: true };
            assert_eq!(Delimiter::detect(&sample, 1).0.name, want, "{text:?}");
        }
    }

    #[test]
    fn the_line_that_declares_the_delimiter_is_not_a_row() {
        for (text, want) in [
            ("sep=;\na;b\n", 6),
            ("sep=;\r\na;b\r\n", 7),
            ("sep=;\ra;b\r", 6),
            ("\u{feff}\"sep=,\",,\r\na", 14),
            ("sep=;", 0),
            ("sep=;b\n", 0),
            ("separator\n", 0),
        ] {
            let sample = FileSample { bytes: text.into(), is_complete: true };
            assert_eq!(Delimiter::detect(&sample, 1).1, want, "{text:?}");
        }
    }

    #[test]
    fn a_row_cut_by_the_sample_does_not_count() {
        let sample = FileSample { bytes: b"a;b;c\n1;2".to_vec(), is_complete: false };
        assert_eq!(score_candidate(&sample, CANDIDATES[1], 1), Some((1_000_000, 3)));
    }
}

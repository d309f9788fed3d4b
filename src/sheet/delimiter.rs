//! Which character stands between two cells.
//!
//! Found by trying: the right one cuts the headings into several cells and the rows below into
//! just as many. Texts in quotes are no evidence, for the cutting is done by a CSV reader.

use super::source::Sample;

/// Rows that are looked at. More would not change anybody's mind.
const ROWS_MAX: usize = 200;

/// A character between cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiter {
    pub(super) byte: u8,
    /// What people call it.
    pub(super) name: &'static str,
}

/// The characters that are tried; of equals the first is taken.
const TRIED: &[Delimiter] = &[
    Delimiter { byte: b',', name: "comma" },
    Delimiter { byte: b';', name: "semicolon" },
    Delimiter { byte: b'\t', name: "tab" },
];

impl Delimiter {
    /// Finds the delimiter of a sheet that begins like this.
    pub(super) fn of(sample: &Sample) -> Self {
        let scored = TRIED.iter().filter_map(|tried| Some((score(sample, *tried)?, *tried)));
        scored.reduce(|best, next| if next.0 > best.0 { next } else { best }).map_or(
            // A sheet of one column has no delimiter, and any will do.
            TRIED[0],
            |(_, best)| best,
        )
    }
}

/// Returns how many in a million rows, headings included, are cut as the headings are, and into
/// how many cells; nothing if the headings are not cut at all.
fn score(sample: &Sample, tried: Delimiter) -> Option<(usize, usize)> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(tried.byte)
        .has_headers(false)
        .flexible(true)
        .from_reader(sample.bytes.as_slice());
    let mut rows = Vec::new();
    let mut record = csv::ByteRecord::new();
    while rows.len() <= ROWS_MAX && reader.read_byte_record(&mut record).unwrap_or(false) {
        if record.iter().any(|cell| !cell.is_empty()) {
            rows.push((record.len(), record.iter().all(has_whole_quotes)));
        }
    }
    // The sample may have cut the last row in two.
    if !sample.whole && reader.is_done() && rows.len() > 1 {
        rows.pop();
    }
    let (headings, _) = *rows.first()?;
    let agreeing = rows.iter().filter(|row| **row == (headings, true)).count();
    (headings > 1).then(|| (agreeing * 1_000_000 / rows.len(), headings))
}

/// A text in quotes that was cut at the wrong character leaves half its quotes on either side.
fn has_whole_quotes(cell: &[u8]) -> bool {
    cell.iter().filter(|byte| **byte == b'"').count() % 2 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_is_found_by_what_it_makes_of_the_rows() {
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
        ];
        for (text, want) in cases {
            let sample = Sample { bytes: text.into(), whole: true };
            assert_eq!(Delimiter::of(&sample).name, want, "{text:?}");
        }
    }

    #[test]
    fn a_row_that_the_sample_cuts_is_no_evidence() {
        let sample = Sample { bytes: b"a;b;c\n1;2".to_vec(), whole: false };
        assert_eq!(score(&sample, TRIED[1]), Some((1_000_000, 3)));
    }
}

//! Files that are no CSV, known by how they begin.
//!
//! Read as CSV they would give a page of nonsense; one sentence is kinder. Whatever is not known
//! here is taken for CSV.

use super::problem::Problem;

const SAVE_AS: &str = "in the spreadsheet, save it as \"CSV UTF-8\"";

/// First bytes, and what they are the beginning of.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
    (b"PK\x03\x04", "a workbook (XLSX or ODS)"),
    (b"\xd0\xcf\x11\xe0", "an old workbook (XLS)"),
    (b"%PDF", "a PDF"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"SQLite format 3", "a database"),
];

/// Refuses what is plainly no CSV.
pub(super) fn refuse(sample: &[u8]) -> Result<(), Problem> {
    let begins = |start: &[u8]| {
        sample.get(..start.len()).is_some_and(|first| first.eq_ignore_ascii_case(start))
    };
    match SIGNATURES.iter().find(|(start, _)| begins(start)) {
        Some((_, what)) => Err(Problem::of_sheet(format!("the sheet is {what}, not CSV"), SAVE_AS)),
        None => Ok(()),
    }
}

/// What is told when the text turns out to be in another encoding.
pub(super) fn not_utf8(row: u64) -> Problem {
    Problem::of_row(row, "the text is not UTF-8, so it would come out garbled", SAVE_AS)
}

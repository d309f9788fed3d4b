//! What a file is, known by how it begins.
//!
//! Read as CSV, a picture or a web page would give a page of nonsense; one sentence is kinder.
//! Whatever is not known here is taken for text.

use super::problem::SheetProblem;

/// What the sheet may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SheetFileKind {
    /// CSV, in whatever encoding.
    Text,
    /// XLSX or ODS.
    Workbook,
}

/// The beginning of every XLSX and ODS.
const WORKBOOK_SIGNATURE: &[u8] = b"PK\x03\x04";

/// First bytes, and what they are the beginning of.
const REJECTED_SIGNATURES: &[(&[u8], &str)] = &[
    (b"\xff\xfe\0\0", "UTF-32 text"),
    (b"\0\0\xfe\xff", "UTF-32 text"),
    (b"\xd0\xcf\x11\xe0", "an old workbook (XLS), or one with a password"),
    (b"%PDF", "a PDF"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"<?xml", "an XML file"),
    (b"{\\rtf", "a text document (RTF)"),
    (b"\x1f\x8b", "a packed file (gzip)"),
    (b"SQLite format 3", "a database"),
];

/// Returns what the sheet is, or refuses what is plainly none.
pub(super) fn detect_file_kind(sample: &[u8]) -> Result<SheetFileKind, SheetProblem> {
    let begins = |start: &[u8]| {
        sample.get(..start.len()).is_some_and(|first| first.eq_ignore_ascii_case(start))
    };
    if begins(WORKBOOK_SIGNATURE) {
        return Ok(SheetFileKind::Workbook);
    }
    match REJECTED_SIGNATURES.iter().find(|(start, _)| begins(start)) {
        Some((_, what)) => Err(SheetProblem::for_sheet(
            format!("the sheet is {what}, not CSV"),
            "in the spreadsheet, save it as \"CSV UTF-8\" or as XLSX",
        )),
        None => Ok(SheetFileKind::Text),
    }
}

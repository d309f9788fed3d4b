//! Detects the kind of a file from its first bytes.
//!
//! A picture or a web page read as CSV would cause pages of problems; it is rejected with one. Any
//! other file is treated as text.

use super::problem::SheetProblem;

/// The kind of a sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SheetFileKind {
    /// CSV in any encoding.
    Text,
    /// XLSX or ODS.
    Workbook,
}

/// The first bytes of every XLSX and ODS file.
const WORKBOOK_SIGNATURE: &[u8] = b"PK\x03\x04";

/// First bytes of other files, with the kind of file.
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

/// Returns the kind of the sheet.
///
/// # Errors
/// The file is of a known kind that is not a sheet.
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

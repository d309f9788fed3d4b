//! Normalizes a file to CSV in UTF-8.
//!
//! UTF-8 text is read in place; everything else is copied once. Guesses are returned in
//! [`SheetFormat`], so that the caller can report them.

use encoding_rs::UTF_8;

use super::SheetSpec;
use super::delimiter::Delimiter;
use super::encoding;
use super::problem::{SheetProblem, shorten_for_message};
use super::records::CsvRecord;
use super::signature::{self, SheetFileKind};
use super::source::{self, SheetFile};
use super::transcode;
use super::workbook::{self, Worksheet};

/// How a sheet was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetFormat {
    /// The encoding of a text, by its name in the Encoding Standard; `None` for a workbook.
    pub encoding: Option<&'static str>,
    /// Whether the encoding is a guess: neither the file nor the batch file declares it, and it is
    /// not UTF-8.
    pub is_guess: bool,
    /// The name of the delimiter of a text; `None` for a workbook.
    pub delimiter: Option<&'static str>,
    /// The worksheet of a workbook; `None` for a text.
    pub worksheet: Option<Worksheet>,
}

/// The origin of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowOrigin {
    /// A delimited text.
    Text { encoding: &'static str, delimiter: Delimiter },
    /// A workbook.
    Workbook,
}

/// A sheet that can be read as CSV.
pub(super) struct NormalizedSheet {
    pub(super) source: SheetFile,
    pub(super) origin: RowOrigin,
    pub(super) format: SheetFormat,
    /// The offset of the first row: after a line that only declares the delimiter.
    pub(super) start_offset: u64,
}

impl RowOrigin {
    /// Returns the delimiter of the normalized CSV.
    pub(super) fn delimiter(self) -> Delimiter {
        match self {
            Self::Text { delimiter, .. } => delimiter,
            Self::Workbook => Delimiter::COMMA,
        }
    }

    /// Returns the problem of a cell that is not UTF-8.
    pub(super) fn undecodable_cell_problem(
        self,
        record: &CsvRecord,
        column: usize,
    ) -> SheetProblem {
        let (message, help) = match self {
            Self::Text { encoding, .. } if encoding == UTF_8.name() => (
                "the text is not UTF-8, so it would be garbled".to_owned(),
                "in the spreadsheet, save it as \"CSV UTF-8\"",
            ),
            Self::Text { encoding, .. } => (
                format!("the sheet is read as {encoding}, but this text is not"),
                "set `encoding` in the batch file to the encoding of the sheet, or save it as \
                 \"CSV UTF-8\"",
            ),
            Self::Workbook => {
                let error = record.cell(column).trim_ascii_start();
                match error.strip_prefix(&[workbook::ERROR_MARKER]).unwrap_or_default() {
                    b"" => (
                        "this formula has no stored value".to_owned(),
                        "open the workbook in a spreadsheet program and save it",
                    ),
                    error => (
                        format!("this cell shows the error `{}`", String::from_utf8_lossy(error)),
                        "fix its formula in the spreadsheet",
                    ),
                }
            }
        };
        SheetProblem::for_row(record.position.row, message, help)
    }
}

impl NormalizedSheet {
    /// Detects the kind of the file and normalizes it.
    pub(super) fn new(source: SheetFile, want: &SheetSpec<'_>) -> Result<Self, SheetProblem> {
        let sample = source.read_sample()?;
        match signature::detect_file_kind(&sample.bytes)? {
            SheetFileKind::Workbook => Self::from_workbook(source, want),
            SheetFileKind::Text => Self::from_text(source, &sample.bytes, want),
        }
    }

    fn from_workbook(source: SheetFile, want: &SheetSpec<'_>) -> Result<Self, SheetProblem> {
        let mut worksheet = None;
        let source = source.with_utf8_copy(|file, to| {
            let (copy, chosen) = workbook::copy_worksheet(file, want.worksheet, to)?;
            worksheet = Some(chosen);
            Ok(copy)
        })?;
        let format = SheetFormat { encoding: None, is_guess: false, delimiter: None, worksheet };
        Ok(Self { source, origin: RowOrigin::Workbook, format, start_offset: 0 })
    }

    fn from_text(
        mut source: SheetFile,
        sample: &[u8],
        want: &SheetSpec<'_>,
    ) -> Result<Self, SheetProblem> {
        if let Some(worksheet) = want.worksheet {
            return Err(SheetProblem::for_sheet(
                format!(
                    "`worksheet` names `{}`, but a CSV file has no worksheets",
                    shorten_for_message(worksheet)
                ),
                "remove `worksheet` from the batch file, or set `sheet` to the XLSX or ODS file",
            ));
        }
        let (encoding, is_guess) = detect_encoding(&source, sample, want)?;
        if encoding != UTF_8 {
            source = source.with_utf8_copy(|file, to| {
                transcode::copy_to_utf8(file, encoding, to)
                    .map_err(|err| source::copy_problem(&err))
            })?;
        }
        let (delimiter, start) = Delimiter::detect(&source.read_sample()?);
        let origin = RowOrigin::Text { encoding: encoding.name(), delimiter };
        let (encoding, delimiter) = (Some(encoding.name()), Some(delimiter.name));
        let format = SheetFormat { encoding, is_guess, delimiter, worksheet: None };
        Ok(Self { source, origin, format, start_offset: start })
    }
}

/// Returns the encoding, and whether it is a guess.
fn detect_encoding(
    source: &SheetFile,
    sample: &[u8],
    want: &SheetSpec<'_>,
) -> Result<(&'static encoding_rs::Encoding, bool), SheetProblem> {
    let named = want.encoding.map(encoding::encoding_from_name).transpose()?;
    // A byte order mark takes precedence: it means nothing in any other encoding.
    let marked = encoding_rs::Encoding::for_bom(sample).map(|(marked, _)| marked);
    if let Some(certain) = marked.or(named).or_else(|| encoding::declared_encoding(sample)) {
        return Ok((certain, false));
    }
    let broken = |err| source.read_problem(&err);
    if encoding::is_utf8(source.open_file()?).map_err(broken)? {
        return Ok((UTF_8, false));
    }
    match encoding::guess_encoding(source.open_file()?).map_err(broken)? {
        Ok(guess) => Ok((guess, guess != UTF_8)),
        Err(guess) => Err(SheetProblem::for_sheet(
            format!(
                "the sheet is not UTF-8, and its encoding is uncertain; it may be {}",
                guess.name()
            ),
            "save it as \"CSV UTF-8\", or set `encoding` in the batch file",
        )),
    }
}

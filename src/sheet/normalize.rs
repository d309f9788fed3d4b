//! From the file as people saved it to CSV in UTF-8, and how that was done.
//!
//! Text that is UTF-8 is left where it is. Everything else is copied once. What was guessed is
//! kept, for people should be told of it; saying it aloud is not done here.

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

/// How a sheet was read, where the file alone did not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SheetFormat {
    /// The encoding of a text, by its name in the Encoding Standard; nothing for a workbook.
    pub encoding: Option<&'static str>,
    /// The encoding is a guess from the bytes: neither the file nor the batch file names it, and
    /// it is not UTF-8.
    pub is_guess: bool,
    /// What stands between the cells of a text, in a word; nothing for a workbook.
    pub delimiter: Option<&'static str>,
    /// The worksheet of a workbook; nothing for a text.
    pub worksheet: Option<Worksheet>,
}

/// What the rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowOrigin {
    /// A text with something between its cells.
    Text { encoding: &'static str, delimiter: Delimiter },
    /// A workbook, with every cell in a place of its own.
    Workbook,
}

/// A sheet that can be read as CSV.
pub(super) struct NormalizedSheet {
    pub(super) source: SheetFile,
    pub(super) origin: RowOrigin,
    pub(super) format: SheetFormat,
    /// Where the first row begins: behind a line that only says what stands between cells.
    pub(super) start_offset: u64,
}

impl RowOrigin {
    /// Returns what stands between the cells of the CSV.
    pub(super) fn delimiter(self) -> Delimiter {
        match self {
            Self::Text { delimiter, .. } => delimiter,
            Self::Workbook => Delimiter::COMMA,
        }
    }

    /// Returns what is told of a cell that is no text.
    pub(super) fn undecodable_cell_problem(
        self,
        record: &CsvRecord,
        column: usize,
    ) -> SheetProblem {
        let (message, help) = match self {
            Self::Text { encoding, .. } if encoding == UTF_8.name() => (
                "the text is not UTF-8, so it would come out garbled".to_owned(),
                "in the spreadsheet, save it as \"CSV UTF-8\"",
            ),
            Self::Text { encoding, .. } => (
                format!("the sheet is read as {encoding}, and this text is not"),
                "set `encoding` in the batch file to what it was saved in, or save it as \
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
                        "mend its formula in the spreadsheet",
                    ),
                }
            }
        };
        SheetProblem::for_row(record.position.row, message, help)
    }
}

impl NormalizedSheet {
    /// Finds out what the file is, and makes it readable.
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
        let reading = SheetFormat { encoding: None, is_guess: false, delimiter: None, worksheet };
        Ok(Self { source, origin: RowOrigin::Workbook, format: reading, start_offset: 0 })
    }

    fn from_text(
        mut source: SheetFile,
        sample: &[u8],
        want: &SheetSpec<'_>,
    ) -> Result<Self, SheetProblem> {
        if let Some(worksheet) = want.worksheet {
            return Err(SheetProblem::for_sheet(
                format!(
                    "`worksheet` names `{}`, but a CSV has none",
                    shorten_for_message(worksheet)
                ),
                "take `worksheet` out of the batch file, or give the XLSX or ODS as `sheet`",
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
        let reading = SheetFormat { encoding, is_guess, delimiter, worksheet: None };
        Ok(Self { source, origin, format: reading, start_offset: start })
    }
}

/// Returns the encoding, and whether it is a guess.
fn detect_encoding(
    source: &SheetFile,
    sample: &[u8],
    want: &SheetSpec<'_>,
) -> Result<(&'static encoding_rs::Encoding, bool), SheetProblem> {
    let named = want.encoding.map(encoding::encoding_from_name).transpose()?;
    // A mark is stronger than a name: under any other encoding it would be nonsense.
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
        Err(doubtful) => Err(SheetProblem::for_sheet(
            format!(
                "the sheet is not UTF-8, and its encoding cannot be told for certain; it may be {}",
                doubtful.name()
            ),
            "save it as \"CSV UTF-8\", or set `encoding` in the batch file to what it was saved in",
        )),
    }
}

//! From the file as people saved it to CSV in UTF-8, and how that was done.
//!
//! Text that is UTF-8 is left where it is. Everything else is copied once. What was guessed is
//! kept, for people should be told of it; saying it aloud is not done here.

use encoding_rs::UTF_8;

use super::Want;
use super::delimiter::Delimiter;
use super::encoding;
use super::problem::{Problem, clipped};
use super::records::Record;
use super::signature::{self, Form};
use super::source::{self, Source};
use super::transcode;
use super::workbook::{self, Worksheet};

/// How a sheet was read, where the file alone did not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
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
pub(super) enum Origin {
    /// A text with something between its cells.
    Text { encoding: &'static str, delimiter: Delimiter },
    /// A workbook, with every cell in a place of its own.
    Workbook,
}

/// A sheet that can be read as CSV.
pub(super) struct Prepared {
    pub(super) source: Source,
    pub(super) origin: Origin,
    pub(super) reading: Reading,
    /// Where the first row begins: behind a line that only says what stands between cells.
    pub(super) start: u64,
}

impl Origin {
    /// Returns what stands between the cells of the CSV.
    pub(super) fn delimiter(self) -> Delimiter {
        match self {
            Self::Text { delimiter, .. } => delimiter,
            Self::Workbook => Delimiter::COMMA,
        }
    }

    /// Returns what is told of a cell that is no text.
    pub(super) fn undecodable(self, record: &Record, column: usize) -> Problem {
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
                match error.strip_prefix(&[workbook::ERROR]).unwrap_or_default() {
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
        Problem::of_row(record.at.row, message, help)
    }
}

impl Prepared {
    /// Finds out what the file is, and makes it readable.
    pub(super) fn new(source: Source, want: &Want<'_>) -> Result<Self, Problem> {
        let sample = source.sample()?;
        match signature::form(&sample.bytes)? {
            Form::Workbook => Self::of_workbook(source, want),
            Form::Text => Self::of_text(source, &sample.bytes, want),
        }
    }

    fn of_workbook(source: Source, want: &Want<'_>) -> Result<Self, Problem> {
        let mut worksheet = None;
        let source = source.replaced(|file, to| {
            let (copy, chosen) = workbook::copy(file, want.worksheet, to)?;
            worksheet = Some(chosen);
            Ok(copy)
        })?;
        let reading = Reading { encoding: None, is_guess: false, delimiter: None, worksheet };
        Ok(Self { source, origin: Origin::Workbook, reading, start: 0 })
    }

    fn of_text(mut source: Source, sample: &[u8], want: &Want<'_>) -> Result<Self, Problem> {
        if let Some(worksheet) = want.worksheet {
            return Err(Problem::of_sheet(
                format!("`worksheet` names `{}`, but a CSV has none", clipped(worksheet)),
                "take `worksheet` out of the batch file, or give the XLSX or ODS as `sheet`",
            ));
        }
        let (encoding, is_guess) = decide(&source, sample, want)?;
        if encoding != UTF_8 {
            source = source.replaced(|file, to| {
                transcode::copy(file, encoding, to).map_err(|err| source::uncopied(&err))
            })?;
        }
        let (delimiter, start) = Delimiter::of(&source.sample()?);
        let origin = Origin::Text { encoding: encoding.name(), delimiter };
        let (encoding, delimiter) = (Some(encoding.name()), Some(delimiter.name));
        let reading = Reading { encoding, is_guess, delimiter, worksheet: None };
        Ok(Self { source, origin, reading, start })
    }
}

/// Returns the encoding, and whether it is a guess.
fn decide(
    source: &Source,
    sample: &[u8],
    want: &Want<'_>,
) -> Result<(&'static encoding_rs::Encoding, bool), Problem> {
    let named = want.encoding.map(encoding::named).transpose()?;
    // A mark is stronger than a name: under any other encoding it would be nonsense.
    let marked = encoding_rs::Encoding::for_bom(sample).map(|(marked, _)| marked);
    if let Some(certain) = marked.or(named).or_else(|| encoding::shown(sample)) {
        return Ok((certain, false));
    }
    let broken = |err| source.broken(&err);
    if encoding::is_utf8(source.open_file()?).map_err(broken)? {
        return Ok((UTF_8, false));
    }
    match encoding::guessed(source.open_file()?).map_err(broken)? {
        Ok(guess) => Ok((guess, guess != UTF_8)),
        Err(doubtful) => Err(Problem::of_sheet(
            format!(
                "the sheet is not UTF-8, and its encoding cannot be told for certain; it may be {}",
                doubtful.name()
            ),
            "save it as \"CSV UTF-8\", or set `encoding` in the batch file to what it was saved in",
        )),
    }
}

//! Normalizes a file to CSV in UTF-8.
//!
//! UTF-8 text is read in place; everything else is copied once. Guesses are returned in
//! [`SheetFormat`], so that the caller can report them.

use encoding_rs::UTF_8;

use super::SheetSpec;
use super::delimiter::{self, Delimiter};
use super::encoding::{self, GuessEvidence, SevenBitEncoding, TextEncoding};
use super::heading_search::{self, LikelyHeadings, find_likely_headings};
use super::headings::HeadingRow;
use super::input::{CsvInput, SharedTempFile};
use super::problem::{SheetProblem, shorten_for_message};
use super::records::{CsvRecord, RecordReader};
use super::signature::{self, SheetFileKind};
use super::source::{self, SheetFile};
use super::workbook::{self, Worksheet, WorksheetNotes};

/// Other worksheets in which the headings are looked for.
const WORKSHEETS_SEARCHED: usize = 8;

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
    Text { encoding: &'static str, is_guess: bool, delimiter: Delimiter },
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
    /// What a worksheet contains besides its cells; empty for a text.
    pub(super) notes: WorksheetNotes,
    /// The warning that the encoding of a text is guessed.
    pub(super) guess_warning: Option<SheetProblem>,
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
        let problem = SheetProblem::for_row(record.position.row, message, help);
        match self {
            // A row that contradicts a guess proves it wrong for all others.
            Self::Text { is_guess: true, .. } => problem.with_hidden_rows(),
            Self::Text { is_guess: false, .. } | Self::Workbook => problem,
        }
    }
}

impl NormalizedSheet {
    /// Opens the rows.
    pub(super) fn open_records(&self) -> Result<RecordReader<CsvInput>, SheetProblem> {
        let records =
            RecordReader::new(self.source.open()?, self.origin.delimiter(), self.start_offset);
        records.map_err(|err| self.source.read_problem(&err))
    }

    /// Reads up to the heading row: the wanted one, or the first that is not blank.
    pub(super) fn read_heading_record(
        &self,
        records: &mut RecordReader<CsvInput>,
        record: &mut CsvRecord,
        want: &SheetSpec<'_>,
    ) -> Result<(), SheetProblem> {
        let mut next = || {
            records
                .read_non_blank(record)
                .map_err(|err| self.source.read_problem(&err))
                .map(|is_read| is_read.then_some(record.position.row))
        };
        let Some(mut row) = next()? else {
            return Err(SheetProblem::for_sheet(
                "the sheet is empty",
                "add a row of headings and, below it, one row per video",
            ));
        };
        let Some(wanted) = want.header_row else { return Ok(()) };
        while row < wanted {
            match next()? {
                Some(after) => row = after,
                None => break,
            }
        }
        if row == wanted {
            return Ok(());
        }
        Err(SheetProblem::for_row(
            wanted,
            "this row is empty, and `header_row` names it",
            "set `header_row` to the row of the headings",
        ))
    }

    /// Returns the problems of the headings, or the one that they are elsewhere.
    pub(super) fn explain_headings(
        &self,
        mut problems: Vec<SheetProblem>,
        headings: &HeadingRow,
        want: &SheetSpec<'_>,
    ) -> Vec<SheetProblem> {
        let names = heading_search::count_wanted_names(&headings.headings, want);
        let heading_row = headings.row;
        // Below a title of one cell, the delimiter may be another one.
        let delimiters = match self.origin {
            RowOrigin::Text { .. } => delimiter::CANDIDATES,
            RowOrigin::Workbook => &[Delimiter::COMMA],
        };
        let below = delimiters.iter().filter_map(|delimiter| {
            let input = self.source.open().ok()?;
            let mut records = RecordReader::new(input, *delimiter, self.start_offset).ok()?;
            find_likely_headings(&mut records, want)
        });
        let below = below.max_by_key(LikelyHeadings::names);
        if let Some(below) = below.filter(|below| below.is_better_than(names)) {
            return vec![below.row_problem(heading_row)];
        }
        let Some(worksheet) = &self.format.worksheet else { return problems };
        for other in worksheet.others.iter().take(WORKSHEETS_SEARCHED) {
            let likely = self.likely_headings_in(other, want);
            if let Some(likely) = likely.filter(|likely| likely.is_better_than(names)) {
                return vec![likely.worksheet_problem(worksheet, other)];
            }
        }
        heading_search::name_worksheets(&mut problems, worksheet);
        problems
    }

    fn likely_headings_in(&self, worksheet: &str, want: &SheetSpec<'_>) -> Option<LikelyHeadings> {
        let file = self.source.open_file().ok()?;
        let rows = workbook::copy_first_rows(&file, worksheet, tempfile::tempfile().ok()?).ok()?;
        let rows = CsvInput::Copy(SharedTempFile::new(rows));
        let mut records = RecordReader::new(rows, Delimiter::COMMA, 0).ok()?;
        find_likely_headings(&mut records, want)
    }

    /// Detects the kind of the file and normalizes it.
    pub(super) fn new(source: SheetFile, want: &SheetSpec<'_>) -> Result<Self, SheetProblem> {
        let sample = source.read_sample()?;
        match signature::detect_file_kind(&sample.bytes, want.is_link)? {
            SheetFileKind::Workbook => Self::from_workbook(source, want),
            SheetFileKind::Text => Self::from_text(source, &sample.bytes, want),
        }
    }

    fn from_workbook(source: SheetFile, want: &SheetSpec<'_>) -> Result<Self, SheetProblem> {
        let (mut worksheet, mut notes) = (None, WorksheetNotes::default());
        let source = source.with_utf8_copy(|file, to| {
            let copy = workbook::copy_worksheet(file, want, to)?;
            (worksheet, notes) = (Some(copy.worksheet), copy.notes);
            Ok(copy.file)
        })?;
        let format = SheetFormat { encoding: None, is_guess: false, delimiter: None, worksheet };
        let origin = RowOrigin::Workbook;
        Ok(Self { source, origin, format, start_offset: 0, notes, guess_warning: None })
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
        let guess_warning = match is_guess {
            true => Some(judge_guess(&source, encoding)?),
            false => None,
        };
        if encoding != TextEncoding::UTF_8 {
            source = source.with_utf8_copy(|file, to| {
                encoding::copy_to_utf8(file, encoding, to).map_err(|err| source::copy_problem(&err))
            })?;
        }
        let (delimiter, start_offset) =
            Delimiter::detect(&source.read_sample()?, want.header_row.unwrap_or(1));
        let origin = RowOrigin::Text { encoding: encoding.name(), is_guess, delimiter };
        let (encoding, delimiter) = (Some(encoding.name()), Some(delimiter.name));
        let format = SheetFormat { encoding, is_guess, delimiter, worksheet: None };
        let notes = WorksheetNotes::default();
        Ok(Self { source, origin, format, start_offset, notes, guess_warning })
    }
}

/// Returns the encoding, and whether it is a guess.
fn detect_encoding(
    source: &SheetFile,
    sample: &[u8],
    want: &SheetSpec<'_>,
) -> Result<(TextEncoding, bool), SheetProblem> {
    let named = want.encoding.map(encoding::encoding_from_name).transpose()?;
    // A byte order mark takes precedence: it means nothing in any other encoding.
    let marked = encoding_rs::Encoding::for_bom(sample).map(|(marked, _)| marked);
    if let Some(marked) = marked {
        return Ok((TextEncoding::Standard(marked), false));
    }
    if let Some(named) = named {
        return Ok((named, false));
    }
    if let Some(declared) = encoding::declared_encoding(sample) {
        return Ok((TextEncoding::Standard(declared), false));
    }
    let broken = |err| source.read_problem(&err);
    if let Some(found) = encoding::seven_bit_encoding(source.open_file()?).map_err(broken)? {
        return match found {
            SevenBitEncoding::Iso2022Jp => {
                Ok((TextEncoding::Standard(encoding_rs::ISO_2022_JP), true))
            }
            SevenBitEncoding::Unsupported(name) => Err(unsupported_encoding_problem(name)),
        };
    }
    if encoding::is_utf8(source.open_file()?).map_err(broken)? {
        return Ok((TextEncoding::UTF_8, false));
    }
    match encoding::guess_encoding(source.open_file()?).map_err(broken)? {
        Ok(guess) => Ok((TextEncoding::Standard(guess), guess != UTF_8)),
        Err(guess) => Err(SheetProblem::for_sheet(
            format!(
                "the sheet is not UTF-8, and its encoding is uncertain; it may be {}",
                guess.name()
            ),
            "save it as \"CSV UTF-8\", or set `encoding` in the batch file",
        )),
    }
}

fn unsupported_encoding_problem(name: &str) -> SheetProblem {
    SheetProblem::for_sheet(
        format!("the sheet is written in {name}, which is not read"),
        "save it as \"CSV UTF-8\"; if it is UTF-8, set `encoding = \"utf-8\"` in the batch file",
    )
}

/// Returns the warning that the encoding is guessed.
///
/// # Errors
/// The words of the text show that the guess is wrong.
fn judge_guess(source: &SheetFile, guess: TextEncoding) -> Result<SheetProblem, SheetProblem> {
    let evidence = encoding::judge_guess(source.open_file()?, guess);
    let GuessEvidence { sample_word, odd_word, rival } =
        evidence.map_err(|err| source.read_problem(&err))?;
    let guess = guess.name();
    if let Some(odd) = odd_word {
        let message = format!(
            "the encoding of the sheet is uncertain: as {guess} it contains `{}`",
            shorten_for_message(&odd)
        );
        let help = match rival {
            Some((rival, reading)) => format!(
                "as {rival} it contains `{}`: if that is right, set `encoding = \"{rival}\"`; if not, \
                 save it as \"CSV UTF-8\"",
                shorten_for_message(&reading)
            ),
            None => format!(
                "save it as \"CSV UTF-8\"; if the word is right, set `encoding = \"{guess}\"`"
            ),
        };
        return Err(SheetProblem::for_sheet(message, help));
    }
    let example = sample_word.map(|word| format!(", for example `{}`", shorten_for_message(&word)));
    Ok(SheetProblem::for_sheet(
        format!("the encoding is guessed: it is read as {guess}{}", example.unwrap_or_default()),
        "if that looks wrong, set `encoding` in the batch file, or save it as \"CSV UTF-8\"",
    ))
}

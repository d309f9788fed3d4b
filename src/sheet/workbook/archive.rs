//! The parts of a workbook, unpacked within limits.
//!
//! A workbook of a few kilobytes can unpack to gigabytes. Everything that is read later is unpacked once
//! into nothing, and counted while it is unpacked, since the sizes in the archive may lie. Invariant: no
//! reader of a checked workbook meets a text, a tag or a part above its limit.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use zip::ZipArchive;
use zip::result::ZipError;

use super::xml_guard::{WorkbookLimit, XmlGuard};
use super::{damaged_workbook_problem, limit_problem};
use crate::sheet::problem::SheetProblem;

/// All parts together, unpacked.
const UNPACKED_BYTES_MAX: u64 = 512 << 20;
/// One part, unpacked.
const PART_BYTES_MAX: u64 = 256 << 20;
const PARTS_MAX: usize = 10_000;
/// Of a part that is not XML, so many bytes are read.
const MAGIC_BYTES: usize = 64;

/// What the parts of an archive make it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkbookKind {
    Xlsx,
    Ods,
}

/// Unpacks all parts within the limits, and returns the kind of the workbook.
pub(super) fn check_archive(file: &File) -> Result<WorkbookKind, SheetProblem> {
    let mut archive = open_archive(file)?;
    let kind = archive_kind(&archive)?;
    check_parts(&mut archive, UNPACKED_BYTES_MAX)?;
    Ok(kind)
}

/// Unpacks all parts, together at most `bytes_max`, into nothing.
pub(super) fn check_parts(
    archive: &mut ZipArchive<BufReader<&File>>,
    bytes_max: u64,
) -> Result<(), SheetProblem> {
    if archive.len() > PARTS_MAX {
        return Err(limit_problem(WorkbookLimit::Parts, None));
    }
    let mut unpacked = 0;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(|err| archive_problem(&err))?;
        let name = part.name().map_or_else(|_| String::new(), std::borrow::Cow::into_owned);
        let problem = |err: io::Error| read_problem(&err, &name);
        unpacked += drain_part(part).map_err(problem)?;
        if unpacked > bytes_max {
            return Err(limit_problem(WorkbookLimit::Unpacked, None));
        }
    }
    Ok(())
}

/// Opens one part, within the limits.
pub(super) fn open_part<'a, 'f>(
    archive: &'a mut ZipArchive<BufReader<&'f File>>,
    name: &str,
) -> Result<BufReader<XmlGuard<zip::read::ZipFile<'a, BufReader<&'f File>>>>, SheetProblem> {
    let part = archive.by_name(name).map_err(|err| archive_problem(&err))?;
    Ok(BufReader::new(XmlGuard::new(part, PART_BYTES_MAX)))
}

pub(super) fn open_archive(mut file: &File) -> Result<ZipArchive<BufReader<&File>>, SheetProblem> {
    file.seek(SeekFrom::Start(0)).map_err(|_| damaged_workbook_problem())?;
    ZipArchive::new(BufReader::new(file)).map_err(|err| archive_problem(&err))
}

/// Returns the problem of a part that cannot be read.
pub(super) fn read_problem(err: &io::Error, part: &str) -> SheetProblem {
    match WorkbookLimit::from_error(err) {
        Some(limit) => limit_problem(limit, Some(part)),
        None => damaged_workbook_problem(),
    }
}

/// Unpacks a part into nothing; of a picture only its beginning.
fn drain_part(mut part: impl Read) -> io::Result<u64> {
    let mut magic = vec![0; MAGIC_BYTES];
    let mut read = 0;
    while read < MAGIC_BYTES {
        match part.read(&mut magic[read..])? {
            0 => break,
            more => read += more,
        }
    }
    magic.truncate(read);
    let text = magic.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&magic);
    if !text.trim_ascii_start().starts_with(b"<") {
        return Ok(read as u64);
    }
    let whole = io::Cursor::new(magic).chain(part);
    io::copy(&mut XmlGuard::new(whole, PART_BYTES_MAX), &mut io::sink())
}

/// Returns the kind of a workbook by the names of its parts.
fn archive_kind(archive: &ZipArchive<BufReader<&File>>) -> Result<WorkbookKind, SheetProblem> {
    let names: Vec<String> = archive
        .file_names()
        .map(|name| name.map(|name| name.to_lowercase()).unwrap_or_default())
        .collect();
    let has = |wanted: &str| names.iter().any(|name| name == wanted);
    let begins = |start: &str| names.iter().any(|name| name.starts_with(start));
    let ends = |end: &str| names.iter().any(|name| name.ends_with(end));
    let other = if has("xl/workbook.bin") {
        "a binary workbook (XLSB)"
    } else if begins("word/") {
        "a text document (DOCX)"
    } else if begins("ppt/") {
        "a presentation (PPTX)"
    } else if ends(".iwa") || has("index.zip") {
        "an Apple Numbers document"
    } else if has("[content_types].xml") {
        return Ok(WorkbookKind::Xlsx);
    } else if has("content.xml") {
        return Ok(WorkbookKind::Ods);
    } else {
        "a packed file (ZIP) without a workbook"
    };
    Err(SheetProblem::for_sheet(
        format!("the sheet is {other}"),
        "in the spreadsheet, save it as XLSX or as \"CSV UTF-8\"",
    ))
}

fn archive_problem(err: &ZipError) -> SheetProblem {
    match err {
        ZipError::InvalidPassword => password_problem(),
        ZipError::UnsupportedArchive(why) if *why == ZipError::PASSWORD_REQUIRED => {
            password_problem()
        }
        _ => damaged_workbook_problem(),
    }
}

pub(super) fn password_problem() -> SheetProblem {
    SheetProblem::for_sheet("the workbook is protected by a password", "save it without a password")
}

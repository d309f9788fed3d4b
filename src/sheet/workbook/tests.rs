//! Workbooks that are made here: bombs, and cells that calamine does not report.

use std::fs::File;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use super::*;
use crate::text::fuzz::FuzzTarget;

#[test]
fn ranges_are_parsed_and_named_as_the_spreadsheet_does() {
    for (text, want) in [
        ("C2:C4", Some("C2:C4")),
        ("$A$1:AB10", Some("A1:AB10")),
        ("B7", Some("B7:B7")),
        ("A0:C5", None),
        ("A:C", None),
        ("C5:A1", None),
        ("AAAAAAAAAAAA1", None),
        ("", None),
    ] {
        assert_eq!(MergedRange::parse(text).map(|range| range.name()).as_deref(), want, "{text}");
    }
}

/// Three checks, each on the way of its format: before anything is parsed, before anything is written,
/// and before a row is kept in memory (`ods::tests`).
#[test]
fn a_cell_beyond_the_last_column_is_refused_where_it_is_first_seen() {
    let scan = |cell: &str| {
        let xml = format!("<worksheet><row r=\"1\"><c r=\"{cell}\"><v>1</v></c></row></worksheet>");
        worksheet_scan::scan_worksheet(&mut xml.as_bytes(), "one.xml").err()
    };
    assert!(scan("FAN1").is_none() && scan("A1048576").is_none());
    for cell in ["FAO1", "XFD1", "A1048577"] {
        let problem = scan(cell).unwrap().to_string();
        assert!(
            problem.contains(&format!("a value in cell {cell}; columns up to 4096")),
            "{problem}"
        );
    }
    let mut rows = WorksheetWriter::new(tempfile::tempfile().unwrap(), None);
    rows.begin_row(0, false).unwrap();
    rows.put_cell(4095, b"x".to_vec()).unwrap();
    rows.put_cell(16_383, Vec::new()).unwrap();
    let error = rows.put_cell(4096, b"x".to_vec()).unwrap_err();
    assert!(matches!(error, writer::CellWriteError::TooFar((0, 4096))), "{error:?}");
}

#[test]
fn parts_of_a_workbook_are_counted_and_measured_while_they_are_unpacked() {
    let archive = |parts: usize, part: &str| {
        let mut archive = zip::ZipWriter::new(tempfile::tempfile().unwrap());
        for number in 0..parts {
            let options = zip::write::SimpleFileOptions::default();
            archive.start_file(format!("{number}.xml"), options).unwrap();
            archive.write_all(part.as_bytes()).unwrap();
        }
        archive.start_file("content.xml", zip::write::SimpleFileOptions::default()).unwrap();
        archive.finish().unwrap()
    };
    let problem = |file: &File, bytes_max: u64| {
        archive::check_parts(&mut archive::open_archive(file).unwrap(), bytes_max).err()
    };
    let many = archive(10_000, "");
    assert!(problem(&many, 1000).unwrap().to_string().contains("more than 10,000 parts"));
    let page = format!("<a>{}</a>", "x".repeat(993));
    let three = archive(3, &page);
    assert!(problem(&three, 3000).is_none());
    assert!(problem(&three, 2999).unwrap().to_string().contains("unpacks to more than 512 MB"));
}

const XLSX: &[u8] = include_bytes!("../../../tests/data/workbooks/hidden-merged.xlsx");
const ODS: &[u8] = include_bytes!("../../../tests/data/workbooks/hidden-merged.ods");

/// Returns a part of an archive.
fn archive_part(archive: &[u8], name: &str) -> Vec<u8> {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut bytes = Vec::new();
    archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// Writes an archive with one part replaced.
fn write_with_part(path: &Path, archive: &[u8], name: &str, bytes: &[u8]) {
    let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
    let mut written = zip::ZipWriter::new(File::create(path).unwrap());
    for index in 0..archive.len() {
        let part = archive.by_index_raw(index).unwrap();
        if part.name().is_ok_and(|found| found == name) {
            written.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            written.write_all(bytes).unwrap();
        } else {
            written.raw_copy_file(part).unwrap();
        }
    }
    written.finish().unwrap();
}

/// Opens a sheet and reads it to its end.
fn read_whole_sheet(path: &Path) -> bool {
    let want = SheetSpec {
        key: &[],
        group_by: None,
        columns: &std::collections::BTreeMap::new(),
        required: &[],
        optional: &[],
        lists: &[],
        skip: None,
        encoding: None,
        worksheet: None,
        header_row: None,
        skip_hidden: false,
        is_link: false,
    };
    let sheet = crate::sheet::Sheet::open(path, &want);
    sheet.is_ok_and(|sheet| sheet.entries().all(|entry| entry.is_ok()))
}

/// Any workbook is read or refused, whichever of its parts is damaged.
#[test]
fn fuzz_workbooks() {
    let dir = tempfile::tempdir().unwrap();
    let parts = [
        (XLSX, "one.xlsx", "xl/worksheets/sheet1.xml"),
        (XLSX, "one.xlsx", "xl/workbook.xml"),
        (XLSX, "one.xlsx", "xl/styles.xml"),
        (ODS, "one.ods", "content.xml"),
    ];
    let samples = parts.map(|(archive, _, name)| archive_part(archive, name)).to_vec();
    let words: [&[u8]; 14] = [
        b"<c r=\"XFD1048577\"><v>1</v></c>",
        b"<row r=\"0\">",
        b" t=\"s\"",
        b" t=\"e\"",
        b"<v>99999999</v>",
        b" table:number-columns-repeated=\"16385\"",
        b" table:number-rows-repeated=\"4294967295\"",
        b"<text:s text:c=\"4294967295\"/>",
        b"<mergeCell ref=\"A1:XFD1048576\"/>",
        b"&#x0;",
        b"<![CDATA[",
        b"<dimension ref=\"A1:A4294967295\"/>",
        b" formatCode=\"[$-409]d/m/yyyy h:mm:ss.000;@\"",
        b"</",
    ];
    FuzzTarget { name: "workbooks", samples, words: &words }.check_inputs(|input| {
        let mut is_read = false;
        for (archive, file, name) in parts {
            let path = dir.path().join(file);
            write_with_part(&path, archive, name, input);
            is_read |= read_whole_sheet(&path);
        }
        is_read
    });
}

/// Any archive is read or refused.
#[test]
fn fuzz_archives() {
    let dir = tempfile::tempdir().unwrap();
    let words: [&[u8]; 3] = [b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"];
    let samples = vec![XLSX.to_vec(), ODS.to_vec()];
    FuzzTarget { name: "archives", samples, words: &words }.check_inputs(|input| {
        let path = dir.path().join("one.xlsx");
        std::fs::write(&path, input).unwrap();
        read_whole_sheet(&path)
    });
}

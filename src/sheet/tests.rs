//! Sheets for the tests of this module, and tests of whole sheets.

use std::fs;

use super::*;

/// Opens a sheet with this text. Its folder is deleted with the first value.
pub(super) fn open_sheet(
    text: &str,
    key: &[&str],
    group_by: Option<&str>,
) -> (tempfile::TempDir, Sheet) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("launch.csv");
    fs::write(&path, text).unwrap();
    let key: Vec<String> = key.iter().map(|name| (*name).to_owned()).collect();
    let want = SheetSpec {
        key: &key,
        group_by,
        columns: &BTreeMap::new(),
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
    let sheet = Sheet::open(&path, &want).unwrap();
    (dir, sheet)
}

#[test]
fn a_sheet_saved_during_reading_is_rejected() {
    let (dir, sheet) = open_sheet("id\n1\n2\n", &["id"], None);
    let mut entries = sheet.entries();
    assert_eq!(entries.next().unwrap().unwrap().key, "1");
    let file = fs::File::options().append(true).open(dir.path().join("launch.csv")).unwrap();
    file.set_len(4).unwrap();
    let rest: Vec<_> = entries.collect();
    let problem = rest.last().unwrap().as_ref().unwrap_err();
    assert!(problem.message.contains("changed while"), "{problem}");
    assert!(problem.can_hide_rows, "a run that skips invalid rows would miss the rest");
    // The changed file is not opened again.
    let again: Vec<_> = sheet.entries().collect();
    assert!(matches!(&again[..], [Err(problem)] if problem.message.contains("changed while")));
}

#[test]
fn a_content_key_has_13_characters_and_depends_only_on_the_cells() {
    let (_dir, one) = open_sheet("a,b\nx,y\n", &[], None);
    let (_dir, other) = open_sheet("b;c\r\n\r\n\"x\";y", &[], None);
    let key = |sheet: &Sheet| sheet.entries().next().unwrap().unwrap().key;
    assert_eq!(key(&one), key(&other));
    insta::assert_snapshot!(key(&one), @"pc3eg7hx8ph2p");
}

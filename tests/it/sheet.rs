//! Sheets as spreadsheet programs write them: their rows, and the messages about their problems.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use callsheet::sheet::{
    Sheet, SheetEntry, SheetProblem, SheetProblems, SheetRow, SheetSpec, SkipSpec, normalize_cell,
};
use proptest::prelude::*;

/// A [`SheetSpec`] that is easy to write.
#[derive(Clone, Copy, Default)]
pub(crate) struct SheetOptions<'a> {
    pub(crate) key: &'a [&'a str],
    pub(crate) group_by: Option<&'a str>,
    pub(crate) columns: &'a [(&'a str, &'a str)],
    pub(crate) required: &'a [&'a str],
    pub(crate) optional: &'a [&'a str],
    pub(crate) lists: &'a [&'a str],
    pub(crate) skip: Option<(&'a str, &'a [&'a str])>,
    pub(crate) encoding: Option<&'a str>,
    pub(crate) worksheet: Option<&'a str>,
    pub(crate) skip_hidden: bool,
    pub(crate) header_row: Option<u64>,
}

pub(crate) fn open_sheet(path: &Path, ask: &SheetOptions<'_>) -> Result<Sheet, SheetProblems> {
    let strings = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let (key, required) = (strings(ask.key), strings(ask.required));
    let (optional, values) = (strings(ask.optional), ask.skip.map(|(_, values)| strings(values)));
    let values = values.as_deref().unwrap_or_default();
    let columns: BTreeMap<String, String> =
        ask.columns.iter().map(|(name, heading)| ((*name).to_owned(), (*heading).into())).collect();
    let want = SheetSpec {
        key: &key,
        group_by: ask.group_by,
        columns: &columns,
        required: &required,
        optional: &optional,
        lists: &strings(ask.lists),
        skip: ask.skip.map(|(column, _)| SkipSpec {
            column,
            values,
            defaults: const { &BTreeMap::new() },
        }),
        encoding: ask.encoding,
        worksheet: ask.worksheet,
        header_row: ask.header_row,
        skip_hidden: ask.skip_hidden,
        is_link: false,
    };
    Sheet::open(path, &want)
}

fn read_entries(
    path: &Path,
    ask: &SheetOptions<'_>,
) -> Result<Vec<Result<SheetEntry, SheetProblem>>, SheetProblems> {
    open_sheet(path, ask).map(|sheet| sheet.entries().collect())
}

/// Writes a file that is deleted with its folder.
fn write_sheet(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("launch.csv");
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

/// Returns the entries and problems of a sheet as text.
pub(crate) fn describe_sheet(bytes: impl AsRef<[u8]>, ask: &SheetOptions<'_>) -> String {
    let (_dir, path) = write_sheet(bytes.as_ref());
    match read_entries(&path, ask) {
        Err(SheetProblems { problems: list, .. }) => {
            list.iter().map(|problem| format!("{problem}\n")).collect::<String>()
        }
        Ok(items) => items.iter().map(describe_entry).collect(),
    }
}

pub(crate) fn describe_entry(item: &Result<SheetEntry, SheetProblem>) -> String {
    match item {
        Err(problem) => format!("{problem}\n"),
        Ok(entry) => {
            let row = |row: &SheetRow| format!(" {}{:?}", row.number, row.cells);
            let arrow = if entry.skip_mark.is_some() { "skipped" } else { "=>" };
            format!("{} {arrow}{}\n", entry.key, entry.rows.iter().map(row).collect::<String>())
        }
    }
}

const NO_OPTIONS: SheetOptions<'_> = SheetOptions {
    key: &[],
    group_by: None,
    columns: &[],
    required: &[],
    optional: &[],
    lists: &[],
    skip: None,
    encoding: None,
    worksheet: None,
    skip_hidden: false,
    header_row: None,
};
pub(crate) const KEY_ID: SheetOptions<'_> = SheetOptions { key: &["id"], ..NO_OPTIONS };
const GROUP_BY_VIDEO: SheetOptions<'_> = SheetOptions { group_by: Some("video"), ..NO_OPTIONS };

#[test]
fn all_layouts_of_a_table_give_the_same_rows() {
    let want = "1 => 2[\"1\", \"Hi, \\\"Ann\\\"; you\"]\n2 => 3[\"2\", \"안녕\"]\n";
    for text in [
        "id,text\n1,\"Hi, \"\"Ann\"\"; you\"\n2,안녕\n",
        "id,text\r\n1,\"Hi, \"\"Ann\"\"; you\"\r\n2,안녕\r\n",
        "id,text\r1,\"Hi, \"\"Ann\"\"; you\"\r2,안녕\r",
        "\u{feff}id,text\n1,\"Hi, \"\"Ann\"\"; you\"\n2,안녕",
        "id;text\n1;\"Hi, \"\"Ann\"\"; you\"\n2;안녕\n",
        "id\ttext\n1\t\"Hi, \"\"Ann\"\"; you\"\n2\t안녕\n",
        "\"id\",\"text\"\n\"1\",\"Hi, \"\"Ann\"\"; you\"\n\"2\",\"안녕\"\n\n\n",
        "id|text\n1|\"Hi, \"\"Ann\"\"; you\"\n2|안녕\n",
        "sep=;\r\nid;text\r\n1;\"Hi, \"\"Ann\"\"; you\"\r\n2;안녕\r\n",
        " id ,\u{a0}text\u{200b}\n1,\"Hi, \"\"Ann\"\"; you\"\n2,안녕\n,\n , \n",
    ] {
        assert_eq!(describe_sheet(text, &KEY_ID), want, "{text:?}");
    }
}

#[test]
fn all_encodings_of_a_table_give_the_same_rows() {
    let korean = "id,text\r\n1,\"안녕하세요, 여러분\"\r\n2,오늘의 소식입니다\r\n";
    let utf_16 = |swap: bool| -> Vec<u8> {
        let bytes = |unit: u16| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() };
        korean.encode_utf16().flat_map(bytes).collect()
    };
    let legacy = encoding_rs::EUC_KR.encode(korean).0.into_owned();
    for (bytes, named, want) in [
        (korean.as_bytes().to_vec(), None, ("UTF-8", false)),
        (utf_16(false), None, ("UTF-16LE", false)),
        (utf_16(true), None, ("UTF-16BE", false)),
        ([b"\xff\xfe".to_vec(), utf_16(false)].concat(), None, ("UTF-16LE", false)),
        ([b"\xfe\xff".to_vec(), utf_16(true)].concat(), Some("cp949"), ("UTF-16BE", false)),
        (legacy.clone(), None, ("EUC-KR", true)),
        (legacy.clone(), Some("CP949"), ("EUC-KR", false)),
    ] {
        let (_dir, path) = write_sheet(&bytes);
        let sheet = open_sheet(&path, &SheetOptions { encoding: named, ..KEY_ID }).unwrap();
        let reading = sheet.format();
        assert_eq!((reading.encoding.unwrap(), reading.is_guess), want);
        let entries: String = sheet.entries().map(|item| describe_entry(&item)).collect();
        assert_eq!(
            entries,
            "1 => 2[\"1\", \"안녕하세요, 여러분\"]\n2 => 3[\"2\", \"오늘의 소식입니다\"]\n"
        );
    }
}

#[test]
fn a_guessed_worksheet_is_reported_with_the_others() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sheets");
    let worksheet = |file: &str, worksheet: Option<&str>| {
        let sheet = open_sheet(&folder.join(file), &SheetOptions { worksheet, ..KEY_ID }).unwrap();
        let found = sheet.format().worksheet.clone().unwrap();
        (found.name, found.is_guess, found.others)
    };
    let scripts = || "Scripts".to_owned();
    let old = || vec!["Old".to_owned()];
    assert_eq!(worksheet("workbook-hidden-first.xlsx", None), (scripts(), true, old()));
    assert_eq!(worksheet("worksheet-named.xlsx", Some("SCRIPTS")), (scripts(), false, old()));
    assert_eq!(worksheet("workbook.xlsx", None), ("Launch".to_owned(), true, Vec::new()));
}

#[test]
fn undecodable_text_is_reported_with_its_cell() {
    let ask = SheetOptions { encoding: Some("shift_jis"), ..KEY_ID };
    insta::assert_snapshot!(describe_sheet(b"id,text\n1,\x82\xb1\n2,\xff\n3,\x80\n4,a\x82", &ask), @r#"
    1 => 2["1", "こ"]
    row 3, column B `text`: the sheet is read as Shift_JIS, but this text is not
      help: set `encoding` in the batch file to the encoding of the sheet, or save it as "CSV UTF-8"
    row 4, column B `text`: the sheet is read as Shift_JIS, but this text is not
      help: set `encoding` in the batch file to the encoding of the sheet, or save it as "CSV UTF-8"
    row 5, column B `text`: the sheet is read as Shift_JIS, but this text is not
      help: set `encoding` in the batch file to the encoding of the sheet, or save it as "CSV UTF-8"
    "#);
    let ask = SheetOptions { encoding: Some("klingon"), ..KEY_ID };
    insta::assert_snapshot!(describe_sheet("id,text\n1,a\n", &ask), @r#"
    `encoding = "klingon"` is not a known encoding
      help: one of `utf-8`, `utf-16`, `windows-1252`, `cp850`, `cp949`, `gb18030`, `shift_jis`, `big5`; or leave it out to have it detected
    "#);
}

#[test]
fn quotes_with_blanks_and_text_guards_are_read_as_meant() {
    for delimiter in [",", ";", "\t", "|"] {
        let text =
            "id, \"text\"\n=\"001\", \"Hi, \"\"Ann\"\"; \tyou | me\" \n\"=\"\"2\"\"\" , =\"\"\n";
        let (head, row) = text.split_once('\n').unwrap();
        let head = head.replace(',', delimiter);
        let row = row.replacen(',', delimiter, 1).replace("\" , =", &format!("\" {delimiter} ="));
        let want = "001 => 2[\"001\", \"Hi, \\\"Ann\\\"; \\tyou | me\"]\n2 => 3[\"2\", \"\"]\n";
        assert_eq!(describe_sheet(format!("{head}\n{row}"), &KEY_ID), want, "{delimiter:?}");
    }
}

#[test]
fn a_row_that_repeats_the_headings_is_a_problem_anywhere() {
    let text = "id,Text\n1,a\n\u{feff}ID,text \n2,b\n\u{feff}\"id\",\"Text\"\n3,c\nText,id\nd,4\n";
    insta::assert_snapshot!(describe_sheet(text, &KEY_ID), @r#"
    1 => 2["1", "a"]
    row 3: this row repeats the headings
      help: delete it; it is left over where two sheets were joined
    2 => 4["2", "b"]
    row 5: this row repeats the headings
      help: delete it; it is left over where two sheets were joined
    3 => 6["3", "c"]
    row 7: this row repeats the headings in another order, so the cells below are in other columns
      help: sort the columns of the rows below as in the heading row, and delete this row
    d => 8["d", "4"]
    "#);
}

#[test]
fn row_numbers_are_those_of_the_spreadsheet() {
    let text = "\r\nid;text\r\n\r\n1;\"a\r\n\r\nb\"\r\n;\r\n\r\n2;c\r\n;;\r\n3;d";
    insta::assert_snapshot!(describe_sheet(text, &KEY_ID), @r#"
    1 => 4["1", "a\n\nb"]
    2 => 7["2", "c"]
    3 => 9["3", "d"]
    "#);
}

#[test]
fn all_heading_problems_are_reported_at_once() {
    let ask = SheetOptions {
        key: &["sku", "lang"],
        group_by: Some("vidoe"),
        columns: &[
            ("script", "Skript"),
            ("title", "Heading"),
            ("name", "Heading"),
            ("Note", "Text"),
        ],
        required: &["script", "headline", "sku", "Voice"],
        ..NO_OPTIONS
    };
    let text = "SKU,Script,,,Heading,Script,Text,Note,video,\n1,2,3,4,5,6,7,8,9,10\n";
    insta::assert_snapshot!(describe_sheet(text, &ask), @r#"
    row 1, column C: from here on, 2 columns have no heading
      help: give each a heading, or delete the column in the spreadsheet
    row 1, column J: this column has no heading
      help: give each a heading, or delete the column in the spreadsheet
    row 1, column F `Script`: column B has this heading too
      help: rename one of the two, or delete it
    row 1: there is no column `Skript`, which the batch file names for `script`
      help: did you mean `Script`?
    row 1, column H `Note`: `columns` gives the name `Note` to another column as well
      help: rename this column, or change `columns`
    row 1: there is no column `headline`, which the template needs: `{{headline}}`
      help: did you mean `Heading`? Or rename it, or set `columns = { headline = "…" }`
    row 1: there is no column `Voice`, which the template needs: `{{Voice}}`
      help: the columns are: `SKU`, `Script`, `Heading`, `Script`, `Text`, `Note`, `video` …
    row 1: there is no column `lang`, which `key` names
      help: the columns are: `SKU`, `Script`, `Heading`, `Script`, `Text`, `Note`, `video` …
    row 1: there is no column `vidoe`, which `group_by` names
      help: did you mean `video`? Or change `group_by`
    "#);
}

#[test]
fn headings_match_in_any_spelling() {
    let ask = SheetOptions {
        key: &["sku_no"],
        columns: &[("voice", "VOICE-ID")],
        required: &["script_en", "title", "Title"],
        optional: &["language", "note"],
        ..NO_OPTIONS
    };
    let (_dir, path) =
        write_sheet("SKU No,Script EN,title,Title,LANGUAGE,Voice ID\n7,a,b,c,d,e\n".as_bytes());
    let sheet = open_sheet(&path, &ask).unwrap();
    assert_eq!(
        sheet.template_names(),
        ["SKU No", "script_en", "title", "Title", "language", "voice"]
    );
    assert_eq!(sheet.entries().next().unwrap().unwrap().key, "7");
}

#[test]
fn ambiguous_headings_are_reported() {
    let ask = SheetOptions {
        key: &["s k u"],
        columns: &[("voice", "VOICE")],
        required: &["script", "Script ", "sku"],
        ..NO_OPTIONS
    };
    insta::assert_snapshot!(describe_sheet("SKU,s_k_u,Script,SCRIPT,Voice,voice-\n1,2,3,4,5,6\n", &ask), @"
    row 1: `VOICE` may be any of `Voice` (column E), `voice-` (column F)
      help: write it in `columns` as it is here
    row 1: `script` may be any of `Script` (column C), `SCRIPT` (column D)
      help: rename all but one of them
    row 1: `Script ` may be any of `Script` (column C), `SCRIPT` (column D)
      help: rename all but one of them
    row 1: `sku` may be any of `SKU` (column A), `s_k_u` (column B)
      help: rename all but one of them
    row 1: `s k u` may be any of `SKU` (column A), `s_k_u` (column B)
      help: write it in the batch file as it is here
    ");
    let twice = SheetOptions { required: &["script", "SCRIPT"], ..NO_OPTIONS };
    insta::assert_snapshot!(describe_sheet("Script,id\n1,2\n", &twice), @r#"
    row 1: there is no column `SCRIPT`, which the template needs: `{{SCRIPT}}`
      help: did you mean `Script`? Or rename it, or set `columns = { SCRIPT = "…" }`
    "#);
}

#[test]
fn marked_rows_are_skipped_in_their_position() {
    let text = "id,video,Status\n1,a,\n2,a, Done\n1,b,SKIP\n3,b,later\n,c,x\n4,c,yes,\n";
    let count = |ask: &SheetOptions<'_>| describe_sheet(text, ask);
    let ask = SheetOptions { skip: Some(("status", &[])), ..KEY_ID };
    insta::assert_snapshot!(count(&ask), @r#"
    1 => 2["1", "a", ""]
    2 skipped 3["2", "a", "Done"]
    1 skipped 4["1", "b", "SKIP"]
    3 => 5["3", "b", "later"]
     skipped 6["", "c", "x"]
    row 7: 4 cells where the heading row has 3
      help: put text that contains a comma in quotes
    "#);
    let ask = SheetOptions { skip: Some(("Status", &["Later", "x"])), ..KEY_ID };
    insta::assert_snapshot!(count(&ask), @r#"
    1 => 2["1", "a", ""]
    2 => 3["2", "a", "Done"]
    row 4, column A `id`: row 2 has the key `1`, too
      help: change one of them, or delete a row: keys must be unique
    3 skipped 5["3", "b", "later"]
     skipped 6["", "c", "x"]
    row 7: 4 cells where the heading row has 3
      help: put text that contains a comma in quotes
    "#);
    let ask = SheetOptions { skip: Some(("Status", &[])), ..GROUP_BY_VIDEO };
    insta::assert_snapshot!(count(&ask), @r#"
    a => 2["1", "a", ""]
     skipped 3["2", "a", "Done"]
     skipped 4["1", "b", "SKIP"]
    row 5, column B `video`: this group is skipped, because row 7 may belong to it
      help: fix row 7 first
    c skipped 6["", "c", "x"]
    row 7: 4 cells where the heading row has 3
      help: put text that contains a comma in quotes
    "#);
    let ask = SheetOptions { skip: Some(("State", &[])), ..KEY_ID };
    insta::assert_snapshot!(describe_sheet(text, &ask), @"
    row 1: there is no column `State`, which `skip` names
      help: did you mean `Status`? Or change `skip`
    ");
}

#[test]
fn template_names_take_precedence_over_headings() {
    let ask = SheetOptions {
        key: &["sku"],
        columns: &[("script", "Script (EN)"), ("sku", "No.")],
        required: &["script", "No."],
        ..SheetOptions::default()
    };
    let (_dir, path) = write_sheet(b"No.,Script (EN),x\n7,Hi,\n");
    let sheet = open_sheet(&path, &ask).unwrap();
    assert_eq!(sheet.headings(), ["No.", "Script (EN)", "x"]);
    assert_eq!(sheet.template_names(), ["sku", "script", "x"]);
    assert_eq!(sheet.entries().next().unwrap().unwrap().key, "7");
}

#[test]
fn an_empty_sheet_is_reported() {
    let mut all = String::new();
    for text in ["", "\n\r\n\n", "\u{feff}", ",,,\n", "id,text\n", "id,text\r\n\r\n,\r\n"] {
        all.push_str(&format!("{text:?}: {}", describe_sheet(text, &KEY_ID)));
    }
    insta::assert_snapshot!(all, @r#"
    "": the sheet is empty
      help: add a row of headings and, below it, one row per video
    "\n\r\n\n": the sheet is empty
      help: add a row of headings and, below it, one row per video
    "\u{feff}": the sheet is empty
      help: add a row of headings and, below it, one row per video
    ",,,\n": the sheet is empty
      help: add a row of headings and, below it, one row per video
    "id,text\n": the sheet has headings but no rows
      help: add one row per video
    "id,text\r\n\r\n,\r\n": the sheet has headings but no rows
      help: add one row per video
    "#);
}

#[test]
fn other_file_formats_are_rejected_by_their_first_bytes() {
    let mut all = String::new();
    for bytes in [&b"\xff\xfe\0\0i\0\0\0"[..], b"\xd0\xcf\x11\xe0\xa1\xb1", b"<!doctype html><p>"] {
        all.push_str(&describe_sheet(bytes, &KEY_ID));
    }
    insta::assert_snapshot!(all, @r#"
    the sheet is UTF-32 text, not CSV
      help: in the spreadsheet, save it as "CSV UTF-8" or as XLSX
    the sheet is an old workbook (XLS), or one with a password, not CSV
      help: in the spreadsheet, save it as "CSV UTF-8" or as XLSX
    the sheet is a web page, not CSV
      help: in the spreadsheet, save it as "CSV UTF-8" or as XLSX
    "#);
}

#[test]
fn a_missing_file_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let none = open_sheet(&dir.path().join("none.csv"), &KEY_ID).unwrap_err().to_string();
    assert!(none.contains("none.csv: no such file"), "{none}");
    assert!(open_sheet(dir.path(), &KEY_ID).unwrap_err().to_string().contains("this is a folder"));
}

#[test]
fn invalid_rows_are_reported_and_the_others_are_read() {
    let mut text = b"id,Script,Note\r\n\
        1,fine,\r\n\
        2,Hello, Ann,\r\n\
        3,cut\r\n\
        ,in two,x\r\n\
        \r\n\
        4,\"a quote \"\" too\r\nmany,x\"\r\n\
        5,caf\xe9,x\r\n\
        \xc2\xa0,no key,\r\n\
        1,again,\r\n"
        .to_vec();
    text.extend("cafe\u{301},decomposed,\r\ncaf\u{e9} ,composed,\r\n".as_bytes());
    text.extend(b"6,\"x\xc3\",\xa9\r\n7,\"never closed,\r\n8,swallowed,\r\n9,too,\r\n");
    insta::assert_snapshot!(describe_sheet(text, &KEY_ID), @r#"
    1 => 2["1", "fine", ""]
    row 3: 4 cells where the heading row has 3
      help: put text that contains a comma in quotes
    row 4: 2 cells where the heading row has 3
      help: a comma is missing, or a text with a line break is not in quotes
    row 5, column A `id`: the key is empty
      help: fill it in; keys must be unique, and the key of a video must not change
    row 7: 2 cells where the heading row has 3
      help: a quote that opens in this row is probably closed too late; write a quote within a text twice
    row 8, column B `Script`: the text is not UTF-8, so it would be garbled
      help: in the spreadsheet, save it as "CSV UTF-8"
    row 9, column A `id`: the key is empty
      help: fill it in; keys must be unique, and the key of a video must not change
    row 10, column A `id`: row 2 has the key `1`, too
      help: change one of them, or delete a row: keys must be unique
    café => 11["café", "decomposed", ""]
    row 12, column A `id`: row 11 has the key `café`, too
      help: change one of them, or delete a row: keys must be unique
    row 13, column B `Script`: the text is not UTF-8, so it would be garbled
      help: in the spreadsheet, save it as "CSV UTF-8"
    row 14, column B `Script`: a quote opens here and is never closed, so the rest of the sheet is lost
      help: close it, or delete it; write a quote within a text twice
    "#);
}

#[test]
fn keys_consist_of_columns_or_of_a_hash_of_the_row() {
    let two = SheetOptions { key: &["id", "lang"], ..SheetOptions::default() };
    insta::assert_snapshot!(describe_sheet("id,lang\na/b,en\na,b/en\na,\n a ,\tde\na,de\n", &two), @r#"
    a//b/en => 2["a/b", "en"]
    a/b//en => 3["a", "b/en"]
    row 4, column B `lang`: the key is empty
      help: fill it in; keys must be unique, and the key of a video must not change
    a/de => 5["a", "de"]
    row 6, column A `id`: row 5 has the key `a/de`, too
      help: change one of them, or delete a row: keys must be unique
    "#);
    let none = SheetOptions::default();
    insta::assert_snapshot!(describe_sheet("id,lang\na,en\nae,n\na,en\nA,en\n", &none), @r#"
    g6qsps5cg0pk7 => 2["a", "en"]
    ep8z29kqyz61x => 3["ae", "n"]
    row 4: this row is identical to row 2
      help: delete one of the two, or set `key` to a column in which they differ
    h46mwszbn04z2 => 5["A", "en"]
    "#);
}

#[test]
fn every_duplicate_key_names_its_first_row() {
    let mut text = "id,text\n".to_owned();
    for n in 0..300 {
        text.push_str(&format!("k{},{n}\n", n % 100));
    }
    let (_dir, path) = write_sheet(text.as_bytes());
    let items = read_entries(&path, &KEY_ID).unwrap();
    assert_eq!(items.iter().filter(|item| item.is_ok()).count(), 100);
    for (n, item) in items.iter().enumerate().skip(100) {
        let problem = item.as_ref().unwrap_err();
        assert_eq!(problem.row, Some(n as u64 + 2));
        assert!(problem.message.starts_with(&format!("row {} has", n % 100 + 2)), "{problem}");
    }
}

#[test]
fn rows_of_a_group_are_combined_from_the_whole_sheet() {
    let text =
        "video,text\r\nspring,1\r\nautumn,\"2\r\n2\"\r\n\r\n spring,3\r\nwinter,4\r\nautumn,5";
    insta::assert_snapshot!(describe_sheet(text, &GROUP_BY_VIDEO), @r#"
    spring => 2["spring", "1"] 5["spring", "3"]
    autumn => 3["autumn", "2\n2"] 7["autumn", "5"]
    winter => 6["winter", "4"]
    "#);
}

#[test]
fn a_group_has_one_key_that_no_other_group_has() {
    let ask = SheetOptions { key: &["id"], ..GROUP_BY_VIDEO };
    let text = "video,id\na,1\nb,2\na,1\nc,3\nb,4\nd,1\ne,\ne,5\n";
    insta::assert_snapshot!(describe_sheet(text, &ask), @r#"
    1 => 2["a", "1"] 4["a", "1"]
    row 6, column B `id`: the key `4` differs from `2` in row 3, the first of this group
      help: all rows of a group need the same key, since they make one video
    3 => 5["c", "3"]
    row 7, column B `id`: row 2 has the key `1`, too
      help: change one of them, or delete a row: keys must be unique
    row 8, column B `id`: the key is empty
      help: fill it in; keys must be unique, and the key of a video must not change
    "#);
}

#[test]
fn a_group_that_may_lack_a_row_is_rejected() {
    let text = "video,text\na,1\nb,2\nb,3,4\nc,5\na,6\n,7\nd,8\ne,9\n";
    insta::assert_snapshot!(describe_sheet(text, &GROUP_BY_VIDEO), @r#"
    row 2, column A `video`: this group is skipped, because row 7 may belong to it
      help: fix row 7 first
    row 3, column A `video`: this group is skipped, because row 4 may belong to it
      help: fix row 4 first
    row 4: 3 cells where the heading row has 2
      help: put text that contains a comma in quotes
    row 5, column A `video`: this group is skipped, because row 4 may belong to it
      help: fix row 4 first
    row 7, column A `video`: this cell is empty, so the row belongs to no group
      help: fill in the name of the group in every row, also where cells appear merged
    row 8, column A `video`: this group is skipped, because row 7 may belong to it
      help: fix row 7 first
    e => 9["e", "9"]
    "#);
}

#[test]
fn a_damaged_heading_row_is_reported() {
    insta::assert_snapshot!(describe_sheet("id,\"Script\n1,2\n", &KEY_ID), @"
    row 1, column B: a quote opens here and is never closed, so the rest of the sheet is lost
      help: close it, or delete it; write a quote within a text twice
    ");
    let wide = format!("id{}\n1\n", ",x".repeat(5_000));
    insta::assert_snapshot!(describe_sheet(wide, &KEY_ID), @"
    row 1: this row has more than 4096 cells
      help: delete the columns that are not needed
    ");
}

#[test]
fn a_cell_of_a_megabyte_is_read_and_a_longer_one_is_reported() {
    let fits = "x".repeat(1 << 20);
    let text = format!("id,text\n1,{fits}\n2,{fits}x\n3,y\n");
    let (_dir, path) = write_sheet(text.as_bytes());
    let items = read_entries(&path, &KEY_ID).unwrap();
    assert_eq!(items[0].as_ref().unwrap().rows[0].cells[1], fits);
    insta::assert_snapshot!(items[1].as_ref().unwrap_err(), @"
    row 3, column B `text`: this cell contains more than 1 MB
      help: shorten it; if it should be short, a quote before it may not be closed
    ");
    assert_eq!(items[2].as_ref().unwrap().rows[0].number, 4);
}

#[test]
fn numbered_columns_make_a_list() {
    let ask = SheetOptions { required: &["script", "sku"], lists: &["script"], ..NO_OPTIONS };
    let columns = |headings: &str| {
        let (_dir, path) = write_sheet(format!("{headings}\na,b,c,d,e\n").as_bytes());
        match open_sheet(&path, &ask) {
            Ok(sheet) => sheet.lists().get("script").cloned().unwrap_or_default(),
            Err(problems) => panic!("{problems}"),
        }
    };
    assert_eq!(columns("sku,script_1,script_2,script_10,x"), [1, 2, 3]);
    assert_eq!(columns("Sku,Script 10,SCRIPT2,script-01,Scripts 3"), [3, 2, 1]);
    assert_eq!(columns("sku,script,script_1,script_2,x"), Vec::<usize>::new());
    insta::assert_snapshot!(describe_sheet("sku,scrpt_1,scrpt_2\n1,2,3\n", &ask), @"
    row 1: there is no column `script`, which the template needs: `{{script}}`
      help: did you mean `scrpt_1`, `scrpt_2`? Or call them `script_1`, `script_2` …
    ");
}

#[test]
fn headings_below_a_title_are_found_and_suggested() {
    let ask = SheetOptions { key: &["sku"], required: &["script", "headline"], ..NO_OPTIONS };
    let text = "Spring campaign 2026;;\n\nSKU;Script;Headline\nA1;\"Hi; you\";Tea\n";
    for text in [text, &text.replace(";;", ""), &text.replace(';', "\t"), &text.replace(';', ",")] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(describe_sheet(text, &ask), @"
            row 1: this row is read as the headings, but row 3 looks like the headings
              help: set `header_row = 3` in the batch file
            ");
        }
        let found = describe_sheet(text, &SheetOptions { header_row: Some(3), ..ask });
        assert!(found.starts_with("A1 => 4[\"A1\", \"Hi"), "{found}");
    }
    insta::assert_snapshot!(describe_sheet(text, &SheetOptions { header_row: Some(2), ..ask }), @"
    row 2: this row is empty, and `header_row` names it
      help: set `header_row` to the row of the headings
    ");
    insta::assert_snapshot!(describe_sheet("a,b\nsku,x\nA1,Hi\n", &ask), @"
    row 1: there is no column `script`, which the template needs: `{{script}}`
      help: the columns are: `a`, `b`
    row 1: there is no column `headline`, which the template needs: `{{headline}}`
      help: the columns are: `a`, `b`
    row 1: there is no column `sku`, which `key` names
      help: the columns are: `a`, `b`
    ");
}

#[test]
fn keys_that_look_the_same_are_duplicates_and_shortened_numbers_are_warnings() {
    let text = "id,text\nTEA-001,a\nTEA\u{2011}001,b\nTEA\u{2011}002,c\nTEA\u{2011}002,d\n\
        TEA\u{200b}-003,e\nTEA-003\u{a0},f\nTEA 4,g\nTEA\u{a0} 4,h\n";
    insta::assert_snapshot!(describe_sheet(text, &KEY_ID), @r#"
    TEA-001 => 2["TEA-001", "a"]
    row 3, column A `id`: the key `TEA‑001` looks like that of row 2
      help: the two differ only in invisible characters, or in the kind of a hyphen or a blank: type one of them again
    TEA‑002 => 4["TEA‑002", "c"]
    row 5, column A `id`: row 4 has the key `TEA‑002`, too
      help: change one of them, or delete a row: keys must be unique
    TEA-003 => 6["TEA-003", "e"]
    row 7, column A `id`: row 6 has the key `TEA-003`, too
      help: change one of them, or delete a row: keys must be unique
    TEA 4 => 8["TEA 4", "g"]
    row 9, column A `id`: the key `TEA  4` looks like that of row 8
      help: the two differ only in invisible characters, or in the kind of a hyphen or a blank: type one of them again
    "#);
    let grouped = "video,text\nTEA-1,a\nTEA\u{2212}1,b\nTEA-1,c\n";
    insta::assert_snapshot!(describe_sheet(grouped, &GROUP_BY_VIDEO), @r#"
    TEA-1 => 2["TEA-1", "a"] 4["TEA-1", "c"]
    row 3, column A `video`: the key `TEA−1` looks like that of row 2
      help: the two differ only in invisible characters, or in the kind of a hyphen or a blank: type one of them again
    "#);
    let (_dir, path) = write_sheet(b"id,text\n8.80123E+12,a\n\"8,80124E+12\",b\n1E5,c\n");
    let entries = read_entries(&path, &KEY_ID).unwrap();
    let warnings = entries.into_iter().flat_map(|entry| entry.unwrap().warnings);
    let warnings: String = warnings.map(|warning| format!("{warning}\n")).collect();
    insta::assert_snapshot!(warnings, @"
    row 2, column A `id`: the key `8.80123E+12` was probably shortened by a spreadsheet, and lost digits
      help: format the column as text in the spreadsheet, and enter the whole number
    row 3, column A `id`: the key `8,80124E+12` was probably shortened by a spreadsheet, and lost digits
      help: format the column as text in the spreadsheet, and enter the whole number
    ");
}

#[test]
fn an_uncertain_delimiter_is_reported() {
    let ask = SheetOptions { required: &["script"], ..SheetOptions::default() };
    insta::assert_snapshot!(describe_sheet("id/script\n1/Hi\n", &ask), @"
    row 1: there is no column `script`, which the template needs: `{{script}}`
      help: there is only one column, `id/script`; separate cells by commas, semicolons, tabs or pipes
    ");
}

/// Every file in `tests/data/sheets` is compared with the snapshot beside it.
#[test]
fn the_sample_sheets_match_their_snapshots() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sheets");
    let mut sheets: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|kind| kind != "snap"))
        .collect();
    sheets.sort();
    assert!(sheets.len() >= 40, "the kept sheets are gone");
    for sheet in sheets {
        let name = sheet.file_name().unwrap().to_string_lossy().into_owned();
        let skip = name.contains("skip").then_some(("status", &[][..]));
        let worksheet = name.starts_with("worksheet").then_some("scripts");
        let ask = if name.starts_with("group") { GROUP_BY_VIDEO } else { KEY_ID };
        let ask = SheetOptions { skip, worksheet, ..ask };
        insta::with_settings!({
            snapshot_path => &folder, prepend_module_to_snapshot => false, omit_expression => true,
        }, {
            insta::assert_snapshot!(name, describe_sheet(fs::read(&sheet).unwrap(), &ask));
        });
    }
}

/// Bytes with a meaning in CSV.
fn tricky_bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => prop::sample::select(b"\"\"\r\n\n,,;\t a1".to_vec()),
        1 => any::<u8>(),
    ];
    prop::collection::vec(byte, 0..200)
}

/// Any cell, with more characters than usual that need quotes.
fn any_cell() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-z\"'\r\n,;\t \u{a0}é한🎬\u{feff}]{0,12}", Just(String::new()),]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_bytes_give_rows_or_problems(bytes in tricky_bytes(), headings in any::<bool>()) {
        let bytes = if headings { [b"id,video\n", &bytes[..]].concat() } else { bytes };
        let (_dir, path) = write_sheet(&bytes);
        for ask in [SheetOptions::default(), KEY_ID, GROUP_BY_VIDEO] {
            let Ok(items) = read_entries(&path, &ask) else { continue };
            let firsts = items.iter().map(|item| match item {
                Ok(entry) => entry.rows[0].number,
                Err(problem) => problem.row.unwrap(),
            });
            let mut before = 1;
            for (first, item) in firsts.zip(&items) {
                prop_assert!(first > before);
                before = first;
                if let Ok(entry) = item {
                    prop_assert!(entry.rows.is_sorted_by(|a, b| a.number < b.number));
                    prop_assert!(entry.rows.iter().all(|row| row.cells.len() == 2 || !headings));
                }
            }
        }
    }

    /// No row is lost or repeated, however the rows are grouped.
    #[test]
    fn every_row_belongs_to_one_entry_or_problem(
        videos in prop::collection::vec("[ab]?[ab]?", 1..40)
    ) {
        let text: String = videos.iter().enumerate().map(|(n, v)| format!("{v},{n}\n")).collect();
        let (_dir, path) = write_sheet(format!("video,n\n{text}").as_bytes());
        let mut rows = Vec::new();
        let mut left_out = 0;
        for item in read_entries(&path, &GROUP_BY_VIDEO).unwrap() {
            match item {
                Ok(entry) => {
                    let own = entry.rows.iter().all(|row| row.cells[0] == entry.key);
                    prop_assert!(own);
                    rows.extend(entry.rows.iter().map(|row| row.number));
                }
                Err(_) => left_out += 1,
            }
        }
        let given = rows.len();
        rows.sort_unstable();
        rows.dedup();
        prop_assert_eq!(rows.len(), given);
        let strays = videos.iter().filter(|video| video.is_empty()).count();
        prop_assert_eq!(given == videos.len(), strays == 0);
        prop_assert!(left_out >= strays);
    }

    #[test]
    fn any_table_is_read_as_it_was_written(
        table in (1..5usize).prop_flat_map(|width| {
            prop::collection::vec(prop::collection::vec(any_cell(), width), 1..12)
        }),
        delimiter in prop::sample::select(b",;\t|".to_vec()),
        crlf in any::<bool>(),
        always in any::<bool>(),
        mark in any::<bool>(),
    ) {
        let width = table[0].len();
        // An unquoted byte order mark at the start would be that of the file.
        let mut writer = csv::WriterBuilder::new()
            .delimiter(delimiter)
            .terminator(if crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') })
            .quote_style(if always { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary })
            .from_writer(if mark { "\u{feff}".as_bytes().to_vec() } else { Vec::new() });
        writer.write_record((0..=width).map(|column| format!("c{column}"))).unwrap();
        for (number, cells) in table.iter().enumerate() {
            let number = format!("r{number}");
            writer.write_record(cells.iter().map(String::as_str).chain([number.as_str()])).unwrap();
        }
        let (_dir, path) = write_sheet(&writer.into_inner().unwrap());
        let last = format!("c{width}");
        let items = read_entries(&path, &SheetOptions { key: &[&last], ..SheetOptions::default() }).unwrap();
        prop_assert_eq!(items.len(), table.len());
        for (number, (item, cells)) in items.iter().zip(&table).enumerate() {
            let row = &item.as_ref().unwrap().rows[0];
            let cells: Vec<_> = cells.iter().map(|cell| normalize_cell(cell)).collect();
            prop_assert_eq!(&row.cells[..width], &cells[..]);
            prop_assert_eq!(row.number, number as u64 + 2);
        }
    }
}

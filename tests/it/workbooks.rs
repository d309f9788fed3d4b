//! Workbooks: cells as displayed, hidden rows, merged cells, and workbooks that unpack to gigabytes.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use zip::write::SimpleFileOptions;

use crate::sheet::{KEY_ID, SheetOptions, describe_entry, describe_sheet, open_sheet};

const OFFICE: &str = "urn:oasis:names:tc:opendocument:xmlns";

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/workbooks").join(name)
}

fn entries(path: &Path, ask: &SheetOptions<'_>) -> String {
    open_sheet(path, ask).unwrap().entries().map(|item| describe_entry(&item)).collect()
}

fn warnings(path: &Path, ask: &SheetOptions<'_>) -> String {
    let sheet = open_sheet(path, ask).unwrap();
    sheet.warnings().iter().map(|warning| format!("{warning}\n")).collect()
}

/// One part of a workbook: a text, or bytes that are repeated.
struct Part<'p> {
    name: &'p str,
    before: &'p str,
    repeated: &'p [u8],
    count: usize,
    after: &'p str,
}

impl<'p> Part<'p> {
    fn text(name: &'p str, text: &'p str) -> Self {
        Self { name, before: text, repeated: b"", count: 0, after: "" }
    }
}

fn write_archive(path: &Path, parts: &[Part<'_>]) {
    let mut archive = zip::ZipWriter::new(File::create(path).unwrap());
    for part in parts {
        archive.start_file(part.name, SimpleFileOptions::default()).unwrap();
        archive.write_all(part.before.as_bytes()).unwrap();
        let block = part.repeated.repeat((1 << 20) / part.repeated.len().max(1));
        let bytes = (part.repeated.len() * part.count) as u64;
        let mut left = bytes;
        while left > 0 {
            let now = left.min(block.len() as u64) as usize;
            archive.write_all(&block[..now]).unwrap();
            left -= now as u64;
        }
        archive.write_all(part.after.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
}

/// Writes a workbook with one worksheet of texts.
pub(crate) fn write_text_workbook(path: &Path, rows: &[Vec<&str>]) {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let cell = |text: &&str| format!("<c t=\"inlineStr\"><is><t>{}</t></is></c>", escape(text));
    let row = |row: &Vec<&str>| format!("<row>{}</row>", row.iter().map(cell).collect::<String>());
    let rows: String = rows.iter().map(row).collect();
    write_worksheet(path, &format!("<sheetData>{rows}</sheetData></worksheet>"));
}

/// Writes a workbook whose only worksheet has this XML within its root, and ends with it.
pub(crate) fn write_worksheet(path: &Path, sheet: &str) {
    write_xlsx(path, Part::text("", sheet), None);
}

/// Writes a workbook whose only worksheet has this XML within its root.
fn write_xlsx(path: &Path, worksheet: Part<'_>, more: Option<Part<'_>>) {
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let package = "http://schemas.openxmlformats.org/package/2006/relationships";
    let relation = |id: &str, kind: &str, target: &str| {
        format!("<Relationship Id=\"{id}\" Type=\"{office}/{kind}\" Target=\"{target}\"/>")
    };
    let root = relation("a", "officeDocument", "xl/workbook.xml");
    let inner = relation("b", "worksheet", "worksheets/one.xml")
        + &relation("c", "sharedStrings", "sharedStrings.xml")
        + &relation("d", "styles", "styles.xml");
    let relations =
        |list: &str| format!("<Relationships xmlns=\"{package}\">{list}</Relationships>");
    let workbook = format!(
        "<workbook xmlns=\"{main}\" xmlns:r=\"{office}\"><sheets>\
         <sheet name=\"One\" sheetId=\"1\" r:id=\"b\"/></sheets></workbook>"
    );
    let before = format!("<worksheet xmlns=\"{main}\">{}", worksheet.before);
    let (root, inner) = (relations(&root), relations(&inner));
    let mut parts = vec![
        Part::text("[Content_Types].xml", "<Types/>"),
        Part::text("_rels/.rels", &root),
        Part::text("xl/workbook.xml", &workbook),
        Part::text("xl/_rels/workbook.xml.rels", &inner),
        Part { name: "xl/worksheets/one.xml", before: &before, ..worksheet },
    ];
    parts.extend(more);
    write_archive(path, &parts);
}

fn write_ods(path: &Path, table: &str) {
    let content = format!(
        "<office:document-content xmlns:office=\"{OFFICE}:office:1.0\" \
         xmlns:table=\"{OFFICE}:table:1.0\" xmlns:text=\"{OFFICE}:text:1.0\"><office:body>\
         <office:spreadsheet><table:table table:name=\"One\">{table}</table:table>\
         </office:spreadsheet></office:body></office:document-content>"
    );
    write_archive(path, &[Part::text("content.xml", &content)]);
}

#[test]
fn one_sheet_has_the_same_keys_and_texts_in_every_format() {
    let want = describe_sheet(fs::read(sample("formats.csv")).unwrap(), &KEY_ID);
    assert!(
        want.starts_with("0007 => 2[\"0007\", \"4.90 €\", \"25.0%\", \"01.03.2026\""),
        "{want}"
    );
    for name in ["formats.xlsx", "formats-resaved.xlsx", "formats.ods"] {
        assert_eq!(entries(&sample(name), &KEY_ID), want, "{name}");
        assert_eq!(warnings(&sample(name), &KEY_ID), "", "{name}");
    }
}

#[test]
fn hidden_rows_and_merged_cells_are_reported_and_hidden_rows_can_be_skipped() {
    for name in ["hidden-merged.xlsx", "hidden-merged.ods"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(warnings(&sample(name), &KEY_ID), @"
            3 of 5 rows are hidden in the worksheet: rows 3, 4 and 6
              help: they are read like the others; set `skip_hidden = true` to skip them
            `C2:C4` is merged: rows 3 and 4 have no `headline`
              help: unmerge the cells in the spreadsheet and fill in each of them
            `B5:C5` is merged: row 5 has no `headline`
              help: unmerge the cells in the spreadsheet and fill in each of them
            ");
        }
        let ask = SheetOptions { skip_hidden: true, ..KEY_ID };
        assert!(!warnings(&sample(name), &ask).contains("hidden"), "{name}");
        insta::allow_duplicates! {
            insta::assert_snapshot!(entries(&sample(name), &ask), @r#"
            A1 => 2["A1", "one", "Spring sale"]
            A2 skipped 3["A2", "OLD", ""]
            A3 skipped 4["A3", "old too", ""]
            A4 => 5["A4", "four", ""]
            A5 skipped 6["A5", "five", "x"]
            "#);
        }
    }
}

#[test]
fn an_ods_is_read_as_displayed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.ods");
    let cell = |attributes: &str, content: &str| {
        format!("<table:table-cell {attributes}>{content}</table:table-cell>")
    };
    let row = |cells: &[String]| format!("<table:table-row>{}</table:table-row>", cells.concat());
    let text =
        |text: &str| cell("office:value-type=\"string\"", &format!("<text:p>{text}</text:p>"));
    let ruby = "<text:ruby><text:ruby-base>漢字</text:ruby-base>\
                <text:ruby-text>カンジ</text:ruby-text></text:ruby>";
    let note = "<office:annotation><text:p>ask legal</text:p></office:annotation>";
    write_ods(
        &path,
        &[
            row(&[text("id"), text("text")]),
            row(&[
                cell("office:value-type=\"float\" office:value=\"42\"", "<text:p>SKU-0042</text:p>"),
                cell("office:value-type=\"currency\" office:value=\"19.9\"", "<text:p>19,90 €</text:p>"),
            ]),
            row(&[
                text("2"),
                cell(
                    "office:value-type=\"string\"",
                    &format!("{note}<text:p>a<text:s text:c=\"3\"/>{ruby}&amp;</text:p><text:p>b</text:p>"),
                ),
            ]),
            row(&[text("3"), cell("office:value-type=\"date\" office:date-value=\"2026-03-01\"", "")]),
            row(&[text("4"), cell("table:formula=\"of:=A1\"", "")]),
        ]
        .concat(),
    );
    insta::assert_snapshot!(entries(&path, &KEY_ID), @r#"
    SKU-0042 => 2["SKU-0042", "19,90 €"]
    2 => 3["2", "a   漢字&\nb"]
    3 => 4["3", "2026-03-01"]
    row 5, column B `text`: this formula has no stored value
      help: open the workbook in a spreadsheet program and save it
    "#);
    insta::assert_snapshot!(warnings(&path, &KEY_ID), @"
    the number format in column B `text` is not followed, first in row 4: it depends on the settings of a computer, or is not known
      help: look at the texts with `callsheet preview`; to have them as displayed, choose a format with fixed parts, such as `yyyy-mm-dd`, or format the cells as text
    ");
}

#[test]
fn an_odd_dimension_and_missing_addresses_do_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.xlsx");
    let cell = |text: &str| format!("<c t=\"inlineStr\"><is><t>{text}</t></is></c>");
    for dimension in [
        "",
        "<dimension/>",
        "<dimension ref=\"A0:C0\"/>",
        "<dimension ref=\"A:C\"></dimension>",
        "<dimension ref=\"C9:A1\"/>",
    ] {
        let rows = format!(
            "{dimension}<sheetData><row>{}{}</row><row>{}<c/></row><row r=\"5\">{}</row></sheetData>\
             </worksheet>",
            cell("id"),
            cell("text"),
            cell("1"),
            cell("2")
        );
        write_xlsx(&path, Part::text("", &rows), None);
        let want = "1 => 2[\"1\", \"\"]\n2 => 5[\"2\", \"\"]\n";
        assert_eq!(entries(&path, &KEY_ID), want, "{dimension}");
    }
}

const MAIN: &str = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
const OFFICE_RELATIONS: &str =
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// The parts of a workbook with phonetic text, escaped characters, a date, and a cell far from the
/// table that has a format and no value.
fn ordinary_parts(day: u32) -> Vec<(&'static str, String)> {
    let relations = |list: &str| {
        let package = "http://schemas.openxmlformats.org/package/2006/relationships";
        format!("<Relationships xmlns=\"{package}\">{list}</Relationships>")
    };
    let relation = |id: &str, kind: &str, target: &str| {
        format!(
            "<Relationship Id=\"{id}\" Type=\"{OFFICE_RELATIONS}/{kind}\" Target=\"{target}\"/>"
        )
    };
    let shared = "<si><t>id</t></si><si><t>text</t></si><si><t>day</t></si>\
        <si><r><t>東</t></r><r><t>京</t></r><rPh sb=\"0\" eb=\"2\"><t>トウキョウ</t></rPh></si>\
        <si><t>A_x0042_C _x005F_x0041_</t></si>";
    let cells = format!(
        "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"B1\" t=\"s\"><v>1</v></c>\
         <c r=\"C1\" t=\"s\"><v>2</v></c></row><row r=\"2\"><c r=\"A2\" t=\"s\"><v>3</v></c>\
         <c r=\"B2\" t=\"s\"><v>4</v></c><c r=\"C2\" s=\"1\"><v>{day}</v></c></row>\
         <row r=\"900\"><c r=\"XFD900\" s=\"1\"/></row>"
    );
    let styles = "<numFmts count=\"1\"><numFmt numFmtId=\"164\" formatCode=\"yyyy\\-mm\\-dd\"/>\
        </numFmts><cellXfs count=\"2\"><xf numFmtId=\"0\"/><xf numFmtId=\"164\"/></cellXfs>";
    vec![
        ("[Content_Types].xml", "<Types/>".to_owned()),
        ("_rels/.rels", relations(&relation("a", "officeDocument", "xl/workbook.xml"))),
        (
            "xl/_rels/workbook.xml.rels",
            relations(
                &(relation("b", "worksheet", "worksheets/one.xml")
                    + &relation("c", "sharedStrings", "sharedStrings.xml")
                    + &relation("d", "styles", "styles.xml")),
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{MAIN}\" xmlns:r=\"{OFFICE_RELATIONS}\"><sheets>\
                 <sheet name=\"One\" sheetId=\"1\" r:id=\"b\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/worksheets/one.xml",
            format!("<worksheet xmlns=\"{MAIN}\"><sheetData>{cells}</sheetData></worksheet>"),
        ),
        ("xl/sharedStrings.xml", format!("<sst xmlns=\"{MAIN}\">{shared}</sst>")),
        ("xl/styles.xml", format!("<styleSheet xmlns=\"{MAIN}\">{styles}</styleSheet>")),
    ]
}

/// Gives every element of the main namespace a prefix, as some programs do.
fn with_prefix(text: &str) -> String {
    if !text.contains(&format!("xmlns=\"{MAIN}\"")) {
        return text.to_owned();
    }
    let prefixed = text.replace('<', "<x:").replace("<x:/", "</x:");
    prefixed.replace("xmlns=", "xmlns:x=")
}

/// A name, the number of the day, and how every part differs.
type Dialect<'d> = (&'d str, u32, &'d dyn Fn(&str) -> String);

#[test]
fn a_workbook_is_read_alike_in_every_dialect_of_its_format() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.xlsx");
    let strict = |text: &str| {
        text.replace(MAIN, "http://purl.oclc.org/ooxml/spreadsheetml/main")
            .replace(OFFICE_RELATIONS, "http://purl.oclc.org/ooxml/officeDocument/relationships")
    };
    let since_1904 = |text: &str| text.replace("<sheets>", "<workbookPr date1904=\"1\"/><sheets>");
    let dialects: [Dialect<'_>; 4] = [
        ("transitional", 46082, &str::to_owned),
        ("strict", 46082, &strict),
        ("prefixed", 46082, &with_prefix),
        ("dates since 1904", 46082 - 1462, &since_1904),
    ];
    for (name, day, change) in dialects {
        let parts: Vec<(&str, String)> =
            ordinary_parts(day).into_iter().map(|(part, text)| (part, change(&text))).collect();
        let parts: Vec<Part<'_>> =
            parts.iter().map(|(part, text)| Part::text(part, text)).collect();
        write_archive(&path, &parts);
        let want = "東京 => 2[\"東京\", \"ABC _x0041_\", \"2026-03-01\"]\n";
        assert_eq!(entries(&path, &KEY_ID), want, "{name}");
        assert_eq!(warnings(&path, &KEY_ID), "", "{name}");
    }
}

#[test]
fn repeated_cells_of_an_ods_are_read_and_empty_ones_at_its_end_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s.ods");
    let cell = |text: &str, count: u32| {
        format!(
            "<table:table-cell office:value-type=\"string\" \
             table:number-columns-repeated=\"{count}\"><text:p>{text}</text:p></table:table-cell>"
        )
    };
    let rest = "<table:table-cell table:number-columns-repeated=\"16382\"/>";
    write_ods(
        &path,
        &format!(
            "<table:table-row>{}{}{rest}</table:table-row><table:table-row>{}{rest}\
             </table:table-row><table:table-row table:number-rows-repeated=\"1048574\">\
             <table:table-cell table:number-columns-repeated=\"16384\"/></table:table-row>",
            cell("id", 1),
            cell("text", 1),
            cell("same", 2)
        ),
    );
    assert_eq!(entries(&path, &KEY_ID), "same => 2[\"same\", \"same\"]\n");
}

/// Plans a batch with this sheet in a process of its own, whose memory is limited.
fn plan_with_little_memory(dir: &Path, sheet: &str) -> (Option<i32>, String) {
    let batch = format!("name = 'b'\nsheet = '{sheet}'\ntemplate = 't.json.hbs'\nkey = 'id'\n");
    fs::write(dir.join("b.toml"), batch).unwrap();
    fs::write(dir.join("t.json.hbs"), crate::support::TEMPLATE.replace("{{key}}", "{{id}}"))
        .unwrap();
    // Memory in KB, temporary files in blocks of 512 bytes.
    let limited = "ulimit -d $((192 * 1024)); ulimit -f $((64 * 2048)); \
                   exec \"$0\" plan b.toml --offline";
    let output = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_callsheet")])
        .current_dir(dir)
        .env("TMPDIR", dir)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn decompression_bombs_are_rejected_with_little_memory() {
    let dir = tempfile::tempdir().unwrap();
    let xlsx = |name: &str, worksheet: Part<'_>, more: Option<Part<'_>>| {
        write_xlsx(&dir.path().join(name), worksheet, more);
    };
    let ods = |name: &str, table: &str| write_ods(&dir.path().join(name), table);
    let end = "</sheetData></worksheet>";
    let blank = |count| Part { name: "", before: "<sheetData>", repeated: b" ", count, after: end };
    xlsx("blanks.xlsx", blank(40 << 20), None);
    xlsx(
        "inline.xlsx",
        Part {
            name: "",
            before: "<sheetData><row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>",
            repeated: b"<!--x-->y",
            count: 2 << 20,
            after: "</t></is></c></row></sheetData></worksheet>",
        },
        None,
    );
    let wide = "<sheetData><row r=\"1\"><c r=\"XFD1\"><v>1</v></c></row></sheetData></worksheet>";
    xlsx("wide.xlsx", Part::text("", wide), None);
    xlsx(
        "wide-rows.xlsx",
        Part {
            name: "",
            before: "<sheetData>",
            repeated: b"<row><c r=\"XFD1\"><v>1</v></c></row>",
            count: 200_000,
            after: end,
        },
        None,
    );
    let text = "x".repeat(1_000_000);
    let shared = format!("<sst xmlns=\"{MAIN}\"><si><t>{text}</t></si></sst>");
    let shared = Part::text("xl/sharedStrings.xml", &shared);
    let copies = format!("<row>{}</row>", "<c t=\"s\"><v>0</v></c>".repeat(4000));
    let copies = Part {
        name: "",
        before: "<sheetData>",
        repeated: copies.as_bytes(),
        count: 20,
        after: end,
    };
    xlsx("shared.xlsx", copies, Some(shared));
    let deep = "<sheetData><row r=\"4000000\"><c r=\"A4000000\"><v>1</v></c></row></sheetData></worksheet>";
    xlsx("deep.xlsx", Part::text("", deep), None);
    let cell = |attributes: &str, content: &str| {
        format!(
            "<table:table-cell office:value-type=\"string\" {attributes}>{content}</table:table-cell>"
        )
    };
    let row = |count: usize, cells: &str| {
        format!("<table:table-row table:number-rows-repeated=\"{count}\">{cells}</table:table-row>")
    };
    let blanks = cell("", "<text:p>id<text:s text:c=\"2000000000\"/></text:p>");
    ods("blanks.ods", &row(1, &blanks));
    let error = cell(
        "calcext:value-type=\"error\" table:number-columns-repeated=\"2000\"",
        "<text:p>#N/A</text:p>",
    );
    ods("errors.ods", &row(20_000, &error));
    ods(
        "wide.ods",
        &row(1, &cell("table:number-columns-repeated=\"16384\"", "<text:p>id</text:p>")),
    );
    let text = format!("<text:p>{text}</text:p>");
    ods("texts.ods", &row(20, &cell("table:number-columns-repeated=\"4000\"", &text)));
    let half = cell("table:number-columns-repeated=\"60\"", &text);
    ods("heading.ods", &(row(1, &half) + &row(1, &cell("", "<text:p>1</text:p>"))));
    ods("deep.ods", &row(3_000_000_000, &cell("", "<text:p>id</text:p>")));
    let mut told = String::new();
    for name in [
        "blanks.xlsx",
        "inline.xlsx",
        "wide.xlsx",
        "wide-rows.xlsx",
        "shared.xlsx",
        "deep.xlsx",
        "blanks.ods",
        "errors.ods",
        "wide.ods",
        "texts.ods",
        "heading.ods",
        "deep.ods",
    ] {
        let (code, stderr) = plan_with_little_memory(dir.path(), name);
        let line = stderr.lines().next().unwrap_or_default();
        told.push_str(&format!("{name} {code:?} {line}\n"));
    }
    insta::assert_snapshot!(told, @"
    blanks.xlsx Some(4) error: a text in the workbook is longer than 1 MB (in `xl/worksheets/one.xml`)
    inline.xlsx Some(4) error: a text in the workbook is longer than 1 MB, in or after row 1 (in `xl/worksheets/one.xml`)
    wide.xlsx Some(4) error: the worksheet has a value in cell XFD1; columns up to 4096 and rows up to 1048576 are read
    wide-rows.xlsx Some(4) error: the worksheet has a value in cell XFD1; columns up to 4096 and rows up to 1048576 are read
    shared.xlsx Some(4) error: the worksheet has more than 256 MB of text, in row 1
    deep.xlsx Some(4) error: the worksheet has a value in cell A4000000; columns up to 4096 and rows up to 1048576 are read
    blanks.ods Some(4) error: a text in the workbook has more than 10,000 blanks at once (in `content.xml`)
    errors.ods Some(4) error: the worksheet has more than 10,000,000 cells
    wide.ods Some(4) error: the worksheet has a value in cell FAO1; columns up to 4096 and rows up to 1048576 are read
    texts.ods Some(4) error: the worksheet has more than 256 MB of text, in row 1
    heading.ods Some(4) error: row 1: this row contains more than 4 MB
    deep.ods Some(4) error: the worksheet has a value in cell A1048577; columns up to 4096 and rows up to 1048576 are read
    ");
}

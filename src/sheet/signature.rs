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
    (b"\x09\x08", "an old workbook (XLS)"),
    (b"%PDF", "a PDF"),
    (b"{\\rtf", "a text document (RTF)"),
    (b"\x1f\x8b", "a packed file (gzip)"),
    (b"7z\xbc\xaf", "a packed file (7z)"),
    (b"Rar!", "a packed file (RAR)"),
    (b"SQLite format 3", "a database"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"MIME-Version:", "a web page (MHTML)"),
    (b"[InternetShortcut]", "a shortcut to a web page"),
    (b"book\0\0\0\0mark", "a shortcut (alias)"),
    (b"L\0\0\0\x01\x14\x02\0", "a shortcut (LNK)"),
    (b"ID;P", "a SYLK file"),
];
/// The beginning of a file in which its kind is looked for.
const SEARCHED_BYTES: usize = 4096;
/// Elements and comments with which web pages begin.
const WEB_PAGE_STARTS: &[&str] = &[
    "<!doctype html",
    "<html",
    "<head",
    "<body",
    "<script",
    "<meta",
    "<title",
    "<table",
    "<div",
    "<style",
    "<p>",
    "<p ",
    "<h1",
    "<center",
    "<br",
    "<iframe",
    "<noscript",
    "<svg",
];

/// Returns the kind of the sheet.
///
/// # Errors
/// The file is of a known kind that is not a sheet.
pub(super) fn detect_file_kind(
    sample: &[u8],
    is_link: bool,
) -> Result<SheetFileKind, SheetProblem> {
    let begins = |start: &[u8]| {
        sample.get(..start.len()).is_some_and(|first| first.eq_ignore_ascii_case(start))
    };
    if begins(WORKBOOK_SIGNATURE) {
        return Ok(SheetFileKind::Workbook);
    }
    let signature = REJECTED_SIGNATURES.iter().find(|(start, _)| begins(start));
    let rejected = signature.map(|(_, what)| *what).or_else(|| text_kind(sample));
    let rejected = rejected.or_else(|| is_binary(sample).then_some("binary data"));
    let Some(what) = rejected else { return Ok(SheetFileKind::Text) };
    let help = if is_link {
        "publish the sheet as CSV, and use that link: in Google Sheets, File → Share → Publish to web → \
         CSV (it ends in `output=csv`)"
    } else if what.contains("shortcut") {
        "open it, download the table as CSV or XLSX, and set `sheet` to that file"
    } else {
        "in the spreadsheet, save it as \"CSV UTF-8\" or as XLSX"
    };
    Err(SheetProblem::for_sheet(format!("the sheet is {what}, not CSV"), help))
}

/// Returns whether one byte in twenty is a control character that texts do not contain. Text in UTF-16
/// may have any byte; it begins with a mark, or has zeros. Bytes of seven bits are text: ISO-2022-KR
/// shifts between its letters with control characters.
fn is_binary(sample: &[u8]) -> bool {
    let sample = &sample[..sample.len().min(SEARCHED_BYTES)];
    let is_utf16 = sample.starts_with(b"\xff\xfe") || sample.starts_with(b"\xfe\xff");
    let count =
        |is_counted: fn(u8) -> bool| sample.iter().filter(|byte| is_counted(**byte)).count();
    let zeros = count(|byte| byte == 0);
    let controls = count(|byte| matches!(byte, 0x01..=0x08 | 0x0e..=0x19 | 0x1c..=0x1f));
    !is_utf16 && !sample.is_ascii() && zeros * 20 < sample.len() && controls * 20 > sample.len()
}

/// Returns the kind of a text that is not CSV.
fn text_kind(sample: &[u8]) -> Option<&'static str> {
    let sample = &sample[..sample.len().min(SEARCHED_BYTES)];
    let text = String::from_utf8_lossy(sample).to_lowercase();
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    match text.chars().next()? {
        '<' => markup_kind(text),
        '{' | '[' => json_kind(text),
        _ => None,
    }
}

fn markup_kind(text: &str) -> Option<&'static str> {
    let mut start = text;
    // Comments may stand before the first element.
    while let Some((_, rest)) = start.strip_prefix("<!--").and_then(|rest| rest.split_once("-->")) {
        start = rest.trim_start();
    }
    let is_web_page = WEB_PAGE_STARTS.iter().any(|tag| start.starts_with(tag));
    if is_web_page || text.contains("<!doctype html") || text.contains("<html") {
        return Some("a web page");
    }
    if text.contains("progid=\"excel.sheet\"") || text.contains("schemas-microsoft-com:office") {
        return Some("an XML spreadsheet (Excel 2003)");
    }
    if text.contains("<key>url</key>") || text.contains("<plist") {
        return Some("a shortcut to a web page");
    }
    (start.starts_with("<?xml") || start.starts_with("<!")).then_some("an XML file")
}

/// Returns the kind of a text that begins with a bracket, if what follows is JSON.
fn json_kind(text: &str) -> Option<&'static str> {
    let rest = text[1..].trim_start();
    let is_json = match text.starts_with('{') {
        // After a key, a colon follows.
        true => rest.starts_with('}') || is_json_key(rest),
        false => {
            rest.starts_with(['{', '[', ']'])
                || rest.strip_prefix('"').is_some_and(|item| {
                    let behind = item.split_once('"').map(|(_, behind)| behind.trim_start());
                    behind.is_some_and(|behind| behind.starts_with([',', ']']))
                })
        }
    };
    let names_document = ["\"doc_id\"", "\"resource_id\"", "docs.google.com", "drive.google.com"];
    match is_json {
        true if names_document.iter().any(|name| text.contains(name)) => {
            Some("a shortcut of Google Drive (JSON)")
        }
        true => Some("JSON"),
        false => None,
    }
}

fn is_json_key(text: &str) -> bool {
    let Some(key) = text.strip_prefix('"') else { return false };
    let behind = key.split_once('"').map(|(_, behind)| behind.trim_start());
    // The key may contain an escaped quote; then it is no heading either.
    behind.is_some_and(|behind| behind.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_no_text_are_no_csv_in_an_unknown_encoding() {
        let mut random = blake3::Hasher::new().finalize_xof();
        let mut noise = vec![0; 3000];
        random.fill(&mut noise);
        let problem = detect_file_kind(&noise, false).unwrap_err();
        assert_eq!(problem.message, "the sheet is binary data, not CSV");
        let utf16: Vec<u8> =
            "id,短い文\r\n1,声".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let marked = [&b"\xff\xfe"[..], &utf16].concat();
        let japanese = b"id,text\r\n1,\x1b$B@<$NF|\x1b(B\r\n";
        let korean = b"id,text\n1,\x1b$)C\x0e0!\x0f\n";
        for text in [&utf16[..], &marked, japanese, korean, b"id,text\r\n\x1a"] {
            assert_eq!(detect_file_kind(text, false).unwrap(), SheetFileKind::Text, "{text:?}");
        }
    }

    #[test]
    fn kinds_are_recognized_by_content() {
        let web_page = Some("a web page");
        for (text, want) in [
            ("<!DOCTYPE html><p>", web_page),
            ("\n\n  \u{feff}<!-- saved -->\n<HTML lang=\"en\">", web_page),
            ("<?xml version=\"1.0\"?><!DOCTYPE html PUBLIC>", web_page),
            ("<table><tr><td>id", web_page),
            ("<?xml version=\"1.0\"?><a/>", Some("an XML file")),
            (
                "<?xml?><?mso-application progid=\"Excel.Sheet\"?>",
                Some("an XML spreadsheet (Excel 2003)"),
            ),
            ("{\"\": \"WARNING!\", \"doc_id\": \"1\"}", Some("a shortcut of Google Drive (JSON)")),
            ("\u{feff}[ {\"id\": 1}]", Some("JSON")),
            ("[\"a\", \"b\"]", Some("JSON")),
            ("{ }", Some("JSON")),
            ("[InternetShortcut]\nURL=https://", Some("a shortcut to a web page")),
            ("{id},text\n", None),
            ("[id],text\n", None),
            ("[\"id\";x\n", None),
            ("<b>id</b>,text\n", None),
            ("id,text\n<html>,x\n", None),
            ("", None),
        ] {
            let found = detect_file_kind(text.as_bytes(), false);
            let want = want.map(|what| format!("the sheet is {what}, not CSV"));
            assert_eq!(found.err().map(|problem| problem.message), want, "{text}");
        }
        let page = detect_file_kind(b"<html>", true).unwrap_err();
        assert!(page.help.unwrap().contains("output=csv"));
    }
}

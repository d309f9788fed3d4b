//! Text made safe for where it lands: the inside of a JSON string, and the inside of HTML.
//!
//! Only single ASCII bytes are ever replaced, so everything between them is copied in one piece.

/// What each byte is written as; empty where it stays as it is.
type EscapeTable = [&'static str; 256];

static JSON_ESCAPES: EscapeTable = {
    let mut table = [""; 256];
    let mut code = 0;
    while code < CONTROL_ESCAPES.len() {
        table[code] = CONTROL_ESCAPES[code];
        code += 1;
    }
    table[b'"' as usize] = "\\\"";
    table[b'\\' as usize] = "\\\\";
    table
};

/// The characters that JSON allows in no string, from 0 on.
const CONTROL_ESCAPES: [&str; 32] = [
    "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007", "\\b",
    "\\t", "\\n", "\\u000b", "\\f", "\\r", "\\u000e", "\\u000f", "\\u0010", "\\u0011", "\\u0012",
    "\\u0013", "\\u0014", "\\u0015", "\\u0016", "\\u0017", "\\u0018", "\\u0019", "\\u001a",
    "\\u001b", "\\u001c", "\\u001d", "\\u001e", "\\u001f",
];

static HTML_ESCAPES: EscapeTable = {
    let mut table = [""; 256];
    table[b'<' as usize] = "&lt;";
    table[b'>' as usize] = "&gt;";
    table[b'&' as usize] = "&amp;";
    table
};

/// Returns text for the inside of a JSON string.
pub(crate) fn escape_json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    push_json_escaped(&mut escaped, text);
    escaped
}

/// Appends a JSON string.
pub(crate) fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    push_json_escaped(out, text);
    out.push('"');
}

/// Returns the cells of rows as JSON: a list of lists of texts.
pub fn rows_to_json(rows: &[Vec<String>]) -> String {
    let cells = rows.iter().flatten();
    let mut json = String::with_capacity(cells.map(|cell| cell.len() + 8).sum::<usize>() + 16);
    push_list(&mut json, rows, |json, row| {
        push_list(json, row, |json, cell| push_json_string(json, cell))
    });
    json
}

fn push_list<T>(out: &mut String, items: &[T], item: impl Fn(&mut String, &T)) {
    out.push('[');
    for (place, value) in items.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        item(out, value);
    }
    out.push(']');
}

/// Appends text for the inside of an HTML element.
pub(crate) fn push_html_escaped(html: &mut String, text: &str) {
    push_escaped(html, text, &HTML_ESCAPES, |byte| matches!(byte, b'<' | b'>' | b'&'));
}

/// Appends text for the inside of a JSON string.
pub(crate) fn push_json_escaped(out: &mut String, text: &str) {
    push_escaped(out, text, &JSON_ESCAPES, is_special_in_json);
}

fn is_special_in_json(byte: u8) -> bool {
    matches!(byte, 0..=0x1f | b'"' | b'\\')
}

/// Tells whether a text stands in a JSON string as it is.
pub(crate) fn is_json_safe(text: &str) -> bool {
    !text
        .as_bytes()
        .chunks(SCAN_CHUNK_BYTES)
        .any(|chunk| has_matching_byte(chunk, is_special_in_json))
}

/// As many bytes are looked at together; a machine compares them all at once.
pub(crate) const SCAN_CHUNK_BYTES: usize = 32;

/// Tells whether one of at most [`AT_ONCE`] bytes is like that. Without a way out in between, this is
/// what can be done at once.
pub(crate) fn has_matching_byte(chunk: &[u8], special: impl Fn(u8) -> bool) -> bool {
    chunk.iter().fold(false, |any, byte| any | special(*byte))
}

/// Writes `text` with the bytes that are special as `table` has them.
fn push_escaped(out: &mut String, text: &str, table: &EscapeTable, special: impl Fn(u8) -> bool) {
    let mut copied = 0;
    for (number, chunk) in text.as_bytes().chunks(SCAN_CHUNK_BYTES).enumerate() {
        if !has_matching_byte(chunk, &special) {
            continue;
        }
        for (index, byte) in (number * SCAN_CHUNK_BYTES..).zip(chunk) {
            let written = table[usize::from(*byte)];
            if !written.is_empty() {
                out.push_str(&text[copied..index]);
                out.push_str(written);
                copied = index + 1;
            }
        }
    }
    out.push_str(&text[copied..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::template::escape::*;

    proptest! {
        #[test]
        fn any_text_survives_the_inside_of_a_json_string(text in any::<String>()) {
            let quoted = format!("\"{}\"", escape_json(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).expect("valid JSON"), text);
        }
    }

    proptest! {
        #[test]
        fn any_cells_are_written_as_they_always_were(
            rows in prop::collection::vec(prop::collection::vec(any::<String>(), 0..4), 0..4),
        ) {
            prop_assert_eq!(rows_to_json(&rows), serde_json::to_string(&rows).expect("it is JSON"));
        }
    }

    #[test]
    fn what_is_special_is_what_the_tables_replace() {
        for byte in 0..0x80u8 {
            let text = format!("{0}{1}{0}", "x".repeat(SCAN_CHUNK_BYTES), char::from(byte));
            let (mut one, mut other) = (String::new(), String::new());
            push_json_escaped(&mut one, &text);
            push_html_escaped(&mut other, &text);
            let index = usize::from(byte);
            for (written, table) in [(one, &JSON_ESCAPES), (other, &HTML_ESCAPES)] {
                assert_eq!(written == text, table[index].is_empty(), "{byte}");
            }
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        let text: String = (0..0x80u8).map(char::from).collect();
        let quoted = format!("\"{}\"", escape_json(&text));
        assert_eq!(serde_json::from_str::<String>(&quoted).expect("valid JSON"), text);
    }

    #[test]
    fn html_keeps_its_brackets_to_itself() {
        let mut html = "<p>".to_owned();
        push_html_escaped(&mut html, "é < \"q\" & >");
        assert_eq!(html, "<p>é &lt; \"q\" &amp; &gt;");
    }
}

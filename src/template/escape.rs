//! Escapes text for the inside of a JSON string and the inside of an HTML element.
//!
//! Only single ASCII bytes are replaced; the text between them is copied in one piece.

/// The escape of each byte; empty for a byte that stays as it is.
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

/// The control characters, which no JSON string may contain, from 0 up.
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

/// Returns a text for the inside of a JSON string.
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

/// Returns the cells of rows as JSON: a list of lists of strings.
pub fn rows_to_json(rows: &[Vec<String>]) -> String {
    let cells = rows.iter().flatten();
    let mut json = String::with_capacity(cells.map(|cell| cell.len() + 8).sum::<usize>() + 16);
    push_list(&mut json, rows, |json, row| {
        push_list(json, row, |json, cell| push_json_string(json, cell));
    });
    json
}

fn push_list<T>(out: &mut String, items: &[T], item: impl Fn(&mut String, &T)) {
    out.push('[');
    for (index, value) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        item(out, value);
    }
    out.push(']');
}

/// Appends a text for the inside of an HTML element.
pub(crate) fn push_html_escaped(html: &mut String, text: &str) {
    push_escaped(html, text, &HTML_ESCAPES);
}

/// Appends a text for the inside of a JSON string.
pub(crate) fn push_json_escaped(out: &mut String, text: &str) {
    if is_json_safe(text) {
        out.push_str(text);
    } else {
        push_escaped(out, text, &JSON_ESCAPES);
    }
}

/// Checks whether a text needs no escapes in a JSON string.
pub(crate) fn is_json_safe(text: &str) -> bool {
    // Without an early exit, which lets the compiler compare many bytes at once.
    let is_special = |byte| matches!(byte, 0..=0x1f | b'"' | b'\\');
    !text.bytes().fold(false, |any, byte| any | is_special(byte))
}

/// Appends `text` with the bytes replaced for which `table` has an escape.
fn push_escaped(out: &mut String, text: &str, table: &EscapeTable) {
    let mut copied = 0;
    for (index, byte) in text.bytes().enumerate() {
        let escape = table[usize::from(byte)];
        if !escape.is_empty() {
            out.push_str(&text[copied..index]);
            out.push_str(escape);
            copied = index + 1;
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
        fn rows_are_written_as_serde_json_writes_them(
            rows in prop::collection::vec(prop::collection::vec(any::<String>(), 0..4), 0..4),
        ) {
            prop_assert_eq!(rows_to_json(&rows), serde_json::to_string(&rows).expect("it is JSON"));
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        let text: String = (0..0x80u8).map(char::from).collect();
        let quoted = format!("\"{}\"", escape_json(&text));
        assert_eq!(serde_json::from_str::<String>(&quoted).expect("valid JSON"), text);
    }

    #[test]
    fn html_special_characters_are_escaped() {
        let mut html = "<p>".to_owned();
        push_html_escaped(&mut html, "é < \"q\" & >");
        assert_eq!(html, "<p>é &lt; \"q\" &amp; &gt;");
    }
}

//! Text made safe for where it lands: the inside of a JSON string, and the inside of HTML.
//!
//! Only single ASCII bytes are ever replaced, so everything between them is copied in one piece.

/// What each byte is written as; empty where it stays as it is.
type Table = [&'static str; 256];

static JSON: Table = {
    let mut table = [""; 256];
    let mut code = 0;
    while code < CONTROLS.len() {
        table[code] = CONTROLS[code];
        code += 1;
    }
    table[b'"' as usize] = "\\\"";
    table[b'\\' as usize] = "\\\\";
    table
};

/// The characters that JSON allows in no string, from 0 on.
const CONTROLS: [&str; 32] = [
    "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007", "\\b",
    "\\t", "\\n", "\\u000b", "\\f", "\\r", "\\u000e", "\\u000f", "\\u0010", "\\u0011", "\\u0012",
    "\\u0013", "\\u0014", "\\u0015", "\\u0016", "\\u0017", "\\u0018", "\\u0019", "\\u001a",
    "\\u001b", "\\u001c", "\\u001d", "\\u001e", "\\u001f",
];

static HTML: Table = {
    let mut table = [""; 256];
    table[b'<' as usize] = "&lt;";
    table[b'>' as usize] = "&gt;";
    table[b'&' as usize] = "&amp;";
    table
};

/// Returns text for the inside of a JSON string.
pub(super) fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    push_json(&mut escaped, text);
    escaped
}

/// Appends a JSON string.
pub(super) fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    push_json(out, text);
    out.push('"');
}

/// Returns the cells of rows as JSON: a list of lists of texts.
pub fn json_of_rows(rows: &[Vec<String>]) -> String {
    let cells = rows.iter().flatten();
    let mut json = String::with_capacity(cells.map(|cell| cell.len() + 8).sum::<usize>() + 16);
    list(&mut json, rows, |json, row| list(json, row, |json, cell| push_quoted(json, cell)));
    json
}

fn list<T>(out: &mut String, items: &[T], item: impl Fn(&mut String, &T)) {
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
pub(super) fn push_html(html: &mut String, text: &str) {
    push(html, text, &HTML, |byte| matches!(byte, b'<' | b'>' | b'&'));
}

/// Appends text for the inside of a JSON string.
pub(super) fn push_json(out: &mut String, text: &str) {
    push(out, text, &JSON, is_special_in_json);
}

fn is_special_in_json(byte: u8) -> bool {
    matches!(byte, 0..=0x1f | b'"' | b'\\')
}

/// Tells whether a text stands in a JSON string as it is.
pub(super) fn is_plain(text: &str) -> bool {
    !text.as_bytes().chunks(AT_ONCE).any(|chunk| has(chunk, is_special_in_json))
}

/// As many bytes are looked at together; a machine compares them all at once.
pub(super) const AT_ONCE: usize = 32;

/// Tells whether one of at most [`AT_ONCE`] bytes is like that. Without a way out in between, this is
/// what can be done at once.
pub(super) fn has(chunk: &[u8], special: impl Fn(u8) -> bool) -> bool {
    chunk.iter().fold(false, |any, byte| any | special(*byte))
}

/// Writes `text` with the bytes that are special as `table` has them.
fn push(out: &mut String, text: &str, table: &Table, special: impl Fn(u8) -> bool) {
    let mut copied = 0;
    for (number, chunk) in text.as_bytes().chunks(AT_ONCE).enumerate() {
        if !has(chunk, &special) {
            continue;
        }
        for (index, byte) in (number * AT_ONCE..).zip(chunk) {
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

    use super::*;

    proptest! {
        #[test]
        fn any_text_survives_the_inside_of_a_json_string(text in any::<String>()) {
            let quoted = format!("\"{}\"", json(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&quoted).expect("valid JSON"), text);
        }
    }

    proptest! {
        #[test]
        fn any_cells_are_written_as_they_always_were(
            rows in prop::collection::vec(prop::collection::vec(any::<String>(), 0..4), 0..4),
        ) {
            prop_assert_eq!(json_of_rows(&rows), serde_json::to_string(&rows).expect("it is JSON"));
        }
    }

    #[test]
    fn what_is_special_is_what_the_tables_replace() {
        for byte in 0..0x80u8 {
            let text = format!("{0}{1}{0}", "x".repeat(AT_ONCE), char::from(byte));
            let (mut one, mut other) = (String::new(), String::new());
            push_json(&mut one, &text);
            push_html(&mut other, &text);
            let index = usize::from(byte);
            for (written, table) in [(one, &JSON), (other, &HTML)] {
                assert_eq!(written == text, table[index].is_empty(), "{byte}");
            }
        }
    }

    #[test]
    fn every_control_character_is_escaped() {
        let text: String = (0..0x80u8).map(char::from).collect();
        let quoted = format!("\"{}\"", json(&text));
        assert_eq!(serde_json::from_str::<String>(&quoted).expect("valid JSON"), text);
    }

    #[test]
    fn html_keeps_its_brackets_to_itself() {
        let mut html = "<p>".to_owned();
        push_html(&mut html, "é < \"q\" & >");
        assert_eq!(html, "<p>é &lt; \"q\" &amp; &gt;");
    }
}

//! Escapes for the formats into which text from outside is written: JSON on a terminal, JSON inside
//! HTML, Slack's mrkdwn.
//!
//! JSON is escaped after it was written: DEL, characters outside ASCII, and `<`, `>` and `&`, occur only
//! inside its strings, so that replacing them changes no value.

use std::borrow::Cow;
use std::fmt::Write;

use super::control::is_terminal_control;

/// Returns equivalent JSON on which no terminal acts. The serializer has already escaped the
/// control codes below the blank; the line breaks between fields stay.
pub(crate) fn escape_json_for_terminal(json: &str) -> Cow<'_, str> {
    escape_json(json, |c| c > ' ' && is_terminal_control(c))
}

/// Returns equivalent JSON that cannot end the `<script>` element around it.
pub(crate) fn escape_json_for_html(json: &str) -> Cow<'_, str> {
    escape_json(json, |c| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'))
}

fn escape_json(json: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !json.contains(&is_escaped) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_escaped(c) {
            // All of them are in the basic plane, so one unit is enough.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// Returns text that mentions no user and contains no link when Slack shows it.
pub(crate) fn escape_mrkdwn(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn json_for_html_keeps_its_value_and_cannot_end_a_script() {
        for cell in ["</script><script>alert(1)</script>", "<!--<script>", "&lt;", "a\u{2028}b"] {
            let json = json!([cell]).to_string();
            let safe = escape_json_for_html(&json);
            assert!(!safe.contains(['<', '>', '&', '\u{2028}']), "{safe}");
            assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), json!([cell]));
        }
    }

    #[test]
    fn json_for_a_terminal_keeps_its_value() {
        let json = json!(["\u{9b}31m", "\u{202e}gpj", "a\u{7f}b", "봄"]);
        let text = json.to_string();
        let safe = escape_json_for_terminal(&text);
        assert!(!safe.contains(is_terminal_control), "{safe:?}");
        assert!(safe.contains('봄'), "{safe}");
        assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), json);
    }
}

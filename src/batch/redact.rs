//! Redaction of secrets that were put into a batch file by mistake.
//!
//! A problem is shown with its line, then logged and pasted into tickets. Secrets are therefore
//! replaced in the text that accompanies the problems. Invariant: spans stay valid, because each
//! byte is replaced by one byte. Secrets are recognized by their keys only.

use std::ops::Range;

/// Keys of secrets, in lower case without punctuation, and the variable for each.
const SECRET_KEYS: &[(&str, &str)] =
    &[("appid", "AISTUDIOS_APP_ID"), ("userkey", "AISTUDIOS_USER_KEY")];

/// Keys that refer to a secret, and that may contain the secret itself by mistake.
const SECRET_REF_KEYS: &[&str] = &["slack", "webhook_secret", "smtp_password"];

/// Returns the environment variable for the secret with this key; `None` if it is not a secret.
pub(super) fn env_var_for_key(key: &str) -> Option<&'static str> {
    let folded: String =
        key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let folded = folded.strip_prefix("aistudios").unwrap_or(&folded);
    SECRET_KEYS.iter().find(|(name, _)| *name == folded).map(|(_, variable)| *variable)
}

/// Replaces these spans, and the values of all secret keys, by asterisks.
///
/// The values are found in the text, because invalid TOML has no spans.
pub(super) fn redact(source: String, spans: &[Range<usize>]) -> String {
    let value_spans: Vec<_> = source
        .match_indices('=')
        .filter(|(at, _)| {
            let key = key_before(&source[..*at]);
            env_var_for_key(key).is_some() || SECRET_REF_KEYS.contains(&key)
        })
        .map(|(at, _)| at + 1..at + source[at..].find('\n').unwrap_or(source.len() - at))
        .collect();
    let mut bytes = source.into_bytes();
    for span in spans.iter().chain(&value_spans) {
        for byte in bytes.get_mut(span.clone()).unwrap_or_default() {
            if !byte.is_ascii_whitespace() {
                *byte = b'*';
            }
        }
    }
    // A span that splits a character would leave half of it.
    String::from_utf8_lossy(&bytes).into_owned()
}

fn key_before(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['"', '\'']);
    let is_key_character = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    &text[text.trim_end_matches(is_key_character).len()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_is_recognized_by_its_key() {
        for key in ["app_id", "appId", "app-id", "AISTUDIOS_APP_ID"] {
            assert_eq!(env_var_for_key(key), Some("AISTUDIOS_APP_ID"), "{key}");
        }
        assert_eq!(env_var_for_key("userKey"), Some("AISTUDIOS_USER_KEY"));
        assert_eq!(env_var_for_key("user_key_command"), None);
    }

    #[test]
    fn secrets_are_redacted_even_in_invalid_toml() {
        let source = "a = 1\nuser_key = hüsh # b\n\"appId\"=\"x\"\ns = {user-key=1}\n\
                      user_key_command = \"op\"";
        let redacted = redact(source.to_owned(), &[4..5, 5..6]);
        assert_eq!(redacted.len(), source.len());
        insta::assert_snapshot!(redacted, @r#"
        a = *
        user_key = ***** * *
        "appId"=***
        s = {user-key=**
        user_key_command = "op"
        "#);
    }
}

//! Keeps secrets that were put into a batch file by mistake from being shown.
//!
//! A problem is drawn with the line it is about, and printed, logged, pasted into tickets. So the
//! text that goes with the problems has its secrets blotted out, byte for byte, so that every span
//! still fits. What is *not* recognised as a secret by the name of its key is not protected.

use std::ops::Range;

/// Keys that hold secrets, without case and punctuation, and where each belongs.
const SECRET_KEYS: &[(&str, &str)] =
    &[("appid", "AISTUDIOS_APP_ID"), ("userkey", "AISTUDIOS_USER_KEY")];

/// Keys that name the place of a secret, and that somebody may have given the secret itself.
const SECRET_REF_KEYS: &[&str] = &["slack", "webhook_secret", "smtp_password"];

/// Returns the environment variable that should hold what this key holds, if that is a secret.
pub(super) fn env_var_for_key(key: &str) -> Option<&'static str> {
    let plain: String =
        key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let plain = plain.strip_prefix("aistudios").unwrap_or(&plain);
    SECRET_KEYS.iter().find(|(name, _)| *name == plain).map(|(_, variable)| *variable)
}

/// Replaces these bytes, and whatever a key of a secret is set to, by asterisks.
///
/// The second part works on text that is no TOML at all, where there are no spans to go by.
pub(super) fn redact(source: String, spans: &[Range<usize>]) -> String {
    let assigned: Vec<_> = source
        .match_indices('=')
        .filter(|(at, _)| {
            let key = key_before(&source[..*at]);
            env_var_for_key(key).is_some() || SECRET_REF_KEYS.contains(&key)
        })
        .map(|(at, _)| at + 1..at + source[at..].find('\n').unwrap_or(source.len() - at))
        .collect();
    let mut bytes = source.into_bytes();
    for span in spans.iter().chain(&assigned) {
        for byte in bytes.get_mut(span.clone()).unwrap_or_default() {
            if !byte.is_ascii_whitespace() {
                *byte = b'*';
            }
        }
    }
    // A span that cuts a character in two would leave half of it behind.
    String::from_utf8_lossy(&bytes).into_owned()
}

fn key_before(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['"', '\'']);
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    &text[text.trim_end_matches(in_word).len()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_key() {
        for key in ["app_id", "appId", "app-id", "AISTUDIOS_APP_ID"] {
            assert_eq!(env_var_for_key(key), Some("AISTUDIOS_APP_ID"), "{key}");
        }
        assert_eq!(env_var_for_key("userKey"), Some("AISTUDIOS_USER_KEY"));
        assert_eq!(env_var_for_key("user_key_command"), None);
    }

    #[test]
    fn what_a_secret_is_set_to_is_blotted_out_even_in_broken_toml() {
        let source = "a = 1\nuser_key = hüsh # b\n\"appId\"=\"x\"\ns = {user-key=1}\n\
                      user_key_command = \"op\"";
        let blotted = redact(source.to_owned(), &[4..5, 5..6]);
        assert_eq!(blotted.len(), source.len());
        insta::assert_snapshot!(blotted, @r#"
        a = *
        user_key = ***** * *
        "appId"=***
        s = {user-key=**
        user_key_command = "op"
        "#);
    }
}

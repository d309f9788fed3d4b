//! Removes secrets from text, by value.
//!
//! AI Studios may echo a token in an error, in a URL, or inside base64. So every text from a response
//! passes through here before it is stored or shown. The redactor knows the values themselves, in
//! the encodings they travel in; it guesses nothing from the appearance of a text.
//!
//! Invariant: its output contains no known secret, not even a part of one that the size limit cut
//! off, and no control character that a terminal would interpret.

use std::sync::{PoisonError, RwLock};

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

/// The replacement for a secret.
const REDACTED_MARK: &str = "[redacted]";
/// Shorter values are ordinary words; hiding them would garble every message and protect nothing.
const SECRET_CHARS_MIN: usize = 4;
/// Encoded fragments shorter than this would match ordinary text.
const FRAGMENT_CHARS_MIN: usize = 8;
/// Tokens are valid for a day; no more than these are in use at once.
const TOKENS_KEPT_MAX: usize = 4;
/// The longest part of a message that is shown.
const MESSAGE_BYTES_MAX: usize = 300;

/// Knows the secrets of a client and removes them from text.
pub(crate) struct Redactor {
    credential_forms: Vec<String>,
    token_forms: RwLock<Vec<Vec<String>>>,
}

impl Redactor {
    /// Creates a redactor that knows `secrets` from the start.
    pub(crate) fn new(secrets: &[&str]) -> Self {
        let mut credential_forms: Vec<_> =
            secrets.iter().flat_map(|secret| encoded_forms(secret)).collect();
        sort_longest_first(&mut credential_forms);
        Self { credential_forms, token_forms: RwLock::default() }
    }

    /// Adds an access token. The last few are kept, since an old one may still be echoed.
    pub(crate) fn add_token(&self, token: &str) {
        let mut forms = encoded_forms(token);
        // The header of a JWT is the same for all tokens; the other two parts are unique.
        for part in token.split('.').skip(1).filter(|part| part.len() >= 2 * FRAGMENT_CHARS_MIN) {
            forms.extend(encoded_forms(part));
        }
        sort_longest_first(&mut forms);
        let mut tokens = self.token_forms.write().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() == TOKENS_KEPT_MAX {
            tokens.remove(0);
        }
        tokens.push(forms);
    }

    /// Returns the beginning of `bytes` as text fit to keep: at most `bytes_max` bytes of it.
    pub(crate) fn redact_bytes(&self, bytes: &[u8], bytes_max: usize) -> String {
        let tokens = self.token_forms.read().unwrap_or_else(PoisonError::into_inner);
        let needles: Vec<&str> = self
            .credential_forms
            .iter()
            .chain(tokens.iter().flatten())
            .map(String::as_str)
            .collect();
        let longest = needles.iter().map(|needle| needle.len()).max().unwrap_or(0);
        // Wide enough that a secret which begins before the limit ends inside the window, also
        // in UTF-16, where every other byte is dropped below.
        let window = bytes.len().min(2 * (bytes_max + longest));
        let text = strip_unprintable(&String::from_utf8_lossy(&bytes[..window]));
        let lower = text.to_ascii_lowercase();
        let mut kept = String::new();
        let mut at = 0;
        while at < text.len() && at < bytes_max {
            let secret = needles
                .iter()
                .filter(|needle| lower[at..].starts_with(**needle))
                .map(|needle| needle.len())
                .max();
            match secret {
                Some(length) => {
                    kept.push_str(REDACTED_MARK);
                    at += length;
                }
                None => {
                    let next = text[at..].chars().next().expect("`at` is inside and on a boundary");
                    kept.push(next);
                    at += next.len_utf8();
                }
            }
        }
        kept.truncate(kept.floor_char_boundary(bytes_max));
        kept
    }

    /// Makes a message fit to be shown: one line, at most 300 bytes.
    pub(crate) fn redact_line(&self, message: &str) -> String {
        let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
        self.redact_text(&line, MESSAGE_BYTES_MAX)
    }

    /// Makes a URL fit to be shown: without user name and query, which may hold a signature.
    pub(crate) fn redact_url(&self, url: &str) -> String {
        let plain = url.split(['?', '#']).next().unwrap_or("");
        let plain = match plain.split_once("://") {
            Some((scheme, rest)) => {
                let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
                let host = host.rsplit('@').next().unwrap_or("");
                format!("{scheme}://{host}/{path}")
            }
            None => plain.to_owned(),
        };
        self.redact_line(&plain)
    }

    /// Returns `text` fit to keep or show: at most `bytes_max` bytes of it.
    pub(crate) fn redact_text(&self, text: &str, bytes_max: usize) -> String {
        self.redact_bytes(text.as_bytes(), bytes_max)
    }
}

/// Removes control characters, and the zero bytes of UTF-16; line ends and tabs stay.
fn strip_unprintable(text: &str) -> String {
    text.chars()
        .filter(|char| !char.is_control() || matches!(char, '\n' | '\t'))
        .filter(|char| *char != '\u{feff}')
        .collect()
}

fn sort_longest_first(needles: &mut Vec<String>) {
    needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
    needles.dedup();
}

/// Returns every form that `secret` may travel in, in lower case: plain, URL-encoded (once and
/// twice), JSON-escaped, and base64 at each of the three places it can start inside other data.
fn encoded_forms(secret: &str) -> Vec<String> {
    if secret.len() < SECRET_CHARS_MIN {
        return Vec::new();
    }
    let url_encoded = url_encode(secret);
    let mut forms = vec![
        secret.to_owned(),
        url_encode(&url_encoded),
        url_encoded,
        secret.replace('\\', "\\\\").replace('"', "\\\"").replace('/', "\\/"),
    ];
    for shift in 0..3 {
        let mut data = vec![0; shift];
        data.extend_from_slice(secret.as_bytes());
        let encoded = STANDARD_NO_PAD.encode(&data);
        // The first and last characters also encode neighbouring bytes; those between are the
        // secret's alone.
        let from = [0, 2, 3][shift];
        let to = encoded.len() - usize::from(data.len() % 3 != 0);
        if let Some(own) = encoded.get(from..to).filter(|own| own.len() >= FRAGMENT_CHARS_MIN) {
            forms.push(own.replace('+', "-").replace('/', "_"));
            forms.push(own.to_owned());
        }
        if shift == 0 && encoded.len() >= FRAGMENT_CHARS_MIN {
            forms.push(encoded);
        }
    }
    forms.iter_mut().for_each(|form| form.make_ascii_lowercase());
    forms
}

fn url_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::*;

    const APP: &str = "studiov3.ann+bill@example.com";
    const KEY: &str = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";

    fn redactor() -> Redactor {
        Redactor::new(&[APP, KEY])
    }

    #[test]
    fn secrets_are_redacted_in_every_encoding() {
        let redactor = redactor();
        let token =
            format!("eyJhbGciOiJIUzI1NiJ9.{}.c2lnbmF0dXJlLW9mLXRva2Vu", STANDARD.encode(APP));
        redactor.add_token(&token);
        let jwt_payload = format!(r#"{{"appId":"{APP}","x":1}}"#);
        for text in [
            format!("key {KEY} refused"),
            format!("KEY {} REFUSED", KEY.to_uppercase()),
            format!("?app={}&", url_encode(APP)),
            format!("?app={}&", url_encode(&url_encode(APP))),
            format!("basic {}", STANDARD.encode(format!("{APP}:{KEY}"))),
            format!("payload {}", URL_SAFE.encode(&jwt_payload)),
            format!("payload {}", STANDARD.encode(format!(" {jwt_payload}"))),
            format!("payload {}", STANDARD.encode(format!("  {jwt_payload}"))),
            format!("token {token}"),
            "signature c2lnbmF0dXJlLW9mLXRva2Vu".to_owned(),
        ] {
            let kept = redactor.redact_text(&text, 2048);
            assert!(kept.contains(REDACTED_MARK), "{text} -> {kept}");
            for secret in [APP, KEY, token.as_str(), "c2lnbmF0dXJl", &url_encode(APP)] {
                assert!(!kept.to_lowercase().contains(&secret.to_lowercase()), "{text} -> {kept}");
            }
        }
    }

    #[test]
    fn utf16_and_terminal_control_sequences_are_cleaned() {
        let wide: Vec<u8> =
            format!("key {KEY}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(redactor().redact_bytes(&wide, 2048), "key [redacted]");
        assert_eq!(redactor().redact_text("a\x1b]0;title\x07b\u{9b}c\nd", 2048), "a]0;titlebc\nd");
    }

    #[test]
    fn secrets_that_are_too_short_are_not_redacted() {
        let redactor = Redactor::new(&["key", "app"]);
        assert_eq!(redactor.redact_text("the key of the app", 99), "the key of the app");
        assert_eq!(redactor.redact_text("ü€ end", 4), "ü");
    }

    proptest! {
        #[test]
        fn no_part_of_a_secret_survives_any_size_limit(
            before in "[ -~ü]{0,60}", after in "[ -~]{0,60}", max in 1usize..160,
        ) {
            let kept = redactor().redact_text(&format!("{before}{KEY}{after}"), max);
            prop_assert!(kept.len() <= max);
            for length in 8..=KEY.len() {
                let part = &KEY[..length];
                prop_assert!(!kept.contains(part) || before.contains(part) || after.contains(part));
            }
        }
    }
}

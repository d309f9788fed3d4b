//! The identity of a video: a hash over everything that determines it.
//!
//! It covers the value of the payload, not its spelling: the order of keys, white space, escapes and
//! the form of letters and numbers do not count. If two hashes are equal, nothing has to be rendered
//! again. The value is written while it is parsed, without a tree: every row of every plan is hashed.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::payload::Payload;
use crate::payload::json_view::KeySeed;
use crate::request::PROJECT;
use crate::template::escape::push_json_string;
use crate::text::canonical_characters;

/// Begins every hash. Hashes of ledger format 1 begin with `x`, or are hexadecimal.
const PREFIX: char = 'v';

/// Whole numbers below this are different `f64`s.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl Payload {
    /// Returns 32 characters over the payload's value, the kind of request, and the resolution that
    /// is requested beside it.
    pub fn video_hash(&self, resolution: Option<&str>) -> String {
        let mut identity = String::with_capacity(self.text.len() + 64);
        if push_canonical_json(&mut identity, &self.text).is_err() {
            // It was parsed before; another text would only differ from all others.
            identity.push_str(&self.text);
        }
        // Characters that no JSON text contains separate the payload from what follows.
        if let Some(resolution) = resolution {
            identity.push('\0');
            identity.push_str(resolution);
        }
        if *self.request_kind != PROJECT {
            identity.push('\u{1}');
            identity.push_str(self.request_kind.name);
        }
        let hash = blake3::hash(identity.as_bytes()).to_hex();
        format!("{PREFIX}{}", &hash[..31])
    }
}

fn push_canonical_json(out: &mut String, text: &str) -> serde_json::Result<()> {
    CanonicalJson(out).deserialize(&mut serde_json::Deserializer::from_str(text))
}

/// Appends one value, in the one form of all its spellings.
struct CanonicalJson<'o>(&'o mut String);

impl<'de> DeserializeSeed<'de> for CanonicalJson<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CanonicalJson<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.push_str("null");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.push_str(&value.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.push_str(&value.to_string());
        Ok(())
    }

    /// Writes `1.0` and `1e0` as `1`.
    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        let is_whole = value.fract() == 0.0 && value.abs() < EXACT_MAX;
        let text = if is_whole { (value as i64).to_string() } else { value.to_string() };
        self.0.push_str(&text);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        push_json_string(self.0, &canonical_characters(text));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.push('[');
        while items.next_element_seed(CanonicalJson(self.0))?.is_some() {
            self.0.push(',');
        }
        self.0.push(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let out = self.0;
        out.push('{');
        let start = out.len();
        let mut fields = Vec::with_capacity(16);
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let field = out.len();
            push_json_string(out, &key);
            out.push(':');
            map.next_value_seed(CanonicalJson(out))?;
            out.push(',');
            fields.push((key, field..out.len()));
        }
        if !fields.is_sorted_by(|(one, _), (next, _)| one < next) {
            // Of two equal keys the last one counts.
            fields.reverse();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            fields.dedup_by(|(later, _), (first, _)| later == first);
            let sorted: String = fields.into_iter().map(|(_, field)| &out[field]).collect();
            out.truncate(start);
            out.push_str(&sorted);
        }
        out.push('}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(text: &str) -> String {
        let mut identity = String::new();
        push_canonical_json(&mut identity, text).unwrap();
        identity
    }

    #[test]
    fn spelling_of_a_payload_is_not_part_of_its_identity() {
        let payload = r#"{"a":{"x":1,"y":[0.5,-0,"é\n"]},"b":null}"#;
        for same in [
            "{ \"b\" : null,\r\n \"a\" : { \"y\" : [ 5e-1, 0, \"\\u00e9\\u000a\" ], \"x\" : 1.0 } }",
            "{\"a\":{\"y\":[0.50,0,\"e\u{301}\\r\\n\"],\"x\":1e0},\"b\":null}",
            r#"{"a":1,"a":{"x":1,"y":[0.5,-0.0,"é\n"]},"b":null}"#,
        ] {
            assert_eq!(identity(same), identity(payload), "{same}");
        }
    }

    #[test]
    fn different_values_have_different_identities() {
        let values = [
            "{}",
            "[]",
            "null",
            "\"null\"",
            "1",
            "\"1\"",
            "1.5",
            "9007199254740993",
            "9007199254740992",
            "[1,2]",
            "[12]",
            "[[1],2]",
            "[2,1]",
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"a":{"b":1}}"#,
            r#"{"a,b":1}"#,
            r#""a""#,
            r#"" a""#,
            r#""A""#,
        ];
        let mut identities: Vec<_> = values.iter().map(|value| identity(value)).collect();
        identities.sort();
        identities.dedup();
        assert_eq!(identities.len(), values.len());
    }
}

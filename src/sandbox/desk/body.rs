//! Reading request bodies, loosely.
//!
//! The real service's strictness is unknown, so a field of another JSON type is taken where its
//! meaning is plain (`1080` for `"1080"`, `"true"` for `true`) and ignored elsewhere. What a field
//! must be is `check`'s business.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::error::Category;

use super::Problem;

/// Reads a body that must be a JSON object.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return Err(Problem::bad("the request body is not a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let what = match error.classify() {
            Category::Data => "a field of the request body is of the wrong type",
            Category::Syntax | Category::Eof | Category::Io => "the request body is not valid JSON",
        };
        let (line, column) = (error.line(), error.column());
        Problem::bad(format_args!("{what} (line {line}, column {column})"))
    })
}

/// Reads a body that may be missing.
pub(super) fn read_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() { Ok(T::default()) } else { read(body) }
}

/// Text, a number's digits, or nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Text(pub(super) Option<String>);

/// A truth value, or a word for one, or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flag(pub(super) Option<bool>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match deserializer.deserialize_any(Loose)? {
            Scalar::Text(text) => Self(Some(text)),
            Scalar::Flag(_) | Scalar::Other => Self(None),
        })
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match deserializer.deserialize_any(Loose)? {
            Scalar::Flag(flag) => Self(Some(flag)),
            Scalar::Text(text) => Self(text.parse().ok()),
            Scalar::Other => Self(None),
        })
    }
}

enum Scalar {
    Text(String),
    Flag(bool),
    Other,
}

struct Loose;

impl<'de> Visitor<'de> for Loose {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Text(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Text(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Text(number.to_string()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Body {
        text: Text,
        flag: Flag,
    }

    #[test]
    fn a_field_of_another_type_is_taken_where_its_meaning_is_plain() {
        let table = [
            (r#"{"text": "1080", "flag": true}"#, Some("1080"), Some(true)),
            (r#"{"text": 1080, "flag": "false"}"#, Some("1080"), Some(false)),
            (r#"{"text": [1, {"a": 2}], "flag": {}}"#, None, None),
            (r#"{"text": null, "flag": null, "more": 1}"#, None, None),
            ("{}", None, None),
        ];
        for (json, text, flag) in table {
            let body: Body = read(json.as_bytes()).unwrap();
            assert_eq!((body.text.0.as_deref(), body.flag.0), (text, flag), "{json}");
        }
    }

    #[test]
    fn a_field_of_the_wrong_type_is_not_called_broken_json() {
        #[derive(Debug, Deserialize)]
        struct Body {
            #[serde(rename = "ids")]
            _ids: Vec<Text>,
        }
        let words = |json: &str| format!("{:?}", read::<Body>(json.as_bytes()).unwrap_err());
        let wrong = words(r#"{"ids":"abc"}"#);
        assert!(wrong.contains("of the wrong type (line 1, column 12)"), "{wrong}");
        assert!(words(r#"{"ids":["abc"}"#).contains("not valid JSON"));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for bad in ["", "[]", "null", "{\"a\":", "name=x"] {
            assert!(read::<Body>(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(read_or_default::<Body>(b"").is_ok());
    }
}

//! Reads request bodies leniently.
//!
//! The strictness of the real service is unknown, so a field of another JSON type is accepted where its
//! value is clear (`1080` for `"1080"`, `"true"` for `true`) and ignored elsewhere. `check` decides what
//! a field must be.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::error::Category;

use super::RequestRejection;

/// Reads a body that must be a JSON object.
pub(super) fn parse_body<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, RequestRejection> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return Err(RequestRejection::bad_request("the request body is not a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        let what = match error.classify() {
            Category::Data => "a field of the request body is of the wrong type",
            Category::Syntax | Category::Eof | Category::Io => "the request body is not valid JSON",
        };
        let (line, column) = (error.line(), error.column());
        RequestRejection::bad_request(format_args!("{what} (line {line}, column {column})"))
    })
}

/// Reads a body that may be missing.
pub(super) fn parse_body_or_default<T: DeserializeOwned + Default>(
    body: &[u8],
) -> Result<T, RequestRejection> {
    if body.is_empty() { Ok(T::default()) } else { parse_body(body) }
}

/// A text, or the digits of a number; `None` otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LooseText(pub(super) Option<String>);

/// A boolean, or a text that spells one; `None` otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct LooseBool(pub(super) Option<bool>);

impl<'de> Deserialize<'de> for LooseText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match deserializer.deserialize_any(LooseScalarVisitor)? {
            LooseScalar::Text(text) => Self(Some(text)),
            LooseScalar::Flag(_) | LooseScalar::Other => Self(None),
        })
    }
}

impl<'de> Deserialize<'de> for LooseBool {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match deserializer.deserialize_any(LooseScalarVisitor)? {
            LooseScalar::Flag(flag) => Self(Some(flag)),
            LooseScalar::Text(text) => Self(text.parse().ok()),
            LooseScalar::Other => Self(None),
        })
    }
}

enum LooseScalar {
    Text(String),
    Flag(bool),
    Other,
}

struct LooseScalarVisitor;

impl<'de> Visitor<'de> for LooseScalarVisitor {
    type Value = LooseScalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<LooseScalar, E> {
        Ok(LooseScalar::Text(text.to_owned()))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<LooseScalar, E> {
        Ok(LooseScalar::Flag(flag))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<LooseScalar, E> {
        Ok(LooseScalar::Text(number.to_string()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<LooseScalar, E> {
        Ok(LooseScalar::Text(number.to_string()))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<LooseScalar, E> {
        Ok(LooseScalar::Text(number.to_string()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<LooseScalar, E> {
        Ok(LooseScalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<LooseScalar, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(LooseScalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<LooseScalar, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(LooseScalar::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct LooseFieldsBody {
        text: LooseText,
        flag: LooseBool,
    }

    #[test]
    fn a_field_of_another_type_is_accepted_where_its_value_is_clear() {
        let table = [
            (r#"{"text": "1080", "flag": true}"#, Some("1080"), Some(true)),
            (r#"{"text": 1080, "flag": "false"}"#, Some("1080"), Some(false)),
            (r#"{"text": [1, {"a": 2}], "flag": {}}"#, None, None),
            (r#"{"text": null, "flag": null, "more": 1}"#, None, None),
            ("{}", None, None),
        ];
        for (json, text, flag) in table {
            let body: LooseFieldsBody = parse_body(json.as_bytes()).unwrap();
            assert_eq!((body.text.0.as_deref(), body.flag.0), (text, flag), "{json}");
        }
    }

    #[test]
    fn a_field_of_the_wrong_type_is_not_reported_as_invalid_json() {
        #[derive(Debug, Deserialize)]
        struct IdListBody {
            #[serde(rename = "ids")]
            _ids: Vec<LooseText>,
        }
        let words =
            |json: &str| format!("{:?}", parse_body::<IdListBody>(json.as_bytes()).unwrap_err());
        let wrong = words(r#"{"ids":"abc"}"#);
        assert!(wrong.contains("of the wrong type (line 1, column 12)"), "{wrong}");
        assert!(words(r#"{"ids":["abc"}"#).contains("not valid JSON"));
    }

    #[test]
    fn a_body_that_is_not_an_object_is_rejected() {
        for bad in ["", "[]", "null", "{\"a\":", "name=x"] {
            assert!(parse_body::<LooseFieldsBody>(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(parse_body_or_default::<LooseFieldsBody>(b"").is_ok());
    }
}

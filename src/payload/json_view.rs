//! A parsed payload as the checks read it.
//!
//! Parsing proves that the whole text is JSON, but builds only the values whose keys some check
//! reads, and borrows their text where it has no escapes: an editor export has hundreds of values,
//! and every row of every plan is parsed. Of two equal keys in an object the last one counts, as in
//! other JSON parsers.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::payload::json_kind::JsonKind;

/// A JSON value.
#[derive(Debug)]
pub(crate) enum JsonView<'t> {
    Null,
    Bool(bool),
    Number(JsonNumber),
    Text(Cow<'t, str>),
    List(Vec<JsonView<'t>>),
    Object(JsonObject<'t>),
}

/// A number, and whether it is written without a fraction and exponent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct JsonNumber {
    pub(crate) value: f64,
    pub(crate) is_whole: bool,
}

/// An object, repeated keys included.
#[derive(Debug)]
pub(crate) struct JsonObject<'t> {
    entries: Vec<(Cow<'t, str>, JsonView<'t>)>,
    /// The keys that no check reads.
    unread_keys: Vec<Cow<'t, str>>,
}

/// The keys that the checks read, at any depth.
fn is_read(key: &str) -> bool {
    // Byte patterns compile to a decision tree; texts would be compared one after the other.
    matches!(
        key.as_bytes(),
        b"name"
            | b"orientation"
            | b"resolution"
            | b"isExport"
            | b"workspaceId"
            | b"webhookUrl"
            | b"scenes"
            | b"sceneIdx"
            | b"background"
            | b"clips"
            | b"scripts"
            | b"org"
            | b"isTTS"
            | b"modelId"
            | b"clothId"
            | b"type"
            | b"isDelete"
            | b"model"
            | b"ai_name"
            | b"emotion"
            | b"script"
            | b"text"
            | b"fill"
            | b"fontSize"
            | b"source_url"
            | b"video_url"
            | b"label"
            | b"shapeName"
            | b"layer"
            | b"top"
            | b"left"
            | b"width"
            | b"height"
            | b"scaleX"
            | b"scaleY"
            | b"angle"
            | b"opacity"
            | b"volume"
            | b"animation"
            | b"duration"
            | b"delay"
    )
}

impl<'t> JsonObject<'t> {
    /// Returns the value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&JsonView<'t>> {
        debug_assert!(is_read(name), "`{name}` is missing in `is_read`");
        self.entries.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Returns the text of a field; `None` for any other value.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    /// Returns the items of a field that is a list; none for any other value.
    pub(crate) fn list(&self, name: &str) -> &[JsonView<'t>] {
        match self.get(name) {
            Some(JsonView::List(items)) => items,
            _ => &[],
        }
    }

    /// Returns the value of a field, unless it is absent or `null`, which means the default.
    pub(crate) fn given(&self, name: &str) -> Option<&JsonView<'t>> {
        self.get(name).filter(|value| !matches!(value, JsonView::Null))
    }

    /// Returns the keys that occur more than once, each once.
    pub(crate) fn repeated_keys(&self) -> Vec<&str> {
        let read_keys = self.entries.iter().map(|(key, _)| key);
        let mut keys: Vec<&str> = read_keys.chain(&self.unread_keys).map(AsRef::as_ref).collect();
        keys.sort_unstable();
        let pairs = keys.windows(2).filter(|pair| pair[0] == pair[1]);
        let mut repeated: Vec<&str> = pairs.map(|pair| pair[0]).collect();
        repeated.dedup();
        repeated
    }
}

impl JsonView<'_> {
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_number(&self) -> Option<JsonNumber> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> JsonKind {
        match self {
            Self::Null => JsonKind::Null,
            Self::Bool(_) => JsonKind::Bool,
            Self::Number(_) => JsonKind::Number,
            Self::Text(_) => JsonKind::Text,
            Self::List(_) => JsonKind::List,
            Self::Object(_) => JsonKind::Object,
        }
    }
}

impl<'de> Deserialize<'de> for JsonView<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ViewVisitor)
    }
}

struct ViewVisitor;

impl<'de> Visitor<'de> for ViewVisitor {
    type Value = JsonView<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(JsonView::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(JsonView::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(JsonView::Number(JsonNumber { value: value as f64, is_whole: true }))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(JsonView::Number(JsonNumber { value: value as f64, is_whole: true }))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(JsonView::Number(JsonNumber { value, is_whole: false }))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(JsonView::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(JsonView::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(JsonView::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::with_capacity(16);
        let mut unread_keys = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            if is_read(&key) {
                entries.push((key, map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
                unread_keys.push(key);
            }
        }
        Ok(JsonView::Object(JsonObject { entries, unread_keys }))
    }
}

/// Reads a key, borrowed if it has no escapes. (serde's own `Cow` copies every key.)
pub(crate) struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use crate::payload::json_view::*;

    fn parse(text: &str) -> Result<JsonView<'_>, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn last_of_two_equal_keys_counts() {
        let JsonView::Object(object) = parse(r#"{"name":"a","n\u0061me":"b","x":1}"#).unwrap()
        else {
            panic!("it is an object")
        };
        assert_eq!(object.text("name"), Some("b"));
        assert_eq!(object.repeated_keys(), ["name"]);
    }

    #[test]
    fn unread_values_must_be_json_as_well() {
        assert!(parse(r#"{"editor": {"x": [1, 2,]}}"#).is_err());
        assert!(parse(r#"{"editor": {"x": [1, 2]}}"#).is_ok());
    }
}

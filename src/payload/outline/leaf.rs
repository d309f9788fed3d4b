//! The leaves of an outline: what stands where text, a number or a boolean is expected.
//!
//! Text is borrowed and numbers are kept as they are written, so that what no check asks about costs
//! no more than finding its end.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::payload::outline::Kind;

/// A place where text, a number or a boolean is expected.
#[derive(Debug, Default, PartialEq)]
pub(crate) enum Leaf<'a> {
    #[default]
    Absent,
    Bool(bool),
    /// Only where a number is expected; elsewhere its value matters to nobody.
    Number(Number<'a>),
    Text(Cow<'a, str>),
    /// Something else.
    Other(Kind),
}

/// A number as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Number<'a>(&'a str);

impl Number<'_> {
    /// Tells whether it is written without a point and without an exponent.
    pub(crate) fn is_whole(self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
    }

    /// Tells whether it is written with a minus.
    pub(crate) fn is_negative(self) -> bool {
        self.0.starts_with('-')
    }

    pub(crate) fn value(self) -> f64 {
        // Every number of JSON is one of Rust's; what is too large for one is infinite.
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl<'a> Leaf<'a> {
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Bool(_) | Self::Number(_) | Self::Other(_) => None,
        }
    }

    /// Returns what is there instead of something; `None` when nothing is.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Absent => None,
            Self::Bool(_) => Some(Kind::Bool),
            Self::Number(_) => Some(Kind::Number),
            Self::Text(_) => Some(Kind::Text),
            Self::Other(kind) => Some(*kind),
        }
    }
}

impl<'de> Deserialize<'de> for Leaf<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LeafVisitor)
    }
}

struct LeafVisitor;

impl<'de> Visitor<'de> for LeafVisitor {
    type Value = Leaf<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    visit_plain! {
        visit_i64(i64) => Leaf::Other(Kind::Number);
        visit_u64(u64) => Leaf::Other(Kind::Number);
        visit_f64(f64) => Leaf::Other(Kind::Number);
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Leaf::Bool(value))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Leaf::Other(Kind::Null))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Leaf::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Leaf::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Leaf::Other(Kind::Object))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Leaf::Other(Kind::List))
    }
}

/// A place where a number is expected. It is kept as it is written: most numbers are never asked for
/// their value.
#[derive(Debug, Default)]
pub(crate) struct Figure<'a>(Leaf<'a>);

impl<'a> Deref for Figure<'a> {
    type Target = Leaf<'a>;

    fn deref(&self) -> &Leaf<'a> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Figure<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        if text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
            return Ok(Self(Leaf::Number(Number(text))));
        }
        serde_json::from_str(text).map(Self).map_err(D::Error::custom)
    }
}

//! One pass over a merged text that both proves it is JSON and keeps what the checks ask about.
//!
//! The outline is tolerant: a field of the wrong kind is kept as that kind, so that every problem
//! can be told at once, and reading fails only where the text is not JSON. Everything the checks do
//! not ask about is skipped unseen: editor exports carry much, and all of it is fine. Most of that is
//! the template's own, and was proved with it: outside of blocks it is not in the text that is read
//! here (`template/parts/unread.rs`).
//!
//! Text is borrowed from the merged text wherever it has no escapes. As in every JSON reader that
//! matters here, the last of two equal keys counts.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The answers of a visitor to everything that is not structured or not text.
macro_rules! visit_plain {
    ($($method:ident($type:ty) => $answer:expr;)*) => {
        $(fn $method<E>(self, _: $type) -> Result<Self::Value, E> {
            Ok($answer)
        })*
    };
}

mod leaf;

pub(crate) use crate::payload::outline::leaf::{Figure, Leaf};

/// A place where an object or a list is expected.
#[derive(Debug, Default)]
pub(crate) enum Shape<T> {
    #[default]
    Absent,
    Is(T),
    /// Something else.
    Other(Kind),
}

impl<T> Shape<T> {
    pub(crate) fn get(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Other(_) => None,
        }
    }
}

/// A kind of JSON value, in a person's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "`null`",
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "text",
            Self::List => "a list",
            Self::Object => "an object",
        })
    }
}

/// Declares the parts of a payload: of each, the fields that are read, by their key.
macro_rules! parts {
    ($($(#[$doc:meta])* $name:ident { $($key:literal => $field:ident: $type:ty),* $(,)? })*) => {
        /// Every key that is read in some part.
        const KEYS: &[&[&[u8]]] = &[$(&[$($key),*]),*];

        $(
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $name<'a> { $(pub(crate) $field: $type),* }

        impl<'a> $name<'a> {
            /// Takes the value that belongs to `key`.
            fn take<A: MapAccess<'a>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
                // As bytes: those are told apart one by one, where texts are compared with each in turn.
                match key.as_bytes() {
                    $($key => self.$field = map.next_value()?,)*
                    _ => drop(map.next_value::<IgnoredAny>()?),
                }
                Ok(())
            }
        }

        /// In its final place from the first field on: a large part is costly to move.
        impl<'a> Part<'a> for Box<$name<'a>> {
            fn from_map<A: MapAccess<'a>>(mut map: A) -> Result<Shape<Self>, A::Error> {
                let mut part = Self::default();
                while let Some(key) = map.next_key::<Key<'a>>()? {
                    part.take(&key.0, &mut map)?;
                }
                Ok(Shape::Is(part))
            }
        }

        impl<'a> Part<'a> for $name<'a> {
            fn from_map<A: MapAccess<'a>>(mut map: A) -> Result<Shape<Self>, A::Error> {
                let mut part = Self::default();
                while let Some(key) = map.next_key::<Key<'a>>()? {
                    part.take(&key.0, &mut map)?;
                }
                Ok(Shape::Is(part))
            }
        }
        )*
    };
}

parts! {
    /// The whole payload. Keys are AI Studios V3's, `create-project` page.
    Fields {
        b"name" => name: Leaf<'a>,
        b"orientation" => orientation: Leaf<'a>,
        b"resolution" => resolution: Leaf<'a>,
        b"isExport" => is_export: Leaf<'a>,
        b"workspaceId" => workspace_id: Leaf<'a>,
        b"webhookUrl" => webhook_url: Leaf<'a>,
        b"scenes" => scenes: Shape<List<Scene<'a>>>,
    }

    /// One scene.
    Scene {
        b"sceneIdx" => scene_idx: Figure<'a>,
        b"background" => background: Shape<Background<'a>>,
        b"clips" => clips: Shape<List<Box<Clip<'a>>>>,
        b"scripts" => scripts: Shape<List<Script<'a>>>,
    }

    /// What is behind everything.
    Background {
        b"source_url" => source_url: Leaf<'a>,
    }

    /// What is said, in the placement used since 2024-12-18: `scenes[].scripts[]`.
    Script {
        b"org" => org: Leaf<'a>,
        b"isTTS" => is_tts: Leaf<'a>,
        b"modelId" => model_id: Leaf<'a>,
        b"clothId" => cloth_id: Leaf<'a>,
    }

    /// One clip of any type, with the fields of every type.
    Clip {
        b"type" => kind: Leaf<'a>,
        b"isDelete" => is_delete: Leaf<'a>,
        b"model" => model: Shape<Model<'a>>,
        b"script" => script: Shape<ClipScript<'a>>,
        b"text" => text: Leaf<'a>,
        b"fill" => fill: Leaf<'a>,
        b"fontSize" => font_size: Figure<'a>,
        b"source_url" => source_url: Leaf<'a>,
        b"video_url" => video_url: Leaf<'a>,
        b"label" => label: Leaf<'a>,
        b"shapeName" => shape_name: Leaf<'a>,
        b"layer" => layer: Figure<'a>,
        b"top" => top: Figure<'a>,
        b"left" => left: Figure<'a>,
        b"width" => width: Figure<'a>,
        b"height" => height: Figure<'a>,
        b"scaleX" => scale_x: Figure<'a>,
        b"scaleY" => scale_y: Figure<'a>,
        b"angle" => angle: Figure<'a>,
        b"opacity" => opacity: Figure<'a>,
        b"volume" => volume: Figure<'a>,
        b"animation" => animation: Shape<Animation<'a>>,
    }

    /// How a clip comes and goes.
    Animation {
        b"type" => kind: Leaf<'a>,
        b"duration" => duration: Figure<'a>,
        b"delay" => delay: Figure<'a>,
    }

    /// The avatar of an `aiModel` clip.
    Model {
        b"ai_name" => ai_name: Leaf<'a>,
        b"emotion" => emotion: Leaf<'a>,
    }

    /// What is said, in the placement of V3 at its launch: `clips[].script`.
    ClipScript {
        b"org" => org: Leaf<'a>,
    }
}

/// Tells whether the value of this key is read in some part. That of any other is passed over
/// wherever it stands.
pub(crate) fn is_read(key: &[u8]) -> bool {
    KEYS.iter().any(|keys| keys.contains(&key))
}

/// A list whose items may each be of the wrong kind.
pub(crate) type List<T> = Vec<Shape<T>>;

/// The payload and the keys that stand in it twice.
#[derive(Debug, Default)]
pub(crate) struct Project<'a> {
    pub(crate) fields: Fields<'a>,
    pub(crate) doubled: Vec<Cow<'a, str>>,
}

impl<'a> Part<'a> for Project<'a> {
    fn from_map<A: MapAccess<'a>>(mut map: A) -> Result<Shape<Self>, A::Error> {
        let mut fields = Fields::default();
        let mut keys = Vec::with_capacity(8);
        while let Some(Key(key)) = map.next_key()? {
            fields.take(&key, &mut map)?;
            keys.push(key);
        }
        keys.sort_unstable();
        let twice = keys.windows(2).filter(|pair| pair[0] == pair[1]);
        let mut doubled: Vec<_> = twice.map(|pair| pair[0].clone()).collect();
        doubled.dedup();
        Ok(Shape::Is(Self { fields, doubled }))
    }
}

/// What can be read from an object or from a list; the other one is passed over.
pub(crate) trait Part<'de>: Sized {
    fn from_map<A: MapAccess<'de>>(mut map: A) -> Result<Shape<Self>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Shape::Other(Kind::Object))
    }

    fn from_seq<A: SeqAccess<'de>>(mut list: A) -> Result<Shape<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Shape::Other(Kind::List))
    }
}

impl<'de, T: Part<'de>> Part<'de> for List<T> {
    fn from_seq<A: SeqAccess<'de>>(mut list: A) -> Result<Shape<Self>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Shape::Is(items))
    }
}

impl<'de, T: Part<'de>> Deserialize<'de> for Shape<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ShapeVisitor(PhantomData))
    }
}

struct ShapeVisitor<T>(PhantomData<T>);

impl<'de, T: Part<'de>> Visitor<'de> for ShapeVisitor<T> {
    type Value = Shape<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    visit_plain! {
        visit_bool(bool) => Shape::Other(Kind::Bool);
        visit_i64(i64) => Shape::Other(Kind::Number);
        visit_u64(u64) => Shape::Other(Kind::Number);
        visit_f64(f64) => Shape::Other(Kind::Number);
        visit_str(&str) => Shape::Other(Kind::Text);
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Shape::Other(Kind::Null))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::from_map(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::from_seq(list)
    }
}

/// A key, borrowed where it has no escapes (serde's own `Cow` would copy each).
pub(crate) struct Key<'a>(pub(crate) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

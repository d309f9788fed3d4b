//! Leaves out of what is read the values that no check asks for.
//!
//! An editor's export carries much about an avatar's picture that is the same in every row and that
//! nothing here looks at. It was JSON when the template was read and still is; so it is proved once,
//! and the checks read a text in which it is a `0`, or, inside another object, not there at all.
//!
//! Reading that text fails exactly when reading the whole would, and finds the same. For that, only
//! an entry is touched that stands in one piece of the template, with a key that is read nowhere;
//! it is left out only where another entry of the same object follows, and never at the top, where
//! keys that stand twice are told.

use handlebars::template::TemplateElement;
use serde::de::IgnoredAny;

use crate::payload::outline;
use crate::template::parts::{Part, Parts};
use crate::template::quotes;
use crate::template::quotes::JsonQuoteState;

/// Leaves out of `read`, in all parts, what no check asks for.
pub(crate) fn leave_out(parts: &mut Parts) {
    let mut place = Place { quote: JsonQuoteState::Outside, open: Some(Vec::new()) };
    place.pass(parts);
}

/// A place in JSON.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    quote: JsonQuoteState,
    /// The brackets that are open, the innermost last; unknown behind what may open or close some.
    open: Option<Vec<u8>>,
}

impl Place {
    /// Shortens what is read of the parts, and goes to the place behind them.
    fn pass(&mut self, parts: &mut Parts) {
        for part in &mut parts.0 {
            match part {
                Part::Text { text, read } => *read = self.shorten(text),
                Part::Words(_) => {}
                Part::Choice { then, otherwise, .. } => {
                    let mut other = self.clone();
                    self.pass(then);
                    other.pass(otherwise);
                    if *self != other {
                        self.open = None;
                    }
                }
                Part::Tags(tags) => {
                    // A tag writes text, or one whole value; a block, whatever stands in it.
                    let is_tag = |tag| matches!(tag, &TemplateElement::Expression(_));
                    if !tags.elements.iter().all(is_tag) {
                        self.quote = quotes::state_after(tags, self.quote);
                        self.open = None;
                    }
                }
            }
        }
    }

    /// Returns what is read of a text that begins here, and goes to its end.
    fn shorten(&mut self, text: &str) -> String {
        let mut read = String::with_capacity(text.len());
        let (mut kept, mut at) = (0, 0);
        while let Some(byte) = text.as_bytes().get(at) {
            if self.quote == JsonQuoteState::Outside && *byte == b'"' {
                if let Some(entry) = Entry::at(text, at) {
                    let is_left_out = entry.is_followed && self.is_inner(&text[..at]);
                    read.push_str(&text[kept..if is_left_out { at } else { entry.value }]);
                    read.push_str(if is_left_out { "" } else { "0" });
                    kept = if is_left_out { entry.end + 1 } else { entry.end };
                    at = kept;
                    continue;
                }
            } else if self.quote == JsonQuoteState::Outside {
                self.bracket(*byte);
            }
            let character = text[at..].chars().next().unwrap_or_default();
            self.quote = self.quote.after(character);
            at += character.len_utf8().max(1);
        }
        read.push_str(&text[kept..]);
        read
    }

    /// Tells whether what follows on `before` is an entry of an object inside another.
    fn is_inner(&self, before: &str) -> bool {
        let open = self.open.as_deref().unwrap_or_default();
        open.len() > 1 && open.ends_with(b"{") && before.ends_with(['{', ','])
    }

    fn bracket(&mut self, byte: u8) {
        let Some(open) = &mut self.open else { return };
        let is_closed = match byte {
            b'{' | b'[' => {
                open.push(byte);
                true
            }
            b'}' => open.pop() == Some(b'{'),
            b']' => open.pop() == Some(b'['),
            _ => true,
        };
        if !is_closed {
            self.open = None;
        }
    }
}

/// A whole entry that no check asks for.
struct Entry {
    /// Where its value begins.
    value: usize,
    /// Where it ends.
    end: usize,
    /// Whether a comma and another entry follow.
    is_followed: bool,
}

impl Entry {
    /// Returns the entry whose key begins at this quote.
    fn at(text: &str, quote: usize) -> Option<Self> {
        let rest = &text[quote + 1..];
        let length = rest.bytes().position(|byte| byte == b'"')?;
        let key = &rest.as_bytes()[..length];
        let is_plain = key.iter().all(|byte| *byte >= b' ' && *byte != b'\\');
        let value = quote + length + 3;
        if !is_plain || outline::is_read(key) || rest.as_bytes().get(length + 1) != Some(&b':') {
            return None;
        }
        let mut values =
            serde_json::Deserializer::from_str(&text[value..]).into_iter::<IgnoredAny>();
        values.next()?.ok()?;
        let end = value + values.byte_offset();
        let after = &text[end..];
        let is_whole = after.starts_with([',', '}']);
        is_whole.then_some(Self { value, end, is_followed: after.starts_with(",\"") })
    }
}

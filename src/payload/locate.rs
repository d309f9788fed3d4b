//! Finds the line of a problem, once there is one: in the merged text, and in the template.
//!
//! This is the slow half of reading a payload and runs for broken ones only. What in the template
//! made a spot is never guessed: [`Traced`] knows it, or nothing is said.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::payload::outline::Key;
use crate::template::problem::{LineColumn, TemplateProblemLocation};
use crate::template::source_map::SourceMap;

/// Returns the place that a JSON pointer names; of something missing, what should have held it.
pub(crate) fn locate_pointer(
    text: &str,
    pointer: String,
    traced: Option<&SourceMap>,
) -> TemplateProblemLocation {
    merged_location(text, pointer_offset(text, &pointer), pointer, traced)
}

/// Returns the place of a byte offset, for a text that is not JSON and so has no pointers.
pub(crate) fn locate_offset(
    text: &str,
    offset: usize,
    traced: Option<&SourceMap>,
) -> TemplateProblemLocation {
    merged_location(text, offset, String::new(), traced)
}

fn merged_location(
    text: &str,
    offset: usize,
    pointer: String,
    traced: Option<&SourceMap>,
) -> TemplateProblemLocation {
    let at = LineColumn::from_offset(text, offset);
    let origin = traced.and_then(|traced| traced.source_location(offset)).map(Box::new);
    TemplateProblemLocation::Merged { line: at.line, column: at.column, pointer, origin }
}

/// Follows a pointer as far as it leads.
fn pointer_offset(text: &str, pointer: &str) -> usize {
    let Ok(mut here) = serde_json::from_str::<&RawValue>(text) else { return 0 };
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let next = if here.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(here.get()).unwrap_or_default();
            step.parse().ok().and_then(|index: usize| items.get(index).copied())
        } else {
            let entries =
                serde_json::from_str(here.get()).map_or(Vec::new(), |RawEntries(all)| all);
            entries.into_iter().rev().find(|(key, _)| key.0 == step).map(|(_, value)| value)
        };
        match next {
            Some(next) => here = next,
            None => break,
        }
    }
    // A borrowed raw value is a slice of the text it was read from.
    here.get().as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

/// An object's entries in their order, the values unread.
pub(crate) struct RawEntries<'a>(pub(crate) Vec<(Key<'a>, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawEntries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RawEntriesVisitor;
        impl<'de> Visitor<'de> for RawEntriesVisitor {
            type Value = RawEntries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(8);
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(RawEntries(entries))
            }
        }
        deserializer.deserialize_map(RawEntriesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use crate::payload::locate::*;

    #[test]
    fn a_pointer_leads_to_its_value_or_to_what_should_hold_it() {
        let text = "{\n \"a\": [1,\n  {\"b\": 2}],\n \"c/d\": 3\n}";
        for (pointer, found) in [
            ("", "{\n"),
            ("/a/1/b", "2}"),
            ("/a/1/missing", "{\"b\""),
            ("/a/7", "[1"),
            ("/c~1d", "3\n"),
        ] {
            assert!(text[pointer_offset(text, pointer)..].starts_with(found), "{pointer}");
        }
    }
}

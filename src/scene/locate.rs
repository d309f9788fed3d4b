//! Finds the line of a problem, once there is one: in the merged text, and in the template.
//!
//! This is the slow half of reading a payload and runs for broken ones only. A template's line is
//! told only when exactly one line can have made the merged line; a guess would send people to the
//! wrong place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::outline::Key;
use super::problem::{At, Place};

/// Returns the place that a JSON pointer names; of something missing, what should have held it.
pub(super) fn of_pointer(text: &str, pointer: String, template: Option<&str>) -> Place {
    let at = At::of_offset(text, offset_of(text, &pointer));
    place(text, at, pointer, template)
}

/// Returns the place of a byte offset, for a text that is not JSON and so has no pointers.
pub(super) fn of_offset(text: &str, offset: usize, template: Option<&str>) -> Place {
    place(text, At::of_offset(text, offset), String::new(), template)
}

fn place(text: &str, at: At, pointer: String, template: Option<&str>) -> Place {
    let index = usize::try_from(at.line).unwrap_or(usize::MAX).saturating_sub(1);
    let merged_line = text.lines().nth(index).unwrap_or("");
    let template_line = template.and_then(|source| line_that_made(source, merged_line));
    Place::Merged { line: at.line, column: at.column, pointer, template_line }
}

/// Follows a pointer as far as it leads.
fn offset_of(text: &str, pointer: &str) -> usize {
    let Ok(mut here) = serde_json::from_str::<&RawValue>(text) else { return 0 };
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        let next = if here.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(here.get()).unwrap_or_default();
            step.parse().ok().and_then(|index: usize| items.get(index).copied())
        } else {
            let entries = serde_json::from_str(here.get()).map_or(Vec::new(), |Entries(all)| all);
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
pub(super) struct Entries<'a>(pub(super) Vec<(Key<'a>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::with_capacity(8);
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// Returns the only line of the template that can have made a merged line.
fn line_that_made(source: &str, merged_line: &str) -> Option<u32> {
    let merged_line = merged_line.trim();
    let only = |fits: &dyn Fn(&str) -> bool| {
        let mut lines = source.lines().enumerate().filter(|(_, line)| fits(line.trim()));
        match (lines.next(), lines.next()) {
            (Some((index, _)), None) => u32::try_from(index + 1).ok(),
            _ => None,
        }
    };
    only(&|line| line == merged_line).or_else(|| only(&|line| made(line, merged_line)))
}

/// Says whether a template line with tags can have made this merged line.
fn made(line: &str, merged_line: &str) -> bool {
    // A block inside the line may have left out what follows it.
    let (line, open_ended) = match line.find("{{#") {
        Some(block) => (&line[..block], true),
        None => (line, false),
    };
    let mut pieces = line.split("{{").map(|piece| piece.split_once("}}").map_or(piece, |p| p.1));
    let first = pieces.next().unwrap_or("");
    let Some(mut rest) = merged_line.strip_prefix(first) else { return false };
    let mut says_something = first.contains(char::is_alphanumeric);
    let pieces: Vec<&str> = pieces.collect();
    let is_static = pieces.is_empty();
    for (index, piece) in pieces.iter().enumerate() {
        says_something |= piece.contains(char::is_alphanumeric);
        if index + 1 == pieces.len() && !open_ended {
            return says_something && rest.ends_with(piece);
        }
        match rest.find(piece) {
            Some(found) => rest = &rest[found + piece.len()..],
            None => return false,
        }
    }
    says_something && (open_ended || (is_static && rest.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(text[offset_of(text, pointer)..].starts_with(found), "{pointer}");
        }
    }

    #[test]
    fn a_template_line_is_told_only_when_there_is_one() {
        let source = "{\n\"name\": \"{{sku}} – {{title}}\",\n\"a\": 1{{#if b}},{{/if}}\n\
                      \"x\": 0,\n\"x\": 0,\n\"volume\": {{number volume}},\n}";
        for (merged, line) in [
            ("  \"name\": \"T1 – Tea\",", Some(2)),
            ("\"a\": 1", Some(3)),
            ("\"a\": 1,", Some(3)),
            ("\"x\": 0,", None),
            ("\"volume\": 12,", Some(6)),
            ("\"other\": 12,", None),
        ] {
            assert_eq!(line_that_made(source, merged), line, "{merged}");
        }
    }
}

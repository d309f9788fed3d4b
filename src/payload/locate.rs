//! Finds the line of a problem in the merged text, and its origin in the template.
//!
//! This is the slow half of checking a payload and runs only for faulty ones. The origin is never
//! guessed: it comes from the [`SourceMap`], or is absent.

use serde_json::value::RawValue;

use crate::payload::json_entries::JsonEntries;
use crate::template::problem::{LineColumn, TemplateProblemLocation};
use crate::template::source_map::SourceMap;

/// Returns the location of a JSON pointer; of a missing value, that of its innermost parent.
pub(crate) fn locate_pointer(
    text: &str,
    pointer: String,
    source_map: Option<&SourceMap>,
) -> TemplateProblemLocation {
    merged_location(text, pointer_offset(text, &pointer), pointer, source_map)
}

/// Returns the location of a byte offset, for a text that is not JSON and so has no pointers.
pub(crate) fn locate_offset(
    text: &str,
    offset: usize,
    source_map: Option<&SourceMap>,
) -> TemplateProblemLocation {
    merged_location(text, offset, String::new(), source_map)
}

fn merged_location(
    text: &str,
    offset: usize,
    pointer: String,
    source_map: Option<&SourceMap>,
) -> TemplateProblemLocation {
    let at = LineColumn::from_offset(text, offset);
    let origin = source_map.and_then(|map| map.source_location(offset)).map(Box::new);
    TemplateProblemLocation::Merged { line: at.line, column: at.column, pointer, origin }
}

/// Follows a pointer as far as it exists, and returns the byte offset reached.
fn pointer_offset(text: &str, pointer: &str) -> usize {
    let Ok(mut value) = serde_json::from_str::<&RawValue>(text) else { return 0 };
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        match child(value, &step) {
            Some(next) => value = next,
            None => break,
        }
    }
    // A borrowed raw value is a slice of the text it was read from.
    value.get().as_ptr().addr().saturating_sub(text.as_ptr().addr())
}

/// Returns the item or entry of a value that one step of a pointer names.
fn child<'t>(value: &'t RawValue, step: &str) -> Option<&'t RawValue> {
    if value.get().starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
        return items.get(step.parse::<usize>().ok()?).copied();
    }
    serde_json::from_str::<JsonEntries<'_>>(value.get()).ok()?.get(step)
}

#[cfg(test)]
mod tests {
    use crate::payload::locate::*;

    #[test]
    fn a_pointer_leads_to_its_value_or_to_the_parent_of_a_missing_one() {
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

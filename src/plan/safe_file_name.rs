//! File names from cells: one path component, valid on every system, with the video extension.
//!
//! Folders of videos are copied between systems, so characters that any system rejects are always
//! replaced. Names that become equal are reported as a problem and never numbered: a number would
//! not identify its row.

use std::hash::{DefaultHasher, Hasher};

use sanitize_filename::{Options, sanitize_with_options};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use crate::payload::PayloadMerger;
use crate::template::{FileNamePattern, TemplateProblem};
use crate::text::is_invisible_mark;

/// The most bytes of a name with its extension; leaves space for `-v12.mp4.part.mark`.
const NAME_BYTES_MAX: usize = 180;
const EXTENSION: &str = ".mp4";

/// Returns the file name of the video whose payload was merged last: by the `file` pattern, or by
/// its key.
///
/// # Errors
/// The first tag of the pattern that cannot be rendered.
pub fn video_file_name(
    pattern: Option<&FileNamePattern>,
    merger: &PayloadMerger<'_>,
    key: &str,
) -> Result<String, TemplateProblem> {
    let wanted = pattern.map(|pattern| merger.render_file_name(pattern)).transpose()?;
    Ok(safe_file_name(wanted.as_deref().unwrap_or(key), key))
}

/// Returns a safe file name for `wanted`, or for `key` if nothing of it remains.
fn safe_file_name(wanted: &str, key: &str) -> String {
    let stem = wanted.strip_suffix(EXTENSION).unwrap_or(wanted);
    if is_already_safe(stem) {
        return format!("{stem}{EXTENSION}");
    }
    sanitized_file_name(stem, key)
}

/// Returns whether [`sanitized_file_name`] would not change a name: true for most, and far cheaper.
/// Reserved names have at most four letters.
fn is_already_safe(stem: &str) -> bool {
    let mut bytes = stem.bytes();
    (5..=NAME_BYTES_MAX - EXTENSION.len()).contains(&stem.len())
        && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn sanitized_file_name(stem: &str, key: &str) -> String {
    let mut stem = sanitize_stem(stem);
    if stem.is_empty() {
        stem = sanitize_stem(key);
    }
    if stem.is_empty() {
        stem = blake3::hash(key.as_bytes()).to_hex()[..12].to_owned();
    }
    stem.truncate(stem.floor_char_boundary(NAME_BYTES_MAX - EXTENSION.len()));
    format!("{}{EXTENSION}", stem.trim_end_matches([' ', '.']))
}

/// Also removes leading dots, which hide a file, and leading dashes, which look like options.
fn sanitize_stem(text: &str) -> String {
    let options = Options { windows: true, truncate: true, replacement: "_" };
    let is_hidden = |c: char| c.is_control() || is_invisible_mark(c);
    let visible: String = text.chars().filter(|c| !is_hidden(*c)).collect();
    let bare = visible.trim().trim_end_matches(['.', ' ']);
    let safe = sanitize_with_options(bare, options);
    let safe = safe.trim_start_matches(['.', ' ', '-']).trim_end_matches(['.', ' ']);
    if safe.chars().all(|c| c == '_') || is_device_name(safe) {
        return String::new();
    }
    safe.to_owned()
}

/// Returns whether Windows opens a device under this name, with any extension.
fn is_device_name(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or_default().trim_end().to_lowercase();
    if matches!(base.as_str(), "con" | "prn" | "aux" | "nul" | "conin$" | "conout$") {
        return true;
    }
    let number = base.strip_prefix("com").or_else(|| base.strip_prefix("lpt"));
    let mut digits = number.unwrap_or_default().chars();
    matches!((digits.next(), digits.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
}

/// Returns a text that is equal for names which are one file on some disk: many ignore case, and
/// the difference between a composed letter and a letter with a combining accent.
pub(super) fn collision_key(file_name: &str) -> String {
    if file_name.is_ascii() {
        return file_name.to_ascii_lowercase();
    }
    let lower = |name: &str| name.chars().flat_map(char::to_lowercase).collect::<String>();
    match is_nfc_quick(file_name.chars()) {
        IsNormalized::Yes => lower(file_name),
        IsNormalized::No | IsNormalized::Maybe => lower(&file_name.nfc().collect::<String>()),
    }
}

/// Returns the hash of [`collision_key`]; different keys may share it.
pub(super) fn collision_hash(file_name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(collision_key(file_name).as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn unsafe_names_are_sanitized() {
        for (wanted, safe_name) in [
            ("../../etc/passwd", "_.._etc_passwd.mp4"),
            ("/abs/x.mp4", "_abs_x.mp4"),
            ("C:\\x", "C__x.mp4"),
            ("..", "key.mp4"),
            ("", "key.mp4"),
            ("CON", "key.mp4"),
            ("COM¹", "key.mp4"),
            ("lpt³.old", "key.mp4"),
            ("CONIN$", "key.mp4"),
            ("conout$.txt", "key.mp4"),
            ("COM¹0", "COM¹0.mp4"),
            ("nul.mp4", "key.mp4"),
            ("-rf", "rf.mp4"),
            ("a:b?.mp4", "a_b_.mp4"),
            ("été 봄.mp4", "été 봄.mp4"),
            ("evil\u{202e}4pm.exe", "evil4pm.exe.mp4"),
            ("dot. ", "dot.mp4"),
        ] {
            assert_eq!(safe_file_name(wanted, "key"), safe_name, "{wanted:?}");
        }
    }

    proptest! {
        #[test]
        fn any_cell_becomes_one_short_component(wanted in any::<String>(), key in any::<String>()) {
            let name = safe_file_name(&wanted, &key);
            prop_assert!(name.len() <= NAME_BYTES_MAX && name.ends_with(EXTENSION));
            prop_assert!(name.len() > EXTENSION.len());
            let path = std::path::Path::new(&name);
            prop_assert_eq!(path.components().count(), 1);
            prop_assert_eq!(path.file_name().and_then(|n| n.to_str()), Some(name.as_str()));
            prop_assert!(!name.starts_with(['.', '-']));
        }

        #[test]
        fn a_safe_name_is_not_changed(stem in "[A-Za-z0-9_. -]{1,190}") {
            if is_already_safe(&stem) {
                prop_assert_eq!(sanitized_file_name(&stem, "key"), format!("{stem}{EXTENSION}"));
            }
        }

        #[test]
        fn a_short_name_is_always_sanitized(stem in "(con|prn|aux|nul|com|lpt)[0-9_-]{0,2}") {
            let name = safe_file_name(&stem, "key");
            prop_assert_eq!(name, sanitized_file_name(&stem, "key"));
        }
    }
}

//! The language rules of `docs/internals/style.md`: words that are not used in code, messages, comments,
//! tests and documentation, because a plainer term exists.

use std::fs;
use std::path::{Path, PathBuf};

/// Words and phrases that are used nowhere. Each entry is matched as whole words, in any case.
const BANNED: &[&str] = &[
    "a person",
    "anew",
    "brought home",
    "bring home",
    "brings home",
    "carries on",
    "carry on",
    "for ever",
    "heed",
    "heeded",
    "heeds",
    "is said",
    "is told",
    "let go",
    "lets go",
    "letting go",
    "likewise",
    "mend",
    "mended",
    "mending",
    "mends",
    "nobody",
    "of late",
    "somebody",
    "tells whether",
    "whoever",
    "whom",
];
/// Words that name something else in this program, and are banned where code is.
const BANNED_IN_CODE: &[&str] = &["night", "nights", "doubt", "doubts"];
/// Folders and files whose text is checked.
const CHECKED: &[&str] = &[
    "src",
    "tests",
    "benches",
    "docs",
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
];
const CODE: &[&str] = &["src", "tests", "benches"];
/// Data, the test of a sample ledger whose batch has such a name, and the lists themselves.
const EXEMPT: &[&str] =
    &["tests/data", "tests/it/ledger.rs", "tests/it/tidy", "docs/internals/style.md"];

fn files_below(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            files_below(&entry.unwrap().path(), found);
        }
    } else if path.is_file() {
        found.push(path.to_owned());
    }
}

/// Checks whether `line` contains `phrase` between characters that are no letters. An underscore ends a
/// word, so that identifiers are checked as well.
fn contains_phrase(line: &str, phrase: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    line.match_indices(phrase).any(|(at, _)| {
        !is_letter(line[..at].chars().next_back())
            && !is_letter(line[at + phrase.len()..].chars().next())
    })
}

fn findings(root: &Path, folder: &str, banned: &[&str]) -> Vec<String> {
    let (mut files, mut found) = (Vec::new(), Vec::new());
    files_below(&root.join(folder), &mut files);
    for path in files {
        let name = path.strip_prefix(root).unwrap();
        let is_exempt = EXEMPT.iter().any(|exempt| name.starts_with(exempt));
        let Some(text) = fs::read_to_string(&path).ok().filter(|_| !is_exempt) else { continue };
        for (number, line) in text.to_lowercase().lines().enumerate() {
            for phrase in banned.iter().filter(|phrase| contains_phrase(line, phrase)) {
                found.push(format!("{}:{}: {phrase}", name.display(), number + 1));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn banned_words_are_used_nowhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found: Vec<String> =
        CHECKED.iter().flat_map(|folder| findings(root, folder, BANNED)).collect();
    found.extend(CODE.iter().flat_map(|folder| findings(root, folder, BANNED_IN_CODE)));
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
}

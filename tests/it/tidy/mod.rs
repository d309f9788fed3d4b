//! The rules of the code base, enforced: imports between modules, names, sizes, language. The documents
//! are checked in `docs`.

mod language;
mod modules;
mod names;
mod sizes;

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the Rust files below `src`, each with its text, sorted by path.
fn source_files() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut folders) = (Vec::new(), vec![root.join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path.strip_prefix(root).unwrap().to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// Returns whether a file holds only tests.
fn is_test_file(path: &Path) -> bool {
    let name = path.to_str().unwrap();
    name.ends_with("tests.rs") || name.contains("/tests/")
}

/// Returns the lines of a file before its test module.
fn lines_without_tests(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| *line != "mod tests {")
}

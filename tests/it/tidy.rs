//! What the prose says about the house, held by tests: who may import whom, how long a file may
//! be, and that every file says what it is for. Documents are checked in `docs`.

use std::fs;
use std::path::{Path, PathBuf};

/// Which rooms a room may import. What is not listed may not be imported.
const LAYERS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("text", &[]),
    ("request", &[]),
    ("http", &["clock", "text"]),
    ("batch", &["request", "text"]),
    ("sheet", &["text"]),
    ("template", &["text"]),
    ("payload", &["template", "request", "text"]),
    ("ledger", &["clock", "request", "text"]),
    ("sandbox", &[]),
    ("aistudios", &["clock", "http", "text"]),
    ("plan", &["batch", "sheet", "template", "payload", "ledger", "request", "text"]),
    (
        "runner",
        &[
            "aistudios",
            "batch",
            "clock",
            "http",
            "ledger",
            "payload",
            "request",
            "template",
            "text",
        ],
    ),
    ("report", &["ledger", "payload", "template", "text"]),
    ("notify", &["batch", "clock", "http", "report", "text"]),
    ("webhook", &["clock", "ledger"]),
    (
        "session",
        &[
            "aistudios",
            "batch",
            "clock",
            "http",
            "ledger",
            "notify",
            "payload",
            "plan",
            "report",
            "request",
            "runner",
            "sandbox",
            "sheet",
            "template",
            "text",
            "webhook",
        ],
    ),
    (
        "cli",
        &[
            "aistudios",
            "batch",
            "clock",
            "http",
            "ledger",
            "notify",
            "payload",
            "plan",
            "report",
            "request",
            "runner",
            "sandbox",
            "session",
            "sheet",
            "template",
            "text",
            "webhook",
        ],
    ),
    ("main", &["cli"]),
];
/// Lines of a source file, its tests not counted.
const LINES_MAX: usize = 500;
/// Tables of data, which are read by looking things up.
const LINE_LIMIT_EXEMPT: &[&str] = &["src/sandbox/faults/known.rs"];

fn source_files() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let short = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_owned();
                found.push((short, text));
            }
        }
    }
    found.sort();
    found
}

fn module_of(path: &Path) -> String {
    let name = path.components().nth(1).unwrap().as_os_str().to_str().unwrap();
    name.trim_end_matches(".rs").to_owned()
}

#[test]
fn a_room_imports_only_what_stands_below_it() {
    for (path, text) in source_files() {
        let room = module_of(&path);
        if room == "lib" {
            continue;
        }
        let (_, allowed) =
            LAYERS.iter().find(|(name, _)| *name == room).unwrap_or_else(|| panic!("{room}?"));
        let prefix = if room == "main" { "callsheet::" } else { "crate::" };
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            for rest in code.split(prefix).skip(1) {
                let names: Vec<&str> = match rest.strip_prefix('{') {
                    Some(list) => list.trim_end_matches(['}', ';']).split(',').collect(),
                    None => vec![rest],
                };
                for name in names {
                    let name = name.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next();
                    let Some(other) = name.filter(|name| LAYERS.iter().any(|(r, _)| r == name))
                    else {
                        continue;
                    };
                    let fine = other == room || allowed.contains(&other);
                    assert!(fine, "{}:{}: {room} imports {other}", path.display(), number + 1);
                }
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for (path, text) in source_files() {
        assert!(text.starts_with("//! "), "{} does not begin with //!", path.display());
    }
}

#[test]
fn files_can_be_read_in_one_sitting() {
    for (path, text) in source_files() {
        let name = path.display().to_string();
        let is_test = name.ends_with("tests.rs") || name.contains("/tests/");
        if is_test || LINE_LIMIT_EXEMPT.contains(&name.as_str()) {
            continue;
        }
        let lines = text.lines().take_while(|line| *line != "mod tests {").count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines");
    }
}

#[test]
fn no_name_collects_everything() {
    for (path, _) in source_files() {
        for word in ["util", "helper", "common", "manager", "misc"] {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let fine = !name.contains(word) || path.ends_with("template/helpers/mod.rs");
            assert!(fine, "{}", path.display());
        }
    }
}

//! What the prose says about the house, held by tests: who may import whom, how long a file may
//! be, that every file says what it is for, and that the README lists what people and scripts depend
//! on.

use std::fs;
use std::path::{Path, PathBuf};

use callsheet::cli::ExitReason;

/// Which rooms a room may import. What is not listed may not be imported.
const LAYERS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("text", &[]),
    ("request", &[]),
    ("http", &["aistudios", "clock", "text"]),
    ("batch", &["request", "text"]),
    ("sheet", &["text"]),
    ("template", &["payload", "request", "text"]),
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
    ("notify", &["aistudios", "batch", "http", "report", "text"]),
    ("webhook", &["clock", "ledger"]),
    (
        "session",
        &[
            "aistudios",
            "batch",
            "cli",
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

fn read_source(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Returns what stands between `open` and the next `close`, wherever `open` stands.
fn texts_between<'t>(text: &'t str, open: &'t str, close: char) -> impl Iterator<Item = &'t str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

#[test]
fn the_readme_lists_every_exit_code() {
    let readme = read_source("README.md");
    for exit in ExitReason::ALL {
        let row = format!("| {} |", exit.code());
        assert!(readme.contains(&row), "the README has no row {row} for {exit:?}");
    }
}

#[test]
fn the_readme_lists_every_setting_helper_and_event() {
    let readme = read_source("README.md");
    let (keys, happenings) = (read_source("src/batch/keys.rs"), read_source("src/runner/event.rs"));
    let settings = keys.split("/// Less alike").next().unwrap();
    let settings = texts_between(settings, "\"", '"').filter(|word| !word.trim().is_empty());
    let settings =
        settings.filter(|word| word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()));
    let events = texts_between(&happenings, "rename = \"", '"');
    let helpers = callsheet::template::HELPERS.iter().map(|helper| helper.name);
    for word in settings.chain(events).chain(helpers) {
        let fine = readme.contains(&format!("`{word}`")) || readme.contains(&format!("`[{word}]`"));
        assert!(fine, "the README does not mention `{word}`");
    }
}

#[test]
fn what_is_said_to_be_held_by_a_test_is() {
    let mut all: String = source_files().into_iter().map(|(_, text)| text).collect();
    for file in ["run/mod.rs", "crash.rs", "kill/mod.rs"] {
        all.push_str(&read_source(&format!("tests/it/{file}")));
    }
    for (file, least) in [("README.md", 10), ("ARCHITECTURE.md", 10)] {
        let text = read_source(file);
        let rows = text.lines().filter(|line| line.starts_with("| "));
        let words = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
        // A test's name is a sentence; what has few words is a module, or something else.
        let is_test = |word: &&str| word.contains("::") && word.matches('_').count() > 2;
        let named: Vec<_> = words.filter(is_test).collect();
        assert!(named.len() >= least, "{file}: {named:?}");
        for path in named {
            let name = path.rsplit("::").next().unwrap();
            assert!(all.contains(&format!("fn {name}(")), "{file}: there is no test `{path}`");
        }
    }
}

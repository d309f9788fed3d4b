//! The documentation, checked against the program: the README's size, the reference pages, the files
//! under `dist/`, and plain language. Commands are checked in `commands`, links in `links`.
//!
//! Reads texts only; nothing is run. Invariant: what is listed here cannot be documented wrongly or
//! left undocumented without a failing test.

mod commands;
mod links;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use callsheet::batch;
use callsheet::cli::ExitReason;
use callsheet::ledger::RowStatus;
use callsheet::template::HELPERS;
use serde_json::Value;

/// Lines of the README: about two screens, so that a new user reads all of it.
const README_LINES_MAX: usize = 150;
/// Rows of a table in the README; longer ones belong in the book.
const README_TABLE_ROWS_MAX: usize = 6;
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Returns all files below `folder`, relative to the repository, sorted.
fn files_below(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Returns the one source file whose path ends in `name`, wherever its module stands.
fn source_file(name: &str) -> String {
    let found = files_below("src").into_iter().find(|path| path.ends_with(name));
    text_of(&found.unwrap_or_else(|| panic!("there is no src/…/{name}")))
}

/// Returns the program and its tests as one text.
fn all_code() -> String {
    let files = files_below("src").into_iter().chain(files_below("tests/it"));
    files.filter(|path| path.ends_with(".rs")).map(|path| text_of(&path)).collect()
}

/// Returns the pages of the book, and the documents at the top of the repository.
fn documents() -> Vec<(String, String)> {
    let top = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "ARCHITECTURE.md"];
    let pages = files_below("docs").into_iter().filter(|path| path.ends_with(".md"));
    let names = top.into_iter().map(str::to_owned).chain(pages);
    names.map(|name| (name.clone(), text_of(&name))).collect()
}

/// A fenced block of code.
struct CodeBlock {
    /// What stands behind the opening fence, such as `sh`.
    language: String,
    text: String,
}

/// Splits Markdown into its blocks of code and the lines around them.
fn split_code(markdown: &str) -> (Vec<CodeBlock>, Vec<&str>) {
    let (mut blocks, mut prose) = (Vec::new(), Vec::new());
    let mut open: Option<(usize, CodeBlock)> = None;
    for line in markdown.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(language)) => {
                let indent = line.len() - line.trim_start().len();
                open = Some((indent, CodeBlock { language: language.into(), text: String::new() }));
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            (Some((indent, block)), None) => {
                block.text.push_str(line.get(*indent..).unwrap_or_default());
                block.text.push('\n');
            }
            (None, None) => prose.push(line),
        }
    }
    (blocks, prose)
}

/// Returns the line without its code spans.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("…")
}

/// Checks that `page` mentions each name as code.
fn assert_mentions(page: &str, names: impl IntoIterator<Item = String>) {
    let text = text_of(page);
    for name in names {
        let is_mentioned = text.contains(&format!("`{name}`"))
            || text.contains(&format!("`[{name}]`"))
            || text.contains(&format!("`{name} = "));
        assert!(is_mentioned, "{page} does not mention `{name}`");
    }
}

#[test]
fn readme_fits_two_screens() {
    let readme = text_of("README.md");
    let lines = readme.lines().count();
    assert!(lines <= README_LINES_MAX, "README.md has {lines} lines");
    let (_, prose) = split_code(&readme);
    let mut rows = 0;
    for line in prose {
        rows = if line.starts_with('|') { rows + 1 } else { 0 };
        // The heading and the line under it are no rows.
        assert!(rows <= README_TABLE_ROWS_MAX + 2, "a long table in README.md: {line}");
    }
}

#[test]
fn every_exit_code_is_documented() {
    let page = text_of("docs/reference/exit-codes.md");
    for exit in ExitReason::ALL {
        let row = format!("\n| {} |", exit.code());
        assert!(page.contains(&row), "exit-codes.md has no row {} for {exit:?}", exit.code());
    }
    let documented = page.lines().filter(|line| {
        let cell = line.strip_prefix("| ").and_then(|row| row.split(' ').next());
        cell.is_some_and(|cell| cell.parse::<u8>().is_ok())
    });
    assert_eq!(documented.count(), ExitReason::ALL.len());
}

/// Returns the tables of the batch file with their keys, as `batch/keys.rs` lists them.
fn settings() -> Vec<(String, Vec<String>)> {
    let keys = source_file("batch/keys.rs");
    let list: String = keys.split("\n];").next().unwrap().split_whitespace().collect();
    let tables = list.split("(\"").skip(1).filter_map(|rest| rest.split_once("\",&["));
    let quoted = |list: &str| list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    tables.map(|(table, keys)| (table.to_owned(), quoted(keys))).collect()
}

#[test]
fn every_setting_is_documented() {
    let settings = settings();
    assert!(settings.len() >= 8, "the list of settings was not recognised: {settings:?}");
    for (table, keys) in settings {
        let is_of_vendor = matches!(table.as_str(), "vendor" | "measured");
        let page = if is_of_vendor { "vendor-profile" } else { "batch-file" };
        // `[measured]` is a table of the file that `check --probe` writes.
        let keys = keys.into_iter().filter(|key| key != "measured");
        assert_mentions(&format!("docs/reference/{page}.md"), keys);
    }
}

#[test]
fn every_helper_is_documented() {
    let names = HELPERS.iter().map(|helper| helper.name.to_owned());
    assert_mentions("docs/reference/helpers.md", names);
}

#[test]
fn every_event_and_field_for_programs_is_documented() {
    let events: Value = serde_json::from_str(&source_file("event.schema.json")).unwrap();
    let types = events["oneOf"].as_array().unwrap().iter().map(|one| {
        let path = one["$ref"].as_str().unwrap();
        path.trim_start_matches("#/$defs/").to_owned()
    });
    assert_mentions("docs/reference/events.md", types);
    let run: Value = serde_json::from_str(&source_file("run.schema.json")).unwrap();
    let fields = run["properties"].as_object().unwrap().keys().cloned();
    assert_mentions("docs/reference/run-json.md", fields);
}

/// Returns the code spans of a text.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_field_of_an_event_is_documented_beside_it() {
    let schema = source_file("event.schema.json");
    let events: Value = serde_json::from_str(&schema).unwrap();
    let page = text_of("docs/reference/events.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" | "));
    let mut checked = 0;
    for (types, fields) in rows {
        let named: BTreeSet<&str> = code_spans(fields).collect();
        let is_name =
            |name: &&&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let is_known = |name: &&&str| schema.contains(&format!("\"{name}\""));
        let unknown: Vec<_> = named.iter().filter(is_name).filter(|name| !is_known(name)).collect();
        assert!(unknown.is_empty(), "{types}: {unknown:?} are no fields");
        // Its fields are those of the row that it names.
        if named.contains("summary") {
            continue;
        }
        for name in code_spans(&format!("`{types}")) {
            let Some(fields) = events["$defs"][name]["properties"].as_object() else { continue };
            let missing: Vec<_> = fields
                .keys()
                .filter(|field| *field != "type" && !named.contains(field.as_str()))
                .collect();
            assert!(missing.is_empty(), "{name}: {missing:?} are not documented");
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked} events were checked");
}

/// Returns the names in the first cells of a page's tables, without what stands in brackets.
fn documented_names(page: &str) -> Vec<String> {
    let text = text_of(page);
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let names = rows.flat_map(|cell| {
        let cell = cell.split(" (").next().unwrap_or_default();
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    });
    names.collect()
}

#[test]
fn no_reference_names_what_does_not_exist() {
    let settings: BTreeSet<String> = settings().into_iter().flat_map(|(_, keys)| keys).collect();
    let helpers = HELPERS.iter().map(|helper| helper.name.to_owned()).collect();
    let events: Value = serde_json::from_str(&source_file("event.schema.json")).unwrap();
    let mut types: BTreeSet<String> =
        events["$defs"].as_object().unwrap().keys().cloned().collect();
    types.insert("type".to_owned());
    let run: Value = serde_json::from_str(&source_file("run.schema.json")).unwrap();
    let fields = run["properties"].as_object().unwrap().keys().cloned().collect();
    let source = source_file("report/results.rs");
    let columns = source.split('"').map(str::to_owned);
    let states = documented_names("docs/reference/results-csv.md").into_iter();
    let columns = columns.chain(states.filter(|name| RowStatus::parse(name).is_some())).collect();
    for (page, known) in [
        ("batch-file", &settings),
        ("vendor-profile", &settings),
        ("helpers", &helpers),
        ("events", &types),
        ("run-json", &fields),
        ("results-csv", &columns),
    ] {
        let page = format!("docs/reference/{page}.md");
        let names = documented_names(&page);
        assert!(!names.is_empty(), "{page} has no table");
        let unknown: Vec<_> = names.iter().filter(|name| !known.contains(*name)).collect();
        assert!(unknown.is_empty(), "{page} describes what does not exist: {unknown:?}");
    }
}

#[test]
fn every_column_of_the_results_is_documented() {
    let source = source_file("results.rs");
    let list = source.split("RESULTS_COLUMNS: [").nth(1).unwrap().split("];").next().unwrap();
    let columns: Vec<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(columns.len() >= 10, "the list of columns was not recognised: {columns:?}");
    assert_mentions("docs/reference/results-csv.md", columns);
}

#[test]
fn every_example_of_a_batch_file_is_valid() {
    let mut examples = 0;
    for (name, text) in documents() {
        for block in split_code(&text).0 {
            if block.language != "toml" {
                continue;
            }
            let mut source = block.text;
            for required in ["template", "sheet"] {
                if !source.lines().any(|line| line.starts_with(&format!("{required} "))) {
                    source.insert_str(0, &format!("{required} = \"{required}\"\n"));
                }
            }
            let parsed = batch::parse(Path::new("jobs/example.toml"), source);
            assert!(parsed.is_ok(), "{name}: {:?}", parsed.unwrap_err());
            examples += 1;
        }
    }
    assert!(examples >= 8, "only {examples} examples were found");
}

#[test]
fn files_to_install_are_the_ones_in_the_book() {
    let pages: Vec<String> = documents().into_iter().map(|(_, text)| text).collect();
    let blocks: Vec<CodeBlock> = pages.iter().flat_map(|page| split_code(page).0).collect();
    for name in files_below("dist") {
        // What releases are made with is not for users to copy.
        let is_for_releases = |extension: &OsStr| extension == "dockerignore" || extension == "hbs";
        if PathBuf::from(&name).extension().is_some_and(is_for_releases) {
            continue;
        }
        let is_shown = blocks.iter().any(|block| block.text == text_of(&name));
        assert!(is_shown, "no page shows {name} as it is");
        assert!(
            pages.iter().any(|page| page.contains(&format!("`{name}`"))),
            "no page names {name}"
        );
    }
}

#[test]
fn tests_named_in_tables_exist() {
    let code = all_code();
    for (page, least) in [("docs/concepts/never-pays-twice.md", 10), ("ARCHITECTURE.md", 10)] {
        let text = text_of(page);
        let rows = text.lines().filter(|line| line.starts_with("| "));
        let spans = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
        // A test's name is a sentence; a path with few words is a module or a type.
        let is_test = |span: &&str| span.contains("::") && span.matches('_').count() > 2;
        let named: Vec<&str> = spans.filter(is_test).collect();
        assert!(named.len() >= least, "{page}: {named:?}");
        for path in named {
            let name = path.rsplit("::").next().unwrap();
            assert!(code.contains(&format!("fn {name}(")), "{page}: there is no test `{path}`");
        }
    }
}

#[test]
fn every_module_has_a_row_in_the_architecture() {
    let page = text_of("ARCHITECTURE.md");
    for line in text_of("src/lib.rs").lines() {
        let Some(name) = line.strip_prefix("pub mod ") else { continue };
        let name = name.trim_end_matches(';');
        let is_listed = page.lines().filter(|line| line.starts_with("| `")).any(|row| {
            row.split('|')
                .nth(1)
                .is_some_and(|cell| cell.split('`').any(|span| span.trim_end_matches('/') == name))
        });
        assert!(is_listed, "ARCHITECTURE.md does not list the module `{name}`");
    }
}

/// Returns what selects tests in a command such as `cargo test --test it kill:: -- --ignored`.
fn test_filters(command: &str) -> Vec<&str> {
    let Some(arguments) = command.strip_prefix("cargo test ") else { return Vec::new() };
    let mut words = arguments.split_whitespace();
    let mut filters = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "--test" => drop(words.next()),
            word if word.starts_with('-') => {}
            word => filters.push(word),
        }
    }
    filters
}

#[test]
fn test_commands_in_documents_select_tests() {
    let code = all_code();
    for (name, text) in documents() {
        let (blocks, prose) = split_code(&text);
        let prose = prose.join(" ");
        let lines = blocks.iter().flat_map(|block| block.text.lines());
        for command in lines.chain(prose.split('`').skip(1).step_by(2)) {
            for part in test_filters(command).into_iter().flat_map(|filter| filter.split("::")) {
                let exists =
                    code.contains(&format!("mod {part};")) || code.contains(&format!("fn {part}"));
                assert!(exists, "{name}: no test matches `{part}` of `{command}`");
            }
        }
    }
}

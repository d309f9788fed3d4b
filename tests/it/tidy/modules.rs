//! Imports between modules. The module table of `ARCHITECTURE.md` is the rule; this file enforces it.

use std::fs;
use std::path::Path;

use super::{is_test_file, lines_without_tests, source_files};

/// One row of the module table.
struct ModuleRule {
    name: String,
    may_use: Vec<String>,
}

/// Returns the words between back-ticks, without a slash at their end.
fn quoted(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(|name| name.trim_end_matches('/').to_owned()).collect()
}

fn module_rules() -> Vec<ModuleRule> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, table) = text.split_once("| module | contains | may use |\n").expect("a module table");
    let rows: Vec<(Vec<String>, &str)> = table
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            (quoted(cells[0]), cells[2])
        })
        .collect();
    let mut rules = Vec::new();
    for (number, (names, may_use)) in rows.iter().enumerate() {
        let may_use: Vec<String> = match may_use.trim() {
            "everything below" => {
                rows[number + 1..].iter().flat_map(|(names, _)| names.clone()).collect()
            }
            list => quoted(list),
        };
        for name in names {
            rules.push(ModuleRule { name: name.clone(), may_use: may_use.clone() });
        }
    }
    rules
}

fn module_of(path: &Path) -> String {
    let name = path.components().nth(1).unwrap().as_os_str().to_str().unwrap();
    name.trim_end_matches(".rs").to_owned()
}

/// Returns the top-level modules that a line of code names after `prefix`.
fn imported_modules<'l>(line: &'l str, prefix: &'l str) -> Vec<&'l str> {
    let code = line.split("//").next().unwrap();
    let mut found = Vec::new();
    for rest in code.split(prefix).skip(1) {
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.trim_end_matches(['}', ';']).split(',').collect(),
            None => vec![rest],
        };
        let first_word = |name: &'l str| {
            name.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap()
        };
        found.extend(names.into_iter().map(first_word));
    }
    found
}

#[test]
fn modules_import_only_what_the_table_allows() {
    let rules = module_rules();
    let mut found = Vec::new();
    for (path, text) in source_files() {
        let module = module_of(&path);
        if module == "lib" {
            continue;
        }
        let rule = rules.iter().find(|rule| rule.name == module);
        let rule = rule.unwrap_or_else(|| panic!("ARCHITECTURE.md has no module `{module}`"));
        let prefix = if module == "main" { "callsheet::" } else { "crate::" };
        for (number, line) in text.lines().enumerate() {
            for other in imported_modules(line, prefix) {
                let is_module = rules.iter().any(|rule| rule.name == other);
                let is_allowed = other == module || rule.may_use.iter().any(|name| name == other);
                if is_module && !is_allowed {
                    found.push(format!("{}:{}: {other}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_file_begins_with_its_purpose() {
    for (path, text) in source_files() {
        assert!(text.starts_with("//! "), "{} does not begin with //!", path.display());
    }
}

#[test]
fn no_file_name_collects_everything() {
    for (path, _) in source_files() {
        for word in ["util", "helper", "common", "manager", "misc"] {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(!name.contains(word), "{}", path.display());
        }
    }
}

/// One text of a statement serves two databases; what differs is known to the store alone.
#[test]
fn only_the_store_names_the_types_of_a_database() {
    let store = Path::new("src/ledger/store");
    let mut found = Vec::new();
    for (path, text) in source_files() {
        if path.starts_with(store) || is_test_file(&path) {
            continue;
        }
        for (number, line) in lines_without_tests(&text).enumerate() {
            let code = line.split("//").next().unwrap();
            let is_type =
                ["sqlx::query", "sqlx_sqlite", "sqlx_postgres", "SqliteC", "SqliteP", "PgC"];
            if is_type.iter().any(|name| code.contains(name)) {
                found.push(format!("{}:{}: {line}", path.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

//! The naming rules of `docs/internals/style.md`: a type name is unique and rarely one word, constructors
//! and accessors have standard names, parameter lists hold no tuples, folders stay small.

use std::collections::BTreeMap;
use std::path::Path;

use super::source_files;

/// Type names that may be defined more than once; `SignalStreams` once per family of systems.
const REPEATED_TYPE_NAMES: &[&str] = &["Error", "SignalStreams"];
/// The share of type names of one word that may not be reached.
const ONE_WORD_SHARE_MAX: f64 = 0.30;
/// Names that say nothing about what a function returns.
const BANNED_FUNCTION_NAMES: &[&str] =
    &["of", "word", "words", "told", "said", "heard", "shown", "carry_out"];
/// Rust files in one folder.
const FILES_PER_FOLDER_MAX: usize = 25;
/// Parameters of one function, `self` not counted.
const PARAMETERS_MAX: usize = 5;

/// Returns the name of the type that `line` defines. Associated types are indented and are not counted.
fn defined_type(line: &str) -> Option<&str> {
    let text = line.trim_start();
    let text = match text.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1.trim_start(),
        Some(rest) => rest.trim_start(),
        None => text,
    };
    let (keyword, rest) = text.split_once(' ')?;
    let is_type = match keyword {
        "struct" | "enum" | "trait" | "union" => true,
        "type" => !line.starts_with(' '),
        _ => false,
    };
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    (is_type && rest.starts_with(char::is_uppercase)).then(|| &rest[..end])
}

fn defined_types() -> BTreeMap<String, Vec<String>> {
    let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, text) in source_files() {
        for (number, line) in text.lines().enumerate() {
            if let Some(name) = defined_type(line) {
                let place = format!("{}:{}", path.display(), number + 1);
                defined.entry(name.to_owned()).or_default().push(place);
            }
        }
    }
    defined
}

#[test]
fn no_type_name_is_defined_twice() {
    let repeated: Vec<_> = defined_types()
        .into_iter()
        .filter(|(name, places)| places.len() > 1 && !REPEATED_TYPE_NAMES.contains(&name.as_str()))
        .collect();
    assert!(repeated.is_empty(), "{repeated:#?}");
}

#[test]
fn few_type_names_are_one_word() {
    let defined = defined_types();
    let capitals = |name: &&String| name.chars().filter(|c| c.is_uppercase()).count() == 1;
    let one_word: Vec<_> = defined.keys().filter(capitals).collect();
    let share = one_word.len() as f64 / defined.len() as f64;
    assert!(share < ONE_WORD_SHARE_MAX, "{:.0}%: {one_word:?}", share * 100.0);
}

#[test]
fn folders_hold_few_files() {
    let mut folders: BTreeMap<&Path, usize> = BTreeMap::new();
    let files = source_files();
    for (path, _) in &files {
        *folders.entry(path.parent().unwrap()).or_default() += 1;
    }
    folders.retain(|_, files| *files > FILES_PER_FOLDER_MAX);
    assert!(folders.is_empty(), "{folders:?}");
}

#[test]
fn a_module_with_children_is_a_folder() {
    for (path, _) in source_files() {
        let folder = path.with_extension("");
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(!root.join(&folder).is_dir(), "{}: move it to mod.rs", path.display());
    }
}

/// A function and its parameters, split at the commas between them.
struct Signature {
    place: String,
    name: String,
    parameters: Vec<String>,
}

fn signatures() -> Vec<Signature> {
    let mut found = Vec::new();
    for (path, text) in source_files() {
        for (start, _) in text.match_indices("fn ") {
            let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
            let before = text[line_start..start].trim_start();
            let is_definition = before.split_whitespace().all(|word| {
                matches!(word, "async" | "const" | "unsafe" | "extern")
                    || word.starts_with("pub")
                    || word.ends_with(')')
            });
            let rest = &text[start + 3..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(0);
            if !is_definition || end == 0 {
                continue;
            }
            let line = text[..start].matches('\n').count() + 1;
            found.push(Signature {
                place: format!("{}:{line}", path.display()),
                name: rest[..end].to_owned(),
                parameters: parameters(&rest[end..]),
            });
        }
    }
    found
}

/// Splits the parameter list at the beginning of `text`, which may follow generic parameters.
fn parameters(text: &str) -> Vec<String> {
    let Some(open) = text.find('(') else { return Vec::new() };
    let (mut depth, mut angles) = (0, 0);
    let mut list = vec![String::new()];
    let mut previous = ' ';
    for c in text[open..].chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '<' => angles += 1,
            '>' if previous != '-' => angles -= 1,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        match c {
            ',' if depth == 1 && angles == 0 => list.push(String::new()),
            _ => list.last_mut().unwrap().push(c),
        }
        previous = c;
    }
    if let Some(first) = list.first_mut() {
        first.remove(0);
    }
    list.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn is_tuple(parameter: &str) -> bool {
    let Some((pattern, kind)) = parameter.split_once(": ") else { return false };
    let kind = kind.trim_start_matches('&').trim_start_matches("mut ").trim_start();
    let kind = match kind.strip_prefix('\'') {
        Some(rest) => rest.split_once(' ').map_or("", |(_, kind)| kind),
        None => kind,
    };
    // `()` is no tuple of arguments.
    let is_bound = kind.starts_with("(dyn ") || kind.starts_with("(impl ");
    pattern.starts_with('(') || (kind.starts_with('(') && kind != "()" && !is_bound)
}

#[test]
fn parameter_lists_hold_no_tuples_and_at_most_five_parameters() {
    let mut found = Vec::new();
    for Signature { place, name, parameters } in signatures() {
        let tuples: Vec<_> = parameters.iter().filter(|parameter| is_tuple(parameter)).collect();
        let count = parameters.iter().filter(|parameter| !parameter.ends_with("self")).count();
        if !tuples.is_empty() {
            found.push(format!("{place}: `{name}` takes the tuples {tuples:?}"));
        }
        if count > PARAMETERS_MAX {
            found.push(format!("{place}: `{name}` takes {count} parameters"));
        }
    }
    assert!(found.is_empty(), "{} places:\n{}", found.len(), found.join("\n"));
}

#[test]
fn functions_have_standard_names() {
    let found: Vec<_> = signatures()
        .into_iter()
        .filter(|signature| BANNED_FUNCTION_NAMES.contains(&signature.name.as_str()))
        .map(|Signature { place, name, .. }| format!("{place}: `{name}`"))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

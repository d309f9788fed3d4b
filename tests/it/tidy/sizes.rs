//! Sizes: files that can be read in one sitting, functions that fit on a screen.

use super::{is_test_file, lines_without_tests, source_files};

/// Lines of a source file, its tests not counted.
const LINES_MAX: usize = 500;
/// Tables of data, which are read by looking up an entry.
const LINE_LIMIT_EXEMPT: &[&str] = &["src/sandbox/faults/fault_kinds.rs"];
/// Lines of the longest function, of nine functions in ten, and of every other one.
const FUNCTION_LINES_MAX: usize = 90;
const FUNCTION_LINES_NINTH_DECILE: usize = 40;
const FUNCTION_LINES_MEDIAN: usize = 10;

#[test]
fn files_can_be_read_in_one_sitting() {
    for (path, text) in source_files() {
        let name = path.display().to_string();
        if is_test_file(&path) || LINE_LIMIT_EXEMPT.contains(&name.as_str()) {
            continue;
        }
        let lines = lines_without_tests(&text).count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines");
    }
}

/// Returns whether `line` begins the definition of a function.
fn begins_function(line: &str) -> bool {
    let Some((before, _)) = line.split_once("fn ") else { return false };
    before.split_whitespace().all(|word| {
        word.starts_with("pub") || word.ends_with(')') || matches!(word, "async" | "const")
    })
}

/// Returns the length of every function with a body, from its first line to its closing brace.
fn function_lengths(lines: &[&str]) -> Vec<usize> {
    let mut lengths = Vec::new();
    for (start, line) in lines.iter().enumerate().filter(|(_, line)| begins_function(line)) {
        if line.ends_with('}') {
            lengths.push(1);
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let closing = format!("{}}}", " ".repeat(indent));
        let rest = &lines[start..];
        let has_body =
            rest.iter().take_while(|line| !line.ends_with(';')).any(|l| l.ends_with('{'));
        let end = rest.iter().position(|line| *line == closing);
        lengths.extend(end.filter(|_| has_body).map(|end| end + 1));
    }
    lengths
}

#[test]
fn functions_fit_on_a_screen() {
    let mut lengths = Vec::new();
    for (path, text) in source_files() {
        if is_test_file(&path) {
            continue;
        }
        let lines: Vec<&str> = lines_without_tests(&text).collect();
        let of_file = function_lengths(&lines);
        let longest = of_file.iter().max().copied().unwrap_or_default();
        assert!(longest <= FUNCTION_LINES_MAX, "{}: {longest} lines", path.display());
        lengths.extend(of_file);
    }
    lengths.sort_unstable();
    let (median, ninth_decile) = (lengths[lengths.len() / 2], lengths[lengths.len() * 9 / 10]);
    assert!(median <= FUNCTION_LINES_MEDIAN, "median {median}");
    assert!(ninth_decile <= FUNCTION_LINES_NINTH_DECILE, "ninth decile {ninth_decile}");
}

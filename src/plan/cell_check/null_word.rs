//! Words that databases, data frames and scripts write for an empty value.
//!
//! Only a whole cell counts. `Nan` and `Nil` are names, `none` begins sentences.

/// Words that count in this spelling only.
const EXACT_WORDS: &[&str] = &[
    "nan",
    "NaN",
    "NAN",
    "-nan",
    "-NaN",
    "+nan",
    "nil",
    "NIL",
    "None",
    "none",
    "NONE",
    "NoneType",
    "undefined",
    "UNDEFINED",
    "NA",
    "NaT",
    "<NA>",
    "\\N",
    "\\\\N",
    "\\0",
    "[]",
    "{}",
    "\"\"",
    "''",
    "()",
    "inf",
    "-inf",
    "Inf",
    "-Inf",
    "Infinity",
    "-Infinity",
    "1.#QNAN",
    "1.#IND",
    "-1.#IND",
    "1.#INF",
    "-1.#INF",
    "1.#SNAN",
];
/// Words that count in any case.
const WORDS: &[&str] = &[
    "null",
    "(null)",
    "<null>",
    "[null]",
    "{null}",
    "#null",
    "dbnull",
    "system.dbnull",
    "db.null",
    "json null",
    "jsonnull",
    "null value",
    "nullptr",
    "n/a",
    "n.a.",
    "n/a.",
    "n.a",
    "n. a.",
    "(n/a)",
    "<n/a>",
    "[n/a]",
    "<nil>",
    "(nil)",
    "<none>",
    "(none)",
    "[none]",
    "<undefined>",
    "(undefined)",
    "[undefined]",
    "<empty>",
    "(empty)",
    "[empty]",
    "(blank)",
    "[blank]",
    "<blank>",
    "(leer)",
    "(vide)",
    "(vacío)",
    "(vuoto)",
    "[object object]",
    "[object undefined]",
    "[object null]",
    "[object array]",
    "missing value",
    "#missing",
    "<missing>",
    "%!s(<nil>)",
    "%!v(<nil>)",
    "%!d(<nil>)",
    "system.object",
    "java.lang.object",
    "dtype: object",
    "not available#",
    "string.empty",
    "<unset>",
    "(unset)",
    "no value!",
];

/// Returns the cell if it is such a word, or a list of one such word.
pub(super) fn find_null_word(cell: &str) -> Option<String> {
    let is_null = is_null_word(cell)
        || cell.contains([',', ';', '|', ' '])
            && cell.split([',', ';', '|', ' ']).filter(|part| !part.is_empty()).all(is_null_word);
    is_null.then(|| cell.to_owned())
}

/// Longer cells, such as scripts, are not compared with the words above.
const WORD_BYTES_MAX: usize = 64;

fn is_null_word(word: &str) -> bool {
    word.len() <= WORD_BYTES_MAX
        && (EXACT_WORDS.contains(&word) || WORDS.contains(&word.to_lowercase().as_str()))
}

//! The language of all scripts, where no column names it.
//!
//! The template has a language of its own for this case. It is a guess, and a question: a script that is
//! spoken in the wrong language is paid for, once per video.

use std::collections::BTreeMap;

use super::answers::{QuestionSubject, SetupQuestion};
use super::language_heading::{find_language, is_language_code};
use super::sheet_columns::SheetColumns;
use crate::template::SceneTemplate;

/// The name of the language in a template.
pub(super) const LANGUAGE_NAME: &str = "language";

/// Returns the language that a template assumes, as in `{{default language "en"}}`; `None` if it assumes
/// none.
pub(super) fn template_language(template: &SceneTemplate) -> Option<String> {
    let uses_language = template.optional_columns().iter().any(|name| name == LANGUAGE_NAME);
    let (_, after) = template.source().split_once("language \"").filter(|_| uses_language)?;
    let (language, _) = after.split_once('"')?;
    is_language_code(language).then(|| language.to_owned())
}

/// Asks for the language of all scripts.
pub(super) fn language_question(guess: &str) -> SetupQuestion {
    SetupQuestion {
        subject: QuestionSubject::Value(LANGUAGE_NAME.to_owned()),
        text: "In which language are the scripts? The sheet has no column for it; a code such as en, de or ko"
            .to_owned(),
        choices: Vec::new(),
        samples: Vec::new(),
        guess: Some(guess.to_owned()),
        is_optional: false,
    }
}

/// Returns the code for what the user wrote: a code, or the name of a language.
///
/// # Errors
/// It is neither.
pub(super) fn parse_language(given: &str) -> Result<String, String> {
    if is_language_code(given) {
        return Ok(given.to_owned());
    }
    let code = find_language(&given.to_lowercase()).map(str::to_owned);
    code.ok_or_else(|| format!("`{given}` is no code of a language, such as en, de or ko"))
}

/// Returns the remark that a language is not written as a code.
pub(super) fn language_remark(
    columns: &SheetColumns,
    used: &BTreeMap<String, String>,
) -> Option<String> {
    let heading = used.get(LANGUAGE_NAME)?;
    let column = columns.columns.iter().find(|column| column.heading == *heading)?;
    let name = column.values.keys().find(|cell| !is_language_code(cell))?;
    Some(format!("`{heading}` has `{name}`: AI Studios expects codes, such as `en` or `ko`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_answered_with_its_code_or_its_name() {
        for (given, code) in [("de", "de"), ("pt-BR", "pt-BR"), ("German", "de"), ("한국어", "ko")]
        {
            assert_eq!(parse_language(given).as_deref(), Ok(code));
        }
        assert!(parse_language("yes").unwrap_err().contains("no code of a language"));
    }
}

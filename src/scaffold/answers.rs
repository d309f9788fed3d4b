//! What the user has decided about a new batch, and what is still asked.
//!
//! A decision takes precedence over a guess. A question names the option that answers it, so that the
//! same questions serve a terminal, a script and a form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::default_language::{LANGUAGE_NAME, parse_language};
use crate::text::shell_quote;

/// The decisions of the user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SetupAnswers {
    /// The row of the headings, as the spreadsheet counts.
    pub header_row: Option<u64>,
    /// The columns that identify a row, by heading.
    pub key: Option<Vec<String>>,
    /// The heading for a name in the template; an empty one for no column.
    pub columns: BTreeMap<String, String>,
    /// The text for a name in the template, the same in all rows.
    pub values: BTreeMap<String, String>,
    /// What leaves rows out.
    pub skip: Option<SkipAnswer>,
}

/// What leaves rows out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipAnswer {
    /// Nothing does.
    Nothing,
    /// These cells of a column; none: the words of a checkbox.
    Cells {
        /// The heading of the column.
        column: String,
        /// The cells.
        values: Vec<String>,
    },
}

/// What a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuestionSubject {
    /// The row of the headings.
    HeaderRow,
    /// The column that identifies a row.
    Key,
    /// The column for a name in the template.
    Column(String),
    /// The text for a name in the template, the same in all rows.
    Value(String),
    /// The cells of this column that leave a row out.
    Skip(String),
}

/// A question to the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetupQuestion {
    /// What it is about.
    pub subject: QuestionSubject,
    /// The question.
    pub text: String,
    /// The possible answers; empty: any text.
    pub choices: Vec<String>,
    /// A cell below each heading among the choices; empty if they are no headings.
    pub samples: Vec<String>,
    /// The answer that is assumed; `None` if none is better than another.
    pub guess: Option<String>,
    /// Whether it may stay unanswered.
    pub is_optional: bool,
}

impl SetupQuestion {
    /// Returns the option of the command line that answers it.
    pub fn option(&self) -> String {
        let guess = self.guess.as_deref().unwrap_or("COLUMN");
        match &self.subject {
            QuestionSubject::HeaderRow => format!("--header-row {guess}"),
            QuestionSubject::Key => format!("--key {}", shell_quote(guess)),
            QuestionSubject::Column(name) => {
                format!("--column {}", shell_quote(&format!("{name}={guess}")))
            }
            QuestionSubject::Value(name) => {
                let text = self.guess.as_deref().unwrap_or("TEXT");
                format!("--set {}", shell_quote(&format!("{name}={text}")))
            }
            QuestionSubject::Skip(column) => {
                let cells = guess.split(SEPARATOR).map(|cell| format!("{column}={}", cell.trim()));
                let options = cells.map(|pair| format!("--skip {}", shell_quote(&pair)));
                format!("{}, or --no-skip", options.collect::<Vec<_>>().join(" "))
            }
        }
    }
}

/// Between the cells in an answer, and between the columns of a key.
const SEPARATOR: char = ',';

impl SetupAnswers {
    /// Records the answer to a question.
    ///
    /// # Errors
    /// The answer is none of the choices.
    pub fn answer(&mut self, question: &SetupQuestion, text: &str) -> Result<(), String> {
        let text = text.trim();
        match &question.subject {
            QuestionSubject::HeaderRow => {
                let row = text.parse().map_err(|_| "write the number of a row".to_owned())?;
                self.header_row = Some(row);
            }
            QuestionSubject::Key => {
                let columns = split_list(text).into_iter().map(|one| choose(question, &one));
                self.key = Some(columns.collect::<Result<_, _>>()?);
            }
            QuestionSubject::Column(name) => {
                let is_none = text.is_empty() && question.is_optional;
                let heading = if is_none { String::new() } else { choose(question, text)? };
                self.columns.insert(name.clone(), heading);
            }
            QuestionSubject::Value(name) if name == LANGUAGE_NAME => {
                self.values.insert(name.clone(), parse_language(text)?);
            }
            QuestionSubject::Value(name) => {
                self.values.insert(name.clone(), text.to_owned());
            }
            QuestionSubject::Skip(column) => {
                let values = split_list(text).into_iter().map(|one| choose(question, &one));
                let values: Vec<String> = values.collect::<Result<_, _>>()?;
                self.skip = Some(match values.is_empty() {
                    true => SkipAnswer::Nothing,
                    false => SkipAnswer::Cells { column: column.clone(), values },
                });
            }
        }
        Ok(())
    }
}

fn split_list(text: &str) -> Vec<String> {
    let parts = text.split(SEPARATOR).map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// Returns the choice that an answer names, by its text or its number.
fn choose(question: &SetupQuestion, text: &str) -> Result<String, String> {
    let choices = &question.choices;
    let by_text = choices.iter().find(|choice| choice.to_lowercase() == text.to_lowercase());
    let by_number = || choices.get(text.parse::<usize>().ok()?.checked_sub(1)?);
    let found = by_text.or_else(by_number).cloned();
    found.ok_or_else(|| format!("`{text}` is none of: {}", choices.join(", ")))
}

//! Derives a batch from a sheet and a template: key, columns, languages, skipped rows, file names.
//!
//! Pure: it reads no files and prints nothing; what it is not sure of is a question. Invariant: the same
//! sheet, template and answers give the same proposal.

use std::collections::{BTreeMap, BTreeSet};

use super::answers::{QuestionSubject, SetupAnswers, SetupQuestion, SkipAnswer};
use super::batch_draft::BatchDraft;
use super::column_choice::{ColumnChoice, choose_script};
use super::column_role::{CERTAIN_RANK, ColumnRole, MARK_ROLES, role_of_heading};
use super::default_language::{self, LANGUAGE_NAME};
use super::heading_row::find_heading_row;
use super::heading_unit::{HeadingUnit, names_currency};
use super::script_languages::find_script_languages;
use super::sheet_columns::{ColumnProfile, SheetColumns};
use super::skip_values::guess_skip;
use crate::batch::SkipSetting;
use crate::sheet::{SheetPreview, numbered_columns};
use crate::template::SceneTemplate;

/// A proposal for a batch.
#[derive(Clone, Debug)]
pub struct SetupProposal {
    /// The settings, with the guesses where a question is open.
    pub draft: BatchDraft,
    /// What the user should decide.
    pub questions: Vec<SetupQuestion>,
    /// The headings of the sheet.
    pub headings: Vec<String>,
    /// The row of the headings.
    pub heading_row: u64,
    /// Rows below the headings.
    pub rows: usize,
    /// The heading for each name of the template that has one.
    pub used_columns: BTreeMap<String, String>,
    /// What the user should know.
    pub remarks: Vec<String>,
}

/// Derives a batch from the rows of a sheet; `None` if it has no rows.
pub fn propose_batch(
    sheet: &SheetPreview,
    template: &SceneTemplate,
    answers: &SetupAnswers,
) -> Option<SetupProposal> {
    let guess = find_heading_row(&sheet.rows)?;
    let answered = answers.header_row;
    let index = match answered {
        Some(row) => sheet.rows.iter().position(|each| each.number == row)?,
        None => guess.index,
    };
    let columns = SheetColumns::new(&sheet.rows, index);
    let mut setup = SheetSetup {
        columns: &columns,
        template,
        answers,
        draft: BatchDraft::default(),
        questions: Vec::new(),
        used: BTreeMap::new(),
    };
    let heading_row = sheet.rows[index].number;
    if answered.is_none() && !guess.is_certain {
        setup.ask_for_heading_row(heading_row);
    }
    setup.draft.header_row = (index > 0).then_some(heading_row);
    setup.draft.worksheet = sheet
        .worksheet
        .as_ref()
        .filter(|read| !read.others.is_empty())
        .map(|read| read.name.clone());
    setup.choose_languages();
    setup.choose_key();
    setup.choose_columns();
    setup.choose_skip();
    setup.name_videos();
    setup.list_matching_columns();
    setup.list_unused_columns();
    let language = default_language::language_remark(&columns, &setup.used);
    let remarks = setup.key_remark().into_iter().chain(language).collect();
    Some(SetupProposal {
        draft: setup.draft,
        questions: setup.questions,
        heading_row,
        rows: columns.row_count(),
        used_columns: setup.used,
        remarks,
        headings: columns.headings.clone(),
    })
}

/// Returns the worksheet that leaves the fewest questions without a guess; of equal ones the first.
pub fn choose_worksheet(
    worksheets: Vec<SheetPreview>,
    template: &SceneTemplate,
    answers: &SetupAnswers,
) -> Option<SheetPreview> {
    let is_open = |question: &&SetupQuestion| !question.is_optional && question.guess.is_none();
    let open_questions = |sheet: &SheetPreview| {
        let proposal = propose_batch(sheet, template, answers);
        proposal.map_or(usize::MAX, |found| found.questions.iter().filter(is_open).count())
    };
    worksheets.into_iter().min_by_key(open_questions)
}

/// A batch that is being derived.
pub(super) struct SheetSetup<'s> {
    pub(super) columns: &'s SheetColumns,
    pub(super) template: &'s SceneTemplate,
    pub(super) answers: &'s SetupAnswers,
    pub(super) draft: BatchDraft,
    pub(super) questions: Vec<SetupQuestion>,
    /// Heading by template name.
    used: BTreeMap<String, String>,
}

impl<'s> SheetSetup<'s> {
    fn ask_for_heading_row(&mut self, guess: u64) {
        self.questions.push(SetupQuestion {
            subject: QuestionSubject::HeaderRow,
            text: "Which row has the headings?".to_owned(),
            choices: Vec::new(),
            samples: Vec::new(),
            guess: Some(guess.to_string()),
            is_optional: false,
        });
    }

    /// Makes one variant per language if several columns have the script.
    fn choose_languages(&mut self) {
        let is_script = |name: &&String| role_of_name(name) == Some(ColumnRole::Script);
        let Some(script) = self.template_names().find(is_script).cloned() else { return };
        if self.answers.columns.contains_key(&script) {
            return;
        }
        let Some(languages) = find_script_languages(self.columns, &script) else { return };
        let names: Vec<String> = self.template_names().cloned().collect();
        self.draft.variants = languages.variants(self.columns, &names, &script);
        // A variant has its columns; they are not asked for again.
        if let Some(variant) = self.draft.variants.first() {
            self.used.extend(variant.columns.clone());
            self.used.extend(variant.values.keys().map(|name| (name.clone(), String::new())));
        }
    }

    fn template_names(&self) -> impl Iterator<Item = &'s String> + use<'s> {
        let template = self.template;
        template.required_columns().iter().chain(template.optional_columns())
    }

    /// Returns the heading as the sheet writes it; one that it does not have stays as it is.
    pub(super) fn heading_of(&self, name: &str) -> String {
        self.columns.find(name).map_or(name, |column| &column.heading).to_owned()
    }

    pub(super) fn sample_cells(&self) -> Vec<String> {
        let named = self.columns.columns.iter().filter(|column| !column.heading.is_empty());
        named.map(|column| column.sample.clone()).collect()
    }

    pub(super) fn named_headings(&self) -> Vec<String> {
        let named = self.columns.headings.iter().filter(|heading| !heading.is_empty());
        named.cloned().collect()
    }

    /// Chooses the column of each name in the template.
    fn choose_columns(&mut self) {
        let required: BTreeSet<&String> = self.template.required_columns().iter().collect();
        for name in self.template_names() {
            if self.used.contains_key(name) || name == VARIANT_NAME || name == ROWS_NAME {
                continue;
            }
            if self.is_answered(name) || self.is_numbered_list(name) {
                continue;
            }
            match self.find_column(name) {
                ColumnChoice::Certain(column) => self.use_column(name, &column.heading),
                ColumnChoice::Guess(column) if required.contains(name) => {
                    self.use_column(name, &column.heading);
                    self.ask_for_column(name, Some(column.heading.clone()));
                }
                ColumnChoice::None if required.contains(name) => self.ask_for_column(name, None),
                ColumnChoice::Guess(_) | ColumnChoice::None => self.ask_for_value(name),
            }
        }
    }

    /// Applies the user's own answer about a name.
    fn is_answered(&mut self, name: &str) -> bool {
        let answers = self.answers;
        if let Some(heading) = answers.columns.get(name) {
            if !heading.is_empty() {
                let heading = self.heading_of(heading);
                self.use_column(name, &heading);
            }
            return true;
        }
        let Some(text) = answers.values.get(name) else { return false };
        if !text.is_empty() {
            self.draft.defaults.insert(name.to_owned(), text.clone());
        }
        // The column, if there is one, has the texts of the rows; the default fills its gaps.
        text.is_empty() || self.columns.find(name).is_none()
    }

    fn is_numbered_list(&self, name: &String) -> bool {
        self.template.list_names().any(|list| list == name)
            && !numbered_columns(name, &self.columns.headings).is_empty()
    }

    fn find_column(&self, name: &str) -> ColumnChoice<'s> {
        if let Some(column) = self.columns.find(name) {
            return ColumnChoice::Certain(column);
        }
        let Some(role) = role_of_name(name) else { return ColumnChoice::None };
        let mut candidates = self.columns.with_role(role);
        candidates.retain(|column| !self.is_used_for_another(&column.heading, role));
        if role == ColumnRole::Key
            && let Some(column) = self.find_key_column(&candidates)
        {
            return ColumnChoice::Certain(column);
        }
        if role == ColumnRole::Script {
            return choose_script(&candidates).unwrap_or_else(|| self.guess_by_content(role));
        }
        match candidates[..] {
            [first, ..] if first.role.is_some_and(|ranked| ranked.rank < CERTAIN_RANK) => {
                ColumnChoice::Certain(first)
            }
            [first, ..] => ColumnChoice::Guess(first),
            [] => self.guess_by_content(role),
        }
    }

    /// Returns whether a column has a name in the template that rules a role out. No guess gives a column
    /// two names, except that a title may be the key as well.
    fn is_used_for_another(&self, heading: &str, role: ColumnRole) -> bool {
        let can_share =
            |name: &str| role_of_name(name).is_some_and(|other| role.can_share_column(other));
        self.used.iter().any(|(name, used)| used == heading && !can_share(name))
    }

    /// Returns the column for a key in the template. A key that is a title or the script is left to that,
    /// if another column looks like a key.
    fn find_key_column(&self, candidates: &[&'s ColumnProfile]) -> Option<&'s ColumnProfile> {
        let key = self.draft.key.first().and_then(|key| self.columns.find(key));
        let key = key.filter(|column| !self.is_used_for_another(&column.heading, ColumnRole::Key));
        let has_role = |role| key.is_some_and(|column| column.has_role(role));
        let is_script = has_role(ColumnRole::Script);
        let gives_way = is_script || has_role(ColumnRole::Headline);
        let other = candidates.first().filter(|other| gives_way && (is_script || other.is_filled));
        other.copied().or(key)
    }

    /// Returns the longest text for a script, and the only column of addresses for a picture.
    fn guess_by_content(&self, role: ColumnRole) -> ColumnChoice<'s> {
        let columns = self.columns.columns.iter();
        let found = match role {
            ColumnRole::Script => {
                columns.filter(|column| column.can_be_script()).max_by_key(|column| column.chars)
            }
            ColumnRole::Picture => columns.clone().find(|column| column.is_address),
            _ => None,
        };
        found.map_or(ColumnChoice::None, ColumnChoice::Guess)
    }

    fn use_column(&mut self, name: &str, heading: &str) {
        let shares = |(other, used): &(&String, &String)| *other != name && *used == heading;
        let other = self.used.iter().find(shares).map(|(other, _)| other.clone());
        self.used.insert(name.to_owned(), heading.to_owned());
        if let Some(other) = other {
            // A column with two names has both from the batch file.
            for name in [other.as_str(), name] {
                self.draft.columns.insert(name.to_owned(), heading.to_owned());
            }
            return;
        }
        // Equivalent spellings need no setting.
        let is_same = self.columns.find(name).is_some_and(|column| column.heading == heading);
        if !is_same {
            self.draft.columns.insert(name.to_owned(), heading.to_owned());
        }
    }

    fn ask_for_column(&mut self, name: &str, guess: Option<String>) {
        self.questions.push(SetupQuestion {
            subject: QuestionSubject::Column(name.to_owned()),
            text: match role_of_name(name) {
                Some(ColumnRole::Script) => {
                    "Which column is the script, the text that is spoken?".to_owned()
                }
                Some(_) | None => format!("Which column has the `{name}` of the template?"),
            },
            choices: self.named_headings(),
            samples: self.sample_cells(),
            guess,
            is_optional: false,
        });
    }

    /// Asks for a text that is usually the same in all rows, and has no column.
    fn ask_for_value(&mut self, name: &str) {
        if name == LANGUAGE_NAME
            && let Some(language) = default_language::template_language(self.template)
        {
            self.questions.push(default_language::language_question(&language));
            self.draft.defaults.insert(name.to_owned(), language);
            return;
        }
        let text = match role_of_name(name) {
            Some(ColumnRole::Logo) => "Web address of a logo for all videos",
            Some(ColumnRole::Background) => {
                "Web address of a background picture for all videos, if not that of the template"
            }
            Some(ColumnRole::Currency) if self.has_prices_without_currency() => {
                if let Some(currency) = self.currency_of_headings() {
                    self.draft.defaults.insert(name.to_owned(), currency);
                    return;
                }
                "Currency of the prices that name none, such as EUR"
            }
            Some(_) | None => return,
        };
        self.questions.push(SetupQuestion {
            subject: QuestionSubject::Value(name.to_owned()),
            text: text.to_owned(),
            choices: Vec::new(),
            samples: Vec::new(),
            guess: None,
            is_optional: true,
        });
    }

    /// Returns whether a price of the sheet is a number alone.
    fn has_prices_without_currency(&self) -> bool {
        let prices = self.used.iter().filter(|(name, _)| is_price(name));
        let mut columns = prices.filter_map(|(_, heading)| self.columns.find(heading));
        columns.any(|column| column.values.keys().any(|cell| !names_currency(cell)))
    }

    /// Returns the currency that the heading of a price names, as in `Price (EUR)`.
    fn currency_of_headings(&self) -> Option<String> {
        let mut prices = self.used.iter().filter(|(name, _)| is_price(name));
        prices.find_map(|(_, heading)| HeadingUnit::parse(heading).currency).map(str::to_owned)
    }

    fn choose_skip(&mut self) {
        match &self.answers.skip {
            Some(SkipAnswer::Nothing) => return,
            Some(SkipAnswer::Cells { column, values }) => {
                let (column, values) = (self.heading_of(column), values.clone());
                self.draft.skip = Some(SkipSetting { column, values });
                return;
            }
            None => {}
        }
        let columns = MARK_ROLES.into_iter().flat_map(|role| self.columns.with_role(role));
        let found = columns.filter_map(|column| Some((column, guess_skip(column)?))).next();
        let Some((column, guess)) = found else { return };
        let rows = |values: &[String]| -> usize {
            values.iter().filter_map(|value| column.values.get(value)).sum()
        };
        let mut values = guess.values.clone();
        values.extend(guess.unclear.iter().cloned());
        // A status that every row has says nothing about a row.
        let leaves_nothing = rows(&values) == self.columns.row_count();
        if leaves_nothing {
            values.clone_from(&guess.values);
        }
        let leaves_nothing = leaves_nothing && rows(&values) == self.columns.row_count();
        let setting = SkipSetting { column: column.heading.clone(), values: values.clone() };
        let is_used = !leaves_nothing && (guess.is_checkbox || !values.is_empty());
        self.draft.skip = is_used.then_some(setting);
        if leaves_nothing || !guess.unclear.is_empty() {
            self.ask_for_skip(column, values);
        }
    }

    fn ask_for_skip(&mut self, column: &ColumnProfile, values: Vec<String>) {
        let count = |(value, rows): (&String, &usize)| format!("{value} ({rows})");
        let counts: Vec<String> = column.values.iter().map(count).collect();
        self.questions.push(SetupQuestion {
            subject: QuestionSubject::Skip(column.heading.clone()),
            text: format!(
                "Which values of `{}` mean that a row gets no video? Rows with each: {}",
                column.heading,
                counts.join(", ")
            ),
            choices: column.values.keys().cloned().collect(),
            samples: Vec::new(),
            guess: Some(values.join(", ")),
            is_optional: false,
        });
    }

    /// Names the videos after the key, and the language if a row has several.
    fn name_videos(&mut self) {
        let name_of = |heading: &String| {
            let mut names = self.used.iter().filter(|(_, used)| *used == heading);
            let is_key =
                |(name, _): &(&String, &String)| role_of_name(name) == Some(ColumnRole::Key);
            let named = names.clone().find(is_key).or_else(|| names.next());
            tag(named.map_or(heading.as_str(), |(name, _)| name))
        };
        let mut parts: Vec<String> = self.draft.key.iter().map(name_of).collect();
        if !self.draft.variants.is_empty() {
            parts.push(tag(VARIANT_NAME));
        }
        if !self.draft.key.is_empty() {
            self.draft.video_file = format!("{}.mp4", parts.join("-"));
        }
    }

    /// Lists the columns that are used by their own names. Those of the languages are in the variants.
    fn list_matching_columns(&mut self) {
        let draft = &self.draft;
        let has_setting = |name: &String| {
            let mut variants = draft.variants.iter();
            draft.columns.contains_key(name)
                || variants.any(|variant| variant.columns.contains_key(name))
        };
        let used = self.used.iter().filter(|(_, heading)| !heading.is_empty());
        let matching = used.filter(|(name, _)| !has_setting(name));
        let matching = matching.map(|(name, heading)| (name.clone(), heading.clone())).collect();
        self.draft.matching_columns = matching;
    }

    fn list_unused_columns(&mut self) {
        let variants = self.draft.variants.iter().flat_map(|variant| variant.columns.values());
        let skip = self.draft.skip.iter().map(|skip| &skip.column);
        let used: BTreeSet<&String> =
            self.used.values().chain(variants).chain(skip).chain(&self.draft.key).collect();
        let unused = self.named_headings().into_iter().filter(|heading| !used.contains(heading));
        self.draft.unused_columns = unused.collect();
    }
}

/// The name of a variant in a template.
const VARIANT_NAME: &str = "variant";
/// The name of the rows of a group in a template.
const ROWS_NAME: &str = "rows";

fn role_of_name(name: &str) -> Option<ColumnRole> {
    role_of_heading(name).map(|found| found.role)
}

fn is_price(name: &str) -> bool {
    role_of_name(name) == Some(ColumnRole::Price)
}

/// Returns a tag for a column; a name with other characters is in brackets.
fn tag(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || c == '_';
    match name.chars().all(is_plain) {
        true => format!("{{{{{name}}}}}"),
        false => format!("{{{{[{name}]}}}}"),
    }
}

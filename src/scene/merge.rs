//! Rows to payloads: fills the fields, renders, and has the result checked.
//!
//! A merger is one thread's scratch. Between rows it keeps the fields and overwrites their text, so
//! that a row costs the rendering and one pass over the result, and little else.
//!
//! Cells are data: what a cell contains is never read as template.

use std::collections::{BTreeMap, HashMap};

use handlebars::Context;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::check::{self, Finding};
use super::engine::Engine;
use super::fault;
use super::file_name::FileName;
use super::payload::{self, Hashing, Payload};
use super::problem::{At, Place, Problem};
use super::template::{Made, Parts, ROWS, Template, fold};
use super::trace::{Marked, Traced};
use crate::request::{Kind, PROJECT};

/// How cells become fields.
///
/// It is stored with every job, so that a resumed run makes the very same payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Columns {
    /// The template's name for each of the sheet's columns, in the sheet's order.
    pub names: Vec<String>,
    /// What an empty cell, or a column that the sheet does not have, is filled with.
    pub defaults: BTreeMap<String, String>,
    /// Whether one video is made of several rows, which the template then sees as `rows`.
    pub grouped: bool,
    /// Lists that are made of several columns, such as `script` of `script_1` and `script_2`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lists: BTreeMap<String, Vec<usize>>,
    /// Names that take their text from another column than the one of that name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub assigned: BTreeMap<String, usize>,
    /// Names whose text is the same in every row.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
}

impl Columns {
    /// Returns every name that has a value, the sheet's columns first.
    fn known(&self) -> Vec<&str> {
        let added = self.defaults.keys().filter(|name| !self.names.contains(name));
        let special = self.lists.keys().chain(self.assigned.keys()).chain(self.values.keys());
        self.names.iter().chain(added).chain(special).map(String::as_str).collect()
    }

    /// Returns the text of a name, as the template sees it; nothing for a name without one.
    pub fn text<'v>(&'v self, name: &str, row: &'v [String]) -> Option<&'v str> {
        if let Some(value) = self.values.get(name) {
            return Some(value);
        }
        let column = self.place(name)?;
        Some(self.or_default(name, row.get(column).map_or("", String::as_str)))
    }

    /// Returns the column that a name's text comes from.
    pub fn place(&self, name: &str) -> Option<usize> {
        if self.values.contains_key(name) {
            return None;
        }
        let column = self.assigned.get(name).copied();
        column.or_else(|| self.names.iter().position(|known| known == name))
    }

    /// Tells whether a name's text may be another one in another row.
    pub(super) fn varies(&self, name: &str) -> bool {
        !self.values.contains_key(name)
            && (self.names.iter().any(|known| known == name)
                || self.lists.contains_key(name)
                || self.assigned.contains_key(name))
    }

    fn or_default<'v>(&'v self, name: &str, cell: &'v str) -> &'v str {
        if !cell.trim().is_empty() {
            return cell;
        }
        self.defaults.get(name).map_or(cell, String::as_str)
    }

    /// Returns the texts of a list; empty cells behind the last that is filled are no part of it.
    fn items(&self, places: &[usize], row: &[String]) -> Value {
        let mut texts: Vec<&str> = places.iter().map(|place| self.value(*place, row)).collect();
        let filled = texts.iter().rposition(|text| !text.trim().is_empty());
        texts.truncate(filled.map_or(0, |last| last + 1));
        texts.into_iter().map(Value::from).collect()
    }

    /// Returns what a cell stands for: white space alone is empty, and empty takes the default.
    pub fn value<'v>(&'v self, index: usize, row: &'v [String]) -> &'v str {
        self.or_default(&self.names[index], row.get(index).map_or("", String::as_str))
    }

    fn fill(&self, fields: &mut Map<String, Value>, row: &[String]) {
        for (index, name) in self.names.iter().enumerate() {
            let text = self.value(index, row);
            match fields.get_mut(name) {
                Some(Value::String(field)) => {
                    field.clear();
                    field.push_str(text);
                }
                _ => {
                    fields.insert(name.clone(), Value::String(text.to_owned()));
                }
            }
        }
        for (name, places) in &self.lists {
            fields.insert(name.clone(), self.items(places, row));
        }
        for name in self.assigned.keys().chain(self.values.keys()) {
            let text = self.text(name, row).unwrap_or_default();
            fields.insert(name.clone(), Value::from(text));
        }
    }

    /// Writes a row, or the rows of a group, over what [`Self::context`] began.
    fn fill_all(&self, context: &mut Context, rows: &[Vec<String>]) {
        let first = rows.first().map_or(&[][..], Vec::as_slice);
        let Some(fields) = context.data_mut().as_object_mut() else { return };
        self.fill(fields, first);
        if !self.grouped {
            return;
        }
        if !matches!(fields.get(ROWS), Some(Value::Array(_))) {
            fields.insert(ROWS.to_owned(), Value::Array(Vec::new()));
        }
        let Some(Value::Array(items)) = fields.get_mut(ROWS) else { return };
        items.resize_with(rows.len(), || Value::Object(self.blank()));
        for (item, row) in items.iter_mut().zip(rows) {
            if let Value::Object(fields) = item {
                self.fill(fields, row);
            }
        }
    }

    /// Fields that hold the defaults of columns that the sheet may not have.
    fn blank(&self) -> Map<String, Value> {
        let default = |(name, text): (&String, &String)| (name.clone(), text.clone().into());
        self.defaults.iter().map(default).collect()
    }

    /// Returns what a template is rendered from, before there is a row.
    fn context(&self) -> Context {
        let mut context = Context::null();
        *context.data_mut() = Value::Object(self.blank());
        context
    }
}

/// One thread's scratch for merging rows into a template.
pub struct Merger<'t> {
    template: &'t Template,
    kind: &'static Kind,
    columns: Columns,
    /// What payloads are made of: the template's compact form, folded for these columns.
    parts: Parts,
    context: Context,
    /// Room for the next payload: what the largest so far needed.
    capacity: usize,
    /// Room for what is read of the next payload.
    read: String,
    /// What is wrong for every row alike.
    standing: Vec<Problem>,
    /// Doubts whose place is known, by pointer and message: a row like the others is not merged
    /// twice for them.
    doubted: HashMap<(String, String), Place>,
}

/// Doubts whose place is looked for. Beyond, they are told by their pointer alone.
const DOUBTS_PLACED: usize = 200;

impl<'t> Merger<'t> {
    pub(super) fn new(template: &'t Template, columns: &Columns) -> Self {
        let mut context = columns.context();
        columns.fill_all(&mut context, &[]);
        Self {
            template,
            kind: &PROJECT,
            columns: columns.clone(),
            parts: Parts::of_json(&fold(template.compact(), columns, &context)),
            context,
            capacity: 0,
            read: String::new(),
            standing: standing(template, columns),
            doubted: HashMap::new(),
        }
    }

    /// Checks payloads by the rules of this kind of request; without it, of a project.
    pub fn of_kind(self, kind: &'static Kind) -> Self {
        Self { kind, ..self }
    }

    /// Merges one row, or the rows of one group, into a checked payload.
    ///
    /// A column that the template needs and the sheet does not have is a problem of every row.
    ///
    /// # Errors
    ///
    /// All problems of this payload: every missing column; else the first tag that cannot be
    /// filled in; else everything that is wrong with the merged JSON.
    pub fn merge(&mut self, rows: &[Vec<String>]) -> Result<Payload, Vec<Problem>> {
        if !self.standing.is_empty() {
            return Err(self.standing.clone());
        }
        self.fill(rows);
        let made = self.make().map_err(|problem| vec![problem])?;
        self.capacity = self.capacity.max(made.text.len());
        let payload = Payload::read(made.text, &made.read, self.kind);
        self.read = made.read;
        payload.map_err(|text| self.explain(&text))
    }

    fn make(&mut self) -> Result<Made, Problem> {
        let mut read = std::mem::take(&mut self.read);
        read.clear();
        let mut made = Made { text: String::with_capacity(self.capacity), read };
        if self.parts.make(Engine::Json, &self.context, &mut made).is_err() {
            let text = self.render(self.template.compact())?;
            made = Made { read: text.clone(), text };
        }
        Ok(made)
    }

    /// Returns what is doubtful about the payload that was merged last.
    pub fn doubts(&mut self, payload: &Payload) -> Vec<Problem> {
        let mut told = Vec::new();
        let mut traced = None;
        for finding in payload.doubts() {
            let known = (finding.pointer.clone(), finding.message.clone());
            if let Some(place) = self.doubted.get(&known) {
                let (message, help) = (finding.message.clone(), finding.help.clone());
                told.push(Problem { place: place.clone(), message, help });
                continue;
            }
            let may_look = self.doubted.len() < DOUBTS_PLACED;
            if may_look && traced.is_none() {
                traced = self.traced().ok();
            }
            let traced = traced.as_ref().filter(|_| may_look);
            let text = traced.map_or(payload.text(), Traced::text);
            let problem = self.template.placed(payload::placed(finding, text, traced));
            if may_look {
                self.doubted.insert(known, problem.place.clone());
            }
            told.push(problem);
        }
        told
    }

    /// Returns the file name of the video whose payload was merged last, not yet safe for a file
    /// system.
    ///
    /// # Errors
    ///
    /// The first tag that cannot be filled in.
    pub fn file_name(&self, pattern: &FileName) -> Result<String, Problem> {
        pattern.render(&self.context)
    }

    fn traced(&self) -> Result<Traced, Problem> {
        let marked = Marked::of(self.template.readable(), self.template.source());
        Ok(marked.read_off(&self.render(marked.template())?))
    }

    pub(super) fn columns(&self) -> &Columns {
        &self.columns
    }

    /// Merges rows and says what is found in them, without places.
    pub(super) fn judged(&mut self, rows: &[Vec<String>]) -> Result<Vec<Finding>, Problem> {
        self.fill(rows);
        let made = self.make()?;
        let judged = check::judge(&made.text, self.kind);
        self.read = made.read;
        Ok(judged.map(|judged| judged.findings).unwrap_or_default())
    }

    /// Merges the same fields again, slowly, to say where the mistakes come from.
    fn explain(&self, refused: &str) -> Vec<Problem> {
        let traced = match self.traced() {
            Ok(traced) => traced,
            Err(problem) => return vec![problem],
        };
        let problems = payload::problems(traced.text(), self.kind, Some(&traced))
            .or_else(|| payload::problems(refused, self.kind, None))
            .expect("the text was refused a moment ago");
        problems.into_iter().map(|problem| self.template.placed(problem)).collect()
    }

    /// Returns the merged text as the template lays it out, unchecked. The lines that problems
    /// speak of are lines of this text; [`Payload::text`] is the same JSON without white space.
    ///
    /// # Errors
    ///
    /// Every missing column; else the first tag that cannot be filled in.
    pub fn readable(&mut self, rows: &[Vec<String>]) -> Result<String, Vec<Problem>> {
        if !self.standing.is_empty() {
            return Err(self.standing.clone());
        }
        self.fill(rows);
        self.render(self.template.readable()).map_err(|problem| vec![problem])
    }

    /// Returns the fields of these rows, as the template would see them. Of a group, the fields
    /// of its first row, and `rows`.
    pub fn fields(&mut self, rows: &[Vec<String>]) -> &Map<String, Value> {
        self.fill(rows);
        self.context.data().as_object().expect("`new` and `fill` leave an object here")
    }

    fn fill(&mut self, rows: &[Vec<String>]) {
        self.columns.fill_all(&mut self.context, rows);
    }

    fn render(&self, compiled: &handlebars::Template) -> Result<String, Problem> {
        Engine::Json
            .render(compiled, &self.context, self.capacity)
            .map_err(|error| self.template.placed(fault::explain(&error, self.columns.known())))
    }
}

/// See [`Template::merge_again`].
pub(super) fn again(
    (template, columns): (&Template, &Columns),
    rows: &[Vec<String>],
    (kind, resolution, hash): (&Kind, Option<&str>, &str),
) -> Option<String> {
    let mut context = columns.context();
    columns.fill_all(&mut context, rows);
    // Its indentation makes a template longer than what it becomes, most times.
    let room = template.source().len();
    let text = Engine::Json.render(template.compact(), &context, room).ok()?;
    let hashing = Hashing::of(hash);
    (payload::video_hash(&text, (kind, resolution), hashing) == hash).then_some(text)
}

/// Finds what no row can mend: columns that are not there, and groups where none are expected.
fn standing(template: &Template, columns: &Columns) -> Vec<Problem> {
    let known = columns.known();
    let names = template.names();
    let mut problems = Vec::new();
    match (names.rows, columns.grouped) {
        (Some(_), true) | (None, false) => {}
        (Some(at), false) => problems.push(
            Problem::in_template(at, "the template makes one video of several rows")
                .with_help("set `group_by` in the batch file to the column that names the video"),
        ),
        // Rows that nobody sees are rows that were lost.
        (None, true) => problems.push(
            Problem::in_template(
                At::START,
                "the batch groups rows, and the template uses only one",
            )
            .with_help("write `{{#each rows}}…{{/each}}`, or remove `group_by`"),
        ),
    }
    if columns.grouped && known.contains(&ROWS) {
        problems.push(Problem {
            place: Place::Column { name: ROWS.to_owned(), origin: None },
            message: "a column has the name that a group's rows have".to_owned(),
            help: Some("rename it, or give it another name under `columns`".to_owned()),
        });
    }
    problems.extend(misused(template, columns));
    for name in names.required.iter().filter(|name| !known.contains(&name.as_str())) {
        let at = names.first_use.get(name).copied().unwrap_or(At::START);
        problems.push(fault::no_column(at, name, known.clone()));
    }
    problems.into_iter().map(|problem| template.placed(problem)).collect()
}

/// Finds lists that are used as text, and texts that are gone through as lists.
fn misused(template: &Template, columns: &Columns) -> Vec<Problem> {
    let names = template.names();
    let mut problems = Vec::new();
    for (name, at) in names.texts.iter().filter(|(name, _)| columns.lists.contains_key(*name)) {
        let count = columns.lists[name].len();
        let message = format!("`{name}` is a list of {count} columns here, and is used as text");
        let help = format!("write `{{{{#each {name}}}}}{{{{this}}}}{{{{/each}}}}`");
        problems.push(Problem::in_template(*at, message).with_help(help));
    }
    for (name, at) in names.lists.iter().filter(|(name, _)| columns.names.contains(name)) {
        let message = format!("`{name}` is a single column, and `each` goes through a list");
        let help = format!(
            "call the columns `{name}_1`, `{name}_2` …, or write \
             `{{{{#each (sentences {name} 300)}}}}` to part a long text"
        );
        problems.push(Problem::in_template(*at, message).with_help(help));
    }
    problems
}

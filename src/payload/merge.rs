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

use crate::payload;
use crate::payload::check;
use crate::payload::check::PayloadFinding;
use crate::payload::{HashAlgorithm, Payload};
use crate::request::{PROJECT, RequestKind};
use crate::template::engine::TemplateEngine;
use crate::template::file_name::FileNamePattern;
use crate::template::problem::{LineColumn, TemplateProblem, TemplateProblemLocation};
use crate::template::render_error;
use crate::template::source_map::{InstrumentedTemplate, SourceMap};
use crate::template::{Made, Parts, ROWS, SceneTemplate, fold};

/// How cells become fields.
///
/// It is stored with every job, so that a resumed run makes the very same payload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnMapping {
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

impl ColumnMapping {
    /// Returns every name that has a value, the sheet's columns first.
    fn known_names(&self) -> Vec<&str> {
        let added = self.defaults.keys().filter(|name| !self.names.contains(name));
        let special = self.lists.keys().chain(self.assigned.keys()).chain(self.values.keys());
        self.names.iter().chain(added).chain(special).map(String::as_str).collect()
    }

    /// Returns the text of a name, as the template sees it; nothing for a name without one.
    pub fn name_text<'v>(&'v self, name: &str, row: &'v [String]) -> Option<&'v str> {
        if let Some(value) = self.values.get(name) {
            return Some(value);
        }
        let column = self.column_index(name)?;
        Some(self.cell_or_default(name, row.get(column).map_or("", String::as_str)))
    }

    /// Returns the column that a name's text comes from.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        if self.values.contains_key(name) {
            return None;
        }
        let column = self.assigned.get(name).copied();
        column.or_else(|| self.names.iter().position(|known| known == name))
    }

    /// Tells whether a name's text may be another one in another row.
    pub(crate) fn is_row_dependent(&self, name: &str) -> bool {
        !self.values.contains_key(name)
            && (self.names.iter().any(|known| known == name)
                || self.lists.contains_key(name)
                || self.assigned.contains_key(name))
    }

    fn cell_or_default<'v>(&'v self, name: &str, cell: &'v str) -> &'v str {
        if !cell.trim().is_empty() {
            return cell;
        }
        self.defaults.get(name).map_or(cell, String::as_str)
    }

    /// Returns the texts of a list; empty cells behind the last that is filled are no part of it.
    fn list_items(&self, places: &[usize], row: &[String]) -> Value {
        let mut texts: Vec<&str> = places.iter().map(|place| self.cell_text(*place, row)).collect();
        let filled = texts.iter().rposition(|text| !text.trim().is_empty());
        texts.truncate(filled.map_or(0, |last| last + 1));
        texts.into_iter().map(Value::from).collect()
    }

    /// Returns what a cell stands for: white space alone is empty, and empty takes the default.
    pub fn cell_text<'v>(&'v self, index: usize, row: &'v [String]) -> &'v str {
        self.cell_or_default(&self.names[index], row.get(index).map_or("", String::as_str))
    }

    fn fill_fields(&self, fields: &mut Map<String, Value>, row: &[String]) {
        for (index, name) in self.names.iter().enumerate() {
            let text = self.cell_text(index, row);
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
            fields.insert(name.clone(), self.list_items(places, row));
        }
        for name in self.assigned.keys().chain(self.values.keys()) {
            let text = self.name_text(name, row).unwrap_or_default();
            fields.insert(name.clone(), Value::from(text));
        }
    }

    /// Writes a row, or the rows of a group, over what [`Self::context`] began.
    fn fill_context(&self, context: &mut Context, rows: &[Vec<String>]) {
        let first = rows.first().map_or(&[][..], Vec::as_slice);
        let Some(fields) = context.data_mut().as_object_mut() else { return };
        self.fill_fields(fields, first);
        if !self.grouped {
            return;
        }
        if !matches!(fields.get(ROWS), Some(Value::Array(_))) {
            fields.insert(ROWS.to_owned(), Value::Array(Vec::new()));
        }
        let Some(Value::Array(items)) = fields.get_mut(ROWS) else { return };
        items.resize_with(rows.len(), || Value::Object(self.default_fields()));
        for (item, row) in items.iter_mut().zip(rows) {
            if let Value::Object(fields) = item {
                self.fill_fields(fields, row);
            }
        }
    }

    /// Fields that hold the defaults of columns that the sheet may not have.
    fn default_fields(&self) -> Map<String, Value> {
        let default = |(name, text): (&String, &String)| (name.clone(), text.clone().into());
        self.defaults.iter().map(default).collect()
    }

    /// Returns what a template is rendered from, before there is a row.
    fn default_context(&self) -> Context {
        let mut context = Context::null();
        *context.data_mut() = Value::Object(self.default_fields());
        context
    }
}

/// One thread's scratch for merging rows into a template.
pub struct PayloadMerger<'t> {
    template: &'t SceneTemplate,
    request_kind: &'static RequestKind,
    columns: ColumnMapping,
    /// What payloads are made of: the template's compact form, folded for these columns.
    parts: Parts,
    context: Context,
    /// Room for the next payload: what the largest so far needed.
    capacity: usize,
    /// Room for what is read of the next payload.
    read: String,
    /// What is wrong for every row alike.
    template_problems: Vec<TemplateProblem>,
    /// Doubts whose place is known, by pointer and message: a row like the others is not merged
    /// twice for them.
    located_warnings: HashMap<(String, String), TemplateProblemLocation>,
}

/// Doubts whose place is looked for. Beyond, they are told by their pointer alone.
const LOCATED_WARNINGS_MAX: usize = 200;

impl<'t> PayloadMerger<'t> {
    pub(crate) fn new(template: &'t SceneTemplate, columns: &ColumnMapping) -> Self {
        let mut context = columns.default_context();
        columns.fill_context(&mut context, &[]);
        Self {
            template,
            request_kind: &PROJECT,
            columns: columns.clone(),
            parts: Parts::of_json(&fold(template.compact(), columns, &context)),
            context,
            capacity: 0,
            read: String::new(),
            template_problems: template_problems(template, columns),
            located_warnings: HashMap::new(),
        }
    }

    /// Checks payloads by the rules of this kind of request; without it, of a project.
    pub fn with_request_kind(self, kind: &'static RequestKind) -> Self {
        Self { request_kind: kind, ..self }
    }

    /// Merges one row, or the rows of one group, into a checked payload.
    ///
    /// A column that the template needs and the sheet does not have is a problem of every row.
    ///
    /// # Errors
    ///
    /// All problems of this payload: every missing column; else the first tag that cannot be
    /// filled in; else everything that is wrong with the merged JSON.
    pub fn merge(&mut self, rows: &[Vec<String>]) -> Result<Payload, Vec<TemplateProblem>> {
        if !self.template_problems.is_empty() {
            return Err(self.template_problems.clone());
        }
        self.fill_context(rows);
        let made = self.render_compact().map_err(|problem| vec![problem])?;
        self.capacity = self.capacity.max(made.text.len());
        let payload = Payload::from_merged(made.text, &made.read, self.request_kind);
        self.read = made.read;
        payload.map_err(|text| self.locate_problems(&text))
    }

    fn render_compact(&mut self) -> Result<Made, TemplateProblem> {
        let mut read = std::mem::take(&mut self.read);
        read.clear();
        let mut made = Made { text: String::with_capacity(self.capacity), read };
        if self.parts.make(TemplateEngine::Json, &self.context, &mut made).is_err() {
            let text = self.render(self.template.compact())?;
            made = Made { read: text.clone(), text };
        }
        Ok(made)
    }

    /// Returns what is doubtful about the payload that was merged last.
    pub fn warnings(&mut self, payload: &Payload) -> Vec<TemplateProblem> {
        let mut told = Vec::new();
        let mut traced = None;
        for finding in payload.warnings() {
            let known = (finding.pointer.clone(), finding.message.clone());
            if let Some(place) = self.located_warnings.get(&known) {
                let (message, help) = (finding.message.clone(), finding.help.clone());
                told.push(TemplateProblem { location: place.clone(), message, help });
                continue;
            }
            let may_look = self.located_warnings.len() < LOCATED_WARNINGS_MAX;
            if may_look && traced.is_none() {
                traced = self.render_with_source_map().ok();
            }
            let traced = traced.as_ref().filter(|_| may_look);
            let text = traced.map_or(payload.text(), SourceMap::text);
            let problem =
                self.template.resolve_location(payload::locate_finding(finding, text, traced));
            if may_look {
                self.located_warnings.insert(known, problem.location.clone());
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
    pub fn render_file_name(&self, pattern: &FileNamePattern) -> Result<String, TemplateProblem> {
        pattern.render(&self.context)
    }

    fn render_with_source_map(&self) -> Result<SourceMap, TemplateProblem> {
        let marked = InstrumentedTemplate::new(self.template.pretty(), self.template.source());
        Ok(marked.build_source_map(&self.render(marked.template())?))
    }

    pub(crate) fn columns(&self) -> &ColumnMapping {
        &self.columns
    }

    /// Merges rows and says what is found in them, without places.
    pub(crate) fn check_rows(
        &mut self,
        rows: &[Vec<String>],
    ) -> Result<Vec<PayloadFinding>, TemplateProblem> {
        self.fill_context(rows);
        let made = self.render_compact()?;
        let judged = check::check_payload(&made.text, self.request_kind);
        self.read = made.read;
        Ok(judged.map(|judged| judged.findings).unwrap_or_default())
    }

    /// Merges the same fields again, slowly, to say where the mistakes come from.
    fn locate_problems(&self, refused: &str) -> Vec<TemplateProblem> {
        let traced = match self.render_with_source_map() {
            Ok(traced) => traced,
            Err(problem) => return vec![problem],
        };
        let problems = payload::find_problems(traced.text(), self.request_kind, Some(&traced))
            .or_else(|| payload::find_problems(refused, self.request_kind, None))
            .expect("the text was refused a moment ago");
        problems.into_iter().map(|problem| self.template.resolve_location(problem)).collect()
    }

    /// Returns the merged text as the template lays it out, unchecked. The lines that problems
    /// speak of are lines of this text; [`Payload::text`] is the same JSON without white space.
    ///
    /// # Errors
    ///
    /// Every missing column; else the first tag that cannot be filled in.
    pub fn merge_pretty(&mut self, rows: &[Vec<String>]) -> Result<String, Vec<TemplateProblem>> {
        if !self.template_problems.is_empty() {
            return Err(self.template_problems.clone());
        }
        self.fill_context(rows);
        self.render(self.template.pretty()).map_err(|problem| vec![problem])
    }

    /// Returns the fields of these rows, as the template would see them. Of a group, the fields
    /// of its first row, and `rows`.
    pub fn template_fields(&mut self, rows: &[Vec<String>]) -> &Map<String, Value> {
        self.fill_context(rows);
        self.context.data().as_object().expect("`new` and `fill` leave an object here")
    }

    fn fill_context(&mut self, rows: &[Vec<String>]) {
        self.columns.fill_context(&mut self.context, rows);
    }

    fn render(&self, compiled: &handlebars::Template) -> Result<String, TemplateProblem> {
        TemplateEngine::Json.render(compiled, &self.context, self.capacity).map_err(|error| {
            self.template.resolve_location(render_error::describe_render_error(
                &error,
                self.columns.known_names(),
            ))
        })
    }
}

/// See [`Template::merge_again`].
pub(crate) fn merge_unchecked(
    (template, columns): (&SceneTemplate, &ColumnMapping),
    rows: &[Vec<String>],
    (kind, resolution, hash): (&RequestKind, Option<&str>, &str),
) -> Option<String> {
    let mut context = columns.default_context();
    columns.fill_context(&mut context, rows);
    // Its indentation makes a template longer than what it becomes, most times.
    let room = template.source().len();
    let text = TemplateEngine::Json.render(template.compact(), &context, room).ok()?;
    let hashing = HashAlgorithm::from_hash(hash);
    (payload::video_hash(&text, (kind, resolution), hashing) == hash).then_some(text)
}

/// Finds what no row can mend: columns that are not there, and groups where none are expected.
fn template_problems(template: &SceneTemplate, columns: &ColumnMapping) -> Vec<TemplateProblem> {
    let known = columns.known_names();
    let names = template.column_usage();
    let mut problems = Vec::new();
    match (names.rows_first_use, columns.grouped) {
        (Some(_), true) | (None, false) => {}
        (Some(at), false) => problems.push(
            TemplateProblem::in_template(at, "the template makes one video of several rows")
                .with_help("set `group_by` in the batch file to the column that names the video"),
        ),
        // Rows that nobody sees are rows that were lost.
        (None, true) => problems.push(
            TemplateProblem::in_template(
                LineColumn::START,
                "the batch groups rows, and the template uses only one",
            )
            .with_help("write `{{#each rows}}…{{/each}}`, or remove `group_by`"),
        ),
    }
    if columns.grouped && known.contains(&ROWS) {
        problems.push(TemplateProblem {
            location: TemplateProblemLocation::Column { name: ROWS.to_owned(), origin: None },
            message: "a column has the name that a group's rows have".to_owned(),
            help: Some("rename it, or give it another name under `columns`".to_owned()),
        });
    }
    problems.extend(list_misuse(template, columns));
    for name in names.required.iter().filter(|name| !known.contains(&name.as_str())) {
        let at = names.first_use.get(name).copied().unwrap_or(LineColumn::START);
        problems.push(render_error::unknown_column(at, name, known.clone()));
    }
    problems.into_iter().map(|problem| template.resolve_location(problem)).collect()
}

/// Finds lists that are used as text, and texts that are gone through as lists.
fn list_misuse(template: &SceneTemplate, columns: &ColumnMapping) -> Vec<TemplateProblem> {
    let names = template.column_usage();
    let mut problems = Vec::new();
    for (name, at) in names.text_uses.iter().filter(|(name, _)| columns.lists.contains_key(*name)) {
        let count = columns.lists[name].len();
        let message = format!("`{name}` is a list of {count} columns here, and is used as text");
        let help = format!("write `{{{{#each {name}}}}}{{{{this}}}}{{{{/each}}}}`");
        problems.push(TemplateProblem::in_template(*at, message).with_help(help));
    }
    for (name, at) in names.list_uses.iter().filter(|(name, _)| columns.names.contains(name)) {
        let message = format!("`{name}` is a single column, and `each` goes through a list");
        let help = format!(
            "call the columns `{name}_1`, `{name}_2` …, or write \
             `{{{{#each (sentences {name} 300)}}}}` to part a long text"
        );
        problems.push(TemplateProblem::in_template(*at, message).with_help(help));
    }
    problems
}

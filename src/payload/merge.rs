//! Merges rows into checked payloads.
//!
//! A merger is one thread's working memory. Between rows it keeps the fields and overwrites their
//! text, so a row costs one rendering and one pass over the result.
//!
//! Cells are data: the content of a cell is never read as template.

use std::collections::HashMap;

use handlebars::Context;
use serde_json::{Map, Value};

use crate::payload;
use crate::payload::check::{self, PayloadFinding};
use crate::payload::{ColumnMapping, Payload, template_fit};
use crate::request::{PROJECT, RequestKind};
use crate::template::engine::TemplateEngine;
use crate::template::file_name_pattern::FileNamePattern;
use crate::template::problem::{TemplateProblem, TemplateProblemLocation};
use crate::template::source_map::{InstrumentedTemplate, SourceMap};
use crate::template::{SceneTemplate, render_error};

/// One thread's working memory for merging rows into a template.
pub struct PayloadMerger<'t> {
    template: &'t SceneTemplate,
    request_kind: &'static RequestKind,
    columns: ColumnMapping,
    context: Context,
    /// The size of the largest payload so far, reserved for the next one.
    capacity: usize,
    /// Problems that are the same for every row.
    template_problems: Vec<TemplateProblem>,
    /// The locations of warnings by pointer and message, so that a second row with the same warning
    /// is not merged again to locate it.
    located_warnings: HashMap<(String, String), TemplateProblemLocation>,
}

/// The number of warnings that are located. Later ones are reported by their pointer alone.
const LOCATED_WARNINGS_MAX: usize = 200;

impl<'t> PayloadMerger<'t> {
    /// Returns a merger for rows with these columns. Each thread needs its own.
    pub fn new(template: &'t SceneTemplate, columns: &ColumnMapping) -> Self {
        let mut context = columns.default_context();
        columns.fill_context(&mut context, &[]);
        Self {
            template,
            request_kind: &PROJECT,
            columns: columns.clone(),
            context,
            capacity: 0,
            template_problems: template_fit::find_template_problems(template, columns),
            located_warnings: HashMap::new(),
        }
    }

    /// Checks payloads by the rules of this kind of request instead of those of a project.
    pub fn with_request_kind(self, kind: &'static RequestKind) -> Self {
        Self { request_kind: kind, ..self }
    }

    /// Merges one row, or the rows of one group, into a checked payload.
    ///
    /// # Errors
    ///
    /// All problems of this payload: every column that the template requires and the sheet does not
    /// have; else the first tag that cannot be rendered; else all problems of the merged JSON.
    pub fn merge(&mut self, rows: &[Vec<String>]) -> Result<Payload, Vec<TemplateProblem>> {
        if !self.template_problems.is_empty() {
            return Err(self.template_problems.clone());
        }
        self.fill_context(rows);
        let text = self.render(self.template.compact()).map_err(|problem| vec![problem])?;
        self.capacity = self.capacity.max(text.len());
        Payload::from_merged(text, self.request_kind).map_err(|text| self.locate_problems(&text))
    }

    /// Returns the warnings about the payload that was merged last.
    pub fn warnings(&mut self, payload: &Payload) -> Vec<TemplateProblem> {
        let mut source_map = None;
        let findings = payload.warnings().iter();
        findings.map(|finding| self.locate_warning(finding, payload, &mut source_map)).collect()
    }

    /// Locates one warning. The source map of the payload is built when it is first needed.
    fn locate_warning(
        &mut self,
        finding: &PayloadFinding,
        payload: &Payload,
        source_map: &mut Option<SourceMap>,
    ) -> TemplateProblem {
        let known = (finding.pointer.clone(), finding.message.clone());
        if let Some(location) = self.located_warnings.get(&known) {
            let (message, help) = (finding.message.clone(), finding.help.clone());
            return TemplateProblem { location: location.clone(), message, help };
        }
        if self.located_warnings.len() >= LOCATED_WARNINGS_MAX {
            return payload::locate_finding(finding, payload.text(), None);
        }
        if source_map.is_none() {
            *source_map = self.render_with_source_map().ok();
        }
        let text = source_map.as_ref().map_or(payload.text(), SourceMap::text);
        let problem = payload::locate_finding(finding, text, source_map.as_ref());
        let problem = self.template.resolve_location(problem);
        self.located_warnings.insert(known, problem.location.clone());
        problem
    }

    /// Returns the file name of the video whose payload was merged last, not yet safe for a file
    /// system.
    ///
    /// # Errors
    ///
    /// The first tag that cannot be rendered.
    pub fn render_file_name(&self, pattern: &FileNamePattern) -> Result<String, TemplateProblem> {
        pattern.render(&self.context)
    }

    fn render_with_source_map(&self) -> Result<SourceMap, TemplateProblem> {
        let instrumented =
            InstrumentedTemplate::new(self.template.pretty(), self.template.source());
        Ok(instrumented.build_source_map(&self.render(instrumented.template())?))
    }

    pub(crate) fn columns(&self) -> &ColumnMapping {
        &self.columns
    }

    /// Merges rows and returns the findings, not located; none for a text that is not JSON.
    pub(crate) fn check_rows(
        &mut self,
        rows: &[Vec<String>],
    ) -> Result<Vec<PayloadFinding>, TemplateProblem> {
        self.fill_context(rows);
        let text = self.render(self.template.compact())?;
        let report = check::check_payload(&text, self.request_kind);
        Ok(report.map(|report| report.findings).unwrap_or_default())
    }

    /// Merges the same fields again, with a source map, to locate the problems.
    fn locate_problems(&self, rejected: &str) -> Vec<TemplateProblem> {
        let source_map = match self.render_with_source_map() {
            Ok(source_map) => source_map,
            Err(problem) => return vec![problem],
        };
        let problems =
            payload::find_problems(source_map.text(), self.request_kind, Some(&source_map))
                .or_else(|| payload::find_problems(rejected, self.request_kind, None))
                .expect("the same text was rejected before");
        problems.into_iter().map(|problem| self.template.resolve_location(problem)).collect()
    }

    /// Returns the merged text with the template's white space, unchecked. The line numbers of
    /// problems refer to this text; [`Payload::text`] is the same JSON without white space.
    ///
    /// # Errors
    ///
    /// Every missing column; else the first tag that cannot be rendered.
    pub fn merge_pretty(&mut self, rows: &[Vec<String>]) -> Result<String, Vec<TemplateProblem>> {
        if !self.template_problems.is_empty() {
            return Err(self.template_problems.clone());
        }
        self.fill_context(rows);
        self.render(self.template.pretty()).map_err(|problem| vec![problem])
    }

    /// Returns the fields of these rows, as the template sees them. Of a group, the fields of its
    /// first row, and `rows`.
    pub fn template_fields(&mut self, rows: &[Vec<String>]) -> &Map<String, Value> {
        self.fill_context(rows);
        self.context.data().as_object().expect("`new` creates an object")
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

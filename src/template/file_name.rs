//! The pattern of a video's file name, such as `{{sku}}-{{language}}.mp4`.
//!
//! It renders plain text: no JSON escaping, and no care for what a file system allows. Making a
//! name safe, short and unique is the business of whoever writes the file.

use std::fmt;

use handlebars::Context;

use crate::template::engine::TemplateEngine;
use crate::template::problem::TemplateProblem;
use crate::template::render_error;
use crate::template::{ColumnUsage, Made, Parts, check_calls, compile_template};

/// A parsed pattern.
pub struct FileNamePattern {
    pattern: String,
    compiled: handlebars::Template,
    parts: Parts,
    column_usage: ColumnUsage,
}

impl FileNamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// The same refusals as for a scene template.
    pub fn parse(pattern: &str) -> Result<Self, Vec<TemplateProblem>> {
        let compiled = compile_template(pattern).map_err(|problem| vec![problem])?;
        let mut problems = check_calls(&compiled);
        let (names, misprints) = ColumnUsage::from_template(&compiled);
        problems.extend(misprints);
        if problems.is_empty() {
            let parts = Parts::of(&compiled);
            Ok(Self { pattern: pattern.to_owned(), compiled, parts, column_usage: names })
        } else {
            Err(problems)
        }
    }

    /// Returns the columns it cannot do without, in order of first use.
    pub fn required_columns(&self) -> &[String] {
        &self.column_usage.required
    }

    /// Returns the columns it uses only under a condition or with a `default`.
    pub fn optional_columns(&self) -> &[String] {
        &self.column_usage.optional
    }

    /// Returns the name for the fields of a row, or else the first tag that cannot be filled in.
    pub(crate) fn render(&self, fields: &Context) -> Result<String, TemplateProblem> {
        let mut made = Made::default();
        if self.parts.make(TemplateEngine::Plain, fields, &mut made).is_ok() {
            return Ok(made.text);
        }
        TemplateEngine::Plain.render(&self.compiled, fields, 0).map_err(|error| {
            let known = fields.data().as_object().into_iter().flat_map(|fields| fields.keys());
            render_error::describe_render_error(&error, known.map(String::as_str))
        })
    }
}

impl fmt::Debug for FileNamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileName").field(&self.pattern).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::template::file_name::*;

    fn named(pattern: &str, fields: &serde_json::Value) -> Result<String, TemplateProblem> {
        let pattern = FileNamePattern::parse(pattern).expect("a right pattern");
        pattern.render(&Context::wraps(fields).expect("it is JSON"))
    }

    #[test]
    fn a_name_is_plain_text_as_the_cells_have_it() {
        let fields = json!({"sku": "TEA \"01\"", "language": "KO"});
        let name = named("{{sku}}-{{lower language}}.mp4", &fields);
        assert_eq!(name.as_deref(), Ok("TEA \"01\"-ko.mp4"));
    }

    #[test]
    fn a_missing_column_is_named_with_its_place() {
        let problem = named("{{sku}}-{{langauge}}.mp4", &json!({"sku": "T", "language": "ko"}));
        let told = problem.expect_err("no such column").to_string();
        let told = told.replace("; ", "\n");
        insta::assert_snapshot!(told, @"
        template line 1, column 9: the sheet has no column `langauge`
        did you mean `language`?
        ");
        let pattern =
            FileNamePattern::parse("{{sku}}-{{default language \"en\"}}.mp4").expect("right");
        assert_eq!(pattern.required_columns(), ["sku"]);
    }

    #[test]
    fn what_a_template_refuses_a_pattern_refuses() {
        let problems =
            FileNamePattern::parse("{{{sku}}}{{> x}}{{slug sku}}").expect_err("three refusals");
        assert_eq!(problems.len(), 3);
    }
}

//! The pattern of a video's file name, such as `{{sku}}-{{language}}.mp4`.
//!
//! It renders plain text, without JSON escaping and without regard to what a file system allows.
//! `plan` makes the name safe, short and unique.

use std::fmt;

use handlebars::Context;

use crate::template::engine::{self, TemplateEngine};
use crate::template::problem::TemplateProblem;
use crate::template::render_error;
use crate::template::{ColumnUsage, check_calls, compile_template};

/// A parsed file name pattern.
pub struct FileNamePattern {
    pattern: String,
    compiled: handlebars::Template,
    column_usage: ColumnUsage,
}

impl FileNamePattern {
    /// Parses a pattern.
    ///
    /// # Errors
    ///
    /// The same refusals as for a scene template.
    pub fn parse(pattern: &str) -> Result<Self, Vec<TemplateProblem>> {
        let mut compiled = compile_template(pattern).map_err(|problem| vec![problem])?;
        let mut problems = check_calls(&compiled);
        let (column_usage, unprintable) = ColumnUsage::from_template(&compiled);
        problems.extend(unprintable);
        engine::count_repeats(&mut compiled);
        if problems.is_empty() {
            Ok(Self { pattern: pattern.to_owned(), compiled, column_usage })
        } else {
            Err(problems)
        }
    }

    /// Returns the required columns, in order of first use.
    pub fn required_columns(&self) -> &[String] {
        &self.column_usage.required
    }

    /// Returns the columns that are used only under a condition or with a `default`.
    pub fn optional_columns(&self) -> &[String] {
        &self.column_usage.optional
    }

    /// Returns the name for the fields of a row, or the first tag that cannot be rendered.
    pub(crate) fn render(&self, fields: &Context) -> Result<String, TemplateProblem> {
        TemplateEngine::Plain.render(&self.compiled, fields, 0).map_err(|error| {
            let known = fields.data().as_object().into_iter().flat_map(|fields| fields.keys());
            render_error::describe_render_error(&error, known.map(String::as_str))
        })
    }
}

impl fmt::Debug for FileNamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileNamePattern").field(&self.pattern).finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::template::file_name_pattern::*;

    fn render_name(pattern: &str, fields: &serde_json::Value) -> Result<String, TemplateProblem> {
        let pattern = FileNamePattern::parse(pattern).expect("a valid pattern");
        pattern.render(&Context::wraps(fields).expect("it is JSON"))
    }

    #[test]
    fn file_name_is_the_plain_text_of_the_cells() {
        let fields = json!({"sku": "TEA \"01\"", "language": "KO"});
        let name = render_name("{{sku}}-{{lower language}}.mp4", &fields);
        assert_eq!(name.as_deref(), Ok("TEA \"01\"-ko.mp4"));
    }

    #[test]
    fn missing_column_is_reported_with_its_location() {
        let problem =
            render_name("{{sku}}-{{langauge}}.mp4", &json!({"sku": "T", "language": "ko"}));
        let text = problem.expect_err("no such column").to_string();
        let text = text.replace("; ", "\n");
        insta::assert_snapshot!(text, @"
        template line 1, column 9: the sheet has no column `langauge`
        did you mean `language`?
        ");
        let pattern = FileNamePattern::parse("{{sku}}-{{default language \"en\"}}.mp4")
            .expect("a valid pattern");
        assert_eq!(pattern.required_columns(), ["sku"]);
    }

    #[test]
    fn pattern_refuses_the_same_tags_as_a_template() {
        let problems =
            FileNamePattern::parse("{{{sku}}}{{> x}}{{slug sku}}").expect_err("three refusals");
        assert_eq!(problems.len(), 3);
    }
}

//! Checks the calls in a template's tags.
//!
//! Refused are tags that write a cell unescaped, decorators, partials that could not be inserted, and
//! calls of unknown helpers or with a wrong number of values. Each problem gives the reason, because
//! all of these are legal Handlebars.

use handlebars::Path;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};

use crate::template::helpers;
use crate::template::helpers::{HELPERS, HelperDoc, TagOutput};
use crate::template::positioned_elements;
use crate::template::problem::{LineColumn, TemplateProblem};
use crate::text::{nearest_name, suggest_name};

/// The variables that a loop defines.
const LOOP_VARIABLES: [&str; 4] = ["index", "first", "last", "key"];

/// Returns a problem for every refused call.
pub(crate) fn check_calls(template: &handlebars::Template) -> Vec<TemplateProblem> {
    let mut calls = CallChecker { problems: Vec::new() };
    calls.check_template(template, LineColumn::START);
    calls.problems
}

/// A call of a helper.
struct Call<'t> {
    tag: &'t HelperTemplate,
    /// The helper or block that it is a parameter of; empty for a tag of its own.
    within: &'t str,
    is_block: bool,
}

struct CallChecker {
    problems: Vec<TemplateProblem>,
}

impl CallChecker {
    fn reject(&mut self, at: LineColumn, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(TemplateProblem::in_template(at, message).with_help(help));
    }

    fn check_template(&mut self, template: &handlebars::Template, parent: LineColumn) {
        for (element, at) in positioned_elements(template, parent) {
            match element {
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                TemplateElement::Expression(tag) => self.check_expression(tag, at),
                TemplateElement::HelperBlock(block) => self.check_block(block, at),
                TemplateElement::HtmlExpression(tag) => {
                    let name = tag.name.as_name().unwrap_or("column");
                    let message = format!(
                        "`{{{{{{{name}}}}}}}` and `{{{{&{name}}}}}` write a cell unescaped: \
                         a quote in it would end the JSON string"
                    );
                    let help = format!("write `{{{{{name}}}}}`, or `{{{{json {name}}}}}`");
                    self.reject(at, message, help);
                }
                TemplateElement::PartialExpression(tag) | TemplateElement::PartialBlock(tag) => {
                    let name = tag.name.as_name().unwrap_or("…");
                    // Those of a template were inserted before; file names and blocks have none.
                    let message = format!("the partial `{name}` cannot be taken in here");
                    let help = format!("write `{{{{> {name}}}}}` in the template, without a block");
                    self.reject(at, message, help);
                }
                TemplateElement::DecoratorExpression(tag)
                | TemplateElement::DecoratorBlock(tag) => {
                    let name = tag.name.as_name().unwrap_or("…");
                    let message =
                        format!("decorators such as `{{{{* {name}}}}}` are not supported");
                    self.reject(at, message, "write the text where it is needed");
                }
                _ => self.reject(at, "this kind of tag is not supported", "leave it out"),
            }
        }
    }

    /// Checks `{{x}}` and `{{helper x}}`.
    fn check_expression(&mut self, tag: &HelperTemplate, at: LineColumn) {
        if !(tag.params.is_empty() && tag.hash.is_empty()) {
            return self.check_call(&Call { tag, within: "", is_block: false }, at);
        }
        match &tag.name {
            Parameter::Path(Path::Local((_, name, _)))
                if !LOOP_VARIABLES.contains(&name.as_str()) =>
            {
                let message = format!("there is no `@{name}`");
                self.reject(at, message, suggest_name(name, LOOP_VARIABLES, "after `@` there are"));
            }
            Parameter::Path(path) => self.check_path(path, at),
            Parameter::Name(name) => self.check_bare_helper(name, at),
            _ => {
                // A subexpression: the library would call the helper whose name is the *cell's text*.
                let message = "a tag must begin with a column or a helper, not with a bracket";
                self.reject(at, message, "write `{{upper column}}`, not `{{(upper column)}}`");
            }
        }
    }

    fn check_path(&mut self, path: &Path, at: LineColumn) {
        match path {
            Path::Relative((_, raw)) | Path::Local((_, _, raw)) => {
                self.check_bare_helper(raw, at);
            }
        }
    }

    fn check_bare_helper(&mut self, name: &str, at: LineColumn) {
        if name == "log" {
            return self.reject_unknown_helper(name, at, TagOutput::Text);
        }
        if let Some(helper) = helpers::find_helper(name) {
            let message = format!("`{name}` is a helper and needs a value");
            let help = format!(
                "write `{}`; for a column of that name, `{{{{this.{name}}}}}`",
                helper.usage
            );
            self.reject(at, message, help);
        }
    }

    fn check_block(&mut self, block: &HelperTemplate, at: LineColumn) {
        self.check_call(&Call { tag: block, within: "", is_block: true }, at);
        for part in [&block.template, &block.inverse].into_iter().flatten() {
            self.check_template(part, at);
        }
    }

    fn check_call(&mut self, call: &Call<'_>, at: LineColumn) {
        let Call { tag, is_block, .. } = *call;
        let Some(name) = tag.name.as_name() else {
            let message = "a tag must begin with the name of a helper";
            return self.reject(at, message, "write `{{upper column}}`");
        };
        let wanted = if is_block { TagOutput::Block } else { TagOutput::Text };
        match helpers::find_helper(name) {
            None => self.reject_unknown_helper(name, at, wanted),
            Some(helper) => self.check_known_call(helper, call, at),
        }
        for value in tag.params.iter().chain(tag.hash.values()) {
            self.check_param(value, name, at);
        }
    }

    fn check_known_call(&mut self, helper: &HelperDoc, call: &Call<'_>, at: LineColumn) {
        let Call { tag, within, is_block } = *call;
        let name = helper.name;
        if is_block != (helper.output == TagOutput::Block) {
            let how = if is_block { "opens no block" } else { "opens a block" };
            return self.reject(at, format!("`{name}` {how}"), format!("write `{}`", helper.usage));
        }
        if helper.output == TagOutput::List && !can_take_list(within) {
            let message = format!("`{name}` makes a list, and only `each` can go through it");
            return self.reject(at, message, format!("write `{}`", helper.usage));
        }
        let (fewest, most) = helper.arity;
        if !(fewest..=most).contains(&tag.params.len()) {
            let values = if fewest == 1 { "value" } else { "values" };
            let more = if most > fewest { " or more" } else { "" };
            let message =
                format!("`{name}` takes {fewest}{more} {values}, not {}", tag.params.len());
            self.reject(at, message, format!("write `{}`", helper.usage));
        }
        if let Some(option) = tag.hash.keys().min() {
            let message = format!("`{name}` knows no option `{option}=`");
            self.reject(at, message, format!("write `{}`", helper.usage));
        }
    }

    fn check_param(&mut self, value: &Parameter, within: &str, at: LineColumn) {
        let Parameter::Subexpression(inner) = value else { return };
        // A bracket without values is a plain column; the library would call it as a helper.
        let TemplateElement::Expression(tag) = inner.as_element() else { return };
        if tag.params.is_empty() && tag.hash.is_empty() {
            let message = "brackets call a helper, and there is no value in these";
            return self.reject(at, message, "leave the brackets out, or write `(upper column)`");
        }
        self.check_call(&Call { tag, within, is_block: false }, at);
    }

    fn reject_unknown_helper(&mut self, name: &str, at: LineColumn, wanted: TagOutput) {
        if name == "log" {
            let message = "`{{log}}` would write cells into the program's log";
            return self.reject(at, message, "leave it out; `callsheet preview` shows the payload");
        }
        let is_block = wanted == TagOutput::Block;
        let known = HELPERS
            .iter()
            .filter(|helper| (helper.output == TagOutput::Block) == is_block)
            .map(|helper| helper.name);
        let mut help = match nearest_name(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if is_block => "blocks are `if`, `unless`, `each` and `with`".to_owned(),
            None => {
                format!("a column whose name has spaces is written `{{{{[{name} …]}}}}`")
            }
        };
        if is_block {
            help.push_str(&format!("; a condition is `{{{{#if {name}}}}}`"));
        }
        self.reject(at, format!("there is no helper `{name}`"), help);
    }
}

/// Checks whether a helper or block accepts a list.
fn can_take_list(name: &str) -> bool {
    matches!(name, "each" | "len" | "json" | "if" | "unless" | "and" | "or" | "not")
}

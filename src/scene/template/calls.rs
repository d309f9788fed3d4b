//! May these tags be called like this?
//!
//! Refused: whatever writes a cell without escaping it, whatever is taken from elsewhere (partials,
//! decorators), and calls of helpers that do not exist or with the wrong number of values. Each
//! refusal says why, because all of these are legal Handlebars.

use handlebars::Path;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};

use super::elements;
use crate::scene::helpers::{self, HELPERS, HelperDoc, Makes};
use crate::scene::problem::{At, Problem, nearest, suggest};

/// What a loop knows about itself.
const LOCALS: [&str; 4] = ["index", "first", "last", "key"];

/// Returns every call that is refused.
pub(in crate::scene) fn check_calls(template: &handlebars::Template) -> Vec<Problem> {
    let mut calls = Calls { problems: Vec::new() };
    calls.template(template, At::START);
    calls.problems
}

struct Calls {
    problems: Vec<Problem>,
}

impl Calls {
    fn refuse(&mut self, at: At, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Problem::in_template(at, message).with_help(help));
    }

    fn template(&mut self, template: &handlebars::Template, parent: At) {
        for (element, at) in elements(template, parent) {
            match element {
                TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
                TemplateElement::Expression(tag) => self.expression(tag, at),
                TemplateElement::HelperBlock(block) => self.block(block, at),
                TemplateElement::HtmlExpression(tag) => {
                    let name = tag.name.as_name().unwrap_or("column");
                    let message = format!(
                        "`{{{{{{{name}}}}}}}` and `{{{{&{name}}}}}` write a cell unescaped: \
                         a quote in it would end the JSON string"
                    );
                    let help = format!("write `{{{{{name}}}}}`, or `{{{{json {name}}}}}`");
                    self.refuse(at, message, help);
                }
                TemplateElement::PartialExpression(tag) | TemplateElement::PartialBlock(tag) => {
                    let name = tag.name.as_name().unwrap_or("…");
                    // A template's own were taken in before; a file name and a block have none.
                    let message = format!("the partial `{name}` cannot be taken in here");
                    let help = format!("write `{{{{> {name}}}}}` in the template, without a block");
                    self.refuse(at, message, help);
                }
                TemplateElement::DecoratorExpression(tag)
                | TemplateElement::DecoratorBlock(tag) => {
                    let name = tag.name.as_name().unwrap_or("…");
                    let message =
                        format!("decorators such as `{{{{* {name}}}}}` are not supported");
                    self.refuse(at, message, "write the text where it is needed");
                }
                _ => self.refuse(at, "this kind of tag is not supported", "leave it out"),
            }
        }
    }

    /// `{{x}}`, or `{{helper x}}`.
    fn expression(&mut self, tag: &HelperTemplate, at: At) {
        if !(tag.params.is_empty() && tag.hash.is_empty()) {
            return self.call((tag, ""), at, false);
        }
        match &tag.name {
            Parameter::Path(Path::Local((_, name, _))) if !LOCALS.contains(&name.as_str()) => {
                let message = format!("there is no `@{name}`");
                self.refuse(at, message, suggest(name, LOCALS, "after `@` there are"));
            }
            Parameter::Path(path) => self.plain(path, at),
            Parameter::Name(name) => self.helper_without_values(name, at),
            _ => {
                // A subexpression: the library would call the helper that the *cell's text* names.
                let message = "a tag must begin with a column or a helper, not with a bracket";
                self.refuse(at, message, "write `{{upper column}}`, not `{{(upper column)}}`");
            }
        }
    }

    fn plain(&mut self, path: &Path, at: At) {
        match path {
            Path::Relative((_, raw)) | Path::Local((_, _, raw)) => {
                self.helper_without_values(raw, at);
            }
        }
    }

    fn helper_without_values(&mut self, name: &str, at: At) {
        if name == "log" {
            return self.no_such_helper(name, at, Makes::Text);
        }
        if let Some(helper) = helpers::find(name) {
            let message = format!("`{name}` is a helper and needs a value");
            let help = format!(
                "write `{}`; for a column of that name, `{{{{this.{name}}}}}`",
                helper.usage
            );
            self.refuse(at, message, help);
        }
    }

    fn block(&mut self, block: &HelperTemplate, at: At) {
        self.call((block, ""), at, true);
        for part in [&block.template, &block.inverse].into_iter().flatten() {
            self.template(part, at);
        }
    }

    fn call(&mut self, (tag, within): (&HelperTemplate, &str), at: At, is_block: bool) {
        let Some(name) = tag.name.as_name() else {
            let message = "a tag must begin with the name of a helper";
            return self.refuse(at, message, "write `{{upper column}}`");
        };
        let wanted = if is_block { Makes::Block } else { Makes::Text };
        match helpers::find(name) {
            None => self.no_such_helper(name, at, wanted),
            Some(helper) => self.known_call(helper, (tag, within), at, is_block),
        }
        for value in tag.params.iter().chain(tag.hash.values()) {
            self.value(value, name, at);
        }
    }

    fn known_call(
        &mut self,
        helper: &HelperDoc,
        (tag, within): (&HelperTemplate, &str),
        at: At,
        is_block: bool,
    ) {
        let name = helper.name;
        if is_block != (helper.makes == Makes::Block) {
            let how = if is_block { "opens no block" } else { "opens a block" };
            return self.refuse(at, format!("`{name}` {how}"), format!("write `{}`", helper.usage));
        }
        if helper.makes == Makes::List && !takes_a_list(within) {
            let message = format!("`{name}` makes a list, and only `each` can go through it");
            return self.refuse(at, message, format!("write `{}`", helper.usage));
        }
        let (fewest, most) = helper.takes;
        if !(fewest..=most).contains(&tag.params.len()) {
            let values = if fewest == 1 { "value" } else { "values" };
            let more = if most > fewest { " or more" } else { "" };
            let message =
                format!("`{name}` takes {fewest}{more} {values}, not {}", tag.params.len());
            self.refuse(at, message, format!("write `{}`", helper.usage));
        }
        if let Some(option) = tag.hash.keys().min() {
            let message = format!("`{name}` knows no option `{option}=`");
            self.refuse(at, message, format!("write `{}`", helper.usage));
        }
    }

    fn value(&mut self, value: &Parameter, within: &str, at: At) {
        let Parameter::Subexpression(inner) = value else { return };
        // A bracket without values is a plain column; the library would call it as a helper.
        let TemplateElement::Expression(tag) = inner.as_element() else { return };
        if tag.params.is_empty() && tag.hash.is_empty() {
            let message = "brackets call a helper, and there is no value in these";
            return self.refuse(at, message, "leave the brackets out, or write `(upper column)`");
        }
        self.call((tag, within), at, false);
    }

    fn no_such_helper(&mut self, name: &str, at: At, wanted: Makes) {
        if name == "log" {
            let message = "`{{log}}` would write cells into the program's log";
            return self.refuse(at, message, "leave it out; `callsheet preview` shows the payload");
        }
        let is_block = wanted == Makes::Block;
        let known = HELPERS
            .iter()
            .filter(|helper| (helper.makes == Makes::Block) == is_block)
            .map(|helper| helper.name);
        let mut help = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if is_block => "blocks are `if`, `unless`, `each` and `with`".to_owned(),
            None => {
                format!("a column whose name has spaces is written `{{{{[{name} …]}}}}`")
            }
        };
        if is_block {
            help.push_str(&format!("; a condition is `{{{{#if {name}}}}}`"));
        }
        self.refuse(at, format!("there is no helper `{name}`"), help);
    }
}

/// Tells whether this helper or block can be given a list.
fn takes_a_list(name: &str) -> bool {
    matches!(name, "each" | "len" | "json" | "if" | "unless" | "and" | "or" | "not")
}

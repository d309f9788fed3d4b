//! Helpers for conditions and loops: the library's blocks, and comparisons for their conditions.
//!
//! Cells are always text, so `eq` compares as text: `{{#if (eq count 3)}}` is true for a cell `3`,
//! for which the library's own comparison would always be false.

use handlebars::{Context, Handlebars, Helper, HelperDef, RenderContext, RenderError, ScopedJson};
use serde_json::Value;

use crate::template::helpers::{HelperDoc, TagOutput, is_filled, text_param};

pub(crate) const IF: HelperDoc = HelperDoc {
    name: "if",
    usage: "{{#if column}} … {{else}} … {{/if}}",
    purpose: "keeps a part when the cell is not empty; the column may be absent",
    example: "{{#if headline}}, {\"type\": \"textImage\", …}{{/if}}",
    arity: (1, 1),
    output: TagOutput::Block,
};

pub(crate) const UNLESS: HelperDoc = HelperDoc {
    name: "unless",
    usage: "{{#unless column}} … {{/unless}}",
    purpose: "keeps a part when the cell is empty or the column absent",
    example: "{{#unless @last}},{{/unless}} puts commas between repeated parts",
    arity: (1, 1),
    output: TagOutput::Block,
};

pub(crate) const EACH: HelperDoc = HelperDoc {
    name: "each",
    usage: "{{#each rows}} … {{/each}}",
    purpose: "repeats a part for every row of a group (the rows that `group_by` makes one video of; inside, names are its columns), or for every item of \
              a list, which is `this` inside",
    example: "{{#each rows}}{\"sceneIdx\": {{@index}}, …}{{#unless @last}},{{/unless}}{{/each}}",
    arity: (1, 1),
    output: TagOutput::Block,
};

pub(crate) const WITH: HelperDoc = HelperDoc {
    name: "with",
    usage: "{{#with rows.0}} … {{/with}}",
    purpose: "makes names belong to one row of a group",
    example: "{{#with rows.0}}{{script}}{{/with}}",
    arity: (1, 1),
    output: TagOutput::Block,
};

pub(crate) const LOOKUP: HelperDoc = HelperDoc {
    name: "lookup",
    usage: "{{lookup this \"column\"}}",
    purpose: "takes a column by its exact heading",
    example: "{{lookup this \"Script (EN)\"}}",
    arity: (2, 2),
    output: TagOutput::Text,
};

pub(crate) const EQ: HelperDoc = HelperDoc {
    name: "eq",
    usage: "{{#if (eq column \"text\")}}",
    purpose: "holds when both are the same text",
    example: "{{#if (eq language \"ko\")}}M000045059{{else}}M000045058{{/if}}",
    arity: (2, 2),
    output: TagOutput::Scalar,
};

pub(crate) const NE: HelperDoc = HelperDoc {
    name: "ne",
    usage: "{{#if (ne column \"text\")}}",
    purpose: "holds when they differ",
    example: "{{#if (ne language \"en\")}} … {{/if}}",
    arity: (2, 2),
    output: TagOutput::Scalar,
};

pub(crate) const AND: HelperDoc = HelperDoc {
    name: "and",
    usage: "{{#if (and column column)}}",
    purpose: "holds when none is empty",
    example: "{{#if (and headline price)}} … {{/if}}",
    arity: (1, usize::MAX),
    output: TagOutput::Scalar,
};

pub(crate) const OR: HelperDoc = HelperDoc {
    name: "or",
    usage: "{{#if (or column column)}}",
    purpose: "holds when at least one is not empty",
    example: "{{#if (or headline price)}} … {{/if}}",
    arity: (1, usize::MAX),
    output: TagOutput::Scalar,
};

pub(crate) const NOT: HelperDoc = HelperDoc {
    name: "not",
    usage: "{{#if (not column)}}",
    purpose: "holds when it is empty",
    example: "{{#if (not headline)}} … {{/if}}",
    arity: (1, 1),
    output: TagOutput::Scalar,
};

pub(crate) const LEN: HelperDoc = HelperDoc {
    name: "len",
    usage: "{{len rows}}",
    purpose: "counts the rows of a group, or the items of a list",
    example: "\"scenes\": {{len rows}} gives \"scenes\": 3",
    arity: (1, 1),
    output: TagOutput::Scalar,
};

pub(crate) fn register(engine: &mut Handlebars<'static>) {
    // `if`, `unless`, `each`, `with`, `lookup` and `len` come with the library.
    let condition = |test| Box::new(ConditionHelper(test));
    engine.register_helper(EQ.name, condition(is_equal_text));
    engine.register_helper(NE.name, condition(|values| is_equal_text(values).map(|same| !same)));
    engine.register_helper(
        AND.name,
        condition(|values| Ok(truthy_params(values).all(|truth| truth))),
    );
    engine
        .register_helper(OR.name, condition(|values| Ok(truthy_params(values).any(|truth| truth))));
    engine.register_helper(
        NOT.name,
        condition(|values| Ok(!truthy_params(values).any(|truth| truth))),
    );
}

/// A helper whose result is `true` or `false`.
struct ConditionHelper(fn(&Helper<'_>) -> Result<bool, RenderError>);

impl HelperDef for ConditionHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        Ok(ScopedJson::Derived(Value::Bool(self.0(helper)?)))
    }
}

fn is_equal_text(helper: &Helper<'_>) -> Result<bool, RenderError> {
    Ok(text_param(helper, 0)? == text_param(helper, 1)?)
}

/// A missing column counts as empty here, as it does for `if`.
fn truthy_params(helper: &Helper<'_>) -> impl Iterator<Item = bool> {
    helper.params().iter().map(|given| is_filled(given.value()))
}

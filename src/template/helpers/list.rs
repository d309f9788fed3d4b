//! The helper that splits a text into a list: `sentences`.
//!
//! Its result is only for `each`, for counting, and for `json`.

use handlebars::{Context, Handlebars, Helper, HelperDef, RenderContext, RenderError, ScopedJson};
use serde_json::Value;

use crate::template::helpers::{HelperDoc, TagOutput, text_param};
use crate::template::render_error::HelperError;
use crate::template::sentences;

pub(crate) const SENTENCES: HelperDoc = HelperDoc {
    name: "sentences",
    usage: "{{#each (sentences column 300)}} … {{this}} … {{/each}}",
    purpose: "splits a long script at sentence ends into pieces of at most that many characters; \
              without a number, into single sentences",
    example: "{{#each (sentences script 300)}}{\"org\": \"{{this}}\"}{{#unless @last}},{{/unless}}{{/each}}",
    arity: (1, 2),
    output: TagOutput::List,
};

pub(crate) fn register(engine: &mut Handlebars<'static>) {
    engine.register_helper(SENTENCES.name, Box::new(SentencesHelper));
}

struct SentencesHelper;

impl HelperDef for SentencesHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let text = text_param(helper, 0)?;
        let pieces = match helper.param(1) {
            None => sentences::split_sentences(&text),
            Some(_) => sentences::split_to_length(&text, piece_length(helper)?),
        };
        let pieces = pieces.into_iter().map(|piece| Value::String(piece.to_owned())).collect();
        Ok(ScopedJson::Derived(Value::Array(pieces)))
    }
}

fn piece_length(helper: &Helper<'_>) -> Result<usize, RenderError> {
    let length = text_param(helper, 1)?.trim().parse().ok().filter(|&length: &usize| length > 0);
    let error = || HelperError {
        column: None,
        message: "`sentences` needs a whole number of characters, at least 1".to_owned(),
        help: Some("write for example `{{#each (sentences script 300)}}`".to_owned()),
    };
    Ok(length.ok_or_else(error)?)
}

//! Helpers that change text: `upper`, `lower`, `truncate`, `paragraphs`.
//!
//! They return values, so their results are escaped like any cell.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError,
    ScopedJson,
};
use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

use crate::template::escape;
use crate::template::helpers::{HelperDoc, TagOutput, text_param, write_escaped};
use crate::template::render_error::HelperError;

pub(crate) const UPPER: HelperDoc = HelperDoc {
    name: "upper",
    usage: "{{upper column}}",
    purpose: "writes the text in capitals",
    example: "{{upper sku}} gives TEA-01",
    arity: (1, 1),
    output: TagOutput::Text,
};

pub(crate) const LOWER: HelperDoc = HelperDoc {
    name: "lower",
    usage: "{{lower column}}",
    purpose: "writes the text in small letters",
    example: "{{lower sku}} gives tea-01",
    arity: (1, 1),
    output: TagOutput::Text,
};

pub(crate) const TRUNCATE: HelperDoc = HelperDoc {
    name: "truncate",
    usage: "{{truncate column 40}}",
    purpose: "cuts the text to that many characters, … included",
    example: "{{truncate headline 8}} gives Spring…",
    arity: (2, 2),
    output: TagOutput::Text,
};

pub(crate) const PARAGRAPHS: HelperDoc = HelperDoc {
    name: "paragraphs",
    usage: "{{paragraphs column}}",
    purpose: "writes each line that is not blank as <p>…</p>, with <, > and & made safe",
    example: "{{paragraphs script}} gives <p>Hello.</p><p>Tea &amp; cake.</p>",
    arity: (1, 1),
    output: TagOutput::Text,
};

/// A function from one text to another.
type TextFunction = fn(&str) -> String;

pub(crate) fn register(engine: &mut Handlebars<'static>) {
    engine.register_helper(UPPER.name, Box::new(TextFunctionHelper(str::to_uppercase)));
    engine.register_helper(LOWER.name, Box::new(TextFunctionHelper(str::to_lowercase)));
    engine.register_helper(PARAGRAPHS.name, Box::new(TextFunctionHelper(wrap_paragraphs)));
    engine.register_helper(TRUNCATE.name, Box::new(TruncateHelper));
}

/// A helper with one text as its parameter and its result.
struct TextFunctionHelper(TextFunction);

impl HelperDef for TextFunctionHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        Ok(ScopedJson::Derived(Value::String(self.0(&text_param(helper, 0)?))))
    }

    /// Writes the result directly, without copying the text.
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        engine: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        write_escaped(engine, &self.0(&text_param(helper, 0)?), out)
    }
}

struct TruncateHelper;

impl HelperDef for TruncateHelper {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let length =
            text_param(helper, 1)?.trim().parse().ok().filter(|&length: &usize| length > 0);
        let Some(length) = length else {
            return Err(HelperError {
                column: None,
                message: "`truncate` needs a whole number of characters, at least 1".to_owned(),
                help: Some("write for example `{{truncate headline 40}}`".to_owned()),
            }
            .into());
        };
        let text = text_param(helper, 0)?;
        Ok(ScopedJson::Derived(Value::String(truncate(&text, length))))
    }
}

/// Shortens a text to `length` graphemes, including an ellipsis without a space before it.
fn truncate(text: &str, length: usize) -> String {
    if text.len() <= length {
        // No text has more graphemes than bytes.
        return text.to_owned();
    }
    let mut ends = text.grapheme_indices(true).map(|(start, _)| start);
    let kept_end = ends.nth(length - 1);
    match (kept_end, ends.next()) {
        (Some(kept_end), Some(_)) => format!("{}…", text[..kept_end].trim_end()),
        _ => text.to_owned(),
    }
}

/// Wraps each line in a paragraph: a line break in a script is a pause.
fn wrap_paragraphs(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    for line in text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()) {
        html.push_str("<p>");
        escape::push_html_escaped(&mut html, line);
        html.push_str("</p>");
    }
    html
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::template::helpers::text::*;

    #[test]
    fn truncation_counts_graphemes() {
        for (text, length, cut) in [
            ("Spring sale", 11, "Spring sale"),
            ("Spring sale", 8, "Spring…"),
            ("Spring", 1, "…"),
            ("", 5, ""),
            ("👩‍👩‍👧‍👦👍🏽🇰🇷", 3, "👩‍👩‍👧‍👦👍🏽🇰🇷"),
            ("👩‍👩‍👧‍👦👍🏽🇰🇷", 2, "👩‍👩‍👧‍👦…"),
            ("봄맞이 세일", 4, "봄맞이…"),
        ] {
            assert_eq!(truncate(text, length), cut, "{text} to {length}");
        }
    }

    #[test]
    fn every_line_that_is_not_blank_is_a_paragraph() {
        assert_eq!(
            wrap_paragraphs("Hello.\r\n\r\n  \nTea & <cake>\n"),
            "<p>Hello.</p><p>Tea &amp; &lt;cake&gt;</p>"
        );
        assert_eq!(wrap_paragraphs(" \n"), "");
    }

    proptest! {
        #[test]
        fn truncation_never_makes_text_longer(text in any::<String>(), length in 1usize..50) {
            let cut = truncate(&text, length);
            prop_assert!(cut.graphemes(true).count() <= length.max(1));
            prop_assert!(text.starts_with(cut.trim_end_matches('…')));
        }

        #[test]
        fn paragraphs_lose_no_character_of_a_line(line in "[^\r\n]*[^\\s]") {
            let html = wrap_paragraphs(&line);
            let inner = html.strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>"));
            let back = inner.expect("one paragraph")
                .replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            prop_assert_eq!(back, line);
        }
    }
}

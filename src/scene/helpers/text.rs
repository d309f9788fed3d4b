//! Helpers that change text: `upper`, `lower`, `truncate`, `paragraphs`.
//!
//! They return values, so what they make is escaped like any cell.

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, Output, RenderContext, RenderError,
    ScopedJson,
};
use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;

use super::{HelperDoc, Makes, text_of, write_text};
use crate::scene::escape;
use crate::scene::fault::Fault;

pub(super) const UPPER: HelperDoc = HelperDoc {
    name: "upper",
    usage: "{{upper column}}",
    purpose: "writes the text in capitals",
    example: "{{upper sku}} gives TEA-01",
    takes: (1, 1),
    makes: Makes::Text,
};

pub(super) const LOWER: HelperDoc = HelperDoc {
    name: "lower",
    usage: "{{lower column}}",
    purpose: "writes the text in small letters",
    example: "{{lower sku}} gives tea-01",
    takes: (1, 1),
    makes: Makes::Text,
};

pub(super) const TRUNCATE: HelperDoc = HelperDoc {
    name: "truncate",
    usage: "{{truncate column 40}}",
    purpose: "cuts the text to so many characters as a reader counts them, the … included",
    example: "{{truncate headline 8}} gives Spring…",
    takes: (2, 2),
    makes: Makes::Text,
};

pub(super) const PARAGRAPHS: HelperDoc = HelperDoc {
    name: "paragraphs",
    usage: "{{paragraphs column}}",
    purpose: "writes each line that is not blank as <p>…</p>, with <, > and & made safe",
    example: "{{paragraphs script}} gives <p>Hello.</p><p>Tea &amp; cake.</p>",
    takes: (1, 1),
    makes: Makes::Text,
};

/// Makes one text of another.
pub(in crate::scene) type Make = fn(&str) -> String;

/// The helpers that do.
pub(super) const OF_TEXT: [(HelperDoc, Make); 3] =
    [(UPPER, str::to_uppercase), (LOWER, str::to_lowercase), (PARAGRAPHS, paragraphs)];

pub(super) fn register(engine: &mut Handlebars<'static>) {
    for (helper, make) in OF_TEXT {
        engine.register_helper(helper.name, Box::new(OfText(make)));
    }
    engine.register_helper(TRUNCATE.name, Box::new(Truncate));
}

/// A helper that makes one text of another.
struct OfText(Make);

impl HelperDef for OfText {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        Ok(ScopedJson::Derived(Value::String(self.0(&text_of(helper, 0)?))))
    }

    /// The same as a tag of its own, without copying the text on its way.
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        engine: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        write_text(engine, &self.0(&text_of(helper, 0)?), out)
    }
}

struct Truncate;

impl HelperDef for Truncate {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let length = text_of(helper, 1)?.trim().parse().ok().filter(|&length: &usize| length > 0);
        let Some(length) = length else {
            return Err(Fault {
                column: None,
                message: "`truncate` needs a whole number of characters, at least 1".to_owned(),
                help: Some("write for example `{{truncate headline 40}}`".to_owned()),
            }
            .into());
        };
        let text = text_of(helper, 0)?;
        Ok(ScopedJson::Derived(Value::String(truncate(&text, length))))
    }
}

/// Cuts to `length` graphemes, the ellipsis among them, without a space before it.
pub(in crate::scene) fn truncate(text: &str, length: usize) -> String {
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

/// One paragraph per line: a script's line break is a pause, not a typing accident.
fn paragraphs(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    for line in text.split(['\n', '\r']).filter(|line| !line.trim().is_empty()) {
        html.push_str("<p>");
        escape::push_html(&mut html, line);
        html.push_str("</p>");
    }
    html
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn truncation_counts_what_a_reader_counts() {
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
    fn every_line_is_a_paragraph_and_blank_ones_are_none() {
        assert_eq!(
            paragraphs("Hello.\r\n\r\n  \nTea & <cake>\n"),
            "<p>Hello.</p><p>Tea &amp; &lt;cake&gt;</p>"
        );
        assert_eq!(paragraphs(" \n"), "");
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
            let html = paragraphs(&line);
            let inner = html.strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>"));
            let back = inner.expect("one paragraph")
                .replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            prop_assert_eq!(back, line);
        }
    }
}

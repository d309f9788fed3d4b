//! Writes out what is the same in every row, so that it is rendered once and not once a row.
//!
//! A tag is folded when nothing that it speaks of changes from row to row: columns that the sheet
//! does not have, values that the batch file sets, literals. What it becomes is left to the engine,
//! so a folded template makes the very bytes that the whole one makes; a tag that the engine
//! refuses stays, and is refused with its place when a row comes to it.
//!
//! Only what is written where the names are the video's own is looked at: inside `each` and `with`
//! a name is something else.

use handlebars::Context;
use handlebars::template::{HelperTemplate, Parameter, Subexpression, TemplateElement};

use crate::payload::merge::ColumnMapping;
use crate::template::columns::bare_name;
use crate::template::engine::TemplateEngine;

/// Returns a copy of a compact template with less to fill in. The context has no row's cells yet.
pub(crate) fn fold(
    template: &handlebars::Template,
    columns: &ColumnMapping,
    context: &Context,
) -> handlebars::Template {
    let mut copy = template.clone();
    for element in &mut copy.elements {
        match element {
            TemplateElement::Expression(tag) if is_settled(tag, columns) => {
                if let Some(text) = alone(element, context) {
                    *element = TemplateElement::RawString(text);
                }
            }
            TemplateElement::HelperBlock(block) if is_condition(block) => {
                for part in [&mut block.template, &mut block.inverse] {
                    *part = part.as_ref().map(|part| fold(part, columns, context));
                }
            }
            // Text, and blocks in which a name is something else.
            _ => {}
        }
    }
    copy
}

/// Renders one tag by itself; nothing if it cannot be.
fn alone(tag: &TemplateElement, context: &Context) -> Option<String> {
    let mut template = handlebars::Template::default();
    template.elements.push(tag.clone());
    TemplateEngine::Json.render(&template, context, 0).ok()
}

/// Tells whether names inside a block are what they are around it.
fn is_condition(block: &HelperTemplate) -> bool {
    matches!(block.name.as_name(), Some("if" | "unless")) && block.block_param.is_none()
}

/// Tells whether a tag becomes the same in every row.
fn is_settled(tag: &HelperTemplate, columns: &ColumnMapping) -> bool {
    let speaks_of = match tag.params.is_empty() {
        true => std::slice::from_ref(&tag.name),
        false => &tag.params,
    };
    tag.hash.is_empty() && speaks_of.iter().all(|value| is_same_in_every_row(value, columns))
}

fn is_same_in_every_row(value: &Parameter, columns: &ColumnMapping) -> bool {
    match value {
        Parameter::Literal(_) => true,
        Parameter::Subexpression(inner) => is_settled_call(inner, columns),
        other => bare_name(other).is_some_and(|name| !columns.is_row_dependent(name)),
    }
}

fn is_settled_call(inner: &Subexpression, columns: &ColumnMapping) -> bool {
    matches!(inner.as_element(), TemplateElement::Expression(tag) if is_settled(tag, columns))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::template::fold::*;
    use crate::template::{PartialFiles, SceneTemplate};

    /// A sheet with `sku` and `script_1`, `script_2`; the batch file sets `brand`, and fills in
    /// `place` and an empty `sku`.
    fn columns(grouped: bool) -> ColumnMapping {
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        ColumnMapping {
            names: ["sku", "script_1", "script_2"].map(str::to_owned).into(),
            defaults: [pair("place", "Busan"), pair("sku", "none")].into(),
            lists: [("script".to_owned(), vec![1, 2])].into(),
            assigned: [("title".to_owned(), 0)].into(),
            values: [pair("brand", "Tea \"&\" Co")].into(),
            grouped,
        }
    }

    /// Returns what is rendered for each row of the sheet above: text, and `…` for each tag.
    fn folded(source: &str) -> String {
        let template =
            SceneTemplate::parse("test", source, &PartialFiles::default()).expect(source);
        let columns = columns(template.is_grouped());
        let mut context = Context::null();
        *context.data_mut() = serde_json::json!({
            "sku": "", "script": [], "title": "", "brand": "Tea \"&\" Co", "place": "Busan",
        });
        shown(&fold(template.compact(), &columns, &context))
    }

    fn shown(template: &handlebars::Template) -> String {
        let pieces = template.elements.iter().map(|element| match element {
            TemplateElement::RawString(text) => text.clone(),
            TemplateElement::HelperBlock(block) => {
                let parts = [&block.template, &block.inverse].into_iter().flatten().map(shown);
                format!("({})", parts.collect::<Vec<_>>().join("|"))
            }
            _ => "…".to_owned(),
        });
        pieces.collect()
    }

    #[test]
    fn a_tag_that_speaks_of_no_cell_is_written_out() {
        for (source, expected) in [
            (r#""{{brand}} {{upper place}}""#, r#""Tea \"&\" Co BUSAN""#),
            (r#""{{default model "M1"}} {{default model place}}""#, r#""M1 Busan""#),
            (r#""{{truncate (upper (default model "abcdef")) 4}}""#, r#""ABC…""#),
            (r#"{{json brand}}"#, r#""Tea \"&\" Co""#),
            (r#"{{number (default size 72)}}"#, "72"),
            (r#""{{#if sku}}{{brand}}{{else}}{{place}}{{/if}}""#, r#""(Tea \"&\" Co|Busan)""#),
        ] {
            assert_eq!(folded(source), expected, "{source}");
        }
    }

    #[test]
    fn a_tag_that_a_cell_may_change_is_left_for_the_row() {
        for (source, expected) in [
            (r#""{{sku}} {{title}} {{default sku "x"}}""#, r#""… … …""#),
            (r#""{{default model sku}} {{truncate (upper title) 4}}""#, r#""… …""#),
            (r#"{{json script}}"#, "…"),
            (r#""{{lookup this "brand"}} {{this.brand}} {{@root.brand}}""#, r#""… … …""#),
            // Inside, `brand` is the item's, and the row's; a mistake there is told there.
            (r#"[{{#each script}}"{{default brand "x"}}"{{/each}}]"#, r#"[("…")]"#),
            (r#"[{{#each rows}}"{{brand}}"{{/each}}]"#, r#"[("…")]"#),
            (r#"{{#with this as |sku|}}"{{brand}}"{{/with}}"#, r#"("…")"#),
        ] {
            assert_eq!(folded(source), expected, "{source}");
        }
    }

    #[test]
    fn what_the_engine_refuses_stays_to_be_refused_in_its_place() {
        assert_eq!(folded(r#"{"a":"{{#if sku}}{{model}}{{/if}}"}"#), r#"{"a":"(…)"}"#);
        assert_eq!(folded(r#"{{number brand}}"#), "…");
    }

    fn tag() -> impl Strategy<Value = String> {
        let name = || prop::sample::select(vec!["sku", "title", "brand", "place", "model"]);
        prop_oneof![
            name().prop_map(|name| format!("{{{{{name}}}}}")),
            (name(), name()).prop_map(|(one, other)| format!("{{{{default {one} {other}}}}}")),
            name().prop_map(|name| format!("{{{{upper (default {name} \"ß\")}}}}")),
            (name(), name()).prop_map(|(one, other)| {
                format!(
                    "{{{{#if {one}}}}}{{{{{other}}}}}{{{{else}}}}{{{{lower {one}}}}}{{{{/if}}}}"
                )
            }),
            name().prop_map(|name| {
                format!("{{{{#each script}}}}{{{{this}}}}{{{{default {name} \"?\"}}}}{{{{/each}}}}")
            }),
        ]
    }

    proptest! {
        /// A job is merged again without this, and must become what was planned with it.
        #[test]
        fn any_template_makes_the_same_bytes_folded_and_whole(
            tags in prop::collection::vec(tag(), 0..6),
            cells in prop::collection::vec("[a-z\"\\\\<\u{e4}]{0,3}", 3),
        ) {
            let source = format!("\"{}\"", tags.concat());
            let template = SceneTemplate::parse("test", &source, &PartialFiles::default());
            let template = template.expect("the tags are right");
            let columns = columns(false);
            let mut merger = template.merger(&columns);
            let mut context = |rows: &[_]| Context::wraps(merger.template_fields(rows)).expect("it is JSON");
            let folded = fold(template.compact(), &columns, &context(&[]));
            let context = context(&[cells]);
            let whole = TemplateEngine::Json.render(template.compact(), &context, 0);
            let folded = TemplateEngine::Json.render(&folded, &context, 0);
            prop_assert_eq!(
                folded.map_err(|error| error.to_string()),
                whole.map_err(|error| error.to_string())
            );
        }
    }
}

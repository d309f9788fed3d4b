//! Blocks, their variables and paths behave as in Handlebars.js, whose templates users know.

use callsheet::payload::{ColumnMapping, PayloadMerger};
use callsheet::template::{PartialFiles, SceneTemplate};
use serde_json::Value;

/// Templates and what Handlebars.js 4.7 makes of them, with `a` = A, `b` = B, `empty` without text,
/// `zero` = 0, `item` = x, y, `word` = p, q, r and `none` without entries.
const BLOCKS: &[(&str, &str)] = &[
    (r"{{#each item}}{{this}}{{/each}}", r"xy"),
    (r"{{#each item}}{{@index}}{{this}}{{../a}}{{/each}}", r"0xA1yA"),
    (r"{{#each item}}{{#each ../word}}{{../this}}{{this}}{{/each}}{{/each}}", r"xpxqxrypyqyr"),
    (
        r"{{#each item}}{{#each ../word}}{{@../index}}.{{@index}} {{/each}}{{/each}}",
        r"0.0 0.1 0.2 1.0 1.1 1.2 ",
    ),
    (
        r"{{#each item as |x i|}}{{#each ../word as |y j|}}{{x}}{{i}}{{y}}{{j}}{{/each}}{{/each}}",
        r"x0p0x0q1x0r2y1p0y1q1y1r2",
    ),
    (
        r"{{#each item}}{{#if @first}}[{{/if}}{{this}}{{#if @last}}]{{else}},{{/if}}{{/each}}",
        r"[x,y]",
    ),
    (r"{{#if a}}{{#if empty}}1{{else}}2{{/if}}{{else}}3{{/if}}", r"2"),
    (r"{{#if empty}}1{{else if b}}{{b}}{{else}}3{{/if}}", r"B"),
    (r"{{#if empty}}1{{else if empty}}2{{else unless empty}}3{{else}}4{{/if}}", r"3"),
    (
        r"{{#unless empty}}{{#each item}}{{#unless @last}}{{this}}{{../b}}{{/unless}}{{/each}}{{/unless}}",
        r"xB",
    ),
    (r"{{#with a}}{{this}}{{../b}}{{/with}}", r"AB"),
    (r"{{#each item}}{{#if ../a}}{{../a}}{{this}}{{/if}}{{/each}}", r"AxAy"),
    (r"{{#each item}}{{#with ../a}}{{this}}{{../this}}{{../../b}}{{/with}}{{/each}}", r"AxBAyB"),
    (r"{{#each item}}{{@root.a}}{{#each ../word}}{{@root.b}}{{/each}}{{/each}}", r"ABBBABBB"),
    (
        r"{{#each word}}{{#if @first}}{{else}}{{#each ../item}}{{@../index}}{{this}}{{/each}}{{/if}}{{/each}}",
        r"1x1y2x2y",
    ),
    (
        r"{{#each word}}{{#each ../item}}{{#if @../last}}{{../this}}{{this}}{{/if}}{{/each}}{{/each}}",
        r"rxry",
    ),
    (
        r"{{#each item}}{{#each ../word}}{{#each ../../item}}{{../../this}}{{../this}}{{this}}{{/each}}{{/each}}{{/each}}",
        r"xpxxpyxqxxqyxrxxryypxypyyqxyqyyrxyry",
    ),
    (
        r"{{#each item}}{{#if @first}}{{#unless @last}}{{#with this}}{{this}}{{@index}}{{/with}}{{/unless}}{{/if}}{{/each}}",
        r"x0",
    ),
    (r"1 {{~#each item~}} {{this}} {{~/each~}} 2", r"1xy2"),
    (r"1 {{~#if a}} {{a}} {{~else~}} 3 {{/if}} 2", r"1 A 2"),
    (r"{{!-- c {{a}} --}}{{a}}", r"A"),
    (r"{{! c }}{{a}}", r"A"),
    (r"{{lookup item 1}}", r"y"),
    (r"{{#each item}}{{lookup ../word @index}}{{/each}}", r"pq"),
    (r"{{#each none}}x{{else}}y{{/each}}", r"y"),
    (r"{{#if empty}}1{{^}}2{{/if}}", r"2"),
    (r"{{#if zero}}1{{else}}2{{/if}}", r"1"),
    (r"\{{a}} {{a}}", r"{{a}} A"),
    (
        r"{{#each item}}{{#each ../word}}{{#if @first}}{{@../index}}{{/if}}{{else}}z{{/each}}{{/each}}",
        r"01",
    ),
    (r"{{#with a as |x|}}{{x}}{{/with}}", r"A"),
];

const COLUMNS: [(&str, &str); 10] = [
    ("a", "A"),
    ("b", "B"),
    ("empty", ""),
    ("zero", "0"),
    ("item_1", "x"),
    ("item_2", "y"),
    ("word_1", "p"),
    ("word_2", "q"),
    ("word_3", "r"),
    ("none_1", ""),
];

#[test]
fn blocks_variables_and_paths_give_the_texts_of_handlebars_js() {
    let lists = [("item", vec![4, 5]), ("word", vec![6, 7, 8]), ("none", vec![9])];
    let columns = ColumnMapping {
        names: COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect(),
        lists: lists.into_iter().map(|(name, places)| (name.to_owned(), places)).collect(),
        ..ColumnMapping::default()
    };
    let row: Vec<String> = COLUMNS.iter().map(|(_, cell)| (*cell).to_owned()).collect();
    let mut wrong = Vec::new();
    for (block, expected) in BLOCKS {
        let source = format!(
            r#"{{"name": "<{block}>", "scenes": [{{"clips": [{{"type": "aiModel",
                "model": {{"ai_name": "M1", "emotion": "B1"}}, "script": {{"org": "x"}}}}]}}]}}"#
        );
        let found = match SceneTemplate::parse("test", &source, &PartialFiles::default()) {
            Ok(template) => PayloadMerger::new(&template, &columns)
                .merge(std::slice::from_ref(&row))
                .map(|payload| {
                    let value: Value = serde_json::from_str(payload.text()).unwrap();
                    value["name"].as_str().unwrap().to_owned()
                })
                .map_err(|problems| format!("{problems:?}")),
            Err(problems) => Err(format!("{problems:?}")),
        };
        if found != Ok(format!("<{expected}>")) {
            wrong.push(format!("{block}: {found:?}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

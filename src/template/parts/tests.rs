//! Parts make what the engine makes, and what is read of it is judged as the whole is.

use proptest::prelude::*;
use serde_json::json;

use crate::payload::check;
use crate::request::PROJECT;
use crate::template::parts::*;
use crate::template::{PartialFiles, SceneTemplate};

fn template(source: &str) -> Result<SceneTemplate, Vec<crate::template::TemplateProblem>> {
    SceneTemplate::parse("test", source, &PartialFiles::default())
}

fn parts(source: &str) -> Parts {
    Parts::of_json(template(source).expect(source).compact())
}

fn fields(value: &Value) -> Context {
    Context::wraps(value).expect("it is JSON")
}

/// Returns the parts of a template: text as it is, what is made here as `<name>`, what is left to
/// the engine as `…`.
fn shown(parts: &Parts) -> String {
    let shown = parts.0.iter().map(|part| match part {
        Part::Text { text, .. } => text.clone(),
        Part::Words(wording) => format!("<{}>", worded(wording)),
        Part::Choice { cell, then, otherwise } => {
            format!("<{cell}?{}|{}>", shown(then), shown(otherwise))
        }
        Part::Tags(tags) => "…".repeat(tags.elements.len()),
    });
    shown.collect()
}

fn worded(wording: &Wording) -> String {
    match wording {
        Wording::Cell(name) => name.clone(),
        Wording::Fixed(text) => format!("'{text}'"),
        Wording::Made(_, text) => format!("f({})", worded(text)),
        Wording::Cut(text, length) => format!("{}..{length}", worded(text)),
        Wording::First(first, last) => {
            let all: Vec<_> = first.iter().map(worded).chain([worded(last)]).collect();
            all.join(" or ")
        }
    }
}

#[test]
fn a_cell_and_a_question_whether_there_is_one_are_answered_here() {
    for (source, expected) in [
        (r#""{{sku}}: {{sku}}""#, r#""<sku>: <sku>""#),
        (r#""{{#if a}}x{{b}}{{else}}y{{/if}}""#, r#""<a?x<b>|y>""#),
        (r#""{{upper sku}}{{paragraphs script}}""#, r#""<f(sku)><f(script)>""#),
        (r#""{{truncate (lower (default a b "x")) 5}}""#, r#""<f(a or b or 'x')..5>""#),
        (r#""{{#unless a}}x{{/unless}}""#, r#""<a?|x>""#),
        (r#""{{#if a}}x{{else if b}}y{{/if}}""#, r#""<a?x|<b?y|>>""#),
    ] {
        assert_eq!(shown(&parts(source)), expected, "{source}");
    }
}

#[test]
fn everything_else_is_left_to_the_engine() {
    for (source, expected) in [
        (r#""{{lookup this "sku"}}{{len script}} {{sku}}""#, r#""…… <sku>""#),
        (r#""{{truncate sku "5"}}{{default sku 5}}{{upper this.sku}}""#, r#""………""#),
        (r#""{{#if (eq a "x")}}{{b}}{{/if}}""#, r#""…""#),
        (r#"[{{#each rows}}"{{b}}"{{/each}}]"#, "[…]"),
        (r#""{{this.sku}}{{@root.sku}}""#, r#""……""#),
        (r#"{{number a}}"#, "…"),
    ] {
        assert_eq!(shown(&parts(source)), expected, "{source}");
    }
}

#[test]
fn what_no_check_asks_for_is_not_read() {
    let context = fields(&json!({"sku": "T", "n": "1", "a": "x"}));
    for (source, expected) in [
        // Inside another object it goes; at the top its key stays.
        (
            r#"{"x":[1],"model":{"ours":{"top":"b"},"ai_name":"M"}}"#,
            r#"{"x":0,"model":{"ai_name":"M"}}"#,
        ),
        // The last of an object keeps its key, for what follows may end in a comma.
        (r#"{"model":{"ai_name":"M","ours":[2,3]}}"#, r#"{"model":{"ai_name":"M","ours":0}}"#),
        // What a row fills in is read, and so is what holds it; what lies beside is not.
        (r#"{"a":{"b":"{{sku}}","c":"d","e":5,"f":6}}"#, r#"{"a":{"b":"T","f":0}}"#),
        (r#"{"model":{"b":{{number n}},"c":"d","e":5}}"#, r#"{"model":{"b":1,"e":0}}"#),
        (r#"{"model":{"b":12{{number n}},"c":{"d":0}}}"#, r#"{"model":{"b":121,"c":0}}"#),
        // Behind a block that may close an object, nobody knows which one an entry is in.
        (
            r#"{"model":{"b":1{{#if (eq a "x")}}}{{/if}},"u":34,"v":56}"#,
            r#"{"model":{"b":1},"u":0,"v":0}"#,
        ),
        (
            r#"{"model":{"b":1{{#unless empty}}}{{/unless}},"u":34,"v":56}"#,
            r#"{"model":{"b":1},"u":0,"v":0}"#,
        ),
        // Mistakes stay mistakes.
        (r#"{"model":{"k":12,}}"#, r#"{"model":{"k":0,}}"#),
        ("{\"model\":{\"k\u{1}\":12,\"b\":1}}", "{\"model\":{\"k\u{1}\":12,\"b\":0}}"),
        (r#"["k":1,"b",{"k":"a":1,"b"}]"#, r#"["k":0,"b",{"k":"a":0,"b"}]"#),
        (
            r#"{"model":{"k":01,"b":tru,"c":"\q","d":[}}}"#,
            r#"{"model":{"k":01,"b":tru,"c":"\q","d":[}}}"#,
        ),
    ] {
        let mut made = Made::default();
        parts(source).make(TemplateEngine::Json, &context, &mut made).expect("all is there");
        assert_eq!(made.read, expected, "{source}");
    }
}

#[test]
fn a_cell_that_is_not_there_or_is_a_list_is_the_engines_to_refuse() {
    for value in [json!({}), json!({"sku": ["a"]}), json!({"sku": null})] {
        let made =
            parts(r#""{{sku}}""#).make(TemplateEngine::Json, &fields(&value), &mut Made::default());
        made.expect_err("not a text");
    }
}

#[test]
fn a_value_that_cannot_be_made_is_refused_though_another_one_is_taken() {
    let source = r#""{{default sku (upper absent) "x"}}""#;
    let context = fields(&json!({"sku": "T"}));
    assert_eq!(shown(&parts(source)), r#""…""#);
    parts(source)
        .make(TemplateEngine::Json, &context, &mut Made::default())
        .expect_err("no `absent`");
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["sku", "empty", "blank", "script", "absent", "quote"])
}

/// A helper's name and its values, as they stand in a tag.
fn call() -> impl Strategy<Value = String> {
    let plain = prop_oneof![4 => name().prop_map(str::to_owned), 1 => Just("\"ß\"".to_owned())];
    let values = plain.prop_recursive(3, 12, 3, |inner| {
        let value = inner.clone();
        prop_oneof![
            1 => inner,
            2 => called(value).prop_map(|call| format!("({call})")),
        ]
    });
    called(values)
}

fn called(value: impl Strategy<Value = String> + Clone) -> impl Strategy<Value = String> {
    let made = (prop::sample::select(vec!["upper", "lower", "paragraphs"]), value.clone());
    prop_oneof![
        made.prop_map(|(make, value)| format!("{make} {value}")),
        (value.clone(), 1..4).prop_map(|(value, length)| format!("truncate {value} {length}")),
        prop::collection::vec(value, 2..4)
            .prop_map(|values| format!("default {}", values.join(" "))),
    ]
}

fn text() -> impl Strategy<Value = String> {
    let tag = prop_oneof![
        call().prop_map(|call| format!("{{{{{call}}}}}")),
        name().prop_map(|name| format!("{{{{{name}}}}}")),
        (name(), name()).prop_map(|(one, other)| {
            format!("{{{{#if {one}}}}}{{{{{other}}}}}{{{{else}}}}-{{{{lower {one}}}}}{{{{/if}}}}")
        }),
        (name(), name()).prop_map(|(one, other)| {
            format!("{{{{#unless {one}}}}}a{{{{else if {other}}}}}{{{{{other}}}}}{{{{/unless}}}}")
        }),
        Just("{{#each script}}{{this}}{{sku}}{{/each}}".to_owned()),
        Just(r#"b\"\\ü"#.to_owned()),
    ];
    prop::collection::vec(tag, 0..3).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_template_makes_the_bytes_that_the_engine_makes(pieces in prop::collection::vec(text(), 1..4)) {
        let source = format!("[\"{}\"]", pieces.join("\", \""));
        let template = template(&source).expect(&source);
        let context = fields(&json!({
            "sku": "<T-1>", "empty": "", "blank": " ", "script": ["a", "b\""], "quote": "\"\\\n",
        }));
        let mut made = Made::default();
        match (
            Parts::of_json(template.compact()).make(TemplateEngine::Json, &context, &mut made),
            TemplateEngine::Json.render(template.compact(), &context, 0),
        ) {
            (Ok(()), whole) => prop_assert_eq!(Some(made.text), whole.ok(), "{}", source),
            // Lists in texts are given up, though the engine would write them.
            (Err(Unfit), Ok(_)) => prop_assert!(source.contains("script"), "{}", source),
            (Err(Unfit), Err(_)) => {}
        }
    }
}

/// A value as a template may hold it, with keys that are read somewhere and keys that are not.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("1".to_owned()),
        Just("-0.5e3".to_owned()),
        Just("null".to_owned()),
        Just(r#""aiModel""#.to_owned()),
        Just(r#""{{sku}}""#.to_owned()),
        Just(r#""a{{#if empty}}b{{/if}}\"c{{quote}}""#.to_owned()),
        Just("{{number n}}".to_owned()),
        Just("{{json quote}}".to_owned()),
    ];
    leaf.prop_recursive(5, 48, 5, |inner| {
        let key = prop::sample::select(vec![
            "scenes",
            "clips",
            "scripts",
            "type",
            "model",
            "ai_name",
            "org",
            "top",
            "name",
            "x",
            "editor",
            "a,b",
            "é",
            r"sc\u0065nes",
        ]);
        let entry = (key, inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        let entry = prop_oneof![entry, Just("\"k\":1".to_owned())];
        let entry = (entry, 0..8_u8).prop_map(|(entry, kind)| match kind {
            0 => format!("\"y\": 2{{{{#if sku}}}}, {entry}{{{{/if}}}}"),
            1 => format!("{{{{#if empty}}}}{entry}{{{{else}}}}\"z\":{{}},\"x\":1{{{{/if}}}}"),
            2 => format!("{{{{#if (eq sku \"T\")}}}}{entry}, {{{{/if}}}}\"w\" : [3]"),
            _ => entry,
        });
        prop_oneof![
            2 => prop::collection::vec(entry, 0..5)
                .prop_map(|entries| format!("{{{}}}", entries.join(","))),
            1 => prop::collection::vec(inner, 0..3)
                .prop_map(|items| format!("[{}]", items.join(", "))),
        ]
    })
}

/// Spoils a text at one of its signs: nothing, or something else, stands there.
fn spoiled(text: &str, place: prop::sample::Index, piece: &str) -> String {
    let signs: Vec<usize> =
        text.match_indices(['{', '}', '[', ']', ',', ':']).map(|(at, _)| at).collect();
    match signs.is_empty() {
        true => text.to_owned(),
        false => {
            let at = *place.get(&signs);
            format!("{}{piece}{}", &text[..at], &text[at + 1..])
        }
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    let pieces = [
        "",
        "",
        ",",
        ":",
        "{",
        "}",
        "[",
        "]",
        ",,",
        ",\"k\":1,",
        ",\"k\\q\":1,",
        "\u{1}",
        "0",
        "\\",
    ];
    prop::sample::select(pieces.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn what_is_read_is_judged_as_the_whole_text_is(
        whole in value(),
        slips in prop::collection::vec((any::<prop::sample::Index>(), piece()), 0..3),
        inside in any::<bool>(),
    ) {
        let mut source = whole;
        if inside {
            source = format!("{{\"name\":\"n\",\"scenes\":[{{\"u\":{source},\"v\":2,\"clips\":[{source}]}}]}}");
        }
        for (place, piece) in slips {
            source = spoiled(&source, place, piece);
        }
        // Some slips are seen when the template is read.
        if let Ok(template) = template(&source) {
            let context = fields(&json!({"sku": "T", "empty": "", "n": "7", "quote": "\"{,"}));
            let mut made = Made::default();
            if Parts::of_json(template.compact()).make(TemplateEngine::Json, &context, &mut made).is_ok() {
                let judged = |text: &str| {
                    let judged = check::check_payload(text, &PROJECT).map_err(|_| "it is not JSON");
                    format!("{judged:?}")
                };
                prop_assert_eq!(judged(&made.read), judged(&made.text), "{}\n{}", source, made.read);
            }
        }
    }
}

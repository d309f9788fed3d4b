//! The insertion of partials, their parameters, and the locations of mistakes in them.

use crate::template::SceneTemplate;
use crate::template::partials::*;

fn partials(all: &[(&str, &str)]) -> PartialFiles {
    let partial = |(name, text): &(&str, &str)| {
        let file = format!("partials/{name}.json.hbs");
        ((*name).to_owned(), PartialFile { file, text: Ok((*text).to_owned()) })
    };
    PartialFiles(all.iter().map(partial).collect())
}

fn whole(source: &str, all: &[(&str, &str)]) -> String {
    let (whole, problems) = assemble_template(source, &partials(all)).expect(source);
    assert_eq!(problems, [], "{source}");
    whole.text
}

fn refused(source: &str, all: &[(&str, &str)]) -> String {
    let problems = SceneTemplate::parse("test", source, &partials(all)).expect_err(source);
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn partial_replaces_its_tag() {
    for (source, partial, expected) in [
        ("a {{> p}} b", "\u{feff}P\r\n", "a P b"),
        ("a\n {{~> p ~}}\n b", "P\n", "aPb"),
        ("{{#each rows}}{{> p}}{{/each}}", "{{script}}", "{{#each rows}}{{script}}{{/each}}"),
        (
            r"\{{> p}} {{!-- {{> p}} --}}{{! {{> p }}",
            "P",
            r"\{{> p}} {{!-- {{> p}} --}}{{! {{> p }}",
        ),
    ] {
        assert_eq!(whole(source, &[("p", partial)]), expected);
    }
    let nested = [("a", "<{{> b}}>"), ("b", "{{> c.d}}"), ("c.d", "c")];
    assert_eq!(whole("{{> a}}{{> a}}", &nested), "<c><c>");
}

#[test]
fn given_value_replaces_the_name() {
    for (call, partial, expected) in [
        (
            "t=headline",
            "{{t}} {{upper t}} {{~t~}}",
            "{{headline}} {{upper headline}} {{~headline~}}",
        ),
        ("t=row", "{{t.sku}} {{t/sku}} {{x.t}}", "{{row.sku}} {{row/sku}} {{x.t}}"),
        (
            "t=\"a }} b\"",
            "{{t}} {{upper t}}",
            "{{default \"a }} b\" \"a }} b\"}} {{upper \"a }} b\"}}",
        ),
        ("t=-1.5", "{{number t}} {{#if t}}{{/if}}", "{{number -1.5}} {{#if -1.5}}{{/if}}"),
        (
            "t=(default a \"b\")",
            "{{t}} {{upper t}} {{#if t}}{{else if t}}{{/if}}",
            "{{default a \"b\"}} {{upper (default a \"b\")}} \
             {{#if (default a \"b\")}}{{else if (default a \"b\")}}{{/if}}",
        ),
        ("t=[My text]", "{{json t}}", "{{json [My text]}}"),
        ("t=x", "{{t t}} {{[t]}} {{@t}} {{this.t}}", "{{t x}} {{[t]}} {{@t}} {{x}}"),
        // Inside a loop of the partial, its values are one level up, and so are their paths.
        (
            "t=x",
            "{{#each rows}}{{t}}{{../t}}{{else}}{{t}}{{/each}}{{t}}",
            "{{#each rows}}{{t}}{{../x}}{{else}}{{x}}{{/each}}{{x}}",
        ),
        (
            "t=(eq @index y)",
            "{{#with a}}{{#if ../t}}{{/if}}{{/with}}",
            "{{#with a}}{{#if (eq @../index ../y)}}{{/if}}{{/with}}",
        ),
        (
            "t=x",
            "{{#each rows as |t i|}}{{t}}{{../t}}{{/each}}",
            "{{#each rows as |t i|}}{{t}}{{../x}}{{/each}}",
        ),
    ] {
        assert_eq!(whole(&format!("{{{{> p {call}}}}}"), &[("p", partial)]), expected, "{call}");
    }
    let nested = [("a", "{{> b u=t}}"), ("b", "{{#each rows}}{{../u}}{{/each}}")];
    assert_eq!(whole("{{> a t=sku}}", &nested), "{{#each rows}}{{../sku}}{{/each}}");
    let around = [("p", "{{#with x}}{{../t}}{{/with}}")];
    assert_eq!(
        whole("{{#each rows as |row|}}{{> p t=row.sku}}{{/each}}", &around),
        "{{#each rows as |row|}}{{#with x}}{{row.sku}}{{/with}}{{/each}}"
    );
}

#[test]
fn mistake_in_a_partial_is_located_in_its_file() {
    let source = "{\n  \"a\": [ {{> card text=sku}} ]\n}";
    for (partial, said) in [
        (
            "{\n  {{#if text}}\n}",
            "`partials/card.json.hbs` line 2, column 3: `{{#if …}}` is never closed; \
             write `{{/if}}` where the part ends",
        ),
        (
            "{\n  \"é\": {{text}}\n}",
            "`partials/card.json.hbs` line 2, column 8: `{{sku}}` stands outside quotes, where a \
             cell could add JSON; write `\"{{sku}}\"` for text, `{{number sku}}` for a number",
        ),
        (
            "{\"é\": \"{{text}}{{uper text}}\"}",
            "`partials/card.json.hbs` line 1, column 16: there is no helper `uper`; \
             did you mean `upper`?",
        ),
        (
            "{\"é\": \"{{txet}}\"}",
            "template line 2, column 10: `partials/card.json.hbs` does not use `text`; \
             leave it out, or name a value that the partial uses",
        ),
        (
            "{{text}}{{> card}}",
            "`partials/card.json.hbs` line 1, column 9: partials go round in a circle: \
             `card` takes in `card`; take one of them out",
        ),
    ] {
        assert_eq!(refused(source, &[("card", partial)]), said);
    }
}

#[test]
fn wrong_call_of_a_partial_has_a_hint() {
    let all = [("card", "1"), ("scene", "{{text.x}}")];
    let source = "[{{> crad}},\n{{> card sku}},{{> card text=}},\n{{> scene text=\"a\"}},\n\
                  {{#> card}}{{/card}},{{> (lookup this \"a\")}}]";
    insta::assert_snapshot!(refused(&source.replace("{{> card text=}},", ""), &all), @"
    template line 1, column 2: there is no partial `crad`; did you mean `card`?
    template line 2, column 1: a partial takes its values by name; write `{{> card name=column}}`; without values it sees what the tag's place sees
    `partials/scene.json.hbs` line 1, column 3: `text` is one value and has no parts; give the partial a column or a row
    template line 4, column 22: a partial is called by its name; write `{{> name}}`, or choose with `{{#if …}}`
    ");
    insta::assert_snapshot!(refused("[{{> card}}]", &[]), @"template line 1, column 2: there is no partial `card`; write it into `partials/card.json.hbs` beside the template");
    insta::assert_snapshot!(refused("[{{#> card}}{{/card}}]", &all), @"template line 1, column 2: the partial `card` cannot be taken in here; write `{{> card}}` in the template, without a block");
    let mut unread = partials(&all);
    let why = Err("it is not UTF-8 text; save it as UTF-8".to_owned());
    unread
        .0
        .insert("card".to_owned(), PartialFile { file: "partials/card.hbs".to_owned(), text: why });
    let problems = SceneTemplate::parse("test", "[{{> card}}]", &unread).expect_err("it is unread");
    insta::assert_snapshot!(problems[0], @"template line 1, column 2: cannot read `partials/card.hbs`: it is not UTF-8 text; save it as UTF-8; fix the file, or remove the tag");
    assert!(
        SceneTemplate::parse("test", "[{{> scene text=row}}]", &unread).is_err(),
        "outside quotes"
    );
}

#[test]
fn partials_that_insert_each_other_twice_are_rejected() {
    for leaf in [String::new(), "x".repeat(1000)] {
        let double = |n| (format!("p{n}"), format!("{{{{> p{0}}}}}{{{{> p{0}}}}}", n + 1));
        let mut all: Vec<(String, String)> = (0..40).map(double).collect();
        all.push(("p40".to_owned(), leaf));
        let all: Vec<(&str, &str)> = all.iter().map(|(name, text)| (&**name, &**text)).collect();
        assert!(refused("{{> p0}}", &all).contains("too often"));
    }
}

//! Parsing a template: accepted and refused tags, required columns, and problem texts.

use crate::template::*;

fn parsed(source: &str) -> SceneTemplate {
    match SceneTemplate::parse("test", source, &PartialFiles::default()) {
        Ok(template) => template,
        Err(problems) => panic!("{source}: {}", describe_problems(&problems)),
    }
}

fn refused(source: &str) -> String {
    describe_problems(
        &SceneTemplate::parse("test", source, &PartialFiles::default()).expect_err(source),
    )
}

/// Writes each problem on three lines; one would be too long for this file.
fn describe_problems(problems: &[TemplateProblem]) -> String {
    let lines = problems.iter().map(|problem| {
        let help = problem.help.as_deref().map(|help| format!("\n  {help}")).unwrap_or_default();
        format!("{}\n  {}{help}", problem.location, problem.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn columns_are_required_unless_every_use_is_conditional() {
    for (source, required, optional) in [
        (r#"{"a":"{{sku}}"}"#, "sku", ""),
        (r#"{"a":"{{upper sku}} {{sku}}"}"#, "sku", ""),
        (r#"{"a":"{{#if headline}}{{headline}}{{/if}}"}"#, "", "headline"),
        (r#"{"a":"{{#if x}}{{y}}{{else}}{{y}} {{z}}{{/if}}"}"#, "y", "x z"),
        (r#"{"a":"{{#unless x}}{{y}}{{/unless}}{{x}}"}"#, "x", "y"),
        (r#"{"a":"{{default language "en"}}"}"#, "", "language"),
        (r#"{"a":"{{default language fallback}}"}"#, "fallback", "language"),
        (r#"{"a":"{{upper (default language "en")}}"}"#, "", "language"),
        (r#"{"a":"{{#if (eq language "ko")}}k{{/if}}"}"#, "language", ""),
        (r#"{"a":"{{#if (and x (not y))}}k{{/if}}"}"#, "", "x y"),
        (r#"{"a":"{{[Script (EN)]}}","b":"{{이름}}"}"#, "Script (EN) 이름", ""),
        (r#"{"a":"{{lookup this "My column"}}"}"#, "My column", ""),
        (r#"{"a":{{number (default size 5)}}}"#, "", "size"),
        (r#"{"a":"{{this.number}}{{./len}}{{@root.raw}}"}"#, "number len raw", ""),
        (r#"{"a":"{{!-- {{nothing}} --}}{{! {{none }} \{{text}}"}"#, "", ""),
    ] {
        let template = parsed(source);
        assert_eq!(template.required_columns().join(" "), required, "{source}");
        assert_eq!(template.optional_columns().join(" "), optional, "{source}");
        assert!(!template.is_grouped(), "{source}");
    }
}

#[test]
fn names_inside_rows_are_columns_of_the_row() {
    for (source, required) in [
        (
            r#"{"a":[{{#each rows}}"{{script}} {{../video}} {{@root.name}}"{{/each}}]}"#,
            "script video name",
        ),
        (r#"[{{#each rows as |row i|}}"{{row.script}} {{i}} {{sku}}"{{/each}}]"#, "script sku"),
        (r#""{{rows.0.script}}{{#with rows.1}}{{sku}}{{/with}}""#, "script sku"),
        (r#""{{lookup (lookup rows 0) "script"}}""#, ""),
        (r#"[{{#each rows}}{{@index}}{{#unless @last}},{{/unless}}{{/each}}]"#, ""),
        (r#"{"all":{{json rows}},"n":{{len rows}}}"#, ""),
    ] {
        let template = parsed(source);
        assert_eq!(template.required_columns().join(" "), required, "{source}");
        assert!(template.is_grouped(), "{source}");
    }
}

#[test]
fn tags_that_write_a_cell_unescaped_are_refused() {
    insta::assert_snapshot!(refused(
        "{\n\"a\": \"{{{raw}}} {{&raw}}\",\n\"b\": \"{{> part}}\", {{#> part}}{{/part}}\n\
         \"c\": \"{{log sku}}\", {{* inline}}\n}"
    ), @"
    template line 3, column 7
      there is no partial `part`
      write it into `partials/part.json.hbs` beside the template
    template line 2, column 7
      `{{{raw}}}` and `{{&raw}}` write a cell unescaped: a quote in it would end the JSON string
      write `{{raw}}`, or `{{json raw}}`
    template line 2, column 17
      `{{{raw}}}` and `{{&raw}}` write a cell unescaped: a quote in it would end the JSON string
      write `{{raw}}`, or `{{json raw}}`
    template line 3, column 20
      the partial `part` cannot be taken in here
      write `{{> part}}` in the template, without a block
    template line 4, column 7
      `{{log}}` would write cells into the program's log
      leave it out; `callsheet preview` shows the payload
    template line 4, column 21
      decorators such as `{{* inline}}` are not supported
      write the text where it is needed
    ");
}

#[test]
fn wrong_call_has_the_correct_syntax_as_hint() {
    insta::assert_snapshot!(refused(
        "{\"a\": \"{{uper sku}} {{upper}} {{upper a b}} {{default a}}\n\
         {{if a}} {{(upper a)}} {{#if}}{{/if}}\n\
         {{#headline}}{{/headline}} {{#upper a}}{{/upper}} {{truncate a length=3}}\n\
         {{@idx}} {{upper (a)}}\"}"
    ), @r#"
    template line 1, column 8
      there is no helper `uper`
      did you mean `upper`?
    template line 1, column 21
      `upper` is a helper and needs a value
      write `{{upper column}}`; for a column of that name, `{{this.upper}}`
    template line 1, column 31
      `upper` takes 1 value, not 2
      write `{{upper column}}`
    template line 1, column 45
      `default` takes 2 or more values, not 1
      write `{{default column "else"}}`
    template line 2, column 1
      `if` opens a block
      write `{{#if column}} … {{else}} … {{/if}}`
    template line 2, column 10
      a tag must begin with a column or a helper, not with a bracket
      write `{{upper column}}`, not `{{(upper column)}}`
    template line 2, column 24
      `if` takes 1 value, not 0
      write `{{#if column}} … {{else}} … {{/if}}`
    template line 3, column 1
      there is no helper `headline`
      blocks are `if`, `unless`, `each` and `with`; a condition is `{{#if headline}}`
    template line 3, column 28
      `upper` opens no block
      write `{{upper column}}`
    template line 3, column 51
      `truncate` takes 2 values, not 1
      write `{{truncate column 40}}`
    template line 3, column 51
      `truncate` knows no option `length=`
      write `{{truncate column 40}}`
    template line 4, column 1
      there is no `@idx`
      after `@` there are: `index`, `first`, `last`, `key`
    template line 4, column 10
      brackets call a helper, and there is no value in these
      leave the brackets out, or write `(upper column)`
    "#);
}

#[test]
fn tag_on_the_wrong_side_of_the_quotes_is_refused() {
    insta::assert_snapshot!(refused(
        "{\n\"a\": {{size}},\n\"b\": {{default size 5}},\n\"c\": \"{{json name}}\",\n\
         \"d\": \"\\\\\\\\{{e}} \\u00{{e}}\",\n\"f\": {{#if x}}\"{{/if}}x\"\n}"
    ), @r#"
    template line 2, column 6
      `{{size}}` stands outside quotes, where a cell could add JSON
      write `"{{size}}"` for text, `{{number size}}` for a number
    template line 3, column 6
      `{{default …}}` stands outside quotes, where a cell could add JSON
      write `"{{default …}}"`, or `{{number (…)}}`
    template line 4, column 7
      `{{json name}}` writes its own quotes and stands inside quotes
      leave out the quotes around it, or the `json`
    template line 5, column 11
      `{{e}}` stands after a backslash, which would change it
      put a space between them, or leave the backslash out
    template line 5, column 21
      `{{e}}` stands after a backslash, which would change it
      put a space between them, or leave the backslash out
    template line 6, column 6
      `{{#if}}` opens or closes a quote only some of the time
      write both quotes inside it, or both outside
    template line 6, column 24
      a quote on this line is opened and not closed
      close it with `"`; a line break inside a text is written `\n`
    "#);
}

#[test]
fn open_quote_is_reported_on_its_line_alone() {
    insta::assert_snapshot!(refused(
        "{\n  \"name\": \"{{sku}},\n  \"a\": \"{{headline}}\",\n  \"b\": {{json b}}\n}"
    ), @r#"
    template line 2, column 19
      a quote on this line is opened and not closed
      close it with `"`; a line break inside a text is written `\n`
    "#);
    insta::assert_snapshot!(refused("{\"name\": \"{{sku}}}"), @r#"
    template line 1, column 19
      a quote on this line is opened and not closed
      close it with `"`; a line break inside a text is written `\n`
    "#);
}

#[test]
fn a_whole_row_cannot_be_printed() {
    insta::assert_snapshot!(refused(
        "[\"{{rows}}\", \"{{this}}\", {{#each rows}}\"{{this}}\"{{/each}}, \"{{lookup rows 0}}\"]"
    ), @"
    template line 1, column 3
      a list or a whole row would print as `[object]`
      name a column of it, write `{{#each rows}}`, or `{{json rows}}`
    template line 1, column 15
      a list or a whole row would print as `[object]`
      name a column of it, write `{{#each rows}}`, or `{{json rows}}`
    template line 1, column 41
      a list or a whole row would print as `[object]`
      name a column of it, write `{{#each rows}}`, or `{{json rows}}`
    template line 1, column 62
      a list or a whole row would print as `[object]`
      name a column of it, write `{{#each rows}}`, or `{{json rows}}`
    ");
}

#[test]
fn syntax_error_is_located_at_the_faulty_tag() {
    let sources = [
        "{\n{{#if a}}\n\"x\": 1\n",
        "{\n{{#if a}}{{#each rows}}{{/if}}{{/each}}\n}",
        "{}\n{{/if}}",
        "{\"a\": \"{{my column}}\", \"b\": \"{{a b\n}}\"",
        "{\"a\": \"{{Script (EN)}}\"}",
        "{\"a\": {{}}}",
    ];
    let lines: Vec<String> = sources.iter().map(|source| refused(source)).collect();
    insta::assert_snapshot!(lines.join("\n"), @"
    template line 2, column 1
      `{{#if …}}` is never closed
      write `{{/if}}` where the part ends
    template line 2, column 24
      `{{/if}}` closes `{{#each}}`, opened on line 2
      close it with `{{/each}}` first
    template line 2, column 1
      `{{/if}}` closes nothing
    template line 1, column 8
      there is no helper `my`
      a column whose name has spaces is written `{{[my …]}}`
    template line 1, column 30
      there is no helper `a`
      a column whose name has spaces is written `{{[a …]}}`
    template line 1, column 8
      there is no helper `Script`
      a column whose name has spaces is written `{{[Script …]}}`
    template line 1, column 8
      brackets call a helper, and there is no value in these
      leave the brackets out, or write `(upper column)`
    template line 1, column 9
      this tag is not written as Handlebars expects
      write `{{column}}`, `{{helper column}}` or `{{#if column}}…{{/if}}`
    ");
}

#[test]
fn the_hash_follows_the_source() {
    let (one, other) = (parsed("{}"), parsed("{ }"));
    assert_eq!(one.hash().len(), 32);
    assert_ne!(one.hash(), other.hash());
    assert_eq!(one.hash(), parsed("{}").hash());
    assert_eq!(format!("{one:?}").matches("{}").count(), 0, "the source stays out of logs");
}

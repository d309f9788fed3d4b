//! Templates that are nested, repeated or linked beyond measure: refused with their place, in a process
//! that stays alive and within its memory.

use crate::support::test_cli::{CommandOutput, TEMPLATE, TestCli};

/// Plans the batch with limited memory, and returns the messages.
fn plan_with_little_memory(office: &TestCli, source: &str) -> CommandOutput {
    office.write("t.json.hbs", source);
    let mut command = std::process::Command::new("sh");
    let limited = "ulimit -d $((256 * 1024)); exec \"$0\" plan b.toml --offline";
    command.args(["-c", limited, env!("CARGO_BIN_EXE_callsheet")]).current_dir(office.dir.path());
    office.start(&mut command).wait()
}

/// Puts JSON beside the scenes of the usual template.
fn with_field(json: &str) -> String {
    TEMPLATE.replacen('{', &format!("{{\"extra\": {json},"), 1)
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    format!("{}{}", open.repeat(depth), close.repeat(depth))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_without_end_is_refused_with_its_place() {
    let office = TestCli::new(2).await;
    let columns: String = (1..=1_500).map(|number| format!(",x_{number}")).collect();
    let cells = ",x".repeat(1_500);
    let long = "word ".repeat(4_000);
    office.write("s.csv", &format!("key,script{columns}\na,{long}{cells}\nb,c{cells}\n"));
    let chain = "{{else if x}}b".repeat(5_000);
    let calls = |depth: usize| format!("{}key{}", "(not ".repeat(depth), ")".repeat(depth));
    let each = "{{#each x}}{{#each ../x}}{{#each ../../x}}{{/each}}{{/each}}{{/each}}";
    let mut messages = String::new();
    for source in [
        with_field(&format!("\"{}\"", nested("{{#if key}}", "{{/if}}", 2_000))),
        with_field(&format!("\"{}\"", nested("{{#each x}}", "{{/each}}", 100_000))),
        with_field(&format!("\"{{{{#if key}}}}a{chain}{{{{/if}}}}\"")),
        with_field(&format!("\"{{{{#if {}}}}}a{{{{/if}}}}\"", calls(2_000))),
        with_field(&format!("{{{{json {}}}}}", nested("[", "]", 100_000))),
        with_field(&format!("\"{}\"", "{{key}}".repeat(20_000))),
        with_field(&format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000))),
        with_field("{{#each x}}[{{/each}}1{{#each x}}]{{/each}}"),
        with_field(&format!("\"{each}\"")),
        with_field("\"{{#each x}}{{../script}}{{/each}}\""),
        format!("{}{}", TEMPLATE, " ".repeat(5 << 20)),
    ] {
        let ended = plan_with_little_memory(&office, &source);
        assert_eq!(ended.code, Some(4), "{source:.80}: {ended:.1000?}");
        let lines = ended.stderr.lines().filter(|line| {
            let line = line.trim_start();
            line.starts_with('×') || line.starts_with("error") || line.starts_with('╭')
        });
        messages.push_str(&lines.map(|line| format!("{line}\n")).collect::<String>());
    }
    insta::assert_snapshot!(messages, @"
      × blocks are nested more than 100 deep here
       ╭─[t.json.hbs:1:104]
      × blocks are nested more than 100 deep here
       ╭─[t.json.hbs:1:104]
      × more than 300 `{{else if}}` follow each other
       ╭─[t.json.hbs:1:104]
      × this tag has more than 100 brackets
       ╭─[t.json.hbs:1:15]
      × this tag has more than 100 brackets
       ╭─[t.json.hbs:1:14]
      × a template of this size can have 7652 tags at most
       ╭─[t.json.hbs:1:104]
      × row 2 and 1 more: objects and lists are nested more than 100 deep here
       ╭─[t.json.hbs:1:104]
      × row 2 and 1 more: objects and lists are nested more than 100 deep here
       ╭─[t.json.hbs:1:22]
      × row 2 and 1 more: the loops of the template repeat more than 100000 times
       ╭─[t.json.hbs:1:37]
      × row 2: the payload grows beyond 16 MB
       ╭─[t.json.hbs:1:23]
    error: cannot read the template `t.json.hbs`: it is larger than 4 MB
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_at_its_limits_is_planned() {
    let office = TestCli::new(2).await;
    let scenes = "\"a long text without line breaks \",".repeat(28_000);
    for source in [
        with_field(&format!("\"{}\"", nested("{{#if key}}", "{{/if}}", 100))),
        with_field(&format!(
            "\"{{{{#if (eq key \"x\")}}}}a{}{{{{/if}}}}\"",
            "{{else if (eq key \"y\")}}b".repeat(300)
        )),
        with_field(&format!("\"{}\"", "{{key}}".repeat(9_000))),
        with_field(&format!("{}1{}", "[".repeat(98), "]".repeat(98))),
        // A megabyte in one line, as an editor writes it.
        with_field(&format!("[{scenes}1]")).replace('\n', ""),
    ] {
        let ended = plan_with_little_memory(&office, &source);
        assert_eq!(ended.code, Some(0), "{source:.80}: {:.1000}", ended.stderr);
    }
    let mistake =
        with_field(&format!("[{scenes}1]")).replace('\n', "").replace("\"B1\"}}", "{{key}}}}");
    let ended = plan_with_little_memory(&office, &mistake);
    assert_eq!(ended.code, Some(4), "{ended:.1000?}");
    insta::assert_snapshot!(office.normalize(&ended.stderr), @r#"
      × `{{key}}` stands outside quotes, where a cell could add JSON
       ╭─[t.json.hbs:1:104]
     1 │ …layer": 1, "top": 0, "left": 0, "width": 9,      "height": 9, "model": {"ai_name": "M1", "emotion": {{key}}}}]  }]}…
       ·                                                                                                      ───┬───
       ·                                                                                                         ╰── here (column 980302)
       ╰────
      help: write `"{{key}}"` for text, `{{number key}}` for a number
    1 problem in the template `t.json.hbs`. Nothing was spent
    "#);
}

/// What programs and users make of a template without meaning to.
#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_a_template_are_shown_with_their_line_and_a_caret() {
    let office = TestCli::new(1).await;
    office.write("t.json.hbs", &format!("\u{feff}{TEMPLATE}"));
    assert_eq!(office.run(&["plan", "b.toml", "--offline"]).code, Some(0), "a byte order mark");
    // Braces that are too few may be meant; a wrong row would show it.
    office.write("t.json.hbs", &TEMPLATE.replacen("{{key}}", "{key}", 1));
    let ended = office.run(&["plan", "b.toml", "--offline"]);
    let warning = "row 2: `{key}` looks like something to be filled in (t.json.hbs line 2)";
    assert!(ended.stderr.contains(warning), "{ended:?}");
    let mut messages = String::new();
    for (right, wrong) in [
        ("\"{{script}}\"", "\u{201c}{{script}}\u{201d}"),
        ("\"{{script}}\",", "\"{{script}}\""),
        ("\"B1\"}}]", "\"B1\"}},]"),
        ("\"name\":", "\u{201e}name\u{201c}:"),
        ("\"{{key}}\"", "\"{{key}\""),
        ("\"{{key}}\"", "\"{{{key}}}\""),
        ("\"{{key}}\"", "{{key}}"),
    ] {
        assert!(TEMPLATE.contains(right), "{right}");
        office.write("t.json.hbs", &TEMPLATE.replacen(right, wrong, 1));
        let ended = office.run(&["plan", "b.toml", "--offline"]);
        assert_eq!(ended.code, Some(4), "{wrong}: {ended:?}");
        let lines = ended
            .stderr
            .lines()
            .filter(|line| line.trim_start().starts_with(['×', '╭']) || line.contains("╰── here"));
        messages.push_str(&lines.map(|line| format!("{line}\n")).collect::<String>());
    }
    insta::assert_snapshot!(messages, @"
      × `{{script}}` stands outside quotes, where a cell could add JSON
       ╭─[t.json.hbs:4:28]
       ·                               ╰── here
      × row 2: a comma or colon is missing
       ╭─[t.json.hbs:4:38]
       ·                                         ╰── here
      × row 2: there is a comma before a closing bracket
       ╭─[t.json.hbs:7:64]
       ·                                                                ╰── here
      × row 2: this is not the quote that JSON knows
       ╭─[t.json.hbs:2:3]
       ·   ╰── here
      × this tag is opened and not closed with `}}`
       ╭─[t.json.hbs:2:12]
       ·             ╰── here
      × `{{{key}}}` and `{{&key}}` write a cell unescaped: a quote in it would end
       ╭─[t.json.hbs:2:12]
       ·                ╰── here
      × `{{key}}` stands outside quotes, where a cell could add JSON
       ╭─[t.json.hbs:2:11]
       ·              ╰── here
    ");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn no_link_leads_out_of_the_folder_of_partials() {
    use std::os::unix::fs::symlink;

    let office = TestCli::new(1).await;
    office.write("secret.json.hbs", "\"hidden\"");
    office.write("t.json.hbs", &with_field("{{> part}}"));
    let partials = office.path("partials");
    let plan = || office.run(&["plan", "b.toml", "--offline"]);
    let replace = |target: &str| {
        let _ = std::fs::remove_file(partials.join("part.json.hbs"));
        symlink(target, partials.join("part.json.hbs")).unwrap();
    };
    std::fs::create_dir(&partials).unwrap();
    office.write("partials/real.json.hbs", "\"shared\"");
    replace("real.json.hbs");
    assert_eq!(plan().code, Some(0), "a link within the folder");
    for target in ["../secret.json.hbs", "/etc/passwd", "/dev/zero", "nothing"] {
        replace(target);
        let ended = plan();
        assert_eq!(ended.code, Some(4), "{target}: {ended:?}");
        assert!(ended.stderr.contains("a link leads out of the folder"), "{target}: {ended:?}");
        assert!(!ended.stderr.contains("hidden") && !ended.stderr.contains("root:"), "{ended:?}");
    }
    // The folder itself may not be a link either.
    std::fs::create_dir(office.path("other")).unwrap();
    std::fs::rename(&partials, office.path("other/partials")).unwrap();
    office.write("other/partials/a.hbs", "\"hidden\"");
    symlink("other/partials", &partials).unwrap();
    office.write("t.json.hbs", &with_field("{{> a}}"));
    assert_eq!(plan().code, Some(4));
    // Nothing waits for the other end of a pipe.
    std::fs::remove_file(&partials).unwrap();
    std::fs::remove_file(office.path("t.json.hbs")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(office.path("t.json.hbs")).status();
    assert!(made.unwrap().success());
    let ended = plan();
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.stderr.contains("it is not a file"), "{ended:?}");
}
